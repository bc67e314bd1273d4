/* progress: how far a replay is, on the last line of a terminal.
 *
 *     progress_open(&progress, n_workers);
 *     … progress.workers[i].write_end goes to worker i …
 *     progress_read(&progress, i);                      when workers[i].read_end is readable
 *     progress_close(&progress);                        clears the line
 *
 * A worker writes whole struct progress_report now and then. */
#ifndef WANMETER_CLI_PROGRESS_H
#define WANMETER_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a capture worker writes to its --progress-descriptor, so far. */
struct progress_report {
    uint64_t done_bytes;
    uint64_t all_bytes; /* 0: not known (standard input) */
    uint64_t packets;
};

struct progress_worker {
    int read_end; /* -1: closed */
    int write_end;
    struct progress_report report;
};

struct progress {
    struct progress_worker *workers;
    size_t n_workers;
    int64_t started_ns; /* monotonic */
    int64_t shown_ns;
    bool has_line;
};

/* 0 or -errno. */
int progress_open(struct progress *progress, size_t n_workers);
void progress_close(struct progress *progress); /* a zeroed one as well */

/* Takes what is there; shows it if the last line is not too fresh. */
void progress_read(struct progress *progress, size_t worker);

/* The line's text. 'elapsed_ns' since the start. */
enum { PROGRESS_LINE_SIZE = 128 };
void progress_text(const struct progress_report *sum, int64_t elapsed_ns,
                   char text[PROGRESS_LINE_SIZE]);

#endif
