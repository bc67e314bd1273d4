/* memory: what packets leave for the bill of those after them, for a tracker's successor: with each
 * commit point it goes into the database (proto/pipeline.proto, RecordBatch.memory).
 *
 *     memory_clear(&memory);
 *     link_table_write(links, &memory); duplicate_table_write(duplicates, &memory);
 *     if (memory.is_failed) …                                 no memory
 *     memory_deinit(&memory);
 *
 *     struct memory_reader reader = {bytes, size};
 *     is_whole = link_table_read(links, &reader) && duplicate_table_read(duplicates, &reader) &&
 *                memory_is_over(&reader);
 *
 * Bytes in the order in which they were put; numbers as the machine has them: a successor is of the
 * same run, and so of the same configuration. Nothing is put where the configuration needs nothing
 * of it. */
#ifndef WANMETER_TRACKER_MEMORY_H
#define WANMETER_TRACKER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
    uint8_t *bytes;
    size_t size;
    size_t room;
    bool is_failed;
};

void memory_clear(struct memory *memory);
void memory_put(struct memory *memory, const void *bytes, size_t size);
void memory_deinit(struct memory *memory); /* a zeroed one as well */

struct memory_reader {
    const uint8_t *at;
    size_t left;
};

/* False: there are not so many. */
bool memory_get(struct memory_reader *reader, void *bytes, size_t size);
bool memory_is_over(const struct memory_reader *reader);

#endif
