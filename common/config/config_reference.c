/* What people read about the options: the example file, the reference page, the help. */
#include <inttypes.h>
#include <string.h>

#include "common/config.h"
#include "common/config/config_table.h"
#include "common/config/config_value.h"

/* ---- what an option takes ---- */

static const char *type_name(const struct config_option *option)
{
    switch (option->type) {
    case CONFIG_BOOL:
        return "yes or no";
    case CONFIG_INTEGER:
        return "number";
    case CONFIG_SIZE:
        return "size";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_PRICE:
        return "price";
    case CONFIG_TEXT:
        return "text";
    case CONFIG_PREFIX_LIST:
        return "list of address blocks";
    case CONFIG_MAC_LIST:
        return "list of MAC addresses";
    case CONFIG_INTEGER_LIST:
        return "list of numbers";
    case CONFIG_TEXT_LIST:
        return "list";
    case CONFIG_MAP_LIST:
        return "list of maps";
    }
    return "";
}

static void write_range(const struct config_option *option, FILE *out)
{
    char min[CONFIG_NUMBER_TEXT_SIZE], max[CONFIG_NUMBER_TEXT_SIZE];
    enum config_type type = option->type == CONFIG_INTEGER_LIST ? CONFIG_INTEGER : option->type;
    config_number_text(type, option->min, min);
    config_number_text(type, option->max, max);
    fprintf(out, ", %s to %s", min, max);
}

/* "size, 1MiB to 64GiB", "one of auto, up, down". */
static void describe(const struct config_option *option, FILE *out)
{
    if (option->words) {
        char words[160];
        config_words_text(option->words, words, sizeof words);
        fprintf(out, "%s%s", config_option_is_list(option) ? "list of " : "one of ", words);
        return;
    }
    fputs(type_name(option), out);
    switch (option->type) {
    case CONFIG_INTEGER:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
    case CONFIG_PRICE:
    case CONFIG_INTEGER_LIST:
        write_range(option, out);
        break;
    case CONFIG_MAP_LIST:
        fprintf(out, ", at most %" PRId64, option->max);
        break;
    default:
        if (option->expected)
            fprintf(out, ": %s", option->expected);
    }
}

/* The value when nothing is said: as one would write it. */
static const char *initial_text(const struct config_option *option)
{
    if (option->initial)
        return *option->initial ? option->initial : "\"\"";
    return config_option_is_list(option) ? "[]" : "";
}

/* ---- the example file: "## " is prose, "#" what can be switched on ---- */

static void write_example_option(const struct config_option *option, int indent, FILE *out)
{
    fprintf(out, "\n%*s## %s\n", indent, "", option->help);
    fprintf(out, "%*s## (", indent, "");
    describe(option, out);
    fputs(")\n", out);
    if (!option->example) {
        fprintf(out, "%*s#%s: %s\n", indent, "", config_option_key(option), initial_text(option));
        return;
    }
    fprintf(out, "#%s:\n", option->name);
    for (const char *line = option->example; *line;) {
        size_t length = strcspn(line, "\n");
        fprintf(out, "#%.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

void config_write_example(FILE *out)
{
    fputs(
        "## wanmeter's configuration, with every option at its default.\n"
        "## Lines with two '#' explain; take the '#' of a line with one away to change it.\n"
        "## Sizes take B, KiB, MiB, GiB; times ns, us, ms, s, min, h, d. An empty file is valid.\n"
        "## 'wanmeter config check' says what is wrong with a file.\n",
        out);
    const struct config_section *section = NULL;
    for (size_t i = 0; i < config_options.n_options; i++) {
        const struct config_option *option = &config_options.options[i];
        const struct config_section *its_section = config_option_section(&config_options, option);
        if (its_section && its_section != section)
            fprintf(out, "\n## %s\n%s:\n", its_section->help, its_section->name);
        section = its_section;
        write_example_option(option, section ? 2 : 0, out);
    }
}

/* ---- the reference page ---- */

static void write_table_head(FILE *out)
{
    fputs("| option | takes | default | bill | what it is |\n"
          "|---|---|---|---|---|\n",
          out);
}

static void write_row(const struct config_option *option, FILE *out)
{
    const char *initial = initial_text(option);
    fprintf(out, "| `%s` | ", option->name);
    describe(option, out);
    if (option->is_required)
        fputs(" | required", out);
    else if (*initial)
        fprintf(out, " | `%s`", initial);
    else
        fputs(" | not set", out);
    fprintf(out, " | %s | %s |\n", option->is_billing ? "yes" : "no", option->help);
}

/* The tables of a list of maps and of the lists within it. */
static void write_map_tables(const struct config_option *list, const char *path, FILE *out)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s[]", path, list->name);
    fprintf(out, "\n### %s\n\n%s\n\n", name, list->help);
    write_table_head(out);
    for (size_t i = 0; i < list->table->n_options; i++)
        write_row(&list->table->options[i], out);

    snprintf(name, sizeof name, "%s%s[].", path, list->name);
    for (size_t i = 0; i < list->table->n_options; i++)
        if (list->table->options[i].type == CONFIG_MAP_LIST)
            write_map_tables(&list->table->options[i], name, out);
}

static void write_introduction(FILE *out)
{
    fputs(
        "# Configuration\n\n"
        "A YAML file (`--config FILE`), then assignments (`--set NAME=VALUE`, levels joined by "
        "dots,\n"
        "items of a list by commas; lists of maps only in a file). Without either every option "
        "has\n"
        "its default. [wanmeter.example.yaml](wanmeter.example.yaml) is a file to start from.\n\n"
        "- **Sizes** are whole numbers with `B`, `KiB`, `MiB` or `GiB`; **durations** with `ns`,\n"
        "  `us`, `ms`, `s`, `min`, `h` or `d`. A unit is never left out.\n"
        "- **Address blocks** are `192.0.2.0/24` or `2001:db8::/32` with no host bit set; a lone\n"
        "  address is a block of one. **MAC addresses** are `02:00:5e:10:00:01`.\n"
        "- A list of one item may be written as that item.\n"
        "- Anchors, aliases and tags are refused, as is a file of more than 16MiB.\n"
        "- **bill** says whether an option can change what a capture's bill says: these make up "
        "the\n"
        "  configuration's hash, which is kept beside the bill.\n\n"
        "Everything that is wrong is said at once, as `file:line:column: what (got, expected; did\n"
        "you mean)`, and ends the program with exit code 2.\n\n"
        "## Top level\n\n",
        out);
}

static void write_section(const struct config_section *section, FILE *out)
{
    fprintf(out, "\n## %s\n\n%s\n\n", section->name, section->help);
    write_table_head(out);
    for (size_t i = 0; i < config_options.n_options; i++)
        if (config_option_section(&config_options, &config_options.options[i]) == section)
            write_row(&config_options.options[i], out);
}

void config_write_reference(FILE *out)
{
    write_introduction(out);
    write_table_head(out);
    for (size_t i = 0; i < config_options.n_options; i++)
        if (!config_option_section(&config_options, &config_options.options[i]))
            write_row(&config_options.options[i], out);
    for (size_t i = 0; i < config_options.n_options; i++)
        if (config_options.options[i].type == CONFIG_MAP_LIST)
            write_map_tables(&config_options.options[i], "", out);
    for (size_t i = 0; i < config_options.n_sections; i++)
        write_section(&config_options.sections[i], out);
}

/* ---- help on a terminal ---- */

static void write_help_table(const struct config_table *table, const char *path, FILE *out)
{
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *option = &table->options[i];
        const char *initial = initial_text(option);
        fprintf(out, "  %s%s%s%s\n      %s\n      ", path, option->name, *initial ? "=" : "",
                initial, option->help);
        describe(option, out);
        fputc('\n', out);
        if (option->type != CONFIG_MAP_LIST)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%s%s[].", path, option->name);
        write_help_table(option->table, name, out);
    }
}

void config_write_help(FILE *out)
{
    write_help_table(&config_options, "", out);
}
