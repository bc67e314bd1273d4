#include "proto/model.h"

#include "common/overhead.h"

const char *model_of(const struct config *config, uint16_t wan, unsigned direction)
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

bool model_compresses_tcp(const struct config *config, uint16_t wan)
{
    for (unsigned direction = DIRECTION_UP; direction < DIRECTION_N; direction++) {
        struct overhead model;
        if (!overhead_make(model_of(config, wan, direction), &model))
            continue;
        for (unsigned i = 0; i < OVERHEAD_STEPS_MAX; i++)
            if (model.steps[i].operation == OVERHEAD_VJ)
                return true;
    }
    return false;
}
