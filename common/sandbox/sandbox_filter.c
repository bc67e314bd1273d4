#include "common/sandbox/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAMES_MAX = 512, NAME_MAX_ = 31 };

/* What every role needs: memory, the loop, its sockets, its threads, its end. */
static const int common_calls[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(fcntl),
    SCMP_SYS(dup), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2),
    /* sockets that are there, and what comes by them */
    SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(connect), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(shutdown),
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(msync),
    SCMP_SYS(mlock), SCMP_SYS(munlock),
    /* threads that are there, locks, time, chance */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_setscheduler), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(restart_syscall),
    /* signals, the end */
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* the run directory's sockets */
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2)};

/* Files that change: a page or a batch set aside in the run directory, the database. */
static const int file_calls[] = {SCMP_SYS(ftruncate), SCMP_SYS(fsync),      SCMP_SYS(fdatasync),
                                 SCMP_SYS(fallocate), SCMP_SYS(getdents64), SCMP_SYS(rename),
                                 SCMP_SYS(renameat),  SCMP_SYS(renameat2)};

static const int exporter_calls[] = {
    SCMP_SYS(flock),     SCMP_SYS(fchmod), SCMP_SYS(fchown),  SCMP_SYS(getcwd),
    SCMP_SYS(readlink),  SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(sync_file_range),
    SCMP_SYS(utimensat), SCMP_SYS(link)};

static const int open_calls[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(creat)};

static int allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return result;
}

#define ALLOW(filter, calls) allow(filter, calls, sizeof(calls) / sizeof *(calls))

static int allow_one(scmp_filter_ctx filter, int call, struct scmp_arg_cmp comparison)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, comparison);
}

static int allow_memory(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    int result = allow_one(filter, SCMP_SYS(mmap), no_code);
    return result ? result : allow_one(filter, SCMP_SYS(mprotect), no_code);
}

static int allow_sockets(scmp_filter_ctx filter, bool has_tcp)
{
    int result = allow_one(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    if (result == 0 && has_tcp)
        result = allow_one(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
    if (result == 0 && has_tcp)
        result = allow_one(filter, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
    return result;
}

/* Terminals and queues; of an interface only whether it is still up. */
static int allow_ioctls(scmp_filter_ctx filter, enum sandbox_role role)
{
    static const unsigned long requests[] = {TCGETS, FIONREAD, FIONBIO, SIOCGIFFLAGS};
    size_t n = sizeof requests / sizeof *requests - (role == SANDBOX_CAPTURE ? 0 : 1);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        result = allow_one(filter, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, requests[i]));
    return result;
}

/* To ourselves only; and the handler of SIGSYS stays. */
static int allow_signals(scmp_filter_ctx filter)
{
    scmp_datum_t pid = (scmp_datum_t)getpid();
    int result = allow_one(filter, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, pid));
    if (result == 0)
        result = allow_one(filter, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_EQ, pid));
    if (result == 0)
        result = allow_one(filter, SCMP_SYS(rt_sigaction), SCMP_A0(SCMP_CMP_NE, SIGSYS));
    if (result == 0) /* a thread that has just begun */
        result = allow_one(filter, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    return result;
}

static int allow_files(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    int result = ALLOW(filter, file_calls);
    if (result == 0 && sandbox->role == SANDBOX_EXPORTER)
        result = ALLOW(filter, exporter_calls);
    bool may_open = sandbox->landlock_version > 0 || sandbox->role == SANDBOX_EXPORTER;
    for (size_t i = 0; i < sizeof open_calls / sizeof *open_calls && result == 0; i++)
        result = seccomp_rule_add(filter, may_open ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES),
                                  open_calls[i], 0);
    return result;
}

/* ---- a call that is not allowed ---- */

/* Looked up before: the handler may not. */
static char call_names[NAMES_MAX][NAME_MAX_ + 1];

static void name_calls(void)
{
    for (int i = 0; i < NAMES_MAX; i++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
        snprintf(call_names[i], sizeof call_names[i], "%s", name ? name : "unknown");
        free(name);
    }
}

static size_t add_text(char *line, size_t length, const char *text)
{
    return (size_t)(stpcpy(line + length, text) - line);
}

/* The signal has its default action again (SA_RESETHAND) and is not blocked (SA_NODEFER). */
static void on_violation(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    char line[128], digits[12];
    size_t length = add_text(line, 0, "sandbox: error: ended for a system call: ");
    int call = info->si_syscall;
    length = add_text(line, length, call >= 0 && call < NAMES_MAX ? call_names[call] : "unknown");
    length = add_text(line, length, " (");
    size_t at = sizeof digits;
    digits[--at] = '\0';
    for (unsigned value = (unsigned)call; value || !digits[at]; value /= 10)
        digits[--at] = (char)('0' + value % 10);
    length = add_text(line, length, digits + at);
    length = add_text(line, length, ")\n");
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    raise(signal_number);
}

static int watch_violations(void)
{
    name_calls();
    struct sigaction action = {.sa_sigaction = on_violation,
                               .sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER)};
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

/* ---- the filter ---- */

static int fill(scmp_filter_ctx filter, const struct sandbox *sandbox)
{
    int result = ALLOW(filter, common_calls);
    if (result == 0)
        result = allow_memory(filter);
    if (result == 0)
        result = allow_sockets(filter, sandbox->has_tcp);
    if (result == 0)
        result = allow_ioctls(filter, sandbox->role);
    if (result == 0)
        result = allow_signals(filter);
    return result ? result : allow_files(filter, sandbox);
}

int sandbox_filter_apply(const struct sandbox *sandbox)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (!filter)
        return -ENOMEM;
    int result = watch_violations();
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (result == 0) /* a tree: some ten comparisons a call, not some ninety */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result == 0)
        result = fill(filter, sandbox);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return result;
}
