/* address_text(): RFC 5952's rules one by one, and agreement with inet_ntop() on many addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "common/address.h"

static uint64_t random_state = 88172645463325252u;

/* xorshift64: the same addresses in every run. */
static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static void assert_text(const char *written, const char *expected)
{
    uint8_t bytes[16];
    char out[ADDRESS_TEXT_SIZE];
    unsigned family = strchr(written, ':') ? 6 : 4;

    assert_int_equal(inet_pton(family == 6 ? AF_INET6 : AF_INET, written, bytes), 1);
    assert_int_equal(address_text(family, bytes, out), strlen(expected));
    assert_string_equal(out, expected);
}

static void test_the_rules_of_rfc_5952_hold(void **state)
{
    (void)state;
    assert_text("2001:0db8::0001", "2001:db8::1");               /* 4.1 leading zeros */
    assert_text("2001:db8:0:0:0:0:2:1", "2001:db8::2:1");        /* 4.2.1 all of a run */
    assert_text("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"); /* 4.2.2 no lone group */
    assert_text("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");          /* 4.2.3 the longest */
    assert_text("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");    /* 4.2.3 the first */
    assert_text("2001:DB8::ABCD", "2001:db8::abcd");             /* 4.3 lower case */
    assert_text("::ffff:192.0.2.1", "::ffff:192.0.2.1");         /* 5 mixed notation */
    assert_text("::", "::");
    assert_text("::1", "::1");
    assert_text("1::", "1::");
    assert_text("0:0:1::", "0:0:1::");
    assert_text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_ipv4_is_a_dotted_quad(void **state)
{
    (void)state;
    assert_text("0.0.0.0", "0.0.0.0");
    assert_text("9.10.99.100", "9.10.99.100");
    assert_text("255.255.255.255", "255.255.255.255");
}

static void test_every_ipv4_octet_is_written_as_inet_ntop_does(void **state)
{
    (void)state;
    for (unsigned octet = 0; octet < 256; octet++) {
        uint8_t bytes[4] = {(uint8_t)octet, (uint8_t)(255 - octet), (uint8_t)octet, 7};
        char expected[ADDRESS_TEXT_SIZE], out[ADDRESS_TEXT_SIZE];
        inet_ntop(AF_INET, bytes, expected, sizeof expected);
        address_text(4, bytes, out);
        assert_string_equal(out, expected);
    }
}

static void test_ipv6_with_runs_of_zeros_is_written_as_inet_ntop_does(void **state)
{
    (void)state;
    for (int round = 0; round < 300000; round++) {
        uint8_t bytes[16] = {0};
        uint32_t shape = next_random();
        for (int group = 0; group < 8; group++) {
            uint32_t value = next_random() >> (next_random() % 17);
            if (shape >> group & 1)
                continue;
            bytes[2 * group] = (uint8_t)(value >> 8);
            bytes[2 * group + 1] = (uint8_t)value;
        }
        if (shape >> 8 & 1 && (shape & 0x1f) == 0x1f) /* five zero groups: IPv4-mapped too */
            memset(bytes + 10, 0xff, 2);
        char expected[ADDRESS_TEXT_SIZE], out[ADDRESS_TEXT_SIZE];
        inet_ntop(AF_INET6, bytes, expected, sizeof expected);
        assert_int_equal(address_text(6, bytes, out), strlen(expected));
        assert_string_equal(out, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rules_of_rfc_5952_hold),
        cmocka_unit_test(test_ipv4_is_a_dotted_quad),
        cmocka_unit_test(test_every_ipv4_octet_is_written_as_inet_ntop_does),
        cmocka_unit_test(test_ipv6_with_runs_of_zeros_is_written_as_inet_ntop_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
