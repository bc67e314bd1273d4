#include "tracker/flow/flow_internal.h"

#include <string.h>

#include "tracker/tuple.h"

/* Makes room in a full table; false: nobody could be evicted. */
static bool make_room(struct flow_table *flows)
{
    while (flow_settle_due(flows, SIZE_MAX))
        ;
    if (connection_table_count(flows->connections) < flows->connections_max)
        return true;
    struct connection *victim = connection_table_victim(flows->connections);
    if (!victim)
        return false;
    flow_end(flows, victim, END_EVICTED, flows->clock_ns);
    return true;
}

static enum original_end original_end_of(const struct tuple *tuple, const struct packet *packet)
{
    bool is_both = tuple->low_port == tuple_high_port(tuple) &&
                   memcmp(tuple->low_address, tuple->high_address, 16) == 0;
    if (is_both)
        return ORIGINAL_IS_BOTH;
    return packet->marks & PACKET_MARK_SOURCE_IS_HIGH ? ORIGINAL_IS_HIGH : ORIGINAL_IS_LOW;
}

/* What the lease of the packet's flow label says: before rules, which outrank it. */
static void meet_lease(const struct flow_table *flows, const struct packet *packet,
                       struct connection *connection)
{
    const struct lease *lease = flow_label_find(flows->flow_labels, packet);
    if (lease && lease->account) {
        connection->account = lease->account;
        connection->is_account_fixed = true;
    }
    if (lease && lease->class_index != CLASS_CONNECTION)
        connection->class_index = lease->class_index;
}

struct connection *flow_open(struct flow_table *flows, const struct flow_key *key,
                             const struct packet *packet)
{
    struct connection *connection =
        connection_table_add(flows->connections, &key->tuple, key->hash);
    if (!connection && make_room(flows))
        connection = connection_table_add(flows->connections, &key->tuple, key->hash);
    if (!connection)
        return NULL;
    connection_table_set_id(flows->connections, connection,
                            tuple_flow_id(&key->tuple, packet->time_ns));
    connection->first_ns = packet->time_ns;
    connection->last_ns = packet->time_ns;
    connection->account = account_of_packet(flows->accounts, packet);
    connection->account_changes = flows->account_changes;
    connection->is_account_fixed = packet->l2_account != 0;
    connection->first_direction = packet->direction & 3u;
    connection->wan = packet->wan;
    connection->wan_match = packet->wan_match;
    connection->original_end = original_end_of(&key->tuple, packet) & 3u;
    if (tuple_is_icmp(&key->tuple)) {
        connection->track.icmp.type = packet->icmp_type;
        connection->track.icmp.code = packet->icmp_code;
    }
    connection->class_index = CLASS_CONNECTION;
    meet_lease(flows, packet, connection);
    connection->is_shadow = (packet->extra & PACKET_SHADOW) != 0;
    return connection;
}
