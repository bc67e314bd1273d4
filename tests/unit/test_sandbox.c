/* The forbidden things, tried from inside: by a process that has entered the sandbox of each role,
 * as root starts it, or where this test is no root, as it is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_WITH_SANITIZER() skip()
#else
#define SKIP_WITH_SANITIZER() (void)0
#endif

enum { CANNOT_START = 100, SAID_MAX = 256, NOBODY = 65534 };

static char top[] = "/tmp/wanmeter-test-sandbox-XXXXXX";
static char run_directory[64], data_directory[64], elsewhere[64];

static const char *const role_names[SANDBOX_ROLES] = {"capture", "tracker", "exporter"};

static int make_directories(void **state)
{
    (void)state;
    if (!mkdtemp(top) || chmod(top, 0755) < 0)
        return -1;
    snprintf(run_directory, sizeof run_directory, "%s/run", top);
    snprintf(data_directory, sizeof data_directory, "%s/data", top);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", top);
    if (mkdir(run_directory, 0750) < 0 || mkdir(data_directory, 0755) < 0 ||
        mkdir(elsewhere, 0777) < 0 || chmod(elsewhere, 0777) < 0)
        return -1;
    return geteuid() == 0 ? chown(run_directory, NOBODY, NOBODY) : 0;
}

static int remove_directories(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", top);
    return system(command);
}

/* ---- a process in the sandbox ---- */

typedef int (*attempt_fn)(void); /* 0, or errno */

/* A worker thread as ZeroMQ's: there before the filter. */
static void *wait_for_ever(void *state)
{
    poll(NULL, 0, -1);
    return state;
}

static void enter(enum sandbox_role role, const char *mode, struct sandbox *sandbox)
{
    struct arguments arguments = {.run_directory = run_directory, .n_shards = 1};
    struct config_errors errors = {0};
    char assignment[128];
    config_init(&arguments.config);
    snprintf(assignment, sizeof assignment, "database=%s/wanmeter.db", data_directory);
    config_set(&arguments.config, assignment, &errors);
    config_set(&arguments.config, "security.user=nobody", &errors);
    snprintf(assignment, sizeof assignment, "security.sandbox=%s", mode);
    config_set(&arguments.config, assignment, &errors);
    pthread_t thread;
    if (errors.n || arguments_enter_run_directory(&arguments) < 0 ||
        sandbox_enter(role, &arguments, sandbox) < 0 ||
        pthread_create(&thread, NULL, wait_for_ever, NULL) != 0 || sandbox_filter(sandbox) < 0)
        _exit(CANNOT_START);
}

struct outcome {
    int status; /* of waitpid() */
    char said[SAID_MAX];
};

static struct outcome try_in(enum sandbox_role role, attempt_fn attempt)
{
    struct outcome outcome = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox sandbox;
        dup2(ends[1], STDERR_FILENO);
        enter(role, "strict", &sandbox);
        _exit(attempt());
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], outcome.said + length, SAID_MAX - 1 - length)) > 0)
        length += (size_t)n;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &outcome.status, 0), pid);
    return outcome;
}

/* ---- what is tried ---- */

static int open_at(const char *path, int flags)
{
    int descriptor = open(path, flags, 0600);
    return descriptor < 0 ? errno : 0;
}

static int read_shadow(void)
{
    return open_at("/etc/shadow", O_RDONLY);
}

static int read_passwd(void)
{
    return open_at("/etc/passwd", O_RDONLY);
}

static int write_elsewhere(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/file", elsewhere);
    return open_at(path, O_WRONLY | O_CREAT);
}

static int write_run_directory(void)
{
    return open_at("file", O_RDWR | O_CREAT);
}

static int write_database(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/wanmeter.db", data_directory);
    return open_at(path, O_RDWR | O_CREAT);
}

static int internet_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int packet_socket(void)
{
    return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int execute(void)
{
    char *const words[] = {"/bin/true", NULL};
    execv(words[0], words);
    return errno;
}

static int trace(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int multiply(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : 0;
}

static int become_root(void)
{
    return setuid(0) < 0 ? errno : 0;
}

static int make_code(void)
{
    void *at = mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}

static int mount_something(void)
{
    return mount("none", elsewhere, "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int signal_parent(void)
{
    return kill(getppid(), SIGTERM) < 0 ? errno : 0;
}

static int ignore_violations(void)
{
    return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : 0;
}

/* ---- the tests ---- */

static void test_what_no_role_needs_ends_the_process_and_is_named(void **state)
{
    (void)state;
    SKIP_WITH_SANITIZER();
    static const struct {
        attempt_fn attempt;
        const char *said;
    } attempts[] = {
        {internet_socket, "socket (41)"}, {packet_socket, "socket (41)"},
        {execute, "execve (59)"},         {trace, "ptrace (101)"},
        {multiply, "clone (56)"},         {become_root, "setuid (105)"},
        {make_code, "mmap (9)"},          {mount_something, "mount (165)"},
        {signal_parent, "kill (62)"},     {ignore_violations, "rt_sigaction (13)"},
    };
    for (enum sandbox_role role = 0; role < SANDBOX_ROLES; role++)
        for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
            struct outcome outcome = try_in(role, attempts[i].attempt);
            if (!WIFSIGNALED(outcome.status) || WTERMSIG(outcome.status) != SIGSYS ||
                !strstr(outcome.said, attempts[i].said))
                fail_msg("%s, %s: status %x, said: %s", role_names[role], attempts[i].said,
                         (unsigned)outcome.status, outcome.said);
        }
}

static void assert_opens(enum sandbox_role role, attempt_fn attempt, int expected)
{
    struct outcome outcome = try_in(role, attempt);
    if (!WIFEXITED(outcome.status) || WEXITSTATUS(outcome.status) != expected)
        fail_msg("%s: status %x, expected exit code %d, said: %s", role_names[role],
                 (unsigned)outcome.status, expected, outcome.said);
}

static void test_files_are_those_of_the_run_and_the_exporters_database(void **state)
{
    (void)state;
    SKIP_WITH_SANITIZER();
    for (enum sandbox_role role = 0; role < SANDBOX_ROLES; role++) {
        assert_opens(role, read_shadow, EACCES);
        assert_opens(role, read_passwd, EACCES);
        assert_opens(role, write_elsewhere, EACCES);
        assert_opens(role, write_database, role == SANDBOX_EXPORTER ? 0 : EACCES);
        assert_opens(role, unix_socket, 0);
    }
    assert_opens(SANDBOX_CAPTURE, write_run_directory, 0);
    assert_opens(SANDBOX_TRACKER, write_run_directory, 0);
}

/* A line of /proc/PID/task/TID/status; its value after blanks. */
static void read_value(const char *status, const char *name, char value[64])
{
    const char *line = strstr(status, name);
    assert_non_null(line);
    sscanf(line + strlen(name), "%63s", value);
}

static void check_thread(pid_t pid, const char *thread, char uid[64])
{
    char path[96], text[4096], value[64];
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/status", pid, thread);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    read_value(text, "\nSeccomp:", value);
    assert_string_equal(value, "2");
    read_value(text, "\nNoNewPrivs:", value);
    assert_string_equal(value, "1");
    read_value(text, "\nCapEff:", value);
    assert_string_equal(value, "0000000000000000");
    read_value(text, "\nCapPrm:", value);
    assert_string_equal(value, "0000000000000000");
    read_value(text, "\nUid:", uid);
}

static size_t check_threads(pid_t pid, char uid[64])
{
    char path[64];
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    assert_non_null(threads);
    for (struct dirent *entry = readdir(threads); entry; entry = readdir(threads)) {
        if (entry->d_name[0] == '.')
            continue;
        check_thread(pid, entry->d_name, uid);
        n++;
    }
    closedir(threads);
    return n;
}

static void test_every_thread_has_no_capability_a_filter_and_the_user(void **state)
{
    (void)state;
    SKIP_WITH_SANITIZER();
    for (enum sandbox_role role = 0; role < SANDBOX_ROLES; role++) {
        int ends[2];
        char uid[64] = "", byte;
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct sandbox sandbox;
            enter(role, "strict", &sandbox);
            assert_int_equal(write(ends[1], "x", 1), 1);
            poll(NULL, 0, -1);
        }
        close(ends[1]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        size_t n_threads = check_threads(pid, uid);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(ends[0]);
        assert_int_equal(n_threads, 2);
        if (geteuid() == 0) /* the database's directory is root's */
            assert_string_equal(uid, role == SANDBOX_EXPORTER ? "0" : "65534");
    }
}

static int report_off(void)
{
    struct sandbox sandbox;
    enter(SANDBOX_TRACKER, "off", &sandbox);
    return sandbox.is_filtered || sandbox.landlock_version || sandbox.is_without_new_privileges ||
           read_passwd() != 0;
}

static void test_off_is_off(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(report_off());
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_no_role_needs_ends_the_process_and_is_named),
        cmocka_unit_test(test_files_are_those_of_the_run_and_the_exporters_database),
        cmocka_unit_test(test_every_thread_has_no_capability_a_filter_and_the_user),
        cmocka_unit_test(test_off_is_off),
    };
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
