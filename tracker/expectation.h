/* expectation: connections that a helper read of in a control connection, until they come.
 *
 *     expectation_table_create(n_max, &table);
 *     expectation_table_add(table, &expectation, &policy, clock_ns);
 *     found = expectation_table_find(table, &key, clock_ns);       of a connection that begins
 *     expectation_table_use(table, found);                         it is made
 *     expectation_table_forget(table, master);                     the master ends
 *     expectation_table_destroy(table);
 *
 * An expectation is the tuple of a first packet, where the source may be any. It belongs to the
 * connection it was read in, its master (kept, not copied: forget before the master goes), and is
 * over when its time, or the master's, has come. A master has so many of a class at most; one more
 * takes the place of the oldest. An equal one of the same master begins its time anew; one that
 * could be confused with another master's is refused.
 *
 * One that fits a single tuple is used up by its connection, as in the kernel. One that fits many
 * serves until it is over, or the caller removes it (one of TCP with the first SYN that fits): the
 * connections that it fits may belong to different shards, and without a word to all of them none
 * could know of the other's (docs/adr). Not thread-safe.
 * Source: Linux nf_conntrack_expect.c (6.18). */
#ifndef WANMETER_TRACKER_EXPECTATION_H
#define WANMETER_TRACKER_EXPECTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tracker/connection_table.h"

enum { EXPECTATION_CLASSES_MAX = 4 };

/* A first packet, as its sender writes it. */
struct expectation_key {
    uint8_t source_address[16]; /* network order; IPv4: the first 4, the others 0 */
    uint8_t destination_address[16];
    uint16_t source_port; /* host order; GRE: the call id of the sender */
    uint16_t destination_port;
    uint16_t zone;
    uint8_t protocol;
    uint8_t ip_version; /* 4 or 6 */
};

struct expectation {
    struct expectation_key key;
    bool is_any_address; /* source_address does not matter, and is 0 */
    bool is_any_port;    /* source_port does not matter, and is 0 */
    bool is_inactive;    /* fits nothing yet */
    bool is_lasting;     /* not used up, whatever it fits */
    bool is_shared;      /* one of another master that is equal will do */
    uint8_t class_index; /* within the master's helper */
    uint8_t helper;      /* enum helper_number that the connection gets; 0: none */
    int64_t expires_ns;
    struct connection *master; /* has an 'extra' */

    struct expectation *next_in_bucket; /* the table's own, newest first */
    struct expectation *next_of_master;
};

struct expectation_policy {
    uint16_t expectations_max; /* of a master and a class */
    int64_t timeout_ns;
};

struct expectation_counters {
    uint64_t n_added;
    uint64_t n_busy; /* refused: another master's, or another, could be meant */
    uint64_t n_full; /* refused: n_max */
    uint64_t n_used; /* connections that were expected */
};

struct expectation_table;

/* 0 or -ENOMEM. */
int expectation_table_create(size_t n_max, struct expectation_table **out);
void expectation_table_destroy(struct expectation_table *table); /* accepts NULL */

enum expectation_result {
    EXPECTATION_ADDED,
    EXPECTATION_KNOWN, /* with is_shared: an equal one of another class or master is there */
    EXPECTATION_BUSY,
    EXPECTATION_FULL,
};

/* Copies 'wanted', whose expires_ns and links are not looked at. */
enum expectation_result expectation_table_add(struct expectation_table *table,
                                              const struct expectation *wanted,
                                              const struct expectation_policy *policy,
                                              int64_t clock_ns);

/* The newest that fits, or NULL. Valid until the table changes. */
struct expectation *expectation_table_find(struct expectation_table *table,
                                           const struct expectation_key *key, int64_t clock_ns);

/* A connection was made of it. */
void expectation_table_use(struct expectation_table *table, struct expectation *expectation);

void expectation_table_remove(struct expectation_table *table, struct expectation *expectation);

/* Removes all of a master that ends, or has no 'extra'. */
void expectation_table_forget(struct expectation_table *table, struct connection *master);

/* Also of those whose time has come and that nobody has met since. */
size_t expectation_table_count(const struct expectation_table *table);

const struct expectation_counters *
expectation_table_counters(const struct expectation_table *table);

#endif
