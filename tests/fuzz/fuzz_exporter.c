/* An exporter's ledger, store and spool under all that may happen to the streams that come to it:
 * batches that come twice, too early, too late, in pieces, damaged or never, from trackers that die
 * and have successors; a disk that is full for a while; an exporter that dies anywhere, and a spool
 * that was torn or damaged meanwhile.
 *
 * Everything is real: messages, both ends of the streams (proto/stream.h), ledger, spool, SQLite in
 * memory (tmpfs). In the end each packet is in the database once, or in a loss line:
 *
 *   - what was acknowledged is there after each restart, unless its spool was damaged;
 *   - then the usage is exactly what the packets come to, the flow records are the usage, and the
 *     audit says exact; else it says bounded, and counted and lost are what was captured, or, where
 *     the end of a stream went with the spool, not more, and a line says that nobody knows;
 *   - marks and rows agree; every stream ends.
 *
 * Two bytes say what kind of run it is; then each two bytes are an operation and its argument. */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/exporter_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum {
    OPERATIONS_MAX = 300,
    STARTS_MAX = 6,
    ROUNDS_MAX = 200,
    TURN_MS = 700,
    FILE_BYTES_NONE = 1 << 10,   /* neither the database nor the spool can grow */
    FILE_BYTES_SPOOL = 40 << 10, /* only the spool can, a little */
};

enum operation {
    MAKE,          /* a tracker makes a batch */
    PUT,           /* onto the wire */
    DELIVER,       /* the one at the front */
    DELIVER_TWICE, /* and again */
    DELIVER_LATER, /* one that is not at the front */
    LOSE,          /* the connection breaks: all that was on the wire */
    TEAR,          /* its first bytes come */
    DAMAGE,        /* it comes with a bit flipped */
    REPLY,         /* acknowledgements and questions arrive */
    TURN,          /* time goes on */
    FILL_DISK,     /* or free it */
    KILL_EXPORTER,
    KILL_TRACKER,
    HELLO, /* again */
    TEAR_SPOOL,
    DAMAGE_SPOOL,
    OPERATIONS_N,
};

/* ---- batches ---- */

static void take_batch(struct world *world, struct message *message)
{
    struct receiving *receiving = &world->receiving[message->stream.shard];
    int result = 0;
    switch (receiver_accept(&receiving->receiver, message->stream.epoch, message->seq)) {
    case RECEIVER_APPLY:
        result = ledger_put(world->ledger, message, world->now_ms);
        break;
    case RECEIVER_DUPLICATE:
        receiving->is_ack_due = true;
        break;
    case RECEIVER_GAP:
        receiving->is_resend_due = !receiving->receiver.gap_asked;
        receiving->receiver.gap_asked = true;
        break;
    case RECEIVER_FOREIGN:
        break;
    }
    assert(result == 0);
    (void)result;
}

/* Heard only by who is of that stream. */
static void ask_for_hello(struct world *world, const struct stream_id *stream)
{
    struct end *end = &world->ends[stream->shard];
    if (end->epoch == stream->epoch)
        sender_disconnect(&end->sender);
}

static void deliver(struct world *world, const uint8_t *bytes, size_t size)
{
    struct message message;
    if (message_decode(bytes, size, &message) == MESSAGE_OK && message.kind == MESSAGE_RECORDS &&
        message.stream.shard < world->n_shards) {
        struct receiving *receiving = &world->receiving[message.stream.shard];
        if (receiving->receiver.is_known && !receiving->is_hello_due &&
            stream_id_equal(&message.stream, &receiving->stream))
            take_batch(world, &message);
        else
            ask_for_hello(world, &message.stream);
    }
    message_release(&message);
}

/* A transport that shortens or changes messages is none of ours; but nothing may come of it. */
static void deliver_damaged(const uint8_t *bytes, size_t size)
{
    struct message message;
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    message_decode(copy, size, &message);
    message_release(&message);
    free(copy);
}

static void reply(struct world *world, uint32_t shard)
{
    struct receiving *receiving = &world->receiving[shard];
    struct end *end = &world->ends[shard];
    if (receiving->is_hello_due && answer_hello(world, shard))
        receiving->is_hello_due = false;
    if (receiving->is_hello_due || receiving->receiver.epoch != end->epoch)
        return;
    if (receiving->is_ack_due || receiving->is_resend_due)
        sender_commit(&end->sender, receiving->receiver.committed_seq);
    if (receiving->is_resend_due)
        sender_rewind(&end->sender, receiving->receiver.next_seq);
    receiving->is_ack_due = receiving->is_resend_due = false;
}

/* ---- deaths ---- */

static sqlite3 *reader;

static void open_reader(void)
{
    int result = sqlite3_open_v2(database, &reader, SQLITE_OPEN_READONLY, NULL);
    assert(result == SQLITE_OK);
    (void)result;
}

static void close_reader(void)
{
    sqlite3_close(reader);
}

/* The first column of the first row. */
static int64_t ask(const char *sql)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(reader, sql, -1, &statement, NULL);
    assert(result == SQLITE_OK);
    result = sqlite3_step(statement);
    assert(result == SQLITE_ROW);
    (void)result;
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

static void check_rows_agree(void)
{
    assert(ask("SELECT difference_packets = 0 AND difference_l2_bytes = 0 AND "
               "difference_l3_bytes = 0 FROM audit") == 1);
}

static void check_safe_is_there(struct world *world, uint32_t shard)
{
    const struct receiving *receiving = &world->receiving[shard];
    struct stream_id id = receiving->stream;
    struct high_water mark;
    id.epoch = receiving->safe_epoch;
    if (receiving->safe_seq < 0)
        return;
    int result = store_find_stream(world->store, &id, &mark);
    assert(result == 0 && mark.seq >= receiving->safe_seq);
    (void)result;
}

static void damage_spool(struct world *world, bool is_torn, uint8_t argument)
{
    FILE *file = fopen(spool_path_text, "r+b");
    struct stat status;
    if (!file)
        return;
    if (fstat(fileno(file), &status) == 0 && status.st_size > SPOOL_HEADER_SIZE) {
        long at = SPOOL_HEADER_SIZE + (long)((status.st_size - SPOOL_HEADER_SIZE) * argument / 256);
        world->is_damaged = true;
        if (is_torn) {
            if (ftruncate(fileno(file), at) < 0)
                abort();
        } else if (fseek(file, at, SEEK_SET) == 0) {
            int byte = fgetc(file);
            fseek(file, at, SEEK_SET);
            fputc(byte ^ 1 << argument % 8, file);
        }
    }
    fclose(file);
}

/* A start takes longer than all else: there are not too many. */
static void kill_exporter(struct world *world, enum operation how, uint8_t argument)
{
    if (world->n_starts == STARTS_MAX)
        return;
    world->n_starts++;
    world_close(world);
    limit_files(RLIM_INFINITY);
    if (how != KILL_EXPORTER)
        damage_spool(world, how == TEAR_SPOOL, argument);
    world_open(world);
    for (uint32_t i = 0; i < world->n_shards; i++) {
        struct receiving *receiving = &world->receiving[i];
        if (!world->is_damaged)
            check_safe_is_there(world, i);
        receiving->receiver = (struct receiver){0};
        receiving->is_hello_due = receiving->is_resend_due = receiving->is_ack_due = false;
        sender_disconnect(&world->ends[i].sender);
    }
}

static void kill_tracker(struct world *world, uint32_t shard)
{
    struct end *end = &world->ends[shard];
    end_close(end);
    end_open(end, shard, world->next_epoch++, end->epoch);
    say_hello(world, shard);
}

/* ---- what happens ---- */

/* Where SQLite does not find back from a full disk, the process ends, and has a successor. */
static void turn(struct world *world, uint64_t ms)
{
    bool is_busy;
    world->now_ms += ms;
    int result = ledger_turn(world->ledger, world->now_ms, &is_busy);
    assert(result == 0 || (result == -ECANCELED && !ledger_is_well(world->ledger)));
    if (result < 0) {
        world->n_starts = 0;
        kill_exporter(world, KILL_EXPORTER, 0);
    }
}

static void make(struct world *world, uint32_t shard, uint8_t argument)
{
    struct end *end = &world->ends[shard];
    if (!end->is_welcome || end->has_ended)
        return;
    bool is_last = argument > 250;
    uint64_t n = argument % (PACKETS_A_BATCH + 1), room = PACKETS_MAX - world->captured[shard];
    if (!world->is_over[shard] && end->at == world->captured[shard])
        world->captured[shard] += n < room ? n : room;
    uint64_t left = world->captured[shard] - end->at;
    n = n < left ? n : left;
    is_last = is_last && n == left;
    world->is_over[shard] |= is_last;
    end_make(end, n, is_last);
}

static void deliver_from(struct world *world, uint32_t shard, size_t place, enum operation how,
                         uint8_t argument)
{
    struct wire wire;
    if (!end_take(&world->ends[shard], place, &wire))
        return;
    if (how == TEAR)
        deliver_damaged(wire.bytes, wire.size * argument / 256);
    if (how == DAMAGE) {
        wire.bytes[wire.size * argument / 256] ^= (uint8_t)(1 << argument % 8);
        deliver_damaged(wire.bytes, wire.size);
    }
    if (how == DELIVER_TWICE)
        deliver(world, wire.bytes, wire.size);
    if (how != TEAR && how != DAMAGE)
        deliver(world, wire.bytes, wire.size);
    free(wire.bytes);
}

static void happen(struct world *world, enum operation operation, uint8_t argument)
{
    static const rlim_t limits[] = {RLIM_INFINITY, FILE_BYTES_SPOOL, FILE_BYTES_NONE,
                                    RLIM_INFINITY};
    uint32_t shard = argument % world->n_shards;
    struct end *end = &world->ends[shard];
    switch (operation) {
    case MAKE:
        make(world, shard, argument);
        break;
    case PUT:
        if (!end->sender.is_welcome)
            say_hello(world, shard);
        while (end_put(end) && argument & 0x80)
            ;
        break;
    case DELIVER:
    case DELIVER_TWICE:
    case TEAR:
    case DAMAGE:
        deliver_from(world, shard, 0, operation, argument);
        break;
    case DELIVER_LATER:
        deliver_from(world, shard, 1 + argument / 4 % 4, operation, argument);
        break;
    case LOSE:
        end_clear_wire(end);
        break;
    case REPLY:
        reply(world, shard);
        break;
    case TURN:
        turn(world, (uint64_t)argument * 8);
        break;
    case FILL_DISK:
        limit_files(limits[argument % 4]);
        break;
    case KILL_EXPORTER:
    case TEAR_SPOOL:
    case DAMAGE_SPOOL:
        kill_exporter(world, operation, argument);
        break;
    case KILL_TRACKER:
        kill_tracker(world, shard);
        break;
    case HELLO:
        say_hello(world, shard);
        break;
    case OPERATIONS_N:
        break;
    }
}

/* ---- to the end ---- */

/* A tracker sends all that there is, and its last batch. */
static void send_the_rest(struct world *world, uint32_t shard)
{
    struct end *end = &world->ends[shard];
    end_clear_wire(end);
    say_hello(world, shard);
    reply(world, shard);
    while (end->is_welcome && !end->has_ended) {
        uint64_t left = world->captured[shard] - end->at;
        uint64_t n = left < PACKETS_A_BATCH ? left : PACKETS_A_BATCH;
        end_make(end, n, n == left);
    }
    while (end_put(end))
        deliver_from(world, shard, 0, DELIVER, 0);
    reply(world, shard);
}

/* Have all trackers ended, as their supervisor knows it: all that they sent is acknowledged? */
static bool is_last(const struct world *world)
{
    bool is_last = true;
    for (uint32_t i = 0; i < world->n_shards; i++)
        is_last = is_last && world->ends[i].has_ended && sender_is_empty(&world->ends[i].sender);
    return is_last;
}

static void run_to_the_end(struct world *world)
{
    limit_files(RLIM_INFINITY);
    for (int n = 0;; n++) {
        assert(n < ROUNDS_MAX);
        for (uint32_t i = 0; i < world->n_shards; i++)
            send_the_rest(world, i);
        turn(world, TURN_MS);
        if (is_last(world))
            ledger_end_all(world->ledger);
        int result = -EAGAIN;
        if (ledger_has_ended(world->ledger))
            result = ledger_finish(world->ledger, world->now_ms);
        if (result == 0)
            return;
        assert(result == -EAGAIN);
    }
}

/* Where the end of a stream was acknowledged out of the spool, and went with it, nobody knows how
 * much is missing; that something is must be said. */
static void check_damaged(uint64_t packets, const struct truth *truth)
{
    uint64_t made = truth->packets + truth->lost_packets;
    bool is_known = ask("SELECT count(*) FROM loss WHERE reason = 'not_ended'") == 0;
    assert(is_known ? packets == made : packets <= made);
    assert(ask("SELECT verdict IN ('exact', 'bounded') FROM audit") == 1);
    assert(is_known || ask("SELECT verdict = 'bounded' FROM audit") == 1);
}

static void check_end(const struct world *world)
{
    struct truth truth = {0};
    for (uint32_t i = 0; i < world->n_shards; i++)
        truth_of(i, world->captured[i], &truth);
    check_rows_agree();
    assert(
        ask("SELECT count(*) FROM stream AS s WHERE closed = 0 AND kind = 'capture' AND NOT EXISTS"
            " (SELECT 1 FROM loss_line WHERE stream_id = s.id AND reason = 'not_ended')") == 0);
    int64_t packets = ask("SELECT coalesce(sum(packets), 0) FROM usage_slot");
    int64_t lost = ask("SELECT lost_packets FROM audit");
    if (world->is_damaged) {
        check_damaged((uint64_t)(packets + lost), &truth);
        return;
    }
    assert((uint64_t)(packets + lost) == truth.packets + truth.lost_packets);
    assert((uint64_t)packets == truth.packets);
    assert((uint64_t)ask("SELECT coalesce(sum(l2_bytes), 0) FROM usage_slot") == truth.l2_bytes);
    assert((uint64_t)ask("SELECT coalesce(sum(l3_bytes), 0) FROM usage_slot") == truth.l3_bytes);
    assert((uint64_t)ask("SELECT coalesce(sum(billed_bytes), 0) FROM usage_slot") ==
           truth.billed_bytes);
    assert((uint64_t)ask("SELECT lost_l2_bytes FROM audit") == truth.lost_l2_bytes);
    assert(ask("SELECT verdict = 'exact' FROM audit") == 1);
    assert(ask("SELECT verdict = 'equal' FROM audit_flows") == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const int64_t spool_bytes[] = {1 << 20, 0, 8 << 10, 1 << 20};
    static struct world world;
    if (size < 2)
        return 0;
    if (!directory[0])
        begin_process();
    config.exporter.commit_rows = 1 + bytes[1] % 64;
    world_begin(&world, 1 + bytes[0] % SHARDS, spool_bytes[bytes[0] >> 6]);
    for (size_t i = 2; i + 1 < size && i < 2 * OPERATIONS_MAX; i += 2)
        happen(&world, bytes[i] % OPERATIONS_N, bytes[i + 1]);
    run_to_the_end(&world);
    world_end(&world);
    open_reader();
    check_end(&world);
    close_reader();
    return 0;
}
