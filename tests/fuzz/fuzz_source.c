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

static void read_all(const char *const *paths, size_t n_paths)
{
    struct source *source;
    char error[SOURCE_ERROR_MAX] = "";
    if (source_open_files(paths, n_paths, 7, time_jump_max_ns, &source, error) < 0) {
        assert(error[0]);
        return;
    }
    struct frame frame;
    struct loss loss;
    uint64_t n_frames = 0, wire_bytes = 0, n_cut = 0;
    int64_t clock_ns = 0;
    for (enum source_result result; (result = source_next(source, &frame, &loss)) != SOURCE_END;) {
        if (result == SOURCE_LOSS) {
            n_cut += check_loss(&loss);
            continue;
        }
        assert(result == SOURCE_FRAME);
        check_frame(&frame);
        assert(frame.clock_ns >= clock_ns);
        clock_ns = frame.clock_ns;
        n_frames++;
        wire_bytes += frame.wire_bytes;
    }
    struct source_total totals[2];
    size_t n_complete = 0;
    for (size_t i = source_totals(source, totals, 2); i-- > 0;) {
        n_frames -= totals[i].packets;
        wire_bytes -= totals[i].l2_bytes;
        n_complete += totals[i].is_complete;
    }
    assert(n_frames == 0 && wire_bytes == 0 && n_complete + n_cut == n_paths);
    source_close(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char whole[PATH_SIZE], half[PATH_SIZE];
    int whole_descriptor = make_file(bytes, size, whole);
    int half_descriptor = make_file(bytes, size / 2, half);
    const char *paths[] = {whole, half};
    read_all(paths, 1);
    read_all(paths, 2);
    close(whole_descriptor);
    close(half_descriptor);
    return 0;
}
