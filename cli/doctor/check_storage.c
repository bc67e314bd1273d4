/* Where the bill is kept: may it be written, is there room, does it last? */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"

enum {
    MIB = 1024 * 1024,
    FREE_ENOUGH_MIB = 1024,
    FREE_LEAST_MIB = 64,
};

/* The caller frees it. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    assert(directory != NULL);
    return directory;
}

static void tell_refusal(struct finding *finding, const char *path, int error)
{
    const struct passwd *user = getpwuid(geteuid());
    finding_tell(finding, FINDING_WRONG, "%s: %s", path, strerror(error));
    if (error == ENOENT)
        finding_mend(finding, "mkdir -p %s", path);
    else if (error == EACCES && user != NULL)
        finding_mend(finding, "chown %s %s", user->pw_name, path);
    else if (error == EROFS)
        finding_mend(finding, "mount -o remount,rw \"$(findmnt -n -o TARGET -T %s)\"", path);
}

/* The log and the shared memory of a database are made beside it. */
static void check_database(struct doctor *doctor, const char *path, const char *directory)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_DATABASE, path);
    struct stat state;
    bool is_there = stat(path, &state) == 0;
    if (access(directory, W_OK | X_OK) != 0)
        tell_refusal(finding, directory, errno);
    else if (is_there && !S_ISREG(state.st_mode))
        finding_tell(finding, FINDING_WRONG, "not a file");
    else if (is_there && access(path, R_OK | W_OK) != 0)
        tell_refusal(finding, path, errno);
    else
        finding_tell(finding, FINDING_OK, is_there ? "can be written" : "can be made");
}

static void check_run_directory(struct doctor *doctor, const char *path)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_RUN_DIRECTORY, path);
    char *parent = directory_of(path);
    if (access(path, W_OK | X_OK) == 0)
        finding_tell(finding, FINDING_OK, "can be written");
    else if (errno != ENOENT)
        tell_refusal(finding, path, errno);
    else if (access(parent, W_OK | X_OK) == 0)
        finding_tell(finding, FINDING_OK, "can be made");
    else
        tell_refusal(finding, parent, errno);
    free(parent);
}

static void check_disk(struct doctor *doctor, const char *directory)
{
    struct finding *finding = finding_add(&doctor->findings, FINDING_DISK, directory);
    struct statvfs state;
    if (statvfs(directory, &state) != 0) {
        finding_tell(finding, FINDING_UNKNOWN, "%s", strerror(errno));
        return;
    }
    uint64_t free_mib = (uint64_t)state.f_bavail * state.f_frsize / MIB;
    enum finding_verdict verdict = free_mib >= FREE_ENOUGH_MIB  ? FINDING_OK
                                   : free_mib >= FREE_LEAST_MIB ? FINDING_RISK
                                                                : FINDING_WRONG;
    if (state.f_files > 0 && state.f_favail == 0)
        finding_tell(finding, FINDING_WRONG, "no inode is free");
    else
        finding_tell(finding, verdict, "%" PRIu64 " MiB are free", free_mib);
}

/* SQLite's write-ahead log needs memory that all processes share: no network gives that. */
static void check_file_system(struct doctor *doctor, const char *directory)
{
    static const struct {
        uint32_t magic;
        const char *name;
        enum finding_verdict verdict;
    } doubtful[] = {
        {TMPFS_MAGIC, "tmpfs: gone at the next start", FINDING_RISK},
        {RAMFS_MAGIC, "ramfs: gone at the next start", FINDING_RISK},
        {OVERLAYFS_SUPER_MAGIC, "overlay: a container's own, gone with it", FINDING_RISK},
        {NFS_SUPER_MAGIC, "nfs", FINDING_WRONG},
        {SMB_SUPER_MAGIC, "smb", FINDING_WRONG},
        {CIFS_SUPER_MAGIC, "cifs", FINDING_WRONG},
        {SMB2_SUPER_MAGIC, "smb2", FINDING_WRONG},
        {CEPH_SUPER_MAGIC, "ceph", FINDING_WRONG},
    };
    struct finding *finding = finding_add(&doctor->findings, FINDING_FILE_SYSTEM, directory);
    struct statfs state;
    if (statfs(directory, &state) != 0) {
        finding_tell(finding, FINDING_UNKNOWN, "%s", strerror(errno));
        return;
    }
    finding_tell(finding, FINDING_OK, "of this machine, and lasting");
    for (size_t i = 0; i < sizeof doubtful / sizeof *doubtful; i++) {
        if ((uint32_t)state.f_type != doubtful[i].magic)
            continue;
        finding_tell(finding, doubtful[i].verdict, "%s", doubtful[i].name);
        finding_mend(finding, "database: a path on a local disk");
    }
}

void doctor_check_storage(struct doctor *doctor)
{
    const struct config *config = doctor->config;
    char *directory = directory_of(config->database);
    check_database(doctor, config->database, directory);
    check_disk(doctor, directory);
    check_file_system(doctor, directory);
    if (config->run_directory != NULL && config->run_directory[0] != '\0')
        check_run_directory(doctor, config->run_directory);
    free(directory);
}
