#include "tracker/flow_label/lease_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the values are read into. */
struct reading {
    const struct config *config;
    struct lease_request *read;
    char *why;
    uint32_t for_uid; /* whom a privileged request is for */
    uint32_t for_pid;
};

static int refuse(struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->why, CHANGE_ANSWER_MAX + 1, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* ---- values ---- */

static bool read_number(const char *text, uint32_t max, uint32_t *number)
{
    bool is_hexadecimal = text[0] == '0' && text[1] == 'x';
    const char *digits = is_hexadecimal ? text + 2 : text;
    size_t n = strspn(digits, is_hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
    if (n == 0 || n > 10 || digits[n] != '\0')
        return false;
    unsigned long long value = strtoull(digits, NULL, is_hexadecimal ? 16 : 10);
    *number = (uint32_t)value;
    return value <= max;
}

bool lease_request_label(const char *text, uint32_t *label)
{
    return read_number(text, UINT32_MAX, label);
}

static int read_seconds(struct reading *reading, const char *text, uint16_t *seconds)
{
    uint32_t number;
    if (!read_number(text, UINT16_MAX, &number))
        return refuse(reading, "got '%.40s', expected seconds from 0 to %u", text, UINT16_MAX);
    *seconds = (uint16_t)number;
    return 0;
}

static int on_linger(struct reading *reading, const char *text)
{
    return read_seconds(reading, text, &reading->read->request.linger_s);
}

static int on_expires(struct reading *reading, const char *text)
{
    return read_seconds(reading, text, &reading->read->request.expires_s);
}

static int on_destination(struct reading *reading, const char *text)
{
    if (inet_pton(AF_INET6, text, reading->read->request.destination) != 1)
        return refuse(reading, "got '%.60s', expected an IPv6 address", text);
    return 0;
}

static int on_share(struct reading *reading, const char *text)
{
    static const struct {
        const char *name;
        enum flow_label_share share;
    } shares[] = {
        {"none", FLOW_LABEL_SHARE_NONE},       {"exclusive", FLOW_LABEL_SHARE_EXCLUSIVE},
        {"process", FLOW_LABEL_SHARE_PROCESS}, {"user", FLOW_LABEL_SHARE_USER},
        {"any", FLOW_LABEL_SHARE_ANY},
    };
    uint32_t number;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        if (strcmp(text, shares[i].name) == 0) {
            reading->read->request.share = (uint8_t)shares[i].share;
            return 0;
        }
    }
    if (!read_number(text, UINT8_MAX, &number))
        return refuse(reading, "share: got '%.40s', expected exclusive, process, user or any",
                      text);
    reading->read->request.share = (uint8_t)number;
    return 0;
}

static int on_flags(struct reading *reading, const char *text)
{
    uint32_t number;
    if (!read_number(text, UINT16_MAX, &number))
        return refuse(reading, "flags: got '%.40s', expected a number of 16 bits", text);
    reading->read->request.flags = (uint16_t)(reading->read->request.flags | number);
    return 0;
}

static int on_holder(struct reading *reading, const char *text)
{
    size_t length = strlen(text);
    if (length == 0 || length > FLOW_LABEL_HOLDER_NAME_MAX)
        return refuse(reading, "holder: got '%.40s', expected 1 to %d characters", text,
                      FLOW_LABEL_HOLDER_NAME_MAX);
    memcpy(reading->read->holder, text, length + 1);
    return 0;
}

static int on_protocol(struct reading *reading, const char *text)
{
    reading->read->request.is_tcp = strcmp(text, "tcp") == 0;
    if (!reading->read->request.is_tcp && strcmp(text, "udp") != 0)
        return refuse(reading, "protocol: got '%.40s', expected tcp or udp", text);
    return 0;
}

static int on_uid(struct reading *reading, const char *text)
{
    if (!read_number(text, UINT32_MAX, &reading->for_uid))
        return refuse(reading, "uid: got '%.40s', expected a number", text);
    return 0;
}

static int on_pid(struct reading *reading, const char *text)
{
    if (!read_number(text, UINT32_MAX, &reading->for_pid))
        return refuse(reading, "pid: got '%.40s', expected a number", text);
    return 0;
}

static int on_account(struct reading *reading, const char *text)
{
    for (size_t i = 0; i < reading->config->n_accounts; i++) {
        if (strcmp(reading->config->accounts[i].name, text) == 0) {
            reading->read->request.account = (uint16_t)(i + 1);
            return 0;
        }
    }
    return refuse(reading, "account: there is none of the name '%.63s'", text);
}

static int on_class(struct reading *reading, const char *text)
{
    for (size_t i = 0; i < reading->config->classes.n; i++) {
        if (strcmp(reading->config->classes.items[i], text) == 0) {
            reading->read->request.class_index = (uint8_t)(CONFIG_CLASS_FIRST + i);
            return 0;
        }
    }
    return refuse(reading, "class: there is none of the name '%.63s'", text);
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static int read_option(struct reading *reading, enum flow_label_option_kind kind, const char *text)
{
    struct lease_request *read = reading->read;
    uint8_t *bytes = read->option_bytes + read->n_option_bytes;
    size_t size = strlen(text) / 2;
    bool is_whole = strlen(text) % 2 == 0;
    for (size_t i = 0; i < size && is_whole; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        is_whole = high >= 0 && low >= 0;
        if (is_whole)
            bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (!is_whole)
        return refuse(reading, "got '%.40s', expected a header as hexadecimal digits", text);
    if (read->request.n_options == FLOW_LABEL_OPTIONS_MAX)
        return refuse(reading, "more than %d headers", FLOW_LABEL_OPTIONS_MAX);
    read->request.options[read->request.n_options++] =
        (struct flow_label_option){(uint8_t)kind, (uint16_t)size, bytes};
    read->n_option_bytes += size;
    return 0;
}

/* ---- words ---- */

static const struct {
    const char *name;
    int (*read)(struct reading *reading, const char *text);
} values[] = {
    {"dst", on_destination},   {"share", on_share}, {"linger", on_linger},
    {"expires", on_expires},   {"flags", on_flags}, {"holder", on_holder},
    {"account", on_account},   {"class", on_class}, {"uid", on_uid},
    {"protocol", on_protocol}, {"pid", on_pid},
};

static int read_flag(struct reading *reading, const char *word)
{
    static const struct {
        const char *name;
        enum flow_label_flag flag;
    } flags[] = {
        {"create", FLOW_LABEL_CREATE},
        {"exclusive", FLOW_LABEL_EXCLUSIVE},
        {"reflect", FLOW_LABEL_REFLECT},
        {"remote", FLOW_LABEL_REMOTE},
    };
    uint16_t *into = &reading->read->request.flags;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(word, flags[i].name) == 0) {
            *into = (uint16_t)(*into | flags[i].flag);
            return 0;
        }
    }
    return refuse(reading, "unknown word '%.40s'", word);
}

/* "hopopts=…" */
static bool is_option(const char *word, enum flow_label_option_kind *kind)
{
    static const char *const names[] = {
        [FLOW_LABEL_HOPOPTS] = "hopopts",
        [FLOW_LABEL_RTHDRDSTOPTS] = "rthdrdstopts",
        [FLOW_LABEL_RTHDR] = "rthdr",
        [FLOW_LABEL_DSTOPTS] = "dstopts",
    };
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < sizeof names / sizeof *names && word[length]; i++) {
        *kind = (enum flow_label_option_kind)i;
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
            return true;
    }
    return false;
}

static int read_word(struct reading *reading, const char *word)
{
    const char *equals = strchr(word, '=');
    enum flow_label_option_kind kind;
    if (!equals)
        return read_flag(reading, word);
    if (is_option(word, &kind))
        return read_option(reading, kind, equals + 1);
    size_t length = (size_t)(equals - word);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strlen(values[i].name) == length && strncmp(word, values[i].name, length) == 0)
            return values[i].read(reading, equals + 1);
    return refuse(reading, "unknown word '%.40s'", word);
}

int lease_request_headers(const char *const *words, size_t n_words, struct lease_request *read,
                          char *why)
{
    struct reading reading = {.read = read, .why = why};
    int result = 0;
    read->n_option_bytes = 0;
    read->request = (struct flow_label_request){0};
    for (size_t i = 0; i < n_words && result == 0; i++) {
        enum flow_label_option_kind kind;
        result = is_option(words[i], &kind)
                     ? read_option(&reading, kind, strchr(words[i], '=') + 1)
                     : refuse(&reading, "got '%.40s', expected a header", words[i]);
    }
    return result;
}

static int read_action(struct reading *reading, const char *word)
{
    static const char *const actions[] = {
        [FLOW_LABEL_GET] = "get", [FLOW_LABEL_PUT] = "put", [FLOW_LABEL_RENEW] = "renew"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(word, actions[i]) == 0) {
            reading->read->request.action = (uint8_t)i;
            return 0;
        }
    }
    return refuse(reading, "unknown action '%.40s', expected get, renew or put", word);
}

/* "new" makes what it says; a label of 0 is left to its flags, as in the kernel. */
static int read_label(struct reading *reading, const char *word)
{
    struct flow_label_request *request = &reading->read->request;
    bool is_new = request->action == FLOW_LABEL_GET && strcmp(word, "new") == 0;
    if (is_new)
        request->flags = FLOW_LABEL_CREATE;
    if (request->action == FLOW_LABEL_PUT && strcmp(word, "all") == 0)
        request->action = FLOW_LABEL_CLOSE;
    else if (!is_new && !lease_request_label(word, &request->label))
        return refuse(reading, "got '%.40s', expected a label, as 0x12345", word);
    return 0;
}

/* Who may do anything may do it as somebody else, with the other's privilege. */
static int stand_for(struct reading *reading, const struct change *change)
{
    struct flow_label_request *request = &reading->read->request;
    bool is_other = reading->for_uid != change->uid || reading->for_pid != change->pid;
    if (is_other && change->uid != 0) {
        refuse(reading, "only root asks for another user or process");
        return -EPERM;
    }
    request->uid = reading->for_uid;
    request->pid = reading->for_pid;
    request->is_privileged = reading->for_uid == 0;
    return 0;
}

int lease_request_read(const struct config *config, const struct change *change,
                       struct lease_request *read, char *why)
{
    struct reading reading = {config, read, why, change->uid, change->pid};
    read->n_option_bytes = 0;
    read->request = (struct flow_label_request){
        .time_ns = change->time_ns, .seed = change->seed, .holder = read->holder};
    snprintf(read->holder, sizeof read->holder, "default");
    if (change->n_words < 3)
        return refuse(&reading, "expected get, renew or put, and a label");
    int result = read_action(&reading, change->words[1]);
    if (result == 0 && read->request.action == FLOW_LABEL_GET)
        read->request.share = FLOW_LABEL_SHARE_EXCLUSIVE;
    if (result == 0)
        result = read_label(&reading, change->words[2]);
    for (size_t i = 3; i < change->n_words && result == 0; i++)
        result = read_word(&reading, change->words[i]);
    return result == 0 ? stand_for(&reading, change) : result;
}
