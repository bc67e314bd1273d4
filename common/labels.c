#include "common/labels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bits ---- */

bool labels_has(const uint8_t labels[LABELS_SIZE], unsigned bit)
{
    return (labels[LABELS_SIZE - 1 - bit / 8] >> bit % 8 & 1) != 0;
}

void labels_set(uint8_t labels[LABELS_SIZE], unsigned bit)
{
    labels[LABELS_SIZE - 1 - bit / 8] |= (uint8_t)(1u << bit % 8);
}

bool labels_is_zero(const uint8_t labels[LABELS_SIZE])
{
    static const uint8_t none[LABELS_SIZE];
    return memcmp(labels, none, LABELS_SIZE) == 0;
}

void labels_write(uint8_t labels[LABELS_SIZE], const uint8_t value[LABELS_SIZE],
                  const uint8_t mask[LABELS_SIZE])
{
    for (size_t i = 0; i < LABELS_SIZE; i++)
        labels[i] = (uint8_t)((labels[i] & ~mask[i]) ^ value[i]);
}

/* ---- as text ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool labels_read(const char *text, size_t length, uint8_t labels[LABELS_SIZE])
{
    memset(labels, 0, LABELS_SIZE);
    if (length < 3 || length > 2 + 2 * LABELS_SIZE || text[0] != '0' ||
        (text[1] != 'x' && text[1] != 'X'))
        return false;
    for (size_t i = 0; i < length - 2; i++) {
        int digit = hex_digit(text[length - 1 - i]);
        if (digit < 0)
            return false;
        labels[LABELS_SIZE - 1 - i / 2] |= (uint8_t)(i % 2 ? digit << 4 : digit);
    }
    return true;
}

void labels_text(const uint8_t labels[LABELS_SIZE], char out[LABELS_TEXT_SIZE])
{
    char digits[2 * LABELS_SIZE + 1];
    for (size_t i = 0; i < LABELS_SIZE; i++)
        snprintf(digits + 2 * i, 3, "%02x", labels[i]);
    size_t n_zeros = strspn(digits, "0");
    n_zeros -= n_zeros == 2 * LABELS_SIZE;
    snprintf(out, LABELS_TEXT_SIZE, "0x%s", digits + n_zeros);
}

/* ---- names ---- */

void label_names_init(struct label_names *names)
{
    memset(names, 0, sizeof *names);
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == ' ';
}

bool label_name_is_valid(const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > LABEL_NAME_MAX || text[0] == ' ' || text[length - 1] == ' ')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_character(text[i]))
            return false;
    return true;
}

static bool is_live(const struct label_name *name)
{
    return name->text[0] && !name->is_removed;
}

int label_names_find(const struct label_names *names, const char *text)
{
    for (int bit = 0; bit < LABEL_BITS; bit++)
        if (is_live(&names->bits[bit]) && strcmp(names->bits[bit].text, text) == 0)
            return bit;
    return -ENOENT;
}

const char *label_names_of(const struct label_names *names, unsigned bit)
{
    return names->bits[bit].text[0] ? names->bits[bit].text : NULL;
}

static int lowest_unnamed(const struct label_names *names)
{
    for (int bit = 0; bit < LABEL_BITS; bit++)
        if (!names->bits[bit].text[0])
            return bit;
    return -ENOSPC;
}

int label_names_add(struct label_names *names, const char *text, int bit, bool is_sticky)
{
    if (!label_name_is_valid(text))
        return -EINVAL;
    if (bit < LABEL_BIT_ANY || bit >= LABEL_BITS)
        return -ERANGE;
    if (label_names_find(names, text) >= 0)
        return -EEXIST;
    if (bit == LABEL_BIT_ANY)
        bit = lowest_unnamed(names);
    if (bit < 0)
        return bit;
    struct label_name *name = &names->bits[bit];
    if (is_live(name))
        return -EBUSY;
    *name = (struct label_name){.is_sticky = is_sticky};
    memcpy(name->text, text, strlen(text));
    return bit;
}

int label_names_remove(struct label_names *names, const char *text)
{
    int bit = label_names_find(names, text);
    if (bit >= 0)
        names->bits[bit].is_removed = true;
    return bit;
}

void label_names_text(const struct label_names *names, const uint8_t labels[LABELS_SIZE],
                      char out[LABEL_NAMES_TEXT_SIZE])
{
    size_t length = 0;
    out[0] = '\0';
    for (unsigned bit = 0; bit < LABEL_BITS; bit++) {
        const char *name = labels_has(labels, bit) ? label_names_of(names, bit) : NULL;
        if (name)
            length += (size_t)snprintf(out + length, LABEL_NAMES_TEXT_SIZE - length, "%s%s",
                                       length > 0 ? "," : "", name);
    }
}

void label_names_sticky(const struct label_names *names, uint8_t labels[LABELS_SIZE])
{
    memset(labels, 0, LABELS_SIZE);
    for (unsigned bit = 0; bit < LABEL_BITS; bit++)
        if (names->bits[bit].text[0] && names->bits[bit].is_sticky)
            labels_set(labels, bit);
}

/* ---- connlabel.conf ---- */

static const char SPACES[] = " \t\r\v\f\n";

static enum label_line read_name(const char *text, char name[LABEL_NAME_MAX + 1])
{
    size_t length = strlen(text);
    while (length > 0 && strchr(SPACES, text[length - 1]))
        length--;
    if (length == 0)
        return LABEL_LINE_NO_NAME;
    if (length > LABEL_NAME_MAX)
        return LABEL_LINE_BAD_NAME;
    memcpy(name, text, length);
    name[length] = '\0';
    return label_name_is_valid(name) ? LABEL_LINE_NAME : LABEL_LINE_BAD_NAME;
}

enum label_line label_line_read(const char *line, unsigned *bit, char name[LABEL_NAME_MAX + 1],
                                size_t *column)
{
    *column = strspn(line, SPACES);
    if (line[0] == '#' || line[*column] == '\0')
        return LABEL_LINE_EMPTY;
    if (line[*column] < '0' || line[*column] > '9')
        return LABEL_LINE_NO_BIT;
    char *end;
    errno = 0;
    unsigned long number = strtoul(line + *column, &end, 0);
    if (errno || number >= LABEL_BITS)
        return LABEL_LINE_BAD_BIT;
    *bit = (unsigned)number;
    *column = (size_t)(end - line) + strspn(end, SPACES);
    return read_name(line + *column, name);
}
