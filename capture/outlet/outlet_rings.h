/* outlet_rings: the rings of a worker's lanes, all of one life of its streams.
 *
 *     outlet_rings_open(&arguments, "capture-0", &rings);
 *     … rings.items[shard] …                               each is then its lane's to close
 *
 * Files "ring-WORKER-SHARD" in the run directory. Where a worker died, its successor finds them and
 * goes on with their streams, in their epoch. Where one of them makes no sense, none is used: live
 * they are renamed to "ring-….damaged", and the streams begin anew; files would be counted twice.
 */
#ifndef WANMETER_CAPTURE_OUTLET_RINGS_H
#define WANMETER_CAPTURE_OUTLET_RINGS_H

#include "common/arguments.h"
#include "proto/ring.h"

struct outlet_rings {
    struct ring *items[SHARDS_MAX];
    uint64_t epoch;
    bool is_resumed; /* a worker was here before */
    bool is_damaged; /* … and what it left cannot be used */
};

/* 0 or -errno (logged). */
int outlet_rings_open(const struct arguments *arguments, const char *producer,
                      struct outlet_rings *rings);

#endif
