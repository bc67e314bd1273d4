#include "exporter/set_aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

static const char infix[] = ".corrupt-";
static const char *const companions[] = {"-wal", "-shm"};

enum { COMPANIONS_N = sizeof companions / sizeof *companions };

bool set_aside_is_wanted(const struct config *config, bool is_live)
{
    const char *word = config->exporter.on_corrupt;
    return strcmp(word, "set_aside") == 0 || (is_live && strcmp(word, "auto") == 0);
}

static int move(const char *from, const char *from_suffix, const char *to, const char *to_suffix)
{
    char old[PATH_MAX], new[PATH_MAX];
    if (snprintf(old, sizeof old, "%s%s", from, from_suffix) >= (int)sizeof old ||
        snprintf(new, sizeof new, "%s%s", to, to_suffix) >= (int)sizeof new)
        return -ENAMETOOLONG;
    if (rename(old, new) == 0 || errno == ENOENT)
        return 0;
    int result = -errno;
    log_error("%s: cannot be renamed to %s: %s", old, new, strerror(-result));
    return result;
}

static int move_companions(const char *path, const char *aside)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < COMPANIONS_N; i++)
        result = move(path, companions[i], aside, companions[i]);
    return result;
}

int set_aside_database(const char *path)
{
    char aside[PATH_MAX];
    long long now = time(NULL);
    do /* in one second there may be two */
        snprintf(aside, sizeof aside, "%s%s%lld", path, infix, now++);
    while (access(aside, F_OK) == 0);
    int result = move(path, "", aside, "");
    if (result == 0)
        result = move_companions(path, aside);
    if (result == 0)
        log_error("%s: is set aside as %s; a new database begins, with a loss line that says so",
                  path, aside);
    return result;
}

/* ---- those that there are ---- */

struct directory {
    DIR *stream;
    char name[NAME_MAX + 1]; /* of the database */
    char path[PATH_MAX];     /* of the directory, with a slash; empty: the current one */
};

static int open_directory(const char *path, struct directory *directory)
{
    const char *slash = strrchr(path, '/');
    snprintf(directory->name, sizeof directory->name, "%s", slash ? slash + 1 : path);
    snprintf(directory->path, sizeof directory->path, "%.*s", slash ? (int)(slash - path + 1) : 0,
             path);
    directory->stream = opendir(slash ? directory->path : ".");
    if (directory->stream)
        return 0;
    int result = -errno;
    log_error("%s: %s", path, strerror(-result));
    return result;
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* The next database that was set aside; NULL: no more. */
static const char *next(struct directory *directory)
{
    size_t length = strlen(directory->name);
    const struct dirent *entry;
    while ((entry = readdir(directory->stream)) != NULL)
        if (strncmp(entry->d_name, directory->name, length) == 0 &&
            strncmp(entry->d_name + length, infix, sizeof infix - 1) == 0 &&
            is_number(entry->d_name + length + sizeof infix - 1))
            return entry->d_name;
    return NULL;
}

/* Numbers of seconds, as long as each other for some centuries. */
static int find_newest(const char *path, char newest[PATH_MAX])
{
    struct directory directory;
    int result = open_directory(path, &directory);
    if (result < 0)
        return result;
    char last[NAME_MAX + 1] = "";
    const char *name;
    while ((name = next(&directory)) != NULL)
        if (strcmp(name, last) > 0)
            snprintf(last, sizeof last, "%s", name);
    closedir(directory.stream);
    if (!last[0])
        return -ENOENT;
    return snprintf(newest, PATH_MAX, "%s%s", directory.path, last) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int set_aside_finish(const char *path)
{
    char wal[PATH_MAX], aside[PATH_MAX];
    snprintf(wal, sizeof wal, "%s%s", path, companions[0]);
    if (access(path, F_OK) == 0 || access(wal, F_OK) < 0)
        return 0;
    int result = find_newest(path, aside);
    if (result == -ENOENT) {
        log_error("%s: is not there, but %s is, which is part of it: bring it back, or remove %s",
                  path, wal, wal);
        return -EUCLEAN;
    }
    return result == 0 ? move_companions(path, aside) : result;
}

static int64_t wall_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int declare(struct store *store, const struct directory *directory, const char *name)
{
    char evidence[LOSS_EVIDENCE_MAX + 1];
    if (store_has_loss(store, "database_set_aside", name))
        return 0;
    snprintf(evidence, sizeof evidence, "what was counted before is in %.*s%s, which is damaged",
             (int)sizeof evidence - 100, directory->path, name);
    int result = store_begin(store);
    if (result == 0)
        result = store_declare_unknown(store, "database_set_aside", evidence, wall_time_ns());
    if (result == 0)
        result = store_commit(store);
    if (result < 0) {
        log_error("%s", store_error(store));
        store_rollback(store);
    }
    return result;
}

int set_aside_declare(struct store *store, const char *path)
{
    struct directory directory;
    int result = open_directory(path, &directory);
    if (result < 0)
        return result;
    const char *name;
    while (result == 0 && (name = next(&directory)) != NULL)
        result = declare(store, &directory, name);
    closedir(directory.stream);
    return result;
}
