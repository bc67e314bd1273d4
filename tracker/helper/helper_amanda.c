/* Amanda: the client's answer names the ports that the server then connects to, as in "CONNECT DATA
 * 11000 MESG 11001 INDEX 11002". The control connection waits 300 s, since backups are slow to
 * begin. Source: Linux nf_conntrack_amanda.c. */
#include "tracker/helper.h"
#include "tracker/helper/text_scan.h"

enum { PROTOCOL_TCP = 6, PORT_DIGITS_MAX = 5 };
#define WAIT_NS (300 * INT64_C(1000000000))

/* From the client to the server's side: the other way round than the answer went. */
static struct expectation expectation_of(const struct helper_step *step, uint16_t port)
{
    struct expectation expected = helper_expectation(step, PROTOCOL_TCP, port);
    helper_expect_from_peer(step, &expected);
    return expected;
}

static void on_packet(struct helper_step *step)
{
    static const char *const words[] = {"DATA ", "MESG ", "INDEX ", "STATE "};

    if (step->direction == FLOW_ORIGINAL)
        return;
    step->timeout_ns = WAIT_NS;
    struct text text = text_of(step->packet->payload, step->packet->payload_bytes);
    if (text_left(&text) == 0 || !text_skip_past(&text, "CONNECT "))
        return;
    const char *end = memchr(text.at, '\n', text_left(&text));
    if (!end)
        return;
    text.end = end;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct text number = text;
        if (!text_skip_past(&number, words[i]))
            continue;
        if (text_left(&number) > PORT_DIGITS_MAX)
            number.end = number.at + PORT_DIGITS_MAX;
        uint16_t port = (uint16_t)text_take_number(&number);
        if (port == 0)
            return;
        struct expectation expected = expectation_of(step, port);
        if (helper_expect(step, &expected) != EXPECTATION_ADDED)
            return;
    }
}

const struct helper helper_amanda = {
    .classes = {{.expectations_max = 4, .timeout_ns = 180 * INT64_C(1000000000)}},
    .on_packet = on_packet,
};
