/* account_names: the accounts that there are, and their numbers in records: the configuration's, in
 * its order from 1 on, then those that changes name, in the order of the changes.
 *
 *     account_names_init(&names, &config);
 *     number = account_names_add(&names, "alice");     or that which she has
 *     number = account_names_find(&names, "alice");    0: nobody has this name
 *     text = account_names_of(&names, number);         "none" of 0
 *     account_names_deinit(&names);
 *
 * The same names in the same order get the same numbers, in every process; a number is never given
 * again. Not thread-safe. */
#ifndef WANMETER_COMMON_ACCOUNT_NAMES_H
#define WANMETER_COMMON_ACCOUNT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

enum { ACCOUNT_NUMBER_MAX = UINT16_MAX };

struct account_names {
    char **texts; /* by number - 1 */
    size_t n, room;
    uint32_t *places; /* open addressing, at most half full: numbers; 0: empty */
    size_t places_mask;
};

/* 0 or -ENOMEM. */
int account_names_init(struct account_names *names, const struct config *config);
void account_names_deinit(struct account_names *names); /* also of a zeroed one */

/* As the configuration has it: letters, digits, '.', '_' and '-', and not "none". */
bool account_name_is_valid(const char *text);

uint16_t account_names_find(const struct account_names *names, const char *text);

/* The number; -EINVAL: no valid name; -ENOSPC: all ACCOUNT_NUMBER_MAX numbers are given; -ENOMEM.
 */
int account_names_add(struct account_names *names, const char *text);

const char *account_names_of(const struct account_names *names, uint16_t number);

#endif
