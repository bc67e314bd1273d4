/* account_change: what a change does to accounts: its words, read.
 *
 *     if (account_change_is(&change) && account_change_read(&change, &read, error)) …
 *     name = account_change_name(&change);     whose number it makes known; NULL: nobody's
 *
 *     account add NAME PREFIX…       refused where one of them is another account's
 *     account move NAME PREFIX…      away from who has them
 *     account remove NAME [PREFIX…]  those, or all that NAME has
 *
 * A PREFIX is an address or ADDRESS/LENGTH of IPv4 or IPv6. */
#ifndef WANMETER_PROTO_ACCOUNT_CHANGE_H
#define WANMETER_PROTO_ACCOUNT_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "proto/change.h"

enum account_verb { ACCOUNT_ADD, ACCOUNT_MOVE, ACCOUNT_REMOVE };

struct account_change {
    enum account_verb verb;
    const char *name; /* the change's */
    struct config_prefix prefixes[CHANGE_WORDS_MAX];
    size_t n_prefixes;
};

/* Is it one of these? */
bool account_change_is(const struct change *change);

/* False: 'error' says what is wrong with the words. */
bool account_change_read(const struct change *change, struct account_change *read,
                         char error[CHANGE_ANSWER_MAX + 1]);

/* The name that has a number once the change was done. */
const char *account_change_name(const struct change *change);

#endif
