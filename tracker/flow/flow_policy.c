#include "tracker/flow/flow_internal.h"

struct timeout_policies *flow_table_timeout_policies(const struct flow_table *flows)
{
    return flows->policies;
}

/* Ids of policies are about to be given again: connections whose policy is gone let go of it. */
static void forget_policies(void *state)
{
    struct flow_table *flows = state;
    struct connection *connection = NULL;
    while ((connection = connection_table_next(flows->connections, connection)))
        if (!timeout_policies_has(flows->policies, connection->policy))
            connection->policy = 0;
}

int flow_open_policies(struct flow_table *flows)
{
    int result = timeout_policies_create(flows->config, &flows->policies);
    if (result < 0)
        return result;
    timeout_policies_on_round(flows->policies, forget_policies, flows);
    flows->context.timeouts = timeout_policies_in_force(flows->policies, 0);
    return 0;
}
