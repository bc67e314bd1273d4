#include "capture/source/source_input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    ROOM_SIZE = INPUT_NEED_MAX + INPUT_BLOCK_SIZE, /* a whole block fits behind any rest */
    GZIP_BLOCK_SIZE = 64 * 1024,
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, gzip wrapping only */
    WAIT_MS = 100,
};

struct source_gzip {
    z_stream stream;
    bool is_between;   /* members: before one's first byte */
    bool has_padding;  /* zeros came: only zeros may follow */
    bool has_all_read; /* the file's end was reached */
    bool is_damaged;
    uint8_t room[GZIP_BLOCK_SIZE];
};

static int check_kind(struct source_input *input)
{
    struct stat status;
    if (fstat(input->descriptor, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (S_ISREG(status.st_mode)) {
        input->file_bytes = (uint64_t)status.st_size;
        /* A hint only: what it returns changes nothing. */
        posix_fadvise(input->descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    } else {
        input->may_wait = true;
    }
    return 0;
}

int source_input_open(struct source_input *input, const char *path)
{
    *input = (struct source_input){.descriptor = -1};
    bool is_standard_input = strcmp(path, "-") == 0;
    input->descriptor =
        is_standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (input->descriptor < 0)
        return -errno;

    int error = check_kind(input);
    if (!error && !(input->room = malloc(ROOM_SIZE)))
        error = -ENOMEM;
    if (error) {
        source_input_close(input);
        return error;
    }
    input->at = input->end = input->room;
    return 0;
}

void source_input_close(struct source_input *input)
{
    if (input->descriptor >= 0)
        close(input->descriptor);
    if (input->gzip)
        inflateEnd(&input->gzip->stream);
    free(input->gzip);
    free(input->room);
    input->gzip = NULL;
    input->room = NULL;
    input->at = input->end = NULL;
    input->descriptor = -1;
}

/* One read(), at most 'size' bytes. A pipe is polled first: poll() is not restarted after a signal
 * as read() may be, so the caller can look at what the signal asked for. */
static enum source_input_result read_block(struct source_input *input, uint8_t *room, size_t size,
                                           size_t *n_read)
{
    if (input->may_wait) {
        struct pollfd wait = {.fd = input->descriptor, .events = POLLIN};
        int n_ready = poll(&wait, 1, WAIT_MS);
        input->error = n_ready < 0 ? errno : 0;
        if (n_ready <= 0)
            return INPUT_WAIT;
    }
    ssize_t n = read(input->descriptor, room, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return INPUT_WAIT;
    if (n < 0) {
        input->error = errno;
        return INPUT_UNREADABLE;
    }
    *n_read = (size_t)n;
    input->read_bytes += (size_t)n;
    return n ? INPUT_READY : INPUT_END;
}

static enum source_input_result read_compressed(struct source_input *input)
{
    struct source_gzip *gzip = input->gzip;
    if (gzip->stream.avail_in)
        return INPUT_READY;
    if (gzip->has_all_read)
        return INPUT_END;
    size_t n_read = 0;
    enum source_input_result result = read_block(input, gzip->room, sizeof gzip->room, &n_read);
    gzip->has_all_read = result == INPUT_END;
    gzip->stream.next_in = gzip->room;
    gzip->stream.avail_in = (uInt)n_read;
    return result;
}

/* Between members: skips padding, and makes ready for the next one. */
static enum source_input_result begin_member(struct source_gzip *gzip)
{
    z_stream *stream = &gzip->stream;
    while (stream->avail_in && *stream->next_in == 0) {
        gzip->has_padding = true;
        stream->next_in++;
        stream->avail_in--;
    }
    if (!stream->avail_in)
        return INPUT_READY;
    if (gzip->has_padding || inflateReset(stream) != Z_OK)
        return INPUT_DAMAGED;
    gzip->is_between = false;
    return INPUT_READY;
}

/* Decompresses into the room until there is at least one byte more, or none. */
static enum source_input_result inflate_block(struct source_input *input, uint8_t *room,
                                              size_t size, size_t *n_read)
{
    struct source_gzip *gzip = input->gzip;
    if (gzip->is_damaged)
        return INPUT_DAMAGED;
    gzip->stream.next_out = room;
    gzip->stream.avail_out = (uInt)size;
    while (gzip->stream.avail_out == size) {
        enum source_input_result result = read_compressed(input);
        if (result == INPUT_END && !gzip->is_between)
            return INPUT_CUT;
        if (result == INPUT_READY && gzip->is_between)
            result = begin_member(gzip);
        if (result != INPUT_READY)
            return result;
        if (gzip->is_between)
            continue;

        int status = inflate(&gzip->stream, Z_NO_FLUSH);
        if (status == Z_STREAM_END)
            gzip->is_between = true;
        else if (status != Z_OK && status != Z_BUF_ERROR) {
            gzip->is_damaged = true; /* what came out before the damage is good */
            break;
        }
    }
    *n_read = size - gzip->stream.avail_out;
    return *n_read ? INPUT_READY : INPUT_DAMAGED;
}

int source_input_decompress(struct source_input *input)
{
    static const uint8_t magic[] = {0x1f, 0x8b};
    size_t n = source_input_left(input);
    if (n < sizeof magic || memcmp(input->at, magic, sizeof magic) != 0)
        return 0;
    struct source_gzip *gzip = calloc(1, sizeof *gzip);
    if (!gzip || inflateInit2(&gzip->stream, GZIP_WINDOW) != Z_OK) {
        free(gzip);
        return -ENOMEM;
    }
    assert(n <= sizeof gzip->room);
    memcpy(gzip->room, input->at, n);
    gzip->stream.next_in = gzip->room;
    gzip->stream.avail_in = (uInt)n;
    gzip->has_all_read = input->ending == INPUT_END;
    input->ending = INPUT_READY;
    input->gzip = gzip;
    input->at = input->end = input->room;
    input->end_offset = 0;
    return 0;
}

/* The first block is a small one: of a thousand files to be merged each has its first block read
 * before the first frame is given, and source_input_decompress() moves it. */
static size_t block_size(const struct source_input *input)
{
    return input->end_offset < GZIP_BLOCK_SIZE ? (size_t)(GZIP_BLOCK_SIZE - input->end_offset)
                                               : INPUT_BLOCK_SIZE;
}

enum source_input_result source_input_fill(struct source_input *input, size_t size)
{
    assert(size <= INPUT_NEED_MAX);
    size_t n = source_input_left(input);
    if (n >= size)
        return INPUT_READY;
    if (input->ending != INPUT_READY)
        return input->ending;

    if (n && input->at != input->room)
        memmove(input->room, input->at, n);
    input->at = input->room;
    while (n < size) {
        size_t n_read = 0;
        uint8_t *room = input->room + n;
        enum source_input_result result =
            input->gzip ? inflate_block(input, room, INPUT_BLOCK_SIZE, &n_read)
                        : read_block(input, room, block_size(input), &n_read);
        n += n_read;
        input->end = input->room + n;
        input->end_offset += n_read;
        if (result == INPUT_WAIT)
            return result;
        if (result != INPUT_READY)
            return input->ending = result;
    }
    return INPUT_READY;
}

enum source_input_result source_input_skip(struct source_input *input, uint64_t *size)
{
    while (*size) {
        size_t n = source_input_left(input);
        if (!n) {
            enum source_input_result result = source_input_fill(input, 1);
            if (result != INPUT_READY)
                return result;
            continue;
        }
        n = *size < n ? (size_t)*size : n;
        source_input_take(input, n);
        *size -= n;
    }
    return INPUT_READY;
}

uint64_t source_input_offset(const struct source_input *input)
{
    return input->end_offset - source_input_left(input);
}
