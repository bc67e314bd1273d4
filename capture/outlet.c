#include "capture/outlet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/uplink.h"

enum { ENDPOINT_SIZE = 512 };

static const int64_t HEARTBEAT_LAG_NS = 2000000000;

/* ---- open, close ---- */

static int open_lanes(struct bus *bus, const struct arguments *arguments, const char *producer,
                      struct outlet *outlet)
{
    struct lane_options options = {
        .config = &arguments->config,
        .stream = {.epoch = uplink_epoch()},
        .window_bytes = (size_t)arguments->config.capture.window_bytes / arguments->n_shards,
        .is_live = arguments->is_live,
    };
    snprintf(options.stream.producer, sizeof options.stream.producer, "%s", producer);
    int result = 0;
    for (uint32_t i = 0; i < arguments->n_shards && result == 0; i++) {
        char endpoint[ENDPOINT_SIZE];
        char name[64];
        snprintf(name, sizeof name, "tracker-%u.sock", i);
        arguments_endpoint(arguments, name, endpoint, sizeof endpoint);
        options.endpoint = endpoint;
        options.stream.shard = i;
        result = lane_open(bus, &options, &outlet->lanes[i]);
    }
    return result;
}

/* The first worker's stream carries them for all. */
static int open_changes(struct bus *bus, const struct arguments *arguments, struct outlet *outlet)
{
    char endpoint[ENDPOINT_SIZE];
    arguments_endpoint(arguments, "change.sock", endpoint, sizeof endpoint);
    struct change_inlet_settings settings = {
        .endpoint = arguments->is_live ? endpoint : NULL,
        .path = arguments->changes_path,
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
    };
    int result = open_lanes(bus, arguments, producer, outlet);
    return result < 0 ? result : open_changes(bus, arguments, outlet);
}

void outlet_close(struct outlet *outlet)
{
    for (uint32_t i = 0; i < outlet->n_lanes; i++)
        lane_close(outlet->lanes[i]);
    change_inlet_close(outlet->changes);
    *outlet = (struct outlet){0};
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
    int result = outlet->changes ? put_changes(outlet, next_ns) : 0;
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

int outlet_add_change(struct outlet *outlet, const struct change *change)
{
    return put_change(outlet, change, outlet->clock_ns);
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
