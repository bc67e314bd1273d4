/* exporter_world: an exporter without its sockets, and the trackers that send to it
 * (exporter_case.h).
 *
 *     world_begin(&world, n_shards, spool_bytes);       an empty database
 *     world_open(&world);  world_close(&world);         an exporter: any number of them
 *     say_hello(&world, shard);                         a tracker is there, or is back
 *     answer_hello(&world, shard);                      it is told where to go on
 *
 * Messages, both ends of the streams (proto/stream.h), ledger, spool and store are the real ones;
 * what stands between them in exporter/main.c and proto/downlink.c is here. */
#ifndef WANMETER_TESTS_FUZZ_EXPORTER_WORLD_H
#define WANMETER_TESTS_FUZZ_EXPORTER_WORLD_H

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/ledger.h"
#include "exporter/recover.h"
#include "tests/fuzz/exporter_case.h"

enum { CHECKPOINT_BYTES = 256 << 10 };

/* The receiving end of a shard's streams, as proto/downlink.c has it. */
struct receiving {
    struct receiver receiver;
    struct stream_id stream; /* that has said hello last */
    int64_t oldest_seq;
    uint64_t predecessor;
    bool is_hello_due, is_resend_due, is_ack_due;
    int64_t safe_seq; /* that its sender has been told, or will be; of 'safe_epoch' */
    uint64_t safe_epoch;
};

struct world {
    uint32_t n_shards;
    uint64_t now_ms;
    uint64_t next_epoch;
    struct end ends[SHARDS];
    struct receiving receiving[SHARDS];
    uint64_t captured[SHARDS]; /* packets */
    bool is_over[SHARDS];      /* no more packets */
    int n_starts;              /* of exporters, after deaths */
    bool is_damaged;           /* the spool was, when something was in it */
    struct store *store;
    struct spool *spool;
    struct ledger *ledger;
};

static const char config_yaml[] = "wans:\n"
                                  "  - {name: fiber, overhead: ip, match: {vlan: 1}}\n"
                                  "  - {name: dsl, overhead: ip, match: {vlan: 2}}\n"
                                  "accounts: [{name: alice}, {name: bob}]\n";

static char directory[64];
static char database[96], spool_path_text[112];
static struct config config;
static uint8_t *empty_database; /* with its schema */
static size_t empty_database_size;

/* ---- once ---- */

static inline void clean_up(void)
{
    DIR *entries = opendir(directory);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries)
        closedir(entries);
    rmdir(directory);
}

static inline void read_config(void)
{
    struct config_errors errors = {0};
    config_init(&config);
    config_read(&config, "fuzz", config_yaml, strlen(config_yaml), &errors);
    config_check(&config, &errors);
    assert(errors.n == 0);
    free(config.database);
    config.database = database;
}

static inline void keep_empty_database(void)
{
    struct store *store;
    char error[STORE_ERROR_MAX];
    if (store_open(database, 1 << 20, &store, error) < 0)
        abort();
    store_close(store);
    FILE *file = fopen(database, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) < 0)
        abort();
    empty_database_size = (size_t)status.st_size;
    empty_database = malloc(empty_database_size);
    if (!empty_database || fread(empty_database, 1, empty_database_size, file) == 0)
        abort();
    fclose(file);
}

static inline void begin_process(void)
{
    snprintf(directory, sizeof directory, "%s/wanmeter-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        abort();
    snprintf(database, sizeof database, "%s/fuzz.db", directory);
    snprintf(spool_path_text, sizeof spool_path_text, "%s-spool", database);
    signal(SIGXFSZ, SIG_IGN);
    read_config();
    keep_empty_database();
    atexit(clean_up);
}

static inline void write_empty_database(void)
{
    clean_up();
    mkdir(directory, 0700);
    FILE *file = fopen(database, "wb");
    if (!file || fwrite(empty_database, 1, empty_database_size, file) != empty_database_size)
        abort();
    fclose(file);
}

static inline void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
        abort();
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        abort();
}

/* ---- what the ledger tells ---- */

static inline int on_applied(void *state, const struct message *message)
{
    (void)state;
    (void)message;
    return 0;
}

static inline int on_committed(void *state)
{
    (void)state;
    return 0;
}

static inline void on_undone(void *state)
{
    (void)state;
}

static inline void on_safe(void *state, uint32_t shard, int64_t seq)
{
    struct receiving *receiving = &((struct world *)state)->receiving[shard];
    if (seq <= receiving->receiver.committed_seq)
        return;
    assert(receiving->receiver.is_known);
    receiving->receiver.committed_seq = seq;
    receiving->is_ack_due = true;
    receiving->safe_seq = seq;
    receiving->safe_epoch = receiving->receiver.epoch;
}

static inline void on_refused(void *state, uint32_t shard)
{
    receiver_rewind(&((struct world *)state)->receiving[shard].receiver);
}

static inline void on_wanted(void *state, uint32_t shard)
{
    on_refused(state, shard);
    ((struct world *)state)->receiving[shard].is_resend_due = true;
}

static inline void on_stalled(void *state)
{
    struct world *world = state;
    for (uint32_t i = 0; i < world->n_shards; i++)
        world->receiving[i].is_ack_due = true;
}

/* ---- an exporter ---- */

static inline void world_open(struct world *world)
{
    char error[STORE_ERROR_MAX] = "";
    struct store_run run = {.started_ns = 1, .version = "0", .config = &config};
    int result = recover_spool(&config, &world->spool);
    if (result == 0)
        result = store_open(database, CHECKPOINT_BYTES, &world->store, error);
    if (result == 0)
        result = store_start_run(world->store, &run);
    struct ledger_options options = {.store = world->store,
                                     .spool = world->spool,
                                     .config = &config,
                                     .n_shards = world->n_shards,
                                     .on_applied = on_applied,
                                     .on_committed = on_committed,
                                     .on_undone = on_undone,
                                     .on_safe = on_safe,
                                     .on_refused = on_refused,
                                     .on_wanted = on_wanted,
                                     .on_stalled = on_stalled,
                                     .state = world};
    if (result == 0)
        result = ledger_create(&options, &world->ledger);
    assert(result == 0);
    (void)result;
}

static inline void world_close(struct world *world)
{
    ledger_destroy(world->ledger);
    store_close(world->store);
    spool_close(world->spool);
    world->ledger = NULL;
    world->store = NULL;
    world->spool = NULL;
}

/* ---- hellos ---- */

static inline struct high_water *find_resume(struct world *world, uint32_t shard,
                                             struct high_water *resume, size_t *n_applied)
{
    struct receiving *receiving = &world->receiving[shard];
    struct high_water *applied = NULL;
    int result = store_find_stream(world->store, &receiving->stream, resume);
    assert(result == 0 || result == -ENOENT);
    result = store_find_applied(world->store, shard, &applied, n_applied);
    assert(result == 0);
    (void)result;
    if (ledger_knows(world->ledger, &receiving->stream))
        return applied;
    if (receiving->oldest_seq > resume->seq + 1) {
        assert(world->is_damaged);
        resume->seq = receiving->oldest_seq - 1;
        store_allow_hole(world->store, shard, INT64_MAX);
    }
    ledger_resume(world->ledger, &receiving->stream, resume->seq);
    return applied;
}

static inline void restore(struct world *world, uint32_t shard)
{
    struct receiving *receiving = &world->receiving[shard];
    int result = store_restore_begin(world->store, &receiving->stream, receiving->predecessor);
    assert(result >= 0);
    struct restored restored = {.next = 0};
    for (uint64_t from = 0; result > 0; from = restored.next) {
        int portion = store_restore_portion(world->store, shard, from, &restored);
        assert(portion == 0);
        (void)portion;
        if (restored.next == 0)
            return;
    }
}

/* The tracker hears where to go on: behind what is committed of its capture stream. */
static inline void welcome(struct world *world, uint32_t shard, const struct high_water *applied,
                           size_t n_applied)
{
    struct end *end = &world->ends[shard];
    const struct receiver *receiver = &world->receiving[shard].receiver;
    sender_commit(&end->sender, receiver->committed_seq);
    sender_rewind(&end->sender, receiver->next_seq);
    if (end->is_welcome)
        return;
    end->is_welcome = true;
    assert(n_applied <= 1);
    end->at = n_applied ? applied->totals.packets : 0;
    end->has_ended = n_applied && applied->is_closed;
    assert(end->at <= world->captured[shard]);
    world->is_over[shard] |= end->has_ended;
}

/* As an exporter answers a hello; false: not yet. */
static inline bool answer_hello(struct world *world, uint32_t shard)
{
    struct receiving *receiving = &world->receiving[shard];
    struct high_water resume = {.stream = receiving->stream, .seq = -1};
    size_t n_applied = 0;
    struct high_water *applied = NULL;
    int result = ledger_settle(world->ledger, world->now_ms);
    assert(result == 0);
    (void)result;
    bool is_well = ledger_is_well(world->ledger);
    if (!is_well && !ledger_knows(world->ledger, &receiving->stream))
        return false;
    if (is_well)
        applied = find_resume(world, shard, &resume, &n_applied);
    if (is_well)
        restore(world, shard);
    receiver_hello(&receiving->receiver, receiving->stream.epoch, resume.seq);
    if (receiving->stream.epoch == world->ends[shard].epoch)
        welcome(world, shard, applied, n_applied);
    free(applied);
    return true;
}

static inline void say_hello(struct world *world, uint32_t shard)
{
    const struct end *end = &world->ends[shard];
    struct receiving *receiving = &world->receiving[shard];
    receiving->stream = end_stream(end);
    receiving->predecessor = end->predecessor;
    receiving->oldest_seq = end->sender.oldest_seq;
    receiving->is_hello_due = true;
}

static inline void world_begin(struct world *world, uint32_t n_shards, int64_t spool_bytes)
{
    *world = (struct world){.n_shards = n_shards, .now_ms = 1, .next_epoch = 1};
    config.exporter.spool_bytes = spool_bytes;
    write_empty_database();
    world_open(world);
    for (uint32_t i = 0; i < n_shards; i++) {
        world->receiving[i].safe_seq = -1;
        end_open(&world->ends[i], i, world->next_epoch++, 0);
        say_hello(world, i);
    }
}

static inline void world_end(struct world *world)
{
    world_close(world);
    for (uint32_t i = 0; i < world->n_shards; i++) {
        end_clear_wire(&world->ends[i]);
        end_close(&world->ends[i]);
    }
}

#endif
