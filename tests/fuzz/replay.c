/* replay: feeds the files of a fuzz corpus to a target, once each, as a test: what a fuzzer found
 * stays found. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int replay_file(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    static uint8_t room[1 << 20];
    size_t size = fread(room, 1, sizeof room, file);
    fclose(file);

    /* An exact-size copy: a sanitizer then sees every read past the end. */
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return -1;
    memcpy(bytes, room, size);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    DIR *directory = opendir(argv[1]);
    if (!directory) {
        perror(argv[1]);
        return 1;
    }
    int n_files = 0;
    int status = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        n_files++;
        if (replay_file(argv[1], entry->d_name) < 0)
            status = 1;
    }
    closedir(directory);
    printf("%d inputs\n", n_files);
    return n_files ? status : 1;
}
