/* source_input: the bytes of one file, plain or gzip, in a buffer that keeps a record whole.
 *
 *     source_input_open(&input, "capture.pcap.gz");
 *     if (source_input_need(&input, 16) == INPUT_READY)      input.at[0] to input.at[15] are there
 *         source_input_take(&input, 16);                     input.at is the next byte
 *     source_input_close(&input);
 *
 * What was taken stays in place until the next source_input_need(). Gzip is told by its magic
 * number; several members in a row are one file, zeros after the last are padding (RFC 1952,
 * section 2.2). Not thread-safe. */
#ifndef WANMETER_CAPTURE_SOURCE_INPUT_H
#define WANMETER_CAPTURE_SOURCE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INPUT_NEED_MAX = 512 * 1024,  /* the most that source_input_need() can be asked for */
    INPUT_BLOCK_SIZE = 256 * 1024 /* one read; larger ones measured no faster */
};

enum source_input_result {
    INPUT_READY,
    INPUT_WAIT,       /* a pipe: nothing for 100 ms, or a signal; the same call may be repeated */
    INPUT_END,        /* the file ends; what is left is less than was asked for */
    INPUT_CUT,        /* the same, and the gzip stream within the file is not at its end */
    INPUT_DAMAGED,    /* the gzip stream is damaged after what is left */
    INPUT_UNREADABLE, /* read() failed: 'error' */
};

struct source_gzip;

struct source_input {
    const uint8_t *at;  /* the next byte */
    const uint8_t *end; /* of the bytes that are there */
    uint8_t *room;
    uint64_t end_offset; /* of 'end' from the start of the (decompressed) file */
    uint64_t read_bytes; /* of the file as it is on disk */
    uint64_t file_bytes; /* its size; 0: not a regular file */
    struct source_gzip *gzip;
    enum source_input_result ending; /* why there is no more; INPUT_READY: there may be */
    int descriptor;                  /* -1: closed */
    int error;                       /* errno of INPUT_UNREADABLE; of INPUT_WAIT: 0 or EINTR */
    bool may_wait;
};

/* Opens 'path' ("-": standard input). 0 or -errno (-EISDIR too). */
int source_input_open(struct source_input *input, const char *path);

/* Takes over gzip decompression if the file starts with gzip's magic number, which is then gone
 * from 'at'. 0 or -ENOMEM. To be called once, before anything is taken, with 2 bytes there. */
int source_input_decompress(struct source_input *input);

/* Also when it is closed already. */
void source_input_close(struct source_input *input);

enum source_input_result source_input_fill(struct source_input *input, size_t size);

static inline size_t source_input_left(const struct source_input *input)
{
    return (size_t)(input->end - input->at);
}

/* Makes 'size' (at most INPUT_NEED_MAX) bytes be there. Anything but INPUT_READY: there are fewer.
 */
static inline enum source_input_result source_input_need(struct source_input *input, size_t size)
{
    if (__builtin_expect(source_input_left(input) >= size, 1))
        return INPUT_READY;
    return source_input_fill(input, size);
}

static inline void source_input_take(struct source_input *input, size_t size)
{
    input->at += size;
}

/* Takes '*size' bytes, which need not be there yet, counting '*size' down: INPUT_READY when it is
 * 0. */
enum source_input_result source_input_skip(struct source_input *input, uint64_t *size);

/* Offset of 'at' from the start of the (decompressed) file. */
uint64_t source_input_offset(const struct source_input *input);

#endif
