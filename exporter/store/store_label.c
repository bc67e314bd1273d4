/* Names of label bits, from when on they hold: what the configuration says at a run's beginning,
 * and what was changed at a packet time since. A bit keeps the row it has where that says the same.
 */
#include "exporter/store/store_internal.h"

#include <string.h>

#include "common/config/config_labels.h"

static const char add_sql[] =
    "INSERT INTO label_name (bit, name, from_record_id, since_ns)"
    " SELECT ?1, ?2, coalesce((SELECT max(record_id) FROM flow_record), 0) + 1, ?3"
    " WHERE (SELECT name FROM label_name WHERE bit = ?1 ORDER BY id DESC LIMIT 1) IS NOT ?2";

static int put_names(struct store *store, const struct label_names *names, sqlite3_stmt *add)
{
    int result = 0;
    for (unsigned bit = 0; bit < LABEL_BITS && result == 0; bit++) {
        const char *name = label_names_of(names, bit);
        store_bind_integer(add, 1, bit);
        if (name)
            store_bind_text(add, 2, name, strlen(name));
        else
            store_bind_null(add, 2);
        store_bind_integer(add, 3, INT64_MIN);
        if (sqlite3_step(add) != SQLITE_DONE)
            result = store_fail_sqlite(store, "cannot add the name of a label");
        sqlite3_reset(add);
    }
    return result;
}

int store_put_labels(struct store *store, const struct config *config)
{
    struct label_names names;
    sqlite3_stmt *add;
    config_label_names(config, &names);
    if (sqlite3_prepare_v2(store->db, add_sql, -1, &add, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot add the names of labels");
    int result = put_names(store, &names, add);
    sqlite3_finalize(add);
    return result;
}
