/* pppoe_sessions: which PPPoE sessions are open, as their discovery said.
 *
 *     pppoe_sessions_create(&sessions);
 *     pppoe_sessions_open(sessions, concentrator, id);      a PADS came
 *     pppoe_sessions_close(sessions, concentrator, id);     a PADT came
 *     if (pppoe_sessions_has(sessions, concentrator, id)) …
 *     pppoe_sessions_destroy(sessions);
 *
 * A session is its concentrator's MAC (48 bits) and its id. Holds SESSIONS_MAX at a time; one more
 * is not learned. Source: RFC 2516, section 5. Not thread-safe. */
#ifndef WANMETER_CAPTURE_PPPOE_SESSIONS_H
#define WANMETER_CAPTURE_PPPOE_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

struct pppoe_sessions;

enum { PPPOE_SESSIONS_MAX = 1 << 16 };

/* 0 or -ENOMEM. */
int pppoe_sessions_create(struct pppoe_sessions **out);
void pppoe_sessions_destroy(struct pppoe_sessions *sessions); /* accepts NULL */

void pppoe_sessions_open(struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id);
void pppoe_sessions_close(struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id);
bool pppoe_sessions_has(const struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id);

#endif
