/* process_status: what a process of the pipeline tells the supervisor by its exit status, and is
 * told by a signal.
 *
 * A process that dies otherwise (by a signal, with PROCESS_FAILED) is started again: what it had in
 * hand was not acknowledged, and is sent to its successor. */
#ifndef WANMETER_COMMON_PROCESS_STATUS_H
#define WANMETER_COMMON_PROCESS_STATUS_H

#include <signal.h>

enum process_status {
    PROCESS_DONE = 0,
    PROCESS_FAILED = 1,       /* while it ran; why has been logged */
    PROCESS_USAGE = 2,        /* its command line or configuration is wrong */
    PROCESS_CANNOT_START = 3, /* it never ran: a bad interface, no permission, no database */
    PROCESS_INPUT_FAILED = 4, /* its input failed; what was read of it is in the database */
};

/* All that sent to this process have ended well, and none comes any more. */
enum { PROCESS_IS_LAST = SIGUSR1 };

#endif
