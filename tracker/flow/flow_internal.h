/* flow_internal: what the rooms of flow.c share. Only they include it. */
#ifndef WANMETER_TRACKER_FLOW_INTERNAL_H
#define WANMETER_TRACKER_FLOW_INTERNAL_H

#include "common/timeout_kind.h"
#include "tracker/connection_table.h"
#include "tracker/flow.h"
#include "tracker/flow_label.h"
#include "tracker/label.h"
#include "tracker/protocol.h"
#include "tracker/rule.h"
#include "tracker/timeout_policy.h"

struct flow_helpers;

/* A packet on its way through its flow. */
struct step {
    const struct packet *packet;
    struct connection *connection; /* NULL: the table was full */
    enum protocol_verdict verdict;
    unsigned direction;
    bool is_opened;    /* the packet, or the datagram that it completes, opened the flow */
    bool is_looked_up; /* and rules let it make no connection */
    uint8_t state_before;
    uint16_t status_before;
    int64_t timeout_ns;
    uint16_t status_after; /* these two of a packet that is counted */
    uint8_t state_after;
};

struct flow_table {
    const struct config *config;
    struct protocol_context context;     /* with the timeouts that no policy replaces */
    struct protocol_context own_context; /* with those of the connection under way */
    struct timeout_policies *policies;
    const struct account_table *accounts;
    uint8_t account_changes; /* a number of the last change of them, from 1: flow_account.c */
    struct link_table *links;
    struct rule_table *rules; /* NULL: none */
    struct label_table *labels;
    struct flow_helpers *helpers; /* NULL: none */
    struct flow_label_table *flow_labels;
    struct ct_action outcome; /* of the rules, for the packet under way that opened its flow */
    struct connection_table *connections;
    struct flow_sink sink;
    size_t connections_max;
    int64_t clock_ns;
    struct step step; /* of the packet that was added last */
    struct flow_judgement judgement;
    const struct connection *finished; /* up to here every flow has ended for the end of input */
};

static inline bool flow_is_connection(const struct connection *connection)
{
    return (connection->status & STATUS_CONFIRMED) != 0;
}

/* flow_open.c: a new flow, or NULL: the table is full and nobody could be evicted. */
struct connection *flow_open(struct flow_table *flows, const struct flow_key *key,
                             const struct packet *packet);

/* flow_go_on.c: the packet's whole way, where it is a short one; false: nothing was done. */
bool flow_go_on(struct flow_table *flows, const struct packet *packet, const struct flow_key *key,
                struct flow_charge *charge);

/* flow.c: what the packet costs. */
uint64_t flow_charge_for(struct flow_table *flows, struct connection *connection,
                         unsigned direction, const struct packet *packet);

void flow_count(struct flow_table *flows, struct connection *connection, unsigned direction,
                const struct packet *packet, uint64_t billed_bytes);

/* Tells NEW, or UPDATE where the status or the state of a protocol that has states is another than
 * before. Of the step: packet, connection, is_opened, and what was before. */
void flow_tell_progress(const struct flow_table *flows, const struct step *step);

/* flow_judge.c: what the packet's protocol says. */

/* The settings, with the timeouts that are in force for the connection. */
const struct protocol_context *flow_context_of(struct flow_table *flows,
                                               const struct connection *connection);

/* When the flow is over now that a packet of it was accepted. 'timeout_ns' as in a step, not 0. */
static inline int64_t flow_expiry(int64_t clock_ns, int64_t timeout_ns)
{
    return clock_ns + (timeout_ns > TIMEOUT_AT_ONCE_NS ? timeout_ns : 0);
}

/* FLOW_ORIGINAL or FLOW_REPLY. */
unsigned flow_direction_of(const struct connection *connection, const struct packet *packet);

/* Are the flow's packets the other fragments of the datagram that the packet completes, and nothing
 * else? Then the datagram opens the flow, so that it is one. */
bool flow_is_of_fragments(const struct connection *connection, const struct packet *packet);

/* Sets all of the step but its packet; false: what there was has to end, and the packet begins
 * anew. */
bool flow_judge(struct flow_table *flows, struct step *step, struct connection *connection);

/* What the verdict means for the connection; the packet is already counted. */
void flow_apply(struct flow_table *flows, const struct step *step);

/* flow_count_label.c: the packet's IPv6 flow label, and whether its direction had another. */
void flow_count_label(struct flow_table *flows, struct connection *connection, unsigned direction,
                      const struct packet *packet);

/* flow_rules.c: what the rules say of a packet that opened its flow. */

/* Before it is judged: policy, account and class. */
void flow_meet_rules(struct flow_table *flows, struct step *step, struct connection *connection);

/* Of a packet that would begin a connection: do rules let it only look one up? */
bool flow_is_only_lookup(struct flow_table *flows, const struct step *step);

/* When it began a connection: mark, labels and helper. */
void flow_write_rules(struct flow_table *flows, struct connection *connection);

/* Of the first reply: mark and labels. */
void flow_meet_reply(struct flow_table *flows, const struct step *step);

/* flow_policy.c: makes the timeout policies; the rules' are in use. 0 or -errno. */
int flow_open_policies(struct flow_table *flows);

/* Where the policy is for connections of this kind. */
void flow_give_policy(struct flow_table *flows, struct connection *connection, const char *name);

/* The timeouts in force for it. */
const struct timeouts *flow_timeouts_of(const struct flow_table *flows,
                                        const struct connection *connection);

/* flow_account.c: who pays from the next packet on. */
uint16_t flow_account_now(const struct flow_table *flows, const struct connection *connection);

/* For the flow's packet at 'clock_ns', before it is counted. */
void flow_renew_account(struct flow_table *flows, struct connection *connection, int64_t clock_ns);

/* flow.c: the connection's end, and what is due by the clock. */

/* An interim record of what was counted so far. */
void flow_cut_interim(struct flow_table *flows, struct connection *connection, int64_t time_ns);

void flow_end(struct flow_table *flows, struct connection *connection, enum end_reason reason,
              int64_t time_ns);

/* Does what the clock says is due: an interim record, the end. False: the connection is gone. */
bool flow_settle(struct flow_table *flows, struct connection *connection, int64_t clock_ns);

/* Settles up to 'n_max' flows whose timer is due; true: there may be more. */
bool flow_settle_due(struct flow_table *flows, size_t n_max);

#endif
