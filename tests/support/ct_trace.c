/* ct_trace: what the connection tracker says of each packet of a capture, as JSON lines.
 *
 *     ct_trace [-w] [-s NAME=VALUE]… [--config FILE] [--changes FILE] CAPTURE
 *
 * NAME=VALUE and --config as on wanmeter's command line; a line of the changes' file is what is
 * changed before the frame of that number ("timeout default set …"; empty: nothing).
 *
 * A line of each IP packet: {"n": number of the frame, "p": protocol, "v": verdict, "d": direction,
 * "id": flow, "state": …, "t": timeout in ns that it set, or null}. Verdicts: N new, E established,
 * R related, I invalid, U untracked, F a fragment that is held, x nothing that a receiver looks
 * into; directions: o, r, -. A line of each flow at its end: {"flow": id, …}. With -w no frame was
 * longer on the wire than it is in the capture, as for a kernel that is given the capture. The
 * modules are those of the real processes; there is one of each, and no queue between them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/control_packets.h"
#include "capture/decode.h"
#include "capture/fragment.h"
#include "capture/source.h"
#include "capture/wan.h"
#include "capture/zone_rule.h"
#include "common/address.h"
#include "common/labels.h"
#include "proto/rss.h"
#include "tracker/control.h"
#include "tracker/flow.h"

struct trace {
    struct config config;
    struct source *source;
    struct decoder decoder;
    struct wan_table *wans;
    struct control_packets *control;
    struct zone_rules *zone_rules; /* NULL: none */
    struct fragment_table *fragments;
    struct rss rss;
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    FILE *changes; /* NULL: none */
    int64_t clock_ns;
    uint64_t n; /* of the frame under way, from 0 */
    const struct packet *packet;
    bool has_verdict;    /* it */
    bool is_as_captured; /* -w */
};

static char letter_of(uint32_t ct_state)
{
    if (ct_state & CT_INVALID)
        return 'I';
    if (ct_state & CT_RELATED)
        return 'R';
    if (ct_state & CT_ESTABLISHED)
        return 'E';
    return ct_state & CT_NEW ? 'N' : 'U';
}

static char direction_letter(uint32_t ct_state)
{
    if (!(ct_state & (CT_NEW | CT_ESTABLISHED | CT_RELATED)))
        return '-';
    return ct_state & CT_REPLY ? 'r' : 'o';
}

static void print_judgement(struct trace *trace, uint8_t protocol)
{
    const struct flow_judgement *judgement = flow_table_judgement(trace->flows);
    trace->has_verdict = true;
    uint32_t ct_state = judgement->ct_state;
    bool has_effect =
        (ct_state & (CT_NEW | CT_ESTABLISHED | CT_RELATED)) || judgement->timeout_ns > 0;
    printf("{\"n\": %" PRIu64 ", \"p\": %u, \"v\": \"%c\", \"d\": \"%c\", \"id\": %" PRIu64
           ", \"state\": \"%s\", \"t\": ",
           trace->n, protocol, letter_of(ct_state), direction_letter(ct_state),
           has_effect ? flow_table_judged_id(trace->flows) : 0,
           connection_state_name(judgement->state));
    if (judgement->timeout_ns > 0)
        printf("%" PRId64 "}\n", judgement->timeout_ns);
    else
        puts("null}");
}

static void print_verdict(struct trace *trace, char letter, char direction)
{
    trace->has_verdict = true;
    printf("{\"n\": %" PRIu64 ", \"p\": 0, \"v\": \"%c\", \"d\": \"%c\", \"id\": 0, "
           "\"state\": \"none\", \"t\": null}\n",
           trace->n, letter, direction);
}

/* A packet whose ports are settled. One that waited for them is of a frame before. */
static void on_packet(void *state, struct packet *packet)
{
    struct trace *trace = state;
    if (trace->zone_rules)
        zone_rules_apply(trace->zone_rules, packet);
    bool is_judged = packet == trace->packet && !(packet->extra & PACKET_HELD);
    packet->rss = rss_tag(&trace->rss, packet);
    while (flow_table_advance(trace->flows, packet->clock_ns))
        ;
    if (packet->class_index == CLASS_CONNECTION) {
        struct flow_key key;
        struct flow_charge charge;
        flow_table_key(trace->flows, packet, &key);
        flow_table_prefetch(trace->flows, &key);
        flow_table_add(trace->flows, packet, &key, &charge);
        if (is_judged)
            print_judgement(trace, packet->protocol);
    } else if (packet->class_index == CLASS_ICMP_ERROR && is_judged) {
        uint32_t ct_state = flow_table_judge_error(trace->flows, packet);
        print_verdict(trace, letter_of(ct_state), direction_letter(ct_state));
    } else if (packet_is_ip(packet) && is_judged) {
        print_verdict(trace, 'I', '-');
    }
}

static void add_payload(const struct trace *trace, const struct layers *layers,
                        struct packet *packet)
{
    if (trace->control && control_packets_has(trace->control, packet))
        control_packets_add_payload(layers, packet);
}

static void on_fragment(void *state, struct packet *packet)
{
    struct trace *trace = state;
    if (packet->extra & PACKET_COMPLETES)
        add_payload(trace, fragment_table_whole(trace->fragments), packet);
    on_packet(trace, packet);
}

/* What has no verdict: a fragment that completes, but waits for ports to be billed to, is none of
 * its datagram's. */
static char letter_of_unjudged(const struct packet *packet, bool is_fragment)
{
    if (!is_fragment)
        return 'x';
    return packet->extra & PACKET_HELD ? 'F' : 'I';
}

static void on_frame(struct trace *trace, const struct frame *frame)
{
    struct packet packet;
    struct layers layers;
    decode_frame(&trace->decoder, frame, &packet, &layers);
    if (frame->clock_ns > trace->clock_ns)
        trace->clock_ns = frame->clock_ns;
    packet.clock_ns = trace->clock_ns;
    wan_table_apply(trace->wans, frame, &layers, &packet);
    fragment_table_expire(trace->fragments, trace->clock_ns);
    bool is_ip = packet_is_ip(&packet) || packet.class_index == CLASS_MALFORMED;
    trace->has_verdict = false;
    trace->packet = &packet;
    if (layers.is_fragment) {
        fragment_table_add(trace->fragments, &packet, &layers, frame->source_index);
    } else {
        add_payload(trace, &layers, &packet);
        on_packet(trace, &packet);
    }
    if (is_ip && !trace->has_verdict)
        print_verdict(trace, letter_of_unjudged(&packet, layers.is_fragment), '-');
}

static void print_end(const char *name, const uint8_t *address, unsigned ip_version)
{
    char text[ADDRESS_TEXT_SIZE];
    address_text(ip_version, address, text);
    printf(", \"%s\": \"%s\"", name, text);
}

static void print_labels(const struct flow_record *record)
{
    char text[LABELS_TEXT_SIZE];
    labels_text(record->labels, text);
    printf(", \"zone\": %u, \"mark\": %" PRIu32 ", \"labels\": \"%s\"", record->zone, record->mark,
           text);
}

static void on_record(void *state, const struct flow_record *record)
{
    (void)state;
    const struct flow_counters *original = &record->counters[FLOW_ORIGINAL];
    const struct flow_counters *reply = &record->counters[FLOW_REPLY];
    printf("{\"flow\": %" PRIu64 ", \"protocol\": %u, \"state\": \"%s\", \"status\": %" PRIu32
           ", \"end\": \"%s\", \"start\": %" PRId64 ", \"master\": %" PRIu64,
           record->id, record->protocol, connection_state_name(record->state), record->status,
           end_reason_name(record->end_reason), record->start_ns, record->master_id);
    print_labels(record);
    print_end("src", record->source_address, record->ip_version);
    print_end("dst", record->destination_address, record->ip_version);
    printf(", \"sport\": %u, \"dport\": %u, \"type\": %u, \"code\": %u", record->source_port,
           record->destination_port, record->icmp_type, record->icmp_code);
    printf(", \"packets\": [%" PRIu64 ", %" PRIu64 "], \"bytes\": [%" PRIu64 ", %" PRIu64 "]}\n",
           original->ct_packets, reply->ct_packets, original->ct_l3_bytes, reply->ct_l3_bytes);
}

static void read_option(struct trace *trace, const char *name, const char *value,
                        struct config_errors *errors)
{
    if (strcmp(name, "--config") == 0)
        config_load(&trace->config, value, errors);
    else if (strcmp(name, "--changes") == 0)
        trace->changes = fopen(value, "r");
    else
        config_set(&trace->config, value, errors);
}

static bool read_options(struct trace *trace, int argc, char **argv)
{
    trace->is_as_captured = argc > 1 && strcmp(argv[1], "-w") == 0;
    int first = trace->is_as_captured ? 2 : 1;
    struct config_errors errors = {0};
    config_init(&trace->config);
    config_set(&trace->config, "tracker.interim_interval=1d", &errors);
    for (int i = first; i + 1 < argc; i += 2)
        read_option(trace, argv[i], argv[i + 1], &errors);
    config_check(&trace->config, &errors);
    bool is_good = errors.n == 0 && (argc - first) % 2 == 1;
    if (!is_good)
        config_errors_print(&errors, stderr);
    config_errors_deinit(&errors);
    return is_good;
}

static int trace_open(struct trace *trace, const char *path)
{
    uint8_t key[RSS_KEY_SIZE];
    char error[SOURCE_ERROR_MAX] = "no memory";
    const struct config *config = &trace->config;
    struct flow_options options = {
        .config = config, .connections_max = 1 << 20, .sink = {.on_record = on_record}};
    rss_key_parse("microsoft", key);
    rss_init(&trace->rss, key);
    decode_init(&trace->decoder, config);
    int result = wan_table_create(config, &trace->wans);
    if (result == 0)
        result = zone_rules_create(config, &trace->zone_rules);
    if (result == 0)
        result = control_packets_create(config, &trace->control);
    if (result == 0)
        result =
            fragment_table_create(config, &trace->decoder, on_fragment, trace, &trace->fragments);
    if (result == 0)
        result = account_table_create(config, &trace->accounts);
    options.accounts = trace->accounts;
    if (result == 0)
        result = link_table_create(config, &trace->links);
    options.links = trace->links;
    if (result == 0)
        result = flow_table_create(&options, &trace->flows);
    if (result == 0)
        result =
            source_open_files(&path, 1, 0, config->capture.time_jump_max_ns, &trace->source, error);
    if (result < 0)
        fprintf(stderr, "ct_trace: %s\n", error);
    return result;
}

/* What its line of the file says is changed before this frame. */
static void make_change(struct trace *trace)
{
    char line[CHANGE_TEXT_MAX];
    if (!trace->changes || !fgets(line, sizeof line, trace->changes))
        return;
    const char *words[CHANGE_WORDS_MAX];
    size_t n_words = 0;
    for (char *word = strtok(line, " \n"); word && n_words < CHANGE_WORDS_MAX;
         word = strtok(NULL, " \n"))
        words[n_words++] = word;
    struct change change = {0};
    struct change_result result;
    if (n_words > 0 && change_set_words(&change, words, n_words))
        control_apply(&(struct control){.flows = trace->flows}, &change, &result);
}

static void read_frames(struct trace *trace)
{
    struct frame frame;
    struct loss loss;
    for (;;) {
        switch (source_next(trace->source, &frame, &loss)) {
        case SOURCE_FRAME:
            if (trace->is_as_captured)
                frame.wire_bytes = frame.captured_bytes;
            make_change(trace);
            on_frame(trace, &frame);
            trace->n++;
            break;
        case SOURCE_LOSS:
        case SOURCE_NOTHING:
            break;
        case SOURCE_END:
        case SOURCE_FAILED:
            return;
        }
    }
}

static void trace_close(struct trace *trace)
{
    source_close(trace->source);
    flow_table_destroy(trace->flows);
    link_table_destroy(trace->links);
    account_table_destroy(trace->accounts);
    fragment_table_destroy(trace->fragments);
    zone_rules_destroy(trace->zone_rules);
    control_packets_destroy(trace->control);
    wan_table_destroy(trace->wans);
    config_deinit(&trace->config);
}

int main(int argc, char **argv)
{
    static struct trace trace;
    if (!read_options(&trace, argc, argv))
        return 2;
    int result = trace_open(&trace, argv[argc - 1]);
    if (result == 0) {
        read_frames(&trace);
        fragment_table_flush(trace.fragments);
        while (flow_table_advance(trace.flows, trace.clock_ns))
            ;
        while (flow_table_finish(trace.flows, SIZE_MAX))
            ;
    }
    trace_close(&trace);
    return result == 0 ? 0 : 1;
}
