#include "tracker/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tracker/flow_change.h"
#include "tracker/flow_label.h"
#include "tracker/label.h"
#include "tracker/timeout_policy.h"

/* A module's changes, by the first word. */
struct door {
    const char *word;
    void (*apply)(const struct control *control, const struct change *change,
                  struct change_result *result);
};

static void apply_to_connections(const struct control *control, const struct change *change,
                                 struct change_result *result)
{
    flow_table_change(control->flows, &control->names, change, result);
}

static void apply_to_labels(const struct control *control, const struct change *change,
                            struct change_result *result)
{
    label_table_change(flow_table_labels(control->flows), change, result);
}

static void apply_to_timeouts(const struct control *control, const struct change *change,
                              struct change_result *result)
{
    timeout_policies_change(flow_table_timeout_policies(control->flows), change, result);
}

static void apply_to_flow_labels(const struct control *control, const struct change *change,
                                 struct change_result *result)
{
    flow_label_change(flow_table_flow_labels(control->flows), change, result);
}

static const struct door doors[] = {
    {"ct", apply_to_connections},
    {"label", apply_to_labels},
    {"timeout", apply_to_timeouts},
    {"flowlabel", apply_to_flow_labels},
    {NULL, NULL}, /* the end */
};

static void refuse(const struct change *change, struct change_result *result)
{
    result->error = EOPNOTSUPP;
    int used = snprintf(result->answer, sizeof result->answer, "unknown change '%.32s', expected",
                        change->n_words > 0 ? change->words[0] : "");
    for (const struct door *door = doors; door->word; door++)
        used += snprintf(result->answer + used, sizeof result->answer - (size_t)used, "%s%s",
                         door == doors ? " " : ", ", door->word);
}

void control_apply(const struct control *control, const struct change *change,
                   struct change_result *result)
{
    *result = (struct change_result){0};
    for (const struct door *door = doors; door->word; door++) {
        if (change->n_words > 0 && strcmp(change->words[0], door->word) == 0) {
            door->apply(control, change, result);
            return;
        }
    }
    refuse(change, result);
}
