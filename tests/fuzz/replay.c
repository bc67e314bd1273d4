/* replay: a fuzz target as a test, without a fuzzer: each file of its corpus, as what was found
 * stays found; then inputs made of these by chance, so that every run of the tests looks a little
 * further.
 *
 *     fuzz_decode CORPUS_DIRECTORY [N_MADE [SEED]]
 *
 * The same seed (1 by default) and files make the same inputs. One that fails is written to
 * "fuzz-found-NAME" in the working directory: give that file in a directory of its own to see it
 * again. */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20, FILES_MAX = 512, MADE_MAX = 4096, CHANGES_MAX = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* AddressSanitizer's; not there in an ordinary build. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input corpus[FILES_MAX];
static size_t n_files;
static struct input current; /* is being given */
static const char *target;
static uint64_t chance;

/* ---- what fails is kept ---- */

static void keep_current(void)
{
    char path[256];
    snprintf(path, sizeof path, "fuzz-found-%s", target);
    FILE *file = current.bytes ? fopen(path, "wb") : NULL; /* at the end: none of them failed */
    if (!file)
        return;
    fwrite(current.bytes, 1, current.size, file);
    fclose(file);
    fprintf(stderr, "replay: the input is in %s (%zu bytes)\n", path, current.size);
}

static void on_signal(int number)
{
    keep_current();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch(const char *program)
{
    const char *slash = strrchr(program, '/');
    target = slash ? slash + 1 : program;
    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_current);
    else
        signal(SIGSEGV, on_signal);
}

/* ---- giving ---- */

/* An exact-size copy: a sanitizer then sees every read past the end. */
static void give(const uint8_t *bytes, size_t size)
{
    current = (struct input){malloc(size ? size : 1), size};
    if (!current.bytes)
        abort();
    if (size)
        memcpy(current.bytes, bytes, size);
    LLVMFuzzerTestOneInput(current.bytes, size);
    free(current.bytes);
    current.bytes = NULL;
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int read_file(const char *directory, const char *name)
{
    static uint8_t room[INPUT_MAX];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = n_files < FILES_MAX ? fopen(path, "rb") : NULL;
    if (!file) {
        perror(path);
        return -1;
    }
    struct input *input = &corpus[n_files++];
    input->size = fread(room, 1, sizeof room, file);
    fclose(file);
    input->bytes = malloc(input->size ? input->size : 1);
    if (!input->bytes)
        return -1;
    memcpy(input->bytes, room, input->size);
    return 0;
}

static int read_corpus(const char *directory)
{
    struct dirent **entries;
    int n = scandir(directory, &entries, is_visible, by_name);
    int result = n < 0 ? -1 : 0;
    if (n < 0)
        perror(directory);
    for (int i = 0; i < n; i++) {
        if (read_file(directory, entries[i]->d_name) < 0)
            result = -1;
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return result;
}

/* ---- making ---- */

/* 0 to n - 1. */
static size_t draw(size_t n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return n ? (size_t)(chance >> 11) % n : 0;
}

/* Puts 'size' bytes at 'at', moving what is behind them; as far as there is room. */
static void insert(struct input *made, size_t at, const uint8_t *bytes, size_t size)
{
    if (size > MADE_MAX - made->size)
        size = MADE_MAX - made->size;
    memmove(made->bytes + at + size, made->bytes + at, made->size - at);
    memmove(made->bytes + at, bytes, size);
    made->size += size;
}

static void erase(struct input *made, size_t at, size_t size)
{
    memmove(made->bytes + at, made->bytes + at + size, made->size - at - size);
    made->size -= size;
}

static void change_byte(struct input *made)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{'};
    uint8_t *byte = made->bytes + draw(made->size);
    switch (draw(4)) {
    case 0:
        *byte ^= (uint8_t)(1u << draw(8));
        break;
    case 1:
        *byte = edges[draw(sizeof edges)];
        break;
    case 2:
        *byte = (uint8_t)(*byte + (draw(2) ? 1 : 0xff));
        break;
    default:
        *byte = (uint8_t)draw(256);
    }
}

static void change(struct input *made)
{
    const struct input *other = &corpus[draw(n_files)];
    uint8_t room[MADE_MAX];
    if (made->size == 0) {
        insert(made, 0, other->bytes, other->size);
        return;
    }
    size_t at = draw(made->size);
    size_t size = 1 + draw(draw(3) ? 16 : made->size);
    size = size < made->size - at ? size : made->size - at;
    size_t from = draw(other->size + 1);
    switch (draw(8)) {
    case 0:
        erase(made, at, size);
        break;
    case 1: /* once more */
        memcpy(room, made->bytes + at, size);
        insert(made, draw(made->size), room, size);
        break;
    case 2: /* a part of another one */
        insert(made, at, other->bytes + from, draw(other->size - from + 1));
        break;
    case 3: /* ends as another one */
        made->size = at;
        insert(made, at, other->bytes + from, other->size - from);
        break;
    default:
        change_byte(made);
    }
}

static void make(size_t n)
{
    static uint8_t room[MADE_MAX];
    for (; n > 0; n--) {
        const struct input *from = &corpus[draw(n_files)];
        struct input made = {room, 0};
        insert(&made, 0, from->bytes, from->size);
        for (size_t i = 1 + draw(CHANGES_MAX); i > 0; i--)
            change(&made);
        give(made.bytes, made.size);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY [N_MADE [SEED]]\n", argv[0]);
        return 2;
    }
    size_t n_made = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    chance = UINT64_C(0x9e3779b97f4a7c15) * (argc > 3 ? strtoul(argv[3], NULL, 10) : 1) | 1;
    watch(argv[0]);
    int status = read_corpus(argv[1]) < 0 || n_files == 0;
    for (size_t i = 0; i < n_files; i++)
        give(corpus[i].bytes, corpus[i].size);
    if (n_files > 0)
        make(n_made);
    printf("%zu inputs, %zu made of them\n", n_files, n_made);
    for (size_t i = 0; i < n_files; i++)
        free(corpus[i].bytes);
    return status;
}
