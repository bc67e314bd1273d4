#include "tracker/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_SIZE = 16, LENGTH_MAX = 128, LENGTHS_MAX = 33 + 129, FAMILIES = 2 };

struct entry {
    uint64_t address[2]; /* its bits behind the prefix are 0 */
    uint16_t account;    /* 0: empty */
};

/* The prefixes of one family and length: open addressing, at most half full. */
struct length_table {
    uint64_t mask[2];
    struct entry *entries; /* mask_slots + 1, a power of two */
    size_t mask_slots;
};

struct account_table {
    struct length_table lengths[LENGTHS_MAX]; /* IPv4's, longest first; then IPv6's */
    size_t n_lengths[FAMILIES];
};

static size_t family_index(unsigned family)
{
    return family == 4 ? 0 : 1;
}

static const struct length_table *family_lengths(const struct account_table *table, size_t family)
{
    return family == 0 ? table->lengths : table->lengths + table->n_lengths[0];
}

/* As two words whose bytes are in network order, so that a mask of bytes does. */
static void address_load(unsigned family, const uint8_t *bytes, uint64_t address[2])
{
    address[0] = 0;
    address[1] = 0;
    memcpy(address, bytes, family == 4 ? 4 : ADDRESS_SIZE);
}

static void mask_make(unsigned length, uint64_t mask[2])
{
    uint8_t bytes[ADDRESS_SIZE] = {0};
    for (unsigned bit = 0; bit < length; bit++)
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | 0x80u >> bit % 8);
    memcpy(mask, bytes, sizeof(bytes));
}

/* The addresses that are looked up come from the wire, but where probing is long is decided by the
 * configuration alone: no key is needed. */
static size_t address_slot(const uint64_t address[2])
{
    uint64_t mixed = address[0] * 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 32 ^ address[1]) * 0xd6e8feb86659fd93;
    return (size_t)(mixed ^ mixed >> 32);
}

static struct entry *length_table_slot(const struct length_table *lengths,
                                       const uint64_t address[2])
{
    size_t slot = address_slot(address) & lengths->mask_slots;
    for (;;) {
        struct entry *entry = &lengths->entries[slot];
        if (entry->account == 0 ||
            (entry->address[0] == address[0] && entry->address[1] == address[1]))
            return entry;
        slot = (slot + 1) & lengths->mask_slots;
    }
}

/* ---- create ---- */

/* By family and length: how many prefixes there are, then which table has them. */
struct length_counts {
    size_t n[FAMILIES][LENGTH_MAX + 1];
    size_t number[FAMILIES][LENGTH_MAX + 1];
};

static void count_prefixes(const struct config *config, struct length_counts *counts)
{
    for (size_t i = 0; i < config->n_accounts; i++) {
        const struct config_account *account = &config->accounts[i];
        for (size_t k = 0; k < account->n_prefixes; k++)
            counts->n[family_index(account->prefixes[k].family)][account->prefixes[k].length]++;
    }
}

static int length_table_init(struct length_table *lengths, unsigned length, size_t n)
{
    size_t n_slots = 2;
    while (n_slots < 2 * n)
        n_slots *= 2;
    lengths->mask_slots = n_slots - 1;
    mask_make(length, lengths->mask);
    lengths->entries = calloc(n_slots, sizeof(*lengths->entries));
    return lengths->entries == NULL ? -ENOMEM : 0;
}

static int tables_init(struct account_table *table, struct length_counts *counts)
{
    size_t n_tables = 0;
    for (size_t family = 0; family < FAMILIES; family++) {
        for (unsigned length = LENGTH_MAX + 1; length-- > 0;) {
            size_t n = counts->n[family][length];
            if (n == 0)
                continue;
            counts->number[family][length] = n_tables;
            table->n_lengths[family]++;
            int result = length_table_init(&table->lengths[n_tables++], length, n);
            if (result < 0)
                return result;
        }
    }
    return 0;
}

static void add_prefix(struct length_table *lengths, const struct config_prefix *prefix,
                       uint16_t account)
{
    uint64_t address[2];
    address_load(prefix->family, prefix->address, address);
    address[0] &= lengths->mask[0];
    address[1] &= lengths->mask[1];
    struct entry *entry = length_table_slot(lengths, address);
    if (entry->account == 0)
        *entry = (struct entry){{address[0], address[1]}, account};
}

static void add_prefixes(struct account_table *table, const struct config *config,
                         const struct length_counts *counts)
{
    for (size_t i = 0; i < config->n_accounts; i++) {
        const struct config_account *account = &config->accounts[i];
        for (size_t k = 0; k < account->n_prefixes; k++) {
            const struct config_prefix *prefix = &account->prefixes[k];
            size_t number = counts->number[family_index(prefix->family)][prefix->length];
            add_prefix(&table->lengths[number], prefix, (uint16_t)(i + 1));
        }
    }
}

int account_table_create(const struct config *config, struct account_table **out)
{
    struct account_table *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return -ENOMEM;
    struct length_counts counts = {0};
    count_prefixes(config, &counts);
    int result = tables_init(table, &counts);
    if (result < 0) {
        account_table_destroy(table);
        return result;
    }
    add_prefixes(table, config, &counts);
    *out = table;
    return 0;
}

void account_table_destroy(struct account_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < LENGTHS_MAX; i++)
        free(table->lengths[i].entries);
    free(table);
}

/* ---- look up ---- */

uint16_t account_of_address(const struct account_table *table, unsigned family,
                            const uint8_t *address)
{
    size_t index = family_index(family);
    const struct length_table *lengths = family_lengths(table, index);
    uint64_t whole[2];
    address_load(family, address, whole);
    for (size_t i = 0; i < table->n_lengths[index]; i++) {
        const uint64_t masked[2] = {whole[0] & lengths[i].mask[0], whole[1] & lengths[i].mask[1]};
        uint16_t account = length_table_slot(&lengths[i], masked)->account;
        if (account != 0)
            return account;
    }
    return 0;
}

uint16_t account_of_packet(const struct account_table *table, const struct packet *packet)
{
    if (packet->l2_account != 0)
        return packet->l2_account;
    if (!packet_is_ip(packet))
        return 0;
    unsigned family = (packet->marks & PACKET_MARK_IPV4) != 0 ? 4 : 6;
    uint16_t account = 0;
    if (packet->direction != DIRECTION_DOWN)
        account = account_of_address(table, family, packet->source_address);
    if (account == 0 && packet->direction != DIRECTION_UP)
        account = account_of_address(table, family, packet->destination_address);
    return account;
}
