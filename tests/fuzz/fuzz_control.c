/* What is asked of the trackers: requests as they come by the control sockets, or (where the bytes
 * are none) words on a line each; done as a change and answered as a question, by a table with some
 * connections. What is answered decodes again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "proto/control.h"
#include "tracker/account.h"
#include "tracker/control.h"
#include "tracker/label.h"
#include "tracker/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { CONNECTIONS = 16, PORTIONS_MAX = 8 };

static bool read_lines(const uint8_t *bytes, size_t size, struct control_request *request)
{
    size_t n = size < sizeof request->text - 1 ? size : sizeof request->text - 1;
    *request = (struct control_request){0};
    if (n > 0)
        memcpy(request->text, bytes, n);
    char *rest = request->text, *word;
    while (request->n_words < CHANGE_WORDS_MAX && (word = strsep(&rest, "\n")))
        request->words[request->n_words++] = word;
    return request->n_words > 0;
}

/* The same ones, if they are still there. */
static void open_connections(struct flow_table *flows, int64_t clock_ns)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct packet packet = {
            .time_ns = clock_ns + i,
            .clock_ns = clock_ns + i,
            .source_port = (uint16_t)(1000 + i),
            .destination_port = 53,
            .protocol = 17,
            .marks = PACKET_MARK_IPV4 | PACKET_MARK_PORTS,
            .l3_bytes = 40,
            .zone = i % 2,
        };
        struct flow_key key;
        struct flow_charge charge;
        flow_table_advance(flows, packet.clock_ns);
        flow_table_key(flows, &packet, &key);
        flow_table_prefetch(flows, &key);
        flow_table_add(flows, &packet, &key, &charge);
    }
}

static void apply(const struct control *control, const struct control_request *request)
{
    struct change change = {.time_ns = CONNECTIONS, .seed = 1};
    struct change again;
    struct change_result result;
    uint8_t room[PACKET_PAYLOAD_MAX];
    if (!change_set_words(&change, request->words, request->n_words))
        return;
    size_t size = change_encode(&change, room);
    assert(size > 0 && change_decode(room, size, &again) && again.n_words == change.n_words);
    flow_table_advance(control->flows, CONNECTIONS);
    control_apply(control, &again, &result);
    assert(strnlen(result.answer, sizeof result.answer) <= CHANGE_ANSWER_MAX);
}

static void ask(const struct control *control, struct control_request *request)
{
    request->rows_max = 3;
    for (int i = 0; i < PORTIONS_MAX; i++) {
        struct control_reply reply;
        size_t size;
        control_reply_init(&reply, request->rows_max);
        control_answer(control, request, &reply);
        uint8_t *bytes = control_reply_encode(&reply, &size);
        assert(bytes);
        Wanmeter__Control__Reply *wire = wanmeter__control__reply__unpack(NULL, size, bytes);
        assert(wire && wire->n_rows + wire->n_connections == reply.n_rows);
        wanmeter__control__reply__free_unpacked(wire, NULL);
        request->cursor = reply.cursor;
        free(bytes);
        control_reply_deinit(&reply);
        if (request->cursor == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct control_request request = {0};
    if (!control_request_decode(bytes, size, &request) && !read_lines(bytes, size, &request))
        return 0;
    struct config config;
    struct config_prefix prefix = {.address = {10}, .family = 4, .length = 8};
    struct config_account house = {.name = (char[]){"house"}, .prefixes = &prefix, .n_prefixes = 1};
    struct account_table *accounts;
    struct link_table *links;
    struct flow_table *flows;
    config_init(&config);
    config.accounts = &house;
    config.n_accounts = 1;
    if (account_table_create(&config, &accounts) < 0 || link_table_create(&config, &links) < 0)
        abort();
    struct flow_options options = {.config = &config,
                                   .accounts = accounts,
                                   .links = links,
                                   .connections_max = 2 * CONNECTIONS};
    if (flow_table_create(&options, &flows) < 0)
        abort();
    struct control control = {.flows = flows,
                              .accounts = accounts,
                              .names = {&config, label_table_names(flow_table_labels(flows)),
                                        account_table_names(accounts)}};
    open_connections(flows, 0);
    apply(&control, &request);
    ask(&control, &request);
    open_connections(flows, CONNECTIONS);
    flow_table_destroy(flows);
    link_table_destroy(links);
    account_table_destroy(accounts);
    config.accounts = NULL; /* ours */
    config.n_accounts = 0;
    config_deinit(&config);
    return 0;
}
