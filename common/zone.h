/* zone: local time in any place, by the place's IANA name, through the C library.
 *
 *     if (!zone_is_known("Europe/Berlin")) …                 zone_suggest() has a better name
 *     zone_local("Europe/Berlin", time_s, &local);           local.tm_gmtoff: its distance to UTC
 *
 * The C library knows one zone at a time, that of the environment's TZ: these functions set it, and
 * nothing else in the program depends on it. Where the zone database is not installed (package
 * tzdata) only "UTC" is known. Not thread-safe. */
#ifndef WANMETER_COMMON_ZONE_H
#define WANMETER_COMMON_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { ZONE_NAME_MAX = 63 };

/* Is it a zone of the database? Paths that lead out of it and zones that count leap seconds
 * ("right/…") are not. */
bool zone_is_known(const char *name);

/* The known name that is nearest to 'name', or "" if none is near. */
void zone_suggest(const char *name, char out[ZONE_NAME_MAX + 1]);

/* The calendar and the clock at 'time_s' (seconds since 1970-01-01 UTC). */
void zone_local(const char *zone, int64_t time_s, struct tm *local);

#endif
