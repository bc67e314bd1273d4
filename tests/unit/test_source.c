#include "source_case.h"

#include <errno.h>

enum { N_RECORDS = 40, RECORD_SIZE_MAX = 90 };

/* A fixed sequence of pseudo-random numbers (Numerical Recipes' constants). */
static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* The same records in each form: microseconds, so that all can hold them. */
static struct built build_pcap(uint32_t magic, bool is_big_endian)
{
    struct built built = build(is_big_endian);
    put_pcap_header(&built, magic, 1);
    uint32_t state = 1;
    uint8_t bytes[RECORD_SIZE_MAX + 8];
    for (uint32_t i = 0; i < N_RECORDS; i++) {
        uint32_t size = next_number(&state) % RECORD_SIZE_MAX;
        memset(bytes, (int)i, sizeof bytes);
        put_u32(&built, 1000 + i);
        put_u32(&built, magic == 0xa1b23c4d ? i * 1000 : i);
        put_u32(&built, size);
        put_u32(&built, size + i);
        size_t header_rest = magic == 0xa1b2cd34 ? 8 : 0;
        put_bytes(&built, "variant's", header_rest);
        put_bytes(&built, bytes, size);
        end_part(&built, 1);
    }
    return built;
}

static void test_all_forms_of_a_pcap_file_give_the_same_frames(void **state)
{
    (void)state;
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34};
    struct built first = build_pcap(magics[0], false);
    struct reading expected = read_built(&first);
    assert_int_equal(N_RECORDS, expected.n_frames);
    for (size_t form = 0; form < 12; form++) {
        struct built plain = build_pcap(magics[form / 4], form % 2);
        struct built compressed = compress_built(&plain);
        struct reading reading = read_built(form / 2 % 2 ? &compressed : &plain);
        assert_int_equal(0, reading.n_losses);
        assert_int_equal(expected.crc, reading.crc);
        free(plain.bytes);
        free(compressed.bytes);
    }
    free(first.bytes);
}

static void test_a_cut_file_gives_all_before_the_cut_and_a_loss(void **state)
{
    (void)state;
    struct built plain = build_pcap(0xa1b2c3d4, false);
    check_every_cut(&plain);
    free(plain.bytes);
    struct built variant = build_pcap(0xa1b2cd34, true);
    check_every_cut(&variant);
    free(variant.bytes);
}

static void test_a_cut_gzip_file_is_a_loss_wherever_it_is_cut(void **state)
{
    (void)state;
    struct built plain = build_pcap(0xa1b2c3d4, false);
    struct built built = compress_built(&plain);
    size_t n_frames = 0;
    for (size_t size = built.size - 300; size < built.size; size++) {
        struct built cut = built;
        cut.size = size;
        struct reading reading = read_built(&cut);
        assert_int_equal(1, reading.n_losses);
        assert_string_equal("truncated", reading.loss.reason);
        assert_true(reading.n_frames >= n_frames);
        n_frames = reading.n_frames;
    }
    assert_int_equal(N_RECORDS, n_frames);
    free(plain.bytes);
    free(built.bytes);
}

static void test_a_wrong_byte_in_gzip_is_a_loss(void **state)
{
    (void)state;
    struct built plain = build_pcap(0xa1b2c3d4, false);
    struct built built = compress_built(&plain);
    built.bytes[built.size - 6] ^= 1; /* the checksum */
    struct reading reading = read_built(&built);
    assert_int_equal(N_RECORDS, reading.n_frames);
    assert_int_equal(1, reading.n_losses);
    assert_string_equal("damaged", reading.loss.reason);
    free(plain.bytes);
    free(built.bytes);
}

static void test_gzip_members_in_a_row_are_one_file_and_zeros_are_padding(void **state)
{
    (void)state;
    struct built plain = build_pcap(0xa1b2c3d4, false);
    struct reading expected = read_built(&plain);
    struct built head = {.bytes = plain.bytes, .size = 77};
    struct built tail = {.bytes = plain.bytes + 77, .size = plain.size - 77};
    struct built joined = compress_built(&head);
    struct built rest = compress_built(&tail);
    put_bytes(&joined, rest.bytes, rest.size);
    struct reading reading = read_built(&joined);
    assert_int_equal(0, reading.n_losses);
    assert_int_equal(expected.crc, reading.crc);
    put_bytes(&joined, "\0\0\0\0", 4);
    assert_int_equal(0, read_built(&joined).n_losses);
    put_bytes(&joined, "?", 1);
    reading = read_built(&joined);
    assert_int_equal(expected.crc, reading.crc);
    assert_string_equal("damaged", reading.loss.reason);
    free(plain.bytes);
    free(joined.bytes);
    free(rest.bytes);
}

static void test_a_length_that_no_program_writes_is_damage(void **state)
{
    (void)state;
    static uint8_t bytes[FRAME_BYTES_MAX + 1];
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b2c3d4, 1);
    put_pcap_record(&built, 1, 0, 9, bytes, FRAME_BYTES_MAX);
    struct reading reading = read_built(&built);
    assert_int_equal(1, reading.n_frames);
    assert_int_equal(0, reading.n_losses);
    put_pcap_record(&built, 1, 0, 9, bytes, FRAME_BYTES_MAX + 1);
    reading = read_built(&built);
    assert_int_equal(1, reading.n_frames);
    assert_string_equal("damaged", reading.loss.reason);
    assert_non_null(strstr(reading.loss.evidence, "262145"));
    free(built.bytes);
}

static void test_the_wire_length_is_never_below_the_captured_one(void **state)
{
    (void)state;
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b2c3d4, 1);
    put_pcap_record(&built, 1, 0, 3, "12345", 5);
    put_pcap_record(&built, 1, 0, 1500, "12345", 5);
    struct reading reading = read_built(&built);
    assert_int_equal(1505, reading.wire_bytes);
    assert_int_equal(10, reading.captured_bytes);
    free(built.bytes);
}

static void test_records_across_the_buffer_s_ends_are_whole(void **state)
{
    (void)state;
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b2c3d4, 1);
    static uint8_t bytes[FRAME_BYTES_MAX];
    uint32_t numbers = 5;
    uint32_t crc = 0;
    for (uint32_t i = 0; built.size < BUILT_MAX - FRAME_BYTES_MAX - 16; i++) {
        uint32_t size = next_number(&numbers) % (i % 16 ? 2000 : FRAME_BYTES_MAX);
        for (uint32_t k = 0; k < size; k++)
            bytes[k] = (uint8_t)(k * i);
        put_pcap_record(&built, 1, i, size, bytes, size);
        struct frame frame = {.bytes = bytes,
                              .captured_bytes = size,
                              .wire_bytes = size,
                              .time_ns = second_ns + i * INT64_C(1000),
                              .link_type = LINK_ETHERNET};
        struct reading one = {.crc = crc};
        reading_add(&one, &frame);
        crc = one.crc;
    }
    assert_int_equal(crc, read_built(&built).crc);
    struct built compressed = compress_built(&built);
    assert_int_equal(crc, read_built(&compressed).crc);
    free(compressed.bytes);
    free(built.bytes);
}

static struct frame first_frame(const struct built *built)
{
    struct files files = {0};
    files_add(&files, built->bytes, built->size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
    source_close(source);
    files_close(&files);
    return frame;
}

static void test_the_link_type_is_without_the_frame_check_sequence_s_length(void **state)
{
    (void)state;
    static const struct {
        uint32_t in_file;
        int32_t expected;
    } cases[] = {{1, LINK_ETHERNET},
                 {0x44000001, LINK_ETHERNET},
                 {276, LINK_LINUX_SLL2},
                 {12, LINK_RAW},
                 {14, LINK_RAW}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built = build(false);
        put_pcap_header(&built, 0xa1b2c3d4, cases[i].in_file);
        put_pcap_record(&built, 1, 0, 1, "1", 1);
        assert_int_equal(cases[i].expected, first_frame(&built).link_type);
        free(built.bytes);
    }
}

static void test_seconds_are_unsigned_and_a_wrong_fraction_is_carried(void **state)
{
    (void)state;
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b2c3d4, 1);
    put_pcap_record(&built, UINT32_MAX, 1500000, 1, "1", 1);
    assert_int_equal(UINT32_MAX * second_ns + 1500000000, first_frame(&built).time_ns);
    free(built.bytes);
}

/* ---- opening ---- */

static void check_refused(const char *argument, int expected, const char *cause)
{
    struct source *source = NULL;
    char error[SOURCE_ERROR_MAX] = "";
    const char *path = source_path(argument);
    assert_int_equal(expected, source_open_files(&argument, 1, 0, jump_max_ns, &source, error));
    if (!strstr(error, path) || !strstr(error, cause))
        fail_msg("'%s' does not name %s and '%s'", error, path, cause);
}

static void check_bytes_refused(const char *bytes, size_t size, const char *cause)
{
    struct files files = {0};
    files_add(&files, (const uint8_t *)bytes, size);
    check_refused(files.paths[0], -EINVAL, cause);
    files_close(&files);
}

static void test_what_is_no_capture_is_refused_with_its_name_and_the_cause(void **state)
{
    (void)state;
    check_refused("/nonexistent/file.pcap", -ENOENT, "No such file");
    check_refused("wan1=/nonexistent/file.pcap", -ENOENT, "No such file");
    check_refused("/tmp", -EISDIR, "directory");
    check_bytes_refused("", 0, "empty");
    check_bytes_refused("%PDF-1.7", 8, "starts with 25504446");
    check_bytes_refused("x", 1, "starts with 78");
    check_bytes_refused("\x1f\x8b garbage", 10, "gzip");
    check_bytes_refused("\xd4\xc3\xb2\xa1\2\0\4\0", 8, "8 of 24 bytes");
    check_bytes_refused("\xd4\xc3\xb2\xa1\3\0\4\0................", 24, "version 3");
    check_bytes_refused("\n\r\r\n....1234................", 28, "byte order magic");
    struct built text = {.bytes = (uint8_t *)(uintptr_t) "hello world", .size = 11};
    struct built compressed = compress_built(&text);
    check_bytes_refused((const char *)compressed.bytes, compressed.size, "contents");
    free(compressed.bytes);
}

static void test_one_bad_file_among_good_ones_refuses_all(void **state)
{
    (void)state;
    struct built good = build_pcap(0xa1b2c3d4, false);
    struct files files = {0};
    files_add(&files, good.bytes, good.size);
    files_add(&files, (const uint8_t *)"bad!", 4);
    struct source *source = NULL;
    char error[SOURCE_ERROR_MAX];
    assert_int_equal(-EINVAL,
                     source_open_files(files.arguments, 2, 0, jump_max_ns, &source, error));
    assert_null(source);
    assert_non_null(strstr(error, files.paths[1]));
    files_close(&files);
    free(good.bytes);
}

static void test_a_header_without_records_is_an_empty_capture(void **state)
{
    (void)state;
    struct built built = build(false);
    put_pcap_header(&built, 0xa1b2c3d4, 1);
    struct reading reading = read_built(&built);
    assert_int_equal(0, reading.n_frames + reading.n_losses);
    free(built.bytes);
}

static void test_a_file_s_packets_have_its_name_as_their_interface(void **state)
{
    (void)state;
    char path[] = "/tmp/wanmeter-source-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    struct built built = build_pcap(0xa1b2c3d4, false);
    assert_int_equal(built.size, write(descriptor, built.bytes, built.size));
    char named[64];
    snprintf(named, sizeof named, "wan-1.a=%s", path);
    const char *arguments[] = {path, named};
    const char *expected[] = {path + strlen("/tmp/"), "wan-1.a"};
    for (size_t i = 0; i < 2; i++) {
        struct source *source;
        char error[SOURCE_ERROR_MAX];
        struct frame frame;
        struct loss loss;
        assert_int_equal(0, source_open_files(&arguments[i], 1, 41, jump_max_ns, &source, error));
        assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
        assert_string_equal(expected[i], frame.interface);
        assert_int_equal(41, frame.source_index);
        assert_int_equal(-1, source_descriptor(source));
        source_close(source);
    }
    assert_string_equal(path, source_path(named));
    close(descriptor);
    unlink(path);
    free(built.bytes);
}

static void test_a_file_is_known_again_by_size_start_and_end(void **state)
{
    (void)state;
    static uint8_t bytes[3 << 20];
    uint8_t first[32], other[32];
    struct files files = {0};
    files_add(&files, bytes, sizeof bytes);
    files_add(&files, bytes, sizeof bytes);
    files_add(&files, bytes, sizeof bytes - 1);
    bytes[0] = 1;
    files_add(&files, bytes, sizeof bytes);
    bytes[0] = 0;
    bytes[sizeof bytes - 1] = 1;
    files_add(&files, bytes, sizeof bytes);
    assert_int_equal(0, source_file_identity(files.paths[0], first));
    for (size_t i = 1; i < files.n; i++) {
        assert_int_equal(0, source_file_identity(files.paths[i], other));
        assert_int_equal(i == 1, memcmp(first, other, sizeof first) == 0);
    }
    assert_int_equal(-EINVAL, source_file_identity("/dev/null", other));
    assert_int_equal(-ENOENT, source_file_identity("/nonexistent", other));
    files_close(&files);
}

static void test_a_pipe_is_waited_for_and_read_to_its_end(void **state)
{
    (void)state;
    struct built built = build_pcap(0xa1b2c3d4, false);
    struct reading expected = read_built(&built);
    int ends[2];
    assert_int_equal(0, pipe(ends));
    char path[FILE_PATH_SIZE];
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    const char *argument = path;
    struct source *source;
    char error[SOURCE_ERROR_MAX];
    assert_int_equal(30, write(ends[1], built.bytes, 30)); /* within the first record's header */
    assert_int_equal(0, source_open_files(&argument, 1, 0, jump_max_ns, &source, error));
    struct frame frame;
    struct loss loss;
    assert_int_equal(SOURCE_NOTHING, source_next(source, &frame, &loss));
    assert_int_equal(built.size - 30, write(ends[1], built.bytes + 30, built.size - 30));
    close(ends[1]);
    assert_int_equal(expected.crc, read_source(source).crc);
    uint64_t done_bytes, all_bytes;
    source_progress(source, &done_bytes, &all_bytes);
    assert_int_equal(0, all_bytes);
    source_close(source);
    close(ends[0]);
    free(built.bytes);
}

static void test_progress_ends_at_all_bytes_and_stopping_ends_reading(void **state)
{
    (void)state;
    struct built built = build_pcap(0xa1b2c3d4, false);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    for (size_t stop = 0; stop < 2; stop++) {
        struct source *source = files_open(&files);
        if (stop)
            source_stop(source);
        assert_int_equal(stop ? 0 : N_RECORDS, read_source(source).n_frames);
        uint64_t done_bytes, all_bytes;
        source_progress(source, &done_bytes, &all_bytes);
        assert_int_equal(built.size, all_bytes);
        assert_int_equal(built.size, done_bytes); /* it fits one block */
        struct source_total total;
        source_totals(source, &total, 1);
        assert_int_equal(!stop, total.is_complete);
        source_close(source);
    }
    files_close(&files);
    free(built.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms_of_a_pcap_file_give_the_same_frames),
        cmocka_unit_test(test_a_cut_file_gives_all_before_the_cut_and_a_loss),
        cmocka_unit_test(test_a_cut_gzip_file_is_a_loss_wherever_it_is_cut),
        cmocka_unit_test(test_a_wrong_byte_in_gzip_is_a_loss),
        cmocka_unit_test(test_gzip_members_in_a_row_are_one_file_and_zeros_are_padding),
        cmocka_unit_test(test_a_length_that_no_program_writes_is_damage),
        cmocka_unit_test(test_the_wire_length_is_never_below_the_captured_one),
        cmocka_unit_test(test_records_across_the_buffer_s_ends_are_whole),
        cmocka_unit_test(test_the_link_type_is_without_the_frame_check_sequence_s_length),
        cmocka_unit_test(test_seconds_are_unsigned_and_a_wrong_fraction_is_carried),
        cmocka_unit_test(test_what_is_no_capture_is_refused_with_its_name_and_the_cause),
        cmocka_unit_test(test_one_bad_file_among_good_ones_refuses_all),
        cmocka_unit_test(test_a_header_without_records_is_an_empty_capture),
        cmocka_unit_test(test_a_file_s_packets_have_its_name_as_their_interface),
        cmocka_unit_test(test_a_file_is_known_again_by_size_start_and_end),
        cmocka_unit_test(test_a_pipe_is_waited_for_and_read_to_its_end),
        cmocka_unit_test(test_progress_ends_at_all_bytes_and_stopping_ends_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
