/* privacy: what is kept of addresses and flow ids, before anything of a batch is stored, spooled or
 * published.
 *
 *     privacy_create(&config, &privacy);
 *     privacy_apply(privacy, &message);           changes the packed rows in place
 *     privacy_destroy(privacy);
 *
 * truncated:  the first bits stay ('privacy.ipv4_prefix', 'ipv6_prefix'), the others are 0.
 * anonymised: Crypto-PAn: another address, such that two that share n bits still share n bits. Who
 *             has the key can undo it.
 *
 * Either way flow ids are replaced by a keyed hash of them: an id is made of the flow's tuple and
 * time, so with the id that was, one could search for the address. The same key gives the same
 * addresses and ids, in every run and shard.
 *
 * Key file: 32 bytes, for its owner only. The first 16 are Crypto-PAn's AES key, the others make
 * its pad; the ids' key is derived from all (BLAKE2b, "wanmeter flow id").
 *
 * Source: J. Fan, J. Xu, M. Ammar, S. Moon: Prefix-preserving IP address anonymization, Computer
 * Networks 46 (2004); its sample trace is in tests/unit/test_privacy.c. Not thread-safe. */
#ifndef WANMETER_EXPORTER_PRIVACY_H
#define WANMETER_EXPORTER_PRIVACY_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/message.h"

struct privacy;

enum { PRIVACY_KEY_SIZE = 32, PRIVACY_ERROR_MAX = 1024 };

/* '*out' is NULL where addresses are kept in full. 0 or -errno, with what is wrong in 'error'. */
int privacy_create(const struct config *config, struct privacy **out,
                   char error[PRIVACY_ERROR_MAX]);
void privacy_destroy(struct privacy *privacy); /* wipes the key; accepts NULL */

/* Of a decoded message, which is ours. NULL: nothing is changed. */
void privacy_apply(struct privacy *privacy, struct message *message);

/* 'n_bits' is 32 or 128. */
void privacy_address(struct privacy *privacy, uint8_t address[16], unsigned n_bits);
uint64_t privacy_flow_id(const struct privacy *privacy, uint64_t id); /* 0 stays 0 */

#endif
