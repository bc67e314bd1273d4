/* query: what somebody asks of this shard, answered from its tables between packets.
 *
 *     query_open(bus, &settings, &query);              listens at RUN/ct-N.sock
 *     query_note(query, &change, &result);             what became of a change: told who asks by id
 *     query_close(query);
 *
 * control_answer() asks the module; "change ID" is answered here: EINPROGRESS until the change has
 * come. An answer looks at a bounded number of entries and has a
 * bounded size; with a cursor who asks goes on from there, and packets go on in between, so a list
 * is no picture of one moment. The results of the last RESULTS_MAX changes are kept. Not
 * thread-safe. */
#ifndef WANMETER_TRACKER_QUERY_H
#define WANMETER_TRACKER_QUERY_H

#include "common/bus.h"
#include "proto/change.h"
#include "proto/event.h"
#include "tracker/control.h"

struct query;

struct query_settings {
    const char *endpoint;          /* borrowed for the call */
    const struct control *control; /* kept, not copied */
    uint32_t shard, n_shards;
};

/* 0 or -errno. */
int query_open(struct bus *bus, const struct query_settings *settings, struct query **out);
void query_close(struct query *query); /* accepts NULL; the socket goes with the bus */

void query_note(struct query *query, const struct change *change,
                const struct change_result *result);

#endif
