#include "exporter/store/store_restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/account_change.h"
#include "proto/change.h"

static int no_memory(struct store *store)
{
    return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
}

/* ---- a run ---- */

int store_restore_open(struct store *store, const struct store_run *run)
{
    struct store_restore *restore = calloc(1, sizeof *restore);
    store->restore = restore;
    if (!restore || open_flows_create(&restore->open) < 0)
        return no_memory(store);
    uint8_t key[RSS_KEY_SIZE];
    if (!rss_key_parse(run->config->capture.rss_key, key))
        return store_fail(store, -EINVAL, "capture.rss_key: '%s'", run->config->capture.rss_key);
    rss_init(&restore->rss, key);
    restore->is_live = run->is_live;
    restore->n_shards = (uint32_t)run->config->tracker.shards;
    int result = store_select_number(
        store, "SELECT first_record_id FROM run ORDER BY id DESC LIMIT 1", &restore->run_first);
    if (result == 0 && run->is_live)
        result = store_select_number(
            store,
            "SELECT coalesce((SELECT max(first_record_id, 1) FROM run WHERE id > (SELECT"
            " coalesce(max(id), 0) FROM run WHERE finished_ns IS NOT NULL) AND id <"
            " (SELECT max(id) FROM run) ORDER BY id LIMIT 1), 0)",
            &restore->earlier_first);
    int64_t next_record_id = 0;
    if (result == 0)
        result = store_select_number(
            store, "SELECT coalesce(max(record_id), 0) + 1 FROM flow_record", &next_record_id);
    bool is_beginning = next_record_id <= restore->run_first;
    restore->is_known = is_beginning && restore->earlier_first == 0;
    restore->known_from = restore->run_first;
    return result;
}

static void forget_list(struct store_restore_list *list)
{
    free(list->record_ids);
    *list = (struct store_restore_list){.predecessor = list->predecessor};
}

static void free_numbers(struct store_restore *restore)
{
    free(restore->accounts.numbers);
    free(restore->wans.numbers);
    free(restore->classes.numbers);
    restore->accounts = restore->wans = restore->classes = (struct store_numbers){0};
}

void store_restore_close(struct store *store)
{
    struct store_restore *restore = store->restore;
    if (!restore)
        return;
    for (uint32_t i = 0; i < SHARDS_MAX; i++)
        forget_list(&restore->lists[i]);
    free_numbers(restore);
    open_flows_destroy(restore->open);
    free(restore->memory);
    free(restore);
    store->restore = NULL;
}

void store_restore_forget(struct store *store)
{
    if (store->restore)
        store->restore->is_known = false;
}

/* ---- as records are written ---- */

void store_restore_expect_flow(const struct store *store, const struct flow_record *record)
{
    open_flows_prefetch(store->restore->open, record->id);
}

int store_restore_note_flow(struct store *store, const struct flow_record *record,
                            int64_t record_id, uint32_t shard)
{
    struct store_restore *restore = store->restore;
    if (!restore->is_known)
        return 0;
    if (record->kind == RECORD_FINAL) {
        open_flows_remove(restore->open, record->id);
        return 0;
    }
    struct open_flow flow = {record->id, record_id, shard};
    return open_flows_put(restore->open, &flow) < 0 ? no_memory(store) : 0;
}

int store_restore_note_changes(struct store *store, const struct message *message)
{
    struct store_stream *stream;
    int result =
        message->n_changes > 0 ? store_stream_get(store, &message->stream, "tracker", &stream) : 0;
    for (size_t i = 0; result == 0 && i < message->n_changes; i++) {
        const struct change_line *line = &message->changes[i];
        if (line->error)
            continue; /* it has no effect */
        sqlite3_stmt *add = store->statements[STATEMENT_TRACKER_CHANGE_ADD];
        store_bind_integer(add, 1, stream->row_id);
        store_bind_blob(add, 2, line->change, line->change_bytes);
        result = store_run_statement(store, STATEMENT_TRACKER_CHANGE_ADD, "cannot keep a change");
    }
    return result;
}

int store_restore_note_memory(struct store *store, const struct message *message)
{
    struct store_stream *stream;
    if (message->memory_size == 0)
        return 0;
    int result = store_stream_get(store, &message->stream, "tracker", &stream);
    if (result < 0)
        return result;
    sqlite3_stmt *put = store->statements[STATEMENT_TRACKER_MEMORY_PUT];
    store_bind_integer(put, 1, stream->row_id);
    store_bind_blob(put, 2, message->memory, message->memory_size);
    return store_run_statement(store, STATEMENT_TRACKER_MEMORY_PUT,
                               "cannot keep a tracker's memory");
}

/* Of the shard's trackers but for the one whose stream this is. */
static int drop_others(struct store *store, enum store_statement statement, int64_t stream_id,
                       uint32_t shard)
{
    store_bind_integer(store->statements[statement], 1, stream_id);
    store_bind_integer(store->statements[statement], 2, shard);
    return store_run_statement(store, statement, "cannot drop what a tracker had");
}

int store_restore_inherit(struct store *store, const struct store_stream *stream)
{
    const struct stream_id *id = &stream->mark.stream;
    uint64_t predecessor =
        id->shard < SHARDS_MAX ? store->restore->lists[id->shard].predecessor : 0;
    sqlite3_stmt *move = store->statements[STATEMENT_TRACKER_CHANGE_MOVE];
    store_bind_integer(move, 1, stream->row_id);
    store_bind_integer(move, 2, id->shard);
    store_bind_integer(move, 3, (int64_t)predecessor);
    int result = predecessor ? store_run_statement(store, STATEMENT_TRACKER_CHANGE_MOVE,
                                                   "cannot keep changes")
                             : 0;
    if (result == 0)
        result = drop_others(store, STATEMENT_TRACKER_CHANGE_DROP, stream->row_id, id->shard);
    return result == 0
               ? drop_others(store, STATEMENT_TRACKER_MEMORY_DROP, stream->row_id, id->shard)
               : result;
}

int store_restore_end(struct store *store, int64_t stream_id)
{
    store_bind_integer(store->statements[STATEMENT_TRACKER_CHANGE_END], 1, stream_id);
    store_bind_integer(store->statements[STATEMENT_TRACKER_MEMORY_END], 1, stream_id);
    int result = store_run_statement(store, STATEMENT_TRACKER_CHANGE_END, "cannot drop changes");
    return result == 0 ? store_run_statement(store, STATEMENT_TRACKER_MEMORY_END,
                                             "cannot drop a tracker's memory")
                       : result;
}

/* ---- which flows are open ---- */

static uint32_t shard_of(const struct store_restore *restore, const struct flow_record *record)
{
    struct packet packet;
    packet_of_flow_record(record, &packet);
    return rss_shard(rss_tag(&restore->rss, &packet), restore->n_shards);
}

static int read_open(struct store *store, int64_t from_record_id)
{
    struct store_restore *restore = store->restore;
    struct seal_flows flows;
    open_flows_clear(restore->open);
    if (seal_flows_open(store->db, from_record_id - 1, &flows) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot read the flow records");
    int result = 0;
    int step = SQLITE_DONE;
    while (result == 0 && (step = seal_flows_next(&flows)) == SQLITE_ROW) {
        struct open_flow flow = {flows.record.id, flows.record_id, 0};
        if (flows.record.kind == RECORD_FINAL) {
            open_flows_remove(restore->open, flow.id);
        } else if (flows.is_sound) {
            flow.shard = shard_of(restore, &flows.record);
            result = open_flows_put(restore->open, &flow) < 0 ? no_memory(store) : 0;
        }
    }
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the flow records");
    seal_flows_close(&flows);
    restore->is_known = result == 0;
    restore->known_from = from_record_id;
    return result;
}

static int compare_record_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int list_flows(struct store *store, uint32_t shard, struct store_restore_list *list)
{
    struct store_restore *restore = store->restore;
    if (!store->has_addresses)
        return 0; /* what a flow is known by is not here */
    bool is_known = restore->is_known && restore->known_from <= list->from_record_id;
    int result = is_known ? 0 : read_open(store, list->from_record_id);
    size_t room = 0;
    for (size_t i = 0; result == 0 && i < open_flows_room(restore->open); i++) {
        const struct open_flow *flow = open_flows_at(restore->open, i);
        if (!flow || flow->shard != shard || flow->record_id < list->from_record_id)
            continue;
        if (list->n_flows == room) {
            room = room ? 2 * room : 256;
            int64_t *longer = reallocarray(list->record_ids, room, sizeof *longer);
            if (!longer)
                return no_memory(store);
            list->record_ids = longer;
        }
        list->record_ids[list->n_flows++] = flow->record_id;
    }
    if (list->n_flows > 0)
        qsort(list->record_ids, list->n_flows, sizeof *list->record_ids, compare_record_ids);
    return result;
}

/* ---- numbers ---- */

/* Number 0 is 0 both ways. */
static int turn_round(struct store *store, const int64_t *ids, size_t n, struct store_numbers *out)
{
    int64_t largest = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] > largest && ids[i] < RESTORE_NUMBERS_MAX)
            largest = ids[i];
    free(out->numbers);
    out->n = largest + 1;
    out->numbers = calloc((size_t)out->n, sizeof *out->numbers);
    if (!out->numbers)
        return no_memory(store);
    for (size_t i = 1; i < n; i++)
        if (ids[i] > 0 && ids[i] < out->n)
            out->numbers[ids[i]] = (uint16_t)i;
    return 0;
}

static uint16_t number_of(const struct store_numbers *numbers, int64_t id)
{
    return id >= 0 && id < numbers->n ? numbers->numbers[id] : 0;
}

static int learn_numbers(struct store *store)
{
    struct store_restore *restore = store->restore;
    int result =
        turn_round(store, store->account_ids, store->account_names.n + 1, &restore->accounts);
    if (result == 0)
        result = turn_round(store, store->wan_ids, store->n_wans + 1, &restore->wans);
    return result == 0 ? turn_round(store, store->class_ids, store->n_classes, &restore->classes)
                       : result;
}

/* The numbers of this run, and of an earlier run's flow only what still means the same. */
static void renumber(const struct store_restore *restore, const struct store_restore_list *list,
                     const struct seal_flows *flows, struct flow_record *record)
{
    *record = flows->record;
    record->account = number_of(&restore->accounts, flows->account_id);
    record->wan = number_of(&restore->wans, flows->wan_id);
    record->class_index = (uint8_t)number_of(&restore->classes, flows->class_number);
    bool is_gone = record->account == 0 && flows->account_id != 0;
    if (is_gone)
        record->resume &= ~(uint32_t)RESUME_ACCOUNT_FIXED;
    bool is_earlier = list->stream_id == 0 || flows->record_id < restore->run_first;
    if (is_gone || is_earlier)
        record->resume |= RESUME_ACCOUNT_ANEW;
    if (is_earlier)
        record->resume &= (UINT32_C(1) << RESUME_POLICY_SHIFT) - 1;
}

/* ---- a tracker asks ---- */

/* The predecessor's stream, or what the runs before left. 1: there is something; 0; or -errno. */
static int find_source(struct store *store, const struct stream_id *id,
                       struct store_restore_list *list)
{
    sqlite3_stmt *find = store->statements[STATEMENT_RESTORE_FIND];
    store_bind_integer(find, 1, id->shard);
    store_bind_integer(find, 2, (int64_t)list->predecessor);
    store_bind_integer(find, 3, store->run_id);
    int step = list->predecessor ? sqlite3_step(find) : SQLITE_DONE;
    if (step == SQLITE_ROW) {
        list->stream_id = sqlite3_column_int64(find, 0);
        list->clock_ns = sqlite3_column_int64(find, 1);
        list->from_record_id = sqlite3_column_int64(find, 2);
        list->n_changes = sqlite3_column_int64(find, 3);
    }
    sqlite3_reset(find);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return store_fail_sqlite(store, "cannot read the streams");
    int64_t earlier_first = store->restore->earlier_first;
    if (earlier_first && (step == SQLITE_DONE || earlier_first < list->from_record_id))
        list->from_record_id = earlier_first;
    if (step == SQLITE_ROW || !earlier_first)
        return step == SQLITE_ROW;
    int result =
        store_select_number(store,
                            "SELECT coalesce(max(clock_ns), 0) FROM stream"
                            " WHERE kind = 'tracker' AND run_id < (SELECT max(id) FROM run)",
                            &list->clock_ns);
    return result < 0 ? result : 1;
}

/* What a change named has a number in the records of this stream's tracker. */
static int learn_names(struct store *store, const struct stream_id *id, uint64_t epoch)
{
    sqlite3_stmt *each = store->statements[STATEMENT_TRACKER_CHANGE_OF];
    store_bind_integer(each, 1, id->shard);
    store_bind_integer(each, 2, (int64_t)epoch);
    int result = 0, step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(each)) == SQLITE_ROW) {
        struct change change;
        const void *bytes = sqlite3_column_blob(each, 0);
        size_t size = (size_t)sqlite3_column_bytes(each, 0);
        if (!bytes || !change_decode(bytes, size, &change))
            result = store_fail(store, -EUCLEAN, "%s: a change does not decode", store->path);
        const char *name = result == 0 ? account_change_name(&change) : NULL;
        if (name && account_names_find(&store->account_names, name) == 0)
            result = store_add_account(store, name);
    }
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the changes");
    sqlite3_reset(each);
    return result;
}

/* The shard's tracker that committed last in this run, if it did not end properly. The one that
 * says hello knows only of whom heard of a commit: who was killed before that left what it had
 * committed all the same. */
static int find_predecessor(struct store *store, const struct stream_id *id, uint64_t *epoch)
{
    sqlite3_stmt *latest = store->statements[STATEMENT_RESTORE_LATEST];
    store_bind_integer(latest, 1, id->shard);
    store_bind_integer(latest, 2, store->run_id);
    store_bind_integer(latest, 3, (int64_t)id->epoch);
    int step = sqlite3_step(latest);
    if (step == SQLITE_ROW)
        *epoch = (uint64_t)sqlite3_column_int64(latest, 0);
    sqlite3_reset(latest);
    return step == SQLITE_ROW || step == SQLITE_DONE
               ? 0
               : store_fail_sqlite(store, "cannot read the streams");
}

int store_restore_begin(struct store *store, const struct stream_id *id, uint64_t predecessor)
{
    if (id->shard >= SHARDS_MAX)
        return 0;
    struct store_restore_list *list = &store->restore->lists[id->shard];
    forget_list(list);
    list->predecessor = predecessor;
    int result = find_predecessor(store, id, &list->predecessor);
    if (result == 0)
        result = learn_names(store, id, id->epoch);
    if (result == 0 && list->predecessor)
        result = learn_names(store, id, list->predecessor);
    return result == 0 ? find_source(store, id, list) : result;
}

static int make_list(struct store *store, uint32_t shard, struct store_restore_list *list)
{
    int result = list_flows(store, shard, list);
    if (result == 0)
        result = learn_numbers(store);
    list->is_made = result == 0;
    return result;
}

static int take_changes(struct store *store, const struct store_restore_list *list, int64_t from,
                        struct restored *out)
{
    struct store_restore *restore = store->restore;
    sqlite3_stmt *find = store->statements[STATEMENT_TRACKER_CHANGE_FIND];
    int result = 0;
    for (; result == 0 && from < list->n_changes && out->n_changes < RESTORE_CHANGES_A_PORTION;
         from++) {
        store_bind_integer(find, 1, list->stream_id);
        store_bind_integer(find, 2, from);
        int step = sqlite3_step(find);
        const void *bytes = step == SQLITE_ROW ? sqlite3_column_blob(find, 0) : NULL;
        size_t size = bytes ? (size_t)sqlite3_column_bytes(find, 0) : 0;
        if (size == 0 || size > PACKET_PAYLOAD_MAX)
            result =
                store_fail(store, -EUCLEAN, "%s: a tracker's change is not there", store->path);
        else
            memcpy(restore->change_bytes[out->n_changes], bytes, size);
        sqlite3_reset(find);
        restore->changes[out->n_changes] =
            (struct change_bytes){restore->change_bytes[out->n_changes], size};
        out->n_changes++;
    }
    out->changes = restore->changes;
    return result;
}

/* A record that is not there any more (it was old enough to go) is left out. */
static int take_flow(struct store *store, const struct store_restore_list *list, size_t at,
                     struct seal_flows *flows, struct restored *out)
{
    struct store_restore *restore = store->restore;
    struct flow_record record;
    seal_flows_seek(flows, list->record_ids[at]);
    int step = seal_flows_next(flows);
    if (step == SQLITE_DONE)
        return 0;
    if (step != SQLITE_ROW)
        return store_fail_sqlite(store, "cannot read a flow record");
    renumber(restore, list, flows, &record);
    flow_record_put(&record, restore->flows + out->n_flows++ * FLOW_RECORD_SIZE);
    return 0;
}

/* From number 'from' of the list on; '*n': how many of it. */
static int take_flows(struct store *store, const struct store_restore_list *list, size_t from,
                      struct restored *out, size_t *n)
{
    struct seal_flows flows;
    if (from >= list->n_flows)
        return 0;
    if (seal_flows_open_one(store->db, list->record_ids[from], &flows) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot read the flow records");
    int result = 0;
    for (; result == 0 && from + *n < list->n_flows && *n < RESTORE_FLOWS_A_PORTION; (*n)++)
        result = take_flow(store, list, from + *n, &flows, out);
    seal_flows_close(&flows);
    out->flows = store->restore->flows;
    return result;
}

/* Empty, where there is none. */
static int take_memory(struct store *store, const struct store_restore_list *list,
                       struct restored *out)
{
    struct store_restore *restore = store->restore;
    sqlite3_stmt *find = store->statements[STATEMENT_TRACKER_MEMORY_FIND];
    store_bind_integer(find, 1, list->stream_id);
    int step = sqlite3_step(find);
    size_t size = step == SQLITE_ROW ? (size_t)sqlite3_column_bytes(find, 0) : 0;
    int result = step == SQLITE_ROW || step == SQLITE_DONE
                     ? 0
                     : store_fail_sqlite(store, "cannot read a tracker's memory");
    free(restore->memory);
    restore->memory = size > 0 ? malloc(size) : NULL;
    if (size > 0 && !restore->memory)
        result = no_memory(store);
    else if (size > 0)
        memcpy(restore->memory, sqlite3_column_blob(find, 0), size);
    sqlite3_reset(find);
    out->memory = restore->memory;
    out->memory_size = restore->memory ? size : 0;
    return result;
}

int store_restore_portion(struct store *store, uint32_t shard, uint64_t from, struct restored *out)
{
    struct store_restore_list *list = &store->restore->lists[shard];
    int result = list->is_made ? 0 : make_list(store, shard, list);
    *out = (struct restored){.from = from, .clock_ns = list->clock_ns};
    uint64_t n_changes = (uint64_t)list->n_changes;
    size_t n_flows = 0;
    if (result == 0 && from == 0)
        result = take_memory(store, list, out);
    if (result == 0 && from < n_changes)
        result = take_changes(store, list, (int64_t)from, out);
    else if (result == 0)
        result = take_flows(store, list, from - n_changes, out, &n_flows);
    uint64_t next = from + out->n_changes + n_flows;
    if (next < n_changes + list->n_flows)
        out->next = next;
    return result;
}
