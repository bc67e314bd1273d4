#include "capture/control_packets.h"

#include <errno.h>
#include <stdlib.h>

#include "common/ct_action.h"
#include "common/helper_ports.h"
#include "common/log.h"
#include "proto/filter.h"

enum { PROTOCOL_TCP = 6 };

/* A rule with helper=. */
struct helper_rule {
    struct filter *filter; /* NULL: every packet of the helper's protocol */
    enum helper_number helper;
};

struct control_packets {
    struct helper_ports *ports;
    struct helper_rule *rules;
    size_t n_rules;
};

static int add_rule(struct control_packets *control, const struct config_rule *rule,
                    enum helper_number helper)
{
    struct helper_rule *own = &control->rules[control->n_rules];
    char error[FILTER_ERROR_SIZE];
    own->helper = helper;
    int result = rule->match ? filter_create(rule->match, &own->filter, error) : 0;
    if (result == -EINVAL)
        log_error("rule '%s': %s", rule->match, error);
    control->n_rules += result == 0;
    return result;
}

static int add_rules(struct control_packets *control, const struct config *config)
{
    control->rules = calloc(config->n_rules + 1, sizeof *control->rules);
    int result = control->rules ? 0 : -ENOMEM;
    for (size_t i = 0; i < config->n_rules && result == 0; i++) {
        struct ct_action action;
        struct ct_complaint complaint;
        if (ct_action_read(config, config->rules[i].ct, &action, &complaint) &&
            action.attributes & CT_ACTION_HELPER)
            result = add_rule(control, &config->rules[i], (enum helper_number)action.helper);
    }
    return result;
}

int control_packets_create(const struct config *config, struct control_packets **out)
{
    *out = NULL;
    struct control_packets *control = calloc(1, sizeof *control);
    if (!control)
        return -ENOMEM;
    int result = helper_ports_create(config, &control->ports);
    if (result == 0)
        result = add_rules(control, config);
    if (result == 0 && (control->ports || control->n_rules > 0))
        *out = control;
    else
        control_packets_destroy(control);
    return result;
}

void control_packets_destroy(struct control_packets *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < control->n_rules; i++)
        filter_destroy(control->rules[i].filter);
    free(control->rules);
    helper_ports_destroy(control->ports);
    free(control);
}

static bool is_matched(const struct filter *filter, const struct packet *packet)
{
    struct filter_header header;
    if (!filter)
        return true;
    for (int is_swapped = 0; is_swapped < 2; is_swapped++) {
        filter_header_make(packet, is_swapped, &header);
        if (filter_matches(filter, &header))
            return true;
    }
    return false;
}

bool control_packets_has(const struct control_packets *control, const struct packet *packet)
{
    unsigned ip_version = packet->marks & PACKET_MARK_IPV6 ? 6 : 4;
    if (packet->class_index != CLASS_CONNECTION || !(packet->marks & PACKET_MARK_PORTS))
        return false;
    if (helper_ports_find(control->ports, packet->protocol, ip_version, packet->source_port) ||
        helper_ports_find(control->ports, packet->protocol, ip_version, packet->destination_port))
        return true;
    for (size_t i = 0; i < control->n_rules; i++) {
        const struct helper_rule *rule = &control->rules[i];
        if (helper_reads(rule->helper, packet->protocol, ip_version) &&
            is_matched(rule->filter, packet))
            return true;
    }
    return false;
}

bool control_packets_may_open(const struct packet *packet)
{
    return packet->parts & PACKET_PART_TCP && packet->class_index == CLASS_CONNECTION &&
           (packet->tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* A data offset that cannot be, or whose header is cut, leaves no payload. */
static uint32_t header_bytes_of(const struct layers *layers, uint8_t protocol)
{
    enum { TCP_HEADER_MIN = 20, TCP_OFFSET_AT = 12, UDP_HEADER_SIZE = 8 };
    if (protocol != PROTOCOL_TCP)
        return UDP_HEADER_SIZE;
    if (layers->transport_bytes < TCP_HEADER_MIN)
        return TCP_HEADER_MIN;
    uint32_t bytes = (layers->transport[TCP_OFFSET_AT] >> 4) * 4u;
    return bytes < TCP_HEADER_MIN ? layers->transport_bytes : bytes;
}

void control_packets_add_payload(const struct layers *layers, struct packet *packet)
{
    if (!layers->transport)
        return;
    uint32_t header_bytes = header_bytes_of(layers, packet->protocol);
    if (layers->transport_bytes <= header_bytes)
        return;
    uint32_t bytes = layers->transport_bytes - header_bytes;
    packet->payload = layers->transport + header_bytes;
    packet->payload_bytes = (uint16_t)(bytes < PACKET_PAYLOAD_MAX ? bytes : PACKET_PAYLOAD_MAX);
}
