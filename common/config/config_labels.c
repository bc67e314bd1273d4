#include "common/config/config_labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_errors.h"
#include "common/config/config_object.h"
#include "common/config/config_value.h"

enum { LINE_SIZE = 1024 };

struct label_reader {
    struct config *config;
    struct config_errors *errors;
    struct label_names names;
    unsigned n_lines;
};

bool config_label_is_line(const char *text)
{
    unsigned bit;
    char name[LABEL_NAME_MAX + 1];
    size_t column;
    return label_line_read(text, &bit, name, &column) == LABEL_LINE_NAME;
}

/* Adds the line's name; what label_names_add() says. */
static int add_line(struct label_names *names, const char *line)
{
    unsigned bit;
    char name[LABEL_NAME_MAX + 1];
    size_t column;
    if (label_line_read(line, &bit, name, &column) != LABEL_LINE_NAME)
        return -EINVAL;
    const char *there = label_names_of(names, bit);
    if (there && strcmp(there, name) == 0)
        return (int)bit; /* said twice, the same */
    return label_names_add(names, name, (int)bit, false);
}

void config_label_names(const struct config *config, struct label_names *names)
{
    label_names_init(names);
    for (size_t i = 0; i < config->labels.n; i++)
        add_line(names, config->labels.items[i]);
    for (size_t i = 0; i < config->sticky_labels.n; i++) {
        int bit = label_names_find(names, config->sticky_labels.items[i]);
        if (bit >= 0)
            names->bits[bit].is_sticky = true;
    }
}

static const char *trouble_of(int result)
{
    return result == -EEXIST ? "the name has another bit" : "the bit has another name";
}

static void check_sticky(const struct label_names *names, const char *name, const char *place,
                         struct config_errors *errors)
{
    if (label_names_find(names, name) >= 0)
        return;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    for (unsigned bit = 0; bit < LABEL_BITS; bit++)
        config_suggestion_offer(&suggestion, names->bits[bit].text, strlen(names->bits[bit].text));
    config_errors_add(errors, &(struct config_report){.place = place,
                                                      .subject = "sticky_labels",
                                                      .what = "unknown label",
                                                      .got = name,
                                                      .suggestion = suggestion.word});
}

void config_check_labels(const struct config *config, struct config_errors *errors)
{
    struct label_names names;
    char place[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(config->path, (struct config_place){0}, place);
    label_names_init(&names);
    for (size_t i = 0; i < config->labels.n; i++) {
        int result = add_line(&names, config->labels.items[i]);
        if (result < 0)
            config_errors_add(errors, &(struct config_report){.place = place,
                                                              .subject = "labels",
                                                              .what = trouble_of(result),
                                                              .got = config->labels.items[i]});
    }
    for (size_t i = 0; i < config->sticky_labels.n; i++)
        check_sticky(&names, config->sticky_labels.items[i], place, errors);
}

/* ---- the file ---- */

static void complain(struct label_reader *reader, size_t column, struct config_report report)
{
    char place[CONFIG_PLACE_TEXT_SIZE];
    struct config_place where = {reader->n_lines, (uint32_t)column + 1};
    config_place_text(reader->config->label_file, where, place);
    report.place = place;
    config_errors_add(reader->errors, &report);
}

static void complain_line(struct label_reader *reader, enum label_line result, size_t column,
                          const char *got)
{
    static const char name_rule[] = "1 to 63 letters, digits, '-' and ' '";
    switch (result) {
    case LABEL_LINE_NO_BIT:
        complain(reader, column,
                 (struct config_report){
                     .what = "no bit", .got = got, .expected = "BIT NAME, or # and a comment"});
        break;
    case LABEL_LINE_BAD_BIT:
        complain(reader, column,
                 (struct config_report){.what = "no such bit", .got = got, .expected = "0 to 127"});
        break;
    case LABEL_LINE_NO_NAME:
        complain(reader, column, (struct config_report){.what = "the name is missing"});
        break;
    default:
        complain(reader, column,
                 (struct config_report){
                     .what = "not a label's name", .got = got, .expected = name_rule});
    }
}

static void append(struct config *config, const char *line)
{
    char **items =
        reallocarray(config->labels.items, config->labels.n + 1, sizeof *config->labels.items);
    if (!items)
        abort();
    config->labels.items = items;
    items[config->labels.n++] = config_copy_text(line, strlen(line));
}

static void read_line(struct label_reader *reader, char *line)
{
    unsigned bit;
    char name[LABEL_NAME_MAX + 1];
    size_t column;
    reader->n_lines++;
    line[strcspn(line, "\n")] = '\0';
    enum label_line result = label_line_read(line, &bit, name, &column);
    if (result == LABEL_LINE_EMPTY)
        return;
    if (result != LABEL_LINE_NAME) {
        complain_line(reader, result, column, line + column);
        return;
    }
    char item[LABEL_NAME_MAX + 16];
    snprintf(item, sizeof item, "%u %s", bit, name);
    bool is_new = !label_names_of(&reader->names, bit);
    int added = add_line(&reader->names, item);
    if (added < 0)
        complain(reader, added == -EEXIST ? column : 0,
                 (struct config_report){.what = trouble_of(added), .got = item});
    else if (is_new)
        append(reader->config, item);
}

void config_load_labels(struct config *config, struct config_errors *errors)
{
    if (!config->label_file || !*config->label_file)
        return;
    struct label_reader reader = {.config = config, .errors = errors};
    config_label_names(config, &reader.names);
    FILE *file = fopen(config->label_file, "re");
    if (!file) {
        char what[160];
        snprintf(what, sizeof what, "cannot be read: %s", strerror(errno));
        config_errors_add(errors,
                          &(struct config_report){.place = config->label_file, .what = what});
        return;
    }
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, file))
        read_line(&reader, line);
    fclose(file);
}
