#include "exporter/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#include "common/log.h"

struct spool {
    char *path;
    int descriptor; /* -1: the file was not made yet */
    int64_t bytes_max;
    int64_t end;         /* of the last good record; 0: no header yet */
    int64_t synced;      /* as far as it is on the disk */
    int64_t read;        /* the next record to read */
    int64_t kept;        /* records before it are done with */
    uint64_t n_appended; /* number of the next record */
    uint64_t n_read;     /* number of the next record to read */
    uint64_t n_kept;
    int64_t n_cut_bytes;
    uint8_t *room; /* of the record that was read last */
    size_t room_size;
};

static const char magic[SPOOL_HEADER_SIZE] = "wanmeter spool\1";
static const char record_magic[4] = {'s', 'p', 'o', 'l'};

/* ---- the format ---- */

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static uint32_t checksum(const uint8_t header[SPOOL_RECORD_HEADER_SIZE], const uint8_t *body,
                         size_t size)
{
    uLong crc = crc32(crc32(0, NULL, 0), header, 20);
    return (uint32_t)crc32_z(crc, body, size);
}

static void make_header(uint8_t header[SPOOL_RECORD_HEADER_SIZE], uint64_t number, uint32_t kind,
                        const uint8_t *body, size_t size)
{
    memcpy(header, record_magic, sizeof record_magic);
    put32(header + 4, (uint32_t)size);
    put64(header + 8, number);
    put32(header + 16, kind);
    put32(header + 20, checksum(header, body, size));
}

/* ---- the file ---- */

static int write_all(int descriptor, const uint8_t *bytes, size_t size, int64_t at)
{
    while (size > 0) {
        ssize_t n = pwrite(descriptor, bytes, size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        bytes += n;
        size -= (size_t)n;
        at += n;
    }
    return 0;
}

/* The bytes read: fewer at the file's end; or -errno. */
static ssize_t read_all(int descriptor, uint8_t *bytes, size_t size, int64_t at)
{
    size_t n_read = 0;
    while (n_read < size) {
        ssize_t n = pread(descriptor, bytes + n_read, size - n_read, at + (int64_t)n_read);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        n_read += (size_t)n;
    }
    return (ssize_t)n_read;
}

/* A new name is on the disk once its directory is. */
static int sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (directory < 0)
        return -errno;
    int result = fsync(directory) < 0 ? -errno : 0;
    close(directory);
    return result;
}

static int make_file(struct spool *spool)
{
    if (spool->descriptor < 0) {
        spool->descriptor = open(spool->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (spool->descriptor < 0)
            return -errno;
        int result = sync_directory(spool->path);
        if (result < 0)
            return result;
    }
    if (spool->end > 0)
        return 0;
    int result = write_all(spool->descriptor, (const uint8_t *)magic, sizeof magic, 0);
    if (result == 0)
        spool->end = spool->read = spool->kept = sizeof magic;
    return result;
}

/* The file ends at 'end'. That it cannot be made so does no harm: what is behind is written over,
 * or found to be no record. */
static void cut(struct spool *spool, int64_t end)
{
    if (ftruncate(spool->descriptor, end) < 0)
        log_warning("%s: cannot be cut: %s", spool->path, strerror(errno));
}

/* Behind the last record that is whole. */
static int find_end(struct spool *spool, int64_t size)
{
    spool->end = size;
    struct spool_record record;
    int result;
    while ((result = spool_next(spool, &record)) == 0)
        spool->n_appended++;
    spool_rewind(spool);
    return result == -ENODATA ? 0 : result;
}

static int open_existing(struct spool *spool)
{
    spool->descriptor = open(spool->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (spool->descriptor < 0)
        return errno == ENOENT ? 0 : -errno;
    struct stat status;
    char found[sizeof magic];
    if (fstat(spool->descriptor, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EEXIST;
    ssize_t n = read_all(spool->descriptor, (uint8_t *)found, sizeof found, 0);
    if (n < 0)
        return (int)n;
    if (memcmp(found, magic, (size_t)n) != 0)
        return -EEXIST;
    if ((size_t)n < sizeof magic) {
        spool->n_cut_bytes = n;
        cut(spool, 0);
        return 0;
    }
    spool->read = spool->kept = sizeof magic;
    return find_end(spool, status.st_size);
}

int spool_open(const char *path, int64_t bytes_max, struct spool **out)
{
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool)
        return -ENOMEM;
    spool->descriptor = -1;
    spool->bytes_max = bytes_max;
    spool->path = strdup(path);
    int result = spool->path ? open_existing(spool) : -ENOMEM;
    if (result < 0) {
        if (spool->descriptor >= 0)
            close(spool->descriptor);
        spool->descriptor = -1; /* it stays */
        spool_close(spool);
        return result;
    }
    spool->synced = spool->end;
    *out = spool;
    return 0;
}

void spool_close(struct spool *spool)
{
    if (!spool)
        return;
    if (spool->descriptor >= 0) {
        if (spool_is_empty(spool))
            unlink(spool->path);
        close(spool->descriptor);
    }
    free(spool->room);
    free(spool->path);
    free(spool);
}

/* ---- writing ---- */

int spool_append(struct spool *spool, uint32_t kind, const uint8_t *bytes, size_t size)
{
    uint8_t header[SPOOL_RECORD_HEADER_SIZE];
    int64_t needed = (int64_t)(sizeof header + size) + (spool->end > 0 ? 0 : SPOOL_HEADER_SIZE);
    if (size > SPOOL_BODY_MAX || spool->end + needed > spool->bytes_max)
        return -EFBIG;
    int result = make_file(spool);
    if (result < 0)
        return result;
    make_header(header, spool->n_appended, kind, bytes, size);
    result = write_all(spool->descriptor, header, sizeof header, spool->end);
    if (result == 0)
        result = write_all(spool->descriptor, bytes, size, spool->end + (int64_t)sizeof header);
    if (result < 0) {
        cut(spool, spool->end);
        return result;
    }
    spool->end += (int64_t)(sizeof header + size);
    spool->n_appended++;
    return 0;
}

/* Which of the pages have reached the disk is not known after a failure, and the system does not
 * try them again: they are written anew with the records that come. */
int spool_sync(struct spool *spool)
{
    if (spool->synced == spool->end)
        return 0;
    if (fdatasync(spool->descriptor) == 0) {
        spool->synced = spool->end;
        return 0;
    }
    int result = -errno;
    struct spool_record record;
    int64_t safe = spool->synced > spool->kept ? spool->synced : spool->kept;
    spool->end = safe > SPOOL_HEADER_SIZE ? safe : SPOOL_HEADER_SIZE;
    if (spool->read > spool->end)
        spool_rewind(spool);
    int64_t read = spool->read;
    uint64_t n_read = spool->n_read;
    while (spool_next(spool, &record) == 0)
        ; /* to count them */
    spool->n_appended = spool->n_read;
    spool->read = read;
    spool->n_read = n_read;
    cut(spool, spool->end);
    return result;
}

/* ---- reading ---- */

static int make_room(struct spool *spool, size_t size)
{
    if (size <= spool->room_size)
        return 0;
    uint8_t *room = realloc(spool->room, size);
    if (!room)
        return -ENOMEM;
    spool->room = room;
    spool->room_size = size;
    return 0;
}

/* From here on there is nothing. */
static int end_here(struct spool *spool)
{
    spool->n_cut_bytes += spool->end - spool->read;
    spool->end = spool->read;
    if (spool->synced > spool->end)
        spool->synced = spool->end;
    spool->n_appended = spool->n_read;
    cut(spool, spool->end);
    return -ENODATA;
}

int spool_next(struct spool *spool, struct spool_record *record)
{
    uint8_t header[SPOOL_RECORD_HEADER_SIZE];
    if (!spool_has_unread(spool))
        return -ENODATA;
    ssize_t n = read_all(spool->descriptor, header, sizeof header, spool->read);
    if (n < 0)
        return (int)n;
    size_t size = get32(header + 4);
    int64_t end = spool->read + (int64_t)(sizeof header + size);
    if ((size_t)n < sizeof header || memcmp(header, record_magic, sizeof record_magic) != 0 ||
        size > SPOOL_BODY_MAX || end > spool->end || get64(header + 8) != spool->n_read)
        return end_here(spool);
    int result = make_room(spool, size + 1);
    if (result < 0)
        return result;
    n = read_all(spool->descriptor, spool->room, size, spool->read + (int64_t)sizeof header);
    if (n < 0)
        return (int)n;
    if ((size_t)n < size || checksum(header, spool->room, size) != get32(header + 20))
        return end_here(spool);
    *record = (struct spool_record){get32(header + 16), spool->room, size};
    spool->read = end;
    spool->n_read++;
    return 0;
}

void spool_keep(struct spool *spool)
{
    spool->kept = spool->read;
    spool->n_kept = spool->n_read;
}

void spool_rewind(struct spool *spool)
{
    spool->read = spool->kept;
    spool->n_read = spool->n_kept;
}

int spool_clear(struct spool *spool)
{
    if (spool->descriptor < 0)
        return 0;
    if (ftruncate(spool->descriptor, 0) < 0)
        return -errno;
    spool->end = spool->synced = spool->read = spool->kept = 0;
    spool->n_appended = spool->n_read = spool->n_kept = 0;
    return 0;
}

bool spool_is_empty(const struct spool *spool)
{
    return spool->end <= SPOOL_HEADER_SIZE;
}

bool spool_has_unread(const struct spool *spool)
{
    return spool->read < spool->end;
}

int64_t spool_size_bytes(const struct spool *spool)
{
    return spool->end;
}

int64_t spool_n_cut_bytes(const struct spool *spool)
{
    return spool->n_cut_bytes;
}

const char *spool_path(const struct spool *spool)
{
    return spool->path;
}
