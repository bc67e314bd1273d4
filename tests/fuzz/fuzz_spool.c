/* A spool file of any content: it is refused, or its records come out once and in order; what is
 * appended then comes out behind them; the file after that has exactly these. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporter/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char path[64];

static void clean_up(void)
{
    unlink(path);
}

static size_t count(struct spool *spool)
{
    struct spool_record record;
    size_t n = 0;
    while (spool_next(spool, &record) == 0)
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const uint8_t body[] = "more";
    if (!path[0]) {
        snprintf(path, sizeof path, "/tmp/wanmeter-fuzz-spool-%d", (int)getpid());
        atexit(clean_up);
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size)
        abort();
    fclose(file);
    struct spool *spool;
    int result = spool_open(path, 1 << 20, &spool);
    if (result < 0) {
        assert(result == -EEXIST);
        return 0;
    }
    assert(spool_size_bytes(spool) + spool_n_cut_bytes(spool) == (int64_t)size);
    size_t n = count(spool);
    assert(!spool_has_unread(spool));
    if (spool_append(spool, 7, body, sizeof body) == 0) {
        struct spool_record record;
        assert(spool_next(spool, &record) == 0 && record.kind == 7 && record.size == sizeof body &&
               memcmp(record.bytes, body, sizeof body) == 0);
        n++;
    }
    spool_close(spool);
    if (spool_open(path, 1 << 20, &spool) < 0)
        abort();
    assert(count(spool) == n && spool_n_cut_bytes(spool) == 0);
    spool_close(spool);
    return 0;
}
