#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/loop.h"

static struct loop *the_loop;

static void on_signal(void *state, int signal_number)
{
    int *heard = state;
    *heard = signal_number;
    loop_stop(the_loop);
}

static void set_blocked(int how, int signal_number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    sigprocmask(how, &set, NULL);
}

static void test_a_signal_that_was_held_back_is_heard(void **state)
{
    (void)state;
    int heard = 0;
    set_blocked(SIG_BLOCK, SIGUSR1);
    raise(SIGUSR1);
    assert_int_equal(loop_create(&the_loop), 0);
    assert_int_equal(loop_add_signal(the_loop, SIGUSR1, on_signal, &heard), 0);
    loop_run(the_loop);
    assert_int_equal(heard, SIGUSR1);
    loop_destroy(the_loop);
}

/* It would end the process, which has nothing left to do, as if it had failed. */
static void test_a_signal_after_the_loop_is_held_back(void **state)
{
    (void)state;
    int heard = 0;
    sigset_t pending;
    assert_int_equal(loop_create(&the_loop), 0);
    assert_int_equal(loop_add_signal(the_loop, SIGUSR1, on_signal, &heard), 0);
    assert_int_equal(loop_add_signals(the_loop, on_signal, &heard), 0);
    loop_destroy(the_loop);
    raise(SIGUSR1);
    raise(SIGTERM);
    sigpending(&pending);
    assert_true(sigismember(&pending, SIGUSR1));
    assert_true(sigismember(&pending, SIGTERM));
    assert_int_equal(heard, 0);
    signal(SIGUSR1, SIG_IGN); /* what waits is forgotten */
    signal(SIGTERM, SIG_IGN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_signal_that_was_held_back_is_heard),
        cmocka_unit_test(test_a_signal_after_the_loop_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
