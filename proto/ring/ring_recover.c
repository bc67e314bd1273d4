/* What a process that died left in its ring: which of it can be believed. */
#include <errno.h>

#include "proto/ring/ring_internal.h"

/* Is there a whole record of a batch at 'offset'? */
static bool is_record(const struct ring *ring, uint64_t offset)
{
    if (offset % RING_ALIGNMENT != 0 || offset > ring->written ||
        ring->written - offset < sizeof(struct ring_record))
        return false;
    const struct ring_record *record = ring_record_at(ring, offset);
    uint64_t room = ring->written - offset - sizeof *record;
    return record->magic == RING_RECORD_MAGIC && record->size > 0 && record->size <= room &&
           record->mark.seq < INT64_MAX && record->crc == ring_record_crc(record);
}

static bool is_base(const struct ring *ring, const struct ring_base *base)
{
    return base->crc == ring_base_crc(base) && base->generation != 0 &&
           base->offset <= ring->data_bytes && base->mark.seq >= -1 && base->mark.seq < INT64_MAX;
}

/* The newer one that is whole; NULL: none is. */
static const struct ring_base *find_base(const struct ring *ring, const struct ring_base_pair *pair)
{
    const struct ring_base *bases = pair->bases;
    bool is_first = is_base(ring, &bases[0]);
    bool is_second = is_base(ring, &bases[1]);
    if (is_first && is_second)
        return &bases[(int32_t)(bases[1].generation - bases[0].generation) > 0];
    if (is_first)
        return &bases[0];
    return is_second ? &bases[1] : NULL;
}

static bool is_number(const struct ring *ring, uint64_t offset, int64_t seq)
{
    return is_record(ring, offset) && ring_record_at(ring, offset)->mark.seq == seq;
}

/* The record of the lowest number from 'seq' on, wherever it is: what is between is damaged. False:
 * there is none. */
static bool search(const struct ring *ring, int64_t seq, uint64_t *found)
{
    int64_t lowest = INT64_MAX;
    for (uint64_t offset = 0; offset + sizeof(struct ring_record) <= ring->written;
         offset += RING_ALIGNMENT) {
        const struct ring_record *record = ring_record_at(ring, offset);
        if (record->magic != RING_RECORD_MAGIC || record->mark.seq < seq ||
            record->mark.seq >= lowest || !is_record(ring, offset))
            continue;
        lowest = record->mark.seq;
        *found = offset;
    }
    return lowest != INT64_MAX;
}

/* The record after the last one that was taken up. */
static bool find_next(const struct ring *ring, uint64_t *offset)
{
    int64_t seq = ring->last.seq + 1;
    if (is_number(ring, ring->head, seq))
        *offset = ring->head;
    else if (is_number(ring, 0, seq))
        *offset = 0;
    else
        return search(ring, seq, offset);
    return true;
}

/* No record reaches into one that is held: what is found is of one lap. */
static bool is_apart(const struct ring *ring, uint64_t offset, uint64_t size)
{
    for (size_t i = 0; i < ring->n_held; i++) {
        const struct ring_place *place = ring_place(ring, i);
        if (offset < place->offset + place->size && place->offset < offset + size)
            return false;
    }
    return true;
}

static bool is_as_much(const struct totals *after, const struct totals *before)
{
    return after->packets >= before->packets && after->l2_bytes >= before->l2_bytes &&
           after->l3_bytes >= before->l3_bytes;
}

/* No more are missing than there were room for, and nothing goes back. */
static bool goes_on(const struct ring *ring, const struct ring_mark *mark)
{
    const struct ring_mark *last = &ring->last;
    return (uint64_t)(mark->seq - last->seq) <= ring->data_bytes / RING_ALIGNMENT &&
           is_as_much(&mark->totals, &last->totals) && mark->n_descriptors >= last->n_descriptors &&
           mark->n_losses >= last->n_losses;
}

static bool is_next(const struct ring *ring, const struct ring_record *record)
{
    return goes_on(ring, &record->mark) && is_as_much(&record->totals_before, &ring->last.totals) &&
           is_as_much(&record->mark.totals, &record->totals_before);
}

/* What was pushed after the last whole record is damaged, or was not put here. A record may be
 * whole whose push was not noted yet. */
static bool take_pushed(struct ring *ring, const struct ring_base *pushed)
{
    if (pushed->mark.seq <= ring->last.seq)
        return true;
    if (!goes_on(ring, &pushed->mark))
        return false;
    ring->last = pushed->mark;
    return true;
}

int ring_recover(struct ring *ring)
{
    const struct ring_base *base = find_base(ring, &ring->header->committed);
    const struct ring_base *pushed = find_base(ring, &ring->header->pushed);
    if (!base || !pushed)
        return -EBADMSG;
    ring->committed_generation = base->generation;
    ring->pushed_generation = pushed->generation;
    ring->committed = ring->last = base->mark;
    ring->head = base->offset;
    uint64_t offset;
    while (find_next(ring, &offset)) {
        const struct ring_record *record = ring_record_at(ring, offset);
        uint64_t size = ring_record_size(record->size);
        if (!is_apart(ring, offset, size) || !is_next(ring, record))
            return -EBADMSG;
        if (ring_add_place(ring, offset, size) < 0)
            return -ENOMEM;
        ring->last = record->mark;
    }
    return take_pushed(ring, pushed) ? 0 : -EBADMSG;
}
