/* timeout_script: commands for timeout policies, a line each from standard input, done by the
 * tracker's module; what became of each as a line of JSON.
 *
 *     printf 'timeout new p inet tcp close=4\ntimeout list\n' | timeout_script
 *
 * {"error": errno, "rows": [[name, l3, l4, use, values], …]}. 'use NAME' is what a rule does. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "tracker/timeout_policy.h"

enum { LINE_SIZE = 1024 };

static void print_outcome(int error, json_t *rows)
{
    json_t *line = json_pack("{s:i, s:o}", "error", error, "rows", rows);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

static json_t *rows_of(const struct control_reply *reply)
{
    size_t size;
    uint8_t *bytes = control_reply_encode(reply, &size);
    Wanmeter__Control__Reply *read = wanmeter__control__reply__unpack(NULL, size, bytes);
    json_t *rows = json_array();
    for (size_t i = 0; i < read->n_rows; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < read->rows[i]->n_values; j++)
            json_array_append_new(row, json_stringn((const char *)read->rows[i]->values[j].data,
                                                    read->rows[i]->values[j].len));
        json_array_append_new(rows, row);
    }
    wanmeter__control__reply__free_unpacked(read, NULL);
    free(bytes);
    return rows;
}

static void ask(const struct timeout_policies *policies, const struct change *words)
{
    struct control_request request = {.n_words = words->n_words};
    struct control_reply reply;
    memcpy(request.words, words->words, sizeof words->words);
    control_reply_init(&reply, 0);
    timeout_policies_query(policies, &request, &reply);
    print_outcome(reply.error, rows_of(&reply));
    control_reply_deinit(&reply);
}

static bool is_question(const struct change *change)
{
    const char *verb = change->n_words > 1 ? change->words[1] : "";
    return strcmp(verb, "get") == 0 || strcmp(verb, "list") == 0 ||
           (strcmp(verb, "default") == 0 && change->n_words > 2 &&
            strcmp(change->words[2], "get") == 0);
}

static void on_words(struct timeout_policies *policies, const struct change *change)
{
    struct change_result result = {0};
    if (is_question(change)) {
        ask(policies, change);
        return;
    }
    if (change->n_words == 2 && strcmp(change->words[0], "use") == 0) {
        uint16_t id = timeout_policies_find(policies, change->words[1]);
        result.error = id ? 0 : ENOENT;
        if (id)
            timeout_policies_use(policies, id);
    } else {
        timeout_policies_change(policies, change, &result);
    }
    print_outcome(result.error, json_array());
}

static void on_line(struct timeout_policies *policies, char *line)
{
    struct change change = {0};
    const char *words[CHANGE_WORDS_MAX];
    size_t n_words = 0;
    for (char *word = strtok(line, " \n"); word && n_words < CHANGE_WORDS_MAX;
         word = strtok(NULL, " \n"))
        words[n_words++] = word;
    if (change_set_words(&change, words, n_words))
        on_words(policies, &change);
}

int main(void)
{
    static struct config config;
    struct timeout_policies *policies;
    char line[LINE_SIZE];
    config_init(&config);
    if (timeout_policies_create(&config, &policies) < 0)
        return 1;
    while (fgets(line, sizeof line, stdin))
        on_line(policies, line);
    timeout_policies_destroy(policies);
    config_deinit(&config);
    return 0;
}
