/* source_live: the frames of an interface, through libpcap. Within the capture source only. */
#ifndef WANMETER_CAPTURE_SOURCE_LIVE_H
#define WANMETER_CAPTURE_SOURCE_LIVE_H

#include <stdint.h>

#include "capture/frame.h"
#include "capture/source.h"
#include "common/config.h"
#include "proto/record.h"

struct source_live;

/* 0 or -errno with 'error' set. */
int source_live_create(const struct config *config, const struct source_place *place,
                       struct source_live **out, char error[SOURCE_ERROR_MAX]);
void source_live_destroy(struct source_live *live); /* accepts NULL */

enum source_result source_live_read(struct source_live *live, int n, source_frame_fn on_frame,
                                    void *state, struct loss *loss);
void source_live_stop(struct source_live *live);
bool source_live_is_open(const struct source_live *live);
int source_live_descriptor(const struct source_live *live);
const struct source_total *source_live_total(const struct source_live *live);

#endif
