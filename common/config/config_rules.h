/* config_rules: 'rules' and 'classes', their table and what is checked of them. */
#ifndef WANMETER_COMMON_CONFIG_RULES_H
#define WANMETER_COMMON_CONFIG_RULES_H

#include "common/config.h"
#include "common/config/config_errors.h"
#include "common/config/config_table.h"

extern const struct config_table config_rule_table;
extern const char config_rules_example[];

/* What a rule does can be read, and names what there is. Its 'match' is for proto/rule_check. */
void config_check_rules(const struct config *config, struct config_errors *errors);

/* Adds an error of rule i, 'offset' bytes into the text that begins at 'at'. 'key' is its option's
 * name. */
void config_rule_complain(const struct config *config, size_t i, const char *key,
                          const struct config_text_place *at, size_t offset,
                          struct config_report report, struct config_errors *errors);

#endif
