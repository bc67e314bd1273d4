/* Expressions over the header that is made again from a descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#include "proto/filter.h"

static struct packet tcp_packet(void)
{
    return (struct packet){
        .l3_bytes = 1500,
        .protocol = 6,
        .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
        .parts = PACKET_PART_TCP,
        .source_address = {192, 0, 2, 1},
        .destination_address = {198, 51, 100, 7},
        .source_port = 40000,
        .destination_port = 443,
        .tcp = {.flags = TCP_SYN, .sequence = 0x01020304, .window = 1000},
    };
}

static bool matches(const char *expression, const struct packet *packet, bool is_swapped)
{
    struct filter *filter;
    char error[FILTER_ERROR_SIZE];
    struct filter_header header;
    assert_int_equal(filter_create(expression, &filter, error), 0);
    filter_header_make(packet, is_swapped, &header);
    bool is_match = filter_matches(filter, &header);
    filter_destroy(filter);
    return is_match;
}

static bool libpcap_matches(const char *expression, const struct filter_header *header)
{
    struct bpf_program program;
    struct pcap_pkthdr frame = {.caplen = header->size, .len = header->wire_bytes};
    pcap_t *handle = pcap_open_dead(DLT_RAW, 65535);
    assert_non_null(handle);
    assert_int_equal(pcap_compile(handle, &program, expression, 1, PCAP_NETMASK_UNKNOWN), 0);
    bool is_match = pcap_offline_filter(&program, &frame, header->bytes) != 0;
    pcap_freecode(&program);
    pcap_close(handle);
    return is_match;
}

static void assert_all(const struct packet *packet, const char *const *yes, size_t n_yes,
                       const char *const *no, size_t n_no)
{
    for (size_t i = 0; i < n_yes; i++)
        if (!matches(yes[i], packet, false))
            fail_msg("does not match: %s", yes[i]);
    for (size_t i = 0; i < n_no; i++)
        if (matches(no[i], packet, false))
            fail_msg("matches: %s", no[i]);
}

#define ASSERT_ALL(packet, yes, no)                                                                \
    assert_all(packet, yes, sizeof(yes) / sizeof *(yes), no, sizeof(no) / sizeof *(no))

static void test_what_a_tcp_packet_has_is_seen(void **state)
{
    (void)state;
    struct packet packet = tcp_packet();
    static const char *const yes[] = {"ip",
                                      "tcp",
                                      "ip proto 6",
                                      "src host 192.0.2.1",
                                      "dst net 198.51.100.0/24",
                                      "tcp src port 40000",
                                      "tcp dst port 443",
                                      "port 443",
                                      "portrange 440-450",
                                      "tcp[tcpflags] & tcp-syn != 0",
                                      "tcp[4:4] = 0x01020304",
                                      "tcp[14:2] = 1000",
                                      "len = 1500",
                                      "ip[2:2] = 1500",
                                      "not udp",
                                      ""};
    static const char *const no[] = {"ip6",          "udp",
                                     "src port 443", "tcp[tcpflags] & tcp-ack != 0",
                                     "less 1499",    "dst host 192.0.2.1"};
    ASSERT_ALL(&packet, yes, no);
}

static void test_swapped_it_is_the_other_direction_s(void **state)
{
    (void)state;
    struct packet packet = tcp_packet();
    assert_true(
        matches("src host 198.51.100.7 and src port 443 and dst port 40000", &packet, true));
    assert_false(matches("dst port 443", &packet, true));
}

static void test_what_an_ipv6_packet_has_is_seen(void **state)
{
    (void)state;
    struct packet packet = {
        .l3_bytes = 100,
        .protocol = 17,
        .marks = PACKET_MARK_IPV6 | PACKET_MARK_PORTS,
        .flow_label = 0xabcde,
        .source_address = {0x20, 1, 0xd, 0xb8, [15] = 1},
        .destination_address = {0x20, 1, 0xd, 0xb8, [15] = 2},
        .source_port = 5000,
        .destination_port = 53,
    };
    static const char *const yes[] = {"ip6",
                                      "udp",
                                      "ip6 and udp dst port 53",
                                      "host 2001:db8::1",
                                      "dst net 2001:db8::/32",
                                      "ip6[4:2] = 60",
                                      "len = 100",
                                      "ip6[0:4] & 0xfffff = 0xabcde"};
    static const char *const no[] = {"ip", "tcp", "udp port 54"};
    ASSERT_ALL(&packet, yes, no);
}

static void test_udp_icmp_and_sctp_have_their_own_fields(void **state)
{
    (void)state;
    struct packet packet = tcp_packet();
    packet.protocol = 17;
    packet.parts = 0;
    packet.l3_bytes = 29;
    assert_true(matches("udp[4:2] = 9", &packet, false));
    packet.protocol = 1;
    packet.parts = PACKET_PART_ICMP;
    packet.icmp_type = 8;
    packet.source_port = packet.destination_port = 77;
    assert_true(matches("icmp[icmptype] = icmp-echo and icmp[4:2] = 77", &packet, false));
    packet = tcp_packet();
    packet.protocol = 132;
    packet.parts = PACKET_PART_SCTP;
    packet.sctp = (struct packet_sctp){.verification_tag = 0x11223344};
    assert_true(matches("sctp dst port 443 and ip[24:4] = 0x11223344", &packet, false));
}

static void test_a_fragment_with_its_ports_is_seen_as_its_datagram(void **state)
{
    (void)state;
    struct packet packet = tcp_packet();
    packet.protocol = 17;
    packet.parts = 0;
    packet.marks |= PACKET_MARK_LATER_FRAGMENT;
    packet.datagram_bytes = 4000;
    assert_true(matches("udp dst port 443 and len = 4000", &packet, false));
}

static void test_without_ports_or_without_ip_no_port_matches(void **state)
{
    (void)state;
    struct packet packet = tcp_packet();
    packet.marks = PACKET_MARK_IPV4;
    packet.parts = 0;
    assert_true(matches("tcp", &packet, false));
    assert_false(matches("port 443 or port 0", &packet, false));
    packet.marks = 0;
    assert_false(matches("", &packet, false));
    assert_false(matches("ip or ip6", &packet, false));
}

static void test_what_does_not_compile_says_why(void **state)
{
    (void)state;
    struct filter *filter;
    char error[FILTER_ERROR_SIZE];
    assert_int_equal(filter_create("tcp prot 80", &filter, error), -EINVAL);
    assert_non_null(strstr(error, "syntax error"));
    assert_int_equal(filter_create("vlan 3", &filter, error), -EINVAL);
    assert_true(filter_is_impossible("tcp and udp"));
    assert_false(filter_is_impossible("tcp or udp"));
    assert_false(filter_is_impossible("tcp prot"));
    assert_true(filter_is_without_family("arp"));
    assert_false(filter_is_without_family("tcp and udp"));
    assert_false(filter_is_without_family("arp or tcp"));
}

/* Of every kind of header, programs that ask first for what is known, and for what is not. */
static void test_a_filter_says_what_libpcap_s_program_says(void **state)
{
    (void)state;
    static const char *const expressions[] = {
        "tcp dst port 443",
        "udp port 53 or tcp port 443",
        "host 192.0.2.1 and not port 443",
        "ip6",
        "ip6 and tcp",
        "icmp[icmptype] = 8",
        "icmp6 or portrange 400-450",
        "ip proto 6 or ip6 proto 17",
        "ip[0] & 0xf = 5 and ip[6:2] & 0x1fff = 0",
        "ip[8] = 0 and ip[9] > 5 and ip[10:2] = 0",
        "ip6[7] = 0 and ip6[6] >= 17 and ip6[4:2] > 10",
        "ip6[0:4] & 0xfffff = 0xabcde",
        "tcp[tcpflags] & tcp-syn != 0",
        "len > 500",
        "ip[ip[9] + 2] = 0",
        "ip protochain 17 or ip6 protochain 58",
        "sctp",
        "not ip and not ip6",
        "",
    };
    static const uint8_t protocols[] = {1, 6, 17, 58, 132, 255};
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++)
        for (size_t j = 0; j < 2 * sizeof protocols; j++) {
            struct packet packet = tcp_packet();
            packet.protocol = protocols[j / 2];
            packet.parts = packet.protocol == 6 ? PACKET_PART_TCP : 0;
            packet.marks =
                (uint8_t)(PACKET_MARK_PORTS | (j % 2 ? PACKET_MARK_IPV6 : PACKET_MARK_IPV4));
            packet.flow_label = j % 2 ? 0xabcde : 0;
            struct filter_header header;
            filter_header_make(&packet, false, &header);
            if (matches(expressions[i], &packet, false) != libpcap_matches(expressions[i], &header))
                fail_msg("'%s' of protocol %u, %s", expressions[i], packet.protocol,
                         j % 2 ? "IPv6" : "IPv4");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_filter_says_what_libpcap_s_program_says),
        cmocka_unit_test(test_what_a_tcp_packet_has_is_seen),
        cmocka_unit_test(test_swapped_it_is_the_other_direction_s),
        cmocka_unit_test(test_what_an_ipv6_packet_has_is_seen),
        cmocka_unit_test(test_udp_icmp_and_sctp_have_their_own_fields),
        cmocka_unit_test(test_a_fragment_with_its_ports_is_seen_as_its_datagram),
        cmocka_unit_test(test_without_ports_or_without_ip_no_port_matches),
        cmocka_unit_test(test_what_does_not_compile_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
