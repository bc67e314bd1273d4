/* A capture file of any bytes, read alone and merged with its own first half: every frame lies
 * within its bounds, the clock never steps back, and reading ends. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/source.h"

enum { PATH_SIZE = 64 };

static const int64_t time_jump_max_ns = INT64_C(600000000000);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int make_file(const uint8_t *bytes, size_t size, char path[PATH_SIZE])
{
    int descriptor = memfd_create("capture", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, bytes, size) != (ssize_t)size)
        abort();
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

static void check_frame(const struct frame *frame)
{
    assert(frame->captured_bytes <= FRAME_BYTES_MAX);
    assert(frame->wire_bytes >= frame->captured_bytes);
    assert(frame->time_ns >= 0 && frame->time_ns <= FRAME_TIME_MAX_NS);
    assert(frame->clock_ns >= frame->time_ns);
    assert(frame->interface);
    /* Every byte is read: a sanitizer sees those that are not there. */
    volatile uint8_t sum = 0;
    for (uint32_t i = 0; i < frame->captured_bytes; i++)
        sum = (uint8_t)(sum + frame->bytes[i]);
}

/* Is it the end of a file? Else the file goes on: it tells of packets that its capture lost. */
static bool check_loss(const struct loss *loss)
{
    assert(loss->reason[0] && loss->evidence[0] && loss->first_ns <= loss->last_ns);
    if (loss->stage == LOSS_SOURCE)
        return true;
    assert(loss->packets > 0);
    return false;
}

struct reading {
    uint64_t n_frames, wire_bytes;
    int64_t clock_ns;
};

static void on_frame(void *state, const struct frame *frame)
{
    struct reading *reading = state;
    check_frame(frame);
    assert(frame->clock_ns >= reading->clock_ns);
    reading->clock_ns = frame->clock_ns;
    reading->n_frames++;
    reading->wire_bytes += frame->wire_bytes;
}

/* One by one, or in runs of up to seven. */
static enum source_result read_some(struct source *source, bool is_in_runs, struct loss *loss,
                                    struct reading *reading)
{
    if (is_in_runs)
        return source_read(source, 7, on_frame, reading, loss);
    struct frame frame;
    enum source_result result = source_next(source, &frame, loss);
    if (result == SOURCE_FRAME)
        on_frame(reading, &frame);
    return result;
}

static struct reading read_all(const char *const *paths, size_t n_paths, bool is_in_runs)
{
    struct source *source;
    struct reading reading = {0};
    char error[SOURCE_ERROR_MAX] = "";
    if (source_open_files(paths, n_paths, 7, time_jump_max_ns, &source, error) < 0) {
        assert(error[0]);
        return reading;
    }
    struct loss loss;
    uint64_t n_cut = 0;
    enum source_result result;
    while ((result = read_some(source, is_in_runs, &loss, &reading)) != SOURCE_END) {
        if (result == SOURCE_LOSS)
            n_cut += check_loss(&loss);
        else
            assert(result == SOURCE_FRAME);
    }
    struct source_total totals[2];
    struct reading left = reading;
    size_t n_complete = 0;
    for (size_t i = source_totals(source, totals, 2); i-- > 0;) {
        left.n_frames -= totals[i].packets;
        left.wire_bytes -= totals[i].l2_bytes;
        n_complete += totals[i].is_complete;
    }
    assert(left.n_frames == 0 && left.wire_bytes == 0 && n_complete + n_cut == n_paths);
    source_close(source);
    return reading;
}

/* Both ways give the same. */
static void check_reading(const char *const *paths, size_t n_paths)
{
    struct reading one_by_one = read_all(paths, n_paths, false);
    struct reading in_runs = read_all(paths, n_paths, true);
    assert(one_by_one.n_frames == in_runs.n_frames && one_by_one.wire_bytes == in_runs.wire_bytes &&
           one_by_one.clock_ns == in_runs.clock_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char whole[PATH_SIZE], half[PATH_SIZE];
    int whole_descriptor = make_file(bytes, size, whole);
    int half_descriptor = make_file(bytes, size / 2, half);
    const char *paths[] = {whole, half};
    check_reading(paths, 1);
    check_reading(paths, 2);
    close(whole_descriptor);
    close(half_descriptor);
    return 0;
}
