/* overhead: what a packet costs on its WAN, from its IP length.
 *
 *     model = overhead_find("ip");                              a named model, or NULL
 *     if (overhead_make("wireguard4+pppoe-ptm", &own)) …        names and steps, one in the other
 *     billed = overhead_billed_bytes(model, l3_bytes);
 *
 * A model is a list of integer steps, applied from left to right to the length: every deterministic
 * link layer and tunnel is one. A name may be written with tc-cake's prefix "cake:". Composed with
 * '+', innermost first: names, steps such as "add(14)", "min(60)", "align(4)",
 * "alignclamp(16,1420)", "cells(48,53)", "perblock(64)", "ratio(65,64)", "frag4(1500)", and
 * "ether-vlan", a tag in the frame of the name before it. Or the words of tc and sqm: "linklayer
 * atm overhead 40 mpu 96" (common/overhead/overhead_words.h). Compression of headers comes first,
 * as in "vj+ppp-hdlc": what it leaves depends on packets before, and is not reckoned here but where
 * their order is known (tracker/link.h); here the step leaves the length as it is. Nothing here has
 * a state. */
#ifndef WANMETER_COMMON_OVERHEAD_H
#define WANMETER_COMMON_OVERHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum overhead_operation {
    OVERHEAD_END,           /* no more steps */
    OVERHEAD_ADD,           /* add a bytes (or take away), not below 0 */
    OVERHEAD_MIN,           /* at least a bytes */
    OVERHEAD_ALIGN,         /* up to a multiple of a */
    OVERHEAD_ALIGN_CLAMPED, /* the same, but what follows the last multiple of b not beyond b */
    OVERHEAD_CELLS,         /* cells of b bytes, each with a bytes of it */
    OVERHEAD_PER_BLOCK,     /* one byte more for each a bytes begun */
    OVERHEAD_RATIO,         /* a / b times, exactly; the last step */
    OVERHEAD_FRAGMENT_IPV4, /* IPv4 fragments of at most a bytes, each with a header of 20 */
    OVERHEAD_TABLE,         /* as a size table of tc-stab: overhead_words.c makes it */
    OVERHEAD_VJ,            /* TCP/IP headers compressed: a slots, b: says no slot twice */
    OVERHEAD_ESTIMATE,      /* UDP headers compressed: a is the profile */
    OVERHEAD_OPERATIONS_N,
};

enum { OVERHEAD_STEPS_MAX = 8, OVERHEAD_NUMBER_MAX = 65535, OVERHEAD_WHY_SIZE = 160 };

struct overhead_step {
    enum overhead_operation operation;
    int32_t a;
    int32_t b;
    int32_t c; /* of a table */
};

struct overhead {
    const char *name;   /* NULL: made by overhead_make() */
    const char *fields; /* what the bytes are, for people */
    const char *source;
    struct overhead_step steps[OVERHEAD_STEPS_MAX];
};

extern const struct overhead overhead_presets[];
extern const size_t overhead_presets_n;

/* The model with this name (as a WAN's 'overhead' gives it), or NULL. */
const struct overhead *overhead_find(const char *name);

/* The composition that 'text' describes. False: an unknown name or step, numbers out of range, more
 * than OVERHEAD_STEPS_MAX steps, or steps behind a ratio. */
bool overhead_make(const char *text, struct overhead *model);

/* The same; false: 'why' says what is wrong, or is empty where a name is not known. */
bool overhead_make_or_tell(const char *text, struct overhead *model, char why[OVERHEAD_WHY_SIZE]);

/* What 'l3_bytes' cost, in parts of a byte; a byte has overhead_parts(model) of them, 1 unless the
 * model ends with a ratio. */
uint64_t overhead_billed_parts(const struct overhead *model, uint32_t l3_bytes);
uint32_t overhead_parts(const struct overhead *model);

/* Whether the model's bill is an estimate. */
bool overhead_is_estimated(const struct overhead *model);

/* Billed bytes of one packet of 'l3_bytes', parts of a byte rounded down; 0 for 0 (a packet without
 * an IP header is not billed). */
uint64_t overhead_billed_bytes(const struct overhead *model, uint32_t l3_bytes);

#endif
