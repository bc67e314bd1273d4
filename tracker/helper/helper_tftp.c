/* TFTP: the server answers a request from another port, to the port it came from (RFC 1350, section
 * 4). Source: Linux nf_conntrack_tftp.c. */
#include <string.h>

#include "tracker/helper.h"

enum { PROTOCOL_UDP = 17, READ_REQUEST = 1, WRITE_REQUEST = 2 };

static void on_packet(struct helper_step *step)
{
    const struct packet *packet = step->packet;
    if (packet->payload_bytes < 2)
        return;
    unsigned code = (unsigned)packet->payload[0] << 8 | packet->payload[1];
    if (code != READ_REQUEST && code != WRITE_REQUEST)
        return;
    bool is_reply = step->direction == FLOW_REPLY;
    struct expectation expected = helper_expectation(step, PROTOCOL_UDP, packet->source_port);
    expected.is_any_address = false;
    /* To the client, whoever wrote it. */
    const uint8_t *client = is_reply ? packet->destination_address : packet->source_address;
    const uint8_t *server = is_reply ? packet->source_address : packet->destination_address;
    memcpy(expected.key.destination_address, client, 16);
    memcpy(expected.key.source_address, server, 16);
    if (is_reply)
        expected.key.destination_port = packet->destination_port;
    helper_expect(step, &expected);
}

const struct helper helper_tftp = {
    .classes = {{.expectations_max = 1, .timeout_ns = 300 * INT64_C(1000000000)}},
    .on_packet = on_packet,
};
