/* source_file: one capture file: its frames in their order, with the file's clock.
 *
 *     source_file_create(path, source_index, time_jump_max_ns, &file, error);
 *     while ((result = source_file_next(file, &frame)) != SOURCE_END) …
 *     source_file_destroy(file);
 *
 * A frame whose time is doubtful (time_check.h) is copied and held back until the next one's time
 * is known; all others are given as they lie in the input's buffer. Within the capture source only:
 * everybody else uses source.h. */
#ifndef WANMETER_CAPTURE_SOURCE_FILE_H
#define WANMETER_CAPTURE_SOURCE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "capture/frame.h"
#include "capture/source.h"
#include "capture/source/source_input.h"
#include "capture/source/time_check.h"
#include "proto/record.h"

struct source_file;
struct pcapng;

typedef enum source_result (*source_file_fn)(struct source_file *file, struct frame *frame);
typedef int (*source_run_fn)(struct source_file *file, int n, source_frame_fn on_frame,
                             void *state);

/* Why the next record is not what comes next. */
enum source_file_pending {
    PENDING_HELD = 1 << 0, /* 'held' waits for what comes behind it */
    PENDING_NEXT = 1 << 1, /* 'next' was read before */
    PENDING_END = 1 << 2,  /* nothing more is read */
};

struct source_file {
    struct source_input input;
    source_file_fn next_record; /* of the file's format; sets all of a frame but the clock */
    source_run_fn read_run;     /* of the file's format, see source_file_run(); or NULL */
    bool is_swapped;            /* numbers are in the other byte order (of this section) */

    /* pcap */
    uint32_t fraction_ns; /* of one unit of a timestamp's fraction */
    uint8_t record_header_bytes;
    int32_t link_type;

    struct pcapng *pcapng;

    struct time_check check;
    char *path;
    char *interface;           /* NAME of "NAME=PATH", or the path's last part */
    struct source_total total; /* read it with source_file_total() */
    bool is_identified;        /* 'total' has the hash: whoever only looks at the file needs none */

    /* A doubtful frame, and what was read behind it. */
    struct frame held;
    uint8_t *held_bytes;
    unsigned pending; /* enum source_file_pending; 0: the next record is the next frame */
    enum source_result next_result;
    struct frame next;

    struct loss loss;  /* with SOURCE_LOSS */
    bool is_cut_short; /* by a loss */
};

/* Opens the file and reads its header. 0 or -errno with 'error' set, as source_open_files(). */
int source_file_create(const char *argument, uint32_t source_index, int64_t time_jump_max_ns,
                       struct source_file **out, char error[SOURCE_ERROR_MAX]);
void source_file_destroy(struct source_file *file); /* accepts NULL */

/* What it has given so far, and what file it is; that is found out when first asked for. */
const struct source_total *source_file_total(struct source_file *file);

/* SOURCE_FRAME, SOURCE_NOTHING, SOURCE_LOSS (file->loss says which; nothing more of the file is
 * read, unless the file itself told of it), SOURCE_END. */
enum source_result source_file_next(struct source_file *file, struct frame *frame);

/* Gives up to 'n' frames in a row, as long as they are what most are: whole in the input's buffer,
 * and not doubtful in time. Returns how many, 0 as well: what comes then is source_file_next()'s to
 * judge. The totals have them. */
static inline int source_file_run(struct source_file *file, int n, source_frame_fn on_frame,
                                  void *state)
{
    return file->read_run && !file->pending ? file->read_run(file, n, on_frame, state) : 0;
}

/* ---- for the formats ---- */

/* Reads the header, of which 4 bytes are there. 0; -EINVAL with 'error' set; -ENOMEM. */
int source_pcap_open(struct source_file *file, char error[SOURCE_ERROR_MAX]);
int source_pcapng_open(struct source_file *file, char error[SOURCE_ERROR_MAX]);
void source_pcapng_close(struct source_file *file);
bool source_pcap_is_magic(uint32_t magic);
bool source_pcapng_is_magic(uint32_t magic);

/* Makes 'size' bytes be there, waiting as long as it takes. 0; -EINVAL: the file ends before;
 * -errno; both with 'error' set. */
int source_file_need_header(struct source_file *file, size_t size, char error[SOURCE_ERROR_MAX]);

/* The file ends here with a loss of unknown size: fills file->loss, returns SOURCE_LOSS. 'reason':
 * "truncated", "damaged", "read_error". The text, what was expected and found, is put behind the
 * offset. */
enum source_result source_file_lose(struct source_file *file, const char *reason,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What to return when source_input_need() said 'why' within a record: SOURCE_NOTHING to try again,
 * else a loss. 'what' was being read, 'size' bytes of it from input.at. */
enum source_result source_file_starved(struct source_file *file, enum source_input_result why,
                                       const char *what, uint64_t size);

/* DLT_RAW has the number of the system that wrote the file: 12, 14 on OpenBSD. */
static inline int32_t source_file_link_type(uint32_t link_type)
{
    return link_type == 12 || link_type == 14 ? LINK_RAW : (int32_t)link_type;
}

static inline uint32_t source_file_u32(const struct source_file *file, const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return file->is_swapped ? __builtin_bswap32(value) : value;
}

static inline uint16_t source_file_u16(const struct source_file *file, const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return file->is_swapped ? __builtin_bswap16(value) : value;
}

#endif
