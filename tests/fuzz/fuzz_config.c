/* The configuration from any bytes: a file's text, or, behind "--set ", an assignment a line. What
 * is accepted must come back from its own text as the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char set_mark[] = "--set ";

static void set_lines(struct config *config, const char *text, struct config_errors *errors)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        char *line = strndup(text, length);
        assert(line);
        config_set(config, line, errors);
        free(line);
        text += length + (text[length] == '\n');
    }
}

static void read_input(struct config *config, const uint8_t *bytes, size_t size,
                       struct config_errors *errors)
{
    size_t mark_length = strlen(set_mark);
    if (size < mark_length || memcmp(bytes, set_mark, mark_length) != 0) {
        config_read(config, "fuzz", (const char *)bytes, size, errors);
        return;
    }
    char *text = strndup((const char *)bytes + mark_length, size - mark_length);
    assert(text);
    set_lines(config, text, errors);
    free(text);
}

/* The struct holds only what was accepted, so its text is always readable. */
static void check_round_trip(const struct config *config)
{
    struct config again;
    struct config_errors errors = {0};
    char *text = config_text(config, false);
    config_init(&again);
    config_read(&again, "text", text, strlen(text), &errors);
    char *text_again = config_text(&again, false);
    uint8_t hash[CONFIG_SHA256_SIZE], hash_again[CONFIG_SHA256_SIZE];
    config_hash(config, hash);
    config_hash(&again, hash_again);
    assert(errors.n == 0);
    assert(strcmp(text, text_again) == 0);
    assert(memcmp(hash, hash_again, sizeof hash) == 0);
    free(text);
    free(text_again);
    config_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    read_input(&config, bytes, size, &errors);
    bool is_accepted = errors.n == 0;
    config_check(&config, &errors);
    for (size_t i = 0; i < errors.n; i++)
        assert(strlen(errors.items[i].text) > 0);
    if (is_accepted)
        check_round_trip(&config);
    config_errors_deinit(&errors);
    config_deinit(&config);
    return 0;
}
