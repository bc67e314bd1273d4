/* High-water marks: how far each stream's effect reaches. Kept in memory as they stand within the
 * open transaction; read again after a rollback. */
#include "exporter/store/store_restore.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(struct store *store)
{
    return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
}

void store_streams_forget(struct store *store)
{
    store->n_streams = 0;
}

static void bind_key(sqlite3_stmt *statement, int position, const struct stream_id *id)
{
    store_bind_text(statement, position, id->producer, strlen(id->producer));
    store_bind_integer(statement, position + 1, (int64_t)id->epoch);
    store_bind_integer(statement, position + 2, id->shard);
}

/* The columns seq … l3_bytes, from 'column' on. */
static void read_mark(sqlite3_stmt *row, int column, struct high_water *mark)
{
    mark->seq = sqlite3_column_int64(row, column);
    mark->packets_into_next = (uint64_t)sqlite3_column_int64(row, column + 1);
    mark->totals.packets = (uint64_t)sqlite3_column_int64(row, column + 2);
    mark->totals.l2_bytes = (uint64_t)sqlite3_column_int64(row, column + 3);
    mark->totals.l3_bytes = (uint64_t)sqlite3_column_int64(row, column + 4);
}

/* 0, -ENOENT without a message, or another -errno. */
static int load(struct store *store, const struct stream_id *id, struct store_stream *stream)
{
    sqlite3_stmt *find = store->statements[STATEMENT_STREAM_FIND];
    bind_key(find, 1, id);
    int step = sqlite3_step(find);
    int result = 0;
    if (step == SQLITE_ROW) {
        stream->row_id = sqlite3_column_int64(find, 0);
        stream->mark.stream = *id;
        read_mark(find, 1, &stream->mark);
        stream->clock_ns = INT64_MIN;
        stream->open = (struct store_open){
            .packets = sqlite3_column_int64(find, 6),
            .l2_bytes = sqlite3_column_int64(find, 7),
            .l3_bytes = sqlite3_column_int64(find, 8),
            .billed_bytes = sqlite3_column_int64(find, 9),
        };
    } else {
        result = step == SQLITE_DONE ? -ENOENT : store_fail_sqlite(store, "cannot find a stream");
    }
    sqlite3_reset(find);
    return result;
}

static int add(struct store *store, int64_t run_id, const struct stream_id *id, const char *kind,
               struct store_stream *stream)
{
    sqlite3_stmt *insert = store->statements[STATEMENT_STREAM_ADD];
    store_bind_integer(insert, 1, run_id);
    store_bind_text(insert, 2, kind, strlen(kind));
    bind_key(insert, 3, id);
    int result = store_run_statement(store, STATEMENT_STREAM_ADD, "cannot add a stream");
    *stream = (struct store_stream){
        .row_id = sqlite3_last_insert_rowid(store->db),
        .mark = {.stream = *id, .seq = -1},
        .clock_ns = INT64_MIN,
    };
    return result;
}

static struct store_stream *find_known(struct store *store, const struct stream_id *id)
{
    for (size_t i = 0; i < store->n_streams; i++)
        if (stream_id_equal(&store->streams[i].mark.stream, id))
            return &store->streams[i];
    return NULL;
}

static int grow(struct store *store)
{
    if (store->n_streams < store->streams_room)
        return 0;
    size_t room = store->streams_room ? 2 * store->streams_room : 16;
    struct store_stream *streams = reallocarray(store->streams, room, sizeof *streams);
    if (!streams)
        return no_memory(store);
    store->streams = streams;
    store->streams_room = room;
    return 0;
}

int store_stream_get(struct store *store, const struct stream_id *id, const char *kind,
                     struct store_stream **out)
{
    *out = find_known(store, id);
    if (*out)
        return 0;
    int result = grow(store);
    if (result < 0)
        return result;
    assert(store->streams);
    struct store_stream *stream = &store->streams[store->n_streams];
    result = load(store, id, stream);
    if (result == -ENOENT) {
        result = store_gap_replace(store, id, kind);
        if (result == 0)
            result = add(store, store->run_id, id, kind, stream);
        if (result == 0 && strcmp(kind, "tracker") == 0)
            result = store_restore_inherit(store, stream);
    }
    if (result < 0)
        return result;
    store->n_streams++;
    *out = stream;
    return 0;
}

static int refuse_beyond(struct store *store, const struct stream_id *id)
{
    return store_fail(store, -ERANGE, "%s: stream %s/%u: a total beyond 64-bit integers",
                      store->path, id->producer, id->shard);
}

int store_stream_update(struct store *store, const struct store_stream *stream)
{
    const struct high_water *mark = &stream->mark;
    if (!store_fits(mark->packets_into_next | mark->totals.packets | mark->totals.l2_bytes |
                    mark->totals.l3_bytes))
        return refuse_beyond(store, &mark->stream);
    sqlite3_stmt *update = store->statements[STATEMENT_STREAM_UPDATE];
    store_bind_integer(update, 1, mark->seq);
    store_bind_integer(update, 2, (int64_t)mark->packets_into_next);
    store_bind_integer(update, 3, (int64_t)mark->totals.packets);
    store_bind_integer(update, 4, (int64_t)mark->totals.l2_bytes);
    store_bind_integer(update, 5, (int64_t)mark->totals.l3_bytes);
    if (stream->clock_ns == INT64_MIN)
        store_bind_null(update, 6);
    else
        store_bind_integer(update, 6, stream->clock_ns);
    store_bind_integer(update, 7, stream->open.packets);
    store_bind_integer(update, 8, stream->open.l2_bytes);
    store_bind_integer(update, 9, stream->open.l3_bytes);
    store_bind_integer(update, 10, stream->open.billed_bytes);
    store_bind_integer(update, 11, stream->row_id);
    return store_run_statement(store, STATEMENT_STREAM_UPDATE, "cannot move a high-water mark");
}

static int close_stream(struct store *store, const struct stream_id *id, const char *kind)
{
    struct store_stream *stream;
    int result = store_stream_get(store, id, kind, &stream);
    if (result < 0)
        return result;
    store_bind_integer(store->statements[STATEMENT_STREAM_CLOSE], 1, stream->row_id);
    result = store_run_statement(store, STATEMENT_STREAM_CLOSE, "cannot close a stream");
    return result == 0 ? store_restore_end(store, stream->row_id) : result;
}

int store_stream_own(struct store *store, int64_t run_id, int64_t *stream_id)
{
    const struct stream_id id = {.producer = "exporter", .epoch = (uint64_t)run_id};
    struct store_stream stream = {0};
    int result = load(store, &id, &stream);
    if (result == -ENOENT)
        result = add(store, run_id, &id, "tracker", &stream);
    if (result < 0)
        return result;
    *stream_id = stream.row_id;
    store_bind_integer(store->statements[STATEMENT_STREAM_CLOSE], 1, stream.row_id);
    return store_run_statement(store, STATEMENT_STREAM_CLOSE, "cannot close a stream");
}

/* A tracker's stream ends when all that led to its shard has ended. */
int store_stream_close(struct store *store, const struct message *last)
{
    int result = close_stream(store, &last->stream, "tracker");
    for (size_t i = 0; result == 0 && i < last->n_applied; i++)
        result = close_stream(store, &last->applied[i].stream, "capture");
    return result;
}

int store_find_stream(struct store *store, const struct stream_id *id, struct high_water *mark)
{
    struct store_stream stream;
    int result = load(store, id, &stream);
    if (result == 0)
        *mark = stream.mark;
    else if (result == -ENOENT)
        store_fail(store, result, "%s: no stream %s/%u", store->path, id->producer, id->shard);
    return result;
}

/* ---- what a tracker is welcomed with ---- */

static bool read_stream_id(sqlite3_stmt *row, struct stream_id *id)
{
    const char *producer = (const char *)sqlite3_column_text(row, 0);
    size_t length = producer ? strlen(producer) : 0;
    if (length == 0 || length > PRODUCER_NAME_MAX)
        return false;
    memcpy(id->producer, producer, length + 1);
    id->epoch = (uint64_t)sqlite3_column_int64(row, 1);
    id->shard = (uint32_t)sqlite3_column_int64(row, 2);
    return true;
}

static int append_mark(struct store *store, sqlite3_stmt *row, struct high_water **marks, size_t *n)
{
    struct high_water *longer = reallocarray(*marks, *n + 1, sizeof *longer);
    if (!longer)
        return no_memory(store);
    *marks = longer;
    struct high_water *mark = &longer[*n];
    if (!read_stream_id(row, &mark->stream))
        return store_fail(store, -EUCLEAN, "%s: a stream without a valid producer", store->path);
    read_mark(row, 3, mark);
    mark->is_closed = sqlite3_column_int(row, 8) != 0;
    (*n)++;
    return 0;
}

int store_find_applied(struct store *store, uint32_t shard, struct high_water **marks, size_t *n)
{
    *marks = NULL;
    *n = 0;
    sqlite3_stmt *find = store->statements[STATEMENT_STREAM_APPLIED];
    store_bind_integer(find, 1, shard);
    store_bind_integer(find, 2, store->run_id);
    int result = 0;
    int step = SQLITE_DONE;
    while (result == 0 && (step = sqlite3_step(find)) == SQLITE_ROW)
        result = append_mark(store, find, marks, n);
    if (result == 0 && step != SQLITE_DONE)
        result = store_fail_sqlite(store, "cannot read the streams");
    sqlite3_reset(find);
    if (result < 0) {
        free(*marks);
        *marks = NULL;
        *n = 0;
    }
    return result;
}
