/* heap: malloc set up for batches: large blocks that come and go, all of much the same sizes.
 *
 *     heap_keep_pages();                   first in main(), before any thread */
#ifndef WANMETER_COMMON_HEAP_H
#define WANMETER_COMMON_HEAP_H

/* Freed blocks stay in the process instead of going back to the kernel, which would clear their
 * pages anew for each batch. What is kept is bounded by what was ever in use at a time. */
void heap_keep_pages(void);

#endif
