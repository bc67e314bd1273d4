/* Header compression, estimated: edges by hand; vectors beside the checkout (WANMETER_SHARED, or
 * ../shared). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/overhead/header_compression.h"

static void test_a_packet_of_each_period_is_sent_whole(void **state)
{
    (void)state;
    const struct header_compression *rohc = header_compression_get(HEADER_COMPRESSION_ROHC_UDP);
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(header_compression_bytes(rohc, n, 4, 128), n % 64 ? 103 : 131);
}

static void test_a_packet_without_the_headers_is_left_as_it_is(void **state)
{
    (void)state;
    const struct header_compression *crtp = header_compression_get(HEADER_COMPRESSION_CRTP);
    assert_int_equal(header_compression_bytes(crtp, 1, 4, 39), 39);
    assert_int_equal(header_compression_bytes(crtp, 1, 4, 40), 2);
    assert_int_equal(header_compression_bytes(crtp, 1, 6, 59), 59);
}

/* The vectors' names say profile and IP version in one. */
static const struct {
    const char *vector;
    int profile;
    unsigned ip_version;
} names[] = {
    {"iphc-udp4", HEADER_COMPRESSION_IPHC_UDP, 4},
    {"iphc-udp6", HEADER_COMPRESSION_IPHC_UDP, 6},
    {"crtp4-nocksum", HEADER_COMPRESSION_CRTP, 4},
    {"crtp4-cksum", HEADER_COMPRESSION_CRTP_CHECKSUM, 4},
    {"rohc-udp4-U", HEADER_COMPRESSION_ROHC_UDP, 4},
    {"rohc-rtp4-U", HEADER_COMPRESSION_ROHC_RTP, 4},
    {"rohc-rtp6-U", HEADER_COMPRESSION_ROHC_RTP, 6},
};

static void check_line(const char *line)
{
    char vector[32];
    unsigned n, l3_bytes, billed;
    assert_int_equal(sscanf(line, "%31[^,],%u,%u,%u", vector, &n, &l3_bytes, &billed), 4);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].vector, vector) != 0)
            continue;
        const struct header_compression *profile = header_compression_get(names[i].profile);
        if (header_compression_bytes(profile, n, names[i].ip_version, l3_bytes) != billed)
            fail_msg("%s", line);
        return;
    }
    fail_msg("a profile that is not known: %s", vector);
}

static void test_all_vectors_agree(void **state)
{
    (void)state;
    const char *shared = getenv("WANMETER_SHARED");
    char path[4096], line[256];
    snprintf(path, sizeof(path), "%s/vectors/overhead/hc-estimates.csv",
             shared != NULL ? shared : "../shared");
    FILE *file = fopen(path, "r");
    if (file == NULL)
        skip();
    unsigned n = 0;
    assert_non_null(fgets(line, sizeof(line), file));
    for (; fgets(line, sizeof(line), file) != NULL; n++)
        check_line(line);
    fclose(file);
    print_message("%u packets\n", n);
    assert_true(n > 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_of_each_period_is_sent_whole),
        cmocka_unit_test(test_a_packet_without_the_headers_is_left_as_it_is),
        cmocka_unit_test(test_all_vectors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
