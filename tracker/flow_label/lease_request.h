/* lease_request: what somebody asks of the flow-label manager, from words.
 *
 *     get LABEL|new dst=ADDRESS [create] [exclusive] [NAME=VALUE]…
 *     renew LABEL [NAME=VALUE]…
 *     put LABEL|all [NAME=VALUE]…
 *
 * docs/flow-labels.md has all words. What the kernel could be asked for can be asked for here, also
 * what it refuses. */
#ifndef WANMETER_TRACKER_LEASE_REQUEST_H
#define WANMETER_TRACKER_LEASE_REQUEST_H

#include <stdint.h>

#include "common/config.h"
#include "proto/change.h"
#include "tracker/flow_label.h"

/* The request, and what it points to. */
struct lease_request {
    struct flow_label_request request;
    char holder[FLOW_LABEL_HOLDER_NAME_MAX + 1];
    uint8_t option_bytes[CHANGE_TEXT_MAX / 2];
    size_t n_option_bytes;
};

/* 0, -EINVAL (words that are none) or -EPERM (for another without privilege), with the reason in
 * 'why' of CHANGE_ANSWER_MAX + 1 bytes. The first word is "flowlabel". */
int lease_request_read(const struct config *config, const struct change *change,
                       struct lease_request *read, char *why);

/* Words of headers alone: "dstopts=…". 0 or -EINVAL. */
int lease_request_headers(const char *const *words, size_t n_words, struct lease_request *read,
                          char *why);

/* "0x12345" or "12345"; above 20 bits as well. False: no number of 32 bits. */
bool lease_request_label(const char *text, uint32_t *label);

#endif
