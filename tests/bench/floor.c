/* floor: the least that a flow meter can do, as the yardstick of the benchmarks; not a product.
 *
 *     floor FILE DATABASE      one row of 20 columns a flow, into a new SQLite database
 *     floor FILE               the same without a database
 *
 * Prints "packets l2_bytes l3_bytes flows", of what is in flows (all IP in Ethernet).
 *
 * One process: libpcap's reader, one pass over the headers, one look-up, counters; at the end one
 * row a flow. 32 packets are looked ahead, which saves 10 to 50 ns a packet where memory is far.
 * What it does not do is what a meter is paid for: no states, no timeouts, no WANs or prices, no
 * slots, nothing on disk before the end, no audit, no bounded memory, no fragments put together.
 * What it does write, it writes as the others do: WAL, synchronous FULL, one prepared statement. */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ETHERNET_SIZE = 14,
    VLAN_SIZE = 4,
    IPV4_SIZE = 20,
    IPV6_SIZE = 40,
    PORTS_SIZE = 4,
    TCP_FLAGS_AT = 13,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    FRAGMENT_OFFSET = 0x1fff,
    FLOWS_MAX = 1 << 26, /* address space that is asked for; memory follows use */
    SLOTS_MIN = 1 << 16, /* of the index; a power of two */
    ROWS_A_COMMIT = 10000,
    N_COLUMNS = 20,
    AHEAD = 32, /* packets whose slots and flows are asked for before they are counted */
};

/* Both directions have one key: the lower endpoint first. IPv4 addresses are in the first word. */
struct key {
    uint64_t low[2], high[2];
    uint16_t low_port, high_port;
    uint8_t protocol, version;
    uint16_t zero;
};

enum { KEY_WORDS = sizeof(struct key) / sizeof(uint64_t) };

struct way {
    uint64_t packets, l2_bytes, l3_bytes;
};

/* Two cache lines; way 0 is the first packet's direction. */
struct flow {
    _Alignas(64) struct key key;
    uint64_t first_ns, last_ns;
    struct way ways[2];
    uint16_t vlan;
    uint8_t tcp_flags[2], tos[2];
    bool is_first_from_high;
};

struct slot {
    uint32_t tag;  /* of the hash */
    uint32_t flow; /* its number and 1; 0: free */
};

struct packet {
    struct key key;
    uint64_t hash;
    bool is_from_high;
    uint16_t vlan;
    uint8_t tos, tcp_flags;
    uint32_t l2_bytes, l3_bytes;
    uint64_t time_ns;
};

struct floor {
    struct flow *flows; /* FLOWS_MAX, in the order of their first packets */
    struct slot *slots; /* open addressing, at most half of them taken */
    uint64_t n_flows, n_slots;
    struct way total;
    struct packet packets[AHEAD];
    int n_packets;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "floor: %s: %s\n", what, why);
    exit(1);
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* --- a frame's headers --- */

static void put_key(struct packet *packet, const uint64_t source[2], const uint64_t destination[2],
                    const uint8_t *ports)
{
    uint16_t from = 0, to = 0;
    if (ports) {
        from = (uint16_t)get16(ports);
        to = (uint16_t)get16(ports + 2);
    }
    bool is_high = source[0] != destination[0]   ? source[0] > destination[0]
                   : source[1] != destination[1] ? source[1] > destination[1]
                                                 : from > to;
    struct key *key = &packet->key;
    memcpy(is_high ? key->high : key->low, source, sizeof key->low);
    memcpy(is_high ? key->low : key->high, destination, sizeof key->low);
    key->low_port = is_high ? to : from;
    key->high_port = is_high ? from : to;
    packet->is_from_high = is_high;
}

/* 'at': behind the IP header. NULL: no ports are there. */
static const uint8_t *find_ports(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
    bool is_tcp = packet->key.protocol == IPPROTO_TCP;
    if (!is_tcp && packet->key.protocol != IPPROTO_UDP)
        return NULL;
    if (end - at < (is_tcp ? TCP_FLAGS_AT + 1 : PORTS_SIZE))
        return NULL;
    packet->tcp_flags = is_tcp ? at[TCP_FLAGS_AT] : 0;
    return at;
}

static bool parse_ipv4(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
    if (end - at < IPV4_SIZE)
        return false;
    uint64_t source[2] = {0}, destination[2] = {0};
    memcpy(source, at + 12, 4);
    memcpy(destination, at + 16, 4);
    packet->key.version = 4;
    packet->key.protocol = at[9];
    packet->tos = at[1];
    packet->l3_bytes = get16(at + 2);
    bool is_later_fragment = get16(at + 6) & FRAGMENT_OFFSET;
    const uint8_t *behind = at + (at[0] & 15) * 4;
    put_key(packet, source, destination,
            is_later_fragment ? NULL : find_ports(packet, behind, end));
    return true;
}

/* Extension headers are not followed. */
static bool parse_ipv6(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
    if (end - at < IPV6_SIZE)
        return false;
    uint64_t source[2], destination[2];
    memcpy(source, at + 8, sizeof source);
    memcpy(destination, at + 24, sizeof destination);
    packet->key.version = 6;
    packet->key.protocol = at[6];
    packet->tos = (uint8_t)(get16(at) >> 4);
    packet->l3_bytes = IPV6_SIZE + get16(at + 4);
    put_key(packet, source, destination, find_ports(packet, at + IPV6_SIZE, end));
    return true;
}

/* Ethernet, at most two tags. false: not IP. */
static bool parse(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
    if (end - at < ETHERNET_SIZE)
        return false;
    unsigned ethertype = get16(at + 12);
    at += ETHERNET_SIZE;
    while ((ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ) && end - at >= VLAN_SIZE) {
        packet->vlan = get16(at) & 0xfff;
        ethertype = get16(at + 2);
        at += VLAN_SIZE;
    }
    if (ethertype == ETHERTYPE_IPV4)
        return parse_ipv4(packet, at, end);
    return ethertype == ETHERTYPE_IPV6 && parse_ipv6(packet, at, end);
}

/* --- the table --- */

/* Multiplications and folds, as in wyhash; it holds no attacker. */
static uint64_t hash_key(const struct key *key)
{
    uint64_t words[KEY_WORDS], hash = 0x9e3779b97f4a7c15;
    memcpy(words, key, sizeof words);
    for (int i = 0; i < KEY_WORDS; i++) {
        hash = (hash ^ words[i]) * 0xd6e8feb86659fd93;
        hash ^= hash >> 32;
    }
    return hash;
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap", "no address space");
    madvise(memory, size, MADV_HUGEPAGE); /* a wish: without it, it is slower */
    return memory;
}

static void grow_index(struct floor *floor)
{
    if (floor->slots)
        munmap(floor->slots, floor->n_slots * sizeof *floor->slots);
    floor->n_slots = floor->n_slots ? 2 * floor->n_slots : SLOTS_MIN;
    floor->slots = map(floor->n_slots * sizeof *floor->slots);
    for (uint64_t i = 0; i < floor->n_flows; i++) {
        uint64_t hash = hash_key(&floor->flows[i].key), at = hash >> 32;
        while (floor->slots[at & (floor->n_slots - 1)].flow)
            at++;
        floor->slots[at & (floor->n_slots - 1)] = (struct slot){(uint32_t)hash, (uint32_t)i + 1};
    }
}

static struct flow *add_flow(struct floor *floor, const struct packet *packet)
{
    if (floor->n_flows == FLOWS_MAX)
        fail("table", "too many flows");
    struct flow *flow = &floor->flows[floor->n_flows++];
    flow->key = packet->key;
    flow->first_ns = packet->time_ns;
    flow->vlan = packet->vlan;
    flow->is_first_from_high = packet->is_from_high;
    return flow;
}

/* The packet's flow, new if it has none. */
static struct flow *find_flow(struct floor *floor, const struct packet *packet)
{
    if (2 * floor->n_flows >= floor->n_slots)
        grow_index(floor);
    uint64_t mask = floor->n_slots - 1, at = packet->hash >> 32 & mask;
    uint32_t tag = (uint32_t)packet->hash;
    for (; floor->slots[at].flow; at = (at + 1) & mask) {
        struct flow *flow = &floor->flows[floor->slots[at].flow - 1];
        if (floor->slots[at].tag == tag && memcmp(&flow->key, &packet->key, sizeof flow->key) == 0)
            return flow;
    }
    struct flow *flow = add_flow(floor, packet);
    floor->slots[at] = (struct slot){tag, (uint32_t)floor->n_flows};
    return flow;
}

static void ask_for_slot(const struct floor *floor, const struct packet *packet)
{
    if (floor->slots)
        __builtin_prefetch(&floor->slots[packet->hash >> 32 & (floor->n_slots - 1)]);
}

static void ask_for_flow(const struct floor *floor, const struct packet *packet)
{
    if (!floor->slots)
        return;
    uint32_t number = floor->slots[packet->hash >> 32 & (floor->n_slots - 1)].flow;
    const char *flow = (const char *)&floor->flows[number ? number - 1 : floor->n_flows];
    __builtin_prefetch(flow, 1);
    __builtin_prefetch(flow + 64, 1);
}

static void add(struct way *way, const struct packet *packet)
{
    way->packets++;
    way->l2_bytes += packet->l2_bytes;
    way->l3_bytes += packet->l3_bytes;
}

static void count(struct floor *floor, const struct packet *packet)
{
    struct flow *flow = find_flow(floor, packet);
    int way = packet->is_from_high != flow->is_first_from_high;
    add(&flow->ways[way], packet);
    add(&floor->total, packet);
    flow->last_ns = packet->time_ns;
    flow->tcp_flags[way] |= packet->tcp_flags;
    flow->tos[way] |= packet->tos;
}

static void count_all(struct floor *floor)
{
    for (int i = 0; i < floor->n_packets; i++)
        ask_for_flow(floor, &floor->packets[i]);
    for (int i = 0; i < floor->n_packets; i++)
        count(floor, &floor->packets[i]);
    floor->n_packets = 0;
}

static void on_frame(u_char *state, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct floor *floor = (struct floor *)(void *)state;
    struct packet *packet = &floor->packets[floor->n_packets];
    *packet = (struct packet){
        .l2_bytes = header->len,
        .time_ns = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec,
    };
    if (!parse(packet, bytes, bytes + header->caplen))
        return;
    packet->hash = hash_key(&packet->key);
    ask_for_slot(floor, packet);
    if (++floor->n_packets == AHEAD)
        count_all(floor);
}

static void read_file(struct floor *floor, const char *path)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
    if (!pcap)
        fail(path, error);
    if (pcap_datalink(pcap) != DLT_EN10MB)
        fail(path, "not Ethernet");
    if (pcap_loop(pcap, -1, on_frame, (u_char *)floor) != 0)
        fail(path, pcap_geterr(pcap));
    count_all(floor);
    pcap_close(pcap);
}

/* --- rows --- */

static const char schema[] =
    "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE flow (id INTEGER PRIMARY KEY, version INTEGER, protocol INTEGER, vlan INTEGER,"
    " src_address BLOB, src_port INTEGER, dst_address BLOB, dst_port INTEGER, first_ns INTEGER,"
    " last_ns INTEGER, src_packets INTEGER, src_l2_bytes INTEGER, src_l3_bytes INTEGER,"
    " dst_packets INTEGER, dst_l2_bytes INTEGER, dst_l3_bytes INTEGER, src_tcp_flags INTEGER,"
    " dst_tcp_flags INTEGER, src_tos INTEGER, dst_tos INTEGER) STRICT";

static void execute(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql, sqlite3_errmsg(database));
}

static void bind_row(sqlite3_stmt *insert, const struct flow *flow, uint64_t id)
{
    const struct key *key = &flow->key;
    const struct way *ways = flow->ways;
    bool is_high = flow->is_first_from_high;
    int size = key->version == 4 ? 4 : 16;
    sqlite3_bind_blob(insert, 5, is_high ? key->high : key->low, size, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 7, is_high ? key->low : key->high, size, SQLITE_STATIC);
    const uint64_t values[N_COLUMNS + 1] = {
        [1] = id,
        [2] = key->version,
        [3] = key->protocol,
        [4] = flow->vlan,
        [6] = is_high ? key->high_port : key->low_port,
        [8] = is_high ? key->low_port : key->high_port,
        [9] = flow->first_ns,
        [10] = flow->last_ns,
        [11] = ways[0].packets,
        [12] = ways[0].l2_bytes,
        [13] = ways[0].l3_bytes,
        [14] = ways[1].packets,
        [15] = ways[1].l2_bytes,
        [16] = ways[1].l3_bytes,
        [17] = flow->tcp_flags[0],
        [18] = flow->tcp_flags[1],
        [19] = flow->tos[0],
        [20] = flow->tos[1],
    };
    for (int column = 1; column <= N_COLUMNS; column++)
        if (column != 5 && column != 7)
            sqlite3_bind_int64(insert, column, (sqlite3_int64)values[column]);
}

static void write_rows(const struct floor *floor, const char *path)
{
    sqlite3 *database;
    sqlite3_stmt *insert;
    if (sqlite3_open(path, &database) != SQLITE_OK)
        fail(path, sqlite3_errmsg(database));
    execute(database, schema);
    if (sqlite3_prepare_v2(database,
                           "INSERT INTO flow VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1,
                           &insert, NULL) != SQLITE_OK)
        fail(path, sqlite3_errmsg(database));
    execute(database, "BEGIN");
    for (uint64_t i = 0; i < floor->n_flows; i++) {
        bind_row(insert, &floor->flows[i], i + 1);
        if (sqlite3_step(insert) != SQLITE_DONE)
            fail(path, sqlite3_errmsg(database));
        sqlite3_reset(insert);
        if (i % ROWS_A_COMMIT == ROWS_A_COMMIT - 1)
            execute(database, "COMMIT; BEGIN");
    }
    execute(database, "COMMIT");
    sqlite3_finalize(insert);
    if (sqlite3_close(database) != SQLITE_OK)
        fail(path, "not closed");
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s FILE [DATABASE]\n", argv[0]);
        return 2;
    }
    struct floor floor = {.flows = map((size_t)FLOWS_MAX * sizeof *floor.flows)};
    read_file(&floor, argv[1]);
    if (argc == 3)
        write_rows(&floor, argv[2]);
    printf("%ju %ju %ju %ju\n", (uintmax_t)floor.total.packets, (uintmax_t)floor.total.l2_bytes,
           (uintmax_t)floor.total.l3_bytes, (uintmax_t)floor.n_flows);
    return 0;
}
