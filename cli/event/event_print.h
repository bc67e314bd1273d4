/* event_print: one event, one line. */
#ifndef WANMETER_CLI_EVENT_PRINT_H
#define WANMETER_CLI_EVENT_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "proto/event.pb-c.h"

/* For people: time, kind, and what it is about. */
void event_print_table(const Wanmeter__Event__Event *event, FILE *out);

/* The message as one JSON object: {"schema": 1, "topic": …, "seq": …, "connection": {…}}. Field
 * names are those of the .proto; bytes are hexadecimal digits, unknown amounts null. */
void event_print_json(const Wanmeter__Event__Event *event, FILE *out);

/* A connection alone, as in the message. The caller's. */
json_t *event_connection_json(const Wanmeter__Event__Connection *connection);

#endif
