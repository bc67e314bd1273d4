/* config_yaml: from a file's text to the struct.
 *
 *     config_yaml_load(name, text, size, &document, errors)      config_syntax.c: YAML at all?
 *     config_yaml_walk(name, &document, config, errors)          config_yaml.c: does it fit the
 *     yaml_document_delete(&document)                            table of options?
 *
 * Bounded whatever the text: no aliases, no tags, CONFIG_DEPTH_MAX levels, CONFIG_NODES_MAX nodes.
 */
#ifndef WANMETER_COMMON_CONFIG_YAML_H
#define WANMETER_COMMON_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "common/config.h"

enum { CONFIG_DEPTH_MAX = 16, CONFIG_NODES_MAX = 2000000 };

/* True: 'document' is loaded (without a root node if the text is empty) and the caller deletes it.
 * False: errors say why. */
bool config_yaml_load(const char *name, const char *text, size_t size, yaml_document_t *document,
                      struct config_errors *errors);

void config_yaml_walk(const char *name, yaml_document_t *document, struct config *config,
                      struct config_errors *errors);

#endif
