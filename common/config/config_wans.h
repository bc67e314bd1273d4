/* config_wans: 'sources', 'wans' and 'accounts', their tables, and what a name is. */
#ifndef WANMETER_COMMON_CONFIG_WANS_H
#define WANMETER_COMMON_CONFIG_WANS_H

#include "common/config.h"
#include "common/config/config_table.h"

extern const struct config_table config_source_table;
extern const struct config_table config_wan_table;
extern const struct config_table config_account_table;
extern const char config_sources_example[];
extern const char config_wans_example[];
extern const char config_accounts_example[];

/* What a WAN, an account, a class may be called. */
bool config_is_name(const char *text);

#define CONFIG_NAME_RULE                                                                           \
    .min = 1, .max = CONFIG_NAME_MAX, .is_valid = config_is_name,                                  \
    .expected = "letters, digits, '.', '_' and '-', and not 'none'"

#endif
