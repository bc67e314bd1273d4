/* labels: a connection's 128 label bits, and the names that people give to bits.
 *
 *     labels_set(labels, 17);                                 bits, by number
 *     labels_write(labels, value, mask);                      (old & ~mask) ^ value
 *     label_names_init(&names);
 *     label_names_add(&names, "gold", 17, false);             0 or -errno
 *     bit = label_names_find(&names, "gold");
 *     label_names_remove(&names, "gold");
 *
 * The 16 bytes are one number, most significant byte first: bit N is 1 << N, so that hexadecimal
 * digits read as in OpenFlow and in connlabel tools. Names: ASCII letters, digits, '-' and ' ', as
 * libnetfilter_conntrack takes them. Not thread-safe. */
#ifndef WANMETER_COMMON_LABELS_H
#define WANMETER_COMMON_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LABELS_SIZE = 16,
    LABEL_BITS = 128,
    LABEL_NAME_MAX = 63,
    LABELS_TEXT_SIZE = 2 + 2 * LABELS_SIZE + 1
};

bool labels_has(const uint8_t labels[LABELS_SIZE], unsigned bit);
void labels_set(uint8_t labels[LABELS_SIZE], unsigned bit);
bool labels_is_zero(const uint8_t labels[LABELS_SIZE]);
void labels_write(uint8_t labels[LABELS_SIZE], const uint8_t value[LABELS_SIZE],
                  const uint8_t mask[LABELS_SIZE]);

/* "0x" and up to 32 hexadecimal digits; false: something else. */
bool labels_read(const char *text, size_t length, uint8_t labels[LABELS_SIZE]);

/* "0x20000": without leading zeros. */
void labels_text(const uint8_t labels[LABELS_SIZE], char out[LABELS_TEXT_SIZE]);

/* A name that was removed is kept, for those who still have its bit, until its bit gets another. */
struct label_name {
    char text[LABEL_NAME_MAX + 1]; /* empty: the bit never had one */
    bool is_removed;
    bool is_sticky; /* once set, no masked write clears it */
};

struct label_names {
    struct label_name bits[LABEL_BITS];
};

void label_names_init(struct label_names *names);

/* Is the text one to LABEL_NAME_MAX of the allowed characters, and no space at an end? */
bool label_name_is_valid(const char *text);

enum { LABEL_BIT_ANY = -1 };

/* Gives the bit the name; LABEL_BIT_ANY: the lowest that never had one. A removed name gives way
 * where the bit is asked for. The bit, or: -EINVAL: no valid name; -ERANGE: no such bit; -EEXIST:
 * the name is there (also: with that bit); -EBUSY: the bit has another name; -ENOSPC: none is left
 * to choose from. */
int label_names_add(struct label_names *names, const char *text, int bit, bool is_sticky);

/* The bit that lost its name, or -ENOENT. */
int label_names_remove(struct label_names *names, const char *text);

/* The bit, or -ENOENT; removed names are not found. */
int label_names_find(const struct label_names *names, const char *text);

/* The bit's name, also one that was removed; NULL: it has none. */
const char *label_names_of(const struct label_names *names, unsigned bit);

/* The names of the bits that are set, those that have one, in the order of the bits, with a comma
 * between. */
enum { LABEL_NAMES_TEXT_SIZE = LABEL_BITS * (LABEL_NAME_MAX + 1) };
void label_names_text(const struct label_names *names, const uint8_t labels[LABELS_SIZE],
                      char out[LABEL_NAMES_TEXT_SIZE]);

/* The bits that no masked write clears. */
void label_names_sticky(const struct label_names *names, uint8_t labels[LABELS_SIZE]);

/* Reads one line of a connlabel.conf ("BIT NAME"; the bit as in C: 17, 0x11, 021). */
enum label_line {
    LABEL_LINE_EMPTY, /* or a comment: it begins with '#' */
    LABEL_LINE_NAME,
    LABEL_LINE_NO_BIT, /* does not begin with a number */
    LABEL_LINE_BAD_BIT,
    LABEL_LINE_NO_NAME,
    LABEL_LINE_BAD_NAME,
};

/* '*column': where, from 0, what is wrong is. */
enum label_line label_line_read(const char *line, unsigned *bit, char name[LABEL_NAME_MAX + 1],
                                size_t *column);

#endif
