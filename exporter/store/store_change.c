/* What somebody changed: one row a change, whatever the number of shards. */
#include "exporter/store/store_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/config/config_utf8.h"
#include "proto/account_change.h"
#include "proto/change.h"
#include "proto/label_change.h"

/* The longest: each byte as \u00XX, quotes and commas, the brackets. */
enum { WORDS_JSON_SIZE = CHANGE_TEXT_MAX * 6 + CHANGE_WORDS_MAX * 3 + 3 };

static char *put_character(char *at, const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return at + sprintf(at, "\\ufffd"); /* no UTF-8: such words are not taken */
    if (bytes[0] < ' ')
        return at + sprintf(at, "\\u%04x", bytes[0]);
    if (bytes[0] == '"' || bytes[0] == '\\')
        *at++ = '\\';
    memcpy(at, bytes, size);
    return at + size;
}

/* The words as a JSON array; its length. */
static size_t words_json(const struct change *change, char json[WORDS_JSON_SIZE])
{
    char *at = json;
    *at++ = '[';
    for (size_t i = 0; i < change->n_words; i++) {
        const uint8_t *word = (const uint8_t *)change->words[i];
        size_t left = strlen(change->words[i]);
        if (i > 0)
            *at++ = ',';
        *at++ = '"';
        while (left > 0) {
            uint32_t character;
            size_t n = config_utf8_decode(word, left, &character);
            at = put_character(at, word, n);
            word += n > 0 ? n : 1;
            left -= n > 0 ? n : 1;
        }
        *at++ = '"';
    }
    *at++ = ']';
    return (size_t)(at - json);
}

/* Every shard tells of every change; it is one row: the first shard's, but that each says how many
 * of its connections it was done to. What was restored has its row. */
static bool is_to_record(const struct change *change, uint32_t shard)
{
    return !change->is_restored && (shard == 0 || strcmp(change->words[0], "ct") == 0);
}

static int add_change(struct store *store, const struct change_line *line, uint32_t shard)
{
    struct change change;
    char json[WORDS_JSON_SIZE];
    change_decode(line->change, line->change_bytes, &change); /* checked before */
    if (!is_to_record(&change, shard))
        return 0;
    sqlite3_stmt *add = store->statements[STATEMENT_CHANGE_ADD];
    store_bind_integer(add, 1, store->run_id);
    store_bind_integer(add, 2, (int64_t)change.id);
    store_bind_integer(add, 3, change.time_ns);
    store_bind_text(add, 4, json, words_json(&change, json));
    store_bind_integer(add, 5, change.uid);
    store_bind_integer(add, 6, change.pid);
    store_bind_integer(add, 7, (int64_t)change.seed);
    store_bind_integer(add, 8, line->error);
    store_bind_integer(add, 9, (int64_t)line->count);
    store_bind_text(add, 10, line->answer ? line->answer : "", line->answer_length);
    int result = store_run_statement(store, STATEMENT_CHANGE_ADD, "cannot add a change");
    bool is_of_labels = line->error == 0 && label_change_is(&change);
    return result == 0 && is_of_labels ? store_change_label(store, &change) : result;
}

int store_add_changes(struct store *store, const struct message *message)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < message->n_changes; i++)
        result = add_change(store, &message->changes[i], message->stream.shard);
    return result;
}

/* All shards give new accounts their numbers in one order, and each tells of them in that order: a
 * name that is not known yet is the next one, whichever shard tells of it first. */
int store_learn_accounts(struct store *store, const struct message *message)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < message->n_changes; i++) {
        const struct change_line *line = &message->changes[i];
        struct change change;
        if (line->error || !change_decode(line->change, line->change_bytes, &change))
            continue;
        const char *name = account_change_name(&change);
        if (name && account_names_find(&store->account_names, name) == 0)
            result = store_add_account(store, name);
    }
    return result;
}

const struct account_names *store_account_names(const struct store *store)
{
    return &store->account_names;
}
