/* account: whose packet it is, by the longest prefix that holds its local end.
 *
 *     account_table_create(&config, &accounts);
 *     account = account_of_packet(accounts, &packet);     its number; 0: none
 *     account_table_change(accounts, &change, &result);   account add NAME PREFIX…, …
 *     account_table_query(accounts, &request, &reply);    account list
 *     account_table_destroy(accounts);
 *
 * Numbers and names: common/account_names.h. A lookup costs as many probes as there are different
 * prefix lengths, however many accounts, and the same whether anything was ever changed. Where two
 * accounts of the configuration have the same prefix (which config_check() refuses), the first has
 * it. What changes do depends on them, their order and the configuration only. Not thread-safe. */
#ifndef WANMETER_TRACKER_ACCOUNT_H
#define WANMETER_TRACKER_ACCOUNT_H

#include <stdint.h>

#include "common/account_names.h"
#include "common/config.h"
#include "proto/change.h"
#include "proto/control.h"
#include "proto/packet.h"

/* That changes may give to accounts, together with the configuration's. */
enum { ACCOUNT_PREFIXES_MAX = 1 << 18 };

struct account_table;

/* 0 or -ENOMEM. 'config' is borrowed for the call. */
int account_table_create(const struct config *config, struct account_table **out);
void account_table_destroy(struct account_table *table); /* accepts NULL */

const struct account_names *account_table_names(const struct account_table *table);

/* 'family' is 4 or 6; 'address' has 4 or 16 bytes, network order. */
uint16_t account_of_address(const struct account_table *table, unsigned family,
                            const uint8_t *address);

/* That of the local end: the source of 'up', the destination of 'down', and without a direction
 * (enum direction) the source's or else the destination's. */
uint16_t account_of_ends(const struct account_table *table, unsigned family, unsigned direction,
                         const uint8_t *source, const uint8_t *destination);

/* The account that MAC, VLAN or PPPoE session chose; else that of the local end. */
uint16_t account_of_packet(const struct account_table *table, const struct packet *packet);

/* Done as a whole or not at all; result->count: the prefixes whose account is another now. EINVAL;
 * EEXIST: a prefix of "add" is another account's; ENOENT: nobody has the name of "remove", or that
 * account not the prefix; ENOSPC: too many prefixes or names; ENOMEM: it may be done in part. */
void account_table_change(struct account_table *table, const struct change *change,
                          struct change_result *result);

/* "account list": a row a prefix: account, prefix, since_ns (0: from the beginning), from ("file",
 * "command"). */
void account_table_query(const struct account_table *table, const struct control_request *request,
                         struct control_reply *reply);

#endif
