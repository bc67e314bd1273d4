/* flow_restore: flows that another tracker had open go on here, from their last records.
 *
 *     flow_table_restore(flows, &record, &restore);     each, when the changes of before are in
 * force flow_table_change(flows, …)                       then changes of connections, is_restored:
 *                                                       of flows whose record is from before them
 *
 * Identity, tuple, state, status, mark, labels, master, account and class are the record's.
 * Counters are of what comes next. What a record does not have begins as the kernel does with a
 * connection that is put into its table: TCP's windows are learned from the next segments, and the
 * timeout of its state starts where the restoring begins, since packets may have come after the
 * record. Not thread-safe. */
#ifndef WANMETER_TRACKER_FLOW_RESTORE_H
#define WANMETER_TRACKER_FLOW_RESTORE_H

#include "tracker/flow.h"

struct flow_restore {
    int64_t clock_ns;           /* at which the flows were open */
    int64_t account_changes_ns; /* time of the last change of the accounts; INT64_MIN: none */
};

/* False: the table is full, or has a flow with this tuple. */
bool flow_table_restore(struct flow_table *flows, const struct flow_record *record,
                        const struct flow_restore *restore);

#endif
