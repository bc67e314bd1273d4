/* flow_label: leases of IPv6 flow labels, given out as Linux's flow-label manager gives them.
 *
 *     flow_label_table_create(&config, &labels);
 *     flow_label_change(labels, &change, &result);            "flowlabel get new dst=2001:db8::1"
 *     lease = flow_label_find(labels, packet);                whose packet it is, by its label
 *     flow_label_query(labels, now_ns, &request, &reply);     "flowlabel list"
 *     flow_label_table_destroy(labels);
 *
 * A lease binds a label to a destination. Who holds references to it is a holder: what a socket is
 * to the kernel, here a name of a user. What nobody holds any more lingers and is then forgotten.
 * Time is packet time, chance comes from the request's seed: the same requests at the same times
 * give the same leases everywhere. At most FLOW_LABEL_LEASES_MAX leases, of which those without
 * privilege leave a quarter free; a holder without privilege has at most FLOW_LABEL_HOLDER_MAX
 * references, and one only while less than half is free. Not thread-safe.
 * Source: RFC 6437; Linux include/uapi/linux/in6.h (struct in6_flowlabel_req) and what a 6.18
 * kernel answers to IPV6_FLOWLABEL_MGR (tests/conformance/test_flow_label.py). */
#ifndef WANMETER_TRACKER_FLOW_LABEL_H
#define WANMETER_TRACKER_FLOW_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "proto/change.h"
#include "proto/control.h"
#include "proto/packet.h"

enum {
    FLOW_LABEL_LEASES_MAX = 4096,
    FLOW_LABEL_HOLDER_MAX = 32,
    FLOW_LABEL_HOLDER_NAME_MAX = 31,
    FLOW_LABEL_MAX = 0xfffff,
    FLOW_LABEL_STATELESS = 0x80000, /* labels from here on, where ranges are kept apart */
    FLOW_LABEL_LINGER_MIN_S = 6,
    FLOW_LABEL_LINGER_MAX_S = 150, /* without privilege */
};

/* Numbers as in Linux's in6.h. */
enum flow_label_action {
    FLOW_LABEL_GET,
    FLOW_LABEL_PUT,
    FLOW_LABEL_RENEW,
    FLOW_LABEL_CLOSE, /* our own: what the kernel does when a socket closes */
};

enum flow_label_share {
    FLOW_LABEL_SHARE_NONE = 0,
    FLOW_LABEL_SHARE_EXCLUSIVE = 1,
    FLOW_LABEL_SHARE_PROCESS = 2,
    FLOW_LABEL_SHARE_USER = 3,
    FLOW_LABEL_SHARE_ANY = 255,
};

enum flow_label_flag {
    FLOW_LABEL_CREATE = 1,
    FLOW_LABEL_EXCLUSIVE = 2,
    FLOW_LABEL_REFLECT = 4,
    FLOW_LABEL_REMOTE = 8, /* of a question about a peer's label: without effect here */
};

/* An extension header that a request carries, as it would stand in the packet. */
enum flow_label_option_kind {
    FLOW_LABEL_HOPOPTS,
    FLOW_LABEL_RTHDRDSTOPTS, /* destination options before a routing header */
    FLOW_LABEL_RTHDR,
    FLOW_LABEL_DSTOPTS,
};

struct flow_label_option {
    uint8_t kind; /* enum flow_label_option_kind */
    uint16_t size;
    const uint8_t *bytes; /* borrowed */
};

enum { FLOW_LABEL_OPTIONS_MAX = 8 };

struct flow_label_request {
    int64_t time_ns;
    uint64_t seed;
    uint32_t pid;
    uint32_t uid;
    bool is_privileged;
    bool is_tcp; /* the holder stands for a TCP socket */
    const char *holder;
    uint32_t label; /* 0: any that is free */
    uint8_t action; /* enum flow_label_action */
    uint8_t share;  /* enum flow_label_share, or what is none */
    uint16_t flags; /* enum flow_label_flag; others have no effect */
    uint16_t expires_s;
    uint16_t linger_s;
    uint8_t destination[16];
    uint16_t account;    /* index into config.accounts + 1; 0: the packet's own */
    uint8_t class_index; /* 0, CLASS_CONNECTION: the packet's own */
    size_t n_options;
    struct flow_label_option options[FLOW_LABEL_OPTIONS_MAX];
};

struct lease_options;

struct lease {
    uint8_t destination[16];
    int64_t expires_ns;            /* not before this, and not while it has users */
    int64_t linger_ns;             /* how long it stays when the last user has let go */
    struct lease_options *options; /* NULL: none */
    uint32_t label;
    uint32_t owner; /* FLOW_LABEL_SHARE_PROCESS: a pid; …_USER: a uid; else 0 */
    uint32_t n_users;
    uint16_t account;
    uint8_t class_index;
    uint8_t share;
    uint16_t next; /* the table's own */
};

struct flow_label_table;

/* 0 or -ENOMEM. 'config' is kept, not copied. */
int flow_label_table_create(const struct config *config, struct flow_label_table **out);
void flow_label_table_destroy(struct flow_label_table *labels); /* accepts NULL */

/* Does what the request asks; 0 or the kernel's error, negative. '*label' is the label that was
 * granted. */
int flow_label_ask(struct flow_label_table *labels, const struct flow_label_request *request,
                   uint32_t *label);

/* The same in words: "flowlabel get new dst=2001:db8::1 create share=user linger=30". */
void flow_label_change(struct flow_label_table *labels, const struct change *change,
                       struct change_result *result);

/* The lease that gives the packet's flow its account or class: of its label and destination (or
 * source, of a reply that reflects the label, where 'flow_labels.reflect' says so). NULL: none. */
const struct lease *flow_label_find(const struct flow_label_table *labels,
                                    const struct packet *packet);

/* The next in the order of the kernel's list; NULL before the first and after the last. What has
 * ended by 'now_ns' is left out. */
const struct lease *flow_label_next(const struct flow_label_table *labels,
                                    const struct lease *before, int64_t now_ns);

/* "flowlabel list" and "flowlabel headers LABEL [NAME=HEX]...". */
void flow_label_query(const struct flow_label_table *labels, int64_t now_ns,
                      const struct control_request *request, struct control_reply *reply);

#endif
