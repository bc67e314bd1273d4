#include "common/decimal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char DIGITS[] = "0123456789";

static bool append_digit(char digit, int64_t *number)
{
    return !__builtin_mul_overflow(*number, 10, number) &&
           !__builtin_add_overflow(*number, digit - '0', number);
}

bool decimal_parse(const char *text, int64_t *millionths)
{
    size_t n_whole = strspn(text, DIGITS);
    bool has_point = text[n_whole] == '.';
    const char *decimals = text + n_whole + (has_point ? 1 : 0);
    size_t n_decimals = has_point ? strspn(decimals, DIGITS) : 0;
    if (n_whole == 0 || n_decimals > DECIMAL_PLACES || decimals[n_decimals] != '\0' ||
        (has_point && n_decimals == 0))
        return false;

    int64_t number = 0;
    bool is_held = true;
    for (size_t i = 0; is_held && i < n_whole; i++)
        is_held = append_digit(text[i], &number);
    for (size_t i = 0; is_held && i < DECIMAL_PLACES; i++)
        is_held = append_digit(i < n_decimals ? decimals[i] : '0', &number);
    if (is_held)
        *millionths = number;
    return is_held;
}

void decimal_text(int64_t millionths, int places_min, char out[DECIMAL_TEXT_SIZE])
{
    assert(places_min >= 0 && places_min <= DECIMAL_PLACES);
    uint64_t size = millionths < 0 ? -(uint64_t)millionths : (uint64_t)millionths;
    int length = snprintf(out, DECIMAL_TEXT_SIZE, "%s%" PRIu64 ".%06" PRIu64,
                          millionths < 0 ? "-" : "", size / DECIMAL_ONE, size % DECIMAL_ONE);
    int places = DECIMAL_PLACES;
    while (places > places_min && out[length - 1] == '0') {
        out[--length] = '\0';
        places--;
    }
    if (places == 0)
        out[--length] = '\0'; /* the point */
}
