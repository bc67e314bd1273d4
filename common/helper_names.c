#include "common/helper_names.h"

#include <assert.h>
#include <string.h>

enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

const struct helper_name helper_names[HELPER_N] = {
    [HELPER_NONE] = {"none", 0, false, false, false},
    [HELPER_FTP] = {"ftp", 21, true, false, true},
    [HELPER_TFTP] = {"tftp", 69, false, true, true},
    [HELPER_SIP] = {"sip", 5060, true, true, true},
    [HELPER_IRC] = {"irc", 6667, true, false, false},
    [HELPER_PPTP] = {"pptp", 1723, true, false, false},
    [HELPER_AMANDA] = {"amanda", 10080, false, true, true},
};

enum helper_number helper_number_of(const char *name)
{
    for (int i = HELPER_NONE + 1; i < HELPER_N; i++)
        if (strcmp(helper_names[i].name, name) == 0)
            return (enum helper_number)i;
    return HELPER_NONE;
}

bool helper_reads(unsigned number, uint8_t protocol, unsigned ip_version)
{
    assert(number < HELPER_N);
    const struct helper_name *name = &helper_names[number];
    bool is_of_transport =
        (protocol == PROTOCOL_TCP && name->is_tcp) || (protocol == PROTOCOL_UDP && name->is_udp);
    return is_of_transport && (ip_version == 4 || name->is_for_ip6);
}
