#include "cli/audit/audit_pages.h"

#include <endian.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAGE_BYTES_MAX = 65536,
    RESERVED_AT = 20, /* in the file's header: bytes at each page's end that are not SQLite's */
    TABLE_INTERIOR = 5,
    TABLE_LEAF = 13,
    LEAF_HEADER_SIZE = 8,
    INTERIOR_HEADER_SIZE = 12,
    CELL_COUNT_AT = 3, /* in a page's header */
    LAST_CHILD_AT = 8,
    POINTER_SIZE = 2,
    CHILD_SIZE = 4,
    WHOLE_LESS = 35, /* a record that is shorter than a page by this is on it in whole */
    VARINT_MAX = 9,
    DEPTH_MAX = 8, /* a B-tree of a billion pages has 5 levels */
};

/* One read of the whole tree. */
struct walk {
    sqlite3_file *file;
    int64_t n_pages;
    int64_t n_left; /* pages that may still be read: in a damaged file they may go round */
    size_t page_size;
    size_t usable;
    uint8_t *levels[DEPTH_MAX];
    int64_t *sums;
};

/* ---- a record ---- */

/* Behind it; NULL: it goes beyond 'end'. */
static const uint8_t *read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < VARINT_MAX && at < end; i++) {
        uint8_t byte = *at++;
        if (i == VARINT_MAX - 1) {
            *value = *value << 8 | byte;
            return at;
        }
        *value = *value << 7 | (byte & 0x7f);
        if (!(byte & 0x80))
            return at;
    }
    return NULL;
}

/* By SQLite's serial type; 0 where it is no integer, or one of the two that have no bytes. */
static const uint8_t integer_sizes[] = {0, 1, 2, 3, 4, 6, 8, 0, 0, 0};
enum { TYPE_ZERO = 8, TYPE_ONE = 9 };

/* The first columns of a record, all integers. Below 'end' there are eight bytes to read. */
static bool add_columns(const uint8_t *record, const uint8_t *end, int64_t sums[AUDIT_SUMS])
{
    size_t header_size = record[0];
    const uint8_t *value = record + header_size;
    if (header_size <= AUDIT_SUMS || header_size >= 0x80 || value > end)
        return false;
    for (int i = 0; i < AUDIT_SUMS; i++) {
        unsigned type = record[1 + i];
        size_t size = type < sizeof integer_sizes ? integer_sizes[type] : 0;
        if (size == 0 && type != TYPE_ZERO && type != TYPE_ONE)
            return false;
        uint64_t bytes;
        memcpy(&bytes, value, sizeof bytes);
        int64_t integer = size == 0 ? type == TYPE_ONE : (int64_t)be64toh(bytes) >> (64 - 8 * size);
        value += size;
        if (value > end || __builtin_add_overflow(sums[i], integer, &sums[i]))
            return false;
    }
    return true;
}

static bool add_cell(const struct walk *walk, const uint8_t *cell, const uint8_t *page_end)
{
    uint64_t size, record_id;
    const uint8_t *at = read_varint(cell, page_end, &size);
    at = at ? read_varint(at, page_end, &record_id) : NULL;
    return at && size > 0 && size <= walk->usable - WHOLE_LESS && size <= (size_t)(page_end - at) &&
           add_columns(at, at + size, walk->sums);
}

/* ---- pages ---- */

static size_t get_16_bits(const uint8_t *from)
{
    return (size_t)from[0] << 8 | from[1];
}

static uint32_t get_32_bits(const uint8_t *from)
{
    return (uint32_t)(get_16_bits(from) << 16 | get_16_bits(from + 2));
}

/* The cell of that number, or NULL: it is not on the page. */
static const uint8_t *cell_of(const struct walk *walk, const uint8_t *page, size_t header_size,
                              size_t i)
{
    size_t at = header_size + i * POINTER_SIZE;
    size_t offset = at + POINTER_SIZE <= walk->usable ? get_16_bits(page + at) : 0;
    return offset > at && offset + CHILD_SIZE <= walk->usable ? page + offset : NULL;
}

static bool add_leaf(const struct walk *walk, const uint8_t *page)
{
    size_t n_cells = get_16_bits(page + CELL_COUNT_AT);
    for (size_t i = 0; i < n_cells; i++) {
        const uint8_t *cell = cell_of(walk, page, LEAF_HEADER_SIZE, i);
        if (!cell || !add_cell(walk, cell, page + walk->usable))
            return false;
    }
    return true;
}

static bool read_page(struct walk *walk, uint32_t number, uint8_t *page)
{
    return number > 1 && number <= walk->n_pages && walk->n_left-- > 0 &&
           walk->file->pMethods->xRead(walk->file, page, (int)walk->page_size,
                                       (int64_t)(number - 1) * (int64_t)walk->page_size) ==
               SQLITE_OK;
}

/* A page, and those below it. */
static bool add_tree(struct walk *walk, uint32_t number, int depth)
{
    if (depth == DEPTH_MAX)
        return false;
    /* Its end may be read beyond by seven bytes: an integer is taken with eight. */
    if (!walk->levels[depth])
        walk->levels[depth] = calloc(1, walk->page_size + sizeof(uint64_t));
    uint8_t *page = walk->levels[depth];
    if (!page || !read_page(walk, number, page))
        return false;
    if (page[0] == TABLE_LEAF)
        return add_leaf(walk, page);
    if (page[0] != TABLE_INTERIOR)
        return false;
    size_t n_cells = get_16_bits(page + CELL_COUNT_AT);
    for (size_t i = 0; i < n_cells; i++) {
        const uint8_t *cell = cell_of(walk, page, INTERIOR_HEADER_SIZE, i);
        if (!cell || !add_tree(walk, get_32_bits(cell), depth + 1))
            return false;
    }
    return add_tree(walk, get_32_bits(page + LAST_CHILD_AT), depth + 1);
}

/* ---- the database ---- */

static int64_t number_of(struct database *database, const char *query)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = 0;
    if (sqlite3_prepare_v2(database->handle, query, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* An older version has others. */
static bool has_columns(struct database *database)
{
    static const char *const names[AUDIT_SUMS] = {
        [AUDIT_SUM_PACKETS] = "packets",
        [AUDIT_SUM_L2_BYTES] = "l2_bytes",
        [AUDIT_SUM_L3_BYTES] = "l3_bytes",
        [AUDIT_SUM_BILLED_BYTES] = "billed_bytes",
    };
    sqlite3_stmt *all = NULL;
    bool is_same = sqlite3_prepare_v2(database->handle, "SELECT * FROM main.flow_record", -1, &all,
                                      NULL) == SQLITE_OK &&
                   sqlite3_column_count(all) >= AUDIT_SUMS;
    for (int i = 0; is_same && i < AUDIT_SUMS; i++)
        is_same = strcmp(sqlite3_column_name(all, i), names[i]) == 0;
    sqlite3_finalize(all);
    return is_same;
}

/* A log that is empty once a transaction reads stays so for it: what is committed is in the file,
 * and nobody writes to that. */
static bool is_log_empty(struct database *database)
{
    sqlite3_file *log = NULL;
    sqlite3_int64 size = -1;
    if (sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) !=
            SQLITE_OK ||
        !log)
        return false;
    return !log->pMethods || (log->pMethods->xFileSize(log, &size) == SQLITE_OK && size == 0);
}

static bool open_walk(struct database *database, struct walk *walk)
{
    sqlite3_int64 file_size = 0;
    uint8_t reserved = 0;
    walk->page_size = (size_t)number_of(database, "PRAGMA main.page_size");
    if (walk->page_size == 0 || walk->page_size > PAGE_BYTES_MAX ||
        sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_FILE_POINTER, &walk->file) !=
            SQLITE_OK ||
        !walk->file || !walk->file->pMethods ||
        walk->file->pMethods->xFileSize(walk->file, &file_size) != SQLITE_OK ||
        walk->file->pMethods->xRead(walk->file, &reserved, 1, RESERVED_AT) != SQLITE_OK)
        return false;
    walk->usable = walk->page_size - reserved;
    walk->n_pages = walk->n_left = file_size / (int64_t)walk->page_size;
    return true;
}

bool audit_pages_sum(struct database *database, int64_t sums[AUDIT_SUMS])
{
    struct walk walk = {.sums = sums};
    memset(sums, 0, AUDIT_SUMS * sizeof *sums);
    int64_t root = number_of(database, "SELECT rootpage FROM main.sqlite_schema "
                                       "WHERE type = 'table' AND name = 'flow_record'");
    bool is_added = root > 1 && root <= UINT32_MAX && has_columns(database) &&
                    is_log_empty(database) && open_walk(database, &walk) &&
                    add_tree(&walk, (uint32_t)root, 0);
    for (int i = 0; i < DEPTH_MAX; i++)
        free(walk.levels[i]);
    return is_added;
}

/* ---- the views ---- */

/* What a view selects, as the database has it; NULL: there is no such view. For sqlite3_free(). */
static char *text_of(struct database *database, const char *view)
{
    char create[64];
    snprintf(create, sizeof create, "CREATE VIEW %s AS", view);
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    if (sqlite3_prepare_v2(database->handle,
                           "SELECT sql FROM main.sqlite_schema WHERE type = 'view' AND name = ?1",
                           -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_bind_text(statement, 1, view, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *sql = (const char *)sqlite3_column_text(statement, 0);
        if (sql && strncmp(sql, create, strlen(create)) == 0)
            text = sqlite3_mprintf("%s", sql + strlen(create));
    }
    sqlite3_finalize(statement);
    return text;
}

/* The views as they are, where flow_record is one row. */
static char *put_together(const int64_t sums[AUDIT_SUMS], const char *flows, const char *all)
{
    return sqlite3_mprintf("WITH flow_record AS (SELECT %lld AS packets, %lld AS l2_bytes, "
                           "%lld AS l3_bytes, %lld AS billed_bytes), "
                           "audit_flows AS (%s), audit AS (%s) ",
                           (long long)sums[AUDIT_SUM_PACKETS], (long long)sums[AUDIT_SUM_L2_BYTES],
                           (long long)sums[AUDIT_SUM_L3_BYTES],
                           (long long)sums[AUDIT_SUM_BILLED_BYTES], flows, all);
}

char *audit_pages_with(struct database *database)
{
    int64_t sums[AUDIT_SUMS];
    if (sqlite3_exec(database->handle, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return NULL;
    bool is_summed = audit_pages_sum(database, sums);
    char *flows = is_summed ? text_of(database, "audit_flows") : NULL;
    char *all = flows ? text_of(database, "audit") : NULL;
    char *with = all ? put_together(sums, flows, all) : NULL;
    sqlite3_free(flows);
    sqlite3_free(all);
    if (!with)
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    return with;
}
