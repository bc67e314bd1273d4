/* A database that is made: how it looks meanwhile, and what is not taken for one to be made. */
#include "store_case.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* Looks at a database that is being made, again and again. */
struct watcher {
    const char *path;
    atomic_bool is_over;
    bool has_seen_tables_without_log;
};

static void *watch_header(void *state)
{
    enum { READ_VERSION_AT = 18, PAGES_AT = 28, WITH_LOG = 2 };
    struct watcher *watcher = state;
    uint8_t header[PAGES_AT + 4];
    while (!watcher->is_over) {
        int file = open(watcher->path, O_RDONLY);
        if (file < 0)
            continue;
        bool is_there = read(file, header, sizeof header) == sizeof header;
        close(file);
        if (is_there && header[READ_VERSION_AT] != WITH_LOG && header[PAGES_AT + 3] > 1)
            watcher->has_seen_tables_without_log = true;
    }
    return NULL;
}

/* Who reads them before there is a log keeps the exporter from beginning it. */
static void test_nobody_finds_tables_in_a_new_database_before_it_has_its_log(void **state)
{
    struct store_case *c = *state;
    struct watcher watcher = {.path = c->path};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watch_header, &watcher), 0);
    for (int i = 0; i < 20; i++) {
        case_make(c);
        unlink(c->path);
    }
    watcher.is_over = true;
    pthread_join(thread, NULL);
    assert_false(watcher.has_seen_tables_without_log);
}

/* What has tables is never taken for a new one, whatever its version says. */
static void test_a_database_that_has_lost_its_version_is_not_written_over(void **state)
{
    struct store_case *c = *state;
    case_open(c);
    case_close(c);
    case_tamper(c, "PRAGMA user_version = 0");
    assert_true(store_open(c->path, CHECKPOINT_BYTES, &c->store, c->error) < 0);
    assert_answer(c, "SELECT count(*) FROM run", "1");
    assert_answer(c, "SELECT verdict FROM audit", "exact");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, case_set_up, case_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_nobody_finds_tables_in_a_new_database_before_it_has_its_log),
        CASE(test_a_database_that_has_lost_its_version_is_not_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
