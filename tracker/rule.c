#include "tracker/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "proto/filter.h"

enum { WAN_ANY = -1, ZONE_ANY = -1 };

struct rule {
    struct filter *filter; /* NULL: every packet */
    int32_t wan;           /* as in packets; WAN_ANY */
    int32_t zone;          /* that the packet is in; ZONE_ANY */
    unsigned moments;      /* bits: 1 << enum rule_moment */
    struct ct_action action;
};

struct rule_table {
    struct rule *rules;
    size_t n;
    unsigned moments; /* of all of them */
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

/* What the packet's zone has to be: that which the rule gave it, where it gives one. */
static int32_t zone_of(const struct config_rule *rule, const struct ct_action *action)
{
    return action->attributes & CT_ACTION_ZONE ? action->zone : rule->zone;
}

static unsigned moments_of(const char *state)
{
    if (!state)
        return 1u << RULE_NEW | 1u << RULE_RELATED;
    if (strcmp(state, "reply") == 0)
        return 1u << RULE_REPLY;
    return strcmp(state, "new") == 0 ? 1u << RULE_NEW : 1u << RULE_RELATED;
}

static int make_rule(const struct config *config, const struct config_rule *from, struct rule *rule)
{
    struct ct_complaint complaint;
    if (!ct_action_read(config, from->ct, &rule->action, &complaint)) {
        log_error("rule '%s': %s", from->ct, complaint.value.what);
        return -EINVAL;
    }
    rule->wan = wan_number(config, from->wan);
    rule->zone = zone_of(from, &rule->action);
    rule->moments = moments_of(from->state);
    char error[FILTER_ERROR_SIZE] = "out of memory";
    int result = from->match ? filter_create(from->match, &rule->filter, error) : 0;
    if (result < 0)
        log_error("rule '%s': %s", from->match, error);
    return result;
}

int rule_table_create(const struct config *config, struct rule_table **out)
{
    *out = NULL;
    if (config->n_rules == 0)
        return 0;
    struct rule_table *table = calloc(1, sizeof *table);
    if (table)
        table->rules = calloc(config->n_rules, sizeof *table->rules);
    if (!table || !table->rules) {
        free(table);
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->n_rules; i++) {
        int result = make_rule(config, &config->rules[i], &table->rules[table->n++]);
        table->moments |= table->rules[i].moments;
        if (result < 0) {
            rule_table_destroy(table);
            return result;
        }
    }
    *out = table;
    return 0;
}

void rule_table_destroy(struct rule_table *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->n; i++)
        filter_destroy(rules->rules[i].filter);
    free(rules->rules);
    free(rules);
}

static bool is_match(const struct rule *rule, const struct packet *packet, enum rule_moment moment,
                     const struct filter_header *header)
{
    return (rule->moments & 1u << moment) != 0 &&
           (rule->wan == WAN_ANY || rule->wan == packet->wan) &&
           (rule->zone == ZONE_ANY || rule->zone == packet->zone) &&
           (!rule->filter || filter_matches(rule->filter, header));
}

static void add_labels(struct ct_action *outcome, const struct ct_action *action)
{
    uint64_t labels[LABELS_SIZE / 8], masks[LABELS_SIZE / 8], others[LABELS_SIZE / 8];
    memcpy(others, outcome->labels, sizeof others);
    memcpy(labels, action->labels, sizeof labels);
    memcpy(masks, action->labels_mask, sizeof masks);
    for (size_t i = 0; i < LABELS_SIZE / 8; i++)
        others[i] = (others[i] & ~masks[i]) | labels[i];
    memcpy(outcome->labels, others, sizeof others);
    memcpy(others, outcome->labels_mask, sizeof others);
    for (size_t i = 0; i < LABELS_SIZE / 8; i++)
        others[i] |= masks[i];
    memcpy(outcome->labels_mask, others, sizeof others);
}

/* After 'action', what 'outcome' and it do together: bits that both write are the later one's. */
static void add_action(struct ct_action *outcome, const struct ct_action *action)
{
    outcome->attributes |= action->attributes;
    outcome->mark = (outcome->mark & ~action->mark_mask) | action->mark;
    outcome->mark_mask |= action->mark_mask;
    if (action->attributes & CT_ACTION_LABEL)
        add_labels(outcome, action);
    if (action->attributes & CT_ACTION_HELPER)
        outcome->helper = action->helper;
    if (action->attributes & CT_ACTION_TIMEOUT)
        outcome->timeout = action->timeout;
    if (action->attributes & CT_ACTION_ACCOUNT)
        outcome->account = action->account;
    if (action->attributes & CT_ACTION_CLASS)
        outcome->class_index = action->class_index;
}

bool rule_table_match(const struct rule_table *rules, const struct packet *packet,
                      enum rule_moment moment, struct ct_action *outcome)
{
    *outcome = (struct ct_action){0};
    if (!(rules->moments & 1u << moment))
        return false;
    struct filter_header header;
    filter_header_make(packet, false, &header);
    bool has_match = false;
    for (size_t i = 0; i < rules->n; i++) {
        if (!is_match(&rules->rules[i], packet, moment, &header))
            continue;
        add_action(outcome, &rules->rules[i].action);
        has_match = true;
    }
    return has_match;
}

const char *rule_table_timeout(const struct rule_table *rules, size_t i)
{
    for (size_t rule = 0; rules && rule < rules->n; rule++) {
        const struct ct_action *action = &rules->rules[rule].action;
        if (action->attributes & CT_ACTION_TIMEOUT && i-- == 0)
            return action->timeout;
    }
    return NULL;
}
