#include "capture/source/source_text.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/source.h"
#include "common/config/config_utf8.h"

enum { IDENTITY_PART_SIZE = 1024 * 1024, ELLIPSIS_SIZE = 3 };

static const char ellipsis[] = "…";

/* Bytes of the printable character at 'text'; 0: it is none. */
static size_t printable_size(const char *text, size_t size)
{
    uint32_t character = 0;
    size_t n = config_utf8_decode((const uint8_t *)text, size, &character);
    return n && config_utf8_is_printable(character) ? n : 0;
}

size_t source_text_path(char *room, size_t size, const char *path)
{
    size_t left = strlen(path);
    size_t used = 0;
    if (left >= size) {
        memcpy(room, ellipsis, ELLIPSIS_SIZE);
        used = ELLIPSIS_SIZE;
        path += left - (size - 1 - used);
        left = size - 1 - used;
        while (left && ((unsigned char)*path & 0xc0) == 0x80) { /* within a character */
            path++;
            left--;
        }
    }
    while (left) {
        size_t n = printable_size(path, left);
        if (n)
            memcpy(room + used, path, n);
        else
            room[used] = '?';
        used += n ? n : 1;
        path += n ? n : 1;
        left -= n ? n : 1;
    }
    room[used] = '\0';
    return used;
}

const char *source_path(const char *argument)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strspn(argument, letters);
    bool has_name = length > 0 && length <= CONFIG_NAME_MAX && argument[length] == '=';
    if (!has_name || access(argument, F_OK) == 0)
        return argument;
    return argument + length + 1;
}

/* nettle's SHA-256 takes 1.3 ms where libsodium's takes 6: it uses the processor's instructions for
 * it. */

/* Adds the 'size' bytes at 'offset'. 0 or -errno (-EIO: the file is shorter by now). */
static int hash_part(struct sha256_ctx *hash, int descriptor, uint64_t offset, size_t size)
{
    uint8_t *room = malloc(size ? size : 1);
    if (!room)
        return -ENOMEM;
    size_t n = 0;
    int result = 0;
    while (n < size && result == 0) {
        ssize_t n_read = pread(descriptor, room + n, size - n, (off_t)(offset + n));
        if (n_read > 0)
            n += (size_t)n_read;
        else if (n_read == 0 || errno != EINTR)
            result = n_read == 0 ? -EIO : -errno;
    }
    if (result == 0)
        sha256_update(hash, size, room);
    free(room);
    return result;
}

static int hash_file(int descriptor, uint64_t size, uint8_t sha256[32])
{
    uint8_t size_bytes[8];
    for (size_t i = 0; i < sizeof size_bytes; i++)
        size_bytes[i] = (uint8_t)(size >> (8 * i));
    size_t part = size < IDENTITY_PART_SIZE ? (size_t)size : IDENTITY_PART_SIZE;

    struct sha256_ctx hash;
    sha256_init(&hash);
    sha256_update(&hash, sizeof size_bytes, size_bytes);
    int result = hash_part(&hash, descriptor, 0, part);
    if (result == 0)
        result = hash_part(&hash, descriptor, size - part, part);
    if (result == 0)
        sha256_digest(&hash, SHA256_DIGEST_SIZE, sha256);
    return result;
}

int source_descriptor_identity(int descriptor, uint8_t sha256[32])
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) ? hash_file(descriptor, (uint64_t)status.st_size, sha256)
                                   : -EINVAL;
}

int source_file_identity(const char *argument, uint8_t sha256[32])
{
    const char *path = source_path(argument);
    bool is_standard_input = strcmp(path, "-") == 0;
    struct stat status;
    if ((is_standard_input ? fstat(STDIN_FILENO, &status) : stat(path, &status)) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode)) /* opening a pipe takes its writer's place to wait at */
        return -EINVAL;
    int descriptor = is_standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    int result = source_descriptor_identity(descriptor, sha256);
    close(descriptor);
    return result;
}
