/* connection_filter: which connections somebody means: "src=192.0.2.0/24 dport=53 mark=0x1/0xff".
 *
 *     if (!connection_filter_read(&names, words, n_words, &filter, error)) … error says why
 *     if (connection_filter_matches(&filter, connection)) …
 *
 * All words must hold. An empty filter means all connections; a flow that is no connection (none of
 * its packets was valid) is never meant. Keys: id, family, src, dst, reply-src, reply-dst (with
 * /LENGTH), proto, sport, dport, zone, mark (V or V/M), label (NAME or bits, all of which are set),
 * state, status (assured, seen_reply, unreplied, …, as conntrack(8) -u), wan, account. */
#ifndef WANMETER_TRACKER_CONNECTION_FILTER_H
#define WANMETER_TRACKER_CONNECTION_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/account_names.h"
#include "common/config.h"
#include "common/labels.h"
#include "tracker/connection_table.h"

struct connection_filter {
    uint32_t keys; /* bits: which of what follows counts */
    uint64_t id;
    struct config_prefix source, destination; /* of the original direction */
    uint32_t mark, mark_mask;
    uint32_t status_set, status_clear;
    uint16_t source_port, destination_port;
    uint16_t zone, wan, account;
    uint8_t ip_version, protocol, state;
    uint8_t labels[LABELS_SIZE];
};

/* What turns names into numbers; borrowed. */
struct connection_names {
    const struct config *config;
    const struct label_names *labels;
    const struct account_names *accounts;
};

enum { CONNECTION_FILTER_ERROR_SIZE = 200 };

/* False: 'error' says what is wrong. */
bool connection_filter_read(const struct connection_names *names, const char *const *words,
                            size_t n_words, struct connection_filter *filter,
                            char error[CONNECTION_FILTER_ERROR_SIZE]);

bool connection_filter_matches(const struct connection_filter *filter,
                               const struct connection_table *connections,
                               const struct connection *connection);

#endif
