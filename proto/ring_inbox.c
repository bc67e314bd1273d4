#include "proto/ring_inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bus.h"
#include "proto/ring/ring_internal.h"
#include "proto/ring/ring_view.h"

enum { WAITING_AT_START = 64 };

struct waiting {
    int64_t seq;
    struct batch_place place;
};

struct ring_inbox {
    struct stream_id stream;
    struct ring_view file;
    struct waiting *waiting; /* a ring of n_places */
    size_t n_places;
    size_t first;
    size_t n;
};

/* A name that is no file must not make us wait. */
static int open_file(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0)
        return -errno;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
        return descriptor;
    close(descriptor);
    return -EINVAL;
}

int ring_inbox_open(const char *path, const struct stream_id *stream, struct ring_inbox **out)
{
    int descriptor = open_file(path);
    if (descriptor < 0)
        return descriptor;
    struct ring_inbox *inbox = calloc(1, sizeof *inbox);
    int result = inbox ? ring_view_open(descriptor, &inbox->file) : -ENOMEM;
    close(descriptor);
    if (result < 0) {
        free(inbox);
        return result;
    }
    inbox->stream = *stream;
    *out = inbox;
    return 0;
}

void ring_inbox_close(struct ring_inbox *inbox)
{
    if (!inbox)
        return;
    ring_view_close(&inbox->file);
    free(inbox->waiting);
    free(inbox);
}

const struct stream_id *ring_inbox_stream(const struct ring_inbox *inbox)
{
    return &inbox->stream;
}

/* ---- what waits ---- */

static struct waiting *at(const struct ring_inbox *inbox, size_t index)
{
    return &inbox->waiting[(inbox->first + index) % inbox->n_places];
}

static bool grow(struct ring_inbox *inbox)
{
    size_t n_places = inbox->n_places ? 2 * inbox->n_places : WAITING_AT_START;
    struct waiting *waiting = n_places <= RING_INBOX_MAX ? calloc(n_places, sizeof *waiting) : NULL;
    if (!waiting)
        return false;
    for (size_t i = 0; i < inbox->n; i++)
        waiting[i] = *at(inbox, i);
    free(inbox->waiting);
    inbox->waiting = waiting;
    inbox->n_places = n_places;
    inbox->first = 0;
    return true;
}

bool ring_inbox_put(struct ring_inbox *inbox, int64_t seq, const struct batch_place *place)
{
    if (inbox->n == inbox->n_places && !grow(inbox))
        return false;
    *at(inbox, inbox->n++) = (struct waiting){seq, *place};
    return true;
}

size_t ring_inbox_count(const struct ring_inbox *inbox)
{
    return inbox->n;
}

void ring_inbox_clear(struct ring_inbox *inbox)
{
    inbox->n = 0;
}

/* ---- taking ---- */

/* Our copy of a record that is what the sender said, malloc'ed; NULL: it is not. */
static struct ring_record *copy_record(const struct ring_inbox *inbox,
                                       const struct batch_place *place)
{
    if (place->size == 0 || place->size > BUS_MESSAGE_MAX || place->offset % RING_ALIGNMENT != 0 ||
        place->offset > UINT64_MAX - RING_HEADER_SIZE)
        return NULL;
    size_t size = sizeof(struct ring_record) + (size_t)place->size;
    struct ring_record *record = malloc(size);
    if (!record)
        return NULL;
    uint64_t offset = RING_HEADER_SIZE + place->offset;
    uint32_t crc = 0;
    bool is_right =
        ring_view_copy(&inbox->file, offset, record, RING_RECORD_SUMMED, NULL) &&
        ring_view_copy(&inbox->file, offset + RING_RECORD_SUMMED,
                       (uint8_t *)record + RING_RECORD_SUMMED, size - RING_RECORD_SUMMED, &crc) &&
        record->magic == RING_RECORD_MAGIC && record->size == place->size &&
        record->crc == place->crc && crc == place->crc;
    if (is_right)
        return record;
    free(record);
    return NULL;
}

static bool is_wanted(const struct ring_inbox *inbox, int64_t seq, const struct message *message)
{
    return message->kind == MESSAGE_PACKETS && message->seq == seq &&
           stream_id_equal(&message->stream, &inbox->stream);
}

enum ring_inbox_result ring_inbox_take(struct ring_inbox *inbox, struct message *message,
                                       int64_t *seq)
{
    if (inbox->n == 0)
        return RING_INBOX_EMPTY;
    const struct waiting *oldest = at(inbox, 0);
    *seq = oldest->seq;
    struct ring_record *record = copy_record(inbox, &oldest->place);
    if (!record)
        return RING_INBOX_FAILED;
    const uint8_t *bytes = (const uint8_t *)(record + 1);
    size_t size = (size_t)record->size;
    if (message_decode_block(record, free, bytes, size, message) != MESSAGE_OK ||
        !is_wanted(inbox, oldest->seq, message)) {
        message_release(message);
        return RING_INBOX_FAILED;
    }
    inbox->first = (inbox->first + 1) % inbox->n_places;
    inbox->n--;
    return RING_INBOX_TAKEN;
}
