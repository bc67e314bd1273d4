/* The effective configuration as text, and its hash. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/config/config_object.h"
#include "common/config/config_table.h"
#include "common/config/config_value.h"
#include "common/log.h"

/* How a table's options are written: where to, which, and behind what. */
struct writer {
    FILE *out;
    bool billing_only;
};

static void write_map_list(const struct writer *writer, const struct config_option *option,
                           const void *object, int indent);

static void write_option(const struct writer *writer, const struct config_option *option,
                         const void *object, int indent)
{
    fprintf(writer->out, "%s:", config_option_key(option));
    if (option->type == CONFIG_MAP_LIST && config_list_n(option, object) > 0) {
        fputc('\n', writer->out);
        write_map_list(writer, option, object, indent + 2);
        return;
    }
    fputc(' ', writer->out);
    if (option->type == CONFIG_MAP_LIST)
        fputs("[]", writer->out);
    else
        config_value_write(option, object, writer->out);
    fputc('\n', writer->out);
}

/* The keys that are set, the first behind the "- ". */
static void write_map(const struct writer *writer, const struct config_table *table,
                      const void *object, int indent)
{
    bool is_first = true;
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *option = &table->options[i];
        if (!config_option_is_set(option, object) || (writer->billing_only && !option->is_billing))
            continue;
        fprintf(writer->out, "%*s", is_first ? 0 : indent, "");
        write_option(writer, option, object, indent);
        is_first = false;
    }
    if (is_first)
        fputs("{}\n", writer->out);
}

static void write_map_list(const struct writer *writer, const struct config_option *option,
                           const void *object, int indent)
{
    for (size_t i = 0; i < config_list_n(option, object); i++) {
        fprintf(writer->out, "%*s- ", indent, "");
        write_map(writer, option->table, config_list_item(option, object, i), indent + 2);
    }
}

static void write_config(const struct writer *writer, const struct config *config)
{
    const struct config_section *section = NULL;
    for (size_t i = 0; i < config_options.n_options; i++) {
        const struct config_option *option = &config_options.options[i];
        if (writer->billing_only && !option->is_billing)
            continue;
        const struct config_section *its_section = config_option_section(&config_options, option);
        if (its_section && its_section != section)
            fprintf(writer->out, "%s:\n", its_section->name);
        section = its_section;
        int indent = section ? 2 : 0;
        fprintf(writer->out, "%*s", indent, "");
        write_option(writer, option, config, indent);
    }
}

char *config_text(const struct config *config, bool billing_only)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out)
        write_config(&(struct writer){out, billing_only}, config);
    if (!out || fclose(out) != 0) {
        log_error("configuration: out of memory");
        exit(EXIT_FAILURE);
    }
    return text;
}

void config_hash(const struct config *config, uint8_t hash[CONFIG_SHA256_SIZE])
{
    static_assert(CONFIG_SHA256_SIZE == crypto_hash_sha256_BYTES, "a SHA-256");
    char *text = config_text(config, true);
    crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
    free(text);
}
