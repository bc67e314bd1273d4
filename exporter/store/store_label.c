/* Names of label bits, from when on they hold: what the configuration says at a run's beginning,
 * and what was changed at a packet time since. A bit keeps the row it has where that says the same.
 */
#include "exporter/store/store_internal.h"

#include <string.h>

#include "common/config/config_labels.h"
#include "proto/label_change.h"

static int put_name(struct store *store, unsigned bit, int64_t since_ns)
{
    sqlite3_stmt *add = store->statements[STATEMENT_LABEL_ADD];
    const char *name = label_names_of(&store->label_names, bit);
    store_bind_integer(add, 1, bit);
    if (name)
        store_bind_text(add, 2, name, strlen(name));
    else
        store_bind_null(add, 2);
    store_bind_integer(add, 3, since_ns);
    store_bind_integer(add, 4, store->first_record_id);
    return store_run_statement(store, STATEMENT_LABEL_ADD, "cannot add the name of a label");
}

int store_put_labels(struct store *store, const struct config *config)
{
    config_label_names(config, &store->label_names);
    int result = store_select_number(
        store, "SELECT coalesce(max(record_id), 0) + 1 FROM flow_record", &store->first_record_id);
    for (unsigned bit = 0; bit < LABEL_BITS && result == 0; bit++)
        result = put_name(store, bit, INT64_MIN);
    return result;
}

int store_change_label(struct store *store, const struct change *change)
{
    int bit = label_change_apply(&store->label_names, change);
    return bit < 0 ? 0 : put_name(store, (unsigned)bit, change->time_ns);
}

const struct label_names *store_label_names(const struct store *store)
{
    return &store->label_names;
}
