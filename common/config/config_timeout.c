#include "common/config/config_timeout.h"

#include <assert.h>
#include <string.h>

#include "common/config/config_errors.h"
#include "common/timeout_kind.h"

#define DAY_NS INT64_C(86400000000000)

/* Linux counts in 32 bits of ticks: at 250 a second, what is 99.4 days away is in the past. */
#define VALUE(name_, help_)                                                                        \
    {                                                                                              \
        .name = #name_, .type = CONFIG_DURATION,                                                   \
        .offset = offsetof(struct config_timeout_values, name_##_ns), .size = sizeof(int64_t),     \
        .max = 99 * DAY_NS, .is_billing = true, .help = (help_)                                    \
    }

static const struct config_option value_options[] = {
    VALUE(syn_sent, "tcp: a SYN was seen."),
    VALUE(syn_recv, "tcp: a SYN and its SYN-ACK were seen."),
    VALUE(established, "tcp, sctp: both sides are open."),
    VALUE(fin_wait, "tcp: one side sent its FIN."),
    VALUE(close_wait, "tcp: the other side acknowledged it."),
    VALUE(last_ack, "tcp: both sides sent their FIN."),
    VALUE(time_wait, "tcp: both FINs are acknowledged."),
    VALUE(close, "tcp: a RST was seen."),
    VALUE(syn_sent2, "tcp: both sides sent a SYN."),
    VALUE(retrans, "tcp: too many retransmissions without an answer."),
    VALUE(unacknowledged, "tcp: data without an acknowledgement."),
    VALUE(unreplied, "udp, udplite, gre: no reply, or a young connection."),
    VALUE(replied, "udp, udplite, gre: a stream both ways."),
    VALUE(timeout, "icmp, icmpv6, generic: the only one."),
    VALUE(closed, "sctp: closed."),
    VALUE(cookie_wait, "sctp: an INIT was seen."),
    VALUE(cookie_echoed, "sctp: a COOKIE ECHO was seen."),
    VALUE(shutdown_sent, "sctp: a SHUTDOWN of the client was seen."),
    VALUE(shutdown_recd, "sctp: a SHUTDOWN of the server was seen."),
    VALUE(shutdown_ack_sent, "sctp: a SHUTDOWN ACK was seen."),
    VALUE(heartbeat_sent, "sctp: a HEARTBEAT was the first seen."),
};

static const struct config_table value_table = {
    .options = value_options,
    .n_options = sizeof value_options / sizeof *value_options,
    .object_size = sizeof(struct config_timeout_values),
    .place_offset = offsetof(struct config_timeout_values, place),
};

#define TEXT(name_, ...)                                                                           \
    {                                                                                              \
        .name = #name_, .type = CONFIG_TEXT,                                                       \
        .offset = offsetof(struct config_timeout_policy, name_), .size = sizeof(char *),           \
        .is_billing = true, __VA_ARGS__                                                            \
    }

static const struct config_option policy_options[] = {
    TEXT(name, .min = 1, .max = TIMEOUT_POLICY_NAME_MAX, .is_valid = timeout_policy_is_name,
         .expected = "no spaces and no commas", .is_required = true,
         .help = "What rules and commands call it; no two policies share one."),
    TEXT(l3, .initial = "inet", .words = "inet inet6", .help = "IPv4 or IPv6."),
    TEXT(l4, .words = "tcp udp udplite icmp icmpv6 sctp gre generic", .is_required = true,
         .help = "The protocol of its connections; generic: all that have no name here."),
    {"values", CONFIG_MAP_LIST, .offset = offsetof(struct config_timeout_policy, values),
     .count_offset = offsetof(struct config_timeout_policy, n_values), .table = &value_table,
     .max = 1, .is_billing = true,
     .help = "A map of its timeouts; what is left out is as in timeouts."},
};

const struct config_table config_timeout_policy_table = {
    .options = policy_options,
    .n_options = sizeof policy_options / sizeof *policy_options,
    .object_size = sizeof(struct config_timeout_policy),
    .place_offset = offsetof(struct config_timeout_policy, place),
};

const char config_timeout_policies_example[] = "  - name: short\n"
                                               "    l4: tcp\n"
                                               "    values: {established: 2h, close: 4s}\n"
                                               "  - name: tunnels\n"
                                               "    l3: inet6\n"
                                               "    l4: generic\n"
                                               "    values: {timeout: 1h}\n";

int64_t config_timeout_policy_ns(const struct config_timeout_policy *policy, const char *name)
{
    const struct config_option *option = config_table_find(&value_table, name);
    if (!option || policy->n_values == 0)
        return -1;
    return *(const int64_t *)config_option_field(option, policy->values);
}

/* ---- what is checked ---- */

static void complain(const struct config *config, const struct config_timeout_policy *policy,
                     struct config_place where, struct config_report report,
                     struct config_errors *errors)
{
    char place[CONFIG_PLACE_TEXT_SIZE], subject[64];
    config_place_text(config->path, where, place);
    snprintf(subject, sizeof subject, "timeout policy '%.31s'", policy->name ? policy->name : "");
    report.place = place;
    report.subject = subject;
    config_errors_add(errors, &report);
}

static void check_values(const struct config *config, const struct config_timeout_policy *policy,
                         struct config_errors *errors)
{
    const struct timeout_kind *kind = policy->l4 ? timeout_kind_find(policy->l4) : NULL;
    char expected[TIMEOUT_KIND_NAMES_SIZE], what[32];
    if (!kind || policy->n_values == 0)
        return;
    timeout_kind_names(kind, expected);
    snprintf(what, sizeof what, "no timeout of %s", kind->name);
    for (size_t i = 0; i < value_table.n_options; i++) {
        const char *name = value_options[i].name;
        if (config_timeout_policy_ns(policy, name) < 0 || timeout_kind_value(kind, name))
            continue;
        struct config_suggestion suggestion;
        config_suggestion_init(&suggestion, name);
        for (size_t j = 0; j < kind->n_values; j++)
            config_suggestion_offer(&suggestion, kind->values[j].name,
                                    strlen(kind->values[j].name));
        complain(
            config, policy, policy->values->place,
            (struct config_report){
                .what = what, .got = name, .expected = expected, .suggestion = suggestion.word},
            errors);
    }
}

static void check_name(const struct config *config, size_t i, struct config_errors *errors)
{
    const struct config_timeout_policy *policy = &config->timeout_policies[i];
    for (size_t j = 0; policy->name && j < i; j++) {
        const struct config_timeout_policy *other = &config->timeout_policies[j];
        if (!other->name || strcmp(other->name, policy->name) != 0)
            continue;
        char what[64];
        snprintf(what, sizeof what, "the name of another policy, at %u:%u", other->place.line,
                 other->place.column);
        complain(config, policy, policy->place, (struct config_report){.what = what}, errors);
        return;
    }
}

void config_check_timeout_policies(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->n_timeout_policies; i++) {
        check_name(config, i, errors);
        check_values(config, &config->timeout_policies[i], errors);
    }
}
