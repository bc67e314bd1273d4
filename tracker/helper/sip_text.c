#include "tracker/helper/sip_text.h"

#include <arpa/inet.h>

enum { SIP_PORT = 5060, PORT_MIN = 1024, PORT_MAX = 65535, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

static bool is_line_end(char byte)
{
    return byte == '\r' || byte == '\n';
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Steps to the beginning of the next line; false: there is none. */
static bool next_line(struct text *text)
{
    while (text->at < text->end && !is_line_end(*text->at))
        text->at++;
    if (text_left(text) >= 2 && text->at[0] == '\r' && text->at[1] == '\n')
        text->at++;
    if (text->at < text->end)
        text->at++;
    return text->at < text->end;
}

static const char *end_of_line(const struct text *text)
{
    const char *at = text->at;
    while (at < text->end && !is_line_end(*at))
        at++;
    return at;
}

/* Over its continuation lines too. */
static const char *end_of_header(struct text text)
{
    for (;;) {
        const char *end = end_of_line(&text);
        if (!next_line(&text) || !is_blank(*text.at))
            return end;
    }
}

static void skip_blanks(struct text *text)
{
    while (text->at < text->end && is_blank(*text->at))
        text->at++;
}

/* Steps over the name; a compact one is not the beginning of a longer word. */
static bool skip_name(struct text *text, const char *name, const char *compact)
{
    if (text_begins(text, name)) {
        text->at += strlen(name);
        return true;
    }
    if (!compact || !text_begins(text, compact) || text_left(text) < 2 ||
        text_is_letter(text->at[1]))
        return false;
    text->at++;
    return true;
}

bool sip_header(struct text *rest, const char *name, const char *compact, struct text *value)
{
    while (next_line(rest)) {
        struct text header = *rest;
        if (is_blank(*header.at) || !skip_name(&header, name, compact))
            continue;
        skip_blanks(&header);
        if (header.at == header.end || *header.at != ':')
            return false;
        header.at++;
        skip_blanks(&header);
        *value = (struct text){header.at, end_of_header(header)};
        rest->at = value->end;
        return true;
    }
    return false;
}

bool sip_number(struct text message, const char *name, uint32_t *number)
{
    struct text value;
    if (!sip_header(&message, name, NULL, &value) || text_left(&value) == 0 ||
        !text_is_digit(*value.at))
        return false;
    *number = (uint32_t)text_take_number(&value);
    return true;
}

/* ---- addresses ---- */

/* Steps over the address that 'text' begins with, up to what cannot be part of one. */
static bool take_address(struct text *text, bool is_ipv6, bool needs_brackets, uint8_t address[16])
{
    static const char parts[] = "0123456789abcdefABCDEF.:";
    char copy[INET6_ADDRSTRLEN];
    bool has_bracket = is_ipv6 && text->at < text->end && *text->at == '[';
    if (is_ipv6 && needs_brackets && !has_bracket)
        return false;
    const char *at = text->at + has_bracket;
    size_t length = 0;
    while (at < text->end && length < sizeof copy - 1 && memchr(parts, *at, sizeof parts - 1) &&
           (is_ipv6 || *at != ':'))
        copy[length++] = *at++;
    copy[length] = 0;
    memset(address, 0, 16);
    if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, copy, address) != 1)
        return false;
    if (has_bracket && (at == text->end || *at++ != ']'))
        return false;
    text->at = at;
    return true;
}

/* "user@", where there is one before the end of the line. */
static void skip_user(struct text *text)
{
    const char *end = end_of_line(text);
    const char *found = memchr(text->at, '@', (size_t)(end - text->at));
    if (found)
        text->at = found + 1;
}

static bool text_find(struct text *text, const char *word)
{
    while (text->at < text->end && !text_begins(text, word))
        text->at++;
    return text->at < text->end;
}

enum sip_reading sip_uri(struct text *header, bool is_ipv6, struct sip_uri *uri)
{
    if (!text_find(header, "sip:"))
        return SIP_NONE;
    header->at += strlen("sip:");
    skip_user(header);
    if (!take_address(header, is_ipv6, true, uri->address))
        return SIP_BAD;
    uri->port = SIP_PORT;
    if (header->at < header->end && *header->at == ':') {
        header->at++;
        uint64_t port = text_take_number(header);
        if (port < PORT_MIN || port > PORT_MAX)
            return SIP_BAD;
        uri->port = (uint16_t)port;
    }
    return SIP_FOUND;
}

/* ---- parameters ---- */

static void cut_at(struct text *text, char byte)
{
    const char *found = memchr(text->at, byte, text_left(text));
    if (found)
        text->end = found;
}

bool sip_parameter(struct text header, const char *name, uint32_t *number)
{
    cut_at(&header, ',');
    if (!text_find(&header, name))
        return false;
    header.at += strlen(name);
    *number = (uint32_t)text_take_number(&header);
    return true;
}

uint8_t sip_transport(struct text header, uint8_t otherwise)
{
    cut_at(&header, ',');
    if (!text_find(&header, "transport="))
        return otherwise;
    header.at += strlen("transport=");
    if (text_begins(&header, "TCP"))
        return PROTOCOL_TCP;
    return text_begins(&header, "UDP") ? PROTOCOL_UDP : 0;
}

/* ---- session descriptions ---- */

bool sdp_line(struct text *rest, const char *name, const char *before, struct text *value)
{
    while (next_line(rest)) {
        if (before && text_begins(rest, before))
            return false;
        if (!text_begins(rest, name))
            continue;
        rest->at += strlen(name);
        *value = (struct text){rest->at, end_of_line(rest)};
        return true;
    }
    return false;
}

bool sdp_address(struct text rest, bool is_ipv6, uint8_t address[16])
{
    struct text line;
    if (!sdp_line(&rest, "c=", "m=", &line) || !text_find(&line, is_ipv6 ? "IN IP6 " : "IN IP4 "))
        return false;
    line.at += strlen("IN IP4 ");
    return take_address(&line, is_ipv6, false, address);
}
