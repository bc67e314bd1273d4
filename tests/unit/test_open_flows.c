/* Which flows are open, against a list that is looked through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exporter/open_flows.h"

enum { IDS = 4000, STEPS = 60000 };

/* Ids that often want the same place. */
static uint64_t id_of(unsigned i)
{
    return (uint64_t)(i % 8) << 40 | (uint64_t)(i / 8) * 16;
}

static void check(const struct open_flows *open, const int64_t *record_ids)
{
    size_t n = 0, n_wanted = 0;
    for (size_t i = 0; i < open_flows_room(open); i++)
        n += open_flows_at(open, i) != NULL;
    for (unsigned i = 0; i < IDS; i++)
        n_wanted += record_ids[i] != 0;
    assert_int_equal(n, n_wanted);
}

static int64_t find(const struct open_flows *open, uint64_t id)
{
    for (size_t i = 0; i < open_flows_room(open); i++) {
        const struct open_flow *flow = open_flows_at(open, i);
        if (flow && flow->id == id)
            return flow->record_id;
    }
    return 0;
}

static void test_what_is_put_is_there_until_it_is_removed(void **state)
{
    (void)state;
    static int64_t record_ids[IDS];
    struct open_flows *open;
    assert_int_equal(open_flows_create(&open), 0);
    srand(1);
    for (int64_t step = 1; step <= STEPS; step++) {
        unsigned i = (unsigned)rand() % IDS;
        if (rand() % 3) {
            assert_int_equal(open_flows_put(open, &(struct open_flow){id_of(i), step, 0}), 0);
            record_ids[i] = step;
        } else {
            open_flows_remove(open, id_of(i));
            record_ids[i] = 0;
        }
        if (step % 10000 == 0)
            check(open, record_ids);
    }
    for (unsigned i = 0; i < IDS; i += 97)
        assert_int_equal(find(open, id_of(i)), record_ids[i]);
    open_flows_clear(open);
    assert_int_equal(find(open, id_of(0)), 0);
    open_flows_destroy(open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_put_is_there_until_it_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
