/* wan_case: a configuration of WANs that a test fills in, and a packet that is looked up in it. */
#ifndef WANMETER_TESTS_WAN_CASE_H
#define WANMETER_TESTS_WAN_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/wan.h"

enum { WANS_MAX = 8, MATCHES_MAX = 4 };

static const uint8_t gateway[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t host[6] = {2, 0, 0, 0, 0, 2};

/* A configuration whose parts the tests fill in. */
struct fixture {
    struct config config;
    struct config_wan wans[WANS_MAX];
    struct config_wan_match matches[WANS_MAX][MATCHES_MAX];
    struct config_source sources[2];
    struct config_account accounts[4];
    struct config_mac macs[2];
    struct config_prefix local[2];
};

static char up[] = "up", down[] = "down", automatic[] = "auto", eth0[] = "eth0", eth1[] = "eth1";

static inline void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->config.wans = fixture->wans;
    fixture->config.sources = fixture->sources;
    fixture->config.accounts = fixture->accounts;
    memcpy(fixture->macs[0].bytes, gateway, sizeof gateway);
    memcpy(fixture->macs[1].bytes, host, sizeof host);
    fixture->local[0] = (struct config_prefix){.address = {10}, .family = 4, .length = 8};
    fixture->local[1] =
        (struct config_prefix){.address = {0x20, 0x01, 0x0d, 0xb8}, .family = 6, .length = 33};
}

/* Adds a WAN with one match that has no key yet. */
static inline struct config_wan_match *add_wan(struct fixture *fixture)
{
    size_t i = fixture->config.n_wans++;
    fixture->matches[i][0] = (struct config_wan_match){
        .vlan = -1, .inner_vlan = -1, .pppoe_session = -1, .mpls_label = -1};
    fixture->wans[i] = (struct config_wan){
        .direction = automatic, .zone = -1, .matches = fixture->matches[i], .n_matches = 1};
    return &fixture->matches[i][0];
}

static inline struct layers plain_layers(void)
{
    return (struct layers){.source_mac = host,
                           .destination_mac = gateway,
                           .vlan = -1,
                           .inner_vlan = -1,
                           .pppoe_session = -1,
                           .mpls_label = -1};
}

/* From 10.0.0.1 to 192.0.2.1. */
static inline struct packet ipv4_packet(void)
{
    return (struct packet){.marks = PACKET_MARK_IPV4,
                           .source_address = {10, 0, 0, 1},
                           .destination_address = {192, 0, 2, 1}};
}

static inline void swap_addresses(struct packet *packet)
{
    uint8_t kept[16];
    memcpy(kept, packet->source_address, sizeof kept);
    memcpy(packet->source_address, packet->destination_address, sizeof kept);
    memcpy(packet->destination_address, kept, sizeof kept);
}

static inline struct packet apply(const struct fixture *fixture, const char *interface,
                                  const struct layers *layers, const struct packet *packet)
{
    struct wan_table *table;
    assert_int_equal(0, wan_table_create(&fixture->config, &table));
    struct frame frame = {.interface = interface};
    struct packet result = *packet;
    wan_table_apply(table, &frame, layers, &result);
    wan_table_destroy(table);
    return result;
}

static inline unsigned wan_of(const struct fixture *fixture, const char *interface,
                              const struct layers *layers, const struct packet *packet)
{
    return apply(fixture, interface, layers, packet).wan;
}

#endif
