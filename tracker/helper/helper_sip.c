/* SIP: the session description in a call's messages names where the sender wants its audio, video
 * and fax (RTP, and RTCP at the next port); a registration names where it wants to be called.
 *
 * Media come from the peer of the control connection only, and signalling too (Linux's
 * sip_direct_media and sip_direct_signalling). The control connection itself lives for an hour.
 * Source: Linux nf_conntrack_sip.c. */
#include "tracker/helper.h"
#include "tracker/helper/sip_text.h"

enum {
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    MEDIA_MAX = 3,
    MEDIA_PORT_MIN = 1024,
    MEDIA_PORT_MAX = 65535,
};

enum { CLASS_SIGNALLING, CLASS_AUDIO, CLASS_VIDEO, CLASS_IMAGE };

#define S              INT64_C(1000000000)
#define SIP_TIMEOUT_NS (3600 * S)

static const char response_start[] = "SIP/2.0 ";
enum { SHORTEST = sizeof "SIP/2.0 200" - 1 };

/* A message of a control connection. */
struct message {
    struct helper_step *step;
    struct sip_track *track;
    struct text text;
    uint32_t number; /* its CSeq */
    uint32_t code;   /* of a response */
    bool is_ipv6;
};

static bool is_senders(const struct message *message, const uint8_t *address)
{
    return memcmp(message->step->packet->source_address, address, 16) == 0;
}

static void flush(const struct message *message, bool media)
{
    struct helper_step *step = message->step;
    struct expectation *next, *item = step->connection->extra->expectations;
    for (; item; item = next) {
        next = item->next_of_master;
        if ((item->class_index != CLASS_SIGNALLING) == media)
            expectation_table_remove(step->expectations, item);
    }
}

/* ---- media ---- */

/* RTP at the even port, RTCP at the next: both or neither. */
static void expect_media(const struct message *message, uint8_t class_index, uint16_t port)
{
    struct helper_step *step = message->step;
    struct expectation expected = helper_expectation(step, PROTOCOL_UDP, port & 0xfffe);
    helper_expect_from_peer(step, &expected);
    expected.class_index = class_index;
    expected.is_shared = true;
    enum expectation_result rtp = helper_expect(step, &expected);
    if (rtp != EXPECTATION_ADDED && rtp != EXPECTATION_KNOWN)
        return;
    expected.key.destination_port |= 1;
    enum expectation_result rtcp = helper_expect(step, &expected);
    bool is_refused = rtcp != EXPECTATION_ADDED && rtcp != EXPECTATION_KNOWN;
    if (rtp == EXPECTATION_ADDED && is_refused)
        expectation_table_remove(step->expectations, step->connection->extra->expectations);
}

/* The class of an "m=" line's medium, stepped over; 0: another. */
static uint8_t take_medium(struct text *line)
{
    static const char *const media[] = {
        [CLASS_AUDIO] = "audio ", [CLASS_VIDEO] = "video ", [CLASS_IMAGE] = "image "};

    for (unsigned i = CLASS_AUDIO; i <= CLASS_IMAGE; i++) {
        if (!text_begins_exactly(line, media[i]))
            continue;
        line->at += strlen(media[i]);
        return (uint8_t)i;
    }
    return 0;
}

/* An address of a medium's own goes before the session's. Stops at what cannot be. */
static void read_session(const struct message *message)
{
    struct text rest = message->text, line;
    if (!sdp_line(&rest, "v=", NULL, &line))
        return;
    uint8_t session_address[16], address[16];
    bool has_address = sdp_address(rest, message->is_ipv6, session_address);
    for (unsigned n = 0; n < MEDIA_MAX && sdp_line(&rest, "m=", NULL, &line);) {
        uint8_t class_index = take_medium(&line);
        uint64_t port = text_take_number(&line);
        if (class_index == 0 || port == 0)
            continue;
        bool has_own = sdp_address(rest, message->is_ipv6, address);
        if (port < MEDIA_PORT_MIN || port > MEDIA_PORT_MAX || (!has_own && !has_address))
            return;
        if (is_senders(message, has_own ? address : session_address))
            expect_media(message, class_index, (uint16_t)port);
        n++;
    }
}

/* ---- registrations ---- */

static void expect_signalling(const struct message *message, uint8_t protocol, uint16_t port)
{
    struct expectation expected = helper_expectation(message->step, protocol, port);
    helper_expect_from_peer(message->step, &expected);
    expected.class_index = CLASS_SIGNALLING;
    expected.helper = HELPER_SIP;
    expected.is_lasting = true;
    expected.is_inactive = true;
    helper_expect(message->step, &expected);
}

/* Expects nothing yet: the registrar has to agree. */
static void on_register(const struct message *message)
{
    const struct connection *connection = message->step->connection;
    struct text rest = message->text, contact;
    struct sip_uri uri;
    if ((connection->status & STATUS_EXPECTED) || !sip_header(&rest, "Contact", "m", &contact) ||
        sip_uri(&contact, message->is_ipv6, &uri) != SIP_FOUND || !is_senders(message, uri.address))
        return;
    uint8_t protocol = sip_transport(contact, connection->tuple.protocol);
    if (protocol == 0)
        return;
    uint32_t expires_s = 0;
    sip_number(message->text, "Expires", &expires_s);
    sip_parameter(contact, "expires=", &expires_s);
    if (expires_s > 0)
        expect_signalling(message, protocol, uri.port);
    message->track->register_number = message->number;
}

/* True: the expectation of this binding is there, and active from now on. */
static bool activate(const struct message *message, const struct sip_uri *uri, uint8_t protocol,
                     uint32_t expires_s)
{
    const struct helper_step *step = message->step;
    for (struct expectation *item = step->connection->extra->expectations; item;
         item = item->next_of_master) {
        if (item->class_index != CLASS_SIGNALLING || item->key.protocol != protocol ||
            item->key.destination_port != uri->port ||
            memcmp(item->key.destination_address, uri->address, 16) != 0 ||
            item->expires_ns <= step->packet->clock_ns)
            continue;
        item->is_inactive = false;
        item->expires_ns = step->packet->clock_ns + expires_s * S;
        return true;
    }
    return false;
}

/* Looks through the bindings of all contacts; false: the one that is expected is not among them. */
static bool find_binding(const struct message *message, uint32_t expires_s)
{
    const struct helper_step *step = message->step;
    struct text rest = message->text, contact;
    while (sip_header(&rest, "Contact", "m", &contact)) {
        struct sip_uri uri;
        enum sip_reading reading;
        while ((reading = sip_uri(&contact, message->is_ipv6, &uri)) == SIP_FOUND) {
            uint32_t own_s = expires_s;
            uint8_t protocol = sip_transport(contact, step->connection->tuple.protocol);
            bool is_clients =
                memcmp(uri.address, step->packet->destination_address, sizeof uri.address) == 0;
            if (!is_clients || protocol == 0)
                continue;
            sip_parameter(contact, "expires=", &own_s);
            if (own_s == 0)
                return false;
            if (activate(message, &uri, protocol, own_s))
                return true;
        }
        if (reading == SIP_BAD)
            return true; /* the kernel drops it, and looks no further */
    }
    return false;
}

static void on_register_response(const struct message *message)
{
    if ((message->step->connection->status & STATUS_EXPECTED) ||
        message->track->register_number != message->number || message->code < 200)
        return;
    uint32_t expires_s = 0;
    sip_number(message->text, "Expires", &expires_s);
    if (message->code >= 300 || !find_binding(message, expires_s))
        flush(message, false);
}

/* ---- messages ---- */

static void on_invite(const struct message *message)
{
    flush(message, true);
    read_session(message);
    message->track->invite_number = message->number;
}

static void on_bye(const struct message *message)
{
    flush(message, true);
}

static void on_session_response(const struct message *message)
{
    if (message->code >= 100 && message->code < 300)
        read_session(message);
    else if (message->track->invite_number == message->number)
        flush(message, true);
}

struct method {
    const char *name;
    void (*on_request)(const struct message *message);
    void (*on_response)(const struct message *message);
};

static const struct method methods[] = {
    {"INVITE", on_invite, on_session_response},
    {"UPDATE", read_session, on_session_response},
    {"ACK", read_session, NULL},
    {"PRACK", read_session, on_session_response},
    {"BYE", on_bye, NULL},
    {"REGISTER", on_register, on_register_response},
};
enum { METHODS_N = sizeof methods / sizeof *methods };

static void on_request(struct message *message)
{
    for (size_t i = 0; i < METHODS_N; i++) {
        struct text text = message->text;
        if (!text_begins(&text, methods[i].name))
            continue;
        text.at += strlen(methods[i].name);
        if (text_left(&text) < 2 || text.at[0] != ' ' || !text_is_letter(text.at[1]))
            continue;
        if (sip_number(message->text, "CSeq", &message->number))
            methods[i].on_request(message);
        return;
    }
}

static void on_response(struct message *message)
{
    struct text rest = message->text, value;
    rest.at += strlen(response_start);
    message->code = (uint32_t)text_take_number(&rest);
    rest = message->text;
    if (message->code == 0 || !sip_header(&rest, "CSeq", NULL, &value) || text_left(&value) == 0 ||
        !text_is_digit(*value.at))
        return;
    message->number = (uint32_t)text_take_number(&value);
    if (text_left(&value) == 0)
        return;
    value.at++;
    for (size_t i = 0; i < METHODS_N; i++) {
        if (!methods[i].on_response || !text_begins(&value, methods[i].name))
            continue;
        methods[i].on_response(message);
        return;
    }
}

static void read_message(struct helper_step *step, struct text text)
{
    struct message message = {
        .step = step,
        .track = &step->connection->extra->helper.sip,
        .text = text,
        .is_ipv6 = step->packet->marks & PACKET_MARK_IPV6,
    };
    if (text_left(&text) < SHORTEST)
        return;
    if (text_begins(&text, response_start))
        on_response(&message);
    else
        on_request(&message);
}

/* Over TCP: as many messages as are whole, each as long as its Content-Length says. */
static void read_segment(struct helper_step *step, struct text text)
{
    while (text_left(&text) >= SHORTEST) {
        struct text rest = text, value;
        if (!sip_header(&rest, "Content-Length", "l", &value) || text_left(&value) == 0 ||
            !text_is_digit(*value.at))
            return;
        uint64_t body_bytes = text_take_number(&value);
        rest.at = value.at;
        if (!text_skip_past(&rest, "\r\n\r\n") || body_bytes > text_left(&rest))
            return;
        const char *end = rest.at + body_bytes;
        read_message(step, (struct text){text.at, end});
        text.at = end;
    }
}

static void on_packet(struct helper_step *step)
{
    const struct packet *packet = step->packet;
    bool is_tcp = packet->protocol == PROTOCOL_TCP;
    if (packet->payload_bytes == 0 || (is_tcp && !step->is_established))
        return;
    step->timeout_ns = SIP_TIMEOUT_NS;
    struct text text = text_of(packet->payload, packet->payload_bytes);
    if (is_tcp)
        read_segment(step, text);
    else
        read_message(step, text);
}

const struct helper helper_sip = {
    .classes =
        {
            [CLASS_SIGNALLING] = {.expectations_max = 1, .timeout_ns = 180 * S},
            [CLASS_AUDIO] = {.expectations_max = 4, .timeout_ns = 180 * S},
            [CLASS_VIDEO] = {.expectations_max = 4, .timeout_ns = 180 * S},
            [CLASS_IMAGE] = {.expectations_max = 2, .timeout_ns = 180 * S},
        },
    .on_packet = on_packet,
};
