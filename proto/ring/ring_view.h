/* ring_view: a file that somebody else may cut short at any time, mapped to be copied from.
 *
 *     ring_view_open(descriptor, &view);
 *     if (ring_view_copy(&view, offset, room, size, &crc)) …      'room' has what was there
 *     ring_view_close(&view);
 *
 * Copying from a mapping takes a third of what pread(2) takes, where another processor has just
 * written the bytes (docs/performance.md). What is behind a cut file's end raises SIGBUS: while a
 * copy is under way, in the thread that makes it, and for an address of the view, that ends the
 * copy; every other SIGBUS does what it did before. What was copied may be anything that somebody
 * wrote meanwhile: it is to be checked.
 *
 * The handler is the process's, and is set by the first view. */
#ifndef WANMETER_PROTO_RING_RING_VIEW_H
#define WANMETER_PROTO_RING_RING_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_view {
    const uint8_t *bytes;
    size_t size; /* of the file when it was opened */
};

/* Of a file that is open for reading; it may be closed then. 0 or -errno. */
int ring_view_open(int descriptor, struct ring_view *view);
void ring_view_close(struct ring_view *view);

/* '*crc' becomes the sum (common/crc32c.h) of what it is of and of what is in 'room' then; NULL:
 * none is wanted. False: not all of that is in the view, or in the file. */
bool ring_view_copy(const struct ring_view *view, uint64_t offset, void *room, size_t size,
                    uint32_t *crc);

#endif
