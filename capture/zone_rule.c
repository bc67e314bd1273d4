#include "capture/zone_rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ct_action.h"
#include "common/log.h"
#include "proto/filter.h"

enum { WAN_ANY = -1, ZONE_ANY = -1 };

struct zone_rule {
    struct filter *filter; /* NULL: every packet */
    int32_t wan;
    int32_t zone_before;
    uint32_t attributes;
    uint16_t zone;
};

struct zone_rules {
    struct zone_rule *rules;
    size_t n;
};

static int32_t wan_number(const struct config *config, const char *name)
{
    if (!name)
        return WAN_ANY;
    for (size_t i = 0; i < config->n_wans; i++)
        if (strcmp(config->wans[i].name, name) == 0)
            return (int32_t)i + 1;
    return 0;
}

/* Adds the rule if it is one of ours. */
static int add_rule(const struct config *config, const struct config_rule *from,
                    struct zone_rules *rules)
{
    struct ct_action action;
    struct ct_complaint complaint;
    char error[FILTER_ERROR_SIZE] = "out of memory";
    if (!ct_action_read(config, from->ct, &action, &complaint)) {
        log_error("rule '%s': %s", from->ct, complaint.value.what);
        return -EINVAL;
    }
    if (!(action.attributes & CT_ACTION_BEFORE_LOOKUP))
        return 0;
    struct zone_rule *rule = &rules->rules[rules->n];
    *rule = (struct zone_rule){.wan = wan_number(config, from->wan),
                               .zone_before = from->zone,
                               .attributes = action.attributes,
                               .zone = action.zone};
    int result = from->match ? filter_create(from->match, &rule->filter, error) : 0;
    if (result < 0)
        log_error("rule '%s': %s", from->match, error);
    else
        rules->n++;
    return result;
}

int zone_rules_create(const struct config *config, struct zone_rules **out)
{
    *out = NULL;
    struct zone_rules *rules = calloc(1, sizeof *rules);
    if (rules)
        rules->rules = calloc(config->n_rules + 1, sizeof *rules->rules);
    int result = rules && rules->rules ? 0 : -ENOMEM;
    for (size_t i = 0; i < config->n_rules && result == 0; i++)
        result = add_rule(config, &config->rules[i], rules);
    if (result == 0 && rules->n > 0)
        *out = rules;
    else
        zone_rules_destroy(rules);
    return result;
}

void zone_rules_destroy(struct zone_rules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->n; i++)
        filter_destroy(rules->rules[i].filter);
    free(rules->rules);
    free(rules);
}

static bool is_match(const struct zone_rule *rule, const struct packet *packet,
                     const struct filter_header *header)
{
    return (rule->wan == WAN_ANY || rule->wan == packet->wan) &&
           (rule->zone_before == ZONE_ANY || rule->zone_before == packet->zone) &&
           (!rule->filter || filter_matches(rule->filter, header));
}

void zone_rules_apply(const struct zone_rules *rules, struct packet *packet)
{
    struct filter_header header;
    filter_header_make(packet, false, &header);
    for (size_t i = 0; i < rules->n; i++) {
        const struct zone_rule *rule = &rules->rules[i];
        if (!is_match(rule, packet, &header))
            continue;
        if (rule->attributes & CT_ACTION_ZONE) {
            packet->zone = rule->zone;
            packet->extra &= (uint16_t)~PACKET_UNTRACKED;
            return;
        }
        packet->extra |= PACKET_UNTRACKED;
    }
}
