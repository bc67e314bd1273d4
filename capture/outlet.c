#include "capture/outlet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "capture/outlet/outlet_rings.h"
#include "common/log.h"
#include "proto/clock_step.h"

enum { ENDPOINT_SIZE = 512 };

static const int64_t HEARTBEAT_LAG_NS = 2000000000;

/* ---- open, close ---- */

static int open_lanes(struct bus *bus, const struct arguments *arguments,
                      struct outlet_rings *rings, struct outlet *outlet)
{
    struct lane_options options = {
        .config = &arguments->config,
        .window_bytes = (size_t)arguments->config.capture.window_bytes / arguments->n_shards,
        .is_live = arguments->is_live,
        .is_read_again = arguments->n_files > 0,
    };
    int result = 0;
    for (uint32_t i = 0; i < arguments->n_shards && result == 0; i++) {
        char endpoint[ENDPOINT_SIZE];
        char name[64];
        snprintf(name, sizeof name, "tracker-%u.sock", i);
        arguments_endpoint(arguments, name, endpoint, sizeof endpoint);
        options.endpoint = endpoint;
        options.ring = rings->items[i];
        options.stream = *ring_stream(options.ring);
        result = lane_open(bus, &options, &outlet->lanes[i]);
    }
    return result;
}

/* Live the clock goes on from where it was; files are read again, and it with them. */
static void resume(const struct outlet_rings *rings, struct outlet *outlet)
{
    outlet->is_resumed = rings->is_resumed;
    outlet->is_ring_lost = rings->is_damaged;
    if (!outlet->is_live)
        return;
    outlet->counts = ring_counts(rings->items[0]);
    outlet->before = *outlet->counts;
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        if (lane_clock_ns(outlet->lanes[i]) > outlet->clock_ns)
            outlet->clock_ns = lane_clock_ns(outlet->lanes[i]);
}

/* Live, what a run begins with has gone at once; files bring the same changes again, and drop them.
 */
static bool is_begun(const struct outlet *outlet)
{
    return outlet->is_live && lane_clock_ns(outlet->lanes[0]) != INT64_MIN;
}

/* The first worker's stream carries them for all. */
static int open_changes(struct bus *bus, const struct arguments *arguments, struct outlet *outlet)
{
    char endpoint[ENDPOINT_SIZE];
    arguments_endpoint(arguments, "change.sock", endpoint, sizeof endpoint);
    struct change_inlet_settings settings = {
        .endpoint = arguments->is_live ? endpoint : NULL,
        .path = is_begun(outlet) ? NULL : arguments->changes_path,
        .n_shards = arguments->n_shards,
    };
    if (arguments->worker != 0 || (!settings.endpoint && !settings.path))
        return 0;
    return change_inlet_open(bus, &settings, &outlet->changes);
}

int outlet_open(struct bus *bus, const struct arguments *arguments, const char *producer,
                struct fragment_table *fragments, struct outlet *outlet)
{
    *outlet = (struct outlet){
        .n_lanes = arguments->n_shards,
        .fragments = fragments,
        .is_live = arguments->is_live,
        .is_first = arguments->worker == 0,
    };
    struct outlet_rings rings;
    int result = outlet_rings_open(arguments, producer, &rings);
    if (result == 0)
        result = open_lanes(bus, arguments, &rings, outlet);
    if (result < 0)
        return result;
    resume(&rings, outlet);
    return open_changes(bus, arguments, outlet);
}

void outlet_close(struct outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        lane_close(outlet->lanes[i]);
    change_inlet_close(outlet->changes);
    *outlet = (struct outlet){0};
}

/* ---- after a death ---- */

static void subtract(struct totals *from, const struct totals *what)
{
    from->packets -= what->packets;
    from->l2_bytes -= what->l2_bytes;
    from->l3_bytes -= what->l3_bytes;
}

static void add(struct totals *to, const struct totals *what)
{
    to->packets += what->packets;
    to->l2_bytes += what->l2_bytes;
    to->l3_bytes += what->l3_bytes;
}

/* Captured and in no lane yet: fragments that waited for their ports. They are the first lane's. */
static void declare_waiting(struct outlet *outlet)
{
    struct totals waiting = outlet->counts->captured;
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        subtract(&waiting, lane_gathered(outlet->lanes[i]));
    add(&outlet->counts->gathered, &waiting);
}

static int declare_unknown(struct outlet *outlet, enum loss_stage stage, const char *reason,
                           const char *evidence)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct loss loss = {
        .first_ns = outlet->before.last_ns,
        .last_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
        .packets = -1,
        .l2_bytes = -1,
        .l3_bytes = -1,
        .stage = (uint8_t)stage,
        .certainty = LOSS_UNKNOWN,
    };
    if (loss.first_ns == 0 || loss.first_ns > loss.last_ns)
        loss.first_ns = loss.last_ns;
    snprintf(loss.reason, sizeof loss.reason, "%s", reason);
    snprintf(loss.evidence, sizeof loss.evidence, "%s", evidence);
    return lane_add_loss(outlet->lanes[0], &loss);
}

int outlet_declare_died(struct outlet *outlet, bool is_told_by_interface)
{
    if (outlet->is_ring_lost)
        return declare_unknown(outlet, LOSS_CAPTURE, "ring_damaged",
                               "what a worker that died had captured and not yet sent");
    if (!outlet->is_live || !outlet->is_resumed)
        return 0;
    declare_waiting(outlet);
    for (uint32_t i = 0; i < outlet->n_lanes; i++) {
        struct totals lost = *lane_gathered(outlet->lanes[i]);
        subtract(&lost, lane_pushed(outlet->lanes[i]));
        lane_declare_died(outlet->lanes[i], &lost);
    }
    if (is_told_by_interface)
        return 0;
    return declare_unknown(outlet, LOSS_KERNEL, "worker_died",
                           "what came between a worker's death and its successor's start, and what "
                           "the kernel had for it: at most capture.ring at once");
}

/* ---- packets ---- */

int outlet_add(struct outlet *outlet, struct packet *packet, uint32_t home, uint16_t copies)
{
    int result = lane_add(outlet->lanes[home], packet);
    if (copies == 0)
        return result;
    packet->extra |= copies;
    for (uint32_t i = 0; i < outlet->n_lanes && result == 0; i++)
        if (i != home)
            result = lane_add(outlet->lanes[i], packet);
    packet->extra &= (uint16_t)~copies;
    return result;
}

/* ---- the clock, and what is due with it ---- */

static int put_change(struct outlet *outlet, const struct change *change, int64_t at_ns)
{
    uint8_t bytes[PACKET_PAYLOAD_MAX];
    struct packet packet = {
        .time_ns = at_ns,
        .clock_ns = at_ns,
        .class_index = CLASS_NON_IP,
        .extra = PACKET_CHANGE,
        .payload = bytes,
        .payload_bytes = (uint16_t)change_encode(change, bytes),
    };
    fragment_table_expire(outlet->fragments, at_ns);
    outlet->clock_ns = at_ns;
    int result = 0;
    for (uint32_t i = 0; i < outlet->n_lanes && result == 0; i++)
        result = lane_add_change(outlet->lanes[i], &packet);
    return result;
}

/* Live, where a lane has no room: at the next move. */
static int put_changes(struct outlet *outlet, int64_t next_ns)
{
    struct change change;
    int64_t at_ns;
    int result = 0;
    while (result == 0 && (!outlet->is_live || outlet_is(outlet, lane_has_room)) &&
           change_inlet_next(outlet->changes, outlet->clock_ns, next_ns, &change, &at_ns))
        result = put_change(outlet, &change, at_ns);
    return result;
}

int outlet_move_clock(struct outlet *outlet, int64_t next_ns)
{
    if (next_ns <= outlet->clock_ns)
        return 0;
    int result = 0;
    if (outlet->changes && !change_inlet_is_empty(outlet->changes))
        result = put_changes(outlet, next_ns);
    fragment_table_expire(outlet->fragments, next_ns);
    outlet->clock_ns = next_ns;
    return result;
}

int outlet_follow_clock(struct outlet *outlet, int64_t empty_ns)
{
    if (empty_ns < HEARTBEAT_LAG_NS)
        return 0;
    return outlet_move_clock(outlet, empty_ns - HEARTBEAT_LAG_NS);
}

int outlet_tell_step(struct outlet *outlet, struct clock_watch *clock)
{
    int result = 0;
    if (!outlet->is_first)
        return 0;
    if (clock_watch_is_due(clock)) {
        struct loss loss;
        clock_watch_tell(clock, &loss);
        log_warning("%s", loss.evidence);
        result = lane_add_loss(outlet->lanes[0], &loss);
    }
    if (result < 0 || !clock->has_told)
        return result;
    struct change change;
    clock_step_change(clock->told_step_ns, &change);
    return put_change(outlet, &change, outlet->clock_ns);
}

bool outlet_is_waiting(const struct outlet *outlet)
{
    return outlet->changes && change_inlet_is_waiting(outlet->changes);
}

int outlet_put_last_changes(struct outlet *outlet)
{
    if (!outlet->changes)
        return 0;
    int result = outlet_move_clock(outlet, change_inlet_end_ns(outlet->changes));
    if (result == 0 && outlet_is_waiting(outlet))
        result = outlet_move_clock(outlet, outlet->clock_ns + 1);
    return result;
}

/* ---- batches ---- */

int outlet_send(struct outlet *outlet, bool end_of_stream)
{
    int result = 0;
    for (uint32_t i = 0; i < outlet->n_lanes && result == 0; i++)
        result = lane_send(outlet->lanes[i], outlet->clock_ns, end_of_stream);
    return result;
}

int outlet_send_gathered(struct outlet *outlet)
{
    int result = 0;
    for (uint32_t i = 0; i < outlet->n_lanes && result == 0; i++)
        if (!lane_is_empty(outlet->lanes[i]))
            result = lane_send(outlet->lanes[i], outlet->clock_ns, false);
    return result;
}

int outlet_tell_clock(struct outlet *outlet)
{
    int result = 0;
    for (uint32_t i = 0; i < outlet->n_lanes && result == 0; i++)
        if (!lane_is_current(outlet->lanes[i], outlet->clock_ns))
            result = lane_send(outlet->lanes[i], outlet->clock_ns, false);
    return result;
}

size_t outlet_held_bytes(const struct outlet *outlet)
{
    size_t n = 0;
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        n += lane_held_bytes(outlet->lanes[i]);
    return n;
}

bool outlet_is(const struct outlet *outlet, bool (*is_so)(const struct lane *lane))
{
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        if (!is_so(outlet->lanes[i]))
            return false;
    return true;
}

void outlet_flush(struct outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        lane_flush(outlet->lanes[i]);
}

void outlet_say_bye(struct outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        lane_say_bye(outlet->lanes[i]);
}
