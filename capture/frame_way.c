#include "capture/frame_way.h"

#include <errno.h>

#include "common/log.h"

/* What the outlet returned. */
static inline void note(struct frame_way *way, int result)
{
    if (result < 0)
        way->result = result;
}

static inline __attribute__((always_inline)) uint32_t tag(struct frame_way *way,
                                                          struct packet *packet)
{
    packet->rss = rss_tag(&way->rss, packet);
    if (__builtin_expect(way->n_shards == 1, 1))
        return 0; /* a guess: what follows of a lone shard need not wait for the tag */
    return rss_shard(packet->rss, way->n_shards);
}

/* A packet whose ports are settled. */
static __attribute__((noinline)) void put_packet(struct frame_way *way, struct packet *packet)
{
    if (way->zone_rules)
        zone_rules_apply(way->zone_rules, packet);
    uint32_t shard = tag(way, packet);
    uint16_t copies = packet->header_bytes ? PACKET_LINK : 0;
    if (way->control && control_packets_has(way->control, packet))
        copies |= PACKET_SHADOW;
    else if (way->control && control_packets_may_open(packet))
        copies |= PACKET_OPENING;
    note(way, outlet_add(way->outlet, packet, shard, copies));
}

static void add_payload(const struct frame_way *way, const struct layers *layers,
                        struct packet *packet)
{
    if (way->control && control_packets_has(way->control, packet))
        control_packets_add_payload(layers, packet);
}

static void on_fragment(void *state, struct packet *packet)
{
    struct frame_way *way = state;
    if (packet->extra & PACKET_COMPLETES)
        add_payload(way, fragment_table_whole(way->fragments), packet);
    put_packet(way, packet);
}

/* What is asked for beside the packet itself. */
static __attribute__((noinline)) void add_seldom(struct frame_way *way, const struct frame *frame,
                                                 const struct layers *layers, struct packet *packet)
{
    if (way->has_fingerprints)
        packet->fingerprint = fingerprint_of(&way->fingerprint, layers);
    if (frame->is_bad_time) {
        packet->class_index = CLASS_BAD_TIME;
    } else if (layers->is_fragment) {
        fragment_table_add(way->fragments, packet, layers, frame->source_index);
        return;
    } else {
        add_payload(way, layers, packet);
        if (way->links)
            link_packets_add_header(way->links, layers, packet);
    }
    put_packet(way, packet);
}

void frame_way_add(void *state, const struct frame *frame)
{
    struct frame_way *way = state;
    struct packet packet;
    struct layers layers;
    way->n_frames++;
    decode_frame(&way->decoder, frame, &packet, &layers);
    source_sums_add(way->sums, way->outlet->counts, frame, &packet);
    int64_t clock_ns = way->clock ? clock_watch_of(way->clock, frame->time_ns) : frame->clock_ns;
    note(way, outlet_move_clock(way->outlet, clock_ns));
    packet.clock_ns = way->outlet->clock_ns;
    wan_table_apply(way->wans, frame, &layers, &packet);
    if (way->asks_more || frame->is_bad_time || layers.is_fragment)
        add_seldom(way, frame, &layers, &packet);
    else
        note(way, outlet_add(way->outlet, &packet, tag(way, &packet), 0));
}

void frame_way_end(struct frame_way *way)
{
    fragment_table_flush(way->fragments);
    fragment_table_tell_given_up(way->fragments);
}

/* ---- open, close ---- */

static int read_key(struct frame_way *way, const char *text)
{
    uint8_t key[RSS_KEY_SIZE];
    if (!rss_key_parse(text, key)) {
        log_error("capture.rss_key: got '%s', expected random, microsoft or 80 hexadecimal digits "
                  "of a key with many distinct words",
                  text);
        return -EINVAL;
    }
    rss_init(&way->rss, key);
    fingerprint_init(&way->fingerprint, key);
    return 0;
}

int frame_way_open(const struct arguments *arguments, struct outlet *outlet,
                   struct source_sums *sums, struct clock_watch *clock, struct frame_way *way)
{
    const struct config *config = &arguments->config;
    *way = (struct frame_way){
        .has_fingerprints = config->capture.duplicate_window_ns != 0,
        .n_shards = arguments->n_shards,
        .outlet = outlet,
        .sums = sums,
        .clock = arguments->is_live ? clock : NULL,
    };
    decode_init(&way->decoder, config);
    int result = read_key(way, config->capture.rss_key);
    if (result == 0)
        result = wan_table_create(config, &way->wans);
    if (result == 0)
        result = zone_rules_create(config, &way->zone_rules);
    if (result == 0)
        result = control_packets_create(config, &way->control);
    if (result == 0)
        result = link_packets_create(config, &way->links);
    way->asks_more = way->zone_rules || way->control || way->links || way->has_fingerprints;
    if (result == 0)
        result = fragment_table_create(config, &way->decoder, on_fragment, way, &way->fragments);
    return result;
}

void frame_way_close(struct frame_way *way)
{
    fragment_table_destroy(way->fragments);
    zone_rules_destroy(way->zone_rules);
    link_packets_destroy(way->links);
    control_packets_destroy(way->control);
    wan_table_destroy(way->wans);
}
