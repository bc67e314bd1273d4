#include "common/config/config_value.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/config/config_object.h"
#include "common/config/config_utf8.h"

static bool read_bool(const char *text, bool *value, struct config_complaint *complaint)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
        config_suggestion_offer(&suggestion, words[i], strlen(words[i]));
    }
    complaint->what = "not a yes or no";
    snprintf(complaint->expected, sizeof complaint->expected, "yes or no");
    snprintf(complaint->suggestion, sizeof complaint->suggestion, "%s", suggestion.word);
    return false;
}

/* ---- texts ---- */

void config_words_text(const char *words, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (const char *at = words; *at && length < size;) {
        size_t n = strcspn(at, " ");
        length +=
            (size_t)snprintf(out + length, size - length, "%s%.*s", length ? ", " : "", (int)n, at);
        at += n + (at[n] == ' ');
    }
}

static bool is_word(const struct config_option *option, const char *text,
                    struct config_complaint *complaint)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, text);
    for (const char *at = option->words; *at;) {
        size_t length = strcspn(at, " ");
        if (strlen(text) == length && memcmp(text, at, length) == 0)
            return true;
        config_suggestion_offer(&suggestion, at, length);
        at += length + (at[length] == ' ');
    }
    complaint->what = "unknown value";
    config_words_text(option->words, complaint->expected, sizeof complaint->expected);
    snprintf(complaint->suggestion, sizeof complaint->suggestion, "%s", suggestion.word);
    return false;
}

static bool is_text(const struct config_option *option, const char *text,
                    struct config_complaint *complaint)
{
    size_t length = strlen(text);
    if (!config_utf8_is_text(text)) {
        complaint->what = "not printable UTF-8 text";
        return false;
    }
    if (option->words)
        return is_word(option, text, complaint);
    if ((int64_t)length < option->min || (int64_t)length > option->max) {
        complaint->what = length ? "too long" : "empty";
        snprintf(complaint->expected, sizeof complaint->expected,
                 "%" PRId64 " to %" PRId64 " bytes", option->min, option->max);
        return false;
    }
    if (option->is_valid && !option->is_valid(text)) {
        complaint->what = "not allowed";
        snprintf(complaint->expected, sizeof complaint->expected, "%s", option->expected);
        return false;
    }
    return true;
}

/* Plain style only where no YAML reader could see anything else than this text. */
static bool needs_quotes(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t length = strlen(text);
    if (length == 0 || (text[0] != '/' && !strchr(letters, text[0])) || text[length - 1] == ':')
        return true;
    if (strcasecmp(text, "null") == 0)
        return true;
    for (const char *c = text; *c; c++)
        if (!strchr(letters, *c) && !strchr("._-+/:", *c))
            return true;
    return false;
}

static void write_text(const char *text, FILE *out)
{
    if (!needs_quotes(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

/* ---- addresses ---- */

static void clear_host_bits(struct config_prefix *prefix)
{
    unsigned n_bits = prefix->family == 4 ? 32 : 128;
    for (unsigned bit = prefix->length; bit < n_bits; bit++)
        prefix->address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

/* The digits after the slash; -1: not a number up to 'max'. */
static int read_length(const char *digits, int max)
{
    size_t n = strlen(digits);
    if (n == 0 || n > 3 || strspn(digits, "0123456789") != n || (n > 1 && digits[0] == '0'))
        return -1;
    int length = atoi(digits);
    return length <= max ? length : -1;
}

static bool complain_prefix(const char *what, struct config_complaint *complaint)
{
    complaint->what = what;
    snprintf(complaint->expected, sizeof complaint->expected,
             "an address block such as 192.0.2.0/24 or 2001:db8::/32");
    return false;
}

bool config_prefix_read(const char *text, struct config_prefix *prefix,
                        struct config_complaint *complaint)
{
    char address[ADDRESS_TEXT_SIZE];
    size_t address_length = strcspn(text, "/");
    if (address_length >= sizeof address)
        return complain_prefix("not an address block", complaint);
    memcpy(address, text, address_length);
    address[address_length] = '\0';

    *prefix = (struct config_prefix){.family = strchr(address, ':') ? 6 : 4};
    int n_bits = prefix->family == 4 ? 32 : 128;
    if (inet_pton(prefix->family == 4 ? AF_INET : AF_INET6, address, prefix->address) != 1)
        return complain_prefix("not an address block", complaint);
    bool has_length = text[address_length] == '/';
    int length = has_length ? read_length(text + address_length + 1, n_bits) : n_bits;
    if (length < 0) {
        complaint->what = "not a prefix length";
        snprintf(complaint->expected, sizeof complaint->expected, "0 to %d after the slash",
                 n_bits);
        return false;
    }
    prefix->length = (uint8_t)length;

    struct config_prefix block = *prefix;
    clear_host_bits(&block);
    if (memcmp(block.address, prefix->address, sizeof block.address) == 0)
        return true;
    complaint->what = "host bits are set";
    char block_text[CONFIG_PREFIX_TEXT_SIZE];
    config_prefix_text(&block, block_text);
    snprintf(complaint->suggestion, sizeof complaint->suggestion, "%s", block_text);
    return false;
}

void config_prefix_text(const struct config_prefix *prefix, char out[CONFIG_PREFIX_TEXT_SIZE])
{
    size_t length = address_text(prefix->family, prefix->address, out);
    snprintf(out + length, CONFIG_PREFIX_TEXT_SIZE - length, "/%u", prefix->length);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_mac(const char *text, struct config_mac *mac, struct config_complaint *complaint)
{
    const char *at = text;
    for (int i = 0; i < 6; i++) {
        int high = hex_digit(at[0]);
        int low = high < 0 ? -1 : hex_digit(at[1]);
        if (low < 0 || at[2] != (i < 5 ? ':' : '\0')) {
            complaint->what = "not a MAC address";
            snprintf(complaint->expected, sizeof complaint->expected,
                     "six bytes such as 02:00:5e:10:00:01");
            return false;
        }
        mac->bytes[i] = (uint8_t)(high << 4 | low);
        at += 3;
    }
    return true;
}

void config_mac_text(const struct config_mac *mac, char out[CONFIG_MAC_TEXT_SIZE])
{
    const uint8_t *b = mac->bytes;
    snprintf(out, CONFIG_MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
             b[4], b[5]);
}

/* ---- by type ---- */

static int64_t get_integer(const struct config_option *option, const void *object)
{
    const void *field = config_option_field(option, object);
    return option->size == sizeof(int32_t) ? *(const int32_t *)field : *(const int64_t *)field;
}

static void put_integer(const struct config_option *option, int64_t value, void *object)
{
    void *field = config_option_field(option, object);
    if (option->size == sizeof(int32_t))
        *(int32_t *)field = (int32_t)value;
    else
        *(int64_t *)field = value;
}

bool config_option_is_set(const struct config_option *option, const void *object)
{
    if (config_option_is_list(option))
        return config_list_n(option, object) > 0;
    if (option->type == CONFIG_TEXT)
        return *(char **)config_option_field(option, object) != NULL;
    return option->type == CONFIG_BOOL || get_integer(option, object) >= 0;
}

bool config_value_read(const struct config_option *option, const char *text, void *object,
                       struct config_complaint *complaint)
{
    assert(!config_option_is_list(option));
    *complaint = (struct config_complaint){0};
    if (option->type == CONFIG_BOOL)
        return read_bool(text, config_option_field(option, object), complaint);
    if (option->type == CONFIG_TEXT) {
        if (!is_text(option, text, complaint))
            return false;
        config_option_deinit(option, object);
        *(char **)config_option_field(option, object) = config_copy_text(text, strlen(text));
        return true;
    }
    int64_t value;
    if (!config_number_read(option, text, &value, complaint))
        return false;
    put_integer(option, value, object);
    return true;
}

static bool read_item(const struct config_option *option, const char *text, void *item,
                      struct config_complaint *complaint)
{
    int64_t value;
    switch (option->type) {
    case CONFIG_PREFIX_LIST:
        return config_prefix_read(text, item, complaint);
    case CONFIG_MAC_LIST:
        return read_mac(text, item, complaint);
    case CONFIG_INTEGER_LIST:
        if (!config_number_read(option, text, &value, complaint))
            return false;
        *(int32_t *)item = (int32_t)value;
        return true;
    default:
        assert(option->type == CONFIG_TEXT_LIST);
        if (!is_text(option, text, complaint))
            return false;
        *(char **)item = config_copy_text(text, strlen(text));
        return true;
    }
}

bool config_value_read_item(const struct config_option *option, const char *text,
                            struct config_place place, void *object,
                            struct config_complaint *complaint)
{
    *complaint = (struct config_complaint){0};
    void *item = config_list_add(option, object);
    if (!read_item(option, text, item, complaint)) {
        config_list_drop(option, object);
        return false;
    }
    if (option->type == CONFIG_PREFIX_LIST)
        ((struct config_prefix *)item)->place = place;
    return true;
}

static void write_item(const struct config_option *option, const void *item, FILE *out)
{
    char text[CONFIG_PREFIX_TEXT_SIZE];
    switch (option->type) {
    case CONFIG_PREFIX_LIST:
        config_prefix_text(item, text);
        write_text(text, out);
        break;
    case CONFIG_MAC_LIST:
        config_mac_text(item, text);
        fputs(text, out);
        break;
    case CONFIG_INTEGER_LIST:
        fprintf(out, "%" PRId32, *(const int32_t *)item);
        break;
    default:
        assert(option->type == CONFIG_TEXT_LIST);
        write_text(*(char *const *)item, out);
    }
}

static void write_list(const struct config_option *option, const void *object, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < config_list_n(option, object); i++) {
        if (i > 0)
            fputs(", ", out);
        write_item(option, config_list_item(option, object, i), out);
    }
    fputc(']', out);
}

void config_value_write(const struct config_option *option, const void *object, FILE *out)
{
    assert(option->type != CONFIG_MAP_LIST);
    if (config_option_is_list(option)) {
        write_list(option, object, out);
    } else if (option->type == CONFIG_BOOL) {
        fputs(*(const bool *)config_option_field(option, object) ? "yes" : "no", out);
    } else if (option->type == CONFIG_TEXT) {
        write_text(*(char **)config_option_field(option, object), out);
    } else {
        char text[CONFIG_NUMBER_TEXT_SIZE];
        config_number_text(option->type, get_integer(option, object), text);
        fputs(text, out);
    }
}
