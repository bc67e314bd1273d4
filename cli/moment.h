/* moment: points in time as people write them, and back. Everything is UTC unless it says more. */
#ifndef WANMETER_CLI_MOMENT_H
#define WANMETER_CLI_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { MOMENT_TEXT_SIZE = sizeof "2262-04-11T23:47:16.854775807Z" };

/* Reads an RFC 3339 time ("2026-01-31T12:00:00Z", "…+02:00", with a fraction or without seconds),
 * a day ("2026-01-31": its first moment), "@SECONDS", or nanoseconds since 1970 as JSON has them
 * (but not four digits, which are meant as a year). False: none of these, or outside of what 64
 * bits of nanoseconds hold. */
bool moment_parse(const char *text, int64_t *time_ns);

/* Writes the RFC 3339 form, with as many digits of the fraction (0, 3, 6 or 9) as it needs. */
void moment_format(int64_t time_ns, char text[MOMENT_TEXT_SIZE]);

/* Reads a length of time: a number and ms, s, min or h ("500ms", "5s"). False: none, or negative.
 */
bool moment_parse_duration(const char *text, int64_t *duration_ns);

#endif
