#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/wan/wan_table.h"

static uint8_t fixed_direction(const char *text)
{
    if (text && strcmp(text, direction_name(DIRECTION_UP)) == 0)
        return DIRECTION_UP;
    if (text && strcmp(text, direction_name(DIRECTION_DOWN)) == 0)
        return DIRECTION_DOWN;
    return DIRECTION_NONE;
}

static size_t count_keys(const struct config *config, size_t *n_rules)
{
    size_t n_keys = 0;
    *n_rules = 0;
    for (size_t i = 0; i < config->n_wans; i++) {
        *n_rules += config->wans[i].n_matches;
        for (size_t k = 0; k < config->wans[i].n_matches; k++)
            n_keys += 1 + config->wans[i].matches[k].n_gateway_macs;
    }
    return n_keys;
}

static bool has_exact_key(const struct config_wan_match *match)
{
    return match->pppoe_session >= 0 || match->inner_vlan >= 0 || match->vlan >= 0 ||
           match->mpls_label >= 0 || match->n_gateway_macs || match->interface;
}

/* Files the rule under one of its exact keys, the most selective kind first. */
static void index_rule(struct wan_index *index, const struct config_wan_match *match,
                       uint32_t place)
{
    if (match->pppoe_session >= 0)
        wan_index_add(index, WAN_KEY_PPPOE_SESSION, (uint64_t)match->pppoe_session, place);
    else if (match->inner_vlan >= 0)
        wan_index_add(index, WAN_KEY_INNER_VLAN, (uint64_t)match->inner_vlan, place);
    else if (match->vlan >= 0)
        wan_index_add(index, WAN_KEY_VLAN, (uint64_t)match->vlan, place);
    else if (match->mpls_label >= 0)
        wan_index_add(index, WAN_KEY_MPLS_LABEL, (uint64_t)match->mpls_label, place);
    else if (match->n_gateway_macs)
        for (size_t i = 0; i < match->n_gateway_macs; i++)
            wan_index_add(index, WAN_KEY_MAC, wan_mac_value(match->gateway_macs[i].bytes), place);
    else if (match->interface)
        wan_index_add(index, WAN_KEY_INTERFACE, wan_name_value(match->interface), place);
}

static int add_rule(struct wan_table *table, const struct config_wan *wan, uint16_t wan_number,
                    const struct config_wan_match *match)
{
    struct wan_rule *rule = &table->rules[table->n_rules];
    rule->match = match;
    rule->wan = wan_number;
    size_t number = (size_t)(match - wan->matches);
    rule->number = (uint8_t)(number < WAN_MATCH_MAX ? number : WAN_MATCH_MAX);
    rule->zone = wan->zone;
    rule->direction = fixed_direction(wan->direction);
    rule->has_link_keys = has_exact_key(match) || match->n_pppoe_concentrators;
    if (!has_exact_key(match))
        table->keyless[table->n_keyless++] = (uint32_t)table->n_rules;
    table->n_rules++;
    char error[FILTER_ERROR_SIZE];
    if (match->filter && frame_filter_create(match->filter, &rule->filter, error) < 0)
        return -ENOMEM; /* that it compiles was checked with the configuration */
    return wan_prefixes_create(match->local_prefixes, match->n_local_prefixes, &rule->local);
}

static int compile_rules(struct wan_table *table, const struct config *config)
{
    size_t n_rules;
    size_t n_keys = count_keys(config, &n_rules);
    table->rules = calloc(n_rules + 1, sizeof *table->rules);
    table->keyless = calloc(n_rules + 1, sizeof *table->keyless);
    if (!table->rules || !table->keyless || wan_index_create(n_keys, &table->rule_index) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < config->n_wans; i++) {
        const struct config_wan *wan = &config->wans[i];
        for (size_t k = 0; k < wan->n_matches; k++)
            if (add_rule(table, wan, (uint16_t)(i + 1), &wan->matches[k]) < 0)
                return -ENOMEM;
    }
    for (size_t i = table->n_rules; i-- > 0;) /* the index gives the last one first */
        index_rule(&table->rule_index, table->rules[i].match, (uint32_t)i);
    return 0;
}

static int compile_sources(struct wan_table *table, const struct config *config)
{
    table->sources = calloc(config->n_sources + 1, sizeof *table->sources);
    if (!table->sources || wan_index_create(config->n_sources, &table->source_index) < 0)
        return -ENOMEM;
    table->n_sources = config->n_sources;
    for (size_t i = config->n_sources; i-- > 0;) {
        const struct config_source *source = &config->sources[i];
        table->sources[i] =
            (struct wan_source_rule){.interface = source->interface,
                                     .zone = source->zone,
                                     .direction = fixed_direction(source->direction)};
        wan_index_add(&table->source_index, WAN_KEY_INTERFACE, wan_name_value(source->interface),
                      (uint32_t)i);
    }
    return 0;
}

static int compile_accounts(struct wan_table *table, const struct config *config)
{
    size_t n_keys = 0;
    for (size_t i = 0; i < config->n_accounts; i++)
        n_keys += config->accounts[i].n_macs + config->accounts[i].n_vlans +
                  config->accounts[i].n_pppoe_sessions;
    struct wan_index *index = &table->account_index;
    if (wan_index_create(n_keys, index) < 0)
        return -ENOMEM;
    for (size_t i = config->n_accounts; i-- > 0;) {
        const struct config_account *account = &config->accounts[i];
        uint32_t number = (uint32_t)i + 1;
        for (size_t k = 0; k < account->n_macs; k++)
            wan_index_add(index, WAN_KEY_MAC, wan_mac_value(account->macs[k].bytes), number);
        for (size_t k = 0; k < account->n_vlans; k++)
            wan_index_add(index, WAN_KEY_VLAN, (uint64_t)account->vlans[k], number);
        for (size_t k = 0; k < account->n_pppoe_sessions; k++)
            wan_index_add(index, WAN_KEY_PPPOE_SESSION, (uint64_t)account->pppoe_sessions[k],
                          number);
    }
    return 0;
}

static int create_sessions(struct wan_table *table, const struct config *config)
{
    bool is_wanted = false;
    for (size_t i = 0; i < table->n_rules; i++)
        is_wanted |= table->rules[i].match->n_pppoe_concentrators > 0;
    table->needs_macs |= is_wanted;
    table->closes_sessions = config->capture.pppoe_padt;
    return is_wanted ? pppoe_sessions_create(&table->sessions) : 0;
}

static bool is_by_prefixes(const struct wan_table *table)
{
    for (size_t i = 0; i < table->n_rules; i++) {
        const struct wan_rule *rule = &table->rules[i];
        if (rule->has_link_keys || rule->filter || !wan_prefixes_has_any(&rule->local))
            return false;
    }
    return !table->account_index.kinds && !table->sessions;
}

int wan_table_create(const struct config *config, struct wan_table **out)
{
    struct wan_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    table->zone = (uint16_t)config->zone;
    if (wan_prefixes_create(config->local_prefixes, config->n_local_prefixes, &table->local) < 0 ||
        compile_rules(table, config) < 0 || compile_sources(table, config) < 0 ||
        compile_accounts(table, config) < 0) {
        wan_table_destroy(table);
        return -ENOMEM;
    }
    table->needs_interface =
        table->n_sources || wan_index_has(&table->rule_index, WAN_KEY_INTERFACE);
    table->needs_macs = wan_index_has(&table->account_index, WAN_KEY_MAC);
    for (size_t i = 0; i < table->n_rules; i++)
        table->needs_macs |= table->rules[i].match->n_gateway_macs > 0;
    if (create_sessions(table, config) < 0) {
        wan_table_destroy(table);
        return -ENOMEM;
    }
    table->is_by_prefixes = is_by_prefixes(table);
    *out = table;
    return 0;
}

void wan_table_destroy(struct wan_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_rules; i++) {
        wan_prefixes_destroy(&table->rules[i].local);
        frame_filter_destroy(table->rules[i].filter);
    }
    wan_prefixes_destroy(&table->local);
    pppoe_sessions_destroy(table->sessions);
    wan_index_destroy(&table->rule_index);
    wan_index_destroy(&table->source_index);
    wan_index_destroy(&table->account_index);
    free(table->rules);
    free(table->keyless);
    free(table->sources);
    free(table);
}
