/* config_check_tariff: the part of config_check() that is about tariffs. */
#ifndef WANMETER_COMMON_CONFIG_CHECK_TARIFF_H
#define WANMETER_COMMON_CONFIG_CHECK_TARIFF_H

#include "common/config.h"

void config_check_tariffs(const struct config *config, struct config_errors *errors);

#endif
