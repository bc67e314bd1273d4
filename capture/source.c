#include "capture/source.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "capture/source/source_file.h"
#include "capture/source/source_live.h"

/* A file under way and its next frame. */
struct head {
    struct source_file *file;
    struct frame frame;
};

/* The merge is a binary heap of the files' heads. A frame stays in its file's buffer until the file
 * is read again: so the file whose frame was given last ('heads[0]', while 'is_given') is read when
 * the next frame is asked for, not before. The order is by the clock that came with the frame: a
 * lone timestamp far ahead has its file's old clock and so neither waits for all other files nor
 * makes its own file's next frames wait; one far behind cannot come before its turn. */
struct source {
    struct source_live *live; /* or: */
    struct source_file **files;
    size_t n_files;
    struct source_file *only; /* the one file, while it is read; NULL: several, live, stopped */
    struct head *heads;
    size_t n_heads;
    size_t n_begun; /* files of which the first frame was asked for */
    bool is_given;
    bool is_stopped;
};

/* ---- opening and closing ---- */

static int create_files(struct source *source, const char *const *paths, size_t n_paths,
                        uint32_t first_index, int64_t time_jump_max_ns,
                        char error[SOURCE_ERROR_MAX])
{
    source->files = calloc(n_paths, sizeof(struct source_file *));
    source->heads = calloc(n_paths, sizeof *source->heads);
    if (!source->files || !source->heads) {
        snprintf(error, SOURCE_ERROR_MAX, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_paths; i++) {
        int result = source_file_create(paths[i], first_index + (uint32_t)i, time_jump_max_ns,
                                        &source->files[i], error);
        if (result < 0)
            return result;
        source->n_files++;
    }
    return 0;
}

/* All files are open at once: the merge needs the next packet of each. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit); /* where it does not work, opening says so */
}

int source_open_files(const char *const *paths, size_t n_paths, uint32_t first_index,
                      int64_t time_jump_max_ns, struct source **out, char error[SOURCE_ERROR_MAX])
{
    assert(n_paths > 0);
    allow_many_files();
    struct source *source = calloc(1, sizeof *source);
    if (!source) {
        snprintf(error, SOURCE_ERROR_MAX, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    int result = create_files(source, paths, n_paths, first_index, time_jump_max_ns, error);
    if (result < 0) {
        source_close(source);
        return result;
    }
    source->only = n_paths == 1 ? source->files[0] : NULL;
    *out = source;
    return 0;
}

bool source_place_find(const struct config *config, const char *interface, uint32_t worker,
                       struct source_place *place)
{
    for (size_t i = 0; i < config->n_sources; i++) {
        place->source = &config->sources[i];
        place->worker = worker;
        if (worker < (uint32_t)place->source->workers)
            return strcmp(place->source->interface, interface) == 0;
        worker -= (uint32_t)place->source->workers;
    }
    return false;
}

int source_open_interface(const struct config *config, const struct source_place *place,
                          struct source **out, char error[SOURCE_ERROR_MAX])
{
    struct source *source = calloc(1, sizeof *source);
    if (!source) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: %s", place->source->interface, strerror(ENOMEM));
        return -ENOMEM;
    }
    int result = source_live_create(config, place, &source->live, error);
    if (result < 0) {
        free(source);
        return result;
    }
    *out = source;
    return 0;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    source_live_destroy(source->live);
    for (size_t i = 0; i < source->n_files; i++)
        source_file_destroy(source->files[i]);
    free(source->files);
    free(source->heads);
    free(source);
}

void source_stop(struct source *source)
{
    source->is_stopped = true;
    source->only = NULL;
    if (source->live)
        source_live_stop(source->live);
}

/* ---- the merge ---- */

static bool is_before(const struct head *one, const struct head *other)
{
    if (one->frame.clock_ns != other->frame.clock_ns)
        return one->frame.clock_ns < other->frame.clock_ns;
    return one->frame.source_index < other->frame.source_index;
}

static void swap_heads(struct head *one, struct head *other)
{
    struct head kept = *one;
    *one = *other;
    *other = kept;
}

static void sift_down(struct source *source)
{
    size_t at = 0;
    for (;;) {
        size_t first = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < source->n_heads; child++)
            if (is_before(&source->heads[child], &source->heads[first]))
                first = child;
        if (first == at)
            return;
        swap_heads(&source->heads[at], &source->heads[first]);
        at = first;
    }
}

static void sift_up(struct source *source, size_t at)
{
    while (at > 0 && is_before(&source->heads[at], &source->heads[(at - 1) / 2])) {
        swap_heads(&source->heads[at], &source->heads[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

/* Reads the first frame of every file into the heap. SOURCE_FRAME: done. */
static enum source_result begin_files(struct source *source, struct loss *loss)
{
    while (source->n_begun < source->n_files) {
        struct source_file *file = source->files[source->n_begun];
        struct head *head = &source->heads[source->n_heads];
        head->file = file;
        enum source_result result = source_file_next(file, &head->frame);
        if (result == SOURCE_FRAME)
            sift_up(source, source->n_heads++);
        if (result == SOURCE_LOSS)
            *loss = file->loss;
        if (result == SOURCE_FRAME || result == SOURCE_END)
            source->n_begun++;
        else
            return result;
    }
    return SOURCE_FRAME;
}

/* Reads the file on again whose frame was given last. SOURCE_FRAME: done, and the heap is in order.
 */
static enum source_result go_on(struct source *source, struct loss *loss)
{
    struct head *head = &source->heads[0];
    enum source_result result = source_file_next(head->file, &head->frame);
    if (result == SOURCE_NOTHING)
        return result;
    if (result == SOURCE_LOSS) {
        *loss = head->file->loss;
        return result;
    }
    source->is_given = false;
    if (result == SOURCE_END)
        *head = source->heads[--source->n_heads];
    sift_down(source);
    return SOURCE_FRAME;
}

static enum source_result merge_next(struct source *source, struct frame *frame,
                                     struct source_file **file, struct loss *loss)
{
    enum source_result result = begin_files(source, loss);
    if (result == SOURCE_FRAME && source->is_given)
        result = go_on(source, loss);
    if (result != SOURCE_FRAME)
        return result;
    if (!source->n_heads)
        return SOURCE_END;
    *frame = source->heads[0].frame;
    *file = source->heads[0].file;
    source->is_given = true;
    return SOURCE_FRAME;
}

/* ---- reading ---- */

static inline void count(struct source_total *total, const struct frame *frame)
{
    if (!frame->is_bad_time) {
        /* A file's first frame is never a bad one: it comes here before any other. */
        if (!total->packets)
            total->first_ns = total->last_ns = frame->time_ns;
        else if (frame->time_ns > total->last_ns)
            total->last_ns = frame->time_ns;
        else if (frame->time_ns < total->first_ns)
            total->first_ns = frame->time_ns;
    }
    total->packets++;
    total->l2_bytes += frame->wire_bytes;
}

/* Several files, or nothing any more. */
static __attribute__((noinline)) enum source_result
next_of_many(struct source *source, struct frame *frame, struct loss *loss)
{
    if (source->is_stopped)
        return SOURCE_END;
    struct source_file *file;
    enum source_result result = merge_next(source, frame, &file, loss);
    if (result == SOURCE_FRAME)
        count(&file->total, frame);
    return result;
}

enum source_result source_next(struct source *source, struct frame *frame, struct loss *loss)
{
    assert(!source->live);
    struct source_file *file = source->only;
    if (!file)
        return next_of_many(source, frame, loss);
    enum source_result result = source_file_next(file, frame);
    if (result == SOURCE_FRAME)
        count(&file->total, frame);
    else if (result == SOURCE_LOSS)
        *loss = file->loss;
    return result;
}

enum source_result source_read(struct source *source, int n, source_frame_fn on_frame, void *state,
                               struct loss *loss)
{
    if (source->live)
        return source_live_read(source->live, n, on_frame, state, loss);
    struct frame frame;
    for (int i = 0; i < n; i++) {
        if (source->only)
            i += source_file_run(source->only, n - i, on_frame, state);
        if (i == n)
            break;
        enum source_result result = source_next(source, &frame, loss);
        if (result != SOURCE_FRAME)
            return result;
        on_frame(state, &frame);
    }
    return SOURCE_FRAME;
}

/* ---- what is asked of it ---- */

bool source_is_open(const struct source *source)
{
    return !source->live || source_live_is_open(source->live);
}

int source_descriptor(const struct source *source)
{
    return source->live ? source_live_descriptor(source->live) : -1;
}

size_t source_totals(const struct source *source, struct source_total *totals, size_t max)
{
    if (source->live) {
        if (max)
            totals[0] = *source_live_total(source->live);
        return max ? 1 : 0;
    }
    size_t n = source->n_files < max ? source->n_files : max;
    for (size_t i = 0; i < n; i++)
        totals[i] = *source_file_total(source->files[i]);
    return n;
}

void source_progress(const struct source *source, uint64_t *done_bytes, uint64_t *all_bytes)
{
    *done_bytes = *all_bytes = 0;
    for (size_t i = 0; i < source->n_files; i++) {
        const struct source_input *input = &source->files[i]->input;
        if (!input->file_bytes) {
            *done_bytes = *all_bytes = 0;
            return;
        }
        *done_bytes += input->read_bytes;
        *all_bytes += input->file_bytes;
    }
}
