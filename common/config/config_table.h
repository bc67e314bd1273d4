/* config_table: every option there is, and where its value lives.
 *
 *     option = config_table_find(&config_options, "capture.window");
 *     config_object_init(&config_options, &config);          every option at its initial value
 *     config_object_deinit(&config_options, &config);
 *
 * Parsing, '--set', '--help-config', the canonical text, the example file and the reference page
 * all walk this table: an option that is added to it is everywhere at once. A table describes one
 * kind of struct: 'struct config' itself, or an item of a list of maps (a WAN, an account, …). */
#ifndef WANMETER_COMMON_CONFIG_TABLE_H
#define WANMETER_COMMON_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_BOOL,
    CONFIG_INTEGER,      /* int32_t or int64_t */
    CONFIG_SIZE,         /* int64_t bytes */
    CONFIG_DURATION,     /* int64_t nanoseconds */
    CONFIG_PRICE,        /* int64_t millionths */
    CONFIG_TEXT,         /* char * */
    CONFIG_PREFIX_LIST,  /* struct config_prefix * */
    CONFIG_MAC_LIST,     /* struct config_mac * */
    CONFIG_INTEGER_LIST, /* int32_t * */
    CONFIG_TEXT_LIST,    /* char ** */
    CONFIG_MAP_LIST,     /* an array of what 'table' describes */
};

struct config_table;

struct config_option {
    const char *name; /* from its table's top, levels joined by dots */
    enum config_type type;
    size_t offset;            /* in the struct: of the value, or of a list's pointer */
    size_t size;              /* of that field: tells int32_t from int64_t */
    size_t count_offset;      /* of a list's count */
    size_t text_place_offset; /* texts: of a struct config_text_place; 0: not kept */
    int64_t min;              /* numbers: the range, of each item in a list; texts: characters */
    int64_t max;              /* lists of maps: items */
    const char *initial;      /* as one would write it; NULL: not set (-1, NULL, an empty list) */
    const char *words;        /* texts: the only ones allowed, a space between; NULL: any */
    bool (*is_valid)(const char *text); /* texts: a rule of their own; NULL: none */
    const char *expected;               /* and that rule in words */
    const struct config_table *table;   /* lists of maps: of each item */
    const char *example;                /* lists of maps: YAML for the example file */
    const char *help;                   /* one line */
    bool is_required;                   /* texts in maps */
    bool is_billing;                    /* can it change a bill? */
};

struct config_section {
    const char *name;
    const char *help;
};

enum { CONFIG_OPTIONS_MAX = 128, CONFIG_NO_PLACE = -1 };

struct config_table {
    const struct config_option *options; /* those of one section stand together */
    size_t n_options;
    const struct config_section *sections;
    size_t n_sections;
    size_t object_size;
    ptrdiff_t place_offset; /* of a struct config_place, or CONFIG_NO_PLACE */
};

extern const struct config_table config_options;

/* config_tariff.c */
extern const struct config_table config_tariff_table;
extern const char config_tariffs_example[];

/* NULL: there is none. */
const struct config_option *config_table_find(const struct config_table *table, const char *name);
const struct config_section *config_table_find_section(const struct config_table *table,
                                                       const char *name);

/* The section an option is in, or NULL. */
const struct config_section *config_option_section(const struct config_table *table,
                                                   const struct config_option *option);

/* The name within its section. */
const char *config_option_key(const struct config_option *option);

static inline bool config_option_is_list(const struct config_option *option)
{
    return option->type >= CONFIG_PREFIX_LIST;
}

static inline void *config_option_field(const struct config_option *option, const void *object)
{
    return (char *)object + option->offset;
}

/* Is the value other than "not set"? */
bool config_option_is_set(const struct config_option *option, const void *object);

#endif
