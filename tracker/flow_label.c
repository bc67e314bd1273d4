#include "tracker/flow_label.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracker/flow_label/flow_label_internal.h"
#include "tracker/flow_label/lease_request.h"

int flow_label_table_create(const struct config *config, struct flow_label_table **out)
{
    struct flow_label_table *labels = calloc(1, sizeof *labels);
    if (!labels)
        return -ENOMEM;
    labels->config = config;
    labels->grant.is_consistent = config->flow_labels.consistency;
    labels->grant.has_state_ranges = config->flow_labels.state_ranges;
    lease_table_init(&labels->grant.leases);
    holder_table_init(&labels->grant.holders);
    *out = labels;
    return 0;
}

void flow_label_table_destroy(struct flow_label_table *labels)
{
    if (!labels)
        return;
    lease_table_deinit(&labels->grant.leases);
    free(labels);
}

/* ---- changes ---- */

int flow_label_ask(struct flow_label_table *labels, const struct flow_label_request *request,
                   uint32_t *label)
{
    lease_table_expire(&labels->grant.leases, request->time_ns);
    *label = request->label;
    switch (request->action) {
    case FLOW_LABEL_GET:
        return lease_get(&labels->grant, request, label);
    case FLOW_LABEL_PUT:
        return lease_put(&labels->grant, request);
    case FLOW_LABEL_RENEW:
        return lease_renew(&labels->grant, request);
    case FLOW_LABEL_CLOSE:
        return lease_close(&labels->grant, request);
    default:
        return -EINVAL;
    }
}

void flow_label_change(struct flow_label_table *labels, const struct change *change,
                       struct change_result *result)
{
    struct lease_request read;
    uint32_t label = 0;
    *result = (struct change_result){0};
    int error = lease_request_read(labels->config, change, &read, result->answer);
    if (error == 0)
        error = flow_label_ask(labels, &read.request, &label);
    result->error = -error;
    result->count = error == 0;
    if (error == 0 && read.request.action != FLOW_LABEL_CLOSE)
        snprintf(result->answer, sizeof result->answer, "0x%05" PRIx32, label);
}

/* ---- packets ---- */

/* As the bits of Linux's sysctl net.ipv6.flowlabel_reflect. */
enum reflect { REFLECT_ESTABLISHED = 1, REFLECT_TCP_RESET = 2, REFLECT_ICMPV6_ECHO = 4 };

enum { ICMPV6_ECHO_REPLY = 129 };

static unsigned reflect_of(const struct packet *packet)
{
    if (packet->parts & PACKET_PART_TCP)
        return packet->tcp.flags & TCP_RST ? REFLECT_TCP_RESET : REFLECT_ESTABLISHED;
    if (packet->parts & PACKET_PART_ICMP && packet->icmp_type == ICMPV6_ECHO_REPLY)
        return REFLECT_ICMPV6_ECHO;
    return 0;
}

const struct lease *flow_label_find(const struct flow_label_table *labels,
                                    const struct packet *packet)
{
    if (packet->flow_label == 0 || labels->grant.leases.n == 0)
        return NULL;
    const struct lease *lease = lease_table_find(&labels->grant.leases, packet->flow_label);
    if (!lease || lease_is_over(lease, packet->clock_ns))
        return NULL;
    if (memcmp(lease->destination, packet->destination_address, sizeof lease->destination) == 0)
        return lease;
    bool is_reflected =
        memcmp(lease->destination, packet->source_address, sizeof lease->destination) == 0 &&
        (reflect_of(packet) & (unsigned)labels->config->flow_labels.reflect) != 0;
    return is_reflected ? lease : NULL;
}

/* ---- the list ---- */

const struct lease *flow_label_next(const struct flow_label_table *labels,
                                    const struct lease *before, int64_t now_ns)
{
    const struct lease *lease = before;
    do
        lease = lease_table_next(&labels->grant.leases, lease);
    while (lease && lease_is_over(lease, now_ns));
    return lease;
}
