#include "tracker/flow_counters.h"

#include <string.h>

static uint64_t l2_bytes_of(const struct connection_counters *counters)
{
    return counters->l3_bytes + (uint64_t)counters->l2_more;
}

/* What the entry has goes to the extra; what the packet adds, too. */
__attribute__((noinline)) static void add_beyond(struct connection_table *connections,
                                                 struct connection *connection, unsigned direction,
                                                 const struct packet *packet, uint64_t billed_bytes)
{
    struct connection_counters *counters = &connection->counters[direction];
    struct connection_extra *extra = connection_table_extra(connections, connection);
    struct connection_beyond *beyond = &extra->beyond[direction];
    beyond->packets += counters->packets;
    beyond->l2_bytes += l2_bytes_of(counters) + packet->l2_bytes;
    beyond->l3_bytes += counters->l3_bytes + (uint64_t)packet->l3_bytes;
    beyond->billed_bytes += counters->billed_bytes + billed_bytes;
    *counters = (struct connection_counters){.packets = 1}; /* never 0: a record has begun */
}

void flow_counters_add(struct connection_table *connections, struct connection *connection,
                       unsigned direction, const struct packet *packet, uint64_t billed_bytes)
{
    struct connection_counters *counters = &connection->counters[direction];
    uint64_t packets = counters->packets + UINT64_C(1);
    uint64_t l2_more = counters->l2_more + (uint64_t)packet->l2_bytes - packet->l3_bytes;
    uint64_t l3_bytes = counters->l3_bytes + (uint64_t)packet->l3_bytes;
    uint64_t billed = counters->billed_bytes + billed_bytes;
    /* A frame that is shorter than its packet says makes l2_more huge. */
    if (((packets | l2_more) >> 16 | (l3_bytes | billed) >> 32) != 0) {
        add_beyond(connections, connection, direction, packet, billed_bytes);
        return;
    }
    *counters = (struct connection_counters){
        .l3_bytes = (uint32_t)l3_bytes,
        .billed_bytes = (uint32_t)billed,
        .packets = (uint16_t)packets,
        .l2_more = (uint16_t)l2_more,
    };
}

void flow_counters_ignore(struct connection_table *connections, struct connection *connection,
                          unsigned direction, uint64_t packets, uint64_t l3_bytes)
{
    struct connection_extra *extra = connection_table_extra(connections, connection);
    extra->beyond[direction].unseen_packets += packets;
    extra->beyond[direction].unseen_l3_bytes += l3_bytes;
}

/* Without what conntrack counts. */
static struct flow_counters sum_of(const struct connection *connection, unsigned direction)
{
    const struct connection_counters *counters = &connection->counters[direction];
    struct flow_counters sum = {
        .packets = counters->packets,
        .l2_bytes = l2_bytes_of(counters),
        .l3_bytes = counters->l3_bytes,
        .billed_bytes = counters->billed_bytes,
    };
    if (connection->extra) {
        const struct connection_beyond *beyond = &connection->extra->beyond[direction];
        sum.packets += beyond->packets;
        sum.l2_bytes += beyond->l2_bytes;
        sum.l3_bytes += beyond->l3_bytes;
        sum.billed_bytes += beyond->billed_bytes;
    }
    return sum;
}

void flow_counters_ignore_before(struct connection_table *connections,
                                 struct connection *connection, unsigned direction,
                                 const struct packet *packet)
{
    for (unsigned i = 0; i < FLOW_DIRECTIONS; i++) {
        struct flow_counters sum = sum_of(connection, i);
        if (i == direction) {
            sum.packets -= 1;
            sum.l3_bytes -= packet->l3_bytes;
        }
        if (sum.packets)
            flow_counters_ignore(connections, connection, i, sum.packets, sum.l3_bytes);
    }
}

void flow_counters_add_invalid(struct connection_table *connections, struct connection *connection)
{
    if (++connection->invalid_packets == 0)
        connection_table_extra(connections, connection)->invalid_packets += UINT8_MAX + 1;
}

void flow_counters_add_wan_change(struct connection_table *connections,
                                  struct connection *connection)
{
    if (++connection->wan_changes == 0)
        connection_table_extra(connections, connection)->wan_changes += UINT8_MAX + 1;
}

void flow_counters_read(const struct connection *connection, unsigned direction,
                        struct flow_counters *counters)
{
    *counters = sum_of(connection, direction);
    if (!(connection->status & STATUS_CONFIRMED))
        return;
    counters->ct_packets = counters->packets;
    counters->ct_l3_bytes = counters->l3_bytes;
    if (connection->extra) {
        counters->ct_packets -= connection->extra->beyond[direction].unseen_packets;
        counters->ct_l3_bytes -= connection->extra->beyond[direction].unseen_l3_bytes;
    }
}

uint32_t flow_counters_invalid(const struct connection *connection)
{
    return connection->invalid_packets +
           (connection->extra ? connection->extra->invalid_packets : 0);
}

uint32_t flow_counters_wan_changes(const struct connection *connection)
{
    return connection->wan_changes + (connection->extra ? connection->extra->wan_changes : 0);
}

void flow_counters_reset(struct connection *connection)
{
    memset(connection->counters, 0, sizeof connection->counters);
    connection->invalid_packets = 0;
    connection->wan_changes = 0;
    if (connection->extra) {
        memset(connection->extra->beyond, 0, sizeof connection->extra->beyond);
        connection->extra->invalid_packets = 0;
        connection->extra->wan_changes = 0;
    }
}
