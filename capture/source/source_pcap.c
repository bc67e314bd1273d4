/* The pcap format (draft-ietf-opsawg-pcap):
 *
 *     file header   magic 4, version 2+2, reserved 8, snap length 4, link type 4     24 bytes
 *     record        seconds 4, fraction 4, captured 4, on the wire 4, then the bytes
 *
 * in the byte order of the system that wrote it, which the magic tells, as it tells micro- from
 * nanoseconds. Alexey Kuznetzov's variant adds 8 bytes to the record's header (interface index 4,
 * protocol 2, packet type 1, padding 1). Of the link type, the low 16 bits count: above are the
 * length of the frame check sequence and reserved bits. */
#include <errno.h>
#include <stdio.h>

#include "capture/source/source_file.h"

enum {
    MAGIC_MICROSECONDS = (int)0xa1b2c3d4,
    MAGIC_NANOSECONDS = (int)0xa1b23c4d,
    MAGIC_MODIFIED = (int)0xa1b2cd34,
    FILE_HEADER_SIZE = 24,
    RECORD_HEADER_SIZE = 16,
    MODIFIED_RECORD_HEADER_SIZE = 24,
    LINK_TYPE_MASK = 0xffff,
    VERSION_MAJOR = 2,
    CACHE_LINE = 64,
};

static bool is_magic_here(uint32_t magic)
{
    return magic == (uint32_t)MAGIC_MICROSECONDS || magic == (uint32_t)MAGIC_NANOSECONDS ||
           magic == (uint32_t)MAGIC_MODIFIED;
}

static inline uint32_t read_u32(const uint8_t *bytes, bool is_swapped)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return is_swapped ? __builtin_bswap32(value) : value;
}

bool source_pcap_is_magic(uint32_t magic)
{
    return is_magic_here(magic) || is_magic_here(__builtin_bswap32(magic));
}

/* Takes a record that is all there. The wire length is never taken below the captured one: so many
 * bytes were there. */
static inline enum source_result take_record(struct source_file *file, const uint8_t *header,
                                             uint32_t captured, struct frame *frame)
{
    bool is_swapped = file->is_swapped;
    uint32_t wire = read_u32(header + 12, is_swapped);
    uint64_t seconds = read_u32(header, is_swapped);
    uint64_t fraction = read_u32(header + 4, is_swapped);
    frame->bytes = header + file->record_header_bytes;
    frame->captured_bytes = captured;
    frame->wire_bytes = wire > captured ? wire : captured;
    frame->time_ns = (int64_t)(seconds * 1000000000 + fraction * file->fraction_ns);
    frame->link_type = file->link_type;
    frame->interface = file->interface;
    file->input.at = frame->bytes + captured;
    return SOURCE_FRAME;
}

/* Is a record all there? The larger header is asked for: next to a buffer's end it is not worth
 * knowing better. */
static inline bool is_whole(const struct source_file *file, const uint8_t *header,
                            uint32_t *captured)
{
    size_t left = (size_t)(file->input.end - header);
    if (left < MODIFIED_RECORD_HEADER_SIZE)
        return false;
    *captured = read_u32(header + 8, file->is_swapped);
    return *captured <= FRAME_BYTES_MAX && left >= (size_t)file->record_header_bytes + *captured;
}

/* What is left in the buffer is not a record, or not all of it. A length above the snap length is
 * taken as it is: several programs write such files. Only what no program writes is damage. */
static __attribute__((noinline)) enum source_result fetch_record(struct source_file *file,
                                                                 struct frame *frame)
{
    struct source_input *input = &file->input;
    size_t header_size = file->record_header_bytes;
    enum source_input_result result = source_input_need(input, header_size);
    if (result != INPUT_READY) {
        if (result == INPUT_END && !source_input_left(input))
            return SOURCE_END;
        return source_file_starved(file, result, "a record header", header_size);
    }
    uint32_t captured = source_file_u32(file, input->at + 8);
    if (captured > FRAME_BYTES_MAX)
        return source_file_lose(file, "damaged", "captured length %u, at most %d expected",
                                captured, FRAME_BYTES_MAX);
    result = source_input_need(input, header_size + captured);
    if (result != INPUT_READY)
        return source_file_starved(file, result, "a record", header_size + captured);
    return take_record(file, input->at, captured, frame);
}

static enum source_result next_record(struct source_file *file, struct frame *frame)
{
    uint32_t captured;
    if (!is_whole(file, file->input.at, &captured))
        return fetch_record(file, frame);
    return take_record(file, file->input.at, captured, frame);
}

/* The next record's header, and of its frame what is looked at: it comes while this one is taken.
 */
static inline __attribute__((always_inline)) void prefetch_next(const uint8_t *header)
{
    __builtin_prefetch(header);
    __builtin_prefetch(header + CACHE_LINE);
}

/* What a run of frames adds to its file's totals. */
static void add_run(struct source_total *total, int n, uint64_t l2_bytes, int64_t first_ns,
                    int64_t last_ns)
{
    if (n == 0)
        return;
    if (total->packets == 0 || first_ns < total->first_ns)
        total->first_ns = first_ns;
    if (total->packets == 0 || last_ns > total->last_ns)
        total->last_ns = last_ns;
    total->packets += (uint64_t)n;
    total->l2_bytes += l2_bytes;
}

/* One loop over all that is the same from record to record: half the instructions that asking for
 * them one by one takes. */
static int read_run(struct source_file *file, int n, source_frame_fn on_frame, void *state)
{
    struct time_check check = file->check;
    struct frame frame = {.source_index = file->total.source_index};
    uint64_t l2_bytes = 0;
    int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
    int n_given = 0;
    for (; n_given < n; n_given++) {
        const uint8_t *header = file->input.at;
        uint32_t captured;
        if (!is_whole(file, header, &captured))
            break;
        take_record(file, header, captured, &frame);
        prefetch_next(file->input.at);
        if (!time_check_is_near(&check, frame.time_ns)) {
            file->input.at = header;
            break;
        }
        frame.clock_ns = time_check_accept(&check, frame.time_ns);
        l2_bytes += frame.wire_bytes;
        first_ns = frame.time_ns < first_ns ? frame.time_ns : first_ns;
        last_ns = frame.time_ns > last_ns ? frame.time_ns : last_ns;
        on_frame(state, &frame);
    }
    file->check = check;
    add_run(&file->total, n_given, l2_bytes, first_ns, last_ns);
    return n_given;
}

int source_pcap_open(struct source_file *file, char error[SOURCE_ERROR_MAX])
{
    int result = source_file_need_header(file, FILE_HEADER_SIZE, error);
    if (result < 0)
        return result;

    const uint8_t *header = file->input.at;
    file->is_swapped = !is_magic_here(source_file_u32(file, header));
    uint32_t magic = source_file_u32(file, header);
    file->fraction_ns = magic == (uint32_t)MAGIC_NANOSECONDS ? 1 : 1000;
    file->record_header_bytes =
        magic == (uint32_t)MAGIC_MODIFIED ? MODIFIED_RECORD_HEADER_SIZE : RECORD_HEADER_SIZE;

    unsigned version = source_file_u16(file, header + 4);
    if (version != VERSION_MAJOR) {
        snprintf(error, SOURCE_ERROR_MAX, "%s: pcap version %u, expected %d", file->path, version,
                 VERSION_MAJOR);
        return -EINVAL;
    }
    file->link_type = source_file_link_type(source_file_u32(file, header + 20) & LINK_TYPE_MASK);
    file->next_record = next_record;
    file->read_run = read_run;
    source_input_take(&file->input, FILE_HEADER_SIZE);
    return 0;
}
