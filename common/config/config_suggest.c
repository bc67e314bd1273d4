/* "Did you mean …?": the word at the least edit distance, if it is near enough to be a slip. */
#include <string.h>
#include <sys/param.h>

#include "common/config/config_value.h"

enum { WORD_MAX = 63 };

static size_t min3(size_t a, size_t b, size_t c)
{
    return MIN(a, MIN(b, c));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1] = {{0}};
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;

    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            bool is_same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (is_same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = MIN(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

void config_suggestion_init(struct config_suggestion *suggestion, const char *wanted)
{
    *suggestion = (struct config_suggestion){.wanted = wanted, .distance = SIZE_MAX};
}

void config_suggestion_offer(struct config_suggestion *suggestion, const char *word, size_t length)
{
    size_t wanted_length = strlen(suggestion->wanted);
    if (wanted_length == 0 || wanted_length > WORD_MAX || length > WORD_MAX)
        return;
    size_t distance = edit_distance(suggestion->wanted, wanted_length, word, length);
    size_t distance_max = MAX(wanted_length, length) / 3;
    if (distance > MAX(distance_max, 1u) || distance >= length || distance >= suggestion->distance)
        return;
    suggestion->distance = distance;
    memcpy(suggestion->word, word, length);
    suggestion->word[length] = '\0';
}
