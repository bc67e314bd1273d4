/* loop: the process's event loop (libuv), with what our processes need of it.
 *
 *     loop_create(&loop);
 *     loop_add_timer(loop, 1000, on_tick, state);
 *     loop_run(loop);                             until loop_stop()
 *     loop_destroy(loop);
 *
 * Callbacks run one at a time, in this thread. Process timers only: packet time never comes from
 * here. Not thread-safe. */
#ifndef WANMETER_COMMON_LOOP_H
#define WANMETER_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
typedef void (*loop_fn)(void *state);
typedef void (*loop_signal_fn)(void *state, int signal_number);

/* 0 or -errno. */
int loop_create(struct loop **loop);
void loop_destroy(struct loop *loop); /* closes every handle; accepts NULL */

/* Runs until loop_stop(); the callbacks below do the work. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Calls 'on_tick' every 'interval_ms' of wall time. 0 or -errno. */
int loop_add_timer(struct loop *loop, uint64_t interval_ms, loop_fn on_tick, void *state);

/* Calls 'on_signal' when one of SIGINT, SIGTERM (or that one) arrives, or has been held back so far
 * (blocked by who started us). What arrives after loop_destroy() is held back again: the process is
 * about to end. 0 or -errno. */
int loop_add_signals(struct loop *loop, loop_signal_fn on_signal, void *state);
int loop_add_signal(struct loop *loop, int signal_number, loop_signal_fn on_signal, void *state);

/* Calls 'on_readable' when the descriptor is readable (level-triggered by epoll). 0 or -errno. */
int loop_add_reader(struct loop *loop, int descriptor, loop_fn on_readable, void *state);

/* Calls 'on_turn' before the loop blocks, once a turn, whatever woke it, in the order of adding. 0
 * or -errno. */
int loop_add_turn(struct loop *loop, loop_fn on_turn, void *state);

/* From a callback: this turn does not block; another follows at once. */
void loop_again(struct loop *loop);

/* Monotonic wall time of this turn in ms. */
uint64_t loop_now_ms(const struct loop *loop);

#endif
