/* account: whose packet it is, by the longest prefix that holds its local end.
 *
 *     account_table_create(&config, &accounts);
 *     account = account_of_packet(accounts, &packet);     index into config.accounts + 1; 0: none
 *     account_table_destroy(accounts);
 *
 * One hash table per prefix length in use, asked from the longest to the shortest: a lookup costs
 * as many probes as there are different lengths, however many accounts. Where two accounts have the
 * same prefix (which config_check() refuses), the first has it. Read-only after create. */
#ifndef WANMETER_TRACKER_ACCOUNT_H
#define WANMETER_TRACKER_ACCOUNT_H

#include <stdint.h>

#include "common/config.h"
#include "proto/packet.h"

struct account_table;

/* 0 or -ENOMEM. 'config' is borrowed for the call. */
int account_table_create(const struct config *config, struct account_table **out);
void account_table_destroy(struct account_table *table); /* accepts NULL */

/* 'family' is 4 or 6; 'address' has 4 or 16 bytes, network order. */
uint16_t account_of_address(const struct account_table *table, unsigned family,
                            const uint8_t *address);

/* The account that MAC, VLAN or PPPoE session chose; else that of the local end: the source of
 * 'up', the destination of 'down', and without a direction the source's or else the destination's.
 */
uint16_t account_of_packet(const struct account_table *table, const struct packet *packet);

#endif
