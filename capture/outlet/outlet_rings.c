#include "capture/outlet/outlet_rings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture/lane.h"
#include "common/log.h"
#include "proto/uplink.h"

enum { PATH_SIZE = 512 };

static void path_of(const struct arguments *arguments, uint32_t shard, char path[PATH_SIZE])
{
    ring_path(arguments->run_directory, arguments->worker, shard, path, PATH_SIZE);
}

static void close_all(struct outlet_rings *rings)
{
    for (size_t i = 0; i < SHARDS_MAX; i++)
        ring_close(rings->items[i]);
    memset(rings->items, 0, sizeof rings->items);
}

/* The first one's epoch is that of all. */
static enum ring_found open_one(const struct arguments *arguments, const char *producer,
                                uint32_t shard, struct outlet_rings *rings)
{
    char path[PATH_SIZE];
    size_t window = (size_t)arguments->config.capture.window_bytes / arguments->n_shards;
    struct ring_options options = {
        .stream = {.epoch = rings->epoch, .shard = shard},
        .data_bytes = lane_ring_bytes(&arguments->config, window),
        .is_filled_soon = !arguments->is_live,
    };
    snprintf(options.stream.producer, sizeof options.stream.producer, "%s", producer);
    path_of(arguments, shard, path);
    enum ring_found found = ring_open(path, &options, &rings->items[shard]);
    if (found == RING_FAILED) {
        log_error("%s: %s", path, strerror(errno));
        return found;
    }
    if (found == RING_DAMAGED)
        return found;
    uint64_t epoch = ring_stream(rings->items[shard])->epoch;
    if (found == RING_FOUND)
        rings->is_resumed = true;
    if (shard == 0)
        rings->epoch = epoch;
    return epoch == rings->epoch ? found : RING_DAMAGED;
}

static enum ring_found open_all(const struct arguments *arguments, const char *producer,
                                struct outlet_rings *rings)
{
    enum ring_found found = RING_NEW;
    bool is_one_new = false, is_one_used = false;
    rings->epoch = uplink_epoch();
    for (uint32_t i = 0; i < arguments->n_shards; i++) {
        found = open_one(arguments, producer, i, rings);
        if (found == RING_DAMAGED || found == RING_FAILED)
            return found;
        is_one_new |= found == RING_NEW;
        is_one_used |= ring_last(rings->items[i])->seq >= 0;
    }
    return is_one_new && is_one_used ? RING_DAMAGED : found; /* all are made before one is used */
}

static int set_aside(const struct arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->n_shards; i++) {
        char path[PATH_SIZE];
        char aside[PATH_SIZE + 16];
        path_of(arguments, i, path);
        snprintf(aside, sizeof aside, "%s.damaged", path);
        if (rename(path, aside) < 0 && errno != ENOENT) {
            int error = errno;
            log_error("%s: %s", path, strerror(error));
            return -error;
        }
    }
    log_error("ring-%u-*: damaged; what it held is lost, and is set aside as ….damaged",
              arguments->worker);
    return 0;
}

int outlet_rings_open(const struct arguments *arguments, const char *producer,
                      struct outlet_rings *rings)
{
    *rings = (struct outlet_rings){0};
    enum ring_found found = open_all(arguments, producer, rings);
    if (found == RING_DAMAGED && !arguments->is_live)
        log_error("ring-%u-*: damaged: what of the files is counted is not known",
                  arguments->worker);
    if (found == RING_DAMAGED && arguments->is_live) {
        close_all(rings);
        int result = set_aside(arguments);
        if (result < 0)
            return result;
        *rings = (struct outlet_rings){.is_damaged = true};
        found = open_all(arguments, producer, rings);
        rings->is_resumed = false;
    }
    if (found != RING_FAILED && found != RING_DAMAGED)
        return 0;
    close_all(rings);
    return -EIO;
}
