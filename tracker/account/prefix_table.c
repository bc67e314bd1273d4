#include "tracker/account/prefix_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS_SIZE = 16, SLOTS_FIRST = 2 };

static size_t family_index(unsigned family)
{
    return family == 4 ? 0 : 1;
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
    memcpy(mask, bytes, sizeof bytes);
}

/* The halves of a product of 128 bits, of two words that only this process knows. */
static size_t address_slot(const struct prefix_table *table, const uint64_t address[2])
{
    __extension__ unsigned __int128 product =
        (unsigned __int128)(address[0] ^ table->key[0]) * (address[1] ^ table->key[1]);
    return (size_t)((uint64_t)product ^ (uint64_t)(product >> 64));
}

/* Where the address is, or would be. */
static struct prefix_entry *length_slot(const struct prefix_table *table,
                                        const struct prefix_length *length,
                                        const uint64_t address[2])
{
    size_t slot = address_slot(table, address) & length->slots_mask;
    for (;;) {
        struct prefix_entry *entry = &length->entries[slot];
        if (entry->owner.account == 0 ||
            (entry->address[0] == address[0] && entry->address[1] == address[1]))
            return entry;
        slot = (slot + 1) & length->slots_mask;
    }
}

void prefix_table_init(struct prefix_table *table)
{
    memset(table, 0, sizeof *table);
    randombytes_buf(table->key, sizeof table->key);
}

void prefix_table_deinit(struct prefix_table *table)
{
    for (size_t family = 0; family < PREFIX_FAMILIES; family++)
        for (size_t i = 0; i < table->n_lengths[family]; i++)
            free(table->lengths[family][i].entries);
    memset(table, 0, sizeof *table);
}

/* ---- look up ---- */

uint16_t prefix_table_lookup(const struct prefix_table *table, unsigned family,
                             const uint8_t *address)
{
    size_t index = family_index(family);
    const struct prefix_length *lengths = table->lengths[index];
    uint64_t whole[2];
    address_load(family, address, whole);
    for (size_t i = 0; i < table->n_lengths[index]; i++) {
        const uint64_t masked[2] = {whole[0] & lengths[i].mask[0], whole[1] & lengths[i].mask[1]};
        uint16_t account = length_slot(table, &lengths[i], masked)->owner.account;
        if (account != 0)
            return account;
    }
    return 0;
}

/* The index of the length's table, or where it would be. */
static size_t length_index(const struct prefix_table *table, size_t family, uint8_t length)
{
    size_t i = 0;
    while (i < table->n_lengths[family] && table->lengths[family][i].length > length)
        i++;
    return i;
}

static bool has_length(const struct prefix_table *table, size_t family, size_t i, uint8_t length)
{
    return i < table->n_lengths[family] && table->lengths[family][i].length == length;
}

static void load_prefix(const struct config_prefix *prefix, const struct prefix_length *length,
                        uint64_t address[2])
{
    address_load(prefix->family, prefix->address, address);
    address[0] &= length->mask[0];
    address[1] &= length->mask[1];
}

const struct prefix_entry *prefix_table_find(const struct prefix_table *table,
                                             const struct config_prefix *prefix)
{
    size_t family = family_index(prefix->family);
    size_t i = length_index(table, family, prefix->length);
    if (!has_length(table, family, i, prefix->length))
        return NULL;
    const struct prefix_length *length = &table->lengths[family][i];
    uint64_t address[2];
    load_prefix(prefix, length, address);
    const struct prefix_entry *entry = length_slot(table, length, address);
    return entry->owner.account ? entry : NULL;
}

/* ---- put ---- */

static struct prefix_length *get_length(struct prefix_table *table, size_t family, uint8_t bits)
{
    size_t i = length_index(table, family, bits);
    struct prefix_length *length = &table->lengths[family][i];
    if (has_length(table, family, i, bits))
        return length;
    struct prefix_entry *entries = calloc(SLOTS_FIRST, sizeof *entries);
    if (!entries)
        return NULL;
    memmove(length + 1, length, (table->n_lengths[family] - i) * sizeof *length);
    *length =
        (struct prefix_length){.entries = entries, .slots_mask = SLOTS_FIRST - 1, .length = bits};
    mask_make(bits, length->mask);
    table->n_lengths[family]++;
    return length;
}

static int length_grow(const struct prefix_table *table, struct prefix_length *length)
{
    struct prefix_length grown = *length;
    grown.slots_mask = 2 * length->slots_mask + 1;
    grown.entries = calloc(grown.slots_mask + 1, sizeof *grown.entries);
    if (!grown.entries)
        return -ENOMEM;
    for (size_t slot = 0; slot <= length->slots_mask; slot++)
        if (length->entries[slot].owner.account)
            *length_slot(table, &grown, length->entries[slot].address) = length->entries[slot];
    free(length->entries);
    *length = grown;
    return 0;
}

int prefix_table_put(struct prefix_table *table, const struct config_prefix *prefix,
                     const struct prefix_owner *owner)
{
    struct prefix_length *length = get_length(table, family_index(prefix->family), prefix->length);
    if (!length)
        return -ENOMEM;
    if (2 * (length->n + 1) > length->slots_mask + 1 && length_grow(table, length) < 0)
        return -ENOMEM;
    uint64_t address[2];
    load_prefix(prefix, length, address);
    struct prefix_entry *entry = length_slot(table, length, address);
    if (entry->owner.account == 0) {
        length->n++;
        table->n++;
    }
    *entry = (struct prefix_entry){{address[0], address[1]}, *owner};
    return 0;
}

/* ---- remove ---- */

/* What was probed past the slot moves up to where it will be found. */
static void clear_slot(const struct prefix_table *table, const struct prefix_length *length,
                       size_t slot)
{
    size_t mask = length->slots_mask, hole = slot;
    for (size_t next = (slot + 1) & mask; length->entries[next].owner.account;
         next = (next + 1) & mask) {
        size_t home = address_slot(table, length->entries[next].address) & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue;
        length->entries[hole] = length->entries[next];
        hole = next;
    }
    length->entries[hole] = (struct prefix_entry){0};
}

/* A length that no prefix has is not asked for. */
static void drop_if_empty(struct prefix_table *table, size_t family, struct prefix_length *length)
{
    if (length->n > 0)
        return;
    free(length->entries);
    struct prefix_length *end = &table->lengths[family][table->n_lengths[family]--];
    memmove(length, length + 1, (size_t)(end - (length + 1)) * sizeof *length);
}

bool prefix_table_remove(struct prefix_table *table, const struct config_prefix *prefix)
{
    const struct prefix_entry *entry = prefix_table_find(table, prefix);
    if (!entry)
        return false;
    size_t family = family_index(prefix->family);
    struct prefix_length *length =
        &table->lengths[family][length_index(table, family, prefix->length)];
    clear_slot(table, length, (size_t)(entry - length->entries));
    length->n--;
    table->n--;
    drop_if_empty(table, family, length);
    return true;
}

static size_t remove_of_length(struct prefix_table *table, struct prefix_length *length,
                               uint16_t account)
{
    size_t n = 0;
    for (size_t slot = 0; slot <= length->slots_mask; slot++)
        while (length->entries[slot].owner.account == account) { /* another may move up */
            clear_slot(table, length, slot);
            n++;
        }
    length->n -= n;
    table->n -= n;
    return n;
}

size_t prefix_table_remove_account(struct prefix_table *table, uint16_t account)
{
    size_t n = 0;
    for (size_t family = 0; family < PREFIX_FAMILIES; family++)
        for (size_t i = table->n_lengths[family]; i-- > 0;) {
            struct prefix_length *length = &table->lengths[family][i];
            n += remove_of_length(table, length, account);
            drop_if_empty(table, family, length);
        }
    return n;
}

/* ---- walk ---- */

static const struct prefix_entry *next_of_length(const struct prefix_length *length,
                                                 uint64_t first_place, uint64_t *place)
{
    while (*place - first_place <= length->slots_mask) {
        const struct prefix_entry *entry = &length->entries[*place - first_place];
        ++*place;
        if (entry->owner.account)
            return entry;
    }
    return NULL;
}

const struct prefix_entry *prefix_table_next(const struct prefix_table *table, uint64_t *place,
                                             struct config_prefix *prefix)
{
    uint64_t first_place = 0;
    for (size_t family = 0; family < PREFIX_FAMILIES; family++) {
        for (size_t i = 0; i < table->n_lengths[family]; i++) {
            const struct prefix_length *length = &table->lengths[family][i];
            const struct prefix_entry *entry = next_of_length(length, first_place, place);
            if (entry) {
                *prefix =
                    (struct config_prefix){.family = family == 0 ? 4 : 6, .length = length->length};
                memcpy(prefix->address, entry->address, ADDRESS_SIZE);
                return entry;
            }
            first_place += length->slots_mask + 1;
        }
    }
    return NULL;
}
