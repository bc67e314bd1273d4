/* What a row costs in the store: CPU nanoseconds a flow row and a usage row, and the database's
 * bytes a flow row, in transactions of 50,000 rows with synchronous FULL. Prints "name value unit"
 * lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exporter/store.h"

enum { ROWS_A_BATCH = 250, BATCHES_A_COMMIT = 200, COMMITS = 10, N_ACCOUNTS = 1000, N_WANS = 4 };

enum { N_ROWS = ROWS_A_BATCH * BATCHES_A_COMMIT * COMMITS };

static double clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void require(struct store *store, int result)
{
    if (result == 0)
        return;
    fprintf(stderr, "bench_store: %s\n", store_error(store));
    exit(1);
}

static uint32_t random_number(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* 15 % IPv6; each with 10 packets or so in both directions. */
static void make_flow(size_t index, struct flow_record *flow)
{
    *flow = (struct flow_record){
        .id = (uint64_t)random_number() << 32 | random_number(),
        .start_ns = INT64_C(1700000000000000000) + (int64_t)index * 1000,
        .ip_version = index % 20 < 3 ? 6 : 4,
        .protocol = 6,
        .has_ports = 1,
        .source_port = (uint16_t)random_number(),
        .destination_port = 443,
        .wan = (uint16_t)(1 + index % N_WANS),
        .account = (uint16_t)(1 + index % N_ACCOUNTS),
        .state = STATE_CLOSED,
        .status = STATUS_SEEN_REPLY | STATUS_ASSURED | STATUS_CONFIRMED,
        .kind = RECORD_FINAL,
        .end_reason = END_TIMEOUT,
    };
    flow->first_ns = flow->start_ns;
    flow->last_ns = flow->start_ns + random_number();
    size_t address_size = flow->ip_version == 4 ? 4 : 16;
    for (size_t i = 0; i < address_size; i++) {
        flow->source_address[i] = (uint8_t)random_number();
        flow->destination_address[i] = (uint8_t)random_number();
    }
    for (int i = 0; i < FLOW_DIRECTIONS; i++)
        flow->counters[i] = (struct flow_counters){5, 4000, 3900, 4100, 5, 3900};
}

static void make_delta(size_t index, struct usage_delta *delta)
{
    *delta = (struct usage_delta){
        .packets = 1,
        .l2_bytes = 100,
        .l3_bytes = 86,
        .billed_bytes = 90,
        .account = (uint16_t)(1 + random_number() % N_ACCOUNTS),
        .wan = (uint16_t)(1 + index % N_WANS),
        .direction = (uint8_t)(1 + index / N_WANS % 2),
    };
}

struct bench {
    struct store *store;
    struct high_water applied;
    struct message message;
    uint8_t rows[ROWS_A_BATCH * FLOW_RECORD_SIZE];
};

static void fill_flows(struct bench *bench, size_t first)
{
    for (size_t i = 0; i < ROWS_A_BATCH; i++) {
        struct flow_record flow;
        make_flow(first + i, &flow);
        flow_record_put(&flow, bench->rows + i * FLOW_RECORD_SIZE);
    }
    bench->message.flows = bench->rows;
    bench->message.n_flows = ROWS_A_BATCH;
}

static void fill_usage(struct bench *bench, size_t first)
{
    for (size_t i = 0; i < ROWS_A_BATCH; i++) {
        struct usage_delta delta;
        make_delta(first + i, &delta);
        usage_delta_put(&delta, bench->rows + i * USAGE_DELTA_SIZE);
        bench->applied.totals.packets += delta.packets;
        bench->applied.totals.l2_bytes += delta.l2_bytes;
        bench->applied.totals.l3_bytes += delta.l3_bytes;
    }
    bench->message.usage = bench->rows;
    bench->message.n_usage = ROWS_A_BATCH;
}

/* Applies N_ROWS rows; only the store's work is timed. Prints CPU and wall time a row. */
static void run(struct bench *bench, const char *name, void (*fill)(struct bench *, size_t))
{
    double cpu_ns = 0, wall_ns = 0;
    bench->message.n_flows = bench->message.n_usage = 0;
    for (size_t row = 0; row < N_ROWS; row += ROWS_A_BATCH) {
        fill(bench, row);
        bench->message.seq = ++bench->applied.seq;
        double cpu_start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        double wall_start = clock_ns(CLOCK_MONOTONIC);
        if (!store_has_transaction(bench->store))
            require(bench->store, store_begin(bench->store));
        require(bench->store, store_apply(bench->store, &bench->message));
        if ((row / ROWS_A_BATCH + 1) % BATCHES_A_COMMIT == 0)
            require(bench->store, store_commit(bench->store));
        cpu_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
        wall_ns += clock_ns(CLOCK_MONOTONIC) - wall_start;
    }
    printf("store_%s_row_cpu %.0f ns\n", name, cpu_ns / N_ROWS);
    printf("store_%s_row_wall %.0f ns\n", name, wall_ns / N_ROWS);
}

static void make_names(struct config *config, struct config_account *accounts,
                       struct config_wan *wans, char (*names)[16])
{
    for (size_t i = 0; i < N_ACCOUNTS + N_WANS; i++)
        snprintf(names[i], sizeof names[i], "name-%zu", i);
    for (size_t i = 0; i < N_ACCOUNTS; i++)
        accounts[i].name = names[i];
    for (size_t i = 0; i < N_WANS; i++)
        wans[i] = (struct config_wan){.name = names[N_ACCOUNTS + i], .overhead = names[0]};
    config->accounts = accounts;
    config->n_accounts = N_ACCOUNTS;
    config->wans = wans;
    config->n_wans = N_WANS;
}

static void bench_open(struct bench *bench, const char *path)
{
    static struct config config;
    static struct config_account accounts[N_ACCOUNTS];
    static struct config_wan wans[N_WANS];
    static char names[N_ACCOUNTS + N_WANS][16];
    char error[STORE_ERROR_MAX];
    config_init(&config);
    make_names(&config, accounts, wans, names);
    if (store_open(path, config.exporter.checkpoint_bytes, &bench->store, error) < 0) {
        fprintf(stderr, "bench_store: %s\n", error);
        exit(1);
    }
    struct store_run run = {.version = "0", .config = &config};
    require(bench->store, store_start_run(bench->store, &run));
    bench->applied = (struct high_water){.stream = {.producer = "capture-0"}, .seq = -1};
    bench->message = (struct message){.kind = MESSAGE_RECORDS,
                                      .stream = {.producer = "tracker-0"},
                                      .applied = &bench->applied,
                                      .n_applied = 1};
}

int main(void)
{
    static struct bench bench;
    char directory[] = "/tmp/wanmeter-bench-XXXXXX";
    char path[64];
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/bench.db", directory);
    bench_open(&bench, path);
    run(&bench, "usage", fill_usage);
    run(&bench, "flow", fill_flows);
    store_close(bench.store);
    struct stat status;
    if (stat(path, &status) == 0)
        printf("store_flow_row_size %.1f B\n", (double)status.st_size / N_ROWS);
    unlink(path);
    rmdir(directory);
    return 0;
}
