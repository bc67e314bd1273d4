/* Integers, sizes and durations: digits, then for the latter two a unit, always. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/config/config_value.h"
#include "common/decimal.h"

struct unit {
    const char *name;
    int64_t factor;
    const char *also; /* what people write instead: refused, but suggested from; lower case */
};

/* From the smallest: "the largest that divides" is the last. */
static const struct unit size_units[] = {
    {"B", 1, "b byte bytes"},
    {"KiB", 1024, "k kb kib"},
    {"MiB", 1024 * 1024, "m mb mib"},
    {"GiB", 1024 * 1024 * 1024, "g gb gib"},
};
static const struct unit duration_units[] = {
    {"ns", 1, "ns nsec"},
    {"us", 1000, "us usec \u00b5s \u03bcs"},
    {"ms", 1000 * 1000, "ms msec"},
    {"s", 1000 * 1000 * 1000, "s sec secs second seconds"},
    {"min", 60 * INT64_C(1000000000), "m min mins minute minutes"},
    {"h", 3600 * INT64_C(1000000000), "h hr hrs hour hours"},
    {"d", 86400 * INT64_C(1000000000), "d day days"},
};

struct units {
    const struct unit *items;
    size_t n;
    const char *expected;
};

static struct units units_of(enum config_type type)
{
    if (type == CONFIG_SIZE)
        return (struct units){size_units, sizeof size_units / sizeof *size_units,
                              "a whole number with B, KiB, MiB or GiB"};
    if (type == CONFIG_DURATION)
        return (struct units){duration_units, sizeof duration_units / sizeof *duration_units,
                              "a whole number with ns, us, ms, s, min, h or d"};
    return (struct units){NULL, 0, "a whole number"};
}

void config_number_text(enum config_type type, int64_t value, char out[CONFIG_NUMBER_TEXT_SIZE])
{
    static_assert((int)CONFIG_NUMBER_TEXT_SIZE >= (int)DECIMAL_TEXT_SIZE, "a price fits");
    if (type == CONFIG_PRICE) {
        decimal_text(value, 0, out);
        return;
    }
    struct units units = units_of(type);
    struct unit best = units.n ? units.items[0] : (struct unit){"", 1, ""};
    if (value == 0 && type == CONFIG_DURATION)
        best = duration_units[3];
    for (size_t i = 1; value != 0 && i < units.n; i++)
        if (value % units.items[i].factor == 0)
            best = units.items[i];
    snprintf(out, CONFIG_NUMBER_TEXT_SIZE, "%" PRId64 "%s", value / best.factor, best.name);
}

static bool complain_range(const struct config_option *option, struct config_complaint *complaint)
{
    char min[CONFIG_NUMBER_TEXT_SIZE], max[CONFIG_NUMBER_TEXT_SIZE];
    enum config_type type = option->type == CONFIG_INTEGER_LIST ? CONFIG_INTEGER : option->type;
    config_number_text(type, option->min, min);
    config_number_text(type, option->max, max);
    complaint->what = "out of range";
    snprintf(complaint->expected, sizeof complaint->expected, "%s to %s", min, max);
    return false;
}

static bool is_one_of(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, " ");
        if (n == length && memcmp(at, word, n) == 0)
            return true;
        at += n + (at[n] == ' ');
    }
    return false;
}

/* "64 mb" -> "64MiB". */
static void suggest_unit(const struct units *units, const char *digits, size_t n_digits,
                         const char *written, struct config_complaint *complaint)
{
    char word[16];
    size_t length = 0;
    for (; *written; written++) {
        if (*written == ' ')
            continue;
        if (length == sizeof word - 1)
            return;
        word[length++] = *written >= 'A' && *written <= 'Z' ? (char)(*written + 32) : *written;
    }
    word[length] = '\0';
    if (length == 0 || n_digits > 20)
        return;
    for (size_t i = 0; i < units->n; i++)
        if (is_one_of(units->items[i].also, word))
            snprintf(complaint->suggestion, sizeof complaint->suggestion, "%.*s%s", (int)n_digits,
                     digits, units->items[i].name);
}

/* The unit's factor, 0 after a complaint. */
static int64_t read_unit(const struct config_option *option, const char *digits, size_t n_digits,
                         struct config_complaint *complaint)
{
    struct units units = units_of(option->type);
    const char *written = digits + n_digits;
    if (units.n == 0 && !*written)
        return 1;
    for (size_t i = 0; i < units.n; i++)
        if (strcmp(written, units.items[i].name) == 0)
            return units.items[i].factor;

    complaint->what = units.n == 0 || *written == '.' ? "not a whole number"
                      : *written                      ? "unknown unit"
                                                      : "the unit is missing";
    snprintf(complaint->expected, sizeof complaint->expected, "%s", units.expected);
    suggest_unit(&units, digits, n_digits, written, complaint);
    return 0;
}

/* The digits as a number; INT64_MAX where it would be larger. */
static int64_t read_digits(const char *digits, size_t n_digits)
{
    int64_t number = 0;
    for (size_t i = 0; i < n_digits; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digits[i] - '0', &number))
            return INT64_MAX;
    return number;
}

static bool complain_not_a_number(const struct config_option *option,
                                  struct config_complaint *complaint)
{
    complaint->what = option->type == CONFIG_SIZE       ? "not a size"
                      : option->type == CONFIG_DURATION ? "not a duration"
                                                        : "not a number";
    snprintf(complaint->expected, sizeof complaint->expected, "%s",
             units_of(option->type).expected);
    return false;
}

/* "1,50" -> "1.50". */
static bool complain_not_a_price(const char *text, struct config_complaint *complaint)
{
    complaint->what = "not a price";
    snprintf(complaint->expected, sizeof complaint->expected,
             "digits with up to six decimals, such as 0.09");
    char pointed[32];
    int64_t price;
    if (strlen(text) >= sizeof pointed)
        return false;
    snprintf(pointed, sizeof pointed, "%s", text);
    char *comma = strchr(pointed, ',');
    if (comma)
        *comma = '.';
    if (decimal_parse(pointed, &price))
        snprintf(complaint->suggestion, sizeof complaint->suggestion, "%s", pointed);
    return false;
}

static bool read_price(const struct config_option *option, const char *text, int64_t *value,
                       struct config_complaint *complaint)
{
    int64_t price;
    if (!decimal_parse(text, &price))
        return complain_not_a_price(text, complaint);
    if (price < option->min || price > option->max)
        return complain_range(option, complaint);
    *value = price;
    return true;
}

bool config_number_read(const struct config_option *option, const char *text, int64_t *value,
                        struct config_complaint *complaint)
{
    if (option->type == CONFIG_PRICE)
        return read_price(option, text, value, complaint);
    const char *digits = text + (*text == '-');
    size_t n_digits = strspn(digits, "0123456789");
    if (n_digits == 0)
        return complain_not_a_number(option, complaint);

    int64_t factor = read_unit(option, digits, n_digits, complaint);
    if (factor == 0)
        return false;
    if (n_digits > 1 && *digits == '0') { /* some would read it as octal */
        complaint->what = "a number with a leading zero";
        size_t n_zeros = strspn(digits, "0");
        snprintf(complaint->suggestion, sizeof complaint->suggestion, "%.60s",
                 digits + n_zeros - (n_zeros == n_digits));
        return false;
    }
    int64_t number;
    if (*text == '-' || __builtin_mul_overflow(read_digits(digits, n_digits), factor, &number) ||
        number < option->min || number > option->max)
        return complain_range(option, complaint);
    *value = number;
    return true;
}
