#include "tracker/label.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_labels.h"
#include "proto/label_change.h"

struct label_table {
    struct label_names names;
    uint8_t sticky[LABELS_SIZE];
    uint64_t n_holders[LABEL_BITS]; /* connections with the bit */
};

int label_table_create(const struct config *config, struct label_table **out)
{
    struct label_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    config_label_names(config, &table->names);
    label_names_sticky(&table->names, table->sticky);
    *out = table;
    return 0;
}

void label_table_destroy(struct label_table *table)
{
    free(table);
}

const struct label_names *label_table_names(const struct label_table *table)
{
    return &table->names;
}

/* ---- what connections hold ---- */

static void hold(struct label_table *table, const uint8_t labels[LABELS_SIZE], int step)
{
    for (unsigned first = 0; first < LABEL_BITS; first += 64) {
        uint64_t bits;
        memcpy(&bits, labels + LABELS_SIZE - sizeof bits - first / 8, sizeof bits);
        for (bits = be64toh(bits); bits; bits &= bits - 1)
            table->n_holders[first + (unsigned)__builtin_ctzll(bits)] += (uint64_t)(int64_t)step;
    }
}

bool label_table_write(struct label_table *table, uint8_t labels[LABELS_SIZE],
                       const uint8_t value[LABELS_SIZE], const uint8_t mask[LABELS_SIZE])
{
    uint8_t old[LABELS_SIZE];
    memcpy(old, labels, LABELS_SIZE);
    labels_write(labels, value, mask);
    for (size_t i = 0; i < LABELS_SIZE; i++)
        labels[i] |= old[i] & table->sticky[i];
    hold(table, labels, 1);
    hold(table, old, -1);
    return memcmp(old, labels, LABELS_SIZE) != 0;
}

void label_table_release(struct label_table *table, const uint8_t labels[LABELS_SIZE])
{
    hold(table, labels, -1);
}

/* ---- changes ---- */

static const char *words_of(int error)
{
    switch (error) {
    case EBADMSG:
        return "expected: label add NAME [BIT] [sticky], label remove NAME";
    case EINVAL:
        return "a label's name is 1 to 63 letters, digits, '-' and ' '";
    case ERANGE:
        return "a label's bit is 0 to 127";
    case EEXIST:
        return "a label of this name is there";
    case EBUSY:
        return "the bit has another name";
    case ENOSPC:
        return "all 128 bits have had names: say which bit";
    default:
        return "no label has this name";
    }
}

void label_table_change(struct label_table *table, const struct change *change,
                        struct change_result *result)
{
    int bit = label_change_apply(&table->names, change);
    label_names_sticky(&table->names, table->sticky);
    if (bit < 0) {
        result->error = bit == -EBADMSG ? EINVAL : -bit;
        snprintf(result->answer, sizeof result->answer, "%s", words_of(-bit));
        return;
    }
    result->count = 1;
    snprintf(result->answer, sizeof result->answer, "%d %s", bit, change->words[2]);
}

/* ---- questions ---- */

enum { N_COLUMNS = 5 };

static bool put_row(const struct label_table *table, unsigned bit, struct control_reply *reply)
{
    const struct label_name *name = &table->names.bits[bit];
    char bit_text[8], n_holders[24];
    snprintf(bit_text, sizeof bit_text, "%u", bit);
    snprintf(n_holders, sizeof n_holders, "%" PRIu64, table->n_holders[bit]);
    const char *values[N_COLUMNS] = {bit_text, name->text, name->is_sticky ? "sticky" : "maskable",
                                     name->is_removed ? "removed" : "in_use", n_holders};
    return control_reply_row(reply, values, N_COLUMNS);
}

void label_table_query(const struct label_table *table, const struct control_request *request,
                       struct control_reply *reply)
{
    static const char *const columns[N_COLUMNS] = {"bit", "name", "kind", "state", "connections"};
    if (request->n_words != 2 || strcmp(request->words[1], "list") != 0) {
        control_reply_fail(reply, EINVAL, "expected: label list");
        return;
    }
    control_reply_columns(reply, columns, N_COLUMNS);
    for (unsigned bit = (unsigned)(request->cursor % LABEL_BITS); bit < LABEL_BITS; bit++) {
        const struct label_name *name = &table->names.bits[bit];
        bool is_listed = name->text[0] && (!name->is_removed || table->n_holders[bit] > 0);
        if (is_listed && !put_row(table, bit, reply)) {
            reply->cursor = bit;
            return;
        }
    }
}
