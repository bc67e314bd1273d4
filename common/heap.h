/* heap: malloc set up for batches: large blocks that come and go, all of much the same sizes.
 *
 *     heap_one_pool();                     first in main(), before any thread
 *     heap_keep_pages();                   when what a process holds all its life is there
 *
 * The order matters to memory: until heap_keep_pages() a large calloc() is pages of the kernel's,
 * which take nothing until they are used; after it, it is cleared by hand. */
#ifndef WANMETER_COMMON_HEAP_H
#define WANMETER_COMMON_HEAP_H

/* ZeroMQ's thread frees what ours allocates: one pool for both. */
void heap_one_pool(void);

/* Freed blocks stay in the process instead of going back to the kernel, which would clear their
 * pages anew for each batch. What is kept is bounded by what was ever in use at a time. */
void heap_keep_pages(void);

#endif
