#include "tracker/flow/flow_internal.h"

#include "tracker/flow_record.h"

static bool match(struct flow_table *flows, const struct packet *packet,
                  const struct connection *connection)
{
    bool is_related = (connection->status & STATUS_EXPECTED) != 0;
    return rule_table_match(flows->rules, packet, is_related ? RULE_RELATED : RULE_NEW,
                            &flows->outcome);
}

void flow_meet_rules(struct flow_table *flows, struct step *step, struct connection *connection)
{
    if (!flows->rules)
        return;
    bool has_match = match(flows, step->packet, connection);
    const struct ct_action *outcome = &flows->outcome;
    step->is_looked_up = has_match && !(outcome->attributes & CT_ACTION_COMMIT);
    bool is_billed =
        flow_record_is_begun(connection); /* by fragments: their account and class stay */
    if (outcome->attributes & CT_ACTION_ACCOUNT && !is_billed) {
        connection->account = outcome->account;
        connection->is_account_fixed = true;
    }
    if (outcome->attributes & CT_ACTION_CLASS && !is_billed)
        connection->class_index = outcome->class_index;
    if (outcome->attributes & CT_ACTION_TIMEOUT)
        flow_give_policy(flows, connection, outcome->timeout);
}

bool flow_is_only_lookup(struct flow_table *flows, const struct step *step)
{
    if (!flows->rules || step->is_opened)
        return step->is_looked_up;
    return match(flows, step->packet, step->connection) &&
           !(flows->outcome.attributes & CT_ACTION_COMMIT);
}

void flow_write_rules(struct flow_table *flows, struct connection *connection)
{
    const struct ct_action *outcome = &flows->outcome;
    if (!flows->rules)
        return;
    if (outcome->attributes & CT_ACTION_HELPER)
        connection_table_extra(flows->connections, connection)->helper_number = outcome->helper;
    if (!(outcome->attributes & (CT_ACTION_MARK | CT_ACTION_LABEL)))
        return;
    struct connection_traits traits = *connection_table_traits(flows->connections, connection);
    if (outcome->attributes & CT_ACTION_MARK)
        traits.mark = ct_mark_write(traits.mark, outcome->mark, outcome->mark_mask);
    if (outcome->attributes & CT_ACTION_LABEL)
        label_table_write(flows->labels, traits.labels, outcome->labels, outcome->labels_mask);
    connection_table_set_traits(flows->connections, connection, &traits);
}

void flow_meet_reply(struct flow_table *flows, const struct step *step)
{
    if (flows->rules && rule_table_match(flows->rules, step->packet, RULE_REPLY, &flows->outcome))
        flow_write_rules(flows, step->connection);
}
