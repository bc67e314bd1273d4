/* flow_expect: helpers and what they expect, as a room of flow.c. Only its rooms include it. */
#ifndef WANMETER_TRACKER_FLOW_EXPECT_H
#define WANMETER_TRACKER_FLOW_EXPECT_H

#include "tracker/expectation.h"
#include "tracker/flow/flow_internal.h"

struct flow_helpers;

/* '*out' is NULL where the configuration has no helpers. 0 or -ENOMEM. */
int flow_helpers_create(const struct config *config, struct flow_helpers **out);
void flow_helpers_destroy(struct flow_helpers *helpers); /* accepts NULL */

/* A flow was opened: was it expected? Before the rules and its protocol judge: status EXPECTED,
 * master, mark, labels. */
void flow_meet_expectation(struct flow_table *flows, struct step *step);

/* A SYN uses up the expectation that it fits, in every shard at its place in time, whatever becomes
 * of it there. Other packets that begin a TCP connection, and those of other protocols, do not: no
 * shard but their own knows of them. */
void flow_use_up_expectation(struct flow_table *flows, const struct packet *packet);

/* Its first packet was judged: takes that back where it began no connection, else gives the
 * connection the helper of its port, if the rules gave it none. */
void flow_settle_helper(struct flow_table *flows, struct step *step);

/* Lets the connection's helper read the packet, after its effect. */
void flow_ask_helper(struct flow_table *flows, struct step *step);

/* A connection ends: nobody waits any more for what it announced; the calls of a PPTP control
 * connection end with it. */
void flow_forget_expected(struct flow_table *flows, struct connection *master,
                          enum end_reason reason, int64_t time_ns);

/* The key of a GRE packet that belongs to a known call, in 'room'; of all others 'key'. */
const struct flow_key *flow_key_of_call(struct flow_table *flows, const struct packet *packet,
                                        const struct flow_key *key, struct flow_key *room);

/* A call's connection is looked at by the clock: false: its control connection is over, and it went
 * with that. */
bool flow_settle_call(struct flow_table *flows, const struct connection *connection,
                      int64_t clock_ns);

/* What helpers expect now ('n_waiting'), and what became of it; zeros where there are no helpers.
 */
struct expectation_counters flow_expectation_counters(const struct flow_table *flows,
                                                      size_t *n_waiting);

#endif
