#include "cli/supervisor/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const int64_t SHOW_INTERVAL_NS = 200000000;
static const double NS_PER_S = 1e9;

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int progress_open(struct progress *progress, size_t n_workers)
{
    *progress = (struct progress){.started_ns = now_ns()};
    progress->workers = calloc(n_workers, sizeof *progress->workers);
    if (progress->workers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_workers; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
            int error = errno;
            progress_close(progress);
            return -error;
        }
        progress->workers[i] = (struct progress_worker){.read_end = ends[0], .write_end = ends[1]};
        progress->n_workers++;
    }
    return 0;
}

void progress_close(struct progress *progress)
{
    for (size_t i = 0; i < progress->n_workers; i++) {
        if (progress->workers[i].read_end >= 0)
            close(progress->workers[i].read_end);
        if (progress->workers[i].write_end >= 0)
            close(progress->workers[i].write_end);
    }
    free(progress->workers);
    if (progress->has_line)
        fputs("\r\033[K", stderr);
    *progress = (struct progress){0};
}

/* A sum of which one part is unknown is unknown. */
static struct progress_report sum_of(const struct progress *progress)
{
    struct progress_report sum = {0};
    bool is_known = true;
    for (size_t i = 0; i < progress->n_workers; i++) {
        const struct progress_report *report = &progress->workers[i].report;
        sum.done_bytes += report->done_bytes;
        sum.all_bytes += report->all_bytes;
        sum.packets += report->packets;
        is_known = is_known && report->all_bytes > 0;
    }
    if (!is_known)
        sum.all_bytes = 0;
    return sum;
}

void progress_text(const struct progress_report *sum, int64_t elapsed_ns,
                   char text[PROGRESS_LINE_SIZE])
{
    double elapsed_s = (double)elapsed_ns / NS_PER_S;
    double packets_per_s = elapsed_s > 0 ? (double)sum->packets / elapsed_s : 0;
    if (sum->all_bytes == 0 || sum->done_bytes == 0) {
        snprintf(text, PROGRESS_LINE_SIZE, "%" PRIu64 " packets, %.0f packets/s", sum->packets,
                 packets_per_s);
        return;
    }
    double share = (double)sum->done_bytes / (double)sum->all_bytes;
    if (share > 1)
        share = 1; /* the file has grown since */
    double left_s = elapsed_s / share - elapsed_s;
    snprintf(text, PROGRESS_LINE_SIZE,
             "%3.0f%%  %" PRIu64 " packets, %.0f packets/s, ETA %d:%02d:%02d", share * 100,
             sum->packets, packets_per_s, (int)(left_s / 3600), (int)(left_s / 60) % 60,
             (int)left_s % 60);
}

static void show(struct progress *progress)
{
    int64_t now = now_ns();
    if (progress->has_line && now - progress->shown_ns < SHOW_INTERVAL_NS)
        return;
    char text[PROGRESS_LINE_SIZE];
    struct progress_report sum = sum_of(progress);
    progress_text(&sum, now - progress->started_ns, text);
    fprintf(stderr, "\r%s\033[K", text);
    progress->shown_ns = now;
    progress->has_line = true;
}

void progress_read(struct progress *progress, size_t worker)
{
    struct progress_worker *source = &progress->workers[worker];
    struct progress_report reports[16];
    ssize_t size = read(source->read_end, reports, sizeof reports);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    size_t n = size > 0 ? (size_t)size / sizeof *reports : 0;
    if (n == 0) { /* the worker has ended */
        close(source->read_end);
        source->read_end = -1;
        return;
    }
    source->report = reports[n - 1];
    show(progress);
}
