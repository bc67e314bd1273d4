#include "tracker/flow/flow_internal.h"

/* The entry has the direction's first label; what was last needs room only when it is another. */
void flow_count_label(struct flow_table *flows, struct connection *connection, unsigned direction,
                      const struct packet *packet)
{
    uint32_t label = packet->flow_label | FLOW_LABEL_SEEN;
    uint32_t *first = &connection_table_flow_labels(flows->connections, connection)[direction];
    uint32_t before = *first;
    if (before == 0)
        *first = label;
    if (connection->extra && connection->extra->last_flow_label[direction])
        before = connection->extra->last_flow_label[direction];
    if (before == 0 || before == label)
        return;
    struct connection_extra *extra = connection_table_extra(flows->connections, connection);
    extra->last_flow_label[direction] = label;
    extra->flow_label_changes++;
}
