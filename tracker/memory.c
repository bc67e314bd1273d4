#include "tracker/memory.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_AT_START = 4096 };

void memory_clear(struct memory *memory)
{
    memory->size = 0;
    memory->is_failed = false;
}

static bool make_room(struct memory *memory, size_t size)
{
    if (size <= memory->room - memory->size)
        return true;
    size_t room = memory->room ? memory->room : ROOM_AT_START;
    while (room - memory->size < size)
        room *= 2;
    uint8_t *bytes = realloc(memory->bytes, room);
    if (!bytes)
        return false;
    memory->bytes = bytes;
    memory->room = room;
    return true;
}

void memory_put(struct memory *memory, const void *bytes, size_t size)
{
    if (memory->is_failed || !make_room(memory, size)) {
        memory->is_failed = true;
        return;
    }
    memcpy(memory->bytes + memory->size, bytes, size);
    memory->size += size;
}

void memory_deinit(struct memory *memory)
{
    free(memory->bytes);
    *memory = (struct memory){0};
}

bool memory_get(struct memory_reader *reader, void *bytes, size_t size)
{
    if (reader->left < size)
        return false;
    memcpy(bytes, reader->at, size);
    reader->at += size;
    reader->left -= size;
    return true;
}

bool memory_is_over(const struct memory_reader *reader)
{
    return reader->left == 0;
}
