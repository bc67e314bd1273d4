/* fingerprint: what two copies of one IP packet have in common, wherever on its way they were
 * mirrored.
 *
 *     fingerprint_init(&fingerprint, rss_key);
 *     packet.fingerprint = fingerprint_of(&fingerprint, &layers);
 *
 * Blind to what a switch or router changes on the way: MACs, VLAN tags, TTL or hop limit, the IPv4
 * header checksum. All else of the captured packet counts, up to FINGERPRINT_BYTES_MAX. Keyed, so
 * that nobody can make packets that look like another's. Not thread-safe. */
#ifndef WANMETER_CAPTURE_FINGERPRINT_H
#define WANMETER_CAPTURE_FINGERPRINT_H

#include <sodium.h>
#include <stdint.h>

#include "capture/decode.h"
#include "proto/rss.h"

enum { FINGERPRINT_BYTES_MAX = 512 };

struct fingerprint {
    uint8_t key[crypto_shorthash_KEYBYTES];
};

/* The key is made from the deployment's, so that all workers have the same. */
void fingerprint_init(struct fingerprint *fingerprint, const uint8_t rss_key[RSS_KEY_SIZE]);

/* Never 0 where there is an IP packet; else 0. */
uint64_t fingerprint_of(const struct fingerprint *fingerprint, const struct layers *layers);

#endif
