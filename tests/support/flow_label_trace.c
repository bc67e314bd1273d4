/* flow_label_trace: the flow-label manager by itself, asked in lines.
 *
 *     flow_label_trace [-s NAME=VALUE]…          NAME=VALUE: an option, as on wanmeter's command
 * line
 *
 * Each line of standard input is answered at once, on standard output:
 *     ask TIME_NS PID UID SEED WORD…    "ERRNO ANSWER": the words as after "wanmeter", 0: granted
 *     query TIME_NS WORD…               a line a row, values with a space between ("-": empty),
 * then an empty line */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "proto/control.h"
#include "tracker/flow_label.h"

enum { LINE_MAX_SIZE = 8192 };

struct trace {
    struct config config;
    struct flow_label_table *labels;
};

static bool read_options(struct trace *trace, int argc, char **argv)
{
    struct config_errors errors = {0};
    config_init(&trace->config);
    for (int i = 1; i + 1 < argc && strcmp(argv[i], "-s") == 0; i += 2)
        config_set(&trace->config, argv[i + 1], &errors);
    bool is_right = errors.n == 0;
    config_errors_print(&errors, stderr);
    config_errors_deinit(&errors);
    return is_right;
}

static size_t split(char *line, const char **words)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word && n < CHANGE_WORDS_MAX;
         word = strtok_r(NULL, " \n", &rest))
        words[n++] = word;
    return n;
}

static void ask(struct trace *trace, const char *const *words, size_t n)
{
    struct change change = {
        .time_ns = strtoll(words[1], NULL, 10),
        .pid = (uint32_t)strtoul(words[2], NULL, 10),
        .uid = (uint32_t)strtoul(words[3], NULL, 10),
        .seed = strtoull(words[4], NULL, 10),
    };
    struct change_result result;
    if (!change_set_words(&change, words + 5, n - 5))
        exit(2);
    flow_label_change(trace->labels, &change, &result);
    printf("%d %s\n", result.error, result.answer);
}

static void print_rows(const Wanmeter__Control__Reply *wire)
{
    for (size_t row = 0; row < wire->n_rows; row++) {
        for (size_t i = 0; i < wire->rows[row]->n_values; i++) {
            const ProtobufCBinaryData *value = &wire->rows[row]->values[i];
            printf("%s%.*s", i > 0 ? " " : "", value->len > 0 ? (int)value->len : 1,
                   value->len > 0 ? (const char *)value->data : "-");
        }
        puts("");
    }
}

/* All portions, then an empty line. */
static void query(const struct trace *trace, const char *const *words, size_t n)
{
    struct control_request request = {.n_words = n - 2};
    for (size_t i = 2; i < n; i++)
        request.words[i - 2] = words[i];
    do {
        size_t size;
        struct control_reply reply;
        control_reply_init(&reply, 0);
        flow_label_query(trace->labels, strtoll(words[1], NULL, 10), &request, &reply);
        uint8_t *bytes = control_reply_encode(&reply, &size);
        Wanmeter__Control__Reply *wire = wanmeter__control__reply__unpack(NULL, size, bytes);
        if (reply.error)
            printf("%d %s\n", reply.error, reply.answer);
        print_rows(wire);
        request.cursor = reply.cursor;
        wanmeter__control__reply__free_unpacked(wire, NULL);
        free(bytes);
        control_reply_deinit(&reply);
    } while (request.cursor);
    puts("");
}

int main(int argc, char **argv)
{
    static struct trace trace;
    static char line[LINE_MAX_SIZE];
    if (!read_options(&trace, argc, argv) ||
        flow_label_table_create(&trace.config, &trace.labels) < 0)
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        const char *words[CHANGE_WORDS_MAX];
        size_t n = split(line, words);
        if (n >= 6 && strcmp(words[0], "ask") == 0)
            ask(&trace, words, n);
        else if (n >= 3 && strcmp(words[0], "query") == 0)
            query(&trace, words, n);
        else
            return 2;
        fflush(stdout);
    }
    flow_label_table_destroy(trace.labels);
    config_deinit(&trace.config);
    return 0;
}
