#include "tracker/flow_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/ct_action.h"
#include "tracker/flow/flow_internal.h"
#include "tracker/flow_record.h"

static const char SET_MARK[] = "set-mark=";
static const char SET_LABEL[] = "set-label=";

/* What is done to each connection that the filter means. */
struct deed {
    struct connection_filter filter;
    bool is_deletion;
    bool has_mark, has_labels;
    uint32_t mark, mark_mask;
    uint8_t labels[LABELS_SIZE], labels_mask[LABELS_SIZE];
};

static void refuse(struct change_result *result, const char *what, const char *got,
                   const struct config_complaint *complaint)
{
    result->error = EINVAL;
    snprintf(result->answer, sizeof result->answer, "%s'%.40s': %s, expected %.120s", what, got,
             complaint->what ? complaint->what : "no such value", complaint->expected);
}

/* ---- reading ---- */

/* "+NAME" sets its bits, "-NAME" clears them, "V/M" writes the mask's; later words write over
 * earlier ones. */
static bool read_set_label(const struct connection_names *names, const char *text,
                           struct deed *deed, struct change_result *result)
{
    struct config_complaint complaint = {0};
    uint8_t value[LABELS_SIZE], mask[LABELS_SIZE];
    bool is_relative = text[0] == '+' || text[0] == '-';
    if (!ct_labels_read(names->labels, text + is_relative, value, mask, &complaint)) {
        refuse(result, SET_LABEL, text, &complaint);
        return false;
    }
    for (size_t i = 0; i < LABELS_SIZE; i++) {
        uint8_t bits = is_relative ? value[i] : mask[i];
        uint8_t written = text[0] == '-' ? 0 : value[i];
        deed->labels[i] = (uint8_t)((deed->labels[i] & ~bits) | (written & bits));
        deed->labels_mask[i] |= bits;
    }
    deed->has_labels = true;
    return true;
}

static bool read_set_mark(const char *text, struct deed *deed, struct change_result *result)
{
    struct config_complaint complaint = {0};
    if (!ct_mark_read(text, &deed->mark, &deed->mark_mask, &complaint)) {
        refuse(result, SET_MARK, text, &complaint);
        return false;
    }
    if (deed->mark & ~deed->mark_mask) {
        complaint = (struct config_complaint){.what = "the value has bits outside its mask",
                                              .expected = "a value inside it"};
        refuse(result, SET_MARK, text, &complaint);
        return false;
    }
    deed->has_mark = true;
    return true;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Takes the words that set something; the others are the filter's. */
static bool read_words(const struct connection_names *names, const struct change *change,
                       struct deed *deed, struct change_result *result)
{
    const char *filter_words[CHANGE_WORDS_MAX];
    size_t n = 0;
    for (size_t i = 2; i < change->n_words; i++) {
        const char *word = change->words[i];
        bool is_read = true;
        if (begins_with(word, SET_MARK))
            is_read = read_set_mark(word + strlen(SET_MARK), deed, result);
        else if (begins_with(word, SET_LABEL))
            is_read = read_set_label(names, word + strlen(SET_LABEL), deed, result);
        else
            filter_words[n++] = word;
        if (!is_read)
            return false;
    }
    result->error = EINVAL;
    if (!connection_filter_read(names, filter_words, n, &deed->filter, result->answer))
        return false;
    result->error = 0;
    return true;
}

static_assert((int)CHANGE_ANSWER_MAX >= (int)CONNECTION_FILTER_ERROR_SIZE, "room for its errors");

static bool read_deed(const struct connection_names *names, const struct change *change,
                      struct deed *deed, struct change_result *result)
{
    const char *verb = change->n_words > 1 ? change->words[1] : "";
    bool is_update = strcmp(verb, "update") == 0;
    bool is_known = is_update || strcmp(verb, "delete") == 0 || strcmp(verb, "flush") == 0;
    if (!is_known) {
        result->error = EOPNOTSUPP;
        snprintf(result->answer, sizeof result->answer,
                 "unknown change 'ct %.32s', expected update, delete or flush", verb);
        return false;
    }
    if (!read_words(names, change, deed, result))
        return false;
    bool sets = deed->has_mark || deed->has_labels;
    if (sets == is_update) {
        deed->is_deletion = !is_update;
        return true;
    }
    result->error = EINVAL;
    snprintf(result->answer, sizeof result->answer, "%s",
             is_update ? "nothing to set: expected set-mark= or set-label="
                       : "set-mark= and set-label= are for update");
    return false;
}

/* ---- doing ---- */

static void end_now(struct flow_table *flows, struct connection *connection)
{
    connection->status |= STATUS_DYING;
    connection->interim_ns = connection->expires_ns; /* how long it had left: end_in_time() */
    connection->expires_ns = flows->clock_ns;
    connection_table_set_timer(flows->connections, connection);
}

/* As the kernel's: a write is told of, also where it changes nothing. */
static void update(struct flow_table *flows, struct connection *connection, const struct deed *deed,
                   bool is_restored)
{
    struct connection_traits traits = *connection_table_traits(flows->connections, connection);
    if (deed->has_mark)
        traits.mark = ct_mark_write(traits.mark, deed->mark, deed->mark_mask);
    if (deed->has_labels)
        label_table_write(flows->labels, traits.labels, deed->labels, deed->labels_mask);
    connection_table_set_traits(flows->connections, connection, &traits);
    if (!connection->is_shadow && !is_restored)
        flow_record_tell(flows->connections, &flows->sink, connection, EVENT_UPDATE,
                         flows->clock_ns);
}

void flow_table_change(struct flow_table *flows, const struct connection_names *names,
                       const struct change *change, struct change_result *result)
{
    struct deed deed = {0};
    if (!read_deed(names, change, &deed, result))
        return;
    struct connection *connection = NULL;
    while ((connection = connection_table_next(flows->connections, connection))) {
        bool is_over = connection->expires_ns <= flows->clock_ns;
        bool has_it = change->is_restored && connection->last_ns >= change->time_ns;
        if (is_over || has_it ||
            !connection_filter_matches(&deed.filter, flows->connections, connection))
            continue;
        if (!flow_settle(flows, connection, flows->clock_ns)) /* a record of what was before */
            continue;
        result->count += !connection->is_shadow;
        if (deed.is_deletion)
            end_now(flows, connection);
        else
            update(flows, connection, &deed, change->is_restored);
    }
    bool is_flush = strcmp(change->words[1], "flush") == 0;
    if (result->count == 0 && !is_flush)
        result->error = ENOENT;
}
