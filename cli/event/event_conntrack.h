/* event_conntrack: connections in the words of conntrack(8).
 *
 * Source: what conntrack 1.4.7 prints of a kernel with nf_conntrack_acct and nf_conntrack_timestamp
 * (tests/integration/test_control.py compares them). Counters are nf_conntrack's. */
#ifndef WANMETER_CLI_EVENT_CONNTRACK_H
#define WANMETER_CLI_EVENT_CONNTRACK_H

#include <stdint.h>
#include <stdio.h>

#include "proto/event.pb-c.h"

/* As 'conntrack -L -o extended,id,labels,timestamp'; 'now_ns' in packet time: how old it is. */
void event_conntrack_list(const Wanmeter__Event__Connection *connection, int64_t now_ns, FILE *out);

/* As 'conntrack -E -o extended,timestamp,id,labels'; what the kernel does not tell of: nothing. */
void event_print_conntrack(const Wanmeter__Event__Event *event, FILE *out);

#endif
