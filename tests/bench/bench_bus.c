/* What the way of a batch costs between two processes: a sender that pushes, as a capture worker
 * does, and a receiver that looks at every cache line of what came, as a tracker does. CPU
 * nanoseconds a packet on each side, ZeroMQ's threads and the kernel's share included, and the
 * receiver's peak of memory. Prints "name value unit" lines. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bus.h"
#include "common/heap.h"
#include "common/loop.h"
#include "proto/downlink.h"
#include "proto/packet.h"
#include "proto/ring.h"
#include "proto/uplink.h"

enum {
    BATCHES = 500,
    PACKETS_A_BATCH = 8738,
    BATCH_BYTES_MAX = PACKETS_A_BATCH * PACKET_SIZE_MAX,
    WINDOW_BYTES = 16 * 1024 * 1024,
    RING_BYTES = WINDOW_BYTES + 2 * 1024 * 1024,
    COMMIT_BYTES = 4 * 1024 * 1024, /* a replay's */
    PUSHES_A_TURN = 4,
    TICK_MS = 50,
    CACHE_LINE = 64,
};

static const struct stream_id stream = {.producer = "capture-0", .epoch = 1};

/* What one side used. */
struct used {
    double cpu_ns;
    double peak_bytes;
};

struct side {
    struct loop *loop;
    struct bus *bus;
    struct uplink *uplink;     /* of the sender */
    struct downlink *downlink; /* of the receiver */
    struct message message;    /* that is pushed again and again */
    int n_pushed;
    int64_t seq; /* the last that came */
    size_t uncommitted_bytes;
    uint64_t sum; /* of what was looked at */
};

static void require(bool is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    exit(1);
}

static double cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static struct used used_since(double started_ns)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct used){cpu_ns() - started_ns, (double)usage.ru_maxrss * 1024};
}

static void on_tick(void *state)
{
    (void)state; /* a turn */
}

static void open_side(struct side *side)
{
    heap_one_pool();
    require(loop_create(&side->loop) == 0, "loop");
    require(bus_create(side->loop, &side->bus) == 0, "bus");
    require(loop_add_timer(side->loop, TICK_MS, on_tick, side) == 0, "timer");
    heap_keep_pages();
}

/* ---- the receiver ---- */

static void on_hello(void *state, size_t index, const struct stream_id *of,
                     struct high_water *resume, const struct high_water **applied,
                     size_t *n_applied)
{
    (void)state;
    (void)index;
    (void)of;
    (void)resume;
    (void)applied;
    (void)n_applied;
}

static void on_batch(void *state, size_t index, struct message *message)
{
    struct side *side = state;
    for (size_t at = 0; at < message->packets_size; at += CACHE_LINE)
        side->sum += message->packets[at];
    side->seq = message->seq;
    side->uncommitted_bytes += message->packets_size;
    if (side->uncommitted_bytes >= COMMIT_BYTES || message->end_of_stream) {
        downlink_commit(side->downlink, index, side->seq);
        side->uncommitted_bytes = 0;
    }
}

static void on_receivers_turn(void *state)
{
    struct side *side = state;
    while (downlink_pull(side->downlink, 0))
        ;
    downlink_flush(side->downlink);
    if (downlink_is_done(side->downlink))
        loop_stop(side->loop);
}

static void receive(const char *endpoint, const char *directory, int report)
{
    struct side side = {0};
    open_side(&side);
    struct downlink_options options = {
        .endpoint = endpoint,
        .producer = "capture",
        .n_streams = 1,
        .ring_directory = directory,
        .on_hello = on_hello,
        .on_batch = on_batch,
        .state = &side,
    };
    require(downlink_open(side.bus, &options, &side.downlink) == 0, endpoint);
    require(loop_add_turn(side.loop, on_receivers_turn, &side) == 0, "turn");
    downlink_start(side.downlink);
    double started_ns = cpu_ns();
    loop_run(side.loop);
    struct used used = used_since(started_ns);
    require(side.seq == BATCHES - 1 && side.sum > 0, "batches are missing");
    downlink_close(side.downlink);
    bus_destroy(side.bus);
    loop_destroy(side.loop);
    require(write(report, &used, sizeof used) == sizeof used, "report");
    exit(0);
}

/* ---- the sender ---- */

static void push(struct side *side)
{
    const struct totals added = {.packets = side->message.n_packets};
    side->message.end_of_stream = ++side->n_pushed == BATCHES;
    require(uplink_push(side->uplink, &side->message, &added) == 0, "push");
    uplink_flush(side->uplink);
}

static void on_senders_turn(void *state)
{
    struct side *side = state;
    uplink_flush(side->uplink);
    for (int n = 0; n < PUSHES_A_TURN; n++)
        if (side->n_pushed < BATCHES && uplink_has_room(side->uplink)) {
            push(side);
            loop_again(side->loop);
        }
    if (side->n_pushed == BATCHES && uplink_is_committed(side->uplink) &&
        uplink_say_bye(side->uplink))
        loop_stop(side->loop);
}

/* Of the size that a capture worker's have by default: 60 bytes a packet, IPv4 with TCP. */
static void make_batch(struct message *message)
{
    static uint8_t room[BATCH_BYTES_MAX];
    struct packet packet = {
        .l2_bytes = 371, .l3_bytes = 357, .protocol = 6, .parts = PACKET_PART_TCP};
    for (int i = 0; i < PACKETS_A_BATCH; i++)
        message->packets_size += packet_encode(&packet, room + message->packets_size);
    message->kind = MESSAGE_PACKETS;
    message->packets = room;
    message->n_packets = PACKETS_A_BATCH;
}

static struct used send_all(const char *endpoint, const char *ring_path)
{
    struct side side = {0};
    struct uplink_options options = {
        .endpoint = endpoint, .stream = stream, .window_bytes = WINDOW_BYTES};
    struct ring_options ring = {.stream = stream, .data_bytes = RING_BYTES};
    open_side(&side);
    require(!ring_path || ring_open(ring_path, &ring, &options.ring) == RING_NEW, "ring");
    require(uplink_open(side.bus, &options, &side.uplink) == 0, endpoint);
    require(loop_add_turn(side.loop, on_senders_turn, &side) == 0, "turn");
    make_batch(&side.message);
    double started_ns = cpu_ns();
    loop_run(side.loop);
    struct used used = used_since(started_ns);
    uplink_close(side.uplink);
    bus_destroy(side.bus);
    loop_destroy(side.loop);
    ring_close(options.ring);
    return used;
}

/* ---- both ---- */

static void run(const char *name, const char *directory, bool has_ring)
{
    char endpoint[128], path[128];
    int report[2];
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bench.sock", directory);
    snprintf(path, sizeof path, "%s/ring-0-0", directory);
    require(pipe(report) == 0, "pipe");
    fflush(stdout);
    pid_t receiver = fork();
    require(receiver >= 0, "fork");
    if (receiver == 0)
        receive(endpoint, directory, report[1]);
    struct used sent = send_all(endpoint, has_ring ? path : NULL);
    struct used received;
    require(read(report[0], &received, sizeof received) == sizeof received, "report");
    int status;
    require(waitpid(receiver, &status, 0) == receiver && status == 0, "receiver");
    if (has_ring)
        unlink(path);
    double n_packets = (double)BATCHES * PACKETS_A_BATCH;
    printf("bus.%s.sender %.1f ns\n", name, sent.cpu_ns / n_packets);
    printf("bus.%s.receiver %.1f ns\n", name, received.cpu_ns / n_packets);
    printf("bus.%s.both %.1f ns\n", name, (sent.cpu_ns + received.cpu_ns) / n_packets);
    printf("bus.%s.receiver.peak %.0f bytes\n", name, received.peak_bytes);
    close(report[0]);
    close(report[1]);
}

/* Each in a process of its own: memory that one has used is not the next one's. */
static void run_apart(const char *name, const char *directory, bool has_ring)
{
    fflush(stdout);
    pid_t process = fork();
    require(process >= 0, "fork");
    if (process == 0) {
        run(name, directory, has_ring);
        exit(0);
    }
    int status;
    require(waitpid(process, &status, 0) == process && status == 0, name);
}

int main(void)
{
    char directory[] = "/tmp/wanmeter-bench-bus-XXXXXX";
    require(mkdtemp(directory) != NULL, directory);
    run_apart("ring", directory, true);
    run_apart("no_ring", directory, false);
    require(rmdir(directory) == 0, directory);
    return 0;
}
