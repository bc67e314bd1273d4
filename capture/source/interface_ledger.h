/* interface_ledger: an interface's own counters against what its workers captured: what is missing.
 *
 *     interface_ledger_begin(&ledger, &before, &after, wall_ns);       around the capture's start
 *     while (interface_ledger_next(&ledger, "eth1", &view, &loss)) …   about once a second
 *
 * One for each interface, however many workers share it. What the card or the kernel lost before
 * anybody who listens could see it is told of every interface, each counter by itself. Among what
 * the kernel calls dropped are packets that it gave to us and had no other use for: as many as we
 * captured of such types are taken off.
 *
 * Of a dedicated port (a mirror's: all that it receives is captured, and nobody sends there) it is
 * also told what the workers' rings had no room for, and what reached no ring at all (a worker that
 * was killed had packets in its own). Their bytes are what the interface counted and nobody
 * captured:
 *
 *     packets received = captured + dropped + never in a ring
 *     bytes received   = captured + missing             (+ a checksum a packet, with some drivers)
 *
 * Both sides must be of one moment. They are where nothing has moved for a while; and, of one ring,
 * where its packets were counted up to the moment at which the interface was asked, by their
 * timestamps. Then two answers in a row must be the same, because a packet is counted and stamped
 * at slightly different times. Without such a moment for PENDING_MS, or at the end, the bytes are
 * told as an upper bound, with those of packets that were under way; the next line makes up for it.
 *
 * Plain data without pointers: it can lie in shared memory. Not thread-safe. */
#ifndef WANMETER_CAPTURE_INTERFACE_LEDGER_H
#define WANMETER_CAPTURE_INTERFACE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/source/interface_counters.h"
#include "proto/record.h"

enum { INTERFACE_LEDGER_PENDING_MS = 10000 };

/* What the workers of an interface have captured together. */
struct interface_sums {
    uint64_t packets;
    uint64_t bytes;   /* on the wire */
    uint64_t dropped; /* packets that found no room in a ring */
    uint64_t
        unclaimed; /* captured, of types that nobody else takes (frames of other than IP and ARP) */
};

/* Are counters and sums of one moment? */
enum interface_moment {
    MOMENT_OTHER,
    MOMENT_CUT,   /* of one ring, by its packets' timestamps */
    MOMENT_QUIET, /* nothing moves, and all rings are empty */
};

struct interface_view {
    struct interface_counters counters;
    struct interface_sums sums;
    enum interface_moment moment;
    int64_t wall_ns;
    int64_t now_ms;    /* monotonic */
    bool is_dedicated; /* else drops are the workers' to tell */
    bool is_last;
};

struct interface_ledger {
    bool has_begun;
    bool is_vague; /* the next line's bytes are an upper bound: there are others among them */
    bool is_length_known;
    bool are_lengths_wrong;          /* the driver counts bytes by a rule that we do not see */
    uint32_t extra_bytes;            /* that the driver counts with each packet */
    uint64_t start_packets;          /* received while the capture began: counted, or not */
    struct interface_counters begun; /* then */
    struct interface_counters told;  /* what of the card's losses was told */
    uint64_t told_packets;           /* missing ones, of a dedicated port */
    uint64_t told_bytes;
    uint64_t dropped_before;  /* by the interface's counter, at the look before */
    int64_t told_wall_ns;     /* up to here */
    int64_t pending_since_ms; /* something is missing and not told yet; 0: nothing */
    int64_t cut_beside;       /* at the cut before */
    struct {
        uint64_t packets; /* captured */
        uint64_t missing;
        int64_t bytes; /* that nobody captured */
    } certain;         /* at the last moment that was certain */
};

/* What the interface had counted just before it was captured, and just after. */
void interface_ledger_begin(struct interface_ledger *ledger,
                            const struct interface_counters *before,
                            const struct interface_counters *after, int64_t wall_ns);

/* True: '*loss' is a line to tell; call again. */
bool interface_ledger_next(struct interface_ledger *ledger, const char *interface,
                           const struct interface_view *view, struct loss *loss);

#endif
