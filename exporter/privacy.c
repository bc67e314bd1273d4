#include "exporter/privacy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/aes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK_SIZE = AES_BLOCK_SIZE,
    ADDRESS_SIZE_MAX = 16,
    CACHE_PLACES = 4096, /* a power of 2; 33 addresses a site make most of its flows */
};

struct cached {
    uint8_t n_bits; /* 0: free */
    uint8_t from[ADDRESS_SIZE_MAX];
    uint8_t to[ADDRESS_SIZE_MAX];
};

struct privacy {
    bool is_anonymised; /* else truncated */
    unsigned ipv4_prefix, ipv6_prefix;
    struct aes128_ctx aes;
    uint8_t pad[BLOCK_SIZE];
    uint8_t id_key[crypto_shorthash_KEYBYTES];
    struct cached cache[CACHE_PLACES];
};

/* ---- the key ---- */

static int refuse(char error[PRIVACY_ERROR_MAX], const char *path, const char *what, int result)
{
    snprintf(error, PRIVACY_ERROR_MAX, "privacy.key_file: %s: %s", path, what);
    return result;
}

static int read_open_key(int descriptor, const char *path, uint8_t key[PRIVACY_KEY_SIZE],
                         char error[PRIVACY_ERROR_MAX])
{
    struct stat status;
    uint8_t more;
    if (fstat(descriptor, &status) < 0)
        return refuse(error, path, strerror(errno), -errno);
    if (!S_ISREG(status.st_mode))
        return refuse(error, path, "not a regular file", -EINVAL);
    if (status.st_mode & 077)
        return refuse(error, path,
                      "others may read or write it: it must be for its owner only (chmod 600)",
                      -EPERM);
    if (read(descriptor, key, PRIVACY_KEY_SIZE) != PRIVACY_KEY_SIZE ||
        read(descriptor, &more, 1) != 0)
        return refuse(error, path,
                      "not a key of 32 bytes (head -c 32 /dev/urandom makes one, umask 077 before)",
                      -EINVAL);
    return 0;
}

static int read_key(const char *path, uint8_t key[PRIVACY_KEY_SIZE], char error[PRIVACY_ERROR_MAX])
{
    if (!path || !*path)
        return refuse(error, "is missing",
                      "addresses that are not stored in full need a key, if only for flow ids",
                      -EINVAL);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return refuse(error, path, strerror(errno), -errno);
    int result = read_open_key(descriptor, path, key, error);
    close(descriptor);
    return result;
}

static void take_key(struct privacy *privacy, const uint8_t key[PRIVACY_KEY_SIZE])
{
    static const char context[] = "wanmeter flow id";
    aes128_set_encrypt_key(&privacy->aes, key);
    aes128_encrypt(&privacy->aes, BLOCK_SIZE, privacy->pad, key + BLOCK_SIZE);
    crypto_generichash(privacy->id_key, sizeof privacy->id_key, (const uint8_t *)context,
                       sizeof context - 1, key, PRIVACY_KEY_SIZE);
}

int privacy_create(const struct config *config, struct privacy **out, char error[PRIVACY_ERROR_MAX])
{
    uint8_t key[PRIVACY_KEY_SIZE];
    *out = NULL;
    if (strcmp(config->privacy.addresses, "full") == 0)
        return 0;
    int result = read_key(config->privacy.key_file, key, error);
    if (result < 0)
        return result;
    struct privacy *privacy = calloc(1, sizeof *privacy);
    if (!privacy)
        return refuse(error, config->privacy.key_file, strerror(ENOMEM), -ENOMEM);
    privacy->is_anonymised = strcmp(config->privacy.addresses, "anonymised") == 0;
    privacy->ipv4_prefix = (unsigned)config->privacy.ipv4_prefix;
    privacy->ipv6_prefix = (unsigned)config->privacy.ipv6_prefix;
    take_key(privacy, key);
    sodium_memzero(key, sizeof key);
    *out = privacy;
    return 0;
}

void privacy_destroy(struct privacy *privacy)
{
    if (!privacy)
        return;
    sodium_memzero(privacy, sizeof *privacy);
    free(privacy);
}

/* ---- addresses ---- */

static void truncate_address(uint8_t *address, unsigned n_bits, unsigned prefix)
{
    for (unsigned i = 0; i < n_bits / 8; i++) {
        unsigned first = 8 * i;
        unsigned n_kept = prefix > first ? prefix - first : 0;
        address[i] = (uint8_t)(n_kept >= 8 ? address[i] : address[i] & ~(0xff >> n_kept));
    }
}

/* Bit n of the other address is bit n of this one, turned by a bit that the n bits before decide:
 * the first of the cipher over them, with the pad's bits behind. */
static void anonymise(struct privacy *privacy, const uint8_t *from, unsigned n_bits, uint8_t *to)
{
    uint8_t input[BLOCK_SIZE], output[BLOCK_SIZE];
    memcpy(input, privacy->pad, sizeof input);
    memset(to, 0, n_bits / 8);
    for (unsigned bit = 0; bit < n_bits; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        aes128_encrypt(&privacy->aes, sizeof output, output, input);
        uint8_t turned = output[0] & 0x80 ? mask : 0;
        to[bit / 8] |= (from[bit / 8] & mask) ^ turned;
        input[bit / 8] = (uint8_t)((input[bit / 8] & ~mask) | (from[bit / 8] & mask));
    }
}

static struct cached *place_of(struct privacy *privacy, const uint8_t *address, unsigned n_bits)
{
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash");
    crypto_shorthash((uint8_t *)&hash, address, n_bits / 8, privacy->id_key);
    return &privacy->cache[hash % CACHE_PLACES];
}

void privacy_address(struct privacy *privacy, uint8_t address[16], unsigned n_bits)
{
    if (!privacy->is_anonymised) {
        truncate_address(address, n_bits,
                         n_bits == 32 ? privacy->ipv4_prefix : privacy->ipv6_prefix);
        return;
    }
    struct cached *cached = place_of(privacy, address, n_bits);
    if (cached->n_bits != n_bits || memcmp(cached->from, address, n_bits / 8) != 0) {
        cached->n_bits = (uint8_t)n_bits;
        memcpy(cached->from, address, n_bits / 8);
        anonymise(privacy, cached->from, n_bits, cached->to);
    }
    memcpy(address, cached->to, n_bits / 8);
}

uint64_t privacy_flow_id(const struct privacy *privacy, uint64_t id)
{
    uint8_t bytes[8];
    uint64_t other = 0;
    if (id == 0)
        return 0;
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(id >> 8 * i);
    crypto_shorthash((uint8_t *)&other, bytes, sizeof bytes, privacy->id_key);
    return other ? other : 1;
}

/* ---- a message ---- */

static void apply_to_flow(struct privacy *privacy, struct flow_record *flow)
{
    unsigned n_bits = flow->ip_version == 4 ? 32 : 128;
    privacy_address(privacy, flow->source_address, n_bits);
    privacy_address(privacy, flow->destination_address, n_bits);
    flow->id = privacy_flow_id(privacy, flow->id);
    flow->master_id = privacy_flow_id(privacy, flow->master_id);
}

void privacy_apply(struct privacy *privacy, struct message *message)
{
    if (!privacy)
        return;
    uint8_t *flows = (uint8_t *)message->flows; /* within what the message owns */
    uint8_t *events = (uint8_t *)message->events;
    for (size_t i = 0; i < message->n_flows; i++) {
        struct flow_record flow;
        flow_record_get(flows + i * FLOW_RECORD_SIZE, &flow);
        apply_to_flow(privacy, &flow);
        flow_record_put(&flow, flows + i * FLOW_RECORD_SIZE);
    }
    for (size_t i = 0; i < message->n_events; i++) {
        struct connection_event event;
        connection_event_get(events + i * CONNECTION_EVENT_SIZE, &event);
        apply_to_flow(privacy, &event.flow);
        connection_event_put(&event, events + i * CONNECTION_EVENT_SIZE);
    }
}
