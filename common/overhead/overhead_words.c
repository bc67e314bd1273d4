#include "common/overhead/overhead_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL_PAYLOAD = 48,
    CELL = 53,
    BLOCK = 64,
    WORD_MAX = 15,
    MTU_DEFAULT = 2047,
    TSIZE_DEFAULT = 512,
    TSIZE_MAX = 65535,
    TABLE_VALUE_MAX = 65535,
    TABLE_ATM = 1 << 16, /* in a table's step: c is cell_log | size_log << 8 | TABLE_ATM */
};

enum layer { LAYER_NONE, LAYER_ATM, LAYER_PTM };

struct words {
    const char *at, *end;
    char *why;
    enum layer layer;
    bool has_layer, is_stab;
    int32_t overhead, mpu, mtu, tsize;
    bool has_overhead, has_mpu, has_mtu, has_tsize;
};

static bool fail(struct words *words, const char *format, const char *got)
{
    snprintf(words->why, OVERHEAD_WHY_SIZE, format, got);
    return false;
}

/* The next word; false: there is none. */
static bool next_word(struct words *words, char word[WORD_MAX + 1])
{
    while (words->at < words->end && *words->at == ' ')
        words->at++;
    size_t length = 0;
    while (words->at + length < words->end && words->at[length] != ' ')
        length++;
    if (length == 0)
        return false;
    size_t kept = length < WORD_MAX ? length : WORD_MAX;
    memcpy(word, words->at, kept);
    word[kept] = '\0';
    words->at += length;
    return true;
}

/* ---- one word ---- */

static bool read_layer(struct words *words, const char *word)
{
    static const struct {
        const char *name;
        enum layer layer;
    } layers[] = {{"none", LAYER_NONE}, {"noatm", LAYER_NONE}, {"ethernet", LAYER_NONE},
                  {"atm", LAYER_ATM},   {"adsl", LAYER_ATM},   {"ptm", LAYER_PTM}};
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        if (strcmp(layers[i].name, word) != 0)
            continue;
        if (words->has_layer)
            return fail(words, "'%s': the link layer is said twice", word);
        words->has_layer = true;
        words->layer = layers[i].layer;
        return true;
    }
    return fail(words,
                "'%s', expected none, ethernet, atm, adsl or ptm, or overhead, mpu, stab, mtu, "
                "tsize with a number",
                word);
}

static bool read_number(struct words *words, const char *name, int32_t min, int32_t *number,
                        bool *has_number)
{
    char word[WORD_MAX + 1], *behind;
    if (*has_number)
        return fail(words, "'%s' is said twice", name);
    if (!next_word(words, word))
        return fail(words, "'%s' without its number", name);
    errno = 0;
    long value = strtol(word, &behind, 10);
    if (errno != 0 || *behind != '\0' || value < min || value > OVERHEAD_NUMBER_MAX) {
        snprintf(words->why, OVERHEAD_WHY_SIZE, "%s: got '%s', expected %d to %d", name, word, min,
                 OVERHEAD_NUMBER_MAX);
        return false;
    }
    *number = (int32_t)value;
    *has_number = true;
    return true;
}

static bool read_word(struct words *words, const char *word)
{
    if (strcmp(word, "overhead") == 0)
        return read_number(words, word, -OVERHEAD_NUMBER_MAX, &words->overhead,
                           &words->has_overhead);
    if (strcmp(word, "mpu") == 0)
        return read_number(words, word, 0, &words->mpu, &words->has_mpu);
    if (strcmp(word, "mtu") == 0)
        return read_number(words, word, 1, &words->mtu, &words->has_mtu);
    if (strcmp(word, "tsize") == 0)
        return read_number(words, word, 2, &words->tsize, &words->has_tsize);
    if (strcmp(word, "stab") == 0) {
        words->is_stab = true;
        return true;
    }
    if (strcmp(word, "linklayer") == 0) {
        char layer[WORD_MAX + 1];
        if (!next_word(words, layer))
            return fail(words, "'%s' without its name", word);
        return read_layer(words, layer);
    }
    return read_layer(words, word);
}

/* ---- tables ---- */

static uint64_t adjust(uint64_t length, uint64_t mpu, bool is_atm)
{
    uint64_t longer = length > mpu ? length : mpu;
    return is_atm ? (longer + CELL_PAYLOAD - 1) / CELL_PAYLOAD * CELL : longer;
}

uint64_t overhead_table_bytes(const struct overhead_step *step, uint64_t length)
{
    unsigned cell_log = (unsigned)step->c & 0xff, size_log = (unsigned)step->c >> 8 & 0xff;
    bool is_atm = (step->c & TABLE_ATM) != 0;
    uint64_t mpu = (uint64_t)step->a, tsize = (uint64_t)step->b;
    uint64_t slot = (length > 0 ? length - 1 : 0) >> cell_log;
    uint64_t last = adjust(tsize << cell_log, mpu, is_atm) >> size_log;
    uint64_t rest = adjust((slot % tsize + 1) << cell_log, mpu, is_atm) >> size_log;
    uint64_t value = slot < tsize ? rest : last * (slot / tsize) + rest;
    return value ? value << size_log : 1;
}

/* As tc makes it: slots so wide that the table covers the MTU, values that fit 16 bits. */
static struct overhead_step table_of(const struct words *words)
{
    uint32_t mtu = (uint32_t)(words->has_mtu ? words->mtu : MTU_DEFAULT);
    uint32_t tsize = (uint32_t)(words->has_tsize ? words->tsize : TSIZE_DEFAULT);
    bool is_atm = words->layer == LAYER_ATM;
    unsigned cell_log = 0, size_log = 0;
    while (mtu >> cell_log > tsize - 1)
        cell_log++;
    uint64_t largest = adjust((uint64_t)tsize << cell_log, (uint64_t)words->mpu, is_atm);
    while (largest >> size_log > TABLE_VALUE_MAX)
        size_log++;
    return (struct overhead_step){
        .operation = OVERHEAD_TABLE,
        .a = words->mpu,
        .b = (int32_t)tsize,
        .c = (int32_t)(cell_log | size_log << 8 | (is_atm ? TABLE_ATM : 0u)),
    };
}

/* ---- the whole ---- */

static bool check(struct words *words)
{
    if (!words->is_stab && (words->has_mtu || words->has_tsize))
        return fail(words, "'%s' is of a size table: write 'stab' before it",
                    words->has_mtu ? "mtu" : "tsize");
    if (words->is_stab && words->layer == LAYER_PTM)
        return fail(words, "'%s': tc-stab knows ethernet, atm and adsl", "ptm");
    return true;
}

static size_t make_steps(const struct words *words, struct overhead_step *steps)
{
    size_t n = 0;
    bool is_table = words->is_stab && (words->layer == LAYER_ATM || words->mpu > 0);
    steps[n++] = (struct overhead_step){.operation = OVERHEAD_ADD, .a = words->overhead};
    if (is_table) {
        steps[n++] = table_of(words);
        return n;
    }
    int32_t least = words->is_stab ? 1 : words->mpu;
    if (least > 0)
        steps[n++] = (struct overhead_step){.operation = OVERHEAD_MIN, .a = least};
    if (words->layer == LAYER_ATM)
        steps[n++] =
            (struct overhead_step){.operation = OVERHEAD_CELLS, .a = CELL_PAYLOAD, .b = CELL};
    if (words->layer == LAYER_PTM)
        steps[n++] = (struct overhead_step){.operation = OVERHEAD_PER_BLOCK, .a = BLOCK};
    return n;
}

bool overhead_words_read(const char *text, size_t length,
                         struct overhead_step steps[OVERHEAD_WORDS_STEPS_MAX],
                         char why[OVERHEAD_WHY_SIZE])
{
    struct words words = {.at = text, .end = text + length, .why = why};
    char word[WORD_MAX + 1];
    while (next_word(&words, word)) {
        if (!read_word(&words, word))
            return false;
    }
    if (!check(&words))
        return false;
    size_t n = make_steps(&words, steps);
    if (n < OVERHEAD_WORDS_STEPS_MAX)
        steps[n] = (struct overhead_step){.operation = OVERHEAD_END};
    return true;
}
