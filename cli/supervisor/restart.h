/* restart: when a process that died is started again.
 *
 *     restart_begin(&restart, now_ns);          it was started
 *     restart_die(&restart, now_ns);            it died: due_ns is when to start it again
 *     restart_is_hopeless(&restart)             it died so often that it is no use
 *
 * The first time it is started again after 0.1 s, then after twice as long each time, up to 10 s.
 * After a minute of health it begins anew. Times are monotonic. */
#ifndef WANMETER_CLI_RESTART_H
#define WANMETER_CLI_RESTART_H

#include <stdbool.h>
#include <stdint.h>

/* Deaths without a minute of health between them: some 6 s of waiting. */
enum { RESTARTS_IN_A_ROW_MAX = 6 };

struct restart {
    int64_t begun_ns;
    int64_t due_ns;
    unsigned n_in_a_row; /* deaths without a minute of health between them */
    unsigned n;          /* all */
};

void restart_begin(struct restart *restart, int64_t now_ns);
void restart_die(struct restart *restart, int64_t now_ns);
bool restart_is_hopeless(const struct restart *restart);

#endif
