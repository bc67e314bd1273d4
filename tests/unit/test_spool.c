/* The spool: what was put in comes out once and in order, whatever happens to the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/spool.h"

enum { BYTES_MAX = 1 << 20 };

struct spool_case {
    char directory[64];
    char path[96];
    struct spool *spool;
};

static int set_up(void **state)
{
    struct spool_case *c = calloc(1, sizeof *c);
    strcpy(c->directory, "/dev/shm/wanmeter-spool-XXXXXX");
    if (!mkdtemp(c->directory))
        return -1;
    snprintf(c->path, sizeof c->path, "%s/test.db-spool", c->directory);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct spool_case *c = *state;
    spool_close(c->spool);
    unlink(c->path);
    int result = rmdir(c->directory);
    free(c);
    return result;
}

static void open_spool(struct spool_case *c)
{
    assert_int_equal(spool_open(c->path, BYTES_MAX, &c->spool), 0);
}

static void close_spool(struct spool_case *c)
{
    spool_close(c->spool);
    c->spool = NULL;
}

/* Records 0 to n - 1: their number, as text, and then as many bytes. */
static void append_from(struct spool_case *c, unsigned first, unsigned n)
{
    for (unsigned i = first; i < n; i++) {
        char text[64] = {0};
        size_t length = (size_t)snprintf(text, sizeof text, "%u", i);
        assert_int_equal(spool_append(c->spool, i, (uint8_t *)text, length + i % 16), 0);
    }
}

/* How many come out before the end; each must be the next. */
static unsigned read_all(struct spool_case *c, unsigned first)
{
    struct spool_record record;
    unsigned i = first;
    int result;
    while ((result = spool_next(c->spool, &record)) == 0) {
        char text[64] = {0};
        size_t length = (size_t)snprintf(text, sizeof text, "%u", i);
        assert_int_equal(record.kind, i);
        assert_int_equal(record.size, length + i % 16);
        assert_memory_equal(record.bytes, text, record.size);
        i++;
    }
    assert_int_equal(result, -ENODATA);
    return i;
}

static size_t read_file(const struct spool_case *c, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(c->path, "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, size, file);
    fclose(file);
    return n;
}

static void write_file(const struct spool_case *c, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(c->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_what_goes_in_comes_out_in_order(void **state)
{
    struct spool_case *c = *state;
    open_spool(c);
    append_from(c, 0, 20);
    assert_int_equal(spool_sync(c->spool), 0);
    assert_int_equal(read_all(c, 0), 20);
    append_from(c, 20, 30);
    assert_int_equal(read_all(c, 20), 30);
}

static void test_it_is_there_after_it_was_opened_again(void **state)
{
    struct spool_case *c = *state;
    open_spool(c);
    append_from(c, 0, 20);
    close_spool(c);
    open_spool(c);
    append_from(c, 20, 25);
    assert_int_equal(read_all(c, 0), 25);
    assert_int_equal(spool_n_cut_bytes(c->spool), 0);
}

static void test_what_is_not_kept_is_read_again(void **state)
{
    struct spool_case *c = *state;
    struct spool_record record;
    open_spool(c);
    append_from(c, 0, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(spool_next(c->spool, &record), 0);
    spool_keep(c->spool);
    assert_int_equal(read_all(c, 4), 10);
    spool_rewind(c->spool);
    assert_int_equal(read_all(c, 4), 10);
}

static void test_an_empty_one_leaves_no_file(void **state)
{
    struct spool_case *c = *state;
    open_spool(c);
    append_from(c, 0, 3);
    read_all(c, 0);
    assert_int_equal(spool_clear(c->spool), 0);
    assert_true(spool_is_empty(c->spool));
    append_from(c, 0, 2);
    assert_int_equal(read_all(c, 0), 2);
    assert_int_equal(spool_clear(c->spool), 0);
    close_spool(c);
    assert_int_equal(access(c->path, F_OK), -1);
}

static void test_it_takes_no_more_than_its_bound(void **state)
{
    struct spool_case *c = *state;
    static uint8_t body[BYTES_MAX / 8];
    open_spool(c);
    int result, n = 0;
    while ((result = spool_append(c->spool, 0, body, sizeof body)) == 0)
        n++;
    assert_int_equal(result, -EFBIG);
    assert_int_equal(n, 7);
    struct stat status;
    assert_int_equal(stat(c->path, &status), 0);
    assert_true(status.st_size <= BYTES_MAX);
}

static void test_only_its_owner_may_read_it(void **state)
{
    struct spool_case *c = *state;
    struct stat status;
    mode_t mask = umask(0);
    open_spool(c);
    append_from(c, 0, 1);
    umask(mask);
    assert_int_equal(stat(c->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* The records that lie wholly within the first 'size' bytes. */
static unsigned whole_within(size_t size)
{
    size_t end = SPOOL_HEADER_SIZE;
    unsigned n = 0;
    for (;; n++) {
        char text[16];
        end += SPOOL_RECORD_HEADER_SIZE + (size_t)snprintf(text, sizeof text, "%u", n) + n % 16;
        if (end > size)
            return n;
    }
}

static void test_a_file_cut_anywhere_gives_its_whole_records_and_goes_on(void **state)
{
    struct spool_case *c = *state;
    uint8_t bytes[4096];
    open_spool(c);
    append_from(c, 0, 12);
    close_spool(c);
    size_t size = read_file(c, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= size; cut++) {
        write_file(c, bytes, cut);
        open_spool(c);
        unsigned n = whole_within(cut);
        assert_int_equal(spool_n_cut_bytes(c->spool) > 0,
                         cut > 0 && cut != size && cut != (size_t)spool_size_bytes(c->spool));
        append_from(c, n, n + 2);
        assert_int_equal(read_all(c, 0), n + 2);
        close_spool(c);
    }
}

static void test_no_flipped_bit_is_read_as_a_record(void **state)
{
    struct spool_case *c = *state;
    uint8_t bytes[4096];
    open_spool(c);
    append_from(c, 0, 12);
    close_spool(c);
    size_t size = read_file(c, bytes, sizeof bytes);
    for (size_t bit = 8 * SPOOL_HEADER_SIZE; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(c, bytes, size);
        open_spool(c);
        assert_int_equal(read_all(c, 0), whole_within(bit / 8));
        assert_true(spool_n_cut_bytes(c->spool) > 0);
        close_spool(c);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void test_a_file_of_something_else_is_refused_and_stays(void **state)
{
    struct spool_case *c = *state;
    uint8_t bytes[64];
    write_file(c, (const uint8_t *)"SQLite format 3\0 and more", 25);
    assert_int_equal(spool_open(c->path, BYTES_MAX, &c->spool), -EEXIST);
    c->spool = NULL;
    assert_int_equal(read_file(c, bytes, sizeof bytes), 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_goes_in_comes_out_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_is_there_after_it_was_opened_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_kept_is_read_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_one_leaves_no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_takes_no_more_than_its_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_its_owner_may_read_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_file_cut_anywhere_gives_its_whole_records_and_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_flipped_bit_is_read_as_a_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_of_something_else_is_refused_and_stays, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
