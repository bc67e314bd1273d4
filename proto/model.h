/* model: which overhead model bills a packet.
 *
 *     overhead_make(model_of(config, packet.wan, packet.direction), &model) */
#ifndef WANMETER_PROTO_MODEL_H
#define WANMETER_PROTO_MODEL_H

#include <stdbool.h>

#include "common/config.h"
#include "proto/packet.h"

/* The text of the WAN's model for this enum direction: its own, or the WAN's for both. Of no WAN
 * (0), and of one that is not in the configuration: "ip". */
const char *model_of(const struct config *config, uint16_t wan, unsigned direction);

/* Whether the WAN's link has to be shown the headers of all its TCP packets, in either direction.
 */
bool model_compresses_tcp(const struct config *config, uint16_t wan);

#endif
