#include "cli/bill/local_time.h"

#include <stdio.h>

static const int64_t SECOND_NS = 1000000000;

enum { DATE_SIZE = 40 };

static void find_day(struct local_time *local_time, int64_t time_ns)
{
    int64_t time_s = time_ns / SECOND_NS;
    if (time_s >= local_time->begin_s && time_s < local_time->end_s)
        return;
    local_time->day = period_day_at(local_time->zone, time_s);
    local_time->begin_s = period_day_begin(local_time->zone, local_time->day);
    local_time->end_s = period_day_begin(local_time->zone, period_day_next(local_time->day));
}

static struct local_time *day_of(sqlite3_context *context, sqlite3_value **values)
{
    struct local_time *local_time = sqlite3_user_data(context);
    find_day(local_time, sqlite3_value_int64(values[0]));
    return local_time;
}

static void on_day_ns(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n; /* 1 */
    sqlite3_result_int64(context, day_of(context, values)->begin_s * SECOND_NS);
}

static void on_day(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    char text[DATE_SIZE];
    struct period_day day = day_of(context, values)->day;
    snprintf(text, sizeof text, "%04d-%02d-%02d", day.year, day.month, day.day);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

static void on_month(sqlite3_context *context, int n, sqlite3_value **values)
{
    (void)n;
    char text[DATE_SIZE];
    struct period_day day = day_of(context, values)->day;
    snprintf(text, sizeof text, "%04d-%02d", day.year, day.month);
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

bool local_time_register(struct database *database, struct local_time *local_time, const char *zone)
{
    static const struct {
        const char *name;
        void (*call)(sqlite3_context *context, int n, sqlite3_value **values);
    } functions[] = {{"local_day_ns", on_day_ns}, {"local_day", on_day}, {"local_month", on_month}};
    *local_time = (struct local_time){.zone = zone};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (sqlite3_create_function(database->handle, functions[i].name, 1,
                                    SQLITE_UTF8 | SQLITE_DETERMINISTIC, local_time,
                                    functions[i].call, NULL, NULL) != SQLITE_OK) {
            database_note_error(database);
            return false;
        }
    return true;
}
