/* TCP/IP header compression: edges by hand; with vectors beside the checkout (WANMETER_SHARED, or
 * ../shared) every packet of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/vj.h"

struct segment {
    unsigned source, destination, source_port, destination_port, protocol, tos, ttl, df, fragment,
        id, length, ip_words, tcp_words, flags, sequence, acknowledgment, window, urgent;
    unsigned options; /* what is in them */
};

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, unsigned value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static size_t build(const struct segment *segment, uint8_t header[VJ_HEADER_MAX])
{
    uint8_t *tcp = header + segment->ip_words * 4;
    memset(header, 0, VJ_HEADER_MAX);
    header[0] = (uint8_t)(0x40 | segment->ip_words);
    header[1] = (uint8_t)segment->tos;
    put16(header + 2, segment->length);
    put16(header + 4, segment->id);
    put16(header + 6, segment->df << 14 | segment->fragment << 13);
    header[8] = (uint8_t)segment->ttl;
    header[9] = (uint8_t)segment->protocol;
    put32(header + 12, segment->source);
    put32(header + 16, segment->destination);
    put16(tcp, segment->source_port);
    put16(tcp + 2, segment->destination_port);
    put32(tcp + 4, segment->sequence);
    put32(tcp + 8, segment->acknowledgment);
    tcp[12] = (uint8_t)(segment->tcp_words << 4);
    tcp[13] = (uint8_t)segment->flags;
    put16(tcp + 14, segment->window);
    put16(tcp + 18, segment->urgent);
    for (unsigned i = 5; i < segment->tcp_words; i++)
        put32(tcp + i * 4, segment->options);
    return (segment->ip_words + segment->tcp_words) * 4;
}

static uint32_t send(struct vj *link, const struct segment *segment)
{
    uint8_t header[VJ_HEADER_MAX];
    size_t size = build(segment, header);
    return vj_bytes(link, header, size, segment->length);
}

static const struct segment first = {
    .source = 1,
    .destination = 2,
    .source_port = 1024,
    .destination_port = 23,
    .protocol = 6,
    .ttl = 64,
    .df = 1,
    .id = 100,
    .length = 41,
    .ip_words = 5,
    .tcp_words = 5,
    .flags = 16,
    .sequence = 1000,
    .acknowledgment = 2000,
    .window = 8192,
};

static struct segment after(const struct segment *before)
{
    struct segment segment = *before;
    segment.id++;
    segment.sequence += before->length - 40;
    return segment;
}

static void test_bulk_and_echo_take_a_header_of_three_bytes(void **state)
{
    (void)state;
    struct vj link;
    vj_init(&link, 16, true);
    assert_int_equal(send(&link, &first), 41); /* a new connection: whole */
    struct segment bulk = after(&first);
    assert_int_equal(send(&link, &bulk), 1 + 3);
    struct segment echo = after(&bulk);
    echo.acknowledgment += 1;
    assert_int_equal(send(&link, &echo), 1 + 3);
}

static void test_the_slot_is_said_where_it_is_another(void **state)
{
    (void)state;
    struct vj link;
    struct segment other = first;
    other.source_port++;
    for (int compresses_id = 0; compresses_id < 2; compresses_id++) {
        vj_init(&link, 2, compresses_id);
        send(&link, &first);
        send(&link, &other);
        struct segment next = after(&first);
        assert_int_equal(send(&link, &next), 1 + 4);
        next = after(&next);
        assert_int_equal(send(&link, &next), 1 + (compresses_id ? 3 : 4));
    }
}

static void test_the_slot_used_longest_ago_is_given_away(void **state)
{
    (void)state;
    struct vj link;
    vj_init(&link, 2, true);
    struct segment third = first, second = first;
    second.source_port = 2;
    third.source_port = 3;
    send(&link, &first);
    send(&link, &second);
    send(&link, &third); /* takes the first one's */
    struct segment next = after(&second);
    assert_int_equal(send(&link, &next), 1 + 4);
    next = after(&first);
    assert_int_equal(send(&link, &next), 41);
}

static void test_what_cannot_be_told_is_sent_whole(void **state)
{
    (void)state;
    struct vj link;
    vj_init(&link, 16, true);
    send(&link, &first);
    assert_int_equal(send(&link, &first), 41); /* again the same */
    struct segment segment = first;
    segment.ttl--;
    assert_int_equal(send(&link, &segment), 41);
    segment.acknowledgment += 65536;
    assert_int_equal(send(&link, &segment), 41);
    segment.sequence -= 1;
    assert_int_equal(send(&link, &segment), 41);
    segment.flags |= 1;
    assert_int_equal(send(&link, &segment), 41);
}

static void test_a_header_that_is_cut_is_left_as_it_is(void **state)
{
    (void)state;
    struct vj link;
    uint8_t header[VJ_HEADER_MAX];
    vj_init(&link, 16, true);
    size_t size = build(&first, header);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, header, cut);
        assert_int_equal(vj_bytes(&link, copy, cut, 41), 41);
        free(copy);
    }
    assert_int_equal(link.n_used, 0);
}

/* ---- vectors: packets and their lengths, computed elsewhere ---- */

static unsigned flags_of(const char *text)
{
    static const char letters[] = "FSRPAU";
    unsigned flags = 0;
    for (; *text; text++)
        flags |= 1u << (strchr(letters, *text) - letters);
    return flags;
}

/* Empty fields are NULL-terminated words too. */
static size_t split(char *line, char *fields[], size_t n_max)
{
    size_t n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    while (n < n_max && line)
        fields[n++] = strsep(&line, ",");
    return n;
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

/* Another process goes on with the link. */
static void hand_over(struct vj *link)
{
    struct memory memory = {0};
    struct vj other;
    vj_write(link, &memory);
    vj_init(&other, link->n_slots, link->compresses_id);
    struct memory_reader reader = {memory.bytes, memory.size};
    assert_true(vj_read(&other, &reader));
    assert_true(memory_is_over(&reader));
    *link = other;
    memory_deinit(&memory);
}

static void test_a_successor_goes_on_where_the_link_was(void **state)
{
    (void)state;
    struct vj link;
    struct segment segment = first;
    vj_init(&link, 16, true);
    send(&link, &segment);
    for (int i = 0; i < 5; i++) {
        hand_over(&link);
        segment = after(&segment);
        assert_int_equal(send(&link, &segment), 1 + 3);
    }
}

static void test_another_links_state_or_none_at_all_is_refused(void **state)
{
    (void)state;
    struct vj link, other;
    struct memory memory = {0};
    vj_init(&link, 16, true);
    vj_write(&link, &memory);
    vj_init(&other, 8, true);
    assert_false(vj_read(&other, &(struct memory_reader){memory.bytes, memory.size}));
    for (size_t size = 0; size < memory.size; size++)
        assert_false(vj_read(&link, &(struct memory_reader){memory.bytes, size}));
    memory_deinit(&memory);
}

static bool check_line(struct vj *link, char *line)
{
    enum { N_FIELDS = 22, FLAGS = 14 };
    char *fields[N_FIELDS];
    assert_int_equal(split(line, fields, N_FIELDS), N_FIELDS);
    struct segment segment;
    unsigned *members = (unsigned *)&segment;
    for (unsigned i = 0; i < 19; i++)
        members[i] = i + 1 == FLAGS ? flags_of(fields[FLAGS]) : number(fields[i + 1]);
    uint32_t bytes = send(link, &segment);
    if (bytes != number(fields[21]))
        fail_msg("packet %s: %u bytes, expected %s (%s)", fields[0], bytes, fields[21], fields[20]);
    return true;
}

/* False: there is no such file. */
static bool check_file(const char *name, unsigned n_slots, bool compresses_id)
{
    const char *shared = getenv("WANMETER_SHARED");
    char path[4096], line[512];
    snprintf(path, sizeof(path), "%s/vectors/overhead/%s", shared != NULL ? shared : "../shared",
             name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    struct vj link;
    vj_init(&link, n_slots, compresses_id);
    unsigned n = 0;
    assert_non_null(fgets(line, sizeof(line), file));
    while (fgets(line, sizeof(line), file) != NULL) {
        n += check_line(&link, line);
        if (n % 7 == 0)
            hand_over(&link);
    }
    fclose(file);
    print_message("%s: %u packets\n", name, n);
    assert_true(n > 500);
    return true;
}

static void test_all_vectors_agree(void **state)
{
    (void)state;
    unsigned n_files = check_file("vj-16-cid.csv", 16, true);
    n_files += check_file("vj-16-nocid.csv", 16, false);
    n_files += check_file("vj-4-cid.csv", 4, true);
    if (n_files == 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_and_echo_take_a_header_of_three_bytes),
        cmocka_unit_test(test_a_successor_goes_on_where_the_link_was),
        cmocka_unit_test(test_another_links_state_or_none_at_all_is_refused),
        cmocka_unit_test(test_the_slot_is_said_where_it_is_another),
        cmocka_unit_test(test_the_slot_used_longest_ago_is_given_away),
        cmocka_unit_test(test_what_cannot_be_told_is_sent_whole),
        cmocka_unit_test(test_a_header_that_is_cut_is_left_as_it_is),
        cmocka_unit_test(test_all_vectors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
