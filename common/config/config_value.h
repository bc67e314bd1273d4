/* config_value: one value as text, read and written.
 *
 *     if (!config_value_read(option, "64MiB", &config, &complaint)) …
 *     config_value_write(option, &config, out);
 *
 * What is written is canonical: read again it gives the same value, and equal values give equal
 * texts. Reading changes nothing where it complains. */
#ifndef WANMETER_COMMON_CONFIG_VALUE_H
#define WANMETER_COMMON_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/config.h"
#include "common/config/config_table.h"

enum { CONFIG_TEXT_MAX = 4095 };

/* What is wrong with a value; empty texts: nothing to say. */
struct config_complaint {
    const char *what;
    char expected[160];
    char suggestion[80];
};

/* Reads a value that is no list. */
bool config_value_read(const struct config_option *option, const char *text, void *object,
                       struct config_complaint *complaint);

/* Adds an item to a list (not of maps), after config_list_reset(). */
bool config_value_read_item(const struct config_option *option, const char *text,
                            struct config_place place, void *object,
                            struct config_complaint *complaint);

/* Writes any value but a list of maps, as YAML in flow style. */
void config_value_write(const struct config_option *option, const void *object, FILE *out);

/* "auto, up, down" from "auto up down". */
void config_words_text(const char *words, char *out, size_t size);

/* An address, or ADDRESS/LENGTH without host bits. */
bool config_prefix_read(const char *text, struct config_prefix *prefix,
                        struct config_complaint *complaint);

/* "10.0.0.0/8" in 'out'. */
enum { CONFIG_PREFIX_TEXT_SIZE = 50 };
void config_prefix_text(const struct config_prefix *prefix, char out[CONFIG_PREFIX_TEXT_SIZE]);
enum { CONFIG_MAC_TEXT_SIZE = 18 };
void config_mac_text(const struct config_mac *mac, char out[CONFIG_MAC_TEXT_SIZE]);

/* ---- config_number.c ---- */

/* Reads an integer, size or duration within the option's range. */
bool config_number_read(const struct config_option *option, const char *text, int64_t *value,
                        struct config_complaint *complaint);

/* "20ms", "64MiB", "3": with the largest unit that leaves a whole number. */
enum { CONFIG_NUMBER_TEXT_SIZE = 32 };
void config_number_text(enum config_type type, int64_t value, char out[CONFIG_NUMBER_TEXT_SIZE]);

/* ---- config_suggest.c ---- */

/* Keeps the nearest of the words it is shown. */
struct config_suggestion {
    const char *wanted;
    size_t distance;
    char word[80];
};

void config_suggestion_init(struct config_suggestion *suggestion, const char *wanted);
void config_suggestion_offer(struct config_suggestion *suggestion, const char *word, size_t length);

#endif
