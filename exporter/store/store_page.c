#include "exporter/store/store_page.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporter/store/store_append.h"
#include "exporter/store/store_internal.h"

enum {
    PAGE_BYTES = 65536, /* as large as SQLite's are: some 500 records */
    N_PAGES = 2,
    FILE_HEADER_SIZE = 100, /* in front of the first page */
    TABLE_LEAF = 13,
    LEAF_HEADER_SIZE = 8,
    POINTER_SIZE = 2,
    VARINT_MAX = 9,
    INTEGER_SIZE = 8, /* at most */
    PAYLOAD_HEADER_SIZE = 1 + ROW_COLUMNS,
    CELL_MAX = 2 * VARINT_MAX + PAYLOAD_HEADER_SIZE + ROW_COLUMNS * ROW_BYTES_MAX,
};

struct store_page {
    uint8_t *first; /* SQLite's own page, the same in each image */
    uint8_t *image; /* that is written now, of N_PAGES; SQLite's when it is handed over */
    uint8_t *leaf;  /* its last page */
    size_t n_rows;
    size_t content; /* where in the leaf the cell that was added last begins: they grow downwards */
    int64_t last_record_id;
    int64_t appended_record_id; /* the table's last, as this batch left it; -1: not known */
};

static_assert(PAYLOAD_HEADER_SIZE < 0x80, "its own size is one byte of it");
static_assert((int)ROW_TEXT + 2 * ROW_BYTES_MAX < 0x80, "a type is one byte");
static_assert((int)INTEGER_SIZE < (int)ROW_BYTES_MAX, "and cells have room below their values");

/* ---- bytes ---- */

/* Seven bits a byte, the highest first; a ninth byte has eight. */
static uint8_t *put_varint(uint8_t *to, uint64_t value)
{
    if (value < 0x80) {
        *to = (uint8_t)value;
        return to + 1;
    }
    uint8_t bytes[VARINT_MAX];
    size_t from = VARINT_MAX;
    if (value >> 56 != 0) {
        bytes[--from] = (uint8_t)value;
        for (value >>= 8; from > 0; value >>= 7)
            bytes[--from] = (uint8_t)(value | 0x80);
    } else {
        bytes[--from] = value & 0x7f;
        for (value >>= 7; value != 0; value >>= 7)
            bytes[--from] = (uint8_t)(value | 0x80);
    }
    memcpy(to, bytes + from, VARINT_MAX - from);
    return to + VARINT_MAX - from;
}

static void put_16_bits(uint8_t *to, size_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* Of PAGE_BYTES, an empty leaf's begin of its cells, there are only the lower 16 bits: so SQLite
 * has it. */
static void put_header(struct store_page *page)
{
    memset(page->leaf, 0, LEAF_HEADER_SIZE);
    page->leaf[0] = TABLE_LEAF;
    put_16_bits(page->leaf + 3, page->n_rows);
    put_16_bits(page->leaf + 5, page->content);
}

/* ---- rows ---- */

static void begin_leaf(struct store_page *page)
{
    page->n_rows = 0;
    page->content = PAGE_BYTES;
}

void store_page_clear(struct store_page *page)
{
    begin_leaf(page);
    page->appended_record_id = -1;
}

/* SQLite's serial types of integers by how many bits they take, the sign aside: in as few bytes as
 * can be, of 1, 2, 3, 4, 6 and 8. */
static const uint8_t integer_types[64] = {
    1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5,
    5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6,
};
enum { TYPE_ZERO = 8, TYPE_ONE };
static const uint8_t integer_sizes[] = {0, 1, 2, 3, 4, 6, 8, 0, 0, 0};

static unsigned integer_type(int64_t integer)
{
    if ((uint64_t)integer <= 1)
        return integer == 0 ? TYPE_ZERO : TYPE_ONE;
    uint64_t magnitude = (uint64_t)(integer ^ integer >> 63) | 1;
    return integer_types[63 - __builtin_clzll(magnitude)];
}

/* Before 'end', downwards: an integer's eight bytes are written, and those that it does not need
 * are written over by the one before it. Returns where the values begin. */
static uint8_t *put_values(const struct store_row *row, uint8_t types[ROW_RECORD_ID], uint8_t *end)
{
    for (size_t i = ROW_RECORD_ID; i-- > 0;) {
        if (row->others >> i & 1) {
            types[i] = (uint8_t)(row->values[i].type + 2 * row->values[i].size);
            end -= row->values[i].size;
            memcpy(end, row->values[i].bytes, row->values[i].size);
            continue;
        }
        unsigned type = integer_type(row->integers[i]);
        uint64_t bytes = htobe64((uint64_t)row->integers[i]);
        memcpy(end - sizeof bytes, &bytes, sizeof bytes);
        types[i] = (uint8_t)type;
        end -= integer_sizes[type];
    }
    return end;
}

bool store_page_add(struct store_page *page, int64_t record_id, const struct store_row *row)
{
    size_t pointers_end = LEAF_HEADER_SIZE + (page->n_rows + 1) * POINTER_SIZE;
    if (page->content < pointers_end + CELL_MAX)
        return false;
    uint8_t head[2 * VARINT_MAX + PAYLOAD_HEADER_SIZE], types[ROW_RECORD_ID];
    uint8_t *end = page->leaf + page->content;
    uint8_t *values = put_values(row, types, end);

    uint8_t *head_end = put_varint(head, PAYLOAD_HEADER_SIZE + (uint64_t)(end - values));
    head_end = put_varint(head_end, (uint64_t)record_id);
    *head_end++ = PAYLOAD_HEADER_SIZE;
    memcpy(head_end, types, sizeof types);
    head_end += sizeof types;
    *head_end++ = ROW_NULL; /* the record_id is the cell's own */
    size_t head_size = (size_t)(head_end - head);
    memcpy(values - head_size, head, head_size);

    page->content = (size_t)(values - head_size - page->leaf);
    put_16_bits(page->leaf + pointers_end - POINTER_SIZE, page->content);
    page->n_rows++;
    page->last_record_id = record_id;
    return true;
}

/* ---- images ---- */

/* What there is of SQLite's own page: its header and the one cell at its end. */
static void copy_first(uint8_t *to, const uint8_t *first)
{
    const uint8_t *header = first + FILE_HEADER_SIZE;
    size_t n_cells = (size_t)header[3] << 8 | header[4];
    size_t content = (size_t)header[5] << 8 | header[6];
    memcpy(to, first, FILE_HEADER_SIZE + LEAF_HEADER_SIZE + n_cells * POINTER_SIZE);
    memcpy(to + content, first + content, PAGE_BYTES - content);
}

static int begin_image(struct store *store)
{
    struct store_page *page = store->page;
    page->image = sqlite3_malloc64(N_PAGES * PAGE_BYTES);
    if (!page->image)
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    copy_first(page->image, page->first);
    page->leaf = page->image + PAGE_BYTES;
    begin_leaf(page);
    return 0;
}

/* From here on the image is SQLite's, which frees it, also when this fails. It is not read-only:
 * BEGIN IMMEDIATE begins to write in every database that is attached. */
static int hand_over(struct store *store)
{
    put_header(store->page);
    uint8_t *image = store->page->image;
    store->page->image = NULL;
    if (sqlite3_deserialize(store->db, "batch", image, N_PAGES * PAGE_BYTES, N_PAGES * PAGE_BYTES,
                            SQLITE_DESERIALIZE_FREEONCLOSE) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot add flow records");
    return 0;
}

int store_page_insert(struct store *store)
{
    struct store_page *page = store->page;
    if (page->n_rows == 0)
        return 0;
    int64_t first_record_id = page->last_record_id - (int64_t)page->n_rows + 1;
    bool is_next = first_record_id == page->appended_record_id + 1;
    int result = is_next ? 0 : store_append_is_next(store, first_record_id, &is_next);
    if (result == 0)
        result = hand_over(store);
    if (result == 0)
        result = is_next
                     ? store_append_run(store)
                     : store_run_statement(store, STATEMENT_FLOWS_ADD, "cannot add flow records");
    assert(result < 0 || ((size_t)sqlite3_changes(store->db) == page->n_rows &&
                          sqlite3_last_insert_rowid(store->db) == page->last_record_id));
    page->appended_record_id = is_next ? page->last_record_id : -1;
    int begun = begin_image(store);
    return result < 0 ? result : begun;
}

/* ---- the database of two pages ---- */

static const char *const columns[ROW_COLUMNS] = {
    [ROW_PACKETS] = "packets",
    [ROW_L2_BYTES] = "l2_bytes",
    [ROW_L3_BYTES] = "l3_bytes",
    [ROW_BILLED_BYTES] = "billed_bytes",
    [ROW_REPLY_PACKETS] = "reply_packets",
    [ROW_REPLY_L2_BYTES] = "reply_l2_bytes",
    [ROW_REPLY_L3_BYTES] = "reply_l3_bytes",
    [ROW_REPLY_BILLED_BYTES] = "reply_billed_bytes",
    [ROW_SEAL] = "seal",
    [ROW_ID] = "id",
    [ROW_START_NS] = "start_ns",
    [ROW_FIRST_AFTER_NS] = "first_after_ns",
    [ROW_LAST_AFTER_NS] = "last_after_ns",
    [ROW_SRC_ADDRESS] = "src_address",
    [ROW_DST_ADDRESS] = "dst_address",
    [ROW_TUPLE] = "tuple",
    [ROW_TRAITS] = "traits",
    [ROW_OWNER] = "owner",
    [ROW_STATUS] = "status",
    [ROW_LABELS] = "labels",
    [ROW_FLOW_LABELS] = "flow_labels",
    [ROW_RESUME] = "resume",
    [ROW_RECORD_ID] = "record_id",
};

const char *store_page_column(enum store_row_column column)
{
    return columns[column];
}

static int fail_schema(struct store *store)
{
    return store_fail_sqlite(store, "its schema is not what it says it is");
}

/* Rows are copied by place, not by name. */
static int check_columns(struct store *store)
{
    sqlite3_stmt *all = NULL;
    if (sqlite3_prepare_v2(store->db, "SELECT * FROM main.flow_record", -1, &all, NULL) !=
        SQLITE_OK)
        return fail_schema(store);
    bool is_same = sqlite3_column_count(all) == ROW_COLUMNS;
    for (int i = 0; is_same && i < ROW_COLUMNS; i++)
        is_same = strcmp(sqlite3_column_name(all, i), columns[i]) == 0;
    sqlite3_finalize(all);
    return is_same ? 0
                   : store_fail(store, -EUCLEAN, "%s: flow_record has other columns than it should",
                                store->path);
}

/* One statement only, whatever text a database has there. */
static int run_first(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
    sqlite3_finalize(statement);
    return result;
}

/* The page that SQLite makes for a database of one empty table of that definition. NULL: it has
 * made another. */
static uint8_t *make_first(const char *definition)
{
    sqlite3 *db = NULL;
    sqlite3_int64 size = 0;
    uint8_t *first = NULL;
    char page_size[32];
    sqlite3_snprintf(sizeof page_size, page_size, "PRAGMA page_size = %d", PAGE_BYTES);
    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        run_first(db, page_size) == SQLITE_OK && run_first(db, definition) == SQLITE_OK) {
        unsigned char *made = sqlite3_serialize(db, "main", &size, 0);
        first = made && size == N_PAGES * PAGE_BYTES ? malloc(PAGE_BYTES) : NULL;
        if (first)
            memcpy(first, made, PAGE_BYTES);
        sqlite3_free(made);
    }
    sqlite3_close(db);
    return first;
}

static int load_first(struct store *store)
{
    char *definition = store_append_definition("flow_record");
    store->page->first = definition ? make_first(definition) : NULL;
    sqlite3_free(definition);
    if (!store->page->first)
        return store_fail(store, -ENOTSUP, "%s: this SQLite (%s) does not make the page it should",
                          store->path, sqlite3_libversion());
    return begin_image(store);
}

/* What SQLite reads of an image when there is one row in it. */
static int read_row(struct store *store, int64_t record_id, int64_t *found)
{
    struct store_row row = {0};
    store_page_add(store->page, record_id, &row);
    int result = hand_over(store);
    if (result == 0)
        result = begin_image(store);
    return result < 0
               ? result
               : store_select_number(store, "SELECT max(rowid) FROM batch.flow_record", found);
}

/* Does SQLite take one image after the other within one transaction, and see each? */
static int check_images(struct store *store)
{
    int64_t first = 0, second = 0;
    if (sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return store_fail_sqlite(store, "cannot be opened");
    int result = read_row(store, 1, &first);
    if (result == 0)
        result = read_row(store, 2, &second);
    sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (result == 0 && (first != 1 || second != 2))
        result = store_fail(store, -ENOTSUP, "%s: this SQLite (%s) does not take pages from memory",
                            store->path, sqlite3_libversion());
    return result;
}

/* Images are read where they are, without a copy (17 ns a record); a file that is cut short while
 * it is mapped would end the process. */
static const char attach_sql[] = "PRAGMA mmap_size = 131072; PRAGMA main.mmap_size = 0;"
                                 "ATTACH ':memory:' AS batch";

int store_page_attach(struct store *store)
{
    store->page = calloc(1, sizeof *store->page);
    if (!store->page)
        return store_fail(store, -ENOMEM, "%s: %s", store->path, strerror(ENOMEM));
    int result = check_columns(store);
    if (result == 0)
        result = load_first(store);
    if (result == 0 && sqlite3_exec(store->db, attach_sql, NULL, NULL, NULL) != SQLITE_OK)
        result = store_fail_sqlite(store, "cannot be opened");
    if (result == 0)
        result = check_images(store);
    return result == 0 ? store_append_attach(store) : result;
}

void store_page_destroy(struct store_page *page)
{
    if (!page)
        return;
    sqlite3_free(page->image);
    free(page->first);
    free(page);
}
