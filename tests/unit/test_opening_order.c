/* opening_order: who is next does not depend on when the others were found to be over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tracker/connection_table/opening_order.h"

enum { PLACES = 600, STEPS = 200000 };

/* A number is a connection; each table has it in a place of its own. */
struct table {
    struct connection_slab slab;
    struct opening_order order;
    uint32_t free[PLACES]; /* a stack */
    uint32_t n_free;
    uint32_t number_at[PLACES];
    uint32_t place_of[STEPS];
};

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*state >> 33) % limit;
}

static void table_open(struct table *table)
{
    assert_int_equal(connection_slab_init(&table->slab, PLACES, (const uint8_t[16]){0}), 0);
    assert_int_equal(opening_order_init(&table->order, &table->slab), 0);
    for (table->n_free = 0; table->n_free < PLACES; table->n_free++)
        table->free[table->n_free] = table->n_free;
}

static void table_add(struct table *table, uint32_t number)
{
    uint32_t place = table->free[--table->n_free];
    table->number_at[place] = number;
    table->place_of[number] = place;
    opening_order_add(&table->order, place);
}

static void table_remove(struct table *table, uint32_t number)
{
    uint32_t place = table->place_of[number];
    opening_order_remove(&table->order, place);
    table->free[table->n_free++] = place;
}

static uint32_t table_next(struct table *table)
{
    uint32_t place;
    assert_true(opening_order_next(&table->order, &place));
    return table->number_at[place];
}

static void test_an_empty_table_has_nobody(void **state)
{
    (void)state;
    static struct table table;
    uint32_t place;
    table_open(&table);
    assert_false(opening_order_next(&table.order, &place));
    table_add(&table, 0);
    table_remove(&table, 0);
    assert_false(opening_order_next(&table.order, &place));
    opening_order_deinit(&table.order);
    connection_slab_deinit(&table.slab);
}

static void test_each_has_its_turn_in_the_order_of_opening(void **state)
{
    (void)state;
    static struct table table;
    table_open(&table);
    for (uint32_t number = 0; number < 4; number++)
        table_add(&table, number);
    assert_int_equal(table_next(&table), 0);
    table_remove(&table, 1);
    assert_int_equal(table_next(&table), 2);
    assert_int_equal(table_next(&table), 3);
    table_add(&table, 4); /* behind them: before the first one's turn comes again */
    assert_int_equal(table_next(&table), 4);
    assert_int_equal(table_next(&table), 0);
    opening_order_deinit(&table.order);
    connection_slab_deinit(&table.slab);
}

/* One table removes at once, the other some later, in another order, before anybody is asked for.
 */
static void test_late_removals_change_nobodys_turn(void **state)
{
    (void)state;
    static struct table prompt, late;
    static uint32_t open[PLACES], over[PLACES];
    uint32_t n_open = 0, n_over = 0, n_numbers = 0;
    uint64_t chance = 1;
    table_open(&prompt);
    table_open(&late);
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = random_below(&chance, 8);
        if (what < 4 && n_open + n_over < PLACES) {
            table_add(&prompt, n_numbers);
            table_add(&late, n_numbers);
            open[n_open++] = n_numbers++;
        } else if (what < 7 && n_open > 0) {
            uint32_t i = random_below(&chance, n_open);
            table_remove(&prompt, open[i]);
            over[n_over++] = open[i];
            open[i] = open[--n_open];
        }
        if (what == 7 || n_open + n_over == PLACES)
            while (n_over > 0)
                table_remove(&late, over[--n_over]);
        if (n_over == 0 && n_open > 0)
            assert_int_equal(table_next(&prompt), table_next(&late));
    }
    opening_order_deinit(&prompt.order);
    connection_slab_deinit(&prompt.slab);
    opening_order_deinit(&late.order);
    connection_slab_deinit(&late.slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_table_has_nobody),
        cmocka_unit_test(test_each_has_its_turn_in_the_order_of_opening),
        cmocka_unit_test(test_late_removals_change_nobodys_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
