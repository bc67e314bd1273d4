#include "proto/rule_check.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_errors.h"
#include "common/config/config_rules.h"
#include "common/ct_action.h"
#include "proto/filter.h"
#include "proto/packet.h"

enum { EXPRESSION_SIZE = CONFIG_TEXT_MAX + 128 };

struct check {
    const struct config *config;
    size_t rule;
    struct config_errors *errors;
};

static const struct config_rule *rule_of(const struct check *check)
{
    return &check->config->rules[check->rule];
}

/* ---- the match ---- */

static void check_match(const struct check *check)
{
    const struct config_rule *rule = rule_of(check);
    struct filter *filter;
    char error[FILTER_ERROR_SIZE] = "out of memory";
    if (filter_create(rule->match, &filter, error) == 0) {
        filter_destroy(filter);
        return;
    }
    struct config_report report = {.what = error, .got = rule->match};
    if (filter_is_without_family(rule->match)) {
        report.what = "family unspecified: it matches neither IPv4 nor IPv6";
        report.expected = "an expression over IP packets";
    }
    config_rule_complain(check->config, check->rule, "match", &rule->match_place, 0, report,
                         check->errors);
}

/* May a packet that matches be of this protocol ("ip proto 6")? */
static bool may_be(const struct config_rule *rule, const char *family, int protocol)
{
    char expression[EXPRESSION_SIZE];
    snprintf(expression, sizeof expression, "(%s proto %d) and (%s)", family, protocol,
             rule->match);
    return !filter_is_impossible(expression);
}

static void complain_attribute(const struct check *check, const char *attribute,
                               struct config_report report)
{
    const struct config_rule *rule = rule_of(check);
    const char *at = strstr(rule->ct, attribute);
    size_t offset = at ? (size_t)(at - rule->ct) + strlen(attribute) : 0;
    config_rule_complain(check->config, check->rule, "ct", &rule->ct_place, offset, report,
                         check->errors);
}

/* ---- what needs a protocol ---- */

static void check_helper(const struct check *check, unsigned number)
{
    const struct config_rule *rule = rule_of(check);
    const struct helper_name *helper = &helper_names[number];
    bool is_of_protocol_4 = (helper->is_tcp && may_be(rule, "ip", IPPROTO_TCP)) ||
                            (helper->is_udp && may_be(rule, "ip", IPPROTO_UDP));
    bool is_of_protocol_6 = (helper->is_tcp && may_be(rule, "ip6", IPPROTO_TCP)) ||
                            (helper->is_udp && may_be(rule, "ip6", IPPROTO_UDP));
    if (is_of_protocol_4 || (is_of_protocol_6 && helper->is_for_ip6))
        return;
    struct config_report report = {
        .what = "helper of another protocol than the match",
        .got = helper->name,
        .expected = helper->is_tcp && helper->is_udp ? "a match that takes TCP or UDP"
                    : helper->is_tcp                 ? "a match that takes TCP"
                                                     : "a match that takes UDP",
    };
    if (is_of_protocol_6) {
        report.what = "helper of another family than the match";
        report.expected = "a match that takes IPv4";
    }
    complain_attribute(check, "helper=", report);
}

static int protocol_number(const char *l4)
{
    static const struct {
        const char *name;
        int number;
    } protocols[] = {
        {"tcp", IPPROTO_TCP},       {"udp", IPPROTO_UDP},   {"udplite", IPPROTO_UDPLITE},
        {"icmp", IPPROTO_ICMP},     {"sctp", IPPROTO_SCTP}, {"gre", IPPROTO_GRE},
        {"icmpv6", IPPROTO_ICMPV6},
    };
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i].name, l4) == 0)
            return protocols[i].number;
    return -1; /* generic: any */
}

static void check_timeout(const struct check *check, const char *name)
{
    const struct config *config = check->config;
    const struct config_timeout_policy *policy = config->timeout_policies;
    while (strcmp(policy->name ? policy->name : "", name) != 0)
        policy++; /* ct_action_read() found it there */
    int protocol = policy->l4 ? protocol_number(policy->l4) : -1;
    bool is_ip6 = protocol == IPPROTO_ICMPV6 || (policy->l3 && strcmp(policy->l3, "inet6") == 0);
    if (protocol < 0 || may_be(rule_of(check), is_ip6 ? "ip6" : "ip", protocol))
        return;
    bool is_of_protocol = may_be(rule_of(check), is_ip6 ? "ip" : "ip6", protocol);
    char expected[64];
    snprintf(expected, sizeof expected, "a match that takes %s over %s", policy->l4,
             is_ip6 ? "IPv6" : "IPv4");
    complain_attribute(
        check, "timeout=",
        (struct config_report){.what = is_of_protocol
                                           ? "timeout policy of another family than the match"
                                           : "timeout policy of another protocol than the match",
                               .got = name,
                               .expected = expected});
}

static void check_rule(const struct check *check)
{
    const struct config_rule *rule = rule_of(check);
    if (!rule->match)
        return;
    size_t n_errors = check->errors->n + check->errors->n_left_out;
    check_match(check);
    struct ct_action action;
    struct ct_complaint complaint;
    bool is_sound = n_errors == check->errors->n + check->errors->n_left_out && rule->ct &&
                    ct_action_read(check->config, rule->ct, &action, &complaint);
    if (is_sound && action.attributes & CT_ACTION_HELPER)
        check_helper(check, action.helper);
    if (is_sound && action.attributes & CT_ACTION_TIMEOUT)
        check_timeout(check, action.timeout);
}

static void check_class(const struct config *config, const char *name, struct config_errors *errors)
{
    char place[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(config->path, (struct config_place){0}, place);
    for (unsigned i = 0; i < CLASS_N; i++)
        if (strcmp(packet_class_name(i), name) == 0)
            config_errors_add(errors, &(struct config_report){.place = place,
                                                              .subject = "classes",
                                                              .what = "a class of wanmeter's own",
                                                              .got = name,
                                                              .expected = "another name"});
}

static void check_wan_filter(const struct config *config, const struct config_wan *wan,
                             const char *expression, struct config_errors *errors)
{
    struct frame_filter *filter;
    char subject[CONFIG_NAME_MAX + 32], error[FILTER_ERROR_SIZE] = "out of memory";
    if (frame_filter_create(expression, &filter, error) == 0) {
        frame_filter_destroy(filter);
        return;
    }
    snprintf(subject, sizeof subject, "wan '%.63s': filter", wan->name ? wan->name : "");
    char place[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(config->path, wan->place, place);
    config_errors_add(errors,
                      &(struct config_report){
                          .place = place, .subject = subject, .what = error, .got = expression});
}

static void check_wan_filters(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->n_wans; i++)
        for (size_t k = 0; k < config->wans[i].n_matches; k++)
            if (config->wans[i].matches[k].filter)
                check_wan_filter(config, &config->wans[i], config->wans[i].matches[k].filter,
                                 errors);
}

void rule_check(const struct config *config, struct config_errors *errors)
{
    check_wan_filters(config, errors);
    for (size_t i = 0; i < config->classes.n; i++)
        check_class(config, config->classes.items[i], errors);
    for (size_t i = 0; i < config->n_rules; i++)
        check_rule(&(struct check){.config = config, .rule = i, .errors = errors});
}
