/* text_scan: reads numbers and words in bytes that need not be text. */
#ifndef WANMETER_TRACKER_TEXT_SCAN_H
#define WANMETER_TRACKER_TEXT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Bytes that are still to be read. */
struct text {
    const char *at;
    const char *end;
};

/* 'bytes' may be NULL with a size of 0. */
static inline struct text text_of(const uint8_t *bytes, size_t size)
{
    const char *text = bytes ? (const char *)bytes : "";
    return (struct text){text, text + (bytes ? size : 0)};
}

static inline size_t text_left(const struct text *text)
{
    return (size_t)(text->end - text->at);
}

static inline bool text_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline bool text_is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* 'word' in capitals or not. */
static inline bool text_begins(const struct text *text, const char *word)
{
    size_t length = strlen(word);
    return text_left(text) >= length && strncasecmp(text->at, word, length) == 0;
}

static inline bool text_begins_exactly(const struct text *text, const char *word)
{
    size_t length = strlen(word);
    return text_left(text) >= length && memcmp(text->at, word, length) == 0;
}

/* Steps over the digits and gives their number, modulo 2^64; 0 where there are none. */
static inline uint64_t text_take_number(struct text *text)
{
    uint64_t number = 0;
    for (; text->at < text->end && text_is_digit(*text->at); text->at++)
        number = number * 10 + (uint64_t)(*text->at - '0');
    return number;
}

/* Steps to the first 'word' before the end and over it; false: there is none, and nothing moved. */
static inline bool text_skip_past(struct text *text, const char *word)
{
    const char *found = memmem(text->at, text_left(text), word, strlen(word));
    if (!found)
        return false;
    text->at = found + strlen(word);
    return true;
}

#endif
