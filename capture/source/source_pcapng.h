/* source_pcapng: what a pcapng section says of its interfaces, and the time of their packets.
 * Within the capture source only. */
#ifndef WANMETER_CAPTURE_SOURCE_PCAPNG_H
#define WANMETER_CAPTURE_SOURCE_PCAPNG_H

#include <stdint.h>

#include "capture/source/source_file.h"

enum { PCAPNG_INTERFACES_MAX = 4096 };

/* 64 bits of ticks in nanoseconds need 94 bits. */
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

struct pcapng_interface {
    const char *name;
    int32_t link_type;
    uint32_t snap_bytes; /* 0: no limit */
    /* time_ns = ticks * multiplier / divisor / 2^shift + offset_ns */
    uint64_t multiplier;
    uint64_t divisor;
    uint8_t shift;
    bool is_whole; /* divisor 1, shift 0, offset 0: one multiplication */
    int128 offset_ns;
    /* packets that its capture lost: source_pcapng_drops.h */
    uint64_t drops_between; /* told by packets */
    uint64_t drops_of_nic;
    uint64_t drops_counted; /* of either source the larger */
};

/* Lost packets that are not told yet. */
struct pcapng_drops {
    uint64_t nic;
    uint64_t kernel;
    uint64_t all; /* of the file, told or not */
    int64_t first_ns;
    int64_t told_ns; /* up to here; 0: nothing was told */
};

struct pcapng {
    struct pcapng_interface *interfaces; /* of this section */
    size_t n_interfaces;
    size_t interfaces_room;
    char **names; /* if_name of all sections, each once, for as long as the file is open */
    size_t n_names;
    size_t names_room;
    /* A block under way that is not kept: what of it is still to be skipped, and its length, which
     * is repeated at its end. 0: none. */
    uint64_t skip_bytes;
    uint32_t skipped_length;
    struct pcapng_drops drops;
};

/* Adds the interface that the block's body describes. SOURCE_FRAME: done; else SOURCE_LOSS. */
enum source_result pcapng_interface_add(struct source_file *file, const uint8_t *body, size_t size);

/* Clamped to 0 and FRAME_TIME_MAX_NS. */
int64_t pcapng_interface_time(const struct pcapng_interface *interface, uint64_t ticks);

#endif
