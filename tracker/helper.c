#include "tracker/helper.h"

#include <assert.h>
#include <string.h>

static const struct helper *const helpers[HELPER_N] = {
    [HELPER_FTP] = &helper_ftp, [HELPER_TFTP] = &helper_tftp, [HELPER_SIP] = &helper_sip,
    [HELPER_IRC] = &helper_irc, [HELPER_PPTP] = &helper_pptp, [HELPER_AMANDA] = &helper_amanda,
};

const struct helper *helper_of(unsigned number)
{
    assert(number > HELPER_NONE && number < HELPER_N);
    return helpers[number];
}

struct expectation helper_expectation(const struct helper_step *step, uint8_t protocol,
                                      uint16_t port)
{
    const struct packet *packet = step->packet;
    struct expectation expectation = {
        .key = {.destination_port = port,
                .zone = packet->zone,
                .protocol = protocol,
                .ip_version = packet->marks & PACKET_MARK_IPV6 ? 6 : 4},
        .is_any_address = true,
        .is_any_port = true,
        .master = step->connection,
    };
    memcpy(expectation.key.destination_address, packet->source_address, 16);
    return expectation;
}

void helper_expect_from_peer(const struct helper_step *step, struct expectation *expectation)
{
    expectation->is_any_address = false;
    memcpy(expectation->key.source_address, step->packet->destination_address, 16);
}

enum expectation_result helper_expect(struct helper_step *step,
                                      const struct expectation *expectation)
{
    const struct helper *helper = helper_of(step->connection->extra->helper_number);
    return expectation_table_add(step->expectations, expectation,
                                 &helper->classes[expectation->class_index],
                                 step->packet->clock_ns);
}
