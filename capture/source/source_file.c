#include "capture/source/source_file.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/source/source_pcapng_drops.h"
#include "capture/source/source_text.h"

enum { EVIDENCE_PATH_MAX = 120 };

/* ---- losses ---- */

enum source_result source_file_lose(struct source_file *file, const char *reason,
                                    const char *format, ...)
{
    struct loss *loss = &file->loss;
    *loss = (struct loss){
        .first_ns = file->check.clock_ns,
        .last_ns = file->check.clock_ns,
        .packets = LOSS_AMOUNT_UNKNOWN,
        .l2_bytes = LOSS_AMOUNT_UNKNOWN,
        .l3_bytes = LOSS_AMOUNT_UNKNOWN,
        .stage = LOSS_SOURCE,
        .certainty = LOSS_UNKNOWN,
    };
    snprintf(loss->reason, sizeof loss->reason, "%s", reason);

    char what[LOSS_EVIDENCE_MAX - EVIDENCE_PATH_MAX - 48];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    size_t used = source_text_path(loss->evidence, EVIDENCE_PATH_MAX, file->path);
    snprintf(loss->evidence + used, sizeof loss->evidence - used, ": at byte %llu%s: %s",
             (unsigned long long)source_input_offset(&file->input),
             file->input.gzip ? " (decompressed)" : "", what);
    return SOURCE_LOSS;
}

enum source_result source_file_starved(struct source_file *file, enum source_input_result why,
                                       const char *what, uint64_t size)
{
    unsigned long long expected = size;
    size_t left = source_input_left(&file->input);
    switch (why) {
    case INPUT_WAIT:
        return SOURCE_NOTHING;
    case INPUT_END:
        return source_file_lose(file, "truncated", "%s of %llu bytes expected, %zu there", what,
                                expected, left);
    case INPUT_CUT:
        return source_file_lose(file, "truncated",
                                "%s of %llu bytes expected, %zu there; the gzip stream is cut",
                                what, expected, left);
    case INPUT_DAMAGED:
        return source_file_lose(file, "damaged",
                                "%s of %llu bytes expected, %zu there; the gzip stream is damaged",
                                what, expected, left);
    case INPUT_UNREADABLE:
        return source_file_lose(file, "read_error", "%s of %llu bytes expected, %zu there; %s",
                                what, expected, left, strerror(file->input.error));
    case INPUT_READY:
        break;
    }
    assert(false && "INPUT_READY starves nobody");
    return SOURCE_END;
}

/* ---- opening ---- */

int source_file_need_header(struct source_file *file, size_t size, char error[SOURCE_ERROR_MAX])
{
    enum source_input_result result;
    while ((result = source_input_need(&file->input, size)) == INPUT_WAIT) {
        if (file->input.error == EINTR) {
            snprintf(error, SOURCE_ERROR_MAX, "%s: interrupted", file->path);
            return -EINTR;
        }
    }
    if (result == INPUT_READY)
        return 0;
    if (result == INPUT_UNREADABLE) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", file->path, strerror(file->input.error));
        return -file->input.error;
    }
    size_t left = source_input_left(&file->input);
    const char *how = result == INPUT_DAMAGED ? "the gzip stream is damaged" : "cut short";
    if (!left && result == INPUT_END)
        snprintf(error, SOURCE_ERROR_MAX, "%s: empty, expected a capture", file->path);
    else
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s within the header (%zu of %zu bytes)", file->path,
                 how, left, size);
    return -EINVAL;
}

static int refuse(struct source_file *file, size_t n, char error[SOURCE_ERROR_MAX])
{
    char start[2 * sizeof(uint32_t) + 1] = "";
    for (size_t i = 0; i < n; i++)
        snprintf(start + 2 * i, 3, "%02x", file->input.at[i]);
    snprintf(error, SOURCE_ERROR_MAX,
             "%s: not a capture (%sstarts with %s, expected pcap, pcapng or gzip)", file->path,
             file->input.gzip ? "its contents: " : "", start);
    return -EINVAL;
}

static int open_format(struct source_file *file, char error[SOURCE_ERROR_MAX])
{
    int result = source_file_need_header(file, 2, error);
    if (result < 0)
        return source_input_left(&file->input) ? refuse(file, 1, error) : result;
    if ((result = source_input_decompress(&file->input)) < 0) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", file->path, strerror(-result));
        return result;
    }
    uint32_t magic = 0;
    if ((result = source_file_need_header(file, sizeof magic, error)) < 0)
        return result;
    memcpy(&magic, file->input.at, sizeof magic);
    if (source_pcap_is_magic(magic))
        return source_pcap_open(file, error);
    if (source_pcapng_is_magic(magic))
        return source_pcapng_open(file, error);
    return refuse(file, sizeof magic, error);
}

static int set_names(struct source_file *file, const char *argument)
{
    const char *path = source_path(argument);
    const char *slash = strrchr(path, '/');
    file->path = strdup(path);
    file->interface = path == argument ? strdup(slash && slash[1] ? slash + 1 : path)
                                       : strndup(argument, (size_t)(path - argument) - 1);
    if (!file->path || !file->interface)
        return -ENOMEM;
    source_text_path(file->total.name, sizeof file->total.name, path);
    return 0;
}

static int open_input(struct source_file *file, char error[SOURCE_ERROR_MAX])
{
    int result = source_input_open(&file->input, file->path);
    if (result < 0)
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", file->path, strerror(-result));
    else if ((result = open_format(file, error)) < 0)
        source_input_close(&file->input);
    return result;
}

int source_file_create(const char *argument, uint32_t source_index, int64_t time_jump_max_ns,
                       struct source_file **out, char error[SOURCE_ERROR_MAX])
{
    int result = -ENOMEM;
    struct source_file *file = calloc(1, sizeof *file);
    snprintf(error, SOURCE_ERROR_MAX, "%s: %s", argument, strerror(ENOMEM));
    if (!file || set_names(file, argument) < 0 || !(file->held_bytes = malloc(FRAME_BYTES_MAX)))
        goto failed;
    time_check_init(&file->check, time_jump_max_ns);
    file->total.source_index = source_index;
    file->input.descriptor = -1;
    if ((result = open_input(file, error)) < 0)
        goto failed;
    *out = file;
    return 0;

failed:
    source_file_destroy(file);
    return result;
}

/* By the descriptor: a process that reads may open nothing any more. */
static void identify(struct source_file *file)
{
    if (!file->is_identified)
        source_descriptor_identity(file->input.descriptor, file->total.sha256);
    file->is_identified = true;
}

/* An input without an identity (a pipe) has zeros. */
const struct source_total *source_file_total(struct source_file *file)
{
    identify(file);
    return &file->total;
}

void source_file_destroy(struct source_file *file)
{
    if (!file)
        return;
    source_pcapng_close(file);
    source_input_close(&file->input);
    free(file->held_bytes);
    free(file->interface);
    free(file->path);
    free(file);
}

/* ---- reading ---- */

/* The file is over at its end and at its first loss. */
static __attribute__((noinline)) enum source_result stop_reading(struct source_file *file,
                                                                 enum source_result result)
{
    if (result == SOURCE_NOTHING)
        return result;
    file->pending |= PENDING_END;
    file->is_cut_short = result == SOURCE_LOSS;
    identify(file);
    source_input_close(&file->input); /* of a thousand merged files, those read need no memory */
    return result;
}

/* What the format's reader gives next. */
static inline enum source_result read_next(struct source_file *file, struct frame *frame)
{
    enum source_result result = file->next_record(file, frame);
    if (result != SOURCE_FRAME)
        return stop_reading(file, result);
    frame->source_index = file->total.source_index;
    frame->is_bad_time = false;
    return result;
}

/* The same, whether it was read before or not. */
static enum source_result take_next(struct source_file *file, struct frame *frame)
{
    if (file->pending & PENDING_NEXT) {
        file->pending &= ~(unsigned)PENDING_NEXT;
        *frame = file->next;
        return file->next_result;
    }
    return file->pending & PENDING_END ? SOURCE_END : read_next(file, frame);
}

/* The doubtful frame may lie in the input's buffer, and the next record may need the place. */
static void hold(struct source_file *file, const struct frame *frame)
{
    file->held = *frame;
    file->held.bytes = file->held_bytes;
    memcpy(file->held_bytes, frame->bytes, frame->captured_bytes);
    file->pending |= PENDING_HELD;
}

/* Gives the held frame as soon as it is known what follows it. */
static enum source_result judge_held(struct source_file *file, struct frame *frame)
{
    struct frame next = {0}; /* at the end: none */
    enum source_result result = take_next(file, &next);
    if (result == SOURCE_NOTHING)
        return result;
    file->pending &= ~(unsigned)PENDING_HELD;
    file->pending |= PENDING_NEXT;
    file->next_result = result;
    file->next = next;
    *frame = file->held;
    frame->is_bad_time = result == SOURCE_FRAME && time_check_is_near(&file->check, next.time_ns);
    if (frame->is_bad_time)
        frame->time_ns = frame->clock_ns = file->check.clock_ns;
    else
        frame->clock_ns = time_check_accept(&file->check, frame->time_ns);
    return SOURCE_FRAME;
}

/* Not before what the file says of losses is told. */
static enum source_result end(struct source_file *file)
{
    if (file->pcapng && pcapng_drops_take(file, true)) {
        file->pending |= PENDING_NEXT;
        file->next_result = SOURCE_END;
        return SOURCE_LOSS;
    }
    file->total.is_complete = !file->is_cut_short;
    return SOURCE_END;
}

static __attribute__((noinline)) enum source_result
judge(struct source_file *file, struct frame *frame, enum source_result result)
{
    if (result == SOURCE_END)
        return end(file);
    if (result != SOURCE_FRAME)
        return result;
    if (time_check_is_near(&file->check, frame->time_ns)) {
        frame->clock_ns = time_check_accept(&file->check, frame->time_ns);
        return SOURCE_FRAME;
    }
    hold(file, frame);
    return judge_held(file, frame);
}

static __attribute__((noinline)) enum source_result next_pending(struct source_file *file,
                                                                 struct frame *frame)
{
    if (file->pending & PENDING_HELD)
        return judge_held(file, frame);
    if (file->pcapng && !(file->pending & PENDING_NEXT) && pcapng_drops_take(file, false))
        return SOURCE_LOSS;
    return judge(file, frame, take_next(file, frame));
}

enum source_result source_file_next(struct source_file *file, struct frame *frame)
{
    if (file->pending || file->pcapng)
        return next_pending(file, frame);
    enum source_result result = read_next(file, frame);
    if (result != SOURCE_FRAME || !time_check_is_near(&file->check, frame->time_ns))
        return judge(file, frame, result);
    frame->clock_ns = time_check_accept(&file->check, frame->time_ns);
    return SOURCE_FRAME;
}
