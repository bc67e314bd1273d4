/* mapping: memory taken at its full size at start, and paid for as it is touched.
 *
 *     mapping_create(size, &memory);      zeroed; no page is resident yet
 *     mapping_destroy(memory, size); */
#ifndef WANMETER_TRACKER_MAPPING_H
#define WANMETER_TRACKER_MAPPING_H

#include <stddef.h>

/* 0 or -ENOMEM. Huge pages are asked for between the first and the last few MiB, so that what is
 * little used from either end stays small. 'size' > 0. */
int mapping_create(size_t size, void **memory);

void mapping_destroy(void *memory, size_t size); /* accepts NULL */

#endif
