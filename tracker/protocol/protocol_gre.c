/* GRE: a stream as soon as both directions were seen. A connection keeps the timeouts it began
 * with. Source: Linux nf_conntrack_proto_gre.c. */
#include "tracker/protocol.h"

static enum protocol_verdict on_packet(const struct protocol_context *context,
                                       struct connection *connection, unsigned direction,
                                       const struct packet *packet, int64_t *timeout_ns)
{
    (void)packet;
    struct gre_track *track = &connection->track.gre;
    if (connection->state == STATE_NONE)
        *track = (struct gre_track){context->timeouts->gre_unreplied_ns,
                                    context->timeouts->gre_stream_ns};
    protocol_see_direction(connection, direction);
    *timeout_ns = track->unreplied_ns;
    if ((connection->status & STATUS_SEEN_REPLY) != 0) {
        connection->status |= STATUS_ASSURED;
        *timeout_ns = track->stream_ns;
    }
    return VERDICT_ACCEPT;
}

const struct protocol protocol_gre = {"gre", on_packet};
