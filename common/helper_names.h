/* helper_names: the protocols whose control connections announce others, by name, as Linux's
 * nf_conntrack_helper modules call them. Source: net/netfilter/nf_conntrack_*.c. */
#ifndef WANMETER_COMMON_HELPER_NAMES_H
#define WANMETER_COMMON_HELPER_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum helper_number {
    HELPER_NONE,
    HELPER_FTP,
    HELPER_TFTP,
    HELPER_SIP,
    HELPER_IRC,
    HELPER_PPTP,
    HELPER_AMANDA,
    HELPER_N
};

struct helper_name {
    const char *name;
    uint16_t port;   /* where its servers listen, when nothing else is said */
    bool is_tcp;     /* runs over TCP */
    bool is_udp;     /* runs over UDP; SIP over either */
    bool is_for_ip6; /* and, beside IPv4, over IPv6 */
};

extern const struct helper_name helper_names[HELPER_N];

/* Is there such a helper ('number': enum helper_number), and is it for this protocol? */
bool helper_reads(unsigned number, uint8_t protocol, unsigned ip_version);

/* HELPER_NONE: unknown. */
enum helper_number helper_number_of(const char *name);

#endif
