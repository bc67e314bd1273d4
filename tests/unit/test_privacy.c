/* What is kept of addresses. The vectors are the sample trace of Crypto-PAn's authors (key and
 * IPv4), and, for IPv6, those that its other implementations agree on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporter/privacy.h"

static const uint8_t sample_key[PRIVACY_KEY_SIZE] = {
    21,  34,  23,  141, 51,  164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
    216, 152, 143, 131, 121, 121, 101, 39,  98, 87, 76, 45, 42, 132, 34,  2};

static char path[] = "/tmp/wanmeter-privacy-XXXXXX";

static void write_key(const void *key, size_t size, mode_t mode)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(key, 1, size, file), size);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void init(struct config *config, const char *addresses)
{
    struct config_errors errors = {0};
    char text[128];
    config_init(config);
    snprintf(text, sizeof text, "privacy.addresses=%s", addresses);
    config_set(config, text, &errors);
    snprintf(text, sizeof text, "privacy.key_file=%s", path);
    config_set(config, text, &errors);
    assert_int_equal(errors.n, 0);
}

static struct privacy *create(const char *addresses)
{
    struct config config;
    struct privacy *privacy;
    char error[PRIVACY_ERROR_MAX] = "";
    init(&config, addresses);
    write_key(sample_key, sizeof sample_key, 0600);
    assert_int_equal(privacy_create(&config, &privacy, error), 0);
    assert_non_null(privacy);
    config_deinit(&config);
    return privacy;
}

static void assert_becomes(struct privacy *privacy, const char *from, const char *to)
{
    bool is_ipv6 = strchr(from, ':') != NULL;
    uint8_t address[16];
    char text[INET6_ADDRSTRLEN];
    assert_int_equal(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, from, address), 1);
    privacy_address(privacy, address, is_ipv6 ? 128 : 32);
    assert_string_equal(inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address, text, sizeof text), to);
}

static void test_anonymised_addresses_are_those_of_the_published_sample(void **state)
{
    static const char *const vectors[][2] = {
        {"128.11.68.132", "135.242.180.132"},
        {"129.118.74.4", "134.136.186.123"},
        {"130.132.252.244", "133.68.164.234"},
        {"141.223.7.43", "141.167.8.160"},
        {"152.163.225.39", "151.140.114.167"},
        {"192.102.249.13", "252.138.62.131"},
        {"198.200.171.101", "249.199.68.213"},
        {"207.33.151.131", "241.1.233.131"},
        {"216.254.18.172", "235.7.16.162"},
        {"24.5.0.80", "100.9.15.210"},
        {"4.3.88.225", "124.60.155.63"},
        {"63.195.241.44", "95.179.238.44"},
        {"64.14.118.196", "0.255.183.58"},
        {"10.185.25.118", "117.161.29.118"},
        {"::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"},
        {"::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"},
        {"2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"},
        {"2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"},
    };
    (void)state;
    struct privacy *privacy = create("anonymised");
    for (int again = 0; again < 2; again++) /* the second time from the cache */
        for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
            assert_becomes(privacy, vectors[i][0], vectors[i][1]);
    privacy_destroy(privacy);
}

static unsigned shared_bits(const uint8_t *a, const uint8_t *b, unsigned n_bits)
{
    unsigned n = 0;
    while (n < n_bits && !((a[n / 8] ^ b[n / 8]) & 0x80 >> n % 8))
        n++;
    return n;
}

static void test_two_addresses_share_as_many_bits_as_before(void **state)
{
    (void)state;
    struct privacy *privacy = create("anonymised");
    srandom(1);
    for (int i = 0; i < 3000; i++) {
        unsigned n_bits = i % 2 ? 32 : 128;
        uint8_t a[16], b[16], from_a[16], from_b[16];
        for (int k = 0; k < 16; k++)
            a[k] = b[k] = (uint8_t)random();
        unsigned bit = (unsigned)random() % n_bits;
        b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        memcpy(from_a, a, 16);
        memcpy(from_b, b, 16);
        privacy_address(privacy, a, n_bits);
        privacy_address(privacy, b, n_bits);
        assert_int_equal(shared_bits(a, b, n_bits), shared_bits(from_a, from_b, n_bits));
    }
    privacy_destroy(privacy);
}

static void test_truncated_addresses_keep_their_prefix(void **state)
{
    (void)state;
    struct privacy *privacy = create("truncated");
    assert_becomes(privacy, "192.0.2.129", "192.0.2.0");
    assert_becomes(privacy, "2001:db8:1:2:3:4:5:6", "2001:db8:1::");
    privacy_destroy(privacy);
}

static void test_a_message_has_nothing_of_its_addresses_and_ids_left(void **state)
{
    (void)state;
    struct privacy *privacy = create("truncated");
    struct flow_record flow = {.id = 77, .master_id = 78, .ip_version = 4, .source_port = 5};
    memcpy(flow.source_address, (uint8_t[]){10, 1, 2, 3}, 4);
    memcpy(flow.destination_address, (uint8_t[]){192, 0, 2, 9}, 4);
    flow.counters[0].packets = 3;
    struct connection_event event = {.flow = flow};
    uint8_t flows[FLOW_RECORD_SIZE], events[CONNECTION_EVENT_SIZE];
    flow_record_put(&flow, flows);
    connection_event_put(&event, events);
    struct message message = {.flows = flows, .n_flows = 1, .events = events, .n_events = 1};
    privacy_apply(privacy, &message);
    struct flow_record after;
    assert_true(flow_record_get(flows, &after));
    assert_true(connection_event_get(events, &event));
    assert_int_equal(after.id, privacy_flow_id(privacy, 77));
    assert_int_equal(after.master_id, privacy_flow_id(privacy, 78));
    assert_int_not_equal(after.id, 77);
    assert_memory_equal(after.source_address, ((uint8_t[]){10, 1, 2, 0}), 4);
    assert_memory_equal(after.destination_address, ((uint8_t[]){192, 0, 2, 0}), 4);
    assert_int_equal(after.counters[0].packets, 3);
    assert_int_equal(after.source_port, 5);
    assert_int_equal(event.flow.id, after.id);
    assert_memory_equal(event.flow.source_address, after.source_address, 16);
    assert_int_equal(privacy_flow_id(privacy, 0), 0);
    privacy_destroy(privacy);
}

static void assert_refused(const char *addresses, const char *word)
{
    struct config config;
    struct privacy *privacy;
    char error[PRIVACY_ERROR_MAX] = "";
    init(&config, addresses);
    assert_true(privacy_create(&config, &privacy, error) < 0);
    assert_null(privacy);
    assert_non_null(strstr(error, word));
    config_deinit(&config);
}

static void test_a_key_that_others_may_read_or_that_is_none_is_refused(void **state)
{
    (void)state;
    write_key(sample_key, sizeof sample_key, 0640);
    assert_refused("anonymised", "others may read");
    write_key(sample_key, sizeof sample_key - 1, 0600);
    assert_refused("truncated", "not a key of 32 bytes");
    write_key("0123456789012345678901234567890123", 34, 0600);
    assert_refused("anonymised", "not a key of 32 bytes");
    unlink(path);
    assert_refused("anonymised", "No such file");
}

static void test_addresses_in_full_need_no_key(void **state)
{
    (void)state;
    struct config config;
    struct privacy *privacy = (struct privacy *)path;
    char error[PRIVACY_ERROR_MAX];
    config_init(&config);
    assert_int_equal(privacy_create(&config, &privacy, error), 0);
    assert_null(privacy);
    privacy_apply(NULL, NULL);
    config_deinit(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anonymised_addresses_are_those_of_the_published_sample),
        cmocka_unit_test(test_two_addresses_share_as_many_bits_as_before),
        cmocka_unit_test(test_truncated_addresses_keep_their_prefix),
        cmocka_unit_test(test_a_message_has_nothing_of_its_addresses_and_ids_left),
        cmocka_unit_test(test_a_key_that_others_may_read_or_that_is_none_is_refused),
        cmocka_unit_test(test_addresses_in_full_need_no_key),
    };
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return 1;
    close(descriptor);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return result;
}
