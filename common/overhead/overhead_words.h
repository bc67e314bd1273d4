/* overhead_words: a link as the words of tc and sqm spell it out.
 *
 *     overhead_words_read("linklayer atm overhead 40 mpu 96", length, steps, why)
 *
 *     [linklayer] none | noatm | ethernet | atm | adsl | ptm     cells of 48 in 53; 64/65 blocks
 *     overhead N                                                 bytes more, or less
 *     mpu N                                                      at least this many bytes
 *     stab … [mtu N] [tsize N]                                   rounded as tc-stab's table does
 *
 * In any order; overhead, then mpu, then cells, as tc-cake(8). A stab's length is what its device
 * sees: on Ethernet write "ethernet-l2-nopad+stab linklayer atm overhead 10". Source: tc-cake(8),
 * tc-stab(8); Linux net/sched/sch_api.c for how a table is looked up. */
#ifndef WANMETER_COMMON_OVERHEAD_WORDS_H
#define WANMETER_COMMON_OVERHEAD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/overhead.h"

enum { OVERHEAD_WORDS_STEPS_MAX = 3 };

/* Writes the steps, the last followed by OVERHEAD_END if there are fewer than
 * OVERHEAD_WORDS_STEPS_MAX. False: 'why' tells. */
bool overhead_words_read(const char *text, size_t length,
                         struct overhead_step steps[OVERHEAD_WORDS_STEPS_MAX],
                         char why[OVERHEAD_WHY_SIZE]);

/* What a size table makes of a length; the step is OVERHEAD_TABLE. */
uint64_t overhead_table_bytes(const struct overhead_step *step, uint64_t length);

#endif
