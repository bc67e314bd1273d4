#include "common/file_room.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_room_take(int descriptor, size_t size)
{
    if (ftruncate(descriptor, (off_t)size) < 0)
        return -errno;
    if (fallocate(descriptor, 0, 0, (off_t)size) < 0 && errno != EOPNOTSUPP)
        return -errno;
    return 0;
}
