/* source_case: capture files made in memory, and what reading them gives. */
#ifndef WANMETER_TESTS_SOURCE_CASE_H
#define WANMETER_TESTS_SOURCE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "capture/source.h"

enum { FILE_PATH_SIZE = 96, FILES_MAX = 8, BUILT_MAX = 8 * 1024 * 1024 };

static const int64_t second_ns = INT64_C(1000000000);
static const int64_t year_ns = INT64_C(31536000000000000);
static const int64_t jump_max_ns = INT64_C(600000000000);

/* ---- writing ---- */

enum { PARTS_MAX = 64 };

struct built {
    uint8_t *bytes;
    size_t size;
    bool is_big_endian;
    /* Where the header and the records or blocks end, and how many frames there are before. */
    size_t part_ends[PARTS_MAX];
    size_t part_frames[PARTS_MAX];
    size_t n_parts;
};

static inline struct built build(bool is_big_endian)
{
    struct built built = {.bytes = malloc(BUILT_MAX), .is_big_endian = is_big_endian};
    assert_non_null(built.bytes);
    return built;
}

static inline void put_bytes(struct built *built, const void *bytes, size_t size)
{
    assert_true(built->size + size <= BUILT_MAX);
    memcpy(built->bytes + built->size, bytes, size);
    built->size += size;
}

static inline void put_number(struct built *built, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned shift = 8 * (built->is_big_endian ? size - 1 - i : i);
        uint8_t byte = (uint8_t)(number >> shift);
        put_bytes(built, &byte, 1);
    }
}

/* A header, record or block ends here; 'n_frames' are in it. */
static inline void end_part(struct built *built, size_t n_frames)
{
    assert_true(built->n_parts < PARTS_MAX);
    size_t before = built->n_parts ? built->part_frames[built->n_parts - 1] : 0;
    built->part_ends[built->n_parts] = built->size;
    built->part_frames[built->n_parts++] = before + n_frames;
}

static inline void put_u16(struct built *built, unsigned number)
{
    put_number(built, number, 2);
}

static inline void put_u32(struct built *built, uint32_t number)
{
    put_number(built, number, 4);
}

static inline void put_pcap_header(struct built *built, uint32_t magic, uint32_t link_type)
{
    put_u32(built, magic);
    put_u16(built, 2);
    put_u16(built, 4);
    put_number(built, 0, 8);
    put_u32(built, 65535);
    put_u32(built, link_type);
    end_part(built, 0);
}

static inline void put_pcap_record(struct built *built, uint32_t seconds, uint32_t fraction,
                                   uint32_t wire, const void *bytes, uint32_t size)
{
    put_u32(built, seconds);
    put_u32(built, fraction);
    put_u32(built, size);
    put_u32(built, wire);
    put_bytes(built, bytes, size);
}

/* A file of nanosecond records with these times, each of 4 bytes: its number from 'first' on. */
static inline struct built build_times(const int64_t *times_ns, size_t n, uint32_t first)
{
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b23c4d, 1);
    for (size_t i = 0; i < n; i++) {
        uint32_t number = first + (uint32_t)i;
        put_pcap_record(&built, (uint32_t)(times_ns[i] / second_ns),
                        (uint32_t)(times_ns[i] % second_ns), 60, &number, sizeof number);
    }
    return built;
}

static inline struct built compress_built(const struct built *plain)
{
    struct built built = build(plain->is_big_endian);
    z_stream stream = {0};
    assert_int_equal(Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY));
    stream.next_in = plain->bytes;
    stream.avail_in = (uInt)plain->size;
    stream.next_out = built.bytes;
    stream.avail_out = BUILT_MAX;
    assert_int_equal(Z_STREAM_END, deflate(&stream, Z_FINISH));
    built.size = BUILT_MAX - stream.avail_out;
    deflateEnd(&stream);
    return built;
}

/* ---- files ---- */

struct files {
    int descriptors[FILES_MAX];
    char paths[FILES_MAX][FILE_PATH_SIZE];
    const char *arguments[FILES_MAX];
    size_t n;
};

static inline void files_add(struct files *files, const uint8_t *bytes, size_t size)
{
    int descriptor = memfd_create("capture", MFD_CLOEXEC);
    assert_true(descriptor >= 0);
    assert_int_equal(size, write(descriptor, bytes, size));
    snprintf(files->paths[files->n], FILE_PATH_SIZE, "/proc/self/fd/%d", descriptor);
    files->arguments[files->n] = files->paths[files->n];
    files->descriptors[files->n++] = descriptor;
}

static inline void files_close(struct files *files)
{
    for (size_t i = 0; i < files->n; i++)
        close(files->descriptors[i]);
    files->n = 0;
}

static inline struct source *files_open(struct files *files)
{
    struct source *source = NULL;
    char error[SOURCE_ERROR_MAX] = "";
    int result = source_open_files(files->arguments, files->n, 3, jump_max_ns, &source, error);
    if (result < 0)
        fail_msg("%s", error);
    return source;
}

/* ---- what reading gave ---- */

struct reading {
    size_t n_frames;
    size_t n_losses;
    size_t n_bad_time;
    uint64_t captured_bytes;
    uint64_t wire_bytes;
    uint32_t crc; /* over times, lengths, link types and bytes */
    uint32_t clock_crc;
    struct loss loss; /* the last one */
};

static inline void reading_add(struct reading *reading, const struct frame *frame)
{
    reading->n_frames++;
    reading->n_bad_time += frame->is_bad_time;
    reading->captured_bytes += frame->captured_bytes;
    reading->wire_bytes += frame->wire_bytes;
    reading->clock_crc = (uint32_t)crc32(reading->clock_crc, (const Bytef *)&frame->clock_ns,
                                         sizeof frame->clock_ns);
    uLong crc = crc32(reading->crc, frame->bytes, frame->captured_bytes);
    crc = crc32(crc, (const Bytef *)&frame->time_ns, sizeof frame->time_ns);
    crc = crc32(crc, (const Bytef *)&frame->wire_bytes, sizeof frame->wire_bytes);
    reading->crc = (uint32_t)crc32(crc, (const Bytef *)&frame->link_type, sizeof frame->link_type);
}

/* Reads all files of the source, checking what holds for every frame. */
static inline struct reading read_source(struct source *source)
{
    struct reading reading = {0};
    struct frame frame;
    for (;;) {
        enum source_result result = source_next(source, &frame, &reading.loss);
        if (result == SOURCE_END)
            return reading;
        if (result == SOURCE_LOSS) {
            reading.n_losses++;
            continue;
        }
        assert_int_equal(SOURCE_FRAME, result);
        assert_true(frame.wire_bytes >= frame.captured_bytes);
        assert_true(frame.clock_ns >= frame.time_ns);
        reading_add(&reading, &frame);
    }
}

static inline void on_frame_of_run(void *state, const struct frame *frame)
{
    assert_int_equal(3, frame->source_index);
    assert_non_null(frame->interface);
    reading_add(state, frame);
}

/* The same by source_read(), three frames at a time. */
static inline struct reading read_in_runs(struct source *source)
{
    struct reading reading = {0};
    for (;;) {
        size_t n_before = reading.n_frames;
        enum source_result result =
            source_read(source, 3, on_frame_of_run, &reading, &reading.loss);
        if (result == SOURCE_END)
            return reading;
        if (result == SOURCE_FRAME)
            assert_int_equal(n_before + 3, reading.n_frames);
        else
            assert_int_equal(SOURCE_LOSS, result);
        reading.n_losses += result == SOURCE_LOSS;
    }
}

/* Frames in runs are the frames one by one. */
static inline void check_runs(const struct built *built, const struct reading *reading,
                              const struct source_total *total)
{
    struct files files = {0};
    files_add(&files, built->bytes, built->size);
    struct source *source = files_open(&files);
    struct reading in_runs = read_in_runs(source);
    struct source_total total_of_runs;
    assert_int_equal(1, source_totals(source, &total_of_runs, 1));
    assert_int_equal(reading->n_frames, in_runs.n_frames);
    assert_int_equal(reading->n_losses, in_runs.n_losses);
    assert_int_equal(reading->n_bad_time, in_runs.n_bad_time);
    assert_int_equal(reading->crc, in_runs.crc);
    assert_int_equal(reading->clock_crc, in_runs.clock_crc);
    assert_int_equal(total->packets, total_of_runs.packets);
    assert_int_equal(total->l2_bytes, total_of_runs.l2_bytes);
    assert_int_equal(total->first_ns, total_of_runs.first_ns);
    assert_int_equal(total->last_ns, total_of_runs.last_ns);
    assert_int_equal(total->is_complete, total_of_runs.is_complete);
    source_close(source);
    files_close(&files);
}

static inline struct reading read_built(const struct built *built)
{
    struct files files = {0};
    files_add(&files, built->bytes, built->size);
    struct source *source = files_open(&files);
    struct reading reading = read_source(source);
    struct source_total total;
    assert_int_equal(1, source_totals(source, &total, 1));
    assert_int_equal(reading.n_frames, total.packets);
    assert_int_equal(reading.wire_bytes, total.l2_bytes);
    assert_int_equal(reading.n_losses == 0, total.is_complete);
    source_close(source);
    files_close(&files);
    check_runs(built, &reading, &total);
    return reading;
}

/* Cut after each of its bytes, the file gives every frame before the cut, then one loss that says
 * "truncated", unless the cut is between two parts. */
static inline void check_every_cut(struct built *built)
{
    size_t size = built->size;
    size_t part = 0;
    for (built->size = built->part_ends[0]; built->size < size; built->size++) {
        while (part + 1 < built->n_parts && built->part_ends[part + 1] <= built->size)
            part++;
        struct reading reading = read_built(built);
        assert_int_equal(built->part_frames[part], reading.n_frames);
        assert_int_equal(built->part_ends[part] != built->size, reading.n_losses);
        if (reading.n_losses) {
            assert_string_equal("truncated", reading.loss.reason);
            assert_int_equal(LOSS_AMOUNT_UNKNOWN, reading.loss.packets);
            assert_int_equal(LOSS_UNKNOWN, reading.loss.certainty);
            const char *offset = strstr(reading.loss.evidence, "at byte ");
            assert_non_null(offset);
            size_t at = strtoul(offset + strlen("at byte "), NULL, 10);
            assert_in_range(at, built->part_ends[part], built->size);
        }
    }
}

#endif
