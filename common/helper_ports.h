/* helper_ports: which helper reads connections to a port, as 'helpers:' says.
 *
 *     helper_ports_create(&config, &ports);
 *     number = helper_ports_find(ports, protocol, ip_version, port);
 *     helper_ports_destroy(ports); */
#ifndef WANMETER_COMMON_HELPER_PORTS_H
#define WANMETER_COMMON_HELPER_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/helper_names.h"

struct helper_ports {
    uint8_t tcp[65536]; /* enum helper_number, by port */
    uint8_t udp[65536];
};

/* '*out' is NULL where no helper is configured. 0 or -ENOMEM. */
int helper_ports_create(const struct config *config, struct helper_ports **out);
void helper_ports_destroy(struct helper_ports *ports); /* accepts NULL */

/* HELPER_NONE also where 'ports' is NULL. 'protocol': IANA number; 'ip_version': 4 or 6. */
enum helper_number helper_ports_find(const struct helper_ports *ports, uint8_t protocol,
                                     unsigned ip_version, uint16_t port);

#endif
