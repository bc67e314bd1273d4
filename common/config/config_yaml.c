#include "common/config/config_yaml.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "common/config/config_errors.h"
#include "common/config/config_object.h"
#include "common/config/config_table.h"

enum { PATH_SIZE = 256, NAME_SIZE = 128, GOT_SIZE = 128 };

/* 'path' is where in the configuration it reads: "wans[1].match[0].vlan". */
struct walk {
    const char *file;
    yaml_document_t *document;
    struct config_errors *errors;
    char path[PATH_SIZE];
};

/* A map of the file, and what its keys mean: options of 'table' under 'section' ("capture", or ""
 * at the top), which live in 'object'. */
struct level {
    const struct config_table *table;
    const char *section;
    void *object;
};

static void read_map(struct walk *walk, const yaml_node_t *map, const struct level *level);

/* ---- places and errors ---- */

static struct config_place place_of(const yaml_node_t *node)
{
    return (struct config_place){(uint32_t)node->start_mark.line + 1,
                                 (uint32_t)node->start_mark.column + 1};
}

/* Appends to the path; path_pop() with what it returns undoes it. */
__attribute__((format(printf, 2, 3))) static size_t path_push(struct walk *walk, const char *format,
                                                              ...)
{
    size_t length = strlen(walk->path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(walk->path + length, sizeof walk->path - length, format, arguments);
    va_end(arguments);
    return length;
}

static void path_pop(struct walk *walk, size_t length)
{
    walk->path[length] = '\0';
}

static void complain(struct walk *walk, const yaml_node_t *node, struct config_report report)
{
    char place[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(walk->file, place_of(node), place);
    report.place = place;
    report.subject = walk->path;
    config_errors_add(walk->errors, &report);
}

/* ---- scalars ---- */

/* "key:" with nothing after it, and what other YAML readers take for nothing. */
static bool is_nothing(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp((const char *)node->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static const char *kind_of(const yaml_node_t *node)
{
    if (is_nothing(node))
        return "nothing";
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a map";
    default:
        return "a value";
    }
}

static void complain_kind(struct walk *walk, const yaml_node_t *node, const char *wanted)
{
    char what[64];
    snprintf(what, sizeof what, "this is %s", kind_of(node));
    complain(walk, node, (struct config_report){.what = what, .expected = wanted});
}

/* The node's text, or NULL after a complaint. */
static const char *scalar_text(struct walk *walk, const yaml_node_t *node, const char *wanted)
{
    if (node->type != YAML_SCALAR_NODE || is_nothing(node)) {
        complain_kind(walk, node, wanted);
        return NULL;
    }
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length) { /* "\0" between double quotes */
        complain(walk, node, (struct config_report){.what = "a NUL character", .got = text});
        return NULL;
    }
    return text;
}

/* Where the text begins, behind its quote. */
static void keep_text_place(const yaml_node_t *node, const struct config_option *option,
                            void *object)
{
    size_t n_quotes = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? 0 : 2;
    size_t length = node->end_mark.index - node->start_mark.index;
    struct config_text_place place = {
        .place = place_of(node),
        .is_exact = length == node->data.scalar.length + n_quotes &&
                    node->start_mark.line == node->end_mark.line,
    };
    place.place.column += place.is_exact && n_quotes ? 1 : 0;
    memcpy((char *)object + option->text_place_offset, &place, sizeof place);
}

static void read_value(struct walk *walk, const yaml_node_t *node,
                       const struct config_option *option, void *object)
{
    const char *text = scalar_text(walk, node, "a value");
    struct config_complaint complaint;
    if (text && option->text_place_offset)
        keep_text_place(node, option, object);
    if (!text || config_value_read(option, text, object, &complaint))
        return;
    complain(walk, node,
             (struct config_report){.what = complaint.what,
                                    .got = text,
                                    .expected = complaint.expected,
                                    .suggestion = complaint.suggestion});
}

/* ---- lists ---- */

static void read_map_item(struct walk *walk, const yaml_node_t *node,
                          const struct config_option *option, void *object)
{
    if (node->type != YAML_MAPPING_NODE) {
        complain_kind(walk, node, "a map");
        return;
    }
    void *item = config_list_add(option, object);
    if (option->table->place_offset != CONFIG_NO_PLACE) {
        struct config_place place = place_of(node);
        memcpy((char *)item + option->table->place_offset, &place, sizeof place);
    }
    read_map(walk, node, &(struct level){option->table, "", item});
}

static void read_item(struct walk *walk, const yaml_node_t *node,
                      const struct config_option *option, void *object)
{
    if (option->type == CONFIG_MAP_LIST) {
        read_map_item(walk, node, option, object);
        return;
    }
    const char *text = scalar_text(walk, node, "a value");
    struct config_complaint complaint;
    if (!text || config_value_read_item(option, text, place_of(node), object, &complaint))
        return;
    complain(walk, node,
             (struct config_report){.what = complaint.what,
                                    .got = text,
                                    .expected = complaint.expected,
                                    .suggestion = complaint.suggestion});
}

/* A lone item stands for a list of one; nothing for an empty list. */
static void read_list(struct walk *walk, const yaml_node_t *node,
                      const struct config_option *option, void *object)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        bool is_empty = is_nothing(node);
        config_list_reset(option, object, is_empty ? 0 : 1);
        if (!is_empty)
            read_item(walk, node, option, object);
        return;
    }
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t n_items = (size_t)(node->data.sequence.items.top - items);
    if (option->type == CONFIG_MAP_LIST && n_items > (size_t)option->max) {
        char what[48], expected[48];
        snprintf(what, sizeof what, "a list of %zu", n_items);
        snprintf(expected, sizeof expected, "%zu at most", (size_t)option->max);
        complain(walk, node, (struct config_report){.what = what, .expected = expected});
        return;
    }
    config_list_reset(option, object, n_items);
    for (size_t i = 0; i < n_items; i++) {
        size_t length = path_push(walk, "[%zu]", i);
        read_item(walk, yaml_document_get_node(walk->document, items[i]), option, object);
        path_pop(walk, length);
    }
}

/* ---- maps ---- */

/* An option's or a section's key at this level, or NULL; sets its length. */
static const char *key_at_level(const struct level *level, size_t i, size_t *length)
{
    const char *name = level->table->options[i].name;
    size_t section_length = strlen(level->section);
    if (section_length > 0) {
        if (strncmp(name, level->section, section_length) != 0 || name[section_length] != '.')
            return NULL;
        name += section_length + 1;
    }
    *length = strcspn(name, ".");
    return name;
}

static void complain_unknown(struct walk *walk, const yaml_node_t *key, const char *text,
                             const struct level *level)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, text);
    bool is_kept = walk->errors->n < CONFIG_ERRORS_MAX; /* else nobody will read it */
    for (size_t i = 0; is_kept && i < level->table->n_options; i++) {
        size_t length;
        const char *known = key_at_level(level, i, &length);
        if (known)
            config_suggestion_offer(&suggestion, known, length);
    }
    bool is_dotted = !*level->section && strchr(text, '.') && config_table_find(level->table, text);
    complain(walk, key,
             (struct config_report){.what = is_dotted ? "levels are maps in a file, not dots"
                                                      : "unknown option",
                                    .got = text,
                                    .suggestion = suggestion.word});
}

/* The index of the key's option or of the first option of its section; n_options: unknown. */
static size_t find_key(const struct level *level, const char *text)
{
    size_t i = 0;
    for (; i < level->table->n_options; i++) {
        size_t length;
        const char *known = key_at_level(level, i, &length);
        if (known && strlen(text) == length && memcmp(text, known, length) == 0)
            break;
    }
    return i;
}

static void read_section(struct walk *walk, const yaml_node_t *node, const char *name,
                         const struct level *level)
{
    if (is_nothing(node))
        return;
    if (node->type != YAML_MAPPING_NODE) {
        complain_kind(walk, node, "a map of options");
        return;
    }
    read_map(walk, node, &(struct level){level->table, name, level->object});
}

static bool is_repeated(struct walk *walk, const yaml_node_t *key, const yaml_node_t **seen)
{
    if (!*seen) {
        *seen = key;
        return false;
    }
    char what[64];
    struct config_place first = place_of(*seen);
    snprintf(what, sizeof what, "given twice, first at %u:%u", first.line, first.column);
    complain(walk, key, (struct config_report){.what = what});
    return true;
}

static void read_pair(struct walk *walk, const yaml_node_pair_t *pair, const struct level *level,
                      const yaml_node_t **seen)
{
    const yaml_node_t *key = yaml_document_get_node(walk->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(walk->document, pair->value);
    const char *text = scalar_text(walk, key, "the name of an option");
    if (!text)
        return;
    size_t i = find_key(level, text);
    if (i == level->table->n_options) {
        complain_unknown(walk, key, text, level);
        return;
    }
    const struct config_option *option = &level->table->options[i];
    bool is_section = !*level->section && strchr(option->name, '.');
    size_t length = path_push(walk, "%s%s", *walk->path ? "." : "", text);
    if (!is_repeated(walk, key, &seen[i])) {
        if (is_section)
            read_section(walk, value, text, level);
        else if (config_option_is_list(option))
            read_list(walk, value, option, level->object);
        else
            read_value(walk, value, option, level->object);
    }
    path_pop(walk, length);
}

static void read_map(struct walk *walk, const yaml_node_t *map, const struct level *level)
{
    const yaml_node_t *seen[CONFIG_OPTIONS_MAX] = {NULL};
    const yaml_node_pair_t *pairs = map->data.mapping.pairs.start;
    for (; pairs < map->data.mapping.pairs.top; pairs++)
        read_pair(walk, pairs, level, seen);

    for (size_t i = 0; i < level->table->n_options; i++) {
        const struct config_option *option = &level->table->options[i];
        if (option->is_required && !seen[i]) {
            char what[64];
            snprintf(what, sizeof what, "'%s' is missing", option->name);
            complain(walk, map, (struct config_report){.what = what});
        }
    }
}

void config_yaml_walk(const char *name, yaml_document_t *document, struct config *config,
                      struct config_errors *errors)
{
    struct walk walk = {.file = name, .document = document, .errors = errors};
    const yaml_node_t *root = yaml_document_get_root_node(document);
    if (!root || is_nothing(root))
        return;
    if (root->type != YAML_MAPPING_NODE) {
        complain_kind(&walk, root, "a map of options");
        return;
    }
    read_map(&walk, root, &(struct level){&config_options, "", config});
}
