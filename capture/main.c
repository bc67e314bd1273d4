/* wanmeter-capture: one worker: frames in, packed packets out to the shards. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture/clock_watch.h"
#include "capture/frame_way.h"
#include "capture/outlet.h"
#include "capture/source.h"
#include "capture/source_sums.h"
#include "common/arguments.h"
#include "common/bus.h"
#include "common/heap.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/process_status.h"
#include "common/report.h"
#include "common/sandbox.h"

enum {
    FRAMES_A_TURN = 4096,
    TICK_MS = 500,
    PROGRESS_INTERVAL_MS = 200,
    HEARTBEAT_INTERVAL_MS = 1000,
};

enum phase {
    PHASE_READING,
    PHASE_DRAINING, /* all is read and sent: wait until it is committed */
};

struct capture {
    struct arguments arguments;
    struct loop *loop;
    struct bus *bus;
    struct source *source;
    struct frame_way way;
    struct outlet outlet;
    struct sandbox sandbox;
    struct report report;
    struct clock_watch clock; /* live */

    enum phase phase;
    struct source_sums sums;
    uint64_t stop_signals;
    bool is_dedicated; /* the interface's counters tell what the kernel lost */
    bool is_stopping;  /* no more is to be read than what a worker that died had read */
    bool is_ready;
    int status;
    char name[32];
};

static void fail(struct capture *capture, const char *what)
{
    log_error("%s", what);
    capture->status = PROCESS_FAILED;
    loop_stop(capture->loop);
}

/* What the outlet returned. */
static void check(struct capture *capture, int result)
{
    if (result < 0)
        fail(capture, "no memory for a batch of packets");
}

/* ---- batches ---- */

/* What the sources have given goes to the ledger by the first lane. */
static void add_source_totals(struct capture *capture)
{
    const struct outlet *outlet = &capture->outlet;
    check(capture, source_sums_tell(&capture->sums, capture->source,
                                    outlet->counts ? &outlet->before : NULL, outlet->lanes[0]));
}

static void add_loss(struct capture *capture, const struct loss *loss)
{
    check(capture, lane_add_loss(capture->outlet.lanes[0], loss));
}

static void end_stream(struct capture *capture)
{
    frame_way_end(&capture->way);
    check(capture, outlet_put_last_changes(&capture->outlet));
    if (!outlet_is(&capture->outlet, lane_is_caught_up)) {
        fail(capture, "the files have less in them than a worker that died had read there");
        return;
    }
    add_source_totals(capture);
    check(capture, outlet_send(&capture->outlet, true));
    capture->phase = PHASE_DRAINING;
}

/* ---- reading ---- */

static void look_at_clock(struct capture *capture)
{
    clock_watch_look(&capture->clock);
    if (clock_watch_is_due(&capture->clock))
        check(capture, outlet_tell_step(&capture->outlet, &capture->clock));
}

/* Reads a portion; false: nothing to read now. */
static bool read_frames(struct capture *capture)
{
    struct loss loss;
    switch (source_read(capture->source, FRAMES_A_TURN, frame_way_add, &capture->way, &loss)) {
    case SOURCE_FRAME:
        return true;
    case SOURCE_LOSS:
        add_loss(capture, &loss);
        return true;
    case SOURCE_NOTHING:
        clock_watch_note_empty(&capture->clock);
        return false;
    case SOURCE_END:
        end_stream(capture);
        return false;
    case SOURCE_FAILED:
        add_loss(capture, &loss);
        log_error("%s", loss.evidence);
        capture->status = PROCESS_INPUT_FAILED;
        end_stream(capture);
        return false;
    }
    return false;
}

/* A worker that died had perhaps read all. Told to stop, we read what it had sent, and what we came
 * across until then. */
static void stop_if_caught_up(struct capture *capture)
{
    if (capture->outlet.is_resumed && outlet_is(&capture->outlet, lane_has_ended))
        capture->phase = PHASE_DRAINING;
    else if (!capture->is_stopping)
        return;
    else if (!capture->source)
        end_stream(capture);
    else if (outlet_is(&capture->outlet, lane_is_caught_up))
        source_stop(capture->source);
}

/* Files wait for room; a live ring does not. */
static bool may_read(struct capture *capture)
{
    if (capture->arguments.is_live)
        return true;
    if (outlet_is(&capture->outlet, lane_has_room))
        return true;
    if (capture->arguments.n_workers > 1)
        check(capture, outlet_tell_clock(&capture->outlet)); /* another worker's packets may wait
                                                                for it, and our room for theirs */
    return false;
}

static void tell_ready(struct capture *capture)
{
    if (capture->is_ready || !outlet_is(&capture->outlet, lane_is_welcome) || !capture->source ||
        !source_is_open(capture->source))
        return;
    capture->is_ready = true;
    report_ready(&capture->report);
    if (capture->arguments.is_live)
        log_info("ready: capturing %s", capture->arguments.interface);
}

static void part(struct capture *capture)
{
    outlet_say_bye(&capture->outlet);
    loop_stop(capture->loop);
}

/* Once a turn of the loop. */
static void on_turn(void *state)
{
    struct capture *capture = state;
    if (capture->phase == PHASE_READING)
        stop_if_caught_up(capture);
    if (capture->phase == PHASE_READING && capture->arguments.is_live)
        look_at_clock(capture);
    if (capture->phase == PHASE_READING && may_read(capture)) {
        bool has_more = read_frames(capture);
        bool is_pipe_or_file = !capture->arguments.is_live && capture->phase == PHASE_READING;
        if (has_more || is_pipe_or_file)
            loop_again(capture->loop);
    }
    check(capture, capture->way.result);
    outlet_flush(&capture->outlet);
    if (!outlet_is(&capture->outlet, lane_is_whole))
        fail(capture, "a batch was damaged in the ring: who comes next tells how much it was");
    tell_ready(capture);
    if (capture->phase == PHASE_DRAINING && outlet_is(&capture->outlet, lane_is_committed))
        part(capture);
}

static void on_readable(void *state)
{
    (void)state; /* the turn that follows reads */
}

/* ---- timers, signals ---- */

/* Live: what has waited is sent, also when a batch is not full. */
static void on_flush_timer(void *state)
{
    struct capture *capture = state;
    if (capture->phase != PHASE_READING)
        return;
    if (capture->is_ready && outlet_is_waiting(&capture->outlet))
        check(capture, outlet_follow_clock(&capture->outlet, capture->clock.empty_ns));
    check(capture, outlet_send_gathered(&capture->outlet));
}

/* Live: so that idle flows end without packets and other workers' packets are not held up. */
static void on_heartbeat_timer(void *state)
{
    struct capture *capture = state;
    if (capture->phase != PHASE_READING || !capture->is_ready)
        return;
    check(capture, outlet_follow_clock(&capture->outlet, capture->clock.empty_ns));
    check(capture, outlet_tell_step(&capture->outlet, &capture->clock));
    check(capture, outlet_send(&capture->outlet, false));
}

static void on_progress_timer(void *state)
{
    struct capture *capture = state;
    if (capture->source)
        source_sums_show(capture->source, capture->way.n_frames,
                         capture->arguments.progress_descriptor);
}

/* A turn now and then, also when nothing comes: a lane that is not answered says hello again. */
static void on_tick(void *state)
{
    struct capture *capture = state;
    struct report *report = &capture->report;
    report_value(report, "frames", (int64_t)capture->way.n_frames);
    report_value(report, "held_bytes", (int64_t)outlet_held_bytes(&capture->outlet));
    report_value(report, "held_bytes_max", capture->arguments.config.capture.window_bytes);
    report_value(report, "watermark_ns", capture->outlet.clock_ns);
    report_tick(report);
}

static void on_signal(void *state, int signal_number)
{
    (void)signal_number;
    struct capture *capture = state;
    capture->stop_signals++;
    capture->is_stopping = true;
    if (capture->source && outlet_is(&capture->outlet, lane_is_caught_up))
        source_stop(capture->source);
    if (capture->stop_signals > 1)
        fail(capture, "stopped before everything was committed");
}

/* ---- open, close ---- */

static int open_source(struct capture *capture)
{
    if (source_sums_open(&capture->arguments, &capture->sums) < 0)
        return -ENOMEM;
    capture->is_stopping = capture->arguments.is_stopping;
    if (capture->is_stopping && capture->arguments.n_files == 0)
        return 0; /* no more is read */
    const struct arguments *arguments = &capture->arguments;
    struct source_place place = {.index = arguments->first_source,
                                 .pages_descriptor = arguments->pages_descriptor};
    char error[SOURCE_ERROR_MAX] = "no such worker of an interface in 'sources'";
    int result = -ENODEV;
    if (!arguments->interface)
        result = source_open_files(
            (const char *const *)arguments->files, arguments->n_files, arguments->first_source,
            arguments->config.capture.time_jump_max_ns, &capture->source, error);
    else if (source_place_find(&arguments->config, arguments->interface, arguments->worker, &place))
        result = source_open_interface(&arguments->config, &place, &capture->source, error);
    if (result < 0)
        log_error("%s", error);
    capture->is_dedicated = place.source && place.source->is_dedicated;
    return result;
}

static int open_outlet(struct capture *capture)
{
    int result = outlet_open(capture->bus, &capture->arguments, capture->name,
                             capture->way.fragments, &capture->outlet);
    bool is_told = capture->outlet.is_resumed && !capture->arguments.is_live;
    if (result == 0 && !is_told)
        add_source_totals(capture); /* the ledger knows of a source from its first batch on */
    if (result == 0)
        result = outlet_declare_died(&capture->outlet, capture->is_dedicated);
    return result;
}

static int open_timers(struct capture *capture)
{
    const struct arguments *arguments = &capture->arguments;
    uint64_t flush_ms = (uint64_t)arguments->config.capture.flush_interval_ns / 1000000 + 1;
    int result = loop_add_signals(capture->loop, on_signal, capture);
    if (result == 0)
        result = loop_add_timer(capture->loop, TICK_MS, on_tick, capture);
    if (result == 0 && arguments->is_live)
        result = loop_add_timer(capture->loop, flush_ms, on_flush_timer, capture);
    if (result == 0 && arguments->is_live)
        result = loop_add_timer(capture->loop, HEARTBEAT_INTERVAL_MS, on_heartbeat_timer, capture);
    if (result == 0 && arguments->progress_descriptor >= 0)
        result = loop_add_timer(capture->loop, PROGRESS_INTERVAL_MS, on_progress_timer, capture);
    int descriptor = capture->source ? source_descriptor(capture->source) : -1;
    if (result == 0 && descriptor >= 0)
        result = loop_add_reader(capture->loop, descriptor, on_readable, capture);
    return result;
}

static int capture_open(struct capture *capture)
{
    snprintf(capture->name, sizeof capture->name, "capture-%u", capture->arguments.worker);
    log_open(capture->name);
    heap_one_pool();

    int64_t anchor_ns = capture->arguments.clock_anchor_ns;
    clock_watch_init(&capture->clock, clock_reading_take,
                     anchor_ns ? anchor_ns : clock_reading_difference_ns());

    int result = open_source(capture);
    if (result == 0) /* what only who started us may open is open */
        result = arguments_enter_run_directory(&capture->arguments);
    if (result == 0)
        result = sandbox_enter(SANDBOX_CAPTURE, &capture->arguments, &capture->sandbox);
    if (result == 0)
        report_open(capture->arguments.run_directory, capture->name, &capture->report);
    if (result == 0)
        result = frame_way_open(&capture->arguments, &capture->outlet, &capture->sums,
                                &capture->clock, &capture->way);
    if (result == 0)
        result = loop_create(&capture->loop);
    if (result == 0)
        result = bus_create(capture->loop, &capture->bus);
    if (result == 0)
        result = open_outlet(capture);
    if (result == 0)
        result = open_timers(capture);
    if (result == 0)
        result = loop_add_turn(capture->loop, on_turn, capture);
    if (result == 0)
        result = sandbox_filter(&capture->sandbox);
    if (result == 0)
        report_sandbox(&capture->report, &capture->sandbox);
    if (result < 0)
        log_error("cannot start: %s", strerror(-result));
    heap_keep_pages();
    return result;
}

static void capture_close(struct capture *capture)
{
    outlet_close(&capture->outlet);
    frame_way_close(&capture->way);
    source_sums_close(&capture->sums);
    source_close(capture->source);
    bus_destroy(capture->bus);
    report_close(&capture->report);
    loop_destroy(capture->loop);
    arguments_deinit(&capture->arguments);
}

int main(int argc, char **argv)
{
    static struct capture capture;
    int status = arguments_read(argc, argv, "wanmeter-capture", &capture.arguments);
    if (status)
        return status;
    if (capture_open(&capture) == 0)
        loop_run(capture.loop);
    else
        capture.status = PROCESS_CANNOT_START;
    status = capture.status;
    capture_close(&capture);
    return status;
}
