#include "cli/supervisor/remains.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/supervisor/joint.h"
#include "cli/supervisor/run_directory.h"
#include "cli/supervisor/shared.h"
#include "common/log.h"

enum { PATH_SIZE = RUN_DIRECTORY_PATH_MAX + 24, COPY_SIZE = 65536 };

static const char RING_PREFIX[] = "ring-";
static const char CONFIG_NAME[] = "run.yaml";
static const char RUN_NAME[] = "run";
static const char CHANGES_NAME[] = "run.changes";
static const char RUN_FORMAT[] = "started %" SCNd64 "\nworkers %zu\nlive %d\ndirectory %4095[^\n]";

static void path_of(const char *run_directory, const char *name, char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", run_directory, name);
}

static size_t each_ring(const char *run_directory, bool is_removed)
{
    size_t n = 0;
    DIR *entries = opendir(run_directory);
    if (entries == NULL)
        return 0;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strncmp(entry->d_name, RING_PREFIX, strlen(RING_PREFIX)) != 0)
            continue;
        n++;
        if (is_removed)
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
    return n;
}

/* ---- for the next run ---- */

/* From where 'from' is, to the end. */
static int copy(int from, int to)
{
    static char bytes[COPY_SIZE];
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        for (ssize_t done = 0; done < n;) {
            ssize_t written = write(to, bytes + done, (size_t)(n - done));
            if (written < 0)
                return -errno;
            done += written;
        }
    return n < 0 ? -errno : 0;
}

/* A new file, which others see when it is whole. */
static int create(const char *run_directory, const char *name, char path[PATH_SIZE])
{
    char new_name[32];
    snprintf(new_name, sizeof new_name, "%s.new", name);
    path_of(run_directory, new_name, path);
    unlink(path);
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int finish(const char *run_directory, const char *name, const char *new_path, int error)
{
    char path[PATH_SIZE];
    path_of(run_directory, name, path);
    if (error == 0 && rename(new_path, path) != 0)
        error = errno;
    if (error == 0)
        return 0;
    log_error("%s: %s", path, strerror(error));
    unlink(new_path);
    return -error;
}

static int write_text(const char *run_directory, const char *name, const char *text)
{
    char path[PATH_SIZE];
    int descriptor = create(run_directory, name, path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    bool is_written = file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
    return finish(run_directory, name, path, is_written ? 0 : errno);
}

static int write_changes(const char *run_directory, int changes)
{
    char path[PATH_SIZE];
    int descriptor = create(run_directory, CHANGES_NAME, path);
    int error = descriptor < 0 ? errno : 0;
    if (error == 0 && lseek(changes, 0, SEEK_SET) == 0)
        error = -copy(changes, descriptor);
    if (descriptor >= 0 && close(descriptor) != 0)
        error = errno;
    return finish(run_directory, CHANGES_NAME, path, error);
}

int remains_prepare(const char *run_directory, const struct supervisor_plan *plan, size_t n_workers,
                    int64_t started_ns)
{
    char here[PATH_MAX];
    char run[PATH_MAX + 128];
    remains_clear(run_directory); /* of a run that was killed before it had anything */
    if (getcwd(here, sizeof here) == NULL)
        here[0] = '\0';
    snprintf(run, sizeof run, "started %" PRId64 "\nworkers %zu\nlive %d\ndirectory %s\n",
             started_ns, n_workers, plan->n_files == 0, here);
    char *text = config_text(&plan->settings->config, false);
    int result = text != NULL ? write_text(run_directory, CONFIG_NAME, text) : -ENOMEM;
    free(text);
    if (result == 0 && plan->role != NULL && plan->changes != 0)
        result = write_changes(run_directory, plan->changes);
    return result == 0 ? write_text(run_directory, RUN_NAME, run) : result;
}

void remains_clear_rings(const char *run_directory)
{
    char path[PATH_SIZE];
    each_ring(run_directory, true);
    path_of(run_directory, SHARED_PAGES_NAME, path);
    unlink(path);
}

/* In this order: without its file there is no run that anybody could enter. */
void remains_clear(const char *run_directory)
{
    static const char *const names[] = {RUN_NAME, CONFIG_NAME, CHANGES_NAME};
    char path[PATH_SIZE];
    remains_clear_rings(run_directory);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(run_directory, names[i], path);
        unlink(path);
    }
    joint_clear(run_directory);
}

/* ---- from the last one ---- */

/* The directory may be another user's, who could put there what he likes, but nothing of ours. */
static FILE *open_ours(const char *path)
{
    struct stat state;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_ours = descriptor >= 0 && fstat(descriptor, &state) == 0 && S_ISREG(state.st_mode) &&
                   state.st_uid == geteuid() && state.st_nlink == 1;
    if (is_ours)
        return fdopen(descriptor, "r");
    if (descriptor >= 0)
        close(descriptor);
    return NULL;
}

/* The database is where it was, wherever we are. */
static void place_database(const char *directory, struct config *config)
{
    char *path;
    if (config->database[0] == '/')
        return;
    int length = asprintf(&path, "%s/%s", directory, config->database);
    assert(length > 0);
    free(config->database);
    config->database = path;
}

static bool read_run(FILE *file, struct remains *remains, char directory[PATH_MAX])
{
    int is_live;
    size_t n_workers;
    if (fscanf(file, RUN_FORMAT, &remains->started_ns, &n_workers, &is_live, directory) != 4)
        return false;
    remains->plan.n_left_workers = is_live ? 0 : n_workers;
    remains->plan.is_left = true;
    return n_workers > 0;
}

bool remains_load(const char *run_directory, struct remains *remains)
{
    char path[PATH_SIZE], directory[PATH_MAX], config_path[48];
    *remains = (struct remains){.settings = {.has_labels = true}};
    remains->plan.settings = &remains->settings;
    path_of(run_directory, RUN_NAME, path);
    FILE *run = open_ours(path);
    path_of(run_directory, CONFIG_NAME, path);
    FILE *config = open_ours(path);
    bool is_read = run != NULL && config != NULL && read_run(run, remains, directory);
    if (is_read) {
        snprintf(config_path, sizeof config_path, "/proc/self/fd/%d", fileno(config));
        remains->settings.config_path = config_path;
        is_read = settings_load(&remains->settings);
        remains->settings.config_path = NULL;
    }
    if (is_read)
        place_database(directory, &remains->settings.config);
    if (run != NULL)
        fclose(run);
    if (config != NULL)
        fclose(config);
    return is_read;
}

enum remains_found remains_find(const char *run_directory, struct remains *remains)
{
    *remains = (struct remains){0};
    if (each_ring(run_directory, false) == 0)
        return REMAINS_NONE;
    if (remains_load(run_directory, remains))
        return REMAINS_FOUND;
    log_error("%s: ring-*: a run that was killed has left them, and nobody can say what they mean: "
              "remove them to go on without",
              run_directory);
    return REMAINS_UNKNOWN;
}

int remains_changes(const char *run_directory)
{
    char path[PATH_SIZE];
    path_of(run_directory, CHANGES_NAME, path);
    FILE *file = open_ours(path);
    if (file == NULL)
        return 0;
    int changes = memfd_create("changes", MFD_CLOEXEC);
    int result = changes < 0 ? -errno : copy(fileno(file), changes);
    fclose(file);
    if (result == 0)
        return changes;
    log_error("%s: %s", path, strerror(-result));
    if (changes >= 0)
        close(changes);
    return result;
}

/* The key is drawn at each start; the database is compared by itself. */
static bool is_apart(const char *line, size_t length)
{
    return memmem(line, length, "rss_key:", strlen("rss_key:")) != NULL ||
           memmem(line, length, "database:", strlen("database:")) != NULL;
}

static bool is_same_database(const char *absolute, const char *database)
{
    char path[2 * PATH_MAX];
    char here[PATH_MAX];
    if (database[0] == '/')
        return strcmp(absolute, database) == 0;
    if (getcwd(here, sizeof here) == NULL)
        return false;
    snprintf(path, sizeof path, "%s/%s", here, database);
    return strcmp(absolute, path) == 0;
}

static bool is_same_text(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t n_a = strcspn(a, "\n"), n_b = strcspn(b, "\n");
        bool is_same = n_a == n_b && memcmp(a, b, n_a) == 0;
        if (!is_same && !(is_apart(a, n_a) && is_apart(b, n_b)))
            return false;
        a += n_a + (a[n_a] != '\0');
        b += n_b + (b[n_b] != '\0');
    }
    return *a == *b;
}

bool remains_is_same_database(const struct remains *remains, const struct supervisor_plan *plan)
{
    return is_same_database(remains->settings.config.database, plan->settings->config.database);
}

bool remains_is_same(const struct remains *remains, const struct supervisor_plan *plan)
{
    if (plan->n_files > 0 || remains->plan.n_left_workers > 0)
        return false;
    char *killed = config_text(&remains->settings.config, false);
    char *now = config_text(&plan->settings->config, false);
    bool is_same = killed != NULL && now != NULL && is_same_text(killed, now) &&
                   remains_is_same_database(remains, plan);
    free(killed);
    free(now);
    return is_same;
}

void remains_deinit(struct remains *remains)
{
    settings_deinit(&remains->settings);
}
