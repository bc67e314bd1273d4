#include "cli/supervisor/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

enum { PATH_SIZE = RUN_DIRECTORY_PATH_MAX + 32 };

static const char *const states[] = {
    [MEMBER_ENDED] = "ended",
    [MEMBER_WAITING] = "waiting",
    [MEMBER_RUNNING] = "running",
};

static void path_of(const struct run_directory *directory, const char *suffix, char path[PATH_SIZE])
{
    bool has_role = directory->role != NULL;
    snprintf(path, PATH_SIZE, "%s/processes%s%s%s", directory->path, has_role ? "-" : "",
             has_role ? directory->role : "", suffix);
}

/* The directory is not ours: what somebody put there is not written through. */
static FILE *create(const char *path)
{
    unlink(path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (file == NULL && descriptor >= 0)
        close(descriptor);
    return file;
}

void roster_write(const struct run_directory *directory, const struct crew *crew)
{
    char path[PATH_SIZE], new_path[PATH_SIZE];
    path_of(directory, "", path);
    path_of(directory, ".new", new_path);
    FILE *file = create(new_path);
    for (size_t i = 0; file != NULL && i < crew->n; i++) {
        const struct crew_member *member = &crew->members[i];
        fprintf(file, "%s %d %s %u\n", member->process.name, (int)member->process.pid,
                states[member->state], member->restart.n);
    }
    if (file == NULL || fclose(file) != 0 || rename(new_path, path) != 0)
        log_warning("%s: %s", path, strerror(errno));
}

void roster_remove(const struct run_directory *directory)
{
    char path[PATH_SIZE];
    path_of(directory, ".new", path);
    unlink(path);
    path_of(directory, "", path);
    unlink(path);
}
