/* config_place: where a file says it, and the plain lists, which the parts of struct config share.
 */
#ifndef WANMETER_COMMON_CONFIG_PLACE_H
#define WANMETER_COMMON_CONFIG_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* Both from 1. Line 0: not from a file. */
struct config_place {
    uint32_t line;
    uint32_t column; /* in characters */
};

struct config_text_list {
    char **items;
    size_t n;
};

#endif
