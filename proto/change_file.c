#include "proto/change_file.h"

#include <errno.h>

enum { SIZE_BYTES = 4 };

int change_file_write(FILE *file, const struct change *change)
{
    uint8_t bytes[PACKET_PAYLOAD_MAX];
    size_t size = change_encode(change, bytes);
    if (size == 0)
        return -EMSGSIZE;
    for (int i = 0; i < SIZE_BYTES; i++)
        putc((int)(size >> (8 * i) & 0xff), file);
    return fwrite(bytes, 1, size, file) == size && !ferror(file) ? 0 : -EIO;
}

int change_file_read(FILE *file, struct change *change)
{
    uint8_t bytes[PACKET_PAYLOAD_MAX];
    uint8_t size_bytes[SIZE_BYTES];
    size_t n = fread(size_bytes, 1, sizeof size_bytes, file);
    if (n == 0 && feof(file))
        return 0;
    size_t size = 0;
    for (int i = 0; i < SIZE_BYTES; i++)
        size |= (size_t)size_bytes[i] << (8 * i);
    if (n < sizeof size_bytes || size > sizeof bytes || fread(bytes, 1, size, file) != size)
        return ferror(file) ? -EIO : -EBADMSG;
    return change_decode(bytes, size, change) ? 1 : -EBADMSG;
}
