/* Changes in words: read first, all of them, then done. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_value.h"
#include "tracker/timeout_policy.h"
#include "tracker/timeout_policy/timeout_words.h"

/* What a change asks for. */
struct order {
    const char *name;
    uint8_t ip_version;
    const char *l4;
    const struct timeout_kind *kind; /* NULL: 'l4' has none */
    struct timeout_values values;
    enum timeout_put how;
};

static void answer(struct change_result *result, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void answer(struct change_result *result, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->answer, sizeof result->answer, format, arguments);
    va_end(arguments);
    result->error = error;
}

uint8_t timeout_ip_version(const char *l3)
{
    if (strcmp(l3, "inet") == 0)
        return 4;
    return strcmp(l3, "inet6") == 0 ? 6 : 0;
}

/* ---- reading ---- */

static bool complain_value_name(const struct timeout_kind *kind, const char *name, size_t length,
                                struct change_result *result)
{
    char names[TIMEOUT_KIND_NAMES_SIZE];
    timeout_kind_names(kind, names);
    answer(result, EINVAL, "no timeout of %s: '%.*s' (expected %s)", kind->name,
           (int)(length < 32 ? length : 32), name, names);
    return false;
}

/* 'NAME=SECONDS'. */
static bool read_value(const struct timeout_kind *kind, const char *word,
                       struct timeout_values *values, struct change_result *result)
{
    size_t length = strcspn(word, "="), place = 0;
    while (place < kind->n_values && (strlen(kind->values[place].name) != length ||
                                      memcmp(kind->values[place].name, word, length) != 0))
        place++;
    if (place == kind->n_values)
        return complain_value_name(kind, word, length, result);
    const char *digits = word + length + (word[length] == '=');
    size_t n_digits = strspn(digits, "0123456789");
    uint64_t seconds = n_digits > 0 && n_digits <= 10 ? strtoull(digits, NULL, 10) : UINT64_MAX;
    if (word[length] != '=' || digits[n_digits] || seconds > UINT32_MAX) {
        answer(result, EINVAL, "not a number of seconds: '%.40s' (expected %s=0 to %s=%" PRIu32 ")",
               word, kind->values[place].name, kind->values[place].name, UINT32_MAX);
        return false;
    }
    values->is_given[place] = true;
    values->ns[place] = timeout_ns_of_seconds((uint32_t)seconds);
    return true;
}

/* L3 L4 [exclusive] [NAME=SECONDS]… The values of a protocol that has none are not looked at: the
 * protocol is what is refused. */
static bool read_order(const char *const *words, size_t n_words, struct order *order,
                       struct change_result *result)
{
    order->ip_version = n_words > 0 ? timeout_ip_version(words[0]) : 0;
    if (n_words < 2 || order->ip_version == 0) {
        answer(result, EINVAL, "expected inet or inet6, and a protocol");
        return false;
    }
    order->l4 = words[1];
    order->kind = timeout_kind_find(words[1]);
    size_t first = 2;
    if (order->how == TIMEOUT_NEW && n_words > 2 && strcmp(words[2], "exclusive") == 0) {
        order->how = TIMEOUT_NEW_EXCLUSIVE;
        first++;
    }
    for (size_t i = first; order->kind && i < n_words; i++)
        if (!read_value(order->kind, words[i], &order->values, result))
            return false;
    return true;
}

/* ---- doing ---- */

void timeout_answer_unsupported(const char *l4, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "no timeouts of protocol '%.32s', but of", l4);
    for (size_t i = 0; i < timeout_kinds_n && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s %s", i ? "," : "", timeout_kinds[i].name);
}

void timeout_answer_no_name(const char *name, char *out, size_t size)
{
    snprintf(out, size, "not a name: '%.40s' (expected 1 to %d bytes, no spaces and no commas)",
             name, TIMEOUT_POLICY_NAME_MAX);
}

static void explain_put(const struct order *order, int error, struct change_result *result)
{
    result->error = error;
    switch (error) {
    case EBUSY:
    case EEXIST:
        answer(result, error, "there is a policy '%s'", order->name);
        break;
    case EINVAL:
        if (timeout_policy_is_name(order->name))
            answer(result, error, "policy '%s' is for other protocols", order->name);
        else
            timeout_answer_no_name(order->name, result->answer, sizeof result->answer);
        break;
    case EOPNOTSUPP:
        timeout_answer_unsupported(order->l4, result->answer, sizeof result->answer);
        break;
    case ENOSPC:
        answer(result, error, "there are %d policies: no room for more",
               CONFIG_TIMEOUT_POLICIES_MAX);
        break;
    default:
        result->count = 1;
    }
}

static void put(struct timeout_policies *policies, enum timeout_put how, const char *const *words,
                size_t n_words, struct change_result *result)
{
    struct order order = {.name = n_words > 0 ? words[0] : "", .how = how};
    if (!read_order(words + 1, n_words > 0 ? n_words - 1 : 0, &order, result))
        return;
    int error = timeout_policies_put(policies, order.name, order.ip_version, order.kind,
                                     &order.values, order.how);
    explain_put(&order, error, result);
}

static void put_new(struct timeout_policies *policies, const char *const *words, size_t n_words,
                    struct change_result *result)
{
    put(policies, TIMEOUT_NEW, words, n_words, result);
}

static void put_again(struct timeout_policies *policies, const char *const *words, size_t n_words,
                      struct change_result *result)
{
    put(policies, TIMEOUT_REPLACE, words, n_words, result);
}

static void delete_one(struct timeout_policies *policies, const char *const *words, size_t n_words,
                       struct change_result *result)
{
    if (n_words != 1) {
        answer(result, EINVAL, "expected a policy's name");
        return;
    }
    result->error = timeout_policies_delete(policies, words[0]);
    if (result->error == ENOENT)
        answer(result, ENOENT, "there is no policy '%.40s'", words[0]);
    else if (result->error == EBUSY)
        answer(result, EBUSY, "a rule uses policy '%.40s'", words[0]);
    else if (result->error == EINVAL)
        timeout_answer_no_name(words[0], result->answer, sizeof result->answer);
    else
        result->count = 1;
}

static void delete_all(struct timeout_policies *policies, const char *const *words, size_t n_words,
                       struct change_result *result)
{
    if (n_words != 0)
        answer(result, EINVAL, "unexpected '%.40s'", words[0]);
    else
        result->count = timeout_policies_delete_all(policies);
}

static void set_defaults(struct timeout_policies *policies, const char *const *words,
                         size_t n_words, struct change_result *result)
{
    struct order order = {.how = TIMEOUT_REPLACE};
    if (n_words == 0 || strcmp(words[0], "set") != 0) {
        answer(result, EINVAL, "expected default set");
        return;
    }
    if (!read_order(words + 1, n_words - 1, &order, result))
        return;
    if (!order.kind) {
        explain_put(&order, EOPNOTSUPP, result);
        return;
    }
    timeout_policies_set_defaults(policies, order.kind, &order.values);
    result->count = 1;
}

static const struct verb {
    const char *word;
    void (*run)(struct timeout_policies *policies, const char *const *words, size_t n_words,
                struct change_result *result);
} verbs[] = {
    {"new", put_new},      {"replace", put_again},    {"delete", delete_one},
    {"flush", delete_all}, {"default", set_defaults},
};

void timeout_policies_change(struct timeout_policies *policies, const struct change *change,
                             struct change_result *result)
{
    *result = (struct change_result){0};
    const char *word = change->n_words > 1 ? change->words[1] : "";
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(verbs[i].word, word) == 0) {
            verbs[i].run(policies, change->words + 2, change->n_words - 2, result);
            return;
        }
    }
    answer(result, EINVAL,
           "unknown: timeout %.40s (expected new, replace, delete, flush or default)", word);
}
