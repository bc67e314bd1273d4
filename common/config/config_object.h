/* config_object: the memory behind a table's struct: initial values, lists, freeing.
 *
 *     config_object_init(table, object);
 *     config_list_reset(option, object, n_items);
 *     item = config_list_add(option, object);              at most n_items times
 *     config_object_deinit(table, object);
 *
 * Configuration is read once, at start, where a lack of memory is fatal: these functions log it and
 * end the process instead of returning it. */
#ifndef WANMETER_COMMON_CONFIG_OBJECT_H
#define WANMETER_COMMON_CONFIG_OBJECT_H

#include <stddef.h>

#include "common/config/config_table.h"

/* Zeroed memory for n items, never NULL; for free(). */
void *config_allocate(size_t n, size_t size);

/* A copy of 'length' characters, with a NUL; for free(). */
char *config_copy_text(const char *text, size_t length);

void config_object_init(const struct config_table *table, void *object);
void config_object_deinit(const struct config_table *table, void *object);

/* Frees the option's value. */
void config_option_deinit(const struct config_option *option, void *object);

/* Empties the list and makes room for n_items. */
void config_list_reset(const struct config_option *option, void *object, size_t n_items);

/* The next item of the list, zeroed (a map: at its initial values), and counted. */
void *config_list_add(const struct config_option *option, void *object);

/* Takes the last item back. */
void config_list_drop(const struct config_option *option, void *object);

size_t config_list_n(const struct config_option *option, const void *object);
void *config_list_item(const struct config_option *option, const void *object, size_t i);

#endif
