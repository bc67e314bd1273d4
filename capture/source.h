/* source: where frames come from: capture files (pcap, pcapng, gzip of both, standard input),
 * several merged by time, or a live interface.
 *
 *     source_open_files(paths, n, first_index, &source, error);
 *     while (source_next(source, &frame, &notice) == SOURCE_FRAME) …
 *     source_close(source);
 *
 * Files are merged by their clocks (the largest timestamp each has had so far), ties by their
 * order; within one file the order stands, even where timestamps step back. A file is read by our
 * own reader (docs/adr: libpcap gives no interface of a pcapng packet, refuses several link layers
 * in a file, and costs more than the rest of the pipeline); an interface by libpcap. Not
 * thread-safe. */
#ifndef WANMETER_CAPTURE_SOURCE_H
#define WANMETER_CAPTURE_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/frame.h"
#include "common/config.h"
#include "proto/record.h"

struct source;

enum { SOURCE_ERROR_MAX = 512 };

enum source_result {
    SOURCE_FRAME,   /* '*frame' is the next one, valid until the next call */
    SOURCE_NOTHING, /* live: none now; poll source_descriptor() */
    SOURCE_LOSS,   /* '*loss' says what is missing here (a cut file, a damaged block, kernel drops);
                      go on calling */
    SOURCE_END,    /* all files are read */
    SOURCE_FAILED, /* the interface is gone, or reading failed: errno's text is in loss->evidence */
};

/* Opens all or none. "-" is standard input. 'first_index': source_index of the first path. On
 * failure -errno (-EINVAL: not a capture) and 'error' says which file and why: "FILE: not a capture
 * (starts with 25504446, expected pcap, pcapng or gzip)". */
int source_open_files(const char *const *paths, size_t n_paths, uint32_t first_index,
                      struct source **out, char error[SOURCE_ERROR_MAX]);

/* Opens an interface through libpcap: non-blocking, promiscuous, snap length and ring from
 * 'config', nanoseconds. */
int source_open_interface(const struct config *config, const struct config_source *interface,
                          uint32_t index, struct source **out, char error[SOURCE_ERROR_MAX]);

void source_close(struct source *source); /* accepts NULL */

enum source_result source_next(struct source *source, struct frame *frame, struct loss *loss);

/* Live: readable when frames wait; files: -1. */
int source_descriptor(const struct source *source);

/* What each part has given so far, for the ledger; returns how many ('totals' has 'max' places). */
size_t source_totals(const struct source *source, struct source_total *totals, size_t max);

/* Files: bytes read of bytes there are, for a progress line; 0 of 0 where it cannot be known. */
void source_progress(const struct source *source, uint64_t *done_bytes, uint64_t *all_bytes);

/* The identity by which a capture file is known again: SHA-256 over its size, its first and its
 * last MiB. 0 or -errno. */
int source_file_identity(const char *path, uint8_t sha256[32]);

#endif
