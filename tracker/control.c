#include "tracker/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tracker/flow_change.h"
#include "tracker/flow_label.h"
#include "tracker/label.h"
#include "tracker/query/query_connection.h"
#include "tracker/timeout_policy.h"

/* A module's changes and answers, by the first word. */
struct door {
    const char *word;
    void (*apply)(const struct control *control, const struct change *change,
                  struct change_result *result);
    void (*answer)(const struct control *control, const struct control_request *request,
                   struct control_reply *reply);
};

/* ---- connections ---- */

static void apply_to_connections(const struct control *control, const struct change *change,
                                 struct change_result *result)
{
    flow_table_change(control->flows, &control->names, change, result);
}

/* ---- accounts ---- */

static void apply_to_accounts(const struct control *control, const struct change *change,
                              struct change_result *result)
{
    account_table_change(control->accounts, change, result);
    if (result->error == 0)
        flow_table_accounts_changed(control->flows);
}

static void answer_accounts(const struct control *control, const struct control_request *request,
                            struct control_reply *reply)
{
    account_table_query(control->accounts, request, reply);
}

/* ---- labels ---- */

static void apply_to_labels(const struct control *control, const struct change *change,
                            struct change_result *result)
{
    label_table_change(flow_table_labels(control->flows), change, result);
}

static void answer_labels(const struct control *control, const struct control_request *request,
                          struct control_reply *reply)
{
    label_table_query(flow_table_labels(control->flows), request, reply);
}

/* ---- timeouts ---- */

static void apply_to_timeouts(const struct control *control, const struct change *change,
                              struct change_result *result)
{
    timeout_policies_change(flow_table_timeout_policies(control->flows), change, result);
}

static void answer_timeouts(const struct control *control, const struct control_request *request,
                            struct control_reply *reply)
{
    timeout_policies_query(flow_table_timeout_policies(control->flows), request, reply);
}

/* ---- IPv6 flow labels ---- */

static void apply_to_flow_labels(const struct control *control, const struct change *change,
                                 struct change_result *result)
{
    flow_label_change(flow_table_flow_labels(control->flows), change, result);
}

static void answer_flow_labels(const struct control *control, const struct control_request *request,
                               struct control_reply *reply)
{
    flow_label_query(flow_table_flow_labels(control->flows), flow_table_clock_ns(control->flows),
                     request, reply);
}

/* ---- */

static const struct door doors[] = {
    {"ct", apply_to_connections, query_connection},
    {"account", apply_to_accounts, answer_accounts},
    {"label", apply_to_labels, answer_labels},
    {"timeout", apply_to_timeouts, answer_timeouts},
    {"flowlabel", apply_to_flow_labels, answer_flow_labels},
};

enum { DOORS_N = sizeof doors / sizeof *doors };

static const struct door *find_door(size_t n_words, const char *const *words)
{
    for (size_t i = 0; n_words > 0 && i < DOORS_N; i++)
        if (strcmp(words[0], doors[i].word) == 0)
            return &doors[i];
    return NULL;
}

/* Which words there are, for who asked for another. */
static void refuse(size_t n_words, const char *const *words, char answer[CHANGE_ANSWER_MAX + 1])
{
    size_t size = CHANGE_ANSWER_MAX + 1;
    size_t used = (size_t)snprintf(answer, size, "unknown word '%.32s', expected ",
                                   n_words > 0 ? words[0] : "");
    for (size_t i = 0; i < DOORS_N; i++)
        used +=
            (size_t)snprintf(answer + used, size - used, "%s%s", i > 0 ? ", " : "", doors[i].word);
}

void control_apply(const struct control *control, const struct change *change,
                   struct change_result *result)
{
    *result = (struct change_result){0};
    const struct door *door = find_door(change->n_words, change->words);
    if (door) {
        door->apply(control, change, result);
        return;
    }
    result->error = EOPNOTSUPP;
    refuse(change->n_words, change->words, result->answer);
}

void control_answer(const struct control *control, const struct control_request *request,
                    struct control_reply *reply)
{
    const struct door *door = find_door(request->n_words, request->words);
    if (door) {
        door->answer(control, request, reply);
        return;
    }
    reply->error = EOPNOTSUPP;
    refuse(request->n_words, request->words, reply->answer);
}
