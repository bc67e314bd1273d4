/* store_page: flow records as pages of a table, which SQLite copies into flow_record as they are.
 *
 *     store_page_attach(store);                          when the database is opened
 *     row.integers[ROW_PACKETS] = 7; …                   each column but the record_id
 *     if (!store_page_add(page, record_id, &row)) …      full: insert, and add it then
 *     store_page_insert(store);                          all that was added, by one statement
 *     store_page_destroy(page);                          when its connection is closed
 *
 * Each time a database of two pages, in memory that becomes SQLite's, takes the place of the one
 * that is attached as 'batch' (sqlite3_deserialize()): SQLite's own first page, and a table with
 * flow_record's columns that is one leaf, of which we write header, cell pointers and cells
 * (https://www.sqlite.org/fileformat2.html, 1.6 and 2.1). 'INSERT INTO … SELECT * FROM' it copies
 * records without looking into them, where binding 22 parameters a row and making a record of them
 * took half of the exporter's time (docs/performance.md). They go behind those that are there
 * (store_append.h), or where they are not the next, by number.
 *
 * That it may do so within a transaction is tried at the start. Should SQLite read a page of
 * before, it says another number of the last row than the page has, and the process stops.
 */
#ifndef WANMETER_EXPORTER_STORE_PAGE_H
#define WANMETER_EXPORTER_STORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"

struct store;
struct store_page;

/* The columns of flow_record, in their order. */
enum store_row_column {
    ROW_PACKETS,
    ROW_L2_BYTES,
    ROW_L3_BYTES,
    ROW_BILLED_BYTES,
    ROW_REPLY_PACKETS,
    ROW_REPLY_L2_BYTES,
    ROW_REPLY_L3_BYTES,
    ROW_REPLY_BILLED_BYTES,
    ROW_SEAL,
    ROW_ID,
    ROW_START_NS,
    ROW_FIRST_AFTER_NS,
    ROW_LAST_AFTER_NS,
    ROW_SRC_ADDRESS,
    ROW_DST_ADDRESS,
    ROW_TUPLE,
    ROW_TRAITS,
    ROW_OWNER,
    ROW_STATUS,
    ROW_LABELS,
    ROW_FLOW_LABELS,
    ROW_RESUME,
    ROW_RECORD_ID, /* the cell's own, not the row's */
    ROW_COLUMNS,
};

/* Of a column that is no integer; a text or a blob has twice its length added. */
enum store_row_type { ROW_NULL = 0, ROW_BLOB = 12, ROW_TEXT = 13 };

enum { ROW_BYTES_MAX = ADDRESS_TEXT_SIZE /* of a text or a blob */ };

struct store_row {
    int64_t integers[ROW_RECORD_ID];
    uint32_t others; /* a bit for each column that is no integer */
    struct {
        enum store_row_type type;
        const void *bytes; /* borrowed until the row is added */
        size_t size;
    } values[ROW_RECORD_ID]; /* of those */
};

static inline void store_row_set(struct store_row *row, enum store_row_column column,
                                 enum store_row_type type, const void *bytes, size_t size)
{
    row->others |= UINT32_C(1) << column;
    row->values[column].type = type;
    row->values[column].bytes = bytes;
    row->values[column].size = size;
}

/* Its name. */
const char *store_page_column(enum store_row_column column);

/* 0 or -errno. In no transaction. */
int store_page_attach(struct store *store);

/* NULL is accepted. */
void store_page_destroy(struct store_page *page);

/* A batch begins: forgets what was added and not inserted, and where the table ends. */
void store_page_clear(struct store_page *page);

/* False: there is no room for it. 'record_id' is above those that were added before. */
bool store_page_add(struct store_page *page, int64_t record_id, const struct store_row *row);

/* 0 or -errno; the page is empty then. */
int store_page_insert(struct store *store);

#endif
