/* tracker_outcome: what a tracker has given, read from its batches of records, and what holds for
 * it whatever went in.
 *
 *     outcome_begin(&outcome);
 *     outcome_take_message(&outcome, &message);         each batch, in order: it stands for itself
 *     outcome_check_flows(&outcome);                    records are the usage of the flows' classes
 *     outcome_sort(&outcome);                           then two of them are equal by their bytes
 */
#ifndef WANMETER_TESTS_FUZZ_TRACKER_OUTCOME_H
#define WANMETER_TESTS_FUZZ_TRACKER_OUTCOME_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "tests/fuzz/tracker_case.h"

enum { OUTCOME_ACCOUNTS = 16, OUTCOME_CLASSES = 256, OUTCOME_FLOWS_MAX = 2 * ITEMS_MAX };

/* What a run has given. */
struct outcome {
    size_t n_usage, n_flows;
    uint64_t n_events[EVENT_KIND_N];
    uint64_t events_sum; /* of their bytes, in any order */
    struct totals counted, lost;
    struct high_water marks[STREAMS_MAX];
    size_t n_marks;
    bool has_ended;
    struct usage_delta usage[ITEMS_MAX];
    uint8_t flows[OUTCOME_FLOWS_MAX][FLOW_RECORD_SIZE];
};

static inline void outcome_begin(struct outcome *out)
{
    memset(out, 0, offsetof(struct outcome, usage));
}

static inline void outcome_add_totals(struct totals *sum, uint64_t packets, uint64_t l2_bytes,
                                      uint64_t l3_bytes)
{
    sum->packets += packets;
    sum->l2_bytes += l2_bytes;
    sum->l3_bytes += l3_bytes;
}

static inline bool outcome_has_key_of(const struct usage_delta *one,
                                      const struct usage_delta *other)
{
    struct usage_delta same = *other;
    same.packets = one->packets;
    same.l2_bytes = one->l2_bytes;
    same.l3_bytes = one->l3_bytes;
    same.billed_bytes = one->billed_bytes;
    return memcmp(one, &same, sizeof same) == 0;
}

static inline void outcome_take_usage(struct outcome *out, const struct usage_delta *delta)
{
    size_t i = 0;
    while (i < out->n_usage && !outcome_has_key_of(&out->usage[i], delta))
        i++;
    assert(delta->packets > 0 && i < ITEMS_MAX);
    if (i == out->n_usage) {
        out->usage[out->n_usage++] = *delta;
    } else {
        out->usage[i].packets += delta->packets;
        out->usage[i].l2_bytes += delta->l2_bytes;
        out->usage[i].l3_bytes += delta->l3_bytes;
        out->usage[i].billed_bytes += delta->billed_bytes;
    }
    if (delta->class_index == CLASS_DUPLICATE)
        assert(delta->billed_bytes == 0);
    else if (delta->wan <= 1) /* none, and overhead: ip */
        assert(delta->billed_bytes >= delta->l3_bytes);
    outcome_add_totals(&out->counted, delta->packets, delta->l2_bytes, delta->l3_bytes);
}

static inline void outcome_take_flow(struct outcome *out, const uint8_t *bytes)
{
    struct flow_record record;
    bool is_sound = flow_record_get(bytes, &record);
    assert(is_sound && out->n_flows < OUTCOME_FLOWS_MAX);
    assert(record.start_ns <= record.last_ns && record.first_ns <= record.last_ns);
    for (size_t i = 0; i < FLOW_DIRECTIONS; i++)
        assert(record.counters[i].ct_packets <= record.counters[i].packets);
    /* What offloading merged is billed as it was sent, with more headers. */
    bool is_plain = record.wan <= 1 && record.wan_changes == 0 && record.merged_packets == 0;
    for (size_t i = 0; i < FLOW_DIRECTIONS; i++)
        assert(!is_plain || record.counters[i].billed_bytes == record.counters[i].l3_bytes);
    memcpy(out->flows[out->n_flows++], bytes, FLOW_RECORD_SIZE);
}

static inline void outcome_take_event(struct outcome *out, const uint8_t *bytes)
{
    struct connection_event event;
    uint64_t hash = UINT64_C(14695981039346656037);
    bool is_sound = connection_event_get(bytes, &event);
    assert(is_sound);
    (void)is_sound;
    for (size_t i = 0; i < CONNECTION_EVENT_SIZE; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    out->events_sum += hash;
    out->n_events[event.kind]++;
}

/* A batch stands for itself: usage and exact losses are what its marks advance. */
static inline void outcome_take_message(struct outcome *out, const struct message *message)
{
    for (size_t i = 0; i < message->n_usage; i++) {
        struct usage_delta delta;
        bool is_sound = usage_delta_get(message->usage + i * USAGE_DELTA_SIZE, &delta);
        assert(is_sound);
        (void)is_sound;
        outcome_take_usage(out, &delta);
    }
    for (size_t i = 0; i < message->n_flows; i++)
        outcome_take_flow(out, message->flows + i * FLOW_RECORD_SIZE);
    for (size_t i = 0; i < message->n_events; i++)
        outcome_take_event(out, message->events + i * CONNECTION_EVENT_SIZE);
    for (size_t i = 0; i < message->n_losses; i++) {
        const struct loss *loss = &message->losses[i].loss;
        if (loss->certainty == LOSS_EXACT)
            outcome_add_totals(&out->lost, (uint64_t)loss->packets, (uint64_t)loss->l2_bytes,
                               (uint64_t)loss->l3_bytes);
    }
    struct totals marked = {0};
    assert(message->n_applied <= STREAMS_MAX);
    out->n_marks = message->n_applied;
    for (size_t i = 0; i < message->n_applied; i++) {
        out->marks[i] = message->applied[i];
        out->marks[i].is_closed = message->end_of_stream;
        outcome_add_totals(&marked, message->applied[i].totals.packets,
                           message->applied[i].totals.l2_bytes,
                           message->applied[i].totals.l3_bytes);
    }
    assert(marked.packets == out->counted.packets + out->lost.packets);
    assert(marked.l2_bytes == out->counted.l2_bytes + out->lost.l2_bytes);
    assert(marked.l3_bytes == out->counted.l3_bytes + out->lost.l3_bytes);
    assert(!out->has_ended);
    out->has_ended = message->end_of_stream;
}

/* Account by account and class by class; billed bytes too. */
static inline void outcome_check_flows(const struct outcome *out)
{
    static struct flow_counters sums[OUTCOME_ACCOUNTS][OUTCOME_CLASSES];
    memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < out->n_usage; i++) {
        const struct usage_delta *delta = &out->usage[i];
        if (!packet_class_is_of_flows(delta->class_index))
            continue;
        assert(delta->account < OUTCOME_ACCOUNTS);
        struct flow_counters *sum = &sums[delta->account][delta->class_index];
        sum->packets += delta->packets;
        sum->l2_bytes += delta->l2_bytes;
        sum->l3_bytes += delta->l3_bytes;
        sum->billed_bytes += delta->billed_bytes;
    }
    for (size_t i = 0; i < out->n_flows; i++) {
        struct flow_record record;
        flow_record_get(out->flows[i], &record);
        assert(record.account < OUTCOME_ACCOUNTS);
        struct flow_counters *sum = &sums[record.account][record.class_index];
        for (size_t k = 0; k < FLOW_DIRECTIONS; k++) {
            sum->packets -= record.counters[k].packets;
            sum->l2_bytes -= record.counters[k].l2_bytes;
            sum->l3_bytes -= record.counters[k].l3_bytes;
            sum->billed_bytes -= record.counters[k].billed_bytes;
        }
    }
    for (size_t i = 0; i < OUTCOME_ACCOUNTS; i++)
        for (size_t k = 0; k < OUTCOME_CLASSES; k++)
            assert(sums[i][k].packets == 0 && sums[i][k].l2_bytes == 0 &&
                   sums[i][k].l3_bytes == 0 && sums[i][k].billed_bytes == 0);
}

static inline int outcome_compare_usage(const void *one, const void *other)
{
    return memcmp(one, other, sizeof(struct usage_delta));
}

static inline int outcome_compare_flows(const void *one, const void *other)
{
    return memcmp(one, other, FLOW_RECORD_SIZE);
}

static inline void outcome_sort(struct outcome *out)
{
    qsort(out->usage, out->n_usage, sizeof *out->usage, outcome_compare_usage);
    qsort(out->flows, out->n_flows, FLOW_RECORD_SIZE, outcome_compare_flows);
}

#endif
