#include "common/bus/bus_key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "common/log.h"

bool bus_key_parse(const char *text, struct bus_key *key)
{
    return strlen(text) == BUS_KEY_TEXT_LENGTH && zmq_z85_decode(key->bytes, text) != NULL;
}

static int fail(const char *path, const char *what, int error)
{
    log_error("%s: %s", path, what);
    return -error;
}

static int check_file(const char *path, int descriptor)
{
    struct stat state;
    if (fstat(descriptor, &state) < 0)
        return fail(path, strerror(errno), errno);
    if (!S_ISREG(state.st_mode))
        return fail(path, "not a regular file, expected a secret key", EINVAL);
    if (state.st_mode & (S_IRWXG | S_IRWXO))
        return fail(path, "a secret key that others can read is none (chmod 600)", EPERM);
    return 0;
}

int bus_key_read(const char *path, struct bus_key *secret)
{
    char text[BUS_KEY_TEXT_SIZE + 1] = "";
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return fail(path, strerror(errno), errno);
    int result = check_file(path, descriptor);
    ssize_t size = result == 0 ? read(descriptor, text, sizeof text - 1) : 0;
    close(descriptor);
    if (result < 0)
        return result;
    if (size > 0 && text[size - 1] == '\n')
        text[size - 1] = '\0';
    bool is_key = size > 0 && bus_key_parse(text, secret);
    explicit_bzero(text, sizeof text);
    return is_key ? 0 : fail(path, "no secret key (`wanmeter key new` makes one)", EINVAL);
}

int bus_key_create(const char *path, char public_text[BUS_KEY_TEXT_SIZE])
{
    char secret_text[BUS_KEY_TEXT_SIZE + 1];
    if (zmq_curve_keypair(public_text, secret_text) < 0)
        return fail(path, strerror(errno), errno);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return fail(path, strerror(errno), errno);
    secret_text[BUS_KEY_TEXT_LENGTH] = '\n';
    ssize_t size = write(descriptor, secret_text, BUS_KEY_TEXT_SIZE);
    int result = size == BUS_KEY_TEXT_SIZE && fsync(descriptor) == 0 ? 0 : -EIO;
    if (close(descriptor) < 0)
        result = -errno;
    explicit_bzero(secret_text, sizeof secret_text);
    if (result == 0)
        return 0;
    unlink(path);
    return fail(path, strerror(-result), -result);
}

void bus_key_public(const struct bus_key *secret, char public_text[BUS_KEY_TEXT_SIZE])
{
    char secret_text[BUS_KEY_TEXT_SIZE];
    zmq_z85_encode(secret_text, secret->bytes, BUS_KEY_SIZE);
    int result = zmq_curve_public(public_text, secret_text);
    assert(result == 0);
    explicit_bzero(secret_text, sizeof secret_text);
}
