/* seal: when a stretch of the bill is closed, and what its seal says.
 *
 *     number = seal_for(slot_ns, clock_ns);             tracker: in which seal a packet's row is
 *     seal_flow_add(&seal.flow_sum, &record, &names);   exporter, audit: each flow record
 *     seal_lines_init(&lines);
 *     seal_lines_add(&lines, text, length);             each usage row, in order
 *     seal_lines_end(&lines, seal.usage_sha256);
 *     seal_close(&seal);                                its hash, over all of that and the one
 *                                                       before
 *
 * A seal covers SEAL_SECONDS, from number * SEAL_SECONDS after 1970 UTC: every time zone since 1972
 * is a multiple of a quarter hour from UTC, so any local day is a whole number of seals. It closes
 * when the clock has come SEAL_GRACE_SECONDS past its end; what is counted later goes into the
 * first that is open. So a row's seal depends on packet times and clocks only.
 *
 * The sum over flow records does not depend on their order: two words of 64 bits, each the sum of a
 * mixed multilinear hash a record. It finds any change within eight bytes of one record for
 * certain, and any other but for one in 2^128; it does not stop a forger who knows it. Usage rows
 * and losses are under SHA-256. See docs/adr/0010-the-bill-is-sealed-by-the-quarter-hour.md. Not
 * thread-safe. */
#ifndef WANMETER_PROTO_SEAL_H
#define WANMETER_PROTO_SEAL_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

enum {
    SEAL_SECONDS = 900,
    SEAL_GRACE_SECONDS = 60,
    SEAL_HASH_SIZE = 32,
    SEAL_HEX_SIZE = 2 * SEAL_HASH_SIZE + 1,
    SEAL_LANES = 2,
};

/* ---- which seal ---- */

/* The seal that covers this time. */
int32_t seal_of(int64_t time_ns);

/* The first that is still open when the clock is there. */
int32_t seal_open_at(int64_t clock_ns);

/* The seal of a row that counts a packet of this slot at this clock: the slot's own; where that is
 * closed, the first that is open; where it is still to come (a time that is not to be trusted), the
 * clock's. */
int32_t seal_for(int64_t slot_ns, int64_t clock_ns);

/* From when on the clock seal_for() may answer something else for the same slot. */
int64_t seal_next_ns(int64_t clock_ns);

/* ns since 1970; INT64_MIN, INT64_MAX: of a number that no time has (in a database that somebody
 * changed). */
int64_t seal_start_ns(int64_t number);

/* ---- flow records ---- */

struct seal_sum {
    uint64_t lanes[SEAL_LANES];
};

/* What numbers in a record stand for, by seal_name(). */
struct seal_names {
    uint64_t wan;
    uint64_t account;
    uint64_t class_name;
};

uint64_t seal_name(const char *name);

/* Adds the record; its numbers of WAN, account and class, its seal, and what no database row has
 * (ports of protocols without) do not matter. */
void seal_flow_add(struct seal_sum *sum, const struct flow_record *record,
                   const struct seal_names *names);

/* ---- usage rows and losses: lines of text ---- */

struct seal_lines {
    crypto_hash_sha256_state state;
    int64_t n;
};

void seal_lines_init(struct seal_lines *lines);
void seal_lines_add(struct seal_lines *lines, const char *text, size_t length);
void seal_lines_end(struct seal_lines *lines, uint8_t hash[SEAL_HASH_SIZE]);

/* ---- a seal ---- */

struct seal {
    int32_t number;
    int64_t n_usage; /* rows */
    int64_t n_flows;
    int64_t n_losses;
    int64_t packets; /* sums of the usage rows */
    int64_t l2_bytes;
    int64_t l3_bytes;
    int64_t billed_bytes;
    uint8_t usage_sha256[SEAL_HASH_SIZE];
    struct seal_sum flow_sum;
    uint8_t loss_sha256[SEAL_HASH_SIZE];
    uint8_t config_sha256[SEAL_HASH_SIZE]; /* of the run that sealed: what it was billed by */
    uint8_t previous[SEAL_HASH_SIZE];      /* hash of the seal before; zeros: the first */
    uint8_t hash[SEAL_HASH_SIZE];
};

/* Sets 'hash' from everything else. The text that is hashed is in docs/schema.md. */
void seal_close(struct seal *seal);

void seal_hex(const uint8_t hash[SEAL_HASH_SIZE], char text[SEAL_HEX_SIZE]);
void seal_sum_hex(const struct seal_sum *sum, char text[SEAL_HEX_SIZE]); /* 32 digits */

#endif
