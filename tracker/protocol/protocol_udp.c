/* UDP and UDP-Lite. A query and its answer are short-lived; a connection is a stream, and assured,
 * once traffic goes on after the reply: for UDP not before it is 2 s old, for UDP-Lite at once.
 * Source: Linux nf_conntrack_proto_udp.c (6.18). */
#include "tracker/protocol.h"

enum { STREAM_AGE_NS = 2000000000 };

static enum protocol_verdict accept_stream(const struct protocol_context *context,
                                           struct connection *connection, int64_t *timeout_ns)
{
    connection->status |= STATUS_ASSURED;
    *timeout_ns = context->timeouts->udp_stream_ns;
    return VERDICT_ACCEPT;
}

static enum protocol_verdict accept_unreplied(const struct protocol_context *context,
                                              int64_t *timeout_ns)
{
    *timeout_ns = context->timeouts->udp_unreplied_ns;
    return VERDICT_ACCEPT;
}

static enum protocol_verdict on_udp(const struct protocol_context *context,
                                    struct connection *connection, unsigned direction,
                                    const struct packet *packet, int64_t *timeout_ns)
{
    if (connection->state == STATE_NONE)
        connection->track.young_until_ns = packet->clock_ns + STREAM_AGE_NS;
    protocol_see_direction(connection, direction);
    bool is_old = packet->clock_ns > connection->track.young_until_ns;
    if ((connection->status & STATUS_SEEN_REPLY) != 0 && is_old)
        return accept_stream(context, connection, timeout_ns);
    return accept_unreplied(context, timeout_ns);
}

static enum protocol_verdict on_udplite(const struct protocol_context *context,
                                        struct connection *connection, unsigned direction,
                                        const struct packet *packet, int64_t *timeout_ns)
{
    (void)packet;
    protocol_see_direction(connection, direction);
    if ((connection->status & STATUS_SEEN_REPLY) != 0)
        return accept_stream(context, connection, timeout_ns);
    return accept_unreplied(context, timeout_ns);
}

const struct protocol protocol_udp = {"udp", on_udp};
const struct protocol protocol_udplite = {"udplite", on_udplite};
