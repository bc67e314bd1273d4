/* spool: a bounded file of records that the database does not take yet, in their order.
 *
 *     spool_open(path, bytes_max, &spool);        of before, if it is there
 *     spool_append(spool, kind, bytes, size);
 *     spool_sync(spool);                          what was appended outlives a power failure
 *     spool_next(spool, &record);                 the next one to read
 *     spool_keep(spool);                          what was read is done with …
 *     spool_rewind(spool);                        … or is to be read again from there
 *     spool_clear(spool);                         all of it is done: the file is empty
 *     spool_close(spool);                         an empty file goes
 *
 * The file: a header of 16 bytes, "wanmeter spool" and two bytes of version (1, 0); then records:
 *
 *     bytes   0..3   "spol"
 *             4..7   size of the body
 *             8..15  number of the record in the file: 0, 1, 2, …
 *            16..19  kind
 *            20..23  CRC-32 (zlib's) of bytes 0..19 and the body
 *            24..    the body
 *
 * numbers little-endian. A record that is cut short, damaged or out of its turn ends the file: what
 * stands before it is read, what comes after is cut off and its bytes counted (spool_n_cut_bytes).
 * What was appended since the last spool_sync() and cannot be synced is cut off as well: it was
 * promised to nobody. The file is readable by its owner only.
 *
 * Functions return 0 or -errno: -EFBIG: there is no room within 'bytes_max'; -ENOSPC, -EIO, … as
 * the system says; the file then ends behind its last good record. Not thread-safe. */
#ifndef WANMETER_EXPORTER_SPOOL_H
#define WANMETER_EXPORTER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

enum {
    SPOOL_BODY_MAX = 32 * 1024 * 1024,
    SPOOL_HEADER_SIZE = 16,
    SPOOL_RECORD_HEADER_SIZE = 24,
};

struct spool_record {
    uint32_t kind;
    const uint8_t *bytes; /* valid until the next call */
    size_t size;
};

/* What is no spool is refused (-EEXIST), and stays as it is. */
int spool_open(const char *path, int64_t bytes_max, struct spool **out);
void spool_close(struct spool *spool); /* accepts NULL */

int spool_append(struct spool *spool, uint32_t kind, const uint8_t *bytes, size_t size);
int spool_sync(struct spool *spool);

/* -ENODATA: there is none. */
int spool_next(struct spool *spool, struct spool_record *record);
void spool_keep(struct spool *spool);
void spool_rewind(struct spool *spool);

int spool_clear(struct spool *spool);

bool spool_is_empty(const struct spool *spool); /* nothing is in the file */
bool spool_has_unread(const struct spool *spool);
int64_t spool_size_bytes(const struct spool *spool);
int64_t spool_n_cut_bytes(const struct spool *spool);
const char *spool_path(const struct spool *spool);

#endif
