/* IRC: a client that offers a file or a chat to another names its own address and a port, as in
 * "PRIVMSG nick :\1DCC SEND file 3232235521 5000 1234\1". Anybody may connect there: the server
 * does not tell who the other one is. Source: Linux nf_conntrack_irc.c. */
#include "tracker/helper.h"
#include "tracker/helper/text_scan.h"

enum {
    PROTOCOL_TCP = 6,
    TO_SHORTEST = 10,      /* bytes of "PRIVMSG x " */
    OFFER_SHORTEST = 26,   /* of " :\1DCC SEND t AAAAAAAA P\1\n" */
    ADDRESS_SHORTEST = 12, /* of "AAAAAAAA P\1\n" */
};

static uint32_t ipv4_number(const uint8_t *address)
{
    return (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 |
           address[3];
}

/* What follows the command: a name, the address as a number, the port. */
static bool read_offer(struct text text, uint32_t *address, uint16_t *port)
{
    while (text.at < text.end && *text.at != ' ') {
        if (text_left(&text) < ADDRESS_SHORTEST)
            return false;
        text.at++;
    }
    if (text_left(&text) == 0)
        return false;
    text.at++;
    if (!memchr(text.at, '\n', text_left(&text)))
        return false;
    *address = (uint32_t)text_take_number(&text);
    while (text.at < text.end && *text.at == ' ')
        text.at++;
    *port = (uint16_t)text_take_number(&text);
    return true;
}

static void expect(struct helper_step *step, struct text text)
{
    static const char *const commands[] = {"SEND ", "CHAT ", "MOVE ", "TSEND ", "SCHAT "};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (!text_begins_exactly(&text, commands[i]))
            continue;
        uint32_t address;
        uint16_t port;
        struct text offer = {text.at + strlen(commands[i]), text.end};
        if (!read_offer(offer, &address, &port) || port == 0 ||
            address != ipv4_number(step->packet->source_address))
            continue;
        struct expectation expected = helper_expectation(step, PROTOCOL_TCP, port);
        helper_expect(step, &expected);
        return;
    }
}

static void on_packet(struct helper_step *step)
{
    if (step->direction == FLOW_REPLY || !step->is_established)
        return;
    struct text text = text_of(step->packet->payload, step->packet->payload_bytes);
    while (text.at < text.end && *text.at == ' ')
        text.at++;
    if (text_left(&text) < TO_SHORTEST || !text_begins_exactly(&text, "PRIVMSG "))
        return;
    text.at += strlen("PRIVMSG ");
    while (text_left(&text) > OFFER_SHORTEST && !text_begins_exactly(&text, " :"))
        text.at++;
    if (text_left(&text) <= OFFER_SHORTEST)
        return;
    text.at += strlen(" :");
    if (!text_begins_exactly(&text, "\1DCC "))
        return;
    text.at += strlen("\1DCC ");
    expect(step, text);
}

const struct helper helper_irc = {
    .classes = {{.expectations_max = 8, .timeout_ns = 300 * INT64_C(1000000000)}},
    .on_packet = on_packet,
};
