#include "capture/wan.h"

#include <string.h>

#include "capture/wan/wan_table.h"

/* What a frame is looked up by. */
struct keys {
    const struct layers *layers;
    const char *interface;
    uint64_t source_mac;
    uint64_t destination_mac;
    const struct packet *packet;
    const struct frame *frame;
    enum direction local; /* by the prefixes of the last rule that held, if it has some */
};

static bool has_mac(const struct config_wan_match *match, uint64_t mac)
{
    for (size_t i = 0; i < match->n_gateway_macs; i++)
        if (wan_mac_value(match->gateway_macs[i].bytes) == mac)
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
        uint64_t mac = wan_mac_value(match->pppoe_concentrators[i].bytes);
        if (!pppoe_sessions_has(table->sessions, mac, id))
            continue;
        if (mac == keys->destination_mac)
            return DIRECTION_UP;
        if (mac == keys->source_mac)
            return DIRECTION_DOWN;
    }
    return DIRECTION_NONE;
}

/* Does what the link layer says fit the rule? */
static bool link_holds(const struct wan_table *table, const struct wan_rule *rule,
                       const struct keys *keys)
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
    return !match->n_pppoe_concentrators ||
           concentrator_direction(table, match, keys) != DIRECTION_NONE;
}

static bool holds(const struct wan_table *table, const struct wan_rule *rule, struct keys *keys)
{
    if (rule->has_link_keys && !link_holds(table, rule, keys))
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
    return best_under(table, WAN_KEY_INTERFACE, table->interface_hash, keys, best);
}

/* NULL: none holds. */
static const struct wan_rule *find_rule(const struct wan_table *table, struct keys *keys)
{
    uint32_t best = table->rule_index.kinds ? find_by_key(table, keys) : (uint32_t)table->n_rules;
    for (size_t i = 0; i < table->n_keyless && table->keyless[i] < best; i++)
        if (holds(table, &table->rules[table->keyless[i]], keys))
            best = table->keyless[i];
    return best < table->n_rules ? &table->rules[best] : NULL;
}

static const struct wan_source_rule *find_source(const struct wan_table *table,
                                                 const char *interface)
{
    const struct wan_index *index = &table->source_index;
    const struct wan_index_entry *entry =
        wan_index_first(index, WAN_KEY_INTERFACE, table->interface_hash);
    for (; entry; entry = wan_index_next(index, entry))
        if (strcmp(table->sources[entry->place].interface, interface) == 0)
            return &table->sources[entry->place];
    return NULL;
}

/* A name stays at its place as long as its source is open, so the same place is the same name: most
 * frames come from where the last one came. */
static void look_at_interface(struct wan_table *table, const char *interface)
{
    table->interface = interface;
    table->interface_hash = wan_name_value(interface);
    table->source = table->n_sources ? find_source(table, interface) : NULL;
}

static enum direction find_direction(const struct wan_table *table, const struct wan_rule *rule,
                                     const struct wan_source_rule *source, const struct keys *keys)
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

static void set_zone(const struct wan_table *table, const struct wan_rule *rule,
                     struct packet *packet)
{
    if (rule && rule->zone >= 0)
        packet->zone = (uint16_t)rule->zone;
    else if (table->source && table->source->zone >= 0)
        packet->zone = (uint16_t)table->source->zone;
}

static void apply(const struct wan_table *table, struct keys *keys, struct packet *packet)
{
    const struct wan_rule *rule = table->n_rules ? find_rule(table, keys) : NULL;
    if (rule) {
        packet->wan = rule->wan;
        packet->wan_match = rule->number;
    }
    set_zone(table, rule, packet);
    packet->direction = (uint8_t)find_direction(table, rule, table->source, keys);
    if (table->account_index.kinds)
        packet->l2_account = find_account(table, keys);
}

/* The same where is_by_prefixes, in less than half the instructions. */
static inline void apply_prefixes(const struct wan_table *table, struct packet *packet)
{
    const struct wan_rule *rule = table->rules, *end = table->rules + table->n_rules;
    const struct wan_source_rule *source = table->source;
    int32_t zone = table->zone;
    enum direction direction = DIRECTION_NONE, fixed = DIRECTION_NONE;
    if (source) {
        zone = source->zone >= 0 ? source->zone : zone;
        fixed = source->direction;
    }
    while (rule < end && !(direction = wan_prefixes_direction(&rule->local, packet)))
        rule++;
    if (rule < end) {
        packet->wan = rule->wan;
        packet->wan_match = rule->number;
        zone = rule->zone >= 0 ? rule->zone : zone;
        fixed = rule->direction ? rule->direction : fixed;
    } else {
        packet->wan = 0;
        packet->wan_match = 0;
        direction = wan_prefixes_direction(&table->local, packet);
    }
    packet->zone = (uint16_t)zone;
    packet->direction = (uint8_t)(fixed ? fixed : direction);
    packet->l2_account = 0;
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

static __attribute__((noinline)) void apply_all(struct wan_table *table, const struct frame *frame,
                                                const struct layers *layers, struct packet *packet)
{
    struct keys keys = {
        .layers = layers, .interface = frame->interface, .packet = packet, .frame = frame};
    if (table->needs_macs && layers->source_mac)
        keys.source_mac = wan_mac_value(layers->source_mac);
    if (table->needs_macs && layers->destination_mac)
        keys.destination_mac = wan_mac_value(layers->destination_mac);
    if (table->sessions)
        note_sessions(table, &keys);
    apply(table, &keys, packet);
}

void wan_table_apply(struct wan_table *table, const struct frame *frame,
                     const struct layers *layers, struct packet *packet)
{
    if (table->needs_interface && frame->interface != table->interface)
        look_at_interface(table, frame->interface);
    if (table->is_by_prefixes) {
        apply_prefixes(table, packet);
        return;
    }
    packet->wan = 0;
    packet->wan_match = 0;
    packet->zone = table->zone;
    packet->direction = DIRECTION_NONE;
    packet->l2_account = 0;
    apply_all(table, frame, layers, packet);
}
