#include "cli/supervisor/restart.h"

static const int64_t WAIT_FIRST_NS = 100000000;
static const int64_t WAIT_MAX_NS = 10000000000;
static const int64_t HEALTHY_NS = 60000000000;

void restart_begin(struct restart *restart, int64_t now_ns)
{
    restart->begun_ns = now_ns;
}

static int64_t wait_ns(unsigned n_before)
{
    int64_t wait = WAIT_FIRST_NS;
    for (unsigned i = 0; i < n_before && wait < WAIT_MAX_NS; i++)
        wait *= 2;
    return wait < WAIT_MAX_NS ? wait : WAIT_MAX_NS;
}

void restart_die(struct restart *restart, int64_t now_ns)
{
    if (now_ns - restart->begun_ns >= HEALTHY_NS)
        restart->n_in_a_row = 0;
    restart->due_ns = now_ns + wait_ns(restart->n_in_a_row);
    restart->n_in_a_row++;
    restart->n++;
}

bool restart_is_hopeless(const struct restart *restart)
{
    return restart->n_in_a_row > RESTARTS_IN_A_ROW_MAX;
}
