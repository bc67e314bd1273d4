/* Questions in words, answered in rows. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tracker/timeout_policy.h"
#include "tracker/timeout_policy/timeout_words.h"

enum { VALUES_SIZE = TIMEOUT_VALUES_MAX * 32 };

static const char *const policy_columns[] = {"name", "l3", "l4", "use", "values"};
static const char *const default_columns[] = {"l3", "l4", "values"};

#define N_OF(array) (sizeof(array) / sizeof *(array))

/* "unreplied=30 replied=120". */
static void write_values(const struct timeout_kind *kind, const struct timeouts *timeouts,
                         char out[VALUES_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; i < kind->n_values; i++)
        used += (size_t)snprintf(
            out + used, VALUES_SIZE - used, "%s%s=%" PRIu32, i ? " " : "", kind->values[i].name,
            timeout_seconds_of_ns(timeout_value_ns(&kind->values[i], timeouts)));
}

static bool put_row(const struct timeout_policy *policy, struct control_reply *reply)
{
    char use[16], values[VALUES_SIZE];
    snprintf(use, sizeof use, "%" PRIu32, policy->n_rules + 1);
    write_values(policy->kind, &policy->timeouts, values);
    const char *row[] = {policy->name, policy->ip_version == 6 ? "inet6" : "inet",
                         policy->kind->name, use, values};
    return control_reply_row(reply, row, N_OF(row));
}

static void list(const struct timeout_policies *policies, const struct control_request *request,
                 struct control_reply *reply)
{
    control_reply_columns(reply, policy_columns, N_OF(policy_columns));
    const struct timeout_policy *policy;
    for (size_t i = request->cursor; (policy = timeout_policies_at(policies, i)); i++) {
        if (!put_row(policy, reply)) {
            reply->cursor = i;
            return;
        }
    }
}

static void get(const struct timeout_policies *policies, const char *name,
                struct control_reply *reply)
{
    const struct timeout_policy *policy;
    for (size_t i = 0; (policy = timeout_policies_at(policies, i)); i++) {
        if (strcmp(policy->name, name) != 0)
            continue;
        control_reply_columns(reply, policy_columns, N_OF(policy_columns));
        put_row(policy, reply);
        return;
    }
    if (timeout_policy_is_name(name)) {
        control_reply_fail(reply, ENOENT, "there is no policy '%.40s'", name);
        return;
    }
    char why[CHANGE_ANSWER_MAX + 1];
    timeout_answer_no_name(name, why, sizeof why);
    control_reply_fail(reply, EINVAL, "%s", why);
}

static void get_defaults(const struct timeout_policies *policies, const char *l3, const char *l4,
                         struct control_reply *reply)
{
    const struct timeout_kind *kind = timeout_kind_find(l4);
    if (timeout_ip_version(l3) == 0) {
        control_reply_fail(reply, EINVAL, "expected inet or inet6, and a protocol");
        return;
    }
    if (!kind) {
        char why[CHANGE_ANSWER_MAX + 1];
        timeout_answer_unsupported(l4, why, sizeof why);
        control_reply_fail(reply, EOPNOTSUPP, "%s", why);
        return;
    }
    char values[VALUES_SIZE];
    write_values(kind, timeout_policies_in_force(policies, 0), values);
    control_reply_columns(reply, default_columns, N_OF(default_columns));
    control_reply_row(reply, (const char *const[]){l3, kind->name, values}, 3);
}

void timeout_policies_query(const struct timeout_policies *policies,
                            const struct control_request *request, struct control_reply *reply)
{
    const char *const *words = request->words;
    size_t n = request->n_words;
    if (n == 2 && strcmp(words[1], "list") == 0)
        list(policies, request, reply);
    else if (n == 3 && strcmp(words[1], "get") == 0)
        get(policies, words[2], reply);
    else if (n == 5 && strcmp(words[1], "default") == 0 && strcmp(words[2], "get") == 0)
        get_defaults(policies, words[3], words[4], reply);
    else
        control_reply_fail(reply, EINVAL,
                           "expected timeout list, timeout get NAME or timeout default get L3 L4");
}
