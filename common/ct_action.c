#include "common/ct_action.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_labels.h"

enum { VALUE_MAX = 255, HEX_DIGITS_MAX = 2 * LABELS_SIZE };

/* One attribute of the text: NAME or NAME=VALUE. */
struct word {
    size_t offset;
    char name[32];
    size_t value_offset;
    char value[VALUE_MAX + 1];
    bool has_value;
};

__attribute__((format(printf, 3, 4))) static bool
complain(struct config_complaint *complaint, const char *what, const char *expected, ...)
{
    va_list arguments;
    va_start(arguments, expected);
    complaint->what = what;
    vsnprintf(complaint->expected, sizeof complaint->expected, expected, arguments);
    va_end(arguments);
    return false;
}

static bool complain_unknown(const char *what, const struct config_suggestion *suggestion,
                             struct config_complaint *complaint)
{
    complaint->what = what;
    snprintf(complaint->suggestion, sizeof complaint->suggestion, "%s", suggestion->word);
    return false;
}

/* ---- numbers with masks ---- */

/* Decimal or 0x digits, nothing else, up to 'max'. */
static bool read_number(const char *text, size_t length, uint64_t max, uint64_t *number)
{
    bool is_hex = length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = is_hex ? text + 2 : text;
    size_t n_digits = length - (size_t)(digits - text);
    static const char hex[] = "0123456789abcdefABCDEF";
    if (n_digits == 0 || n_digits > 18)
        return false;
    for (size_t i = 0; i < n_digits; i++)
        if (!strchr(is_hex ? hex : "0123456789", digits[i]))
            return false;
    if (!is_hex && n_digits > 1 && digits[0] == '0')
        return false; /* some would read it as octal */
    char copy[20] = "";
    memcpy(copy, digits, n_digits);
    *number = strtoull(copy, NULL, is_hex ? 16 : 10);
    return *number <= max;
}

bool ct_mark_read(const char *text, uint32_t *value, uint32_t *mask,
                  struct config_complaint *complaint)
{
    size_t value_length = strcspn(text, "/");
    uint64_t value_number, mask_number = UINT32_MAX;
    bool has_mask = text[value_length] == '/';
    const char *mask_text = text + value_length + 1;
    if (!read_number(text, value_length, UINT32_MAX, &value_number) ||
        (has_mask && !read_number(mask_text, strlen(mask_text), UINT32_MAX, &mask_number)))
        return complain(complaint, "not a mark of 32 bits", "VALUE or VALUE/MASK, 0 to 0xffffffff");
    *value = (uint32_t)value_number;
    *mask = (uint32_t)mask_number;
    return true;
}

/* Digits that are too many are told from text that is no number. */
static bool complain_labels(const char *text, struct config_complaint *complaint)
{
    size_t n_digits = strncmp(text, "0x", 2) == 0 ? strspn(text + 2, "0123456789abcdefABCDEF") : 0;
    if (n_digits > HEX_DIGITS_MAX)
        return complain(complaint, "longer than 128 bits", "at most 32 hexadecimal digits");
    if (n_digits == 0 && strspn(text, "0123456789") == strlen(text)) {
        uint8_t labels[LABELS_SIZE] = {0};
        unsigned long bit = strtoul(text, NULL, 10);
        complain(complaint, "not a label", "0x and hexadecimal digits, or a name");
        if (bit < LABEL_BITS) {
            labels_set(labels, (unsigned)bit);
            static_assert(sizeof complaint->suggestion >= LABELS_TEXT_SIZE, "a label fits");
            labels_text(labels, complaint->suggestion);
        }
        return false;
    }
    return complain(complaint, "not a label of 128 bits",
                    "a name, or VALUE[/MASK] with 0x and hexadecimal digits");
}

static bool read_label_name(const struct label_names *names, const char *text,
                            uint8_t value[LABELS_SIZE], uint8_t mask[LABELS_SIZE],
                            struct config_complaint *complaint)
{
    int bit = label_names_find(names, text);
    if (bit < 0) {
        struct config_suggestion suggestion;
        config_suggestion_init(&suggestion, text);
        for (unsigned i = 0; i < LABEL_BITS; i++)
            config_suggestion_offer(&suggestion, names->bits[i].text, strlen(names->bits[i].text));
        return complain_unknown("unknown label", &suggestion, complaint);
    }
    memset(value, 0, LABELS_SIZE);
    labels_set(value, (unsigned)bit);
    memcpy(mask, value, LABELS_SIZE);
    return true;
}

bool ct_labels_read(const struct label_names *names, const char *text, uint8_t value[LABELS_SIZE],
                    uint8_t mask[LABELS_SIZE], struct config_complaint *complaint)
{
    bool is_number = text[0] >= '0' && text[0] <= '9';
    if (label_names_find(names, text) >= 0 || (!is_number && label_name_is_valid(text)))
        return read_label_name(names, text, value, mask, complaint);
    size_t value_length = strcspn(text, "/");
    const char *mask_text = text + value_length + 1;
    memset(mask, 0xff, LABELS_SIZE);
    if (!labels_read(text, value_length, value))
        return complain_labels(text, complaint);
    if (text[value_length] == '/' && !labels_read(mask_text, strlen(mask_text), mask))
        return complain_labels(mask_text, complaint);
    return true;
}

/* ---- attributes ---- */

static bool read_commit(const struct config *config, const struct word *word,
                        struct ct_action *action, struct config_complaint *complaint)
{
    (void)config, (void)word, (void)action, (void)complaint;
    return true;
}

static bool read_zone(const struct config *config, const struct word *word,
                      struct ct_action *action, struct config_complaint *complaint)
{
    (void)config;
    uint64_t zone;
    if (!read_number(word->value, strlen(word->value), UINT16_MAX, &zone))
        return complain(complaint, "not a zone", "0 to 65535");
    action->zone = (uint16_t)zone;
    return true;
}

static bool read_mark(const struct config *config, const struct word *word,
                      struct ct_action *action, struct config_complaint *complaint)
{
    (void)config;
    if (!ct_mark_read(word->value, &action->mark, &action->mark_mask, complaint))
        return false;
    if (action->mark_mask == 0)
        return complain(complaint, "the mask is 0", "a mask with the bits to write");
    if (action->mark & ~action->mark_mask)
        return complain(complaint, "the value has bits outside its mask", "%#" PRIx32 "/%#" PRIx32,
                        action->mark & action->mark_mask, action->mark_mask);
    return true;
}

static bool read_label(const struct config *config, const struct word *word,
                       struct ct_action *action, struct config_complaint *complaint)
{
    struct label_names names;
    config_label_names(config, &names);
    if (!ct_labels_read(&names, word->value, action->labels, action->labels_mask, complaint))
        return false;
    if (labels_is_zero(action->labels_mask))
        return complain(complaint, "the mask is 0", "a mask with the bits to write");
    for (size_t i = 0; i < LABELS_SIZE; i++)
        if (action->labels[i] & ~action->labels_mask[i])
            return complain(complaint, "the value has bits outside its mask", "%s",
                            "a value inside it");
    return true;
}

static bool read_helper(const struct config *config, const struct word *word,
                        struct ct_action *action, struct config_complaint *complaint)
{
    (void)config;
    action->helper = (uint8_t)helper_number_of(word->value);
    if (action->helper != HELPER_NONE)
        return true;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, word->value);
    for (int i = HELPER_NONE + 1; i < HELPER_N; i++)
        config_suggestion_offer(&suggestion, helper_names[i].name, strlen(helper_names[i].name));
    complain(complaint, "unknown helper", "%s", "ftp, tftp, sip, irc, pptp or amanda");
    return complain_unknown(complaint->what, &suggestion, complaint);
}

static bool read_timeout(const struct config *config, const struct word *word,
                         struct ct_action *action, struct config_complaint *complaint)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, word->value);
    for (size_t i = 0; i < config->n_timeout_policies; i++) {
        const char *name = config->timeout_policies[i].name;
        if (name && strcmp(name, word->value) == 0) {
            action->timeout = name;
            return true;
        }
        if (name)
            config_suggestion_offer(&suggestion, name, strlen(name));
    }
    return complain_unknown("unknown timeout policy", &suggestion, complaint);
}

static bool read_account(const struct config *config, const struct word *word,
                         struct ct_action *action, struct config_complaint *complaint)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, word->value);
    for (size_t i = 0; i < config->n_accounts; i++) {
        const char *name = config->accounts[i].name;
        if (name && strcmp(name, word->value) == 0) {
            action->account = (uint16_t)(i + 1);
            return true;
        }
        if (name)
            config_suggestion_offer(&suggestion, name, strlen(name));
    }
    return complain_unknown("unknown account", &suggestion, complaint);
}

static bool read_class(const struct config *config, const struct word *word,
                       struct ct_action *action, struct config_complaint *complaint)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, word->value);
    for (size_t i = 0; i < config->classes.n; i++) {
        if (strcmp(config->classes.items[i], word->value) == 0) {
            action->class_index = (uint8_t)(CONFIG_CLASS_FIRST + i);
            return true;
        }
        config_suggestion_offer(&suggestion, config->classes.items[i],
                                strlen(config->classes.items[i]));
    }
    return complain_unknown("unknown class", &suggestion, complaint);
}

static const struct attribute {
    const char *name;
    bool (*read)(const struct config *config, const struct word *word, struct ct_action *action,
                 struct config_complaint *complaint);
    enum ct_attribute bit;
    bool has_value;
    bool needs_commit;
} attributes[] = {
    {"commit", read_commit, CT_ACTION_COMMIT, false, false},
    {"notrack", read_commit, CT_ACTION_NOTRACK, false, false},
    {"zone", read_zone, CT_ACTION_ZONE, true, false},
    {"mark", read_mark, CT_ACTION_MARK, true, true},
    {"label", read_label, CT_ACTION_LABEL, true, true},
    {"helper", read_helper, CT_ACTION_HELPER, true, true},
    {"timeout", read_timeout, CT_ACTION_TIMEOUT, true, true},
    {"account", read_account, CT_ACTION_ACCOUNT, true, false},
    {"class", read_class, CT_ACTION_CLASS, true, false},
};
enum { N_ATTRIBUTES = sizeof attributes / sizeof *attributes };

static const struct attribute *find_attribute(const char *name, struct config_complaint *complaint)
{
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (strcmp(attributes[i].name, name) == 0)
            return &attributes[i];
        config_suggestion_offer(&suggestion, attributes[i].name, strlen(attributes[i].name));
    }
    complain_unknown("unknown attribute", &suggestion, complaint);
    return NULL;
}

/* ---- the text ---- */

/* Cuts the next attribute off; false: it is too long to be one. */
static bool next_word(const char *text, size_t *at, struct word *word)
{
    *at += strspn(text + *at, " ");
    size_t length = strcspn(text + *at, ","), end = *at + length;
    while (length > 0 && text[*at + length - 1] == ' ')
        length--;
    size_t name_length = strcspn(text + *at, "=,");
    bool has_value = name_length < length;
    name_length = has_value ? name_length : length;
    size_t value_length = has_value ? length - name_length - 1 : 0;
    *word = (struct word){.offset = *at,
                          .has_value = has_value,
                          .value_offset = *at + name_length + (has_value ? 1 : 0)};
    bool fits = name_length < sizeof word->name && value_length <= VALUE_MAX;
    if (fits) {
        memcpy(word->name, text + *at, name_length);
        memcpy(word->value, text + word->value_offset, value_length);
    }
    *at = end + (text[end] == ',');
    return fits;
}

static bool point_at(struct ct_complaint *complaint, size_t offset, const char *got)
{
    complaint->offset = offset;
    snprintf(complaint->got, sizeof complaint->got, "%.60s", got);
    return false;
}

static bool read_word(const struct config *config, const struct word *word,
                      struct ct_action *action, struct ct_complaint *complaint)
{
    struct config_complaint *value = &complaint->value;
    const struct attribute *attribute = find_attribute(word->name, value);
    if (!attribute)
        return point_at(complaint, word->offset, word->name);
    if (action->attributes & attribute->bit) {
        value->what = "given twice";
        return point_at(complaint, word->offset, word->name);
    }
    if (attribute->has_value != (word->has_value && *word->value)) {
        complain(value, attribute->has_value ? "the value is missing" : "takes no value", "%s%s",
                 attribute->name, attribute->has_value ? "=VALUE" : "");
        return point_at(complaint, word->offset, word->name);
    }
    action->attributes |= attribute->bit;
    return attribute->read(config, word, action, value) ||
           point_at(complaint, word->value_offset, word->value);
}

static bool check_together(const char *text, const struct ct_action *action,
                           struct ct_complaint *complaint)
{
    bool is_untracked = (action->attributes & CT_ACTION_NOTRACK) != 0;
    size_t at = 0;
    struct word word;
    while (text[at]) {
        next_word(text, &at, &word);
        const struct attribute *attribute = find_attribute(word.name, &complaint->value);
        assert(attribute);
        bool is_of_connection = attribute->needs_commit || attribute->bit == CT_ACTION_COMMIT ||
                                attribute->bit == CT_ACTION_ZONE;
        if (is_untracked && is_of_connection) {
            complain(&complaint->value, "not together with notrack", "%s", "one of them");
            return point_at(complaint, word.offset, word.name);
        }
        if (attribute->needs_commit && !(action->attributes & CT_ACTION_COMMIT)) {
            complain(&complaint->value, "needs 'commit'", "commit,%s=%.100s", word.name,
                     word.value);
            return point_at(complaint, word.offset, word.name);
        }
    }
    return true;
}

bool ct_action_read(const struct config *config, const char *text, struct ct_action *action,
                    struct ct_complaint *complaint)
{
    *action = (struct ct_action){0};
    *complaint = (struct ct_complaint){0};
    struct word word;
    for (size_t at = 0; text[at];) {
        size_t begin = at;
        if (!next_word(text, &at, &word)) {
            complain(&complaint->value, "too long", "at most %d bytes", VALUE_MAX);
            return point_at(complaint, begin, "");
        }
        bool is_last_comma = text[at] == '\0' && at > 0 && text[at - 1] == ',';
        if (!*word.name || is_last_comma) {
            complain(&complaint->value, "an attribute is missing", "%s", "one beside each comma");
            return point_at(complaint, is_last_comma ? at - 1 : word.offset, "");
        }
        if (!read_word(config, &word, action, complaint))
            return false;
    }
    return check_together(text, action, complaint);
}
