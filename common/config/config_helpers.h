/* config_helpers: 'helpers', their table and what is checked of them. */
#ifndef WANMETER_COMMON_CONFIG_HELPERS_H
#define WANMETER_COMMON_CONFIG_HELPERS_H

#include "common/config.h"
#include "common/config/config_errors.h"
#include "common/config/config_table.h"

extern const struct config_table config_helper_table;
extern const char config_helpers_example[];

/* No two helpers read the same port of a transport protocol. */
void config_check_helpers(const struct config *config, struct config_errors *errors);

#endif
