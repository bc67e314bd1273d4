#include "common/helper_ports.h"

#include <errno.h>
#include <stdlib.h>

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

static void add_helper(struct helper_ports *ports, const struct config_helper *helper)
{
    enum helper_number number = helper_number_of(helper->name);
    for (size_t i = 0; i < config_helper_ports(helper); i++) {
        uint16_t port = config_helper_port(helper, i);
        if (helper_names[number].is_tcp)
            ports->tcp[port] = (uint8_t)number;
        if (helper_names[number].is_udp)
            ports->udp[port] = (uint8_t)number;
    }
}

int helper_ports_create(const struct config *config, struct helper_ports **out)
{
    *out = NULL;
    if (config->n_helpers == 0)
        return 0;
    struct helper_ports *ports = calloc(1, sizeof *ports);
    if (!ports)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_helpers; i++)
        add_helper(ports, &config->helpers[i]);
    *out = ports;
    return 0;
}

void helper_ports_destroy(struct helper_ports *ports)
{
    free(ports);
}

enum helper_number helper_ports_find(const struct helper_ports *ports, uint8_t protocol,
                                     unsigned ip_version, uint16_t port)
{
    if (!ports || (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP))
        return HELPER_NONE;
    enum helper_number number =
        (enum helper_number)(protocol == PROTOCOL_TCP ? ports->tcp[port] : ports->udp[port]);
    return ip_version == 4 || helper_names[number].is_for_ip6 ? number : HELPER_NONE;
}
