/* store_page: flow records as pages of a table, which SQLite copies into flow_record as they are.
 *
 *     store_page_attach(store);                          when the database is opened
 *     store_row_begin(&row);
 *     store_row_put_integer(&row, 7); …                  each column but the record_id, in order
 *     if (!store_page_add(page, record_id, &row)) …      full: insert, and add it then
 *     store_page_insert(store);                          all that was added, by one statement
 *     store_page_destroy(page);                          when its connection is closed
 *
 * Each time a database of two pages, in memory that becomes SQLite's, takes the place of the one
 * that is attached as 'batch' (sqlite3_deserialize()): SQLite's own first page, and a table with
 * flow_record's definition that is one leaf, of which we write header, cell pointers and cells
 * (https://www.sqlite.org/fileformat2.html, 1.6 and 2.1). 'INSERT INTO flow_record SELECT * FROM'
 * it copies records without looking into them, where binding 22 parameters a row and making a
 * record of them took half of the exporter's time (docs/performance.md).
 *
 * That it may do so within a transaction is tried at the start. Would SQLite read a page of before,
 * rows would come again under a record_id that is there, and the transaction would fail.
 */
#ifndef WANMETER_EXPORTER_STORE_PAGE_H
#define WANMETER_EXPORTER_STORE_PAGE_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/address.h"

struct store;
struct store_page;

enum {
    STORE_ROW_COLUMNS = 23, /* with the record_id, which is the last */
    STORE_ROW_VALUES = 20 * 8 + 2 * ADDRESS_TEXT_SIZE + 16, /* bytes, at most */
};

/* Serial types of a record's columns. */
enum store_row_type {
    ROW_NULL = 0,
    ROW_ZERO = 8, /* the integers 0 and 1 take no bytes */
    ROW_BLOB = 12,
    ROW_TEXT = 13,
};

/* A row as SQLite keeps it: what each column is, and the values of those that have bytes. */
struct store_row {
    uint8_t types[STORE_ROW_COLUMNS];
    uint8_t values[STORE_ROW_VALUES + sizeof(uint64_t)]; /* integers are written in eight bytes */
    size_t n_types;
    size_t values_size;
};

static inline void store_row_begin(struct store_row *row)
{
    row->n_types = row->values_size = 0;
}

static inline void store_row_put_type(struct store_row *row, unsigned type)
{
    assert(row->n_types < STORE_ROW_COLUMNS && type < 0x80);
    row->types[row->n_types++] = (uint8_t)type;
}

static inline void store_row_put_null(struct store_row *row)
{
    store_row_put_type(row, ROW_NULL);
}

/* In as few bytes as it can: of 1, 2, 3, 4, 6 and 8. */
static inline void store_row_put_integer(struct store_row *row, int64_t value)
{
    static const uint8_t types[] = {1, 2, 3, 4, 5, 5, 6, 6}; /* by its whole bytes, sign aside */
    static const uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8};
    if (value == 0 || value == 1) {
        store_row_put_type(row, ROW_ZERO + (unsigned)value);
        return;
    }
    uint64_t magnitude = (uint64_t)(value < 0 ? ~value : value) | 1;
    unsigned type = types[(64 - (unsigned)__builtin_clzll(magnitude)) / 8];
    unsigned size = sizes[type];
    uint64_t bytes = htobe64((uint64_t)value << (64 - 8 * size));
    assert(row->values_size <= STORE_ROW_VALUES);
    memcpy(row->values + row->values_size, &bytes, sizeof bytes);
    row->values_size += size;
    store_row_put_type(row, type);
}

static inline void store_row_put_bytes(struct store_row *row, enum store_row_type kind,
                                       const void *bytes, size_t size)
{
    assert(row->values_size + size <= STORE_ROW_VALUES);
    store_row_put_type(row, (unsigned)kind + 2 * (unsigned)size);
    memcpy(row->values + row->values_size, bytes, size);
    row->values_size += size;
}

/* 0 or -errno. In no transaction. */
int store_page_attach(struct store *store);

/* NULL is accepted. */
void store_page_destroy(struct store_page *page);

/* Forgets what was added and not inserted. */
void store_page_clear(struct store_page *page);

/* False: there is no room for it. 'record_id' is above those that were added before. */
bool store_page_add(struct store_page *page, int64_t record_id, const struct store_row *row);

/* 0 or -errno; the page is empty then. */
int store_page_insert(struct store *store);

#endif
