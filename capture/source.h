/* source: where frames come from: capture files (pcap, pcapng, gzip of both, standard input),
 * several merged by time, or a live interface.
 *
 *     source_open_files(paths, n, first_index, time_jump_max_ns, &source, error);
 *     while (source_read(source, n, on_frame, state, &loss) == SOURCE_FRAME) …
 *     source_stop(source);                            live: then go on until SOURCE_END
 *     source_close(source);
 *
 * Files are merged by their clocks (the largest timestamp each has had so far), ties by their
 * order; within one file the order stands, even where timestamps step back. A lone timestamp far
 * off does not move its file's clock (time_check.h). A file is read by our own reader (docs/adr:
 * libpcap gives no interface of a pcapng packet, refuses several link layers in a file, and costs
 * more than the rest of the pipeline); an interface by libpcap. Memory: less than 1 MiB a file, of
 * which about 256 KiB are touched. Not thread-safe. */
#ifndef WANMETER_CAPTURE_SOURCE_H
#define WANMETER_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/frame.h"
#include "common/config.h"
#include "proto/record.h"

struct source;

enum { SOURCE_ERROR_MAX = 512 };

enum source_result {
    SOURCE_FRAME,   /* what was asked for was given */
    SOURCE_NOTHING, /* none now, call again. Live: poll source_descriptor() first. Files: a pipe had
                       none for 100 ms or a signal came; the call has waited */
    SOURCE_LOSS,   /* '*loss' says what is missing here (a cut file, a damaged block, kernel drops);
                      go on calling */
    SOURCE_END,    /* all files are read; or, after source_stop(), everything is given */
    SOURCE_FAILED, /* the interface is gone: libpcap's text is in loss->evidence */
};

/* Opens all or none. "-" is standard input; "NAME=PATH" gives the file's packets the interface NAME
 * (unless there is a file of that whole name). 'first_index': source_index of the first path.
 * 'time_jump_max_ns': a lone timestamp further off is_bad_time. On failure -errno (-EINVAL: not a
 * capture) and 'error' says which file and why: "FILE: not a capture (starts with 25504446,
 * expected pcap, pcapng or gzip)". */
int source_open_files(const char *const *paths, size_t n_paths, uint32_t first_index,
                      int64_t time_jump_max_ns, struct source **out, char error[SOURCE_ERROR_MAX]);

/* Whose share of an interface's packets it is. */
struct source_place {
    const struct config_source *source; /* one of the configuration's */
    uint32_t index;                     /* source_index */
    uint32_t worker;                    /* of the interface's workers */
    int pages_descriptor;               /* what its workers share (interface_page.h); -1: none */
};

/* Sets 'source' and 'worker' for a worker of the run: those of one source follow each other. False:
 * its source is no such interface. */
bool source_place_find(const struct config *config, const char *interface, uint32_t worker,
                       struct source_place *place);

/* Opens an interface through libpcap: non-blocking, promiscuous, snap length and ring from
 * 'config', nanoseconds; with several workers the interface's packets are shared out by address and
 * port, both directions of a connection and all fragments of a datagram to one worker. Packets come
 * in when all of them are there: see source_is_open(). */
int source_open_interface(const struct config *config, const struct source_place *place,
                          struct source **out, char error[SOURCE_ERROR_MAX]);

void source_close(struct source *source); /* accepts NULL */

/* The frame is borrowed for the call. */
typedef void (*source_frame_fn)(void *state, const struct frame *frame);

/* Gives 'n' frames, one after the other: SOURCE_FRAME; or less, and why. */
enum source_result source_read(struct source *source, int n, source_frame_fn on_frame, void *state,
                               struct loss *loss);

/* Of files: one frame, valid until the next call. */
enum source_result source_next(struct source *source, struct frame *frame, struct loss *loss);

/* Takes no more in. Live: what the kernel has taken is still given, then its last drops, then
 * SOURCE_END (SOURCE_NOTHING in between for at most a second). Files: SOURCE_END follows at once,
 * and their totals are not complete. */
void source_stop(struct source *source);

/* Live: do packets come in? Files: yes. */
bool source_is_open(const struct source *source);

/* Live: readable when frames wait; files: -1. */
int source_descriptor(const struct source *source);

/* What each part has given so far, for the ledger; returns how many ('totals' has 'max' places).
 * first_ns and last_ns are the smallest and largest timestamps, without bad ones; 0 without frames.
 * A file that ended with a loss is not complete. */
size_t source_totals(const struct source *source, struct source_total *totals, size_t max);

/* Files: bytes read of bytes there are, for a progress line; 0 of 0 where it cannot be known. */
void source_progress(const struct source *source, uint64_t *done_bytes, uint64_t *all_bytes);

/* PATH of "NAME=PATH", as source_open_files() reads it; else the argument itself. */
const char *source_path(const char *argument);

/* The identity by which a capture file is known again: SHA-256 over its size (8 bytes,
 * little-endian), its first and its last MiB. 'argument' as for source_open_files(). 0 or -errno
 * (-EINVAL: not a regular file). */
int source_file_identity(const char *argument, uint8_t sha256[32]);

#endif
