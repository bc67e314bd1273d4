/* log: one line an event on standard error, "tracker-0: error: what happened: why".
 *
 *     log_open("tracker-0");
 *     log_error("bind %s: %s", endpoint, strerror(errno));
 *
 * Never called for a packet. Not thread-safe. */
#ifndef WANMETER_COMMON_LOG_H
#define WANMETER_COMMON_LOG_H

/* Names the process in its lines; the text is kept, not copied. */
void log_open(const char *process_name);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
