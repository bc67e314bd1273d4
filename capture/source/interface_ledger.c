#include "capture/source/interface_ledger.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CHECKSUM_MAX = 8,          /* what drivers count beside a frame: 4 bytes, or none */
    FRAME_LENGTH_MIN = 14,     /* of a packet that is missing, on average */
    FRAME_LENGTH_MAX = 262144, /* with what offloading merged */
};

void interface_ledger_begin(struct interface_ledger *ledger,
                            const struct interface_counters *before,
                            const struct interface_counters *after, int64_t wall_ns)
{
    *ledger = (struct interface_ledger){
        .has_begun = true,
        .start_packets = after->packets - before->packets,
        .begun = *before,
        .told = *before,
        .dropped_before = before->dropped,
        .told_wall_ns = wall_ns,
        .cut_beside = -1,
    };
}

static void set_loss(const struct interface_ledger *ledger, const struct interface_view *view,
                     const char *reason, uint64_t packets, struct loss *loss)
{
    *loss = (struct loss){
        .first_ns = ledger->told_wall_ns < view->wall_ns ? ledger->told_wall_ns : view->wall_ns,
        .last_ns = view->wall_ns,
        .packets = (int64_t)packets,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
    };
    snprintf(loss->reason, sizeof loss->reason, "%s", reason);
}

/* ---- of every interface: what its card, and the kernel before us, lost ---- */

/* What the kernel counted as dropped at the look before (so that what we have of it has come out of
 * the rings by now), less what it gave to us, or to rings that were full: those are told already.
 */
static uint64_t dropped_unseen(const struct interface_ledger *ledger,
                               const struct interface_view *view)
{
    uint64_t counted = view->is_last ? view->counters.dropped : ledger->dropped_before;
    uint64_t dropped = counted - ledger->begun.dropped;
    uint64_t given = view->sums.unclaimed + view->sums.dropped;
    uint64_t unseen = dropped > given ? dropped - given : 0;
    return ledger->begun.dropped + unseen;
}

static bool next_of_card(struct interface_ledger *ledger, const char *interface,
                         const struct interface_view *view, struct loss *loss)
{
    const struct {
        uint64_t now;
        uint64_t *told;
        const char *reason;
        const char *counter;
        enum loss_certainty certainty;
    } counters[] = {
        {view->counters.missed, &ledger->told.missed, "missed", "rx_missed_errors", LOSS_DERIVED},
        {view->counters.fifo, &ledger->told.fifo, "fifo", "rx_fifo_errors", LOSS_UPPER_BOUND},
        {dropped_unseen(ledger, view), &ledger->told.dropped, "dropped",
         "rx_dropped, less what was captured of types that only we take,", LOSS_UPPER_BOUND},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        uint64_t before = *counters[i].told;
        if (counters[i].now <= before)
            continue;
        *counters[i].told = counters[i].now;
        set_loss(ledger, view, counters[i].reason, counters[i].now - before, loss);
        loss->stage = LOSS_NIC;
        loss->certainty = (uint8_t)counters[i].certainty;
        snprintf(loss->evidence, sizeof loss->evidence, "%s: %s went from %" PRIu64 " to %" PRIu64,
                 interface, counters[i].counter, before, counters[i].now);
        return true;
    }
    return false;
}

/* ---- of a dedicated port ---- */

/* Packets that the interface counted and that came to no ring, as far as can be seen; below 0: they
 * were captured after the interface was asked. */
static int64_t packets_beside(const struct interface_ledger *ledger,
                              const struct interface_view *view)
{
    return (int64_t)(view->counters.packets - ledger->begun.packets - view->sums.packets -
                     view->sums.dropped);
}

/* Bytes that the interface counted and nobody captured. */
static int64_t bytes_missing(const struct interface_ledger *ledger,
                             const struct interface_view *view)
{
    uint64_t packets = view->counters.packets - ledger->begun.packets;
    return (int64_t)(view->counters.bytes - ledger->begun.bytes -
                     packets * (uint64_t)ledger->extra_bytes - view->sums.bytes);
}

/* Is what the interface has counted the same packets as those captured, dropped and beside? */
static bool is_certain(struct interface_ledger *ledger, const struct interface_view *view,
                       int64_t beside)
{
    int64_t before = ledger->cut_beside;
    if (view->moment != MOMENT_OTHER)
        ledger->cut_beside = beside;
    if (beside < 0 || view->moment == MOMENT_OTHER)
        return false;
    return view->moment == MOMENT_QUIET || beside == 0 || beside == before;
}

/* Packets that went by while the capture began are before it: nobody had said 'ready'. True: there
 * were some, and 'begun' is after them now. */
static bool settle_start(struct interface_ledger *ledger, const struct interface_view *view,
                         int64_t beside)
{
    uint64_t packets =
        (uint64_t)beside < ledger->start_packets ? (uint64_t)beside : ledger->start_packets;
    bool is_all = view->sums.dropped == 0 && packets == (uint64_t)beside;
    ledger->start_packets = 0;
    if (packets == 0)
        return false;
    if (is_all)
        ledger->begun.bytes += (uint64_t)bytes_missing(ledger, view);
    else
        ledger->is_vague = true; /* their bytes cannot be told from those of others */
    ledger->begun.packets += packets;
    return true;
}

static void note_certain(struct interface_ledger *ledger, const struct interface_view *view,
                         uint64_t missing)
{
    ledger->certain.packets = view->sums.packets;
    ledger->certain.missing = missing;
    ledger->certain.bytes = bytes_missing(ledger, view);
}

/* What came since the last moment that was certain, with nothing missing of it, shows what the
 * driver counts with each packet. */
static void learn_length(struct interface_ledger *ledger, const struct interface_view *view)
{
    int64_t packets = (int64_t)(view->sums.packets - ledger->certain.packets);
    int64_t extra_bytes = bytes_missing(ledger, view) - ledger->certain.bytes;
    if (ledger->is_length_known) {
        ledger->are_lengths_wrong |= extra_bytes != 0;
    } else if (packets > 0) {
        ledger->is_length_known = true;
        ledger->are_lengths_wrong =
            extra_bytes < 0 || extra_bytes % packets != 0 || extra_bytes / packets > CHECKSUM_MAX;
        ledger->extra_bytes = ledger->are_lengths_wrong ? 0 : (uint32_t)(extra_bytes / packets);
        ledger->begun.bytes += (uint64_t)(bytes_missing(ledger, view) - ledger->certain.bytes);
    }
}

/* The bytes of 'packets' missing ones that were not told; LOSS_AMOUNT_UNKNOWN: they make no sense.
 */
static int64_t bytes_to_tell(const struct interface_ledger *ledger,
                             const struct interface_view *view, uint64_t packets)
{
    int64_t bytes = bytes_missing(ledger, view) - (int64_t)ledger->told_bytes;
    int64_t least = ledger->is_vague ? 0 : (int64_t)packets * FRAME_LENGTH_MIN;
    bool is_sane = bytes >= least && bytes <= (int64_t)packets * FRAME_LENGTH_MAX;
    return is_sane && !ledger->are_lengths_wrong ? bytes : LOSS_AMOUNT_UNKNOWN;
}

static void describe(const char *interface, const struct interface_view *view, uint64_t beside,
                     struct loss *loss)
{
    const char *bytes =
        loss->l2_bytes == LOSS_AMOUNT_UNKNOWN ? "rx_bytes does not say how many bytes"
        : loss->certainty == LOSS_DERIVED     ? "bytes by rx_bytes"
                                              : "bytes by rx_bytes, with some that were under way";
    snprintf(loss->evidence, sizeof loss->evidence,
             "%s: of all packets received so far the rings had no room for %" PRIu64
             ", and %" PRIu64 " came to no ring; %s",
             interface, view->sums.dropped, beside, bytes);
}

static void tell_missing(struct interface_ledger *ledger, const char *interface,
                         const struct interface_view *view, uint64_t beside, bool is_exact,
                         struct loss *loss)
{
    uint64_t missing = view->sums.dropped + beside;
    uint64_t packets = missing - ledger->told_packets;
    set_loss(ledger, view, view->sums.dropped ? "ring_full" : "not_captured", packets, loss);
    loss->stage = LOSS_KERNEL;
    loss->l2_bytes = bytes_to_tell(ledger, view, packets);
    loss->certainty = is_exact && !ledger->is_vague ? LOSS_DERIVED : LOSS_UPPER_BOUND;
    describe(interface, view, beside, loss);
    ledger->told_packets = missing;
    ledger->told_bytes += loss->l2_bytes > 0 ? (uint64_t)loss->l2_bytes : 0;
    bool is_owed = ledger->is_vague && loss->l2_bytes == LOSS_AMOUNT_UNKNOWN;
    ledger->is_vague = !is_exact || is_owed; /* more was told than is missing yet */
    ledger->pending_since_ms = 0;
}

static bool next_missing(struct interface_ledger *ledger, const char *interface,
                         const struct interface_view *view, struct loss *loss)
{
    int64_t beside = packets_beside(ledger, view);
    bool is_exact = is_certain(ledger, view, beside);
    bool is_start = is_exact && settle_start(ledger, view, beside);
    if (is_start)
        beside = packets_beside(ledger, view);
    uint64_t certain_beside = is_exact ? (uint64_t)beside : 0;
    uint64_t missing = view->sums.dropped + certain_beside;
    if (is_exact && !is_start && missing == ledger->certain.missing)
        learn_length(ledger, view);
    if (is_exact)
        note_certain(ledger, view, missing);
    if (missing <= ledger->told_packets) {
        ledger->pending_since_ms = 0;
        return false;
    }
    if (!ledger->pending_since_ms)
        ledger->pending_since_ms = view->now_ms;
    bool is_late = view->now_ms - ledger->pending_since_ms >= INTERFACE_LEDGER_PENDING_MS;
    if (!is_exact && !is_late && !view->is_last)
        return false;
    tell_missing(ledger, interface, view, certain_beside, is_exact, loss);
    return true;
}

bool interface_ledger_next(struct interface_ledger *ledger, const char *interface,
                           const struct interface_view *view, struct loss *loss)
{
    if (!ledger->has_begun)
        return false;
    if (next_of_card(ledger, interface, view, loss) ||
        (view->is_dedicated && next_missing(ledger, interface, view, loss)))
        return true;
    ledger->dropped_before = view->counters.dropped;
    if (!ledger->pending_since_ms)
        ledger->told_wall_ns = view->wall_ns;
    return false;
}
