#include "common/zone.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config/config_value.h"

enum { PATH_SIZE = 512, DEPTH_MAX = 3 };

/* Where the C library looks for zones (tzset(3)). */
static const char *database_directory(void)
{
    const char *directory = getenv("TZDIR");
    return directory != NULL && *directory != '\0' ? directory : "/usr/share/zoneinfo";
}

static bool is_zone_file(const char *path)
{
    char magic[4];
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    bool is_zone = fread(magic, 1, sizeof magic, file) == sizeof magic &&
                   memcmp(magic, "TZif", sizeof magic) == 0;
    fclose(file);
    return is_zone;
}

/* Letters first: neither a path out of the database nor a rule such as "<+03>-3". */
static bool is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    size_t length = strlen(name);
    return length > 0 && length <= ZONE_NAME_MAX && strspn(name, allowed) == length &&
           name[0] != '/' && strncmp(name, "right/", 6) != 0 && strncmp(name, "posix/", 6) != 0;
}

bool zone_is_known(const char *name)
{
    char path[PATH_SIZE];
    if (!is_name(name))
        return false;
    int length = snprintf(path, sizeof path, "%s/%s", database_directory(), name);
    bool is_there = length > 0 && (size_t)length < sizeof path && is_zone_file(path);
    return is_there || strcmp(name, "UTC") == 0;
}

/* ---- suggestions ---- */

/* A zone is meant by its place as often as by its whole name: "Berlin". */
static void offer(const char *name, struct config_suggestion *suggestion)
{
    const char *slash = strrchr(name, '/');
    const char *place = slash != NULL ? slash + 1 : name;
    size_t before = suggestion->distance;
    config_suggestion_offer(suggestion, name, strlen(name));
    if (strchr(suggestion->wanted, '/') == NULL)
        config_suggestion_offer(suggestion, place, strlen(place));
    if (suggestion->distance != before)
        snprintf(suggestion->word, sizeof suggestion->word, "%s", name);
}

static void offer_all(const char *below, unsigned depth, struct config_suggestion *suggestion)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", database_directory(), below);
    DIR *directory = opendir(path);
    if (directory == NULL)
        return;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char name[PATH_SIZE];
        snprintf(name, sizeof name, "%s%s%s", below, *below != '\0' ? "/" : "", entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (zone_is_known(name))
            offer(name, suggestion);
        else if (depth < DEPTH_MAX && strcmp(name, "right") != 0 && strcmp(name, "posix") != 0)
            offer_all(name, depth + 1, suggestion);
    }
    closedir(directory);
}

void zone_suggest(const char *name, char out[ZONE_NAME_MAX + 1])
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    offer_all("", 0, &suggestion);
    snprintf(out, ZONE_NAME_MAX + 1, "%.63s", suggestion.word);
}

/* ---- local time ---- */

void zone_local(const char *zone, int64_t time_s, struct tm *local)
{
    const char *current = getenv("TZ");
    if (current == NULL || strcmp(current, zone) != 0) {
        int result = setenv("TZ", zone, 1);
        assert(result == 0);
    }
    tzset(); /* compares, and reads the zone's file where it is another */
    time_t time = (time_t)time_s;
    struct tm *converted = localtime_r(&time, local);
    assert(converted != NULL);
}
