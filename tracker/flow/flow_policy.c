#include "tracker/flow/flow_internal.h"

struct timeout_policies *flow_table_timeout_policies(const struct flow_table *flows)
{
    return flows->policies;
}

static uint16_t policy_of(const struct flow_table *flows, const struct connection *connection)
{
    return connection_table_traits(flows->connections, connection)->policy;
}

static void set_policy(struct flow_table *flows, struct connection *connection, uint16_t id)
{
    struct connection_traits traits = *connection_table_traits(flows->connections, connection);
    traits.policy = id;
    connection_table_set_traits(flows->connections, connection, &traits);
}

const struct timeouts *flow_timeouts_of(const struct flow_table *flows,
                                        const struct connection *connection)
{
    return timeout_policies_in_force(flows->policies, policy_of(flows, connection));
}

/* Ids of policies are about to be given again: connections whose policy is gone let go of it. */
static void forget_policies(void *state)
{
    struct flow_table *flows = state;
    struct connection *connection = NULL;
    while ((connection = connection_table_next(flows->connections, connection)))
        if (!timeout_policies_has(flows->policies, policy_of(flows, connection)))
            set_policy(flows, connection, 0);
}

int flow_open_policies(struct flow_table *flows)
{
    int result = timeout_policies_create(flows->config, &flows->policies);
    if (result < 0)
        return result;
    timeout_policies_on_round(flows->policies, forget_policies, flows);
    flows->context.timeouts = timeout_policies_in_force(flows->policies, 0);
    const char *name;
    for (size_t i = 0; flows->rules && (name = rule_table_timeout(flows->rules, i)); i++)
        timeout_policies_use(flows->policies, timeout_policies_find(flows->policies, name));
    return 0;
}

void flow_give_policy(struct flow_table *flows, struct connection *connection, const char *name)
{
    uint16_t id = timeout_policies_find(flows->policies, name);
    const struct short_tuple *tuple = &connection->tuple;
    set_policy(flows, connection,
               timeout_policies_attach(flows->policies, id, tuple->ip_version, tuple->protocol));
}
