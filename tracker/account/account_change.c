/* What changes do to accounts, and what is asked about them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/config/config_value.h"
#include "proto/account_change.h"
#include "tracker/account/account_internal.h"

static void __attribute__((format(printf, 3, 4)))
refuse(struct change_result *result, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->answer, sizeof result->answer, format, arguments);
    va_end(arguments);
    result->error = error;
}

/* ---- add, move ---- */

/* Is there room, and is nobody's prefix taken away that is not to be moved? */
static bool can_put(const struct account_table *table, const struct account_change *read,
                    struct change_result *result)
{
    uint16_t account = account_names_find(&table->names, read->name);
    size_t n_new = 0;
    for (size_t i = 0; i < read->n_prefixes; i++) {
        const struct prefix_entry *entry = prefix_table_find(&table->prefixes, &read->prefixes[i]);
        n_new += !entry;
        if (!entry || entry->owner.account == account || read->verb == ACCOUNT_MOVE)
            continue;
        char text[CONFIG_PREFIX_TEXT_SIZE];
        config_prefix_text(&read->prefixes[i], text);
        refuse(result, EEXIST, "%s is account '%s'", text,
               account_names_of(&table->names, entry->owner.account));
        return false;
    }
    if (table->prefixes.n + n_new > ACCOUNT_PREFIXES_MAX)
        refuse(result, ENOSPC, "%d prefixes are given at most", ACCOUNT_PREFIXES_MAX);
    else if (account == 0 && table->names.n == ACCOUNT_NUMBER_MAX)
        refuse(result, ENOSPC, "there have been %d accounts", ACCOUNT_NUMBER_MAX);
    return result->error == 0;
}

static void put(struct account_table *table, const struct account_change *read, int64_t time_ns,
                struct change_result *result)
{
    if (!can_put(table, read, result))
        return;
    int account = account_names_add(&table->names, read->name);
    struct prefix_owner owner = {.account = (uint16_t)account, .since_ns = time_ns};
    bool has_memory = account > 0;
    for (size_t i = 0; i < read->n_prefixes && has_memory; i++) {
        const struct prefix_entry *entry = prefix_table_find(&table->prefixes, &read->prefixes[i]);
        if (entry && entry->owner.account == account)
            continue; /* since then and from there, as it was */
        has_memory = prefix_table_put(&table->prefixes, &read->prefixes[i], &owner) == 0;
        result->count++;
    }
    if (!has_memory)
        refuse(result, ENOMEM, "account '%s'", read->name);
}

/* ---- remove ---- */

static bool can_remove(const struct account_table *table, const struct account_change *read,
                       uint16_t account, struct change_result *result)
{
    if (account == 0) {
        refuse(result, ENOENT, "no account has this name");
        return false;
    }
    for (size_t i = 0; i < read->n_prefixes; i++) {
        const struct prefix_entry *entry = prefix_table_find(&table->prefixes, &read->prefixes[i]);
        if (entry && entry->owner.account == account)
            continue;
        char text[CONFIG_PREFIX_TEXT_SIZE];
        config_prefix_text(&read->prefixes[i], text);
        refuse(result, ENOENT, "%s is account '%s'", text,
               account_names_of(&table->names, entry ? entry->owner.account : 0));
        return false;
    }
    return true;
}

static void remove_prefixes(struct account_table *table, const struct account_change *read,
                            struct change_result *result)
{
    uint16_t account = account_names_find(&table->names, read->name);
    if (!can_remove(table, read, account, result))
        return;
    for (size_t i = 0; i < read->n_prefixes; i++)
        result->count += prefix_table_remove(&table->prefixes, &read->prefixes[i]);
    if (read->n_prefixes == 0)
        result->count = prefix_table_remove_account(&table->prefixes, account);
    if (result->count == 0)
        refuse(result, ENOENT, "it has no prefix");
}

void account_table_change(struct account_table *table, const struct change *change,
                          struct change_result *result)
{
    struct account_change read;
    if (!account_change_read(change, &read, result->answer)) {
        result->error = EINVAL;
        return;
    }
    if (read.verb == ACCOUNT_REMOVE)
        remove_prefixes(table, &read, result);
    else
        put(table, &read, change->time_ns, result);
    if (result->error == 0)
        snprintf(result->answer, sizeof result->answer, "%" PRIu64 " prefixes", result->count);
}

/* ---- questions ---- */

enum { N_COLUMNS = 4 };

static bool put_row(const struct account_table *table, const struct prefix_entry *entry,
                    const struct config_prefix *prefix, struct control_reply *reply)
{
    char text[CONFIG_PREFIX_TEXT_SIZE], since_ns[24];
    config_prefix_text(prefix, text);
    snprintf(since_ns, sizeof since_ns, "%" PRId64, entry->owner.since_ns);
    const char *values[N_COLUMNS] = {account_names_of(&table->names, entry->owner.account), text,
                                     since_ns, entry->owner.is_of_file ? "file" : "command"};
    return control_reply_row(reply, values, N_COLUMNS);
}

void account_table_query(const struct account_table *table, const struct control_request *request,
                         struct control_reply *reply)
{
    static const char *const columns[N_COLUMNS] = {"account", "prefix", "since_ns", "from"};
    if (request->n_words != 2 || strcmp(request->words[1], "list") != 0) {
        control_reply_fail(reply, EINVAL, "expected: account list");
        return;
    }
    control_reply_columns(reply, columns, N_COLUMNS);
    uint64_t place = request->cursor;
    const struct prefix_entry *entry;
    struct config_prefix prefix;
    while ((entry = prefix_table_next(&table->prefixes, &place, &prefix))) {
        if (!put_row(table, entry, &prefix, reply)) {
            reply->cursor = place - 1; /* this one again */
            return;
        }
    }
}
