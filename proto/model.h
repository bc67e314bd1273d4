/* model: which overhead model bills a packet.
 *
 *     overhead_make(model_of(config, packet.wan, packet.direction), &model) */
#ifndef WANMETER_PROTO_MODEL_H
#define WANMETER_PROTO_MODEL_H

#include "common/config.h"
#include "proto/packet.h"

/* The text of the WAN's model for this enum direction: its own, or the WAN's for both. Of no WAN
 * (0), and of one that is not in the configuration: "ip". */
static inline const char *model_of(const struct config *config, uint16_t wan, unsigned direction)
{
    if (wan == 0 || wan > config->n_wans)
        return "ip";
    const struct config_wan *own = &config->wans[wan - 1];
    const char *model = direction == DIRECTION_UP     ? own->overhead_up
                        : direction == DIRECTION_DOWN ? own->overhead_down
                                                      : NULL;
    if (!model || model[0] == '\0')
        model = own->overhead;
    return model ? model : "ip";
}

#endif
