/* bus_key: the keys by which a tcp endpoint knows its peers (CURVE, RFC 26 of ZeroMQ): who listens
 * has a secret key and a list of the public keys that may connect; who connects has a secret key of
 * its own and the listener's public key.
 *
 *     bus_key_create("/etc/wanmeter/events.key", public_text);    `wanmeter key new`
 *     bus_key_read("/etc/wanmeter/events.key", &secret);          logged where it cannot be
 *     bus_key_parse("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", &public);
 *     bus_key_public(&secret, public_text);
 *
 * A secret key is in a file of its own that only its owner can read (mode 0600 or less): a file
 * that others can read is refused. Keys are text in Z85 (RFC 32 of ZeroMQ): 40 characters. */
#ifndef WANMETER_COMMON_BUS_KEY_H
#define WANMETER_COMMON_BUS_KEY_H

#include <stdbool.h>
#include <stdint.h>

enum { BUS_KEY_SIZE = 32, BUS_KEY_TEXT_LENGTH = 40, BUS_KEY_TEXT_SIZE };

struct bus_key {
    uint8_t bytes[BUS_KEY_SIZE];
};

/* False: it is no key. */
bool bus_key_parse(const char *text, struct bus_key *key);

/* Reads a secret key. 0 or -errno (logged; -EPERM: others can read the file). */
int bus_key_read(const char *path, struct bus_key *secret);

/* Writes a new secret key to a new file, and its public key to 'public_text'. 0 or -errno (logged;
 * -EEXIST: a file that is there is not written over). */
int bus_key_create(const char *path, char public_text[BUS_KEY_TEXT_SIZE]);

/* The public key of a secret one. */
void bus_key_public(const struct bus_key *secret, char public_text[BUS_KEY_TEXT_SIZE]);

#endif
