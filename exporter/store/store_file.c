#include "exporter/store/store_file.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The log; the file of the system's VFS is behind it in the same memory. */
struct store_file {
    sqlite3_file file;
    uint8_t *bytes;       /* STORE_FILE_GATHERED, not yet written … */
    size_t n_bytes;       /* … so many of them, */
    sqlite3_int64 offset; /* from here on */
};

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)((struct store_file *)file + 1);
}

/* ---- gathering ---- */

static int flush(sqlite3_file *file)
{
    struct store_file *gathered = (struct store_file *)file;
    size_t n_bytes = gathered->n_bytes;
    gathered->n_bytes = 0; /* what fails is SQLite's to write again */
    if (n_bytes == 0)
        return SQLITE_OK;
    return real(file)->pMethods->xWrite(real(file), gathered->bytes, (int)n_bytes,
                                        gathered->offset);
}

static int on_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    struct store_file *gathered = (struct store_file *)file;
    bool is_next = offset == gathered->offset + (sqlite3_int64)gathered->n_bytes &&
                   gathered->n_bytes + (size_t)size <= STORE_FILE_GATHERED;
    if (!is_next) {
        int result = flush(file);
        if (result != SQLITE_OK)
            return result;
        gathered->offset = offset;
    }
    assert(size <= STORE_FILE_GATHERED); /* a page at most */
    memcpy(gathered->bytes + gathered->n_bytes, bytes, (size_t)size);
    gathered->n_bytes += (size_t)size;
    return SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    struct store_file *gathered = (struct store_file *)file;
    sqlite3_int64 end = gathered->offset + (sqlite3_int64)gathered->n_bytes;
    if (offset >= gathered->offset && offset + size <= end) {
        memcpy(bytes, gathered->bytes + (offset - gathered->offset), (size_t)size);
        return SQLITE_OK;
    }
    bool is_apart = offset >= end || offset + size <= gathered->offset;
    int result = is_apart ? SQLITE_OK : flush(file);
    return result == SQLITE_OK ? real(file)->pMethods->xRead(real(file), bytes, size, offset)
                               : result;
}

/* ---- the rest: first what is gathered ---- */

static int on_close(sqlite3_file *file)
{
    struct store_file *gathered = (struct store_file *)file;
    int flushed = flush(file);
    int closed = real(file)->pMethods->xClose(real(file));
    free(gathered->bytes);
    return flushed != SQLITE_OK ? flushed : closed;
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int result = flush(file);
    return result == SQLITE_OK ? real(file)->pMethods->xTruncate(real(file), size) : result;
}

static int on_sync(sqlite3_file *file, int flags)
{
    int result = flush(file);
    return result == SQLITE_OK ? real(file)->pMethods->xSync(real(file), flags) : result;
}

static int on_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int result = flush(file);
    return result == SQLITE_OK ? real(file)->pMethods->xFileSize(real(file), size) : result;
}

static int on_lock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xLock(real(file), lock);
}

static int on_unlock(sqlite3_file *file, int lock)
{
    return real(file)->pMethods->xUnlock(real(file), lock);
}

static int on_check_reserved_lock(sqlite3_file *file, int *is_reserved)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), is_reserved);
}

static int on_file_control(sqlite3_file *file, int operation, void *argument)
{
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int on_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int on_device_characteristics(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

/* Version 1: a log has no index of its own, and is not mapped. */
static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_reserved_lock,
    .xFileControl = on_file_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_device_characteristics,
};

/* ---- the VFS ---- */

/* The log is gathered; everything else is as ever. */
static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
                   int *flags_out)
{
    (void)vfs;
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (!(flags & SQLITE_OPEN_WAL))
        return system->xOpen(system, path, file, flags, flags_out);
    struct store_file *gathered = (struct store_file *)file;
    *gathered = (struct store_file){.bytes = malloc(STORE_FILE_GATHERED)};
    if (!gathered->bytes)
        return SQLITE_NOMEM;
    int result = system->xOpen(system, path, real(file), flags, flags_out);
    if (result == SQLITE_OK)
        file->pMethods = &methods;
    else
        free(gathered->bytes);
    return result;
}

int store_file_register(void)
{
    static sqlite3_vfs vfs; /* SQLite's from then on */
    const sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (sqlite3_vfs_find(STORE_FILE_VFS))
        return SQLITE_OK;
    if (!system)
        return SQLITE_ERROR;
    vfs = *system; /* all but opening */
    vfs.zName = STORE_FILE_VFS;
    vfs.szOsFile = (int)sizeof(struct store_file) + system->szOsFile;
    vfs.xOpen = on_open;
    return sqlite3_vfs_register(&vfs, 0);
}
