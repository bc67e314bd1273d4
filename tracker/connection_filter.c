#include "tracker/connection_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/ct_action.h"

enum key {
    KEY_ID = 1 << 0,
    KEY_FAMILY = 1 << 1,
    KEY_SOURCE = 1 << 2,
    KEY_DESTINATION = 1 << 3,
    KEY_PROTOCOL = 1 << 4,
    KEY_SOURCE_PORT = 1 << 5,
    KEY_DESTINATION_PORT = 1 << 6,
    KEY_ZONE = 1 << 7,
    KEY_MARK = 1 << 8,
    KEY_LABELS = 1 << 9,
    KEY_STATE = 1 << 10,
    KEY_WAN = 1 << 11,
    KEY_ACCOUNT = 1 << 12,
};

/* A word's value on its way into the filter. */
struct reading {
    const struct connection_names *names;
    const char *value;
    struct connection_filter *filter;
};

static bool read_number(const char *text, int base, uint64_t max, uint64_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, base);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value > max)
        return false;
    *number = value;
    return true;
}

static bool read_u16(const char *text, uint16_t *out)
{
    uint64_t number;
    if (!read_number(text, 0, UINT16_MAX, &number))
        return false;
    *out = (uint16_t)number;
    return true;
}

/* As conntrack prints it, or as the database has it: the same 64 bits with a sign. */
static bool read_id(struct reading *reading)
{
    bool is_negative = reading->value[0] == '-';
    if (!read_number(reading->value + is_negative, 10, UINT64_MAX, &reading->filter->id))
        return false;
    if (is_negative)
        reading->filter->id = -reading->filter->id;
    return true;
}

static bool read_family(struct reading *reading)
{
    bool is_4 = strcmp(reading->value, "ipv4") == 0, is_6 = strcmp(reading->value, "ipv6") == 0;
    reading->filter->ip_version = is_6 ? 6 : 4;
    return is_4 || is_6;
}

static bool read_prefix(const char *text, struct config_prefix *prefix)
{
    char address[64];
    size_t length = strcspn(text, "/");
    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    *prefix = (struct config_prefix){.family = strchr(address, ':') ? 6 : 4};
    uint64_t bits = prefix->family == 6 ? 128 : 32;
    if (inet_pton(prefix->family == 6 ? AF_INET6 : AF_INET, address, prefix->address) != 1)
        return false;
    if (text[length] == '/' && !read_number(text + length + 1, 10, bits, &bits))
        return false;
    prefix->length = (uint8_t)bits;
    return true;
}

static bool read_source(struct reading *reading)
{
    return read_prefix(reading->value, &reading->filter->source);
}

static bool read_destination(struct reading *reading)
{
    return read_prefix(reading->value, &reading->filter->destination);
}

static bool read_protocol(struct reading *reading)
{
    uint64_t number;
    if (!read_number(reading->value, 10, UINT8_MAX, &number))
        return false;
    reading->filter->protocol = (uint8_t)number;
    return true;
}

static bool read_source_port(struct reading *reading)
{
    return read_u16(reading->value, &reading->filter->source_port);
}

static bool read_destination_port(struct reading *reading)
{
    return read_u16(reading->value, &reading->filter->destination_port);
}

static bool read_zone(struct reading *reading)
{
    return read_u16(reading->value, &reading->filter->zone);
}

static bool read_mark(struct reading *reading)
{
    struct config_complaint complaint;
    return ct_mark_read(reading->value, &reading->filter->mark, &reading->filter->mark_mask,
                        &complaint);
}

static bool read_labels(struct reading *reading)
{
    struct config_complaint complaint;
    uint8_t mask[LABELS_SIZE];
    return ct_labels_read(reading->names->labels, reading->value, reading->filter->labels, mask,
                          &complaint);
}

static bool read_state(struct reading *reading)
{
    for (unsigned state = STATE_FIRST; state < STATE_N; state++)
        if (strcasecmp(connection_state_name(state), reading->value) == 0) {
            reading->filter->state = (uint8_t)state;
            return true;
        }
    return false;
}

static bool read_status(struct reading *reading)
{
    static const struct {
        const char *name;
        uint32_t set, clear;
    } words[] = {
        {"expected", STATUS_EXPECTED, 0},    {"seen_reply", STATUS_SEEN_REPLY, 0},
        {"assured", STATUS_ASSURED, 0},      {"confirmed", STATUS_CONFIRMED, 0},
        {"unreplied", 0, STATUS_SEEN_REPLY},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(words[i].name, reading->value) == 0) {
            reading->filter->status_set |= words[i].set;
            reading->filter->status_clear |= words[i].clear;
            return true;
        }
    return false;
}

static bool read_wan(struct reading *reading)
{
    const struct config *config = reading->names->config;
    for (size_t i = 0; i < config->n_wans; i++)
        if (strcmp(config->wans[i].name, reading->value) == 0) {
            reading->filter->wan = (uint16_t)(i + 1);
            return true;
        }
    return strcmp(reading->value, "none") == 0;
}

static bool read_account(struct reading *reading)
{
    reading->filter->account = account_names_find(reading->names->accounts, reading->value);
    return reading->filter->account || strcmp(reading->value, "none") == 0;
}

/* Without NAT the reply's source is the original's destination. */
static const struct filter_word {
    const char *name;
    uint32_t key;
    bool (*read)(struct reading *reading);
    const char *expected;
} filter_words[] = {
    {"id", KEY_ID, read_id, "a connection's id"},
    {"family", KEY_FAMILY, read_family, "ipv4 or ipv6"},
    {"src", KEY_SOURCE, read_source, "an address, or ADDRESS/LENGTH"},
    {"dst", KEY_DESTINATION, read_destination, "an address, or ADDRESS/LENGTH"},
    {"reply-src", KEY_DESTINATION, read_destination, "an address, or ADDRESS/LENGTH"},
    {"reply-dst", KEY_SOURCE, read_source, "an address, or ADDRESS/LENGTH"},
    {"proto", KEY_PROTOCOL, read_protocol, "a protocol's number"},
    {"sport", KEY_SOURCE_PORT, read_source_port, "0 to 65535"},
    {"dport", KEY_DESTINATION_PORT, read_destination_port, "0 to 65535"},
    {"zone", KEY_ZONE, read_zone, "0 to 65535"},
    {"mark", KEY_MARK, read_mark, "VALUE or VALUE/MASK"},
    {"label", KEY_LABELS, read_labels, "a label's name, or bits as 0x…"},
    {"state", KEY_STATE, read_state, "a state, such as ESTABLISHED"},
    {"status", 0, read_status, "assured, seen_reply, unreplied, expected or confirmed"},
    {"wan", KEY_WAN, read_wan, "the name of a WAN, or none"},
    {"account", KEY_ACCOUNT, read_account, "the name of an account, or none"},
};

static const struct filter_word *find_word(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof filter_words / sizeof *filter_words; i++)
        if (strlen(filter_words[i].name) == length &&
            memcmp(filter_words[i].name, text, length) == 0)
            return &filter_words[i];
    return NULL;
}

bool connection_filter_read(const struct connection_names *names, const char *const *words,
                            size_t n_words, struct connection_filter *filter,
                            char error[CONNECTION_FILTER_ERROR_SIZE])
{
    *filter = (struct connection_filter){0};
    for (size_t i = 0; i < n_words; i++) {
        size_t length = strcspn(words[i], "=");
        const struct filter_word *word = find_word(words[i], length);
        if (!word || words[i][length] != '=') {
            snprintf(error, CONNECTION_FILTER_ERROR_SIZE, "unknown filter '%.64s'", words[i]);
            return false;
        }
        struct reading reading = {names, words[i] + length + 1, filter};
        if (!word->read(&reading)) {
            snprintf(error, CONNECTION_FILTER_ERROR_SIZE, "%s: got '%.64s', expected %s",
                     word->name, reading.value, word->expected);
            return false;
        }
        filter->keys |= word->key;
    }
    return true;
}

/* ---- matching ---- */

static bool is_within(const struct config_prefix *prefix, uint8_t ip_version,
                      const uint8_t address[16])
{
    unsigned whole = prefix->length / 8, rest = prefix->length % 8;
    if (prefix->family != ip_version || memcmp(prefix->address, address, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return rest == 0 || ((prefix->address[whole] ^ address[whole]) & mask) == 0;
}

static bool has_labels(const struct connection_traits *traits, const uint8_t labels[LABELS_SIZE])
{
    for (size_t i = 0; i < LABELS_SIZE; i++)
        if ((traits->labels[i] & labels[i]) != labels[i])
            return false;
    return true;
}

static bool tuple_matches(const struct connection_filter *filter,
                          const struct connection_table *connections,
                          const struct connection *connection)
{
    struct tuple whole;
    connection_table_tuple(connections, connection, &whole);
    const struct tuple *tuple = &whole;
    bool is_high = connection->original_end == ORIGINAL_IS_HIGH;
    uint32_t keys = filter->keys;
    bool has_ports = tuple->has_ports != 0;
    return (!(keys & KEY_FAMILY) || tuple->ip_version == filter->ip_version) &&
           (!(keys & KEY_PROTOCOL) || tuple->protocol == filter->protocol) &&
           (!(keys & KEY_ZONE) || tuple->zone == filter->zone) &&
           (!(keys & KEY_SOURCE) ||
            is_within(&filter->source, tuple->ip_version,
                      is_high ? tuple->high_address : tuple->low_address)) &&
           (!(keys & KEY_DESTINATION) ||
            is_within(&filter->destination, tuple->ip_version,
                      is_high ? tuple->low_address : tuple->high_address)) &&
           (!(keys & KEY_SOURCE_PORT) ||
            (has_ports &&
             filter->source_port == (is_high ? tuple_high_port(tuple) : tuple->low_port))) &&
           (!(keys & KEY_DESTINATION_PORT) ||
            (has_ports &&
             filter->destination_port == (is_high ? tuple->low_port : tuple_high_port(tuple))));
}

bool connection_filter_matches(const struct connection_filter *filter,
                               const struct connection_table *connections,
                               const struct connection *connection)
{
    uint32_t keys = filter->keys;
    const struct connection_traits *traits = connection_table_traits(connections, connection);
    return (connection->status & STATUS_CONFIRMED) != 0 &&
           (!(keys & KEY_ID) || connection_table_id(connections, connection) == filter->id) &&
           (connection->status & filter->status_set) == filter->status_set &&
           (connection->status & filter->status_clear) == 0 &&
           (!(keys & KEY_MARK) || ((traits->mark ^ filter->mark) & filter->mark_mask) == 0) &&
           (!(keys & KEY_STATE) || connection->state == filter->state) &&
           (!(keys & KEY_WAN) || connection->wan == filter->wan) &&
           (!(keys & KEY_ACCOUNT) || connection->account == filter->account) &&
           tuple_matches(filter, connections, connection) &&
           (!(keys & KEY_LABELS) || has_labels(traits, filter->labels));
}
