/* change_file: recorded changes, handed to a process in a file: each as 4 bytes of size (little
 * end first) and the change as it goes through the pipeline.
 *
 *     change_file_write(file, &change);
 *     while ((result = change_file_read(file, &change)) > 0) … */
#ifndef WANMETER_PROTO_CHANGE_FILE_H
#define WANMETER_PROTO_CHANGE_FILE_H

#include <stdio.h>

#include "proto/change.h"

/* 0 or -errno; -EMSGSIZE: too large for a change. */
int change_file_write(FILE *file, const struct change *change);

/* 1: 'change' is the next; 0: the file's end; -EBADMSG: something else is there; or -errno. */
int change_file_read(FILE *file, struct change *change);

#endif
