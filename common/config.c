#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/config_errors.h"
#include "common/config/config_object.h"
#include "common/config/config_table.h"
#include "common/config/config_yaml.h"

void config_init(struct config *config)
{
    config_object_init(&config_options, config);
}

void config_deinit(struct config *config)
{
    config_object_deinit(&config_options, config);
    free(config->path);
    config->path = NULL;
}

/* ---- a file ---- */

void config_read(struct config *config, const char *name, const char *text, size_t size,
                 struct config_errors *errors)
{
    yaml_document_t document;
    if (!config_yaml_load(name, text, size, &document, errors))
        return;
    config_yaml_walk(name, &document, config, errors);
    yaml_document_delete(&document);
}

/* Reads to the end, or one byte more than is allowed. Bytes read, or -errno. */
static ssize_t read_all(int descriptor, char *room)
{
    size_t size = 0;
    while (size <= CONFIG_FILE_SIZE_MAX) {
        ssize_t n = read(descriptor, room + size, CONFIG_FILE_SIZE_MAX + 1 - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    return (ssize_t)size;
}

static ssize_t read_file(const char *path, char *room)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    ssize_t size = read_all(descriptor, room);
    close(descriptor);
    return size;
}

void config_load(struct config *config, const char *path, struct config_errors *errors)
{
    free(config->path);
    config->path = config_copy_text(path, strlen(path));

    char *room = config_allocate(CONFIG_FILE_SIZE_MAX + 1, 1);
    ssize_t size = read_file(path, room);
    if (size < 0) {
        char what[160];
        snprintf(what, sizeof what, "cannot be read: %s", strerror((int)-size));
        config_errors_add(errors, &(struct config_report){.place = path, .what = what});
    } else {
        config_read(config, path, room, (size_t)size, errors);
    }
    free(room);
}

/* ---- an assignment ---- */

static void complain_unknown(const char *name, const char *place, struct config_errors *errors)
{
    if (config_table_find_section(&config_options, name)) {
        config_errors_add(errors, &(struct config_report){.place = place,
                                                          .what = "a group of options, not one",
                                                          .expected = "GROUP.NAME=VALUE"});
        return;
    }
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    for (size_t i = 0; i < config_options.n_options; i++)
        config_suggestion_offer(&suggestion, config_options.options[i].name,
                                strlen(config_options.options[i].name));
    config_errors_add(errors, &(struct config_report){.place = place,
                                                      .what = "unknown option",
                                                      .suggestion = suggestion.word});
}

static size_t count_items(const char *list)
{
    size_t n = *list ? 1 : 0;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

static void set_list(struct config *config, const struct config_option *option, const char *value,
                     const char *place, struct config_errors *errors)
{
    config_list_reset(option, config, count_items(value));
    while (*value) {
        size_t length = strcspn(value, ",");
        char *item = config_copy_text(value, length);
        struct config_complaint complaint;
        if (!config_value_read_item(option, item, (struct config_place){0}, config, &complaint))
            config_errors_add_complaint(errors, place, NULL, item, &complaint);
        free(item);
        value += length + (value[length] == ',');
    }
}

static void set_value(struct config *config, const struct config_option *option, const char *value,
                      const char *place, struct config_errors *errors)
{
    struct config_complaint complaint;
    if (option->type == CONFIG_MAP_LIST)
        config_errors_add(
            errors, &(struct config_report){.place = place, .what = "can only be given in a file"});
    else if (config_option_is_list(option))
        set_list(config, option, value, place, errors);
    else if (!config_value_read(option, value, config, &complaint))
        config_errors_add_complaint(errors, place, NULL, value, &complaint);
}

void config_set(struct config *config, const char *assignment, struct config_errors *errors)
{
    size_t name_length = strcspn(assignment, "=");
    char place[128];
    snprintf(place, sizeof place, "--set %.*s", (int)(name_length < 100 ? name_length : 100),
             assignment);
    if (assignment[name_length] != '=') {
        config_errors_add(errors, &(struct config_report){.place = place,
                                                          .what = "the value is missing",
                                                          .expected = "NAME=VALUE"});
        return;
    }
    char *name = config_copy_text(assignment, name_length);
    const struct config_option *option = config_table_find(&config_options, name);
    if (option)
        set_value(config, option, assignment + name_length + 1, place, errors);
    else
        complain_unknown(name, place, errors);
    free(name);
}
