/* wanmeter-config-document: writes the documents that come from the table of options, or compares
 * the committed ones with it.
 *
 *     wanmeter-config-document example            to standard output
 *     wanmeter-config-document example FILE       exit 1 if FILE is not what it would write */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

typedef void (*document_fn)(FILE *out);

static document_fn find_document(const char *name)
{
    if (strcmp(name, "example") == 0)
        return config_write_example;
    if (strcmp(name, "reference") == 0)
        return config_write_reference;
    return NULL;
}

static int write_out(document_fn write_document)
{
    write_document(stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("standard output");
        return 1;
    }
    return 0;
}

/* Byte by byte, to the end of both. */
static bool is_same(FILE *file, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (fgetc(file) != (unsigned char)text[i])
            return false;
    return fgetc(file) == EOF && !ferror(file);
}

static int compare(document_fn write_document, const char *name, const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!file || !out) {
        perror(path);
        exit(1);
    }
    write_document(out);
    fclose(out);
    bool is_current = is_same(file, text, size);
    fclose(file);
    free(text);
    if (!is_current)
        fprintf(stderr,
                "%s: not what the table of options says; write it with\n"
                "    wanmeter-config-document %s > %s\n",
                path, name, path);
    return is_current ? 0 : 1;
}

int main(int argc, char **argv)
{
    document_fn write_document = argc == 2 || argc == 3 ? find_document(argv[1]) : NULL;
    if (!write_document) {
        fprintf(stderr, "usage: %s example|reference [FILE]\n", argv[0]);
        return 2;
    }
    return argc == 2 ? write_out(write_document) : compare(write_document, argv[1], argv[2]);
}
