#include "capture/wan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/wan/pppoe_sessions.h"
#include "capture/wan/wan_index.h"
#include "capture/wan/wan_prefixes.h"
#include "proto/filter.h"

/* A match of a WAN, in the order of the file over all WANs. */
struct rule {
    const struct config_wan_match *match;
    struct wan_prefixes local;
    struct frame_filter *filter; /* NULL: none */
    int32_t zone;
    uint16_t wan;
    uint8_t number;    /* among its WAN's, from 0; WAN_MATCH_MAX: that or a later one */
    uint8_t direction; /* DIRECTION_NONE: to be found out */
};

struct source_rule {
    const char *interface;
    int32_t zone;
    uint8_t direction;
};

struct wan_table {
    struct rule *rules;
    size_t n_rules;
    struct wan_index rule_index; /* each rule under its first exact key */
    uint32_t *keyless;           /* rules without one, in order */
    size_t n_keyless;
    struct source_rule *sources;
    size_t n_sources;
    struct wan_index source_index;
    struct wan_index account_index;
    struct wan_prefixes local;
    uint16_t zone;
    struct pppoe_sessions *sessions; /* NULL: none of the matches asks */
    bool closes_sessions;
    bool needs_interface; /* some key is of the kind */
    bool needs_macs;
    bool is_empty; /* nothing is configured: all frames get the same */
};

/* What a frame is looked up by. */
struct keys {
    const struct layers *layers;
    const char *interface;
    uint64_t interface_hash;
    uint64_t source_mac;
    uint64_t destination_mac;
    const struct packet *packet;
    const struct frame *frame;
    enum direction local; /* by the prefixes of the last rule that held, if it has some */
};

/* In two loads: six bytes copied into a number and read back as eight make the processor wait. */
static uint64_t mac_value(const uint8_t *bytes)
{
    uint32_t first;
    uint16_t last;
    memcpy(&first, bytes, sizeof first);
    memcpy(&last, bytes + sizeof first, sizeof last);
    return first | (uint64_t)last << 32;
}

/* FNV-1a: names are short. */
static uint64_t name_value(const char *name)
{
    uint32_t hash = 2166136261;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619;
    return hash;
}

/* ---- compiling ---- */

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
            wan_index_add(index, WAN_KEY_MAC, mac_value(match->gateway_macs[i].bytes), place);
    else if (match->interface)
        wan_index_add(index, WAN_KEY_INTERFACE, name_value(match->interface), place);
}

static int add_rule(struct wan_table *table, const struct config_wan *wan, uint16_t wan_number,
                    const struct config_wan_match *match)
{
    struct rule *rule = &table->rules[table->n_rules];
    rule->match = match;
    rule->wan = wan_number;
    size_t number = (size_t)(match - wan->matches);
    rule->number = (uint8_t)(number < WAN_MATCH_MAX ? number : WAN_MATCH_MAX);
    rule->zone = wan->zone;
    rule->direction = fixed_direction(wan->direction);
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
        table->sources[i] = (struct source_rule){.interface = source->interface,
                                                 .zone = source->zone,
                                                 .direction = fixed_direction(source->direction)};
        wan_index_add(&table->source_index, WAN_KEY_INTERFACE, name_value(source->interface),
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
            wan_index_add(index, WAN_KEY_MAC, mac_value(account->macs[k].bytes), number);
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
    table->is_empty = !table->n_rules && !table->n_sources && !table->account_index.kinds &&
                      !wan_prefixes_has_any(&table->local);
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

/* ---- matching ---- */

static bool has_mac(const struct config_wan_match *match, uint64_t mac)
{
    for (size_t i = 0; i < match->n_gateway_macs; i++)
        if (mac_value(match->gateway_macs[i].bytes) == mac)
            return true;
    return false;
}

/* Which end the concentrator that opened the frame's session is. */
static enum direction concentrator_direction(const struct wan_table *table,
                                             const struct config_wan_match *match,
                                             const struct keys *keys)
{
    const struct layers *layers = keys->layers;
    if (layers->pppoe_session < 0 || !layers->source_mac || !layers->destination_mac)
        return DIRECTION_NONE;
    uint16_t id = (uint16_t)layers->pppoe_session;
    for (size_t i = 0; i < match->n_pppoe_concentrators; i++) {
        uint64_t mac = mac_value(match->pppoe_concentrators[i].bytes);
        if (!pppoe_sessions_has(table->sessions, mac, id))
            continue;
        if (mac == keys->destination_mac)
            return DIRECTION_UP;
        if (mac == keys->source_mac)
            return DIRECTION_DOWN;
    }
    return DIRECTION_NONE;
}

static bool holds(const struct wan_table *table, const struct rule *rule, struct keys *keys)
{
    const struct config_wan_match *match = rule->match;
    const struct layers *layers = keys->layers;
    if ((match->vlan >= 0 && match->vlan != layers->vlan) ||
        (match->inner_vlan >= 0 && match->inner_vlan != layers->inner_vlan) ||
        (match->pppoe_session >= 0 && match->pppoe_session != layers->pppoe_session) ||
        (match->mpls_label >= 0 && match->mpls_label != layers->mpls_label))
        return false;
    if (match->interface && strcmp(match->interface, keys->interface) != 0)
        return false;
    if (match->n_gateway_macs && !(layers->source_mac && has_mac(match, keys->source_mac)) &&
        !(layers->destination_mac && has_mac(match, keys->destination_mac)))
        return false;
    if (match->n_pppoe_concentrators &&
        concentrator_direction(table, match, keys) == DIRECTION_NONE)
        return false;
    if (wan_prefixes_has_any(&rule->local)) {
        keys->local = wan_prefixes_direction(&rule->local, keys->packet);
        if (keys->local == DIRECTION_NONE)
            return false;
    }
    const struct frame *frame = keys->frame;
    return !rule->filter || frame_filter_matches(rule->filter, frame->link_type, frame->bytes,
                                                 frame->captured_bytes, frame->wire_bytes);
}

/* The first rule that holds of those filed under the key, if it is before 'best'; else 'best'. */
static uint32_t best_under(const struct wan_table *table, enum wan_key kind, uint64_t value,
                           struct keys *keys, uint32_t best)
{
    const struct wan_index *index = &table->rule_index;
    const struct wan_index_entry *entry =
        wan_index_has(index, kind) ? wan_index_first(index, kind, value) : NULL;
    for (; entry && entry->place < best; entry = wan_index_next(index, entry))
        if (holds(table, &table->rules[entry->place], keys))
            return entry->place;
    return best;
}

static uint32_t best_of_number(const struct wan_table *table, enum wan_key kind, int32_t number,
                               struct keys *keys, uint32_t best)
{
    return number >= 0 ? best_under(table, kind, (uint64_t)number, keys, best) : best;
}

/* The first rule that holds of those filed under the frame's keys. */
static uint32_t find_by_key(const struct wan_table *table, struct keys *keys)
{
    const struct layers *layers = keys->layers;
    uint32_t best = (uint32_t)table->n_rules;
    best = best_of_number(table, WAN_KEY_PPPOE_SESSION, layers->pppoe_session, keys, best);
    best = best_of_number(table, WAN_KEY_INNER_VLAN, layers->inner_vlan, keys, best);
    best = best_of_number(table, WAN_KEY_VLAN, layers->vlan, keys, best);
    best = best_of_number(table, WAN_KEY_MPLS_LABEL, layers->mpls_label, keys, best);
    if (layers->source_mac)
        best = best_under(table, WAN_KEY_MAC, keys->source_mac, keys, best);
    if (layers->destination_mac)
        best = best_under(table, WAN_KEY_MAC, keys->destination_mac, keys, best);
    return best_under(table, WAN_KEY_INTERFACE, keys->interface_hash, keys, best);
}

/* NULL: none holds. */
static const struct rule *find_rule(const struct wan_table *table, struct keys *keys)
{
    uint32_t best = table->rule_index.kinds ? find_by_key(table, keys) : (uint32_t)table->n_rules;
    for (size_t i = 0; i < table->n_keyless && table->keyless[i] < best; i++)
        if (holds(table, &table->rules[table->keyless[i]], keys))
            best = table->keyless[i];
    return best < table->n_rules ? &table->rules[best] : NULL;
}

static const struct source_rule *find_source(const struct wan_table *table, const struct keys *keys)
{
    const struct wan_index *index = &table->source_index;
    const struct wan_index_entry *entry =
        wan_index_first(index, WAN_KEY_INTERFACE, keys->interface_hash);
    for (; entry; entry = wan_index_next(index, entry))
        if (strcmp(table->sources[entry->place].interface, keys->interface) == 0)
            return &table->sources[entry->place];
    return NULL;
}

static enum direction find_direction(const struct wan_table *table, const struct rule *rule,
                                     const struct source_rule *source, const struct keys *keys)
{
    if (rule && rule->direction != DIRECTION_NONE)
        return rule->direction;
    if (source && source->direction != DIRECTION_NONE)
        return source->direction;
    if (rule && rule->match->n_gateway_macs) {
        if (keys->layers->destination_mac && has_mac(rule->match, keys->destination_mac))
            return DIRECTION_UP;
        if (keys->layers->source_mac && has_mac(rule->match, keys->source_mac))
            return DIRECTION_DOWN;
    }
    if (rule && rule->match->n_pppoe_concentrators)
        return concentrator_direction(table, rule->match, keys);
    if (rule && wan_prefixes_has_any(&rule->local))
        return keys->local; /* else it would not hold */
    return wan_prefixes_direction(&table->local, keys->packet);
}

static uint32_t account_under(const struct wan_table *table, enum wan_key kind, uint64_t value,
                              uint32_t best)
{
    const struct wan_index_entry *entry = wan_index_first(&table->account_index, kind, value);
    return entry && entry->place < best ? entry->place : best;
}

/* The number of the first account that the link layer names; 0: none. */
static uint16_t find_account(const struct wan_table *table, const struct keys *keys)
{
    const struct layers *layers = keys->layers;
    uint32_t best = UINT32_MAX;
    if (layers->source_mac)
        best = account_under(table, WAN_KEY_MAC, keys->source_mac, best);
    if (layers->destination_mac)
        best = account_under(table, WAN_KEY_MAC, keys->destination_mac, best);
    if (layers->vlan >= 0)
        best = account_under(table, WAN_KEY_VLAN, (uint64_t)layers->vlan, best);
    if (layers->pppoe_session >= 0)
        best = account_under(table, WAN_KEY_PPPOE_SESSION, (uint64_t)layers->pppoe_session, best);
    return best == UINT32_MAX ? 0 : (uint16_t)best;
}

static void apply(const struct wan_table *table, struct keys *keys, struct packet *packet)
{
    const struct rule *rule = table->n_rules ? find_rule(table, keys) : NULL;
    const struct source_rule *source = table->n_sources ? find_source(table, keys) : NULL;
    if (rule) {
        packet->wan = rule->wan;
        packet->wan_match = rule->number;
    }
    if (rule && rule->zone >= 0)
        packet->zone = (uint16_t)rule->zone;
    else if (source && source->zone >= 0)
        packet->zone = (uint16_t)source->zone;
    packet->direction = (uint8_t)find_direction(table, rule, source, keys);
    if (table->account_index.kinds)
        packet->l2_account = find_account(table, keys);
}

/* Whoever of the two ends a session: one of them is the concentrator. */
static void note_sessions(struct wan_table *table, const struct keys *keys)
{
    const struct layers *layers = keys->layers;
    if (!layers->source_mac || !layers->destination_mac)
        return;
    if (layers->pppoe_opened >= 0)
        pppoe_sessions_open(table->sessions, keys->source_mac, (uint16_t)layers->pppoe_opened);
    if (layers->pppoe_closed >= 0 && table->closes_sessions) {
        uint16_t id = (uint16_t)layers->pppoe_closed;
        pppoe_sessions_close(table->sessions, keys->source_mac, id);
        pppoe_sessions_close(table->sessions, keys->destination_mac, id);
    }
}

void wan_table_apply(struct wan_table *table, const struct frame *frame,
                     const struct layers *layers, struct packet *packet)
{
    packet->wan = 0;
    packet->wan_match = 0;
    packet->zone = table->zone;
    packet->direction = DIRECTION_NONE;
    packet->l2_account = 0;
    if (table->is_empty)
        return;
    struct keys keys = {
        .layers = layers, .interface = frame->interface, .packet = packet, .frame = frame};
    if (table->needs_interface)
        keys.interface_hash = name_value(frame->interface);
    if (table->needs_macs && layers->source_mac)
        keys.source_mac = mac_value(layers->source_mac);
    if (table->needs_macs && layers->destination_mac)
        keys.destination_mac = mac_value(layers->destination_mac);
    if (table->sessions)
        note_sessions(table, &keys);
    apply(table, &keys, packet);
}
