/* decimal: amounts with up to six decimals as whole millionths: money and prices, never in floating
 * point. */
#ifndef WANMETER_COMMON_DECIMAL_H
#define WANMETER_COMMON_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    DECIMAL_PLACES = 6,
    DECIMAL_ONE = 1000000, /* millionths */
    DECIMAL_TEXT_SIZE = 32,
};

/* Reads "12", "0.09" or "1.000001": digits, and a point between digits. False: not that, more than
 * six decimals, or more than 64 bits hold. */
bool decimal_parse(const char *text, int64_t *millionths);

/* Writes at least 'places_min' (at most six) decimals, and as many more as there are to tell. */
void decimal_text(int64_t millionths, int places_min, char out[DECIMAL_TEXT_SIZE]);

#endif
