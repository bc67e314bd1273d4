/* source_pcapng_drops: what the program that wrote a pcapng file could not capture, as it says.
 *
 *     pcapng_drops_note_packet(file, interface, options, size);        an Enhanced Packet Block's
 *     pcapng_drops_note_statistics(file, body, size);                  an Interface Statistics
 * Block if (pcapng_drops_take(file, is_end)) …                           file->loss is a line of it
 *
 * A statistics block's isb_ifdrop (5) and isb_osdrop (7) are totals since the capture began, a
 * packet's epb_dropcount (4) counts what was lost before it: of both, the larger sum of an
 * interface counts. Lines are cut at the edges of slots. Options that make no sense say nothing,
 * and neither does what takes a file's sum beyond PCAPNG_DROPS_MAX: sums stay numbers, whatever a
 * file says. Within the capture source only. Source: draft-ietf-opsawg-pcapng, sections 4.3
 * and 4.6. */
#ifndef WANMETER_CAPTURE_SOURCE_PCAPNG_DROPS_H
#define WANMETER_CAPTURE_SOURCE_PCAPNG_DROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/source/source_pcapng.h"

/* A hundred million packets a second for a month: below it thousands of lines add up in 63 bits. */
#define PCAPNG_DROPS_MAX (UINT64_C(1) << 48)

void pcapng_drops_note_packet(struct source_file *file, struct pcapng_interface *interface,
                              const uint8_t *options, size_t size);

/* Of an obsolete Packet Block: its drops, 65535 for unknown. */
void pcapng_drops_note_count(struct source_file *file, struct pcapng_interface *interface,
                             uint64_t packets);

void pcapng_drops_note_statistics(struct source_file *file, const uint8_t *body, size_t size);

/* True: file->loss is a line that is due; 'is_end': all are. */
bool pcapng_drops_take(struct source_file *file, bool is_end);

#endif
