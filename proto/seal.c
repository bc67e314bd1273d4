#include "proto/seal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_WORDS = 3,
    RECORD_WORDS = FLOW_RECORD_SIZE / 8,
    WORDS_MAX = 48, /* a record that grows at its end keeps the sums of those from before */
    TEXT_SIZE = 1024,
    PROTOCOL_ICMP = 1,
    PROTOCOL_ICMPV6 = 58,
};

static_assert(FLOW_RECORD_SIZE % 8 == 0, "whole words");
static_assert(NAME_WORDS + RECORD_WORDS <= WORDS_MAX, "a multiplier for each");

static const int64_t ns_a_second = 1000000000;

/* The words' multipliers: the first 64 bits of the SHA-256 of "wanmeter flow sum a 0", …, "b 47",
 * made odd, so that no change of one word is without effect. */
static const uint64_t multipliers[SEAL_LANES][WORDS_MAX] = {
    {
        UINT64_C(0x2bbc4eeb52bdb4a7), UINT64_C(0xfddcff9e76b26585), UINT64_C(0x0088f5af745e9413),
        UINT64_C(0x8d5dcca41fb7f975), UINT64_C(0x2bcc5c543c2c45a7), UINT64_C(0xe3163d0d918476b5),
        UINT64_C(0x373191aa3cff275f), UINT64_C(0x4b27231120344c63), UINT64_C(0xa8f3808ad111751f),
        UINT64_C(0x1d396bcfc18f59e9), UINT64_C(0xd593f5d9cbe677c9), UINT64_C(0x43577bd6daa30551),
        UINT64_C(0xa1416248273b8aeb), UINT64_C(0x44e1b9ec62f64739), UINT64_C(0x474ef7ef89a4b73d),
        UINT64_C(0xa255327272c89017), UINT64_C(0x4152853ba01b8b53), UINT64_C(0x070a72facaf68a4f),
        UINT64_C(0x18e488f1d7c769af), UINT64_C(0xa6b4d498db474d07), UINT64_C(0x5db25bb200852c19),
        UINT64_C(0xae6d06b3890f704f), UINT64_C(0x5feae4ef5272438b), UINT64_C(0xfd7805d95f49d875),
        UINT64_C(0x35dd062d5c2815d7), UINT64_C(0x8fa37108a6ff7a33), UINT64_C(0xc74f3e2bb28c5283),
        UINT64_C(0xaee983707e74a705), UINT64_C(0x02cfcf2b666191a9), UINT64_C(0x127f7f16ac158af7),
        UINT64_C(0xd2ae0dabcfb67ca9), UINT64_C(0x324fff4645afdfd3), UINT64_C(0x7ffefae945b204af),
        UINT64_C(0x9cef44c4a27b9977), UINT64_C(0x4448d1e2ca1ad4cf), UINT64_C(0x42f7a22985e16873),
        UINT64_C(0xd8d7c9adbcae73c3), UINT64_C(0xd0924cfa429cdd99), UINT64_C(0x8b0ca7a76e6ea665),
        UINT64_C(0xa8b6288aa963f317), UINT64_C(0x200f25355e6c801f), UINT64_C(0x0c02e076653180b3),
        UINT64_C(0x8f80ed122ff5f51b), UINT64_C(0xb8481433487294b5), UINT64_C(0x5460a0aaa2a4785b),
        UINT64_C(0x11e63c6f90b6bb27), UINT64_C(0x6a07e63bd79076eb), UINT64_C(0xf4da72f688abb90f),
    },
    {
        UINT64_C(0xc0ae0226ee1c7bd1), UINT64_C(0xaaa6219061b0857f), UINT64_C(0xa4cbfc414f30906d),
        UINT64_C(0x6906d35b6273c377), UINT64_C(0xd5ea9f9fc9ac678f), UINT64_C(0xa3fd8b75a5de9dc9),
        UINT64_C(0xa81f21359b9366f3), UINT64_C(0x4c689f8dd3789759), UINT64_C(0x4f2c45a26dc57fab),
        UINT64_C(0x4bf930b66d75af77), UINT64_C(0xac0f786ffa21d3d5), UINT64_C(0x2a581a1419ba5a01),
        UINT64_C(0xaf80704c61d8c3ef), UINT64_C(0xefd7ac648a9fcbe9), UINT64_C(0x44ebc557cece9e07),
        UINT64_C(0x94cea133b3afd455), UINT64_C(0xf1e3fdaa5282cac3), UINT64_C(0x89bb986272d94f13),
        UINT64_C(0x33276a458c8a0dbf), UINT64_C(0xda6720e28878e887), UINT64_C(0x543d27ce0295e6db),
        UINT64_C(0x1281f84d419b8335), UINT64_C(0x82cb4e31f8b33c0d), UINT64_C(0xf9dcd71589b2f28f),
        UINT64_C(0x850e91eeb9477a49), UINT64_C(0x19a6dea818cedf01), UINT64_C(0x9461c54e9005c787),
        UINT64_C(0xc2cf0755625764b9), UINT64_C(0x45350e309f9bbc15), UINT64_C(0x43bfedf6bb9e0f47),
        UINT64_C(0x3207801456974def), UINT64_C(0xd406438ebc880cfd), UINT64_C(0x49693cdbe01b73b3),
        UINT64_C(0xac97857675ee5117), UINT64_C(0xd983f29a10ea2a1b), UINT64_C(0x1d3d7dc0e366250b),
        UINT64_C(0xf42cef4728b7d189), UINT64_C(0xac6140215704250d), UINT64_C(0xb02a0577d6641d93),
        UINT64_C(0x6b827a62fabd2c47), UINT64_C(0xa1ee46c43404c5d3), UINT64_C(0xde4f4fefa2acf69d),
        UINT64_C(0x4d9c126d1b3b8639), UINT64_C(0x50703564cf2b22fb), UINT64_C(0x389cf27e3e1cdb91),
        UINT64_C(0xe62a774f9214c125), UINT64_C(0xd739201aeb10a3cf), UINT64_C(0x94b9af2267808f37),
    },
};

/* ---- which seal ---- */

int32_t seal_of(int64_t time_ns)
{
    const int64_t length_ns = SEAL_SECONDS * ns_a_second;
    return (int32_t)(time_ns / length_ns - (time_ns % length_ns < 0));
}

int32_t seal_open_at(int64_t clock_ns)
{
    const int64_t grace_ns = SEAL_GRACE_SECONDS * ns_a_second;
    return seal_of(clock_ns < INT64_MIN + grace_ns ? INT64_MIN : clock_ns - grace_ns);
}

int32_t seal_for(int64_t slot_ns, int64_t clock_ns)
{
    int32_t own = seal_of(slot_ns);
    int32_t first = seal_open_at(clock_ns);
    int32_t last = seal_of(clock_ns);
    return own < first ? first : own > last ? last : own;
}

int64_t seal_next_ns(int64_t clock_ns)
{
    int64_t opens_ns = seal_start_ns(seal_of(clock_ns) + 1);
    int64_t closes_ns =
        seal_start_ns(seal_open_at(clock_ns) + 1) + SEAL_GRACE_SECONDS * ns_a_second;
    return opens_ns < closes_ns ? opens_ns : closes_ns;
}

int64_t seal_start_ns(int64_t number)
{
    int64_t start_ns;
    if (__builtin_mul_overflow(number, SEAL_SECONDS * ns_a_second, &start_ns))
        return number < 0 ? INT64_MIN : INT64_MAX;
    return start_ns;
}

/* ---- flow records ---- */

uint64_t seal_name(const char *name)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const uint8_t *)name, strlen(name));
    uint64_t number;
    memcpy(&number, hash, sizeof number);
    return number;
}

/* Every bit of the result depends on every bit of 'word', one to one. */
static uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 33) * UINT64_C(0xff51afd7ed558ccd);
    word = (word ^ word >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return word ^ word >> 33;
}

union record_words {
    struct flow_record record;
    uint64_t words[RECORD_WORDS];
};

enum { PLAIN_WORDS = offsetof(struct flow_record, source_port) / 8 };

static_assert(offsetof(struct flow_record, wan) > offsetof(struct flow_record, source_port) &&
                  offsetof(struct flow_record, seal) > offsetof(struct flow_record, source_port),
              "what is left out is behind the plain words");

/* What is no part of a sum: it means something else in another database, or no row has it. */
static const union record_words left_out = {
    .record = {.wan = UINT16_MAX, .account = UINT16_MAX, .class_index = UINT8_MAX, .seal = -1}};
static const union record_words without_ports = {
    .record = {.source_port = UINT16_MAX, .destination_port = UINT16_MAX}};
static const union record_words without_icmp = {
    .record = {.icmp_type = UINT8_MAX, .icmp_code = UINT8_MAX}};

static bool is_icmp(const struct flow_record *record)
{
    return record->protocol == PROTOCOL_ICMP || record->protocol == PROTOCOL_ICMPV6;
}

static uint64_t word_of(const struct flow_record *record, size_t i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)record + i * sizeof word, sizeof word);
    return word;
}

/* Words are taken as they are in memory, and masked: a copy that is made canonical first, byte by
 * byte, is read in words before it is there. */
void seal_flow_add(struct seal_sum *sum, const struct flow_record *record,
                   const struct seal_names *names)
{
    const uint64_t *a = multipliers[0], *b = multipliers[1];
    uint64_t no_ports = record->has_ports ? 0 : UINT64_MAX;
    uint64_t no_icmp = is_icmp(record) ? 0 : UINT64_MAX;
    uint64_t first = names->wan * a[0] + names->account * a[1] + names->class_name * a[2];
    uint64_t second = names->wan * b[0] + names->account * b[1] + names->class_name * b[2];
#pragma GCC unroll 8
    for (size_t i = 0; i < PLAIN_WORDS; i++) {
        uint64_t word = word_of(record, i);
        first += word * a[NAME_WORDS + i];
        second += word * b[NAME_WORDS + i];
    }
#pragma GCC unroll 8
    for (size_t i = PLAIN_WORDS; i < RECORD_WORDS; i++) {
        uint64_t none = left_out.words[i] | (without_ports.words[i] & no_ports) |
                        (without_icmp.words[i] & no_icmp);
        uint64_t word = word_of(record, i) & ~none;
        first += word * a[NAME_WORDS + i];
        second += word * b[NAME_WORDS + i];
    }
    sum->lanes[0] += mix(first);
    sum->lanes[1] += mix(second);
}

/* ---- usage rows and losses ---- */

void seal_lines_init(struct seal_lines *lines)
{
    lines->n = 0;
    crypto_hash_sha256_init(&lines->state);
}

void seal_lines_add(struct seal_lines *lines, const char *text, size_t length)
{
    crypto_hash_sha256_update(&lines->state, (const uint8_t *)text, length);
    crypto_hash_sha256_update(&lines->state, (const uint8_t *)"\n", 1);
    lines->n++;
}

void seal_lines_end(struct seal_lines *lines, uint8_t hash[SEAL_HASH_SIZE])
{
    crypto_hash_sha256_final(&lines->state, hash);
}

/* ---- a seal ---- */

void seal_hex(const uint8_t hash[SEAL_HASH_SIZE], char text[SEAL_HEX_SIZE])
{
    sodium_bin2hex(text, SEAL_HEX_SIZE, hash, SEAL_HASH_SIZE);
}

void seal_sum_hex(const struct seal_sum *sum, char text[SEAL_HEX_SIZE])
{
    snprintf(text, SEAL_HEX_SIZE, "%016" PRIx64 "%016" PRIx64, sum->lanes[0], sum->lanes[1]);
}

void seal_close(struct seal *seal)
{
    char previous[SEAL_HEX_SIZE], config[SEAL_HEX_SIZE], usage[SEAL_HEX_SIZE], flows[SEAL_HEX_SIZE],
        losses[SEAL_HEX_SIZE];
    seal_hex(seal->previous, previous);
    seal_hex(seal->config_sha256, config);
    seal_hex(seal->usage_sha256, usage);
    seal_sum_hex(&seal->flow_sum, flows);
    seal_hex(seal->loss_sha256, losses);
    char text[TEXT_SIZE];
    int length = snprintf(
        text, sizeof text,
        "wanmeter seal 1\n"
        "previous %s\n"
        "seal %" PRId32 " of %d s\n"
        "configuration %s\n"
        "usage %" PRId64 " %s\n"
        "flows %" PRId64 " %s\n"
        "losses %" PRId64 " %s\n"
        "packets %" PRId64 " l2_bytes %" PRId64 " l3_bytes %" PRId64 " billed_bytes %" PRId64 "\n",
        previous, seal->number, SEAL_SECONDS, config, seal->n_usage, usage, seal->n_flows, flows,
        seal->n_losses, losses, seal->packets, seal->l2_bytes, seal->l3_bytes, seal->billed_bytes);
    assert(length > 0 && length < TEXT_SIZE);
    crypto_hash_sha256(seal->hash, (const uint8_t *)text, (unsigned long long)length);
}
