/* The bus on the loop. ZMQ_FD is edge-triggered: without another look after every send and receive,
 * these tests hang. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bus.h"
#include "common/bus/bus_gate.h"
#include "common/loop.h"

enum { MESSAGES = 20000, WINDOW = 100 };

struct end {
    struct loop *loop;
    struct bus_socket *router, *dealer;
    int n_sent, n_received, n_answered, n_ticks;
    struct bus_peer peer;
};

static char directory[] = "/tmp/wanmeter-test-bus-XXXXXX";
static char endpoint[128];

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(endpoint, sizeof endpoint, "ipc://%s/bus.sock", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(endpoint + strlen("ipc://"));
    return rmdir(directory);
}

static void on_request(void *state, const struct bus_message *message)
{
    struct end *end = state;
    int number;
    assert_int_equal(message->size, sizeof number);
    memcpy(&number, message->bytes, sizeof number);
    assert_int_equal(number, end->n_received);
    end->n_received++;
    assert_int_equal(bus_send(end->router, message->peer, &number, sizeof number), 0);
}

static void on_answer(void *state, const struct bus_message *message)
{
    struct end *end = state;
    assert_null(message->peer);
    end->n_answered++;
    if (end->n_answered == MESSAGES)
        loop_stop(end->loop);
}

static void send_what_fits(void *state)
{
    struct end *end = state;
    while (end->n_sent < MESSAGES && end->n_sent - end->n_answered < WINDOW &&
           bus_send(end->dealer, NULL, &end->n_sent, sizeof end->n_sent) == 0)
        end->n_sent++;
}

enum { FRAMES = 3, FRAME_BYTES = 100000 };

struct kept {
    struct bus_frame *frames[FRAMES];
    int n;
};

static void keep_frame(void *state, const struct bus_message *message)
{
    struct kept *kept = state;
    assert_int_equal(message->size, kept->n == FRAMES - 1 ? 1 : FRAME_BYTES);
    kept->frames[kept->n] = bus_frame_take(message);
    assert_non_null(kept->frames[kept->n++]);
}

/* One that was sent is sent again, and outlives neither; what was taken outlives all. */
static void test_a_frame_is_sent_twice_and_what_came_of_it_is_kept(void **state)
{
    (void)state;
    struct kept kept = {0};
    struct bus *bus;
    struct bus_socket *router, *dealer;
    assert_int_equal(bus_create(NULL, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_ROUTER, endpoint, keep_frame, &kept, &router), 0);
    assert_int_equal(bus_connect(bus, BUS_DEALER, endpoint, "one", keep_frame, &kept, &dealer), 0);
    struct bus_frame *large = bus_frame_create(FRAME_BYTES), *small = bus_frame_create(1);
    memset(bus_frame_bytes(large), 0x5a, FRAME_BYTES);
    *bus_frame_bytes(small) = 7;
    int result;
    while ((result = bus_send_frame(dealer, NULL, large)) == -EAGAIN)
        bus_receive(router, 10); /* until it is connected */
    assert_int_equal(result, 0);
    assert_int_equal(bus_send_frame(dealer, NULL, large), 0);
    assert_int_equal(bus_send_frame(dealer, NULL, small), 0);
    bus_frame_destroy(large);
    bus_frame_destroy(small);
    while (kept.n < FRAMES)
        assert_true(bus_receive(router, -1) >= 0);
    bus_destroy(bus);
    for (int i = 0; i < FRAMES; i++) {
        size_t size = bus_frame_size(kept.frames[i]);
        const uint8_t *bytes = bus_frame_bytes(kept.frames[i]);
        assert_int_equal(size, i == FRAMES - 1 ? 1 : FRAME_BYTES);
        assert_int_equal(bytes[0], i == FRAMES - 1 ? 7 : 0x5a);
        assert_int_equal(bytes[size - 1], bytes[0]);
        bus_frame_destroy(kept.frames[i]);
    }
    bus_frame_destroy(NULL);
}

static void test_requests_and_answers_do_not_get_stuck_on_the_edge(void **state)
{
    (void)state;
    struct end end = {0};
    struct bus *bus;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_ROUTER, endpoint, on_request, &end, &end.router), 0);
    assert_int_equal(bus_connect(bus, BUS_DEALER, endpoint, "one", on_answer, &end, &end.dealer),
                     0);
    assert_int_equal(loop_add_turn(end.loop, send_what_fits, &end), 0);
    loop_run(end.loop);
    assert_int_equal(end.n_received, MESSAGES);
    bus_destroy(bus);
    loop_destroy(end.loop);
}

static void on_probe(void *state, const struct bus_message *message)
{
    struct end *end = state;
    assert_int_equal(bus_send(end->router, message->peer, "yes", 3), 0);
}

/* Each answer ends a connection; what is sent too soon after that may go with it. */
static void on_probe_answered(void *state, const struct bus_message *message)
{
    struct end *end = state;
    (void)message;
    if (++end->n_answered == 3)
        loop_stop(end->loop);
    else
        assert_int_equal(bus_reconnect(end->dealer, endpoint), 0);
}

static void send_probe(void *state)
{
    struct end *end = state;
    int result = bus_send(end->dealer, NULL, "?", 1);
    assert_true(result == 0 || result == -EAGAIN);
}

static void note_peer(void *state, const struct bus_message *message)
{
    struct end *end = state;
    end->peer = *message->peer;
    end->n_received++;
}

static void stop_when_answered(void *state, const struct bus_message *message)
{
    struct end *end = state;
    (void)message;
    end->n_answered++;
    loop_stop(end->loop);
}

static void stop_at_third_tick(void *state)
{
    struct end *end = state;
    if (++end->n_ticks % 3 == 0)
        loop_stop(end->loop);
}

static void send_until_full(struct end *end, struct bus_frame *frame)
{
    while (bus_send_frame(end->dealer, NULL, frame) == 0)
        end->n_sent++;
}

/* A frame that is refused has read the socket's commands all the same: with them that an answer is
 * there. */
static void test_an_answer_that_came_while_nothing_could_be_sent_is_given(void **state)
{
    (void)state;
    enum { TICK_MS = 30, LARGE_BYTES = 1000000 };
    struct end end = {0};
    struct bus *asking, *asked;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &asking), 0);
    assert_int_equal(bus_create(NULL, &asked), 0);
    assert_int_equal(bus_bind(asked, BUS_ROUTER, endpoint, note_peer, &end, &end.router), 0);
    assert_int_equal(
        bus_connect(asking, BUS_DEALER, endpoint, "one", stop_when_answered, &end, &end.dealer), 0);
    assert_int_equal(loop_add_timer(end.loop, TICK_MS, stop_at_third_tick, &end), 0);
    while (bus_send(end.dealer, NULL, "?", 1) == -EAGAIN)
        usleep(1000); /* until it is connected */
    while (end.n_received == 0)
        assert_true(bus_receive(end.router, -1) >= 0);

    struct bus_frame *frame = bus_frame_create(LARGE_BYTES);
    memset(bus_frame_bytes(frame), 0, LARGE_BYTES);
    do { /* until the kernel takes no more, either */
        end.n_sent = 0;
        send_until_full(&end, frame);
        loop_run(end.loop);
    } while (end.n_sent > 0);
    assert_int_equal(bus_send(end.router, &end.peer, "!", 1), 0);
    usleep(TICK_MS * 1000); /* it is there, and nobody has looked */
    send_until_full(&end, frame);
    loop_run(end.loop);
    assert_int_equal(end.n_answered, 1);
    bus_frame_destroy(frame);
    bus_destroy(asking);
    bus_destroy(asked);
    loop_destroy(end.loop);
}

static void test_who_connects_again_is_heard_again(void **state)
{
    (void)state;
    struct end end = {0};
    struct bus *bus;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_ROUTER, endpoint, on_probe, &end, &end.router), 0);
    assert_int_equal(
        bus_connect(bus, BUS_DEALER, endpoint, "one", on_probe_answered, &end, &end.dealer), 0);
    assert_int_equal(loop_add_timer(end.loop, 20, send_probe, &end), 0);
    loop_run(end.loop);
    bus_destroy(bus);
    loop_destroy(end.loop);
}

static void test_to_a_peer_that_is_not_there_sending_says_so(void **state)
{
    (void)state;
    struct bus *bus;
    struct bus_socket *router, *dealer;
    struct bus_peer nobody = {.size = 3, .id = "who"};
    assert_int_equal(bus_create(NULL, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_ROUTER, endpoint, on_request, NULL, &router), 0);
    assert_int_equal(bus_send(router, &nobody, "x", 1), -EHOSTUNREACH);
    char elsewhere[160];
    snprintf(elsewhere, sizeof elsewhere, "%s-none", endpoint);
    assert_int_equal(bus_connect(bus, BUS_DEALER, elsewhere, NULL, on_answer, NULL, &dealer), 0);
    assert_int_equal(bus_send(dealer, NULL, "x", 1), -EAGAIN);
    bus_destroy(bus);
}

static void on_tick(void *state)
{
    struct end *end = state;
    if (++end->n_ticks == 3)
        loop_stop(end->loop);
}

static void test_an_idle_loop_blocks_and_its_timers_tick(void **state)
{
    (void)state;
    struct end end = {0};
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(loop_add_timer(end.loop, 1, on_tick, &end), 0);
    loop_run(end.loop);
    assert_int_equal(end.n_ticks, 3);
    loop_destroy(end.loop);
}

/* ---- what is too long ---- */

struct sending {
    struct bus_socket *longer, *fitting;
    const uint8_t *bytes;
};

/* The longer one goes first; the other when that has gone. */
static void send_both(void *state)
{
    struct sending *sending = state;
    if (sending->longer &&
        bus_send(sending->longer, NULL, sending->bytes, BUS_REQUEST_MAX + 1) == 0)
        sending->longer = NULL;
    else if (!sending->longer && sending->fitting &&
             bus_send(sending->fitting, NULL, sending->bytes, BUS_REQUEST_MAX) == 0)
        sending->fitting = NULL;
}

static void on_sized(void *state, const struct bus_message *message)
{
    struct end *end = state;
    end->n_received++;
    assert_int_equal(message->size, BUS_REQUEST_MAX);
    loop_stop(end->loop);
}

static void test_a_request_that_is_too_long_does_not_come_in(void **state)
{
    (void)state;
    static uint8_t bytes[BUS_REQUEST_MAX + 1];
    struct end end = {0};
    struct bus *bus;
    struct bus_socket *longer, *fitting;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_CONTROL, endpoint, on_sized, &end, &end.router), 0);
    assert_int_equal(bus_connect(bus, BUS_DEALER, endpoint, "long", on_answer, NULL, &longer), 0);
    assert_int_equal(bus_connect(bus, BUS_DEALER, endpoint, "fits", on_answer, NULL, &fitting), 0);
    struct sending sending = {longer, fitting, bytes};
    assert_int_equal(loop_add_timer(end.loop, 1, send_both, &sending), 0);
    loop_run(end.loop);
    assert_int_equal(end.n_received, 1);
    bus_destroy(bus);
    loop_destroy(end.loop);
}

/* Without the keys there is no listening by tcp at all. */
static void test_nothing_is_bound_to_tcp_without_keys(void **state)
{
    (void)state;
    struct end end = {0};
    struct bus *bus;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_CONTROL, "tcp://127.0.0.1:*", on_request, &end, &end.router),
                     -EACCES);
    bus_destroy(bus);
    loop_destroy(end.loop);
}

/* ---- who may connect ---- */

/* Sends one message as the user, and ends when there was time for an answer. */
static pid_t start_peer(uid_t user)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct bus *bus;
    struct bus_socket *dealer;
    if (setuid(user) < 0 || bus_create(NULL, &bus) < 0 ||
        bus_connect(bus, BUS_DEALER, endpoint, NULL, on_answer, NULL, &dealer) < 0)
        _exit(1);
    for (int i = 0; i < 100 && bus_send(dealer, NULL, "who", 3) == -EAGAIN; i++)
        usleep(5000);
    bus_receive(dealer, 500);
    _exit(0);
}

static void on_introduction(void *state, const struct bus_message *message)
{
    struct end *end = state;
    end->peer = *message->peer;
    end->n_received++;
}

static void stop_when_heard(void *state)
{
    struct end *end = state;
    if (end->n_received > 0 || ++end->n_ticks == 60)
        loop_stop(end->loop);
}

/* What the router hears of a peer of this user. */
static struct end hear(uid_t user, pid_t *pid)
{
    struct end end = {0};
    struct bus *bus;
    assert_int_equal(loop_create(&end.loop), 0);
    assert_int_equal(bus_create(end.loop, &bus), 0);
    assert_int_equal(bus_bind(bus, BUS_CONTROL, endpoint, on_introduction, &end, &end.router), 0);
    chmod(directory, 0755); /* the file system would let anybody in */
    chmod(endpoint + strlen("ipc://"), 0777);
    assert_int_equal(loop_add_timer(end.loop, 10, stop_when_heard, &end), 0);
    *pid = start_peer(user);
    loop_run(end.loop);
    int status;
    waitpid(*pid, &status, 0);
    bus_destroy(bus);
    loop_destroy(end.loop);
    assert_int_equal(status, 0);
    return end;
}

static void test_the_kernel_says_who_a_peer_is(void **state)
{
    (void)state;
    pid_t pid;
    struct end end = hear(geteuid(), &pid);
    assert_int_equal(end.n_received, 1);
    assert_true(end.peer.is_known);
    assert_int_equal(end.peer.uid, geteuid());
    assert_int_equal(end.peer.pid, pid);
}

static void test_a_peer_of_another_user_is_not_heard(void **state)
{
    (void)state;
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        skip(); /* only root can become another user */
    pid_t pid;
    struct end end = hear(NOBODY, &pid);
    assert_int_equal(end.n_received, 0);
}

static void test_a_peer_is_taken_apart_from_the_right(void **state)
{
    (void)state;
    uint32_t uid, pid;
    assert_true(bus_gate_parse("localhost:1000:100:4321", &uid, &pid));
    assert_int_equal(uid, 1000);
    assert_int_equal(pid, 4321);
    assert_true(bus_gate_parse(":0:0:1", &uid, &pid));
    static const char *const others[] = {"",       "localhost", "192.0.2.1", "::1",
                                         "a:0:0:", "a::0:1",    "a:-1:0:1",  "a:4294967296:0:1",
                                         "0:0:1",  "a:0:0:1x",  "a:0x0:0:1", "a:x:0:1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(bus_gate_parse(others[i], &uid, &pid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_and_answers_do_not_get_stuck_on_the_edge),
        cmocka_unit_test(test_an_answer_that_came_while_nothing_could_be_sent_is_given),
        cmocka_unit_test(test_who_connects_again_is_heard_again),
        cmocka_unit_test(test_a_frame_is_sent_twice_and_what_came_of_it_is_kept),
        cmocka_unit_test(test_to_a_peer_that_is_not_there_sending_says_so),
        cmocka_unit_test(test_an_idle_loop_blocks_and_its_timers_tick),
        cmocka_unit_test(test_a_request_that_is_too_long_does_not_come_in),
        cmocka_unit_test(test_nothing_is_bound_to_tcp_without_keys),
        cmocka_unit_test(test_the_kernel_says_who_a_peer_is),
        cmocka_unit_test(test_a_peer_of_another_user_is_not_heard),
        cmocka_unit_test(test_a_peer_is_taken_apart_from_the_right),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
