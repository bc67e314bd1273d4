/* config_timeout: 'timeout_policies', its table and what is checked of it. */
#ifndef WANMETER_COMMON_CONFIG_TIMEOUT_H
#define WANMETER_COMMON_CONFIG_TIMEOUT_H

#include "common/config.h"
#include "common/config/config_table.h"

extern const struct config_table config_timeout_policy_table;
extern const char config_timeout_policies_example[];

/* Unique names, and values that their protocol has. */
void config_check_timeout_policies(const struct config *config, struct config_errors *errors);

#endif
