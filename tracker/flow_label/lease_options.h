/* lease_options: the extension headers that a lease carries, and what they make of a packet's own.
 *
 *     result = lease_options_create(&request, &options);
 *     header_options_merge(&leased, &own, &sent);
 *     lease_options_destroy(options);
 *
 * A lease remembers the headers before the fragmentable part: hop-by-hop options and the
 * destination options that go with a routing header. A packet sent under it has these and none of
 * its own, and of its own the destination options behind them: so all routers on the way see the
 * headers that were agreed on with the label. */
#ifndef WANMETER_TRACKER_LEASE_OPTIONS_H
#define WANMETER_TRACKER_LEASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "tracker/flow_label.h"

/* Extension headers as bytes, borrowed; size 0: there is none. */
struct header_part {
    const uint8_t *bytes;
    size_t size;
};

struct header_options {
    struct header_part hop_by_hop;
    struct header_part first_destination; /* before a routing header */
    struct header_part routing;
    struct header_part last_destination; /* at the end of the chain */
};

struct lease_options {
    struct header_options headers; /* into 'bytes' */
    size_t size;                   /* of all of them, as the kernel's list has it */
    uint8_t bytes[];
};

/* '*out' is NULL where the request carries none. 0, -EINVAL (a header that is cut, stands twice, or
 * is of a kind that no lease can carry), -EPERM (not privileged) or -ENOMEM. */
int lease_options_create(const struct flow_label_request *request, struct lease_options **out);
void lease_options_destroy(struct lease_options *options); /* accepts NULL */

/* The headers that a request carries, as a packet's own; of a kind the last. What is cut is none.
 */
void header_options_of(const struct flow_label_request *request, struct header_options *own);

/* The headers of a packet with 'own' ones that is sent under a lease with 'leased' ones. */
void header_options_merge(const struct header_options *leased, const struct header_options *own,
                          struct header_options *sent);

#endif
