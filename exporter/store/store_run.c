/* The run's row, and the numbers of what the configuration names. */
#include "exporter/store/store_quota.h"
#include "exporter/store/store_restore.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/model.h"
#include "schema/flow_columns.h"

enum name_table { NAMES_ACCOUNT, NAMES_WAN, NAMES_MODEL, NAMES_CLASS, NAMES_N };

/* Finds the name's id, or adds it. */
static const struct {
    const char *add, *find;
    int64_t id_max;
} name_sql[NAMES_N] = {
    [NAMES_ACCOUNT] = {"INSERT INTO account (name) VALUES (?1) ON CONFLICT DO NOTHING",
                       "SELECT id FROM account WHERE name = ?1", FLOW_ACCOUNT_MAX},
    [NAMES_WAN] = {"INSERT INTO wan (name) VALUES (?1) ON CONFLICT DO NOTHING",
                   "SELECT id FROM wan WHERE name = ?1", FLOW_WAN_MAX},
    [NAMES_MODEL] = {"INSERT INTO overhead_model (name, definition, sha256) VALUES (?1, ?2, ?3)"
                     " ON CONFLICT DO NOTHING",
                     "SELECT id FROM overhead_model WHERE name = ?1 AND sha256 = ?3", INT64_MAX},
    [NAMES_CLASS] = {"INSERT INTO class (number, name, is_of_flows)"
                     " SELECT max(31, max(number)) + 1, ?1, 1 FROM class WHERE true"
                     " ON CONFLICT DO NOTHING",
                     "SELECT number FROM class WHERE name = ?1", FLOW_CLASS_MAX},
};

struct name_statements {
    sqlite3_stmt *add, *find;
    int64_t id_max; /* that a flow record has room for */
};

static int prepare_names(struct store *store, enum name_table table,
                         struct name_statements *statements)
{
    *statements = (struct name_statements){.id_max = name_sql[table].id_max};
    if (sqlite3_prepare_v2(store->db, name_sql[table].add, -1, &statements->add, NULL) !=
            SQLITE_OK ||
        sqlite3_prepare_v2(store->db, name_sql[table].find, -1, &statements->find, NULL) !=
            SQLITE_OK)
        return store_fail_sqlite(store, "cannot add names");
    return 0;
}

static void finalize_names(struct name_statements *statements)
{
    sqlite3_finalize(statements->add);
    sqlite3_finalize(statements->find);
}

static int find_or_add(struct store *store, const struct name_statements *statements,
                       const char *name, int64_t *id)
{
    store_bind_text(statements->add, 1, name, strlen(name));
    store_bind_text(statements->find, 1, name, strlen(name));
    int result = 0;
    if (sqlite3_step(statements->add) != SQLITE_DONE ||
        sqlite3_step(statements->find) != SQLITE_ROW)
        result = store_fail_sqlite(store, "cannot add a name");
    else
        *id = sqlite3_column_int64(statements->find, 0);
    sqlite3_reset(statements->add);
    sqlite3_reset(statements->find);
    if (result == 0 && (*id < 0 || *id > statements->id_max))
        result =
            store_fail(store, -ERANGE, "%s: '%s' has number %lld, of at most %lld: too many names",
                       store->path, name, (long long)*id, (long long)statements->id_max);
    return result;
}

static int fail_memory(struct store *store)
{
    return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
}

/* ids[0] stays 0: the row "none". */
static int put_accounts(struct store *store, const struct config *config)
{
    struct name_statements statements;
    int result = prepare_names(store, NAMES_ACCOUNT, &statements);
    for (size_t i = 0; result == 0 && i < config->n_accounts; i++)
        result =
            find_or_add(store, &statements, config->accounts[i].name, &store->account_ids[i + 1]);
    finalize_names(&statements);
    return result;
}

static int make_account_room(struct store *store, size_t n)
{
    if (n <= store->account_ids_room)
        return 0;
    size_t room = 2 * n;
    int64_t *ids = reallocarray(store->account_ids, room, sizeof *ids);
    if (!ids)
        return -ENOMEM;
    store->account_ids = ids;
    store->account_ids_room = room;
    return 0;
}

int store_add_account(struct store *store, const char *name)
{
    struct name_statements statements;
    int64_t id = 0;
    int number = account_names_add(&store->account_names, name);
    if (number == -ENOMEM || (number > 0 && make_account_room(store, (size_t)number + 1) < 0))
        return fail_memory(store);
    if (number < 0)
        return store_fail(store, -EBADMSG, "a change names account '%s'", name);
    int result = prepare_names(store, NAMES_ACCOUNT, &statements);
    if (result == 0)
        result = find_or_add(store, &statements, name, &id);
    finalize_names(&statements);
    store->account_ids[number] = id;
    if (result == 0 && seal_names_put(&store->seals.names, SEAL_NAMES_ACCOUNT, id, name) != 0)
        result = fail_memory(store);
    if (result == 0 && store->quota && quota_add_account(store->quota->quota, name) < 0)
        result = fail_memory(store);
    return result;
}

int store_restore_accounts(struct store *store)
{
    if (store->n_accounts_committed == store->account_names.n)
        return 0;
    struct name_statements statements;
    int result = prepare_names(store, NAMES_ACCOUNT, &statements);
    for (size_t i = store->n_accounts_committed; result == 0 && i < store->account_names.n; i++)
        result = find_or_add(store, &statements, store->account_names.texts[i],
                             &store->account_ids[i + 1]);
    finalize_names(&statements);
    return result;
}

static int put_wans(struct store *store, const struct config *config)
{
    struct name_statements statements;
    int result = prepare_names(store, NAMES_WAN, &statements);
    for (size_t i = 0; result == 0 && i < config->n_wans; i++)
        result = find_or_add(store, &statements, config->wans[i].name, &store->wan_ids[i + 1]);
    finalize_names(&statements);
    return result;
}

/* A packet of no WAN is billed its L3 bytes: model "ip". */
static int put_models(struct store *store, const struct config *config)
{
    struct name_statements statements;
    int result = prepare_names(store, NAMES_MODEL, &statements);
    for (size_t i = 0; result == 0 && i < (config->n_wans + 1) * DIRECTION_N; i++) {
        const char *name =
            model_of(config, (uint16_t)(i / DIRECTION_N), (unsigned)(i % DIRECTION_N));
        struct store_model model;
        store_model_definition(name, &model);
        store_bind_text(statements.add, 2, model.definition, strlen(model.definition));
        store_bind_text(statements.add, 3, model.sha256, strlen(model.sha256));
        store_bind_text(statements.find, 3, model.sha256, strlen(model.sha256));
        result = find_or_add(store, &statements, name, &store->model_ids[i]);
    }
    finalize_names(&statements);
    return result;
}

/* wanmeter's own have their numbers; the configuration's get those that are free behind them. */
static int put_classes(struct store *store, const struct config *config)
{
    struct name_statements statements;
    int result = prepare_names(store, NAMES_CLASS, &statements);
    for (unsigned i = 0; i < CLASS_N; i++)
        store->class_ids[i] = i;
    store->n_classes = CLASS_USER_FIRST + config->classes.n;
    assert(store->n_classes <= STORE_CLASSES_MAX);
    for (size_t i = 0; result == 0 && i < config->classes.n; i++)
        result = find_or_add(store, &statements, config->classes.items[i],
                             &store->class_ids[CLASS_USER_FIRST + i]);
    finalize_names(&statements);
    return result;
}

static int make_room(struct store *store, const struct config *config)
{
    assert(!store->account_ids); /* once a store */
    store->n_wans = config->n_wans;
    store->account_ids_room = config->n_accounts + 1;
    store->account_ids = calloc(store->account_ids_room, sizeof *store->account_ids);
    store->wan_ids = calloc(config->n_wans + 1, sizeof *store->wan_ids);
    store->model_ids = calloc((config->n_wans + 1) * DIRECTION_N, sizeof *store->model_ids);
    bool has_names = account_names_init(&store->account_names, config) == 0;
    return has_names && store->account_ids && store->wan_ids && store->model_ids
               ? 0
               : fail_memory(store);
}

static void hex_text(const uint8_t hash[CONFIG_SHA256_SIZE], char text[2 * CONFIG_SHA256_SIZE + 1])
{
    for (size_t i = 0; i < CONFIG_SHA256_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* The row of the same run, by an exporter that died. -ENOENT: there is none. */
static int find_run(struct store *store, const struct store_run *run, const char *hash_text)
{
    sqlite3_stmt *find = store->statements[STATEMENT_RUN_FIND];
    store_bind_integer(find, 1, run->started_ns);
    store_bind_text(find, 2, hash_text, strlen(hash_text));
    int step = sqlite3_step(find);
    int result = step == SQLITE_ROW ? 0 : -ENOENT;
    if (step == SQLITE_ROW)
        store->run_id = sqlite3_column_int64(find, 0);
    else if (step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the runs");
    sqlite3_reset(find);
    return result;
}

static int add_run(struct store *store, const struct store_run *run, const char *hash_text)
{
    char *text = config_text(run->config, false);
    if (!text)
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    sqlite3_stmt *add = store->statements[STATEMENT_RUN_START];
    store_bind_integer(add, 1, run->started_ns);
    store_bind_text(add, 2, run->version, strlen(run->version));
    store_bind_text(add, 3, text, strlen(text));
    store_bind_text(add, 4, hash_text, strlen(hash_text));
    store_bind_integer(add, 5, run->config->tracker.flow_records);
    store_bind_integer(add, 6, run->config->tracker.shards);
    int result = store_run_statement(store, STATEMENT_RUN_START, "cannot add a run");
    store->run_id = sqlite3_last_insert_rowid(store->db);
    free(text);
    return result;
}

static int find_or_add_run(struct store *store, const struct store_run *run)
{
    char hash_text[2 * CONFIG_SHA256_SIZE + 1];
    static_assert(sizeof store->config_sha256 == CONFIG_SHA256_SIZE, "SHA-256");
    config_hash(run->config, store->config_sha256);
    hex_text(store->config_sha256, hash_text);
    store->has_flow_records = run->config->tracker.flow_records;
    store->interim_interval_ns = run->config->tracker.interim_interval_ns;
    store->run_started_ns = run->started_ns;
    store->has_addresses = strcmp(run->config->privacy.addresses, "full") == 0;
    int result = find_run(store, run, hash_text);
    return result == -ENOENT ? add_run(store, run, hash_text) : result;
}

/* The numbers of what the configuration names. */
static int put_names(struct store *store, const struct config *config)
{
    int result = put_accounts(store, config);
    if (result == 0)
        result = put_wans(store, config);
    if (result == 0)
        result = put_models(store, config);
    if (result == 0)
        result = put_classes(store, config);
    if (result == 0)
        result = store_put_labels(store, config);
    return result == 0 ? store_quota_open(store, config) : result;
}

int store_start_run(struct store *store, const struct store_run *run)
{
    int result = make_room(store, run->config);
    if (result == 0)
        result = store_begin(store);
    if (result == 0)
        result = find_or_add_run(store, run);
    if (result == 0)
        result = put_names(store, run->config);
    if (result == 0)
        result = store_restore_open(store, run);
    if (result == 0 && run->is_live)
        result = store_gap_begin(store);
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    store_be_impatient(store);
    return result;
}

int store_know_accounts(struct store *store, char *const *accounts, size_t n)
{
    int result = store_begin(store);
    for (size_t i = 0; result == 0 && i < n; i++)
        if (account_names_find(&store->account_names, accounts[i]) == 0)
            result = store_add_account(store, accounts[i]);
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    return result;
}

int64_t store_run_started_ns(const struct store *store)
{
    return store->run_started_ns;
}

int store_resume_run(struct store *store)
{
    sqlite3_stmt *last = store->statements[STATEMENT_RUN_LAST];
    int step = sqlite3_step(last);
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? 0
                     : store_fail_sqlite(store, "cannot read the runs");
    if (step == SQLITE_ROW) {
        const char *hash = (const char *)sqlite3_column_text(last, 1);
        store->run_id = sqlite3_column_int64(last, 0);
        if (!hash || sodium_hex2bin(store->config_sha256, sizeof store->config_sha256, hash,
                                    strlen(hash), NULL, NULL, NULL) != 0)
            result = store_fail(store, -EUCLEAN, "%s: run %lld has no hash of its configuration",
                                store->path, (long long)store->run_id);
    }
    sqlite3_reset(last);
    return result;
}

int store_finish_run(struct store *store, int64_t finished_ns)
{
    sqlite3_stmt *finish = store->statements[STATEMENT_RUN_FINISH];
    store_bind_integer(finish, 1, finished_ns);
    store_bind_integer(finish, 2, store->run_id);
    int result = store_begin(store);
    if (result == 0)
        result = store_gap_finish(store);
    if (result == 0)
        result = store_run_statement(store, STATEMENT_RUN_FINISH, "cannot finish the run");
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    return result;
}
