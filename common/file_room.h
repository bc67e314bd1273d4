/* file_room: a file that is mapped has room on its disk for all of it.
 *
 *     result = file_room_take(descriptor, sizeof *page);      before mmap()
 *
 * Writing to a page of a mapping that the file system has no room for ends the process (SIGBUS):
 * that is asked before. */
#ifndef WANMETER_COMMON_FILE_ROOM_H
#define WANMETER_COMMON_FILE_ROOM_H

#include <stddef.h>

/* Makes the file 'size' bytes long, all of them its own. 0 or -errno: -ENOSPC, -EDQUOT, … A file
 * system that cannot say (-EOPNOTSUPP) is taken at its word, and the file only made longer. */
int file_room_take(int descriptor, size_t size);

#endif
