/* What happens when: waiting for subscribers, running, parting. */
#include "exporter/exporter.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "common/process_status.h"

enum {
    GOODBYE_MS = 5000,     /* how long to wait for trackers that do not say goodbye */
    GIVE_UP_MS = 30000,    /* how long to wait for a database, once all has ended */
    UNSUBSCRIBE_MS = 2000, /* how long subscribers may take to read to the bye */
    NS_PER_MS = 1000000,
};

/* Its cause was logged. */
void exporter_stop(struct exporter *exporter, int result)
{
    exporter->is_corrupt |= result == -EUCLEAN;
    exporter->status = PROCESS_FAILED;
    loop_stop(exporter->loop);
}

void exporter_fail(struct exporter *exporter, const char *what)
{
    if (exporter->status == 0)
        log_error("%s", what);
    exporter_stop(exporter, 0);
}

void exporter_enter(struct exporter *exporter, enum exporter_phase phase)
{
    exporter->phase = phase;
    exporter->phase_since_ms = loop_now_ms(exporter->loop);
}

static uint64_t phase_age_ms(const struct exporter *exporter)
{
    return loop_now_ms(exporter->loop) - exporter->phase_since_ms;
}

static void wait_for_subscribers(struct exporter *exporter)
{
    const struct config *config = &exporter->arguments.config;
    bool is_there =
        publisher_subscriptions(exporter->publisher) >= (size_t)config->events.subscribers_min;
    bool is_late =
        phase_age_ms(exporter) >= (uint64_t)(config->events.subscribers_wait_ns / NS_PER_MS);
    if (!is_there && !is_late)
        return;
    downlink_start(exporter->input);
    exporter_enter(exporter, PHASE_RUNNING);
}

/* What is in the spool is safe, and goes in when the next exporter starts. */
static void give_up_waiting(struct exporter *exporter)
{
    if (!exporter->ended_ms)
        exporter->ended_ms = loop_now_ms(exporter->loop);
    else if (!ledger_is_well(exporter->ledger) &&
             loop_now_ms(exporter->loop) - exporter->ended_ms >= GIVE_UP_MS) {
        exporter_fail(exporter,
                      "the database takes no records: those in the spool go in at the next start");
        exporter->status = PROCESS_CANNOT_START; /* a successor could not either */
    }
}

static void run_input(struct exporter *exporter)
{
    bool is_busy;
    uint64_t now_ms = loop_now_ms(exporter->loop);
    int result = ledger_turn(exporter->ledger, now_ms, &is_busy);
    if (result < 0) {
        exporter_stop(exporter, result);
        return;
    }
    if (is_busy)
        loop_again(exporter->loop);
    if (exporter->is_last)
        ledger_end_all(exporter->ledger);
    if (!ledger_has_ended(exporter->ledger))
        return;
    result = ledger_finish(exporter->ledger, now_ms);
    if (result == 0) {
        publisher_say_bye(exporter->publisher);
        exporter_enter(exporter, PHASE_PARTING);
    } else if (result == -EAGAIN) {
        give_up_waiting(exporter);
    } else {
        exporter_stop(exporter, result);
    }
}

static void part(struct exporter *exporter)
{
    uint64_t age_ms = phase_age_ms(exporter);
    bool is_done = downlink_is_done(exporter->input) || exporter->is_last || age_ms >= GOODBYE_MS;
    bool is_heard = publisher_subscriptions(exporter->publisher) == 0 || age_ms >= UNSUBSCRIBE_MS;
    if (is_done && is_heard)
        loop_stop(exporter->loop);
}

/* Once a turn of the loop, after the bus has given what was there. */
void exporter_on_turn(void *state)
{
    struct exporter *exporter = state;
    if (exporter->status)
        return;
    if (exporter->phase == PHASE_WAITING)
        wait_for_subscribers(exporter);
    if (exporter->phase == PHASE_RUNNING)
        run_input(exporter);
    downlink_flush(exporter->input);
    if (exporter->phase == PHASE_PARTING)
        part(exporter);
}

/* A turn now and then, for the time limits. */
void exporter_on_tick(void *state)
{
    (void)state;
}

/* The supervisor ends a run from the capture side: the first signal is only noted. */
void exporter_on_signal(void *state, int signal_number)
{
    struct exporter *exporter = state;
    exporter->n_signals++;
    if (exporter->n_signals > 1)
        exporter_fail(exporter, "stopped by a second signal; what is committed stays");
    else if (!exporter->arguments.is_live)
        log_warning("%s: going on until what was captured is in the database",
                    strsignal(signal_number));
}

/* A tracker ends once all that it sent is acknowledged: nothing is on its way. */
void exporter_on_last(void *state, int signal_number)
{
    struct exporter *exporter = state;
    (void)signal_number;
    exporter->is_last = true;
}
