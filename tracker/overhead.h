/* overhead: what a packet costs on its WAN, from its IP length.
 *
 *     model = overhead_find("ip");                        NULL: no such model
 *     billed = overhead_billed_bytes(model, l3_bytes);
 *
 * Integers only; models are constants, a call has no state. */
#ifndef WANMETER_TRACKER_OVERHEAD_H
#define WANMETER_TRACKER_OVERHEAD_H

#include <stdint.h>

struct overhead;

/* The model with this name (as a WAN's 'overhead' gives it), or NULL. */
const struct overhead *overhead_find(const char *name);

/* Billed bytes of one packet of 'l3_bytes'; 0 for 0 (a packet without an IP header is not billed).
 */
uint64_t overhead_billed_bytes(const struct overhead *model, uint32_t l3_bytes);

#endif
