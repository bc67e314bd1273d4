/* store_restore: what a tracker that takes the place of another is given back: the changes that
 * were in force, and the last records of the flows that are open. Only the rooms of the store
 * include it.
 *
 * In one run that is what its predecessor's stream had committed. At the start of a live run it is
 * what runs before it left, as far back as they did not end properly. Which flows are open is kept
 * as records are written, and read again from them where it is not known (an exporter's
 * successor). */
#ifndef WANMETER_EXPORTER_STORE_RESTORE_H
#define WANMETER_EXPORTER_STORE_RESTORE_H

#include "common/arguments.h"
#include "exporter/open_flows.h"
#include "exporter/store/store_internal.h"
#include "proto/rss.h"

enum {
    RESTORE_FLOWS_A_PORTION = 512,
    RESTORE_CHANGES_A_PORTION = 64,
    RESTORE_NUMBERS_MAX = 1 << 24,
};

/* Numbers of this database to those of records; 0 where the configuration has no such name. */
struct store_numbers {
    uint16_t *numbers;
    int64_t n;
};

/* What one shard is given. */
struct store_restore_list {
    uint64_t predecessor; /* epoch of the tracker whose place its tracker takes; 0: none */
    int64_t stream_id;    /* of the predecessor; 0: none, it is of earlier runs */
    int64_t clock_ns;
    int64_t from_record_id;
    int64_t n_changes;
    int64_t *record_ids; /* in order */
    size_t n_flows;
    bool is_made;
};

struct store_restore {
    struct open_flows *open;
    bool is_known;
    int64_t known_from; /* record_id */

    bool is_live;
    uint32_t n_shards;
    int64_t run_first;     /* record_id: this run's */
    int64_t earlier_first; /* of the first run before that did not end, nor one since; 0: none */
    struct rss rss;
    struct store_restore_list lists[SHARDS_MAX];

    struct store_numbers accounts, wans, classes;
    uint8_t flows[RESTORE_FLOWS_A_PORTION * FLOW_RECORD_SIZE];
    uint8_t change_bytes[RESTORE_CHANGES_A_PORTION][PACKET_PAYLOAD_MAX];
    struct change_bytes changes[RESTORE_CHANGES_A_PORTION];
    uint8_t *memory; /* of the list that was asked for last; NULL: none */
};

/* At the start of a run, after its row. 0 or -errno. */
int store_restore_open(struct store *store, const struct store_run *run);
void store_restore_close(struct store *store);

/* After a rollback: what is open is not known any more. */
void store_restore_forget(struct store *store);

/* A flow record will be inserted; it is. */
void store_restore_expect_flow(const struct store *store, const struct flow_record *record);
int store_restore_note_flow(struct store *store, const struct flow_record *record,
                            int64_t record_id, uint32_t shard);

/* What a batch's stream has done of changes. */
int store_restore_note_changes(struct store *store, const struct message *message);

/* What a batch's tracker would have its successor remember; the one of its batch before is gone. */
int store_restore_note_memory(struct store *store, const struct message *message);

/* A tracker's stream was added: it goes on with its predecessor's changes, others are gone. */
int store_restore_inherit(struct store *store, const struct store_stream *stream);

/* A tracker's stream has ended. */
int store_restore_end(struct store *store, int64_t stream_id);

#endif
