/* config_labels: the names of label bits that the configuration gives. */
#ifndef WANMETER_COMMON_CONFIG_LABELS_H
#define WANMETER_COMMON_CONFIG_LABELS_H

#include "common/config.h"
#include "common/labels.h"

/* Is the text "BIT NAME", as a line of connlabel.conf? */
bool config_label_is_line(const char *text);

/* The names, as a table: of two that are in each other's way, the first. */
void config_label_names(const struct config *config, struct label_names *names);

/* No bit with two names, no name with two bits. */
void config_check_labels(const struct config *config, struct config_errors *errors);

#endif
