/* config_case: what the tests of the configuration share: texts, what they are answered with. */
#ifndef WANMETER_TESTS_UNIT_CONFIG_CASE_H
#define WANMETER_TESTS_UNIT_CONFIG_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "common/config/config_object.h"
#include "common/config/config_table.h"
#include "common/config/config_value.h"

static inline void read_into(struct config *config, const char *yaml, struct config_errors *errors)
{
    free(config->path);
    config->path = strdup("f");
    config_read(config, "f", yaml, strlen(yaml), errors);
    config_check(config, errors);
}

static inline void print_unexpected(const struct config_errors *errors, const char *yaml)
{
    fprintf(stderr, "of:\n%s\n", yaml);
    config_errors_print(errors, stderr);
}

/* The text gives these errors, line by line, and no others ("": none). */
static inline void assert_errors(const char *yaml, const char *expected)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    read_into(&config, yaml, &errors);

    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    config_errors_print(&errors, out);
    fclose(out);
    if (strcmp(text, expected) != 0)
        print_unexpected(&errors, yaml);
    assert_string_equal(text, expected);
    free(text);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

static inline void assert_set_error(const char *assignment, const char *expected)
{
    struct config config;
    struct config_errors errors = {0};
    config_init(&config);
    config_set(&config, assignment, &errors);
    assert_int_equal(errors.n, *expected ? 1 : 0);
    if (*expected)
        assert_string_equal(errors.items[0].text, expected);
    config_errors_deinit(&errors);
    config_deinit(&config);
}

/* A configuration that 'yaml' gives without a complaint; the caller deinits it. */
static inline void init_from(struct config *config, const char *yaml)
{
    struct config_errors errors = {0};
    config_init(config);
    read_into(config, yaml, &errors);
    if (errors.n > 0)
        print_unexpected(&errors, yaml);
    assert_int_equal(errors.n, 0);
}

static inline char *text_of(const char *yaml)
{
    struct config config;
    init_from(&config, yaml);
    char *text = config_text(&config, false);
    config_deinit(&config);
    return text;
}

static inline void assert_same_text(const char *left, const char *right)
{
    char *left_text = text_of(left), *right_text = text_of(right);
    assert_string_equal(left_text, right_text);
    free(left_text);
    free(right_text);
}

static inline void hash_of(const char *yaml, uint8_t hash[CONFIG_SHA256_SIZE])
{
    struct config config;
    init_from(&config, yaml);
    config_hash(&config, hash);
    config_deinit(&config);
}

static inline bool has_same_hash(const char *left, const char *right)
{
    uint8_t left_hash[CONFIG_SHA256_SIZE], right_hash[CONFIG_SHA256_SIZE];
    hash_of(left, left_hash);
    hash_of(right, right_hash);
    return memcmp(left_hash, right_hash, CONFIG_SHA256_SIZE) == 0;
}

#endif
