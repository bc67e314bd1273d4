/* config_errors: putting one error into the list. */
#ifndef WANMETER_COMMON_CONFIG_ERRORS_H
#define WANMETER_COMMON_CONFIG_ERRORS_H

#include "common/config.h"
#include "common/config/config_value.h"

/* "PLACE: SUBJECT: WHAT (got 'GOT', expected EXPECTED; did you mean SUGGESTION?)". All texts are
 * copied; NULL or "": left out, but for 'what'. GOT comes from outside: it is cut and escaped. */
struct config_report {
    const char *place;
    const char *subject;
    const char *what;
    const char *got;
    const char *expected;
    const char *suggestion;
};

void config_errors_add(struct config_errors *errors, const struct config_report *report);

/* A value's complaint. */
void config_errors_add_complaint(struct config_errors *errors, const char *place,
                                 const char *subject, const char *got,
                                 const struct config_complaint *complaint);

/* "FILE:LINE:COL", or "FILE" at line 0, or "configuration" without a file. */
enum { CONFIG_PLACE_TEXT_SIZE = 4096 + 32 };
void config_place_text(const char *file, struct config_place place,
                       char out[CONFIG_PLACE_TEXT_SIZE]);

#endif
