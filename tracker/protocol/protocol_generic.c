/* Protocols of which only the addresses are known (ESP, AH, OSPF, IP in IP, DCCP, …): one timeout,
 * never assured. Source: Linux nf_conntrack_proto_generic.c. */
#include "tracker/protocol.h"

static enum protocol_verdict on_packet(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns)
{
    (void)packet;
    protocol_see_direction(connection, direction);
    *timeout_ns = context->timeouts->generic_ns;
    return VERDICT_ACCEPT;
}

const struct protocol protocol_generic = {"generic", on_packet};
