/* local_time: local days and months for SQL.
 *
 *     local_time_register(&database, &local_time, "Europe/Berlin");
 *     … "SELECT local_day_ns(slot_ns), local_day(slot_ns), local_month(slot_ns) FROM usage" …
 *
 * local_day_ns() is the moment at which the local day began, local_day() its date and
 * local_month() its month as text. */
#ifndef WANMETER_CLI_BILL_LOCAL_TIME_H
#define WANMETER_CLI_BILL_LOCAL_TIME_H

#include "cli/database.h"
#include "common/period.h"

/* The day that was looked up last: rows come in order of time. */
struct local_time {
    const char *zone;
    struct period_day day;
    int64_t begin_s;
    int64_t end_s; /* 0: none yet */
};

/* 'local_time' is kept while the database is open; 'zone' is a known one, kept, not copied. False:
 * the error was said. */
bool local_time_register(struct database *database, struct local_time *local_time,
                         const char *zone);

#endif
