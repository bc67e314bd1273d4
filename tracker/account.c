#include "tracker/account.h"

#include <errno.h>
#include <stdlib.h>

#include "tracker/account/account_internal.h"

static int put_prefixes(struct account_table *table, const struct config *config)
{
    int result = 0;
    for (size_t i = 0; i < config->n_accounts; i++) {
        const struct config_account *account = &config->accounts[i];
        struct prefix_owner owner = {.account = (uint16_t)(i + 1), .is_of_file = true};
        for (size_t k = 0; result == 0 && k < account->n_prefixes; k++)
            if (!prefix_table_find(&table->prefixes, &account->prefixes[k]))
                result = prefix_table_put(&table->prefixes, &account->prefixes[k], &owner);
    }
    return result;
}

int account_table_create(const struct config *config, struct account_table **out)
{
    struct account_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    prefix_table_init(&table->prefixes);
    int result = account_names_init(&table->names, config);
    if (result == 0)
        result = put_prefixes(table, config);
    if (result < 0)
        account_table_destroy(table);
    else
        *out = table;
    return result;
}

void account_table_destroy(struct account_table *table)
{
    if (!table)
        return;
    prefix_table_deinit(&table->prefixes);
    account_names_deinit(&table->names);
    free(table);
}

const struct account_names *account_table_names(const struct account_table *table)
{
    return &table->names;
}

/* ---- look up ---- */

uint16_t account_of_address(const struct account_table *table, unsigned family,
                            const uint8_t *address)
{
    return prefix_table_lookup(&table->prefixes, family, address);
}

uint16_t account_of_ends(const struct account_table *table, unsigned family, unsigned direction,
                         const uint8_t *source, const uint8_t *destination)
{
    uint16_t account = 0;
    if (direction != DIRECTION_DOWN)
        account = prefix_table_lookup(&table->prefixes, family, source);
    if (account == 0 && direction != DIRECTION_UP)
        account = prefix_table_lookup(&table->prefixes, family, destination);
    return account;
}

uint16_t account_of_packet(const struct account_table *table, const struct packet *packet)
{
    if (packet->l2_account != 0)
        return packet->l2_account;
    if (!packet_is_ip(packet))
        return 0;
    unsigned family = (packet->marks & PACKET_MARK_IPV4) != 0 ? 4 : 6;
    return account_of_ends(table, family, packet->direction, packet->source_address,
                           packet->destination_address);
}
