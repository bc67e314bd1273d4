#include "common/config/config_object.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/config/config_value.h"
#include "common/log.h"

void *config_allocate(size_t n, size_t size)
{
    assert(size > 0);
    void *memory = calloc(n ? n : 1, size);
    if (!memory) {
        log_error("configuration: out of memory");
        exit(EXIT_FAILURE);
    }
    return memory;
}

char *config_copy_text(const char *text, size_t length)
{
    char *copy = config_allocate(length + 1, 1);
    memcpy(copy, text, length);
    return copy;
}

static size_t item_size(const struct config_option *option)
{
    switch (option->type) {
    case CONFIG_PREFIX_LIST:
        return sizeof(struct config_prefix);
    case CONFIG_MAC_LIST:
        return sizeof(struct config_mac);
    case CONFIG_INTEGER_LIST:
        return sizeof(int32_t);
    case CONFIG_TEXT_LIST:
        return sizeof(char *);
    case CONFIG_MAP_LIST:
        return option->table->object_size;
    default:
        assert(config_option_is_list(option));
        return 0;
    }
}

static void **list_pointer(const struct config_option *option, const void *object)
{
    return config_option_field(option, object);
}

static size_t *list_count(const struct config_option *option, const void *object)
{
    return (size_t *)(void *)((char *)object + option->count_offset);
}

size_t config_list_n(const struct config_option *option, const void *object)
{
    return *list_count(option, object);
}

void *config_list_item(const struct config_option *option, const void *object, size_t i)
{
    return (char *)*list_pointer(option, object) + i * item_size(option);
}

static void deinit_item(const struct config_option *option, void *item)
{
    if (option->type == CONFIG_MAP_LIST)
        config_object_deinit(option->table, item);
    else if (option->type == CONFIG_TEXT_LIST)
        free(*(char **)item);
}

void config_option_deinit(const struct config_option *option, void *object)
{
    if (config_option_is_list(option)) {
        for (size_t i = 0; i < config_list_n(option, object); i++)
            deinit_item(option, config_list_item(option, object, i));
        free(*list_pointer(option, object));
        *list_pointer(option, object) = NULL;
        *list_count(option, object) = 0;
    } else if (option->type == CONFIG_TEXT) {
        char **text = config_option_field(option, object);
        free(*text);
        *text = NULL;
    }
}

void config_list_reset(const struct config_option *option, void *object, size_t n_items)
{
    config_option_deinit(option, object);
    if (n_items > 0)
        *list_pointer(option, object) = config_allocate(n_items, item_size(option));
}

void *config_list_add(const struct config_option *option, void *object)
{
    size_t i = (*list_count(option, object))++;
    void *item = config_list_item(option, object, i);
    memset(item, 0, item_size(option));
    if (option->type == CONFIG_MAP_LIST)
        config_object_init(option->table, item);
    return item;
}

void config_list_drop(const struct config_option *option, void *object)
{
    size_t last = --*list_count(option, object);
    deinit_item(option, config_list_item(option, object, last));
}

/* "Not set" of a number or a duration: it has no initial value, and no key can say so. */
static void unset(const struct config_option *option, void *object)
{
    void *field = config_option_field(option, object);
    if (option->type == CONFIG_INTEGER && option->size == sizeof(int32_t))
        *(int32_t *)field = -1;
    else if (option->type != CONFIG_BOOL && option->type != CONFIG_TEXT &&
             !config_option_is_list(option))
        *(int64_t *)field = -1;
}

void config_object_init(const struct config_table *table, void *object)
{
    memset(object, 0, table->object_size);
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *option = &table->options[i];
        if (!option->initial) {
            unset(option, object);
            continue;
        }
        struct config_complaint complaint;
        bool is_read = config_value_read(option, option->initial, object, &complaint);
        assert(is_read);
    }
}

void config_object_deinit(const struct config_table *table, void *object)
{
    for (size_t i = 0; i < table->n_options; i++)
        config_option_deinit(&table->options[i], object);
}
