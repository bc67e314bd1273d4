#include "common/timeout_kind.h"

#include <stdio.h>
#include <string.h>

#include "common/config/config_utf8.h"

#define VALUE(name_, member)                                                                       \
    {                                                                                              \
        .name = #name_, .offset = offsetof(struct timeouts, member##_ns)                           \
    }
#define VALUES(...)                                                                                \
    .n_values =                                                                                    \
        sizeof((const struct timeout_value[]){__VA_ARGS__}) / sizeof(struct timeout_value),        \
    .values = {__VA_ARGS__}

const struct timeout_kind timeout_kinds[] = {
    {"tcp", 6,
     VALUES(VALUE(syn_sent, tcp_syn_sent), VALUE(syn_recv, tcp_syn_recv),
            VALUE(established, tcp_established), VALUE(fin_wait, tcp_fin_wait),
            VALUE(close_wait, tcp_close_wait), VALUE(last_ack, tcp_last_ack),
            VALUE(time_wait, tcp_time_wait), VALUE(close, tcp_close),
            VALUE(syn_sent2, tcp_syn_sent2), VALUE(retrans, tcp_max_retrans),
            VALUE(unacknowledged, tcp_unacknowledged))},
    {"udp", 17, VALUES(VALUE(unreplied, udp_unreplied), VALUE(replied, udp_stream))},
    {"udplite", 136, VALUES(VALUE(unreplied, udp_unreplied), VALUE(replied, udp_stream))},
    {"icmp", 1, VALUES(VALUE(timeout, icmp))},
    {"icmpv6", 58, VALUES(VALUE(timeout, icmpv6))},
    {"sctp", 132,
     VALUES(VALUE(closed, sctp_closed), VALUE(cookie_wait, sctp_cookie_wait),
            VALUE(cookie_echoed, sctp_cookie_echoed), VALUE(established, sctp_established),
            VALUE(shutdown_sent, sctp_shutdown_sent), VALUE(shutdown_recd, sctp_shutdown_recd),
            VALUE(shutdown_ack_sent, sctp_shutdown_ack_sent),
            VALUE(heartbeat_sent, sctp_heartbeat_sent))},
    {"gre", 47, VALUES(VALUE(unreplied, gre_unreplied), VALUE(replied, gre_stream))},
    {"generic", TIMEOUT_GENERIC, VALUES(VALUE(timeout, generic))},
};
const size_t timeout_kinds_n = sizeof timeout_kinds / sizeof *timeout_kinds;

const struct timeout_kind *timeout_kind_find(const char *name)
{
    for (size_t i = 0; i < timeout_kinds_n; i++) {
        char number[4];
        snprintf(number, sizeof number, "%u", timeout_kinds[i].protocol);
        if (strcmp(timeout_kinds[i].name, name) == 0 || strcmp(number, name) == 0)
            return &timeout_kinds[i];
    }
    return NULL;
}

const struct timeout_kind *timeout_kind_of(uint8_t protocol)
{
    size_t i = 0;
    while (timeout_kinds[i].protocol != protocol && timeout_kinds[i].protocol != TIMEOUT_GENERIC)
        i++;
    return &timeout_kinds[i];
}

const struct timeout_value *timeout_kind_value(const struct timeout_kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->n_values; i++)
        if (strcmp(kind->values[i].name, name) == 0)
            return &kind->values[i];
    return NULL;
}

void timeout_kind_names(const struct timeout_kind *kind, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < kind->n_values; i++)
        used += (size_t)snprintf(out + used, TIMEOUT_KIND_NAMES_SIZE - used, "%s%s", i ? ", " : "",
                                 kind->values[i].name);
}

bool timeout_policy_is_name(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= TIMEOUT_POLICY_NAME_MAX && !strpbrk(text, " ,") &&
           config_utf8_is_text(text);
}
