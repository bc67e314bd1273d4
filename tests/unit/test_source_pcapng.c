#include "source_case.h"

static void put_block_header(struct built *built, uint32_t type, uint32_t body_size)
{
    put_u32(built, type);
    put_u32(built, (body_size + 3) / 4 * 4 + 12);
}

static void put_block_end(struct built *built, uint32_t body_size)
{
    put_bytes(built, "\0\0", (4 - body_size % 4) % 4);
    put_u32(built, (body_size + 3) / 4 * 4 + 12);
}

static void put_block(struct built *built, uint32_t type, const void *body, uint32_t size)
{
    put_block_header(built, type, size);
    put_bytes(built, body, size);
    put_block_end(built, size);
}

static void put_section(struct built *built)
{
    put_block_header(built, 0x0a0d0d0a, 16);
    put_u32(built, 0x1a2b3c4d);
    put_u16(built, 1);
    put_u16(built, 0);
    put_number(built, UINT64_MAX, 8);
    put_block_end(built, 16);
}

/* 'resolution': if_tsresol; 'name': 4 letters. */
static void put_interface(struct built *built, unsigned link_type, const char *name,
                          uint8_t resolution, int64_t offset_s)
{
    put_block_header(built, 1, 8 + 8 + 8 + 12 + 4);
    put_u16(built, link_type);
    put_u16(built, 0);
    put_u32(built, 0);
    put_u16(built, 2);
    put_u16(built, 4);
    put_bytes(built, name, 4);
    put_u16(built, 9);
    put_u16(built, 1);
    put_number(built, resolution, 1);
    put_bytes(built, "\0\0", 3);
    put_u16(built, 14);
    put_u16(built, 8);
    put_number(built, (uint64_t)offset_s, 8);
    put_u32(built, 0);
    put_block_end(built, 8 + 8 + 8 + 12 + 4);
}

static void put_enhanced(struct built *built, uint32_t interface, uint64_t ticks, uint32_t wire,
                         const void *bytes, uint32_t size)
{
    put_block_header(built, 6, 20 + size);
    put_u32(built, interface);
    put_u32(built, (uint32_t)(ticks >> 32));
    put_u32(built, (uint32_t)ticks);
    put_u32(built, size);
    put_u32(built, wire);
    put_bytes(built, bytes, size);
    put_block_end(built, 20 + size);
}

/* Like put_interface(), with nanoseconds and no offset. */
static void put_plain_interface(struct built *built, unsigned link_type, const char *name)
{
    put_interface(built, link_type, name, 9, 0);
}

static struct built build_pcapng(bool is_big_endian)
{
    struct built built = build(is_big_endian);
    put_section(&built);
    end_part(&built, 0);
    put_plain_interface(&built, 1, "eth0");
    end_part(&built, 0);
    for (uint32_t i = 0; i < 12; i++) {
        put_enhanced(&built, 0, 1700000000000000000 + i, 60 + i, "frame's bytes", i);
        end_part(&built, 1);
        put_block(&built, 0x0bad, "skipped, and its padding too", i);
        end_part(&built, 0);
    }
    return built;
}

static void test_both_byte_orders_give_the_same_frames(void **state)
{
    (void)state;
    struct built little = build_pcapng(false);
    struct built big = build_pcapng(true);
    struct reading expected = read_built(&little);
    assert_int_equal(12, expected.n_frames);
    assert_int_equal(expected.crc, read_built(&big).crc);
    struct built compressed = compress_built(&big);
    assert_int_equal(expected.crc, read_built(&compressed).crc);
    free(little.bytes);
    free(big.bytes);
    free(compressed.bytes);
}

static void test_a_cut_file_gives_all_before_the_cut_and_a_loss(void **state)
{
    (void)state;
    struct built built = build_pcapng(true);
    check_every_cut(&built);
    free(built.bytes);
}

static void test_sections_of_both_byte_orders_follow_each_other(void **state)
{
    (void)state;
    struct built little = build_pcapng(false);
    struct built big = build_pcapng(true);
    put_bytes(&little, big.bytes, big.size);
    struct reading reading = read_built(&little);
    assert_int_equal(24, reading.n_frames);
    assert_int_equal(0, reading.n_losses);
    free(little.bytes);
    free(big.bytes);
}

static void test_a_section_forgets_the_interfaces_before_it(void **state)
{
    (void)state;
    struct built built = build_pcapng(false);
    put_section(&built);
    put_enhanced(&built, 0, 0, 1, "1", 1);
    struct reading reading = read_built(&built);
    assert_int_equal(12, reading.n_frames);
    assert_string_equal("damaged", reading.loss.reason);
    assert_non_null(strstr(reading.loss.evidence, "interface 0"));
    free(built.bytes);
}

static void test_each_packet_has_its_interface_s_name_and_link_type(void **state)
{
    (void)state;
    struct built built = build(false);
    put_section(&built);
    put_plain_interface(&built, 1, "eth0");
    put_plain_interface(&built, 101, "ppp7");
    for (uint32_t i = 0; i < 4; i++)
        put_enhanced(&built, i % 2, i, 1, "1", 1);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
        assert_string_equal(i % 2 ? "ppp7" : "eth0", frame.interface);
        assert_int_equal(i % 2 ? LINK_RAW : LINK_ETHERNET, frame.link_type);
    }
    source_close(source);
    files_close(&files);
    free(built.bytes);
}

static int64_t time_of(uint8_t resolution, int64_t offset_s, uint64_t ticks)
{
    struct built built = build(resolution % 2);
    put_section(&built);
    put_interface(&built, 1, "eth0", resolution, offset_s);
    put_enhanced(&built, 0, ticks, 1, "1", 1);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
    source_close(source);
    files_close(&files);
    free(built.bytes);
    return frame.time_ns;
}

static void test_times_are_in_the_interface_s_resolution(void **state)
{
    (void)state;
    const int64_t whole = INT64_C(1700000000) * second_ns;
    assert_int_equal(whole, time_of(0, 0, 1700000000));
    assert_int_equal(whole + 123000000, time_of(3, 0, 1700000000123));
    assert_int_equal(whole + 123456000, time_of(6, 0, 1700000000123456));
    assert_int_equal(whole + 123456789, time_of(9, 0, 1700000000123456789));
    assert_int_equal(second_ns, time_of(12, 0, 1000000000999));
    assert_int_equal(1, time_of(18, 0, 1999999999));
    assert_int_equal(0, time_of(100, 0, UINT64_MAX));
    assert_int_equal(whole + second_ns / 2, time_of(0x81, 0, UINT64_C(3400000001)));
    assert_int_equal(second_ns + 953, time_of(0x94, 0, (1 << 20) + 1));
    assert_int_equal(second_ns / 4, time_of(0xbf, 0, UINT64_C(1) << 61));
    assert_int_equal(0, time_of(0xff, 0, UINT64_MAX));
}

static void test_the_offset_is_added_and_the_result_is_clamped(void **state)
{
    (void)state;
    assert_int_equal(3601 * second_ns, time_of(9, 3600, 1000000000));
    assert_int_equal(0, time_of(9, -3600, 1000000000));
    assert_int_equal(1, time_of(6, -1700000000, UINT64_C(1700000000000000)) + 1);
    assert_int_equal(FRAME_TIME_MAX_NS, time_of(9, 0, UINT64_MAX));
    assert_int_equal(FRAME_TIME_MAX_NS, time_of(0, INT64_MAX, UINT64_MAX));
    assert_int_equal(FRAME_TIME_MAX_NS, time_of(6, 0, UINT64_MAX));
    assert_int_equal(0, time_of(0, INT64_MIN, 5));
}

static void test_the_obsolete_packet_block_is_read(void **state)
{
    (void)state;
    struct built built = build(true);
    put_section(&built);
    put_plain_interface(&built, 113, "eth0");
    put_block_header(&built, 2, 20 + 5);
    put_u16(&built, 0);
    put_u16(&built, 65535); /* drops: not known */
    put_u32(&built, 0);
    put_u32(&built, 77);
    put_u32(&built, 5);
    put_u32(&built, 1500);
    put_bytes(&built, "bytes", 5);
    put_block_end(&built, 25);
    struct reading reading = read_built(&built);
    assert_int_equal(1, reading.n_frames);
    assert_int_equal(5, reading.captured_bytes);
    assert_int_equal(1500, reading.wire_bytes);
    free(built.bytes);
}

static void test_a_simple_packet_has_the_clock_and_its_interface_s_snap_length(void **state)
{
    (void)state;
    struct built built = build(false);
    put_section(&built);
    put_block(&built, 1, "\1\0\0\0\4\0\0\0", 8); /* snap length 4, microseconds */
    put_enhanced(&built, 0, 5000000, 1, "1", 1);
    put_block(&built, 3, "\xdc\5\0\0ABCD", 8); /* 1500 on the wire */
    put_block(&built, 3, "\2\0\0\0AB", 6);
    struct files files = {0};
    files_add(&files, built.bytes, built.size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    static const uint32_t captured[] = {1, 4, 2}, wire[] = {1, 1500, 2};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(SOURCE_FRAME, source_next(source, &frame, &loss));
        assert_int_equal(captured[i], frame.captured_bytes);
        assert_int_equal(wire[i], frame.wire_bytes);
        assert_int_equal(5 * second_ns, frame.time_ns);
    }
    assert_int_equal(SOURCE_END, source_next(source, &frame, &loss));
    source_close(source);
    files_close(&files);
    free(built.bytes);
}

static void test_unknown_blocks_are_skipped_however_long(void **state)
{
    (void)state;
    static uint8_t body[3 << 20];
    struct built built = build_pcapng(false);
    put_block(&built, 0x80000001, body, sizeof body);
    put_enhanced(&built, 0, 1700000000000000000, 1, "1", 1);
    struct reading reading = read_built(&built);
    assert_int_equal(13, reading.n_frames);
    assert_int_equal(0, reading.n_losses);
    free(built.bytes);
}

/* Damages a copy of a good file, and expects 'n_frames' and a loss that says 'evidence'. */
static void check_damage(size_t offset, uint32_t number, size_t n_frames, const char *evidence)
{
    struct built built = build_pcapng(false);
    memcpy(built.bytes + offset, &number, sizeof number);
    struct reading reading = read_built(&built);
    assert_int_equal(n_frames, reading.n_frames);
    assert_int_equal(1, reading.n_losses);
    assert_string_equal("damaged", reading.loss.reason);
    if (!strstr(reading.loss.evidence, evidence))
        fail_msg("'%s' does not say '%s'", reading.loss.evidence, evidence);
    free(built.bytes);
}

static void test_damage_ends_the_file_and_says_what_was_expected(void **state)
{
    (void)state;
    struct built built = build_pcapng(false);
    size_t interface = built.part_ends[0];
    size_t packet = built.part_ends[3]; /* the second one */
    size_t skipped = built.part_ends[2];
    free(built.bytes);
    check_damage(packet + 4, 8, 1, "at least 12");
    check_damage(packet + 4, 33, 1, "multiple of 4");
    check_damage(packet + 4, 1 << 30, 1, "at most 524288");
    check_damage(packet + 8, 1, 1, "interface 1");
    check_damage(packet + 20, 300000, 1, "captured length 300000");
    check_damage(packet + 20, 5, 1, "captured length 5");
    check_damage(packet + 32, 4, 1, "at its end");
    check_damage(skipped + 8, 0, 1, "at its end");
    check_damage(interface + 16, 0x40000002, 0, "option 2");
    check_damage(interface + 24, 0x00020009, 0, "if_tsresol");
    check_damage(interface + 32, 0x0007000e, 0, "if_tsoffset");
    check_damage(interface, 0x0a0d0d0a, 0, "byte order magic");
}

/* ---- what a capture says that it has lost ---- */

/* 'drops': epb_dropcount. */
static void put_enhanced_with_drops(struct built *built, uint64_t ticks, uint64_t drops)
{
    put_block_header(built, 6, 20 + 5 + 3 + 12 + 4);
    put_u32(built, 0);
    put_u32(built, (uint32_t)(ticks >> 32));
    put_u32(built, (uint32_t)ticks);
    put_u32(built, 5);
    put_u32(built, 5);
    put_bytes(built, "abcde\0\0", 8);
    put_u16(built, 4);
    put_u16(built, 8);
    put_number(built, drops, 8);
    put_u32(built, 0);
    put_block_end(built, 20 + 5 + 3 + 12 + 4);
}

/* isb_ifdrop and isb_osdrop */
static void put_statistics(struct built *built, uint64_t nic, uint64_t kernel)
{
    put_block_header(built, 5, 12 + 12 + 12 + 4);
    put_u32(built, 0);
    put_u32(built, 0);
    put_u32(built, 0);
    put_u16(built, 5);
    put_u16(built, 8);
    put_number(built, nic, 8);
    put_u16(built, 7);
    put_u16(built, 8);
    put_number(built, kernel, 8);
    put_u32(built, 0);
    put_block_end(built, 12 + 12 + 12 + 4);
}

struct recorded {
    size_t n_frames;
    size_t n_lines;
    int64_t packets[LOSS_STAGE_N];
    struct loss last;
    bool is_complete;
};

static void read_recorded(const struct built *built, struct recorded *recorded)
{
    struct files files = {0};
    files_add(&files, built->bytes, built->size);
    struct source *source = files_open(&files);
    struct frame frame;
    struct loss loss;
    struct source_total total;
    enum source_result result;
    *recorded = (struct recorded){0};
    while ((result = source_next(source, &frame, &loss)) != SOURCE_END) {
        recorded->n_frames += result == SOURCE_FRAME;
        if (result != SOURCE_LOSS)
            continue;
        recorded->n_lines++;
        recorded->packets[loss.stage] += loss.packets;
        recorded->last = loss;
    }
    assert_int_equal(source_totals(source, &total, 1), 1);
    recorded->is_complete = total.is_complete;
    source_close(source);
    files_close(&files);
}

static const uint64_t SLOT_NS = SLOT_SECONDS * UINT64_C(1000000000);

static void test_what_a_capture_lost_is_a_line_and_not_its_end(void **state)
{
    (void)state;
    struct built built = build(false);
    struct recorded recorded;
    put_section(&built);
    put_interface(&built, 1, "eth0", 9, 0);
    put_enhanced(&built, 0, 1000, 5, "abcde", 5);
    put_statistics(&built, 0, 0);
    put_enhanced(&built, 0, 2000, 5, "abcde", 5);
    put_statistics(&built, 7, 2);
    put_enhanced(&built, 0, 3000, 5, "abcde", 5);
    put_statistics(&built, 7, 3);
    read_recorded(&built, &recorded);
    assert_int_equal(recorded.n_frames, 3);
    assert_int_equal(recorded.packets[LOSS_NIC], 7);
    assert_int_equal(recorded.packets[LOSS_KERNEL], 3);
    assert_int_equal(recorded.n_lines, 2);
    assert_string_equal(recorded.last.reason, "recorded");
    assert_int_equal(recorded.last.certainty, LOSS_DERIVED);
    assert_int_equal(recorded.last.l2_bytes, LOSS_AMOUNT_UNKNOWN);
    assert_int_equal(recorded.last.first_ns, 1000);
    assert_int_equal(recorded.last.last_ns, 3000);
    assert_true(recorded.is_complete);
    free(built.bytes);
}

static void test_an_obsolete_packet_block_tells_of_drops_too(void **state)
{
    (void)state;
    struct built built = build(true);
    struct recorded recorded;
    put_section(&built);
    put_plain_interface(&built, 113, "eth0");
    put_block_header(&built, 2, 20);
    put_u16(&built, 0);
    put_u16(&built, 9);
    put_u32(&built, 0);
    put_u32(&built, 77);
    put_u32(&built, 0);
    put_u32(&built, 0);
    put_block_end(&built, 20);
    read_recorded(&built, &recorded);
    assert_int_equal(recorded.n_frames, 1);
    assert_int_equal(recorded.packets[LOSS_KERNEL], 9);
    free(built.bytes);
}

static void test_drops_told_by_packets_and_by_statistics_are_counted_once(void **state)
{
    (void)state;
    struct built built = build(false);
    struct recorded recorded;
    put_section(&built);
    put_interface(&built, 1, "eth0", 9, 0);
    put_enhanced_with_drops(&built, 1000, 4);
    put_enhanced_with_drops(&built, 2000, 0);
    put_enhanced_with_drops(&built, 3000, 2);
    put_statistics(&built, 0, 10);
    read_recorded(&built, &recorded);
    assert_int_equal(recorded.n_frames, 3);
    assert_int_equal(recorded.packets[LOSS_KERNEL], 10);
    assert_int_equal(recorded.n_lines, 1);
    free(built.bytes);
}

static void test_lines_of_drops_are_cut_at_slots(void **state)
{
    (void)state;
    struct built built = build(false);
    struct recorded recorded;
    put_section(&built);
    put_interface(&built, 1, "eth0", 9, 0);
    for (uint64_t i = 1; i <= 4; i++)
        put_enhanced_with_drops(&built, i * SLOT_NS, 5);
    read_recorded(&built, &recorded);
    assert_int_equal(recorded.n_frames, 4);
    assert_int_equal(recorded.packets[LOSS_KERNEL], 20);
    assert_int_equal(recorded.n_lines, 3); /* the first two are told together */
    free(built.bytes);
}

/* A lone wrong time is judged by its neighbours, whatever is told between them. */
static void test_drops_do_not_come_between_a_doubtful_time_and_its_neighbour(void **state)
{
    (void)state;
    struct built built = build(false);
    struct recorded recorded;
    put_section(&built);
    put_interface(&built, 1, "eth0", 9, 0);
    put_enhanced(&built, 0, SLOT_NS, 5, "abcde", 5);
    put_enhanced_with_drops(&built, SLOT_NS + 1000000000 * UINT64_C(86400000), 3);
    put_enhanced_with_drops(&built, SLOT_NS + 1000, 3);
    read_recorded(&built, &recorded);
    assert_int_equal(recorded.n_frames, 3);
    assert_int_equal(recorded.packets[LOSS_KERNEL], 6);
    assert_int_equal(recorded.last.last_ns, (int64_t)SLOT_NS + 1000);
    free(built.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_byte_orders_give_the_same_frames),
        cmocka_unit_test(test_a_cut_file_gives_all_before_the_cut_and_a_loss),
        cmocka_unit_test(test_sections_of_both_byte_orders_follow_each_other),
        cmocka_unit_test(test_a_section_forgets_the_interfaces_before_it),
        cmocka_unit_test(test_each_packet_has_its_interface_s_name_and_link_type),
        cmocka_unit_test(test_times_are_in_the_interface_s_resolution),
        cmocka_unit_test(test_the_offset_is_added_and_the_result_is_clamped),
        cmocka_unit_test(test_the_obsolete_packet_block_is_read),
        cmocka_unit_test(test_a_simple_packet_has_the_clock_and_its_interface_s_snap_length),
        cmocka_unit_test(test_unknown_blocks_are_skipped_however_long),
        cmocka_unit_test(test_damage_ends_the_file_and_says_what_was_expected),
        cmocka_unit_test(test_what_a_capture_lost_is_a_line_and_not_its_end),
        cmocka_unit_test(test_an_obsolete_packet_block_tells_of_drops_too),
        cmocka_unit_test(test_drops_told_by_packets_and_by_statistics_are_counted_once),
        cmocka_unit_test(test_lines_of_drops_are_cut_at_slots),
        cmocka_unit_test(test_drops_do_not_come_between_a_doubtful_time_and_its_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
