#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

/* A handle and what it calls; freed by its close callback. */
struct watch {
    union {
        uv_handle_t handle;
        uv_timer_t timer;
        uv_signal_t signal;
        uv_poll_t poll;
    } uv;
    loop_fn on_event;
    loop_signal_fn on_signal;
    void *state;
};

struct turn {
    struct turn *next;
    loop_fn on_turn;
    void *state;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active: the loop does not block */
    struct turn *turns;
    sigset_t heard;
    bool is_again;
};

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it exists so that libuv polls without blocking */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;
    loop->is_again = false;
    for (struct turn *turn = loop->turns; turn; turn = turn->next)
        turn->on_turn(turn->state);
    if (loop->is_again)
        uv_idle_start(&loop->idle, on_idle);
    else
        uv_idle_stop(&loop->idle);
}

int loop_create(struct loop **out)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    int result = uv_loop_init(&loop->uv);
    if (result < 0) {
        free(loop);
        return result; /* libuv's errors are -errno on Linux */
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_idle_init(&loop->uv, &loop->idle);
    loop->prepare.data = loop;
    sigemptyset(&loop->heard);
    uv_prepare_start(&loop->prepare, on_prepare);
    *out = loop;
    return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle); /* the watch: its handle is its first member */
}

static void close_handle(uv_handle_t *handle, void *data)
{
    struct loop *loop = data;
    bool is_own = handle == (uv_handle_t *)&loop->prepare || handle == (uv_handle_t *)&loop->idle;
    if (!uv_is_closing(handle))
        uv_close(handle, is_own ? NULL : on_watch_closed);
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    sigprocmask(SIG_BLOCK, &loop->heard, NULL);
    uv_walk(&loop->uv, close_handle, loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    while (loop->turns) {
        struct turn *turn = loop->turns;
        loop->turns = turn->next;
        free(turn);
    }
    free(loop);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

static struct watch *watch_create(void *state)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch) {
        watch->state = state;
        watch->uv.handle.data = watch;
    }
    return watch;
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    watch->on_event(watch->state);
}

int loop_add_timer(struct loop *loop, uint64_t interval_ms, loop_fn on_tick, void *state)
{
    struct watch *watch = watch_create(state);
    if (!watch)
        return -ENOMEM;
    watch->on_event = on_tick;
    uv_timer_init(&loop->uv, &watch->uv.timer);
    return uv_timer_start(&watch->uv.timer, on_timer, interval_ms, interval_ms);
}

static void on_uv_signal(uv_signal_t *signal, int signal_number)
{
    struct watch *watch = signal->data;
    watch->on_signal(watch->state, signal_number);
}

int loop_add_signal(struct loop *loop, int signal_number, loop_signal_fn on_signal, void *state)
{
    struct watch *watch = watch_create(state);
    if (!watch)
        return -ENOMEM;
    watch->on_signal = on_signal;
    uv_signal_init(&loop->uv, &watch->uv.signal);
    int result = uv_signal_start(&watch->uv.signal, on_uv_signal, signal_number);
    if (result < 0)
        return result;
    sigaddset(&loop->heard, signal_number);
    sigprocmask(SIG_UNBLOCK, &loop->heard, NULL);
    return 0;
}

int loop_add_signals(struct loop *loop, loop_signal_fn on_signal, void *state)
{
    int result = loop_add_signal(loop, SIGINT, on_signal, state);
    return result == 0 ? loop_add_signal(loop, SIGTERM, on_signal, state) : result;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows at the next read */
    (void)events;
    struct watch *watch = poll->data;
    watch->on_event(watch->state);
}

int loop_add_reader(struct loop *loop, int descriptor, loop_fn on_readable, void *state)
{
    struct watch *watch = watch_create(state);
    if (!watch)
        return -ENOMEM;
    watch->on_event = on_readable;
    int result = uv_poll_init(&loop->uv, &watch->uv.poll, descriptor);
    if (result < 0) {
        free(watch); /* libuv did not take the handle */
        return result;
    }
    return uv_poll_start(&watch->uv.poll, UV_READABLE, on_poll);
}

int loop_add_turn(struct loop *loop, loop_fn on_turn, void *state)
{
    struct turn *turn = calloc(1, sizeof *turn);
    if (!turn)
        return -ENOMEM;
    *turn = (struct turn){.on_turn = on_turn, .state = state};
    struct turn **last = &loop->turns;
    while (*last)
        last = &(*last)->next;
    *last = turn;
    return 0;
}

void loop_again(struct loop *loop)
{
    loop->is_again = true;
    uv_idle_start(&loop->idle, on_idle); /* also when called outside of a turn's callbacks */
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}
