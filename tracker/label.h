/* label: the labels of this shard's connections: written with masks, held by name.
 *
 *     label_table_create(&config, &table);
 *     label_table_write(table, traits.labels, value, mask);   (old & ~mask) ^ value, but for sticky
 *     label_table_release(table, traits->labels);             the connection is over
 *     label_table_change(table, &change, &result);            label add NAME [BIT] [sticky], …
 *     label_table_query(table, &request, &reply);             label list
 *     label_table_destroy(table);
 *
 * A bit whose name is sticky is never cleared again by a write. A name that is removed stays with
 * the connections that have its bit, and is listed until the last of them is over. Which bit a new
 * name gets must not depend on what only this shard knows: without BIT it is the lowest that never
 * had a name; the bit of a removed name is taken over when it is asked for. So who adds names asks
 * all shards first which bits are still held. Not thread-safe. */
#ifndef WANMETER_TRACKER_LABEL_H
#define WANMETER_TRACKER_LABEL_H

#include <stdint.h>

#include "common/config.h"
#include "common/labels.h"
#include "proto/change.h"
#include "proto/control.h"

struct label_table;

/* With the configuration's names. 0 or -ENOMEM. */
int label_table_create(const struct config *config, struct label_table **out);
void label_table_destroy(struct label_table *table); /* accepts NULL */

/* Returns whether the labels are others than before. */
bool label_table_write(struct label_table *table, uint8_t labels[LABELS_SIZE],
                       const uint8_t value[LABELS_SIZE], const uint8_t mask[LABELS_SIZE]);

/* Its bits are no longer held. */
void label_table_release(struct label_table *table, const uint8_t labels[LABELS_SIZE]);

const struct label_names *label_table_names(const struct label_table *table);

/* "label add NAME [BIT] [sticky]", "label remove NAME". EINVAL, ENOENT, EEXIST (the name is there),
 * EBUSY (the bit has another name), ERANGE (no such bit), ENOSPC (no bit is left). */
void label_table_change(struct label_table *table, const struct change *change,
                        struct change_result *result);

/* "label list": a row a name: bit, name, kind (sticky or maskable), state (in_use, removed),
 * connections. Names that were removed and that no connection holds are left out. */
void label_table_query(const struct label_table *table, const struct control_request *request,
                       struct control_reply *reply);

#endif
