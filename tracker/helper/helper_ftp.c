/* FTP: either side names a port for the data connection (RFC 959: PORT and the reply 227; RFC 2428:
 * EPRT and the reply 229).
 *
 * A command is looked for at the beginning of a segment only, and only if the segment before it in
 * that direction ended in a newline; so the first segment of a direction is never read. The address
 * has to be the sender's own. Source: Linux nf_conntrack_ftp.c. */
#include <arpa/inet.h>

#include "tracker/helper.h"
#include "tracker/helper/text_scan.h"

enum { PROTOCOL_TCP = 6, ADDRESS_NUMBERS = 4, PORT_NUMBERS = 2, NUMBERS = 6 };

/* What a command says. */
struct data_end {
    uint8_t address[16]; /* the sender's where the command names none */
    uint16_t port;
};

enum reading {
    READING_NOTHING, /* another command */
    READING_PART,    /* looks like one that is cut off; the kernel would drop it */
    READING_END,
};

/* Numbers with 'separator' between, up to 'terminator' (0: whatever is no number). The digits'
 * values are not checked, as in the kernel. */
static bool read_numbers(struct text *text, char separator, char terminator, uint32_t *numbers,
                         size_t n_wanted)
{
    size_t n = 0;
    memset(numbers, 0, n_wanted * sizeof *numbers);
    for (; text->at < text->end && n < n_wanted; text->at++) {
        char byte = *text->at;
        if (text_is_digit(byte))
            numbers[n] = numbers[n] * 10 + (uint32_t)(byte - '0');
        else if (byte == separator)
            n++;
        else
            return (byte == terminator || terminator == 0) && n == n_wanted - 1;
    }
    return false;
}

static void set_ipv4(struct data_end *end, const uint32_t *numbers)
{
    uint32_t address = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3];
    memset(end->address, 0, sizeof end->address);
    for (int i = 0; i < ADDRESS_NUMBERS; i++)
        end->address[i] = (uint8_t)(address >> (24 - 8 * i));
}

static bool read_six(struct text text, char terminator, struct data_end *end)
{
    uint32_t numbers[NUMBERS];
    if (!read_numbers(&text, ',', terminator, numbers, NUMBERS))
        return false;
    set_ipv4(end, numbers);
    end->port = (uint16_t)(numbers[4] << 8 | numbers[5]);
    return true;
}

/* "PORT 192,168,0,1,31,144\r" */
static bool read_port(struct text text, bool is_ipv6, struct data_end *end)
{
    (void)is_ipv6;
    return read_six(text, '\r', end);
}

/* "227 Entering Passive Mode (192,168,0,1,31,144)": from the first digit on. */
static bool read_227(struct text text, bool is_ipv6, struct data_end *end)
{
    (void)is_ipv6;
    while (text.at < text.end && !text_is_digit(*text.at))
        text.at++;
    return read_six(text, 0, end);
}

static bool is_delimiter(char byte)
{
    return byte >= 33 && byte <= 126 && !text_is_digit(byte);
}

static bool read_delimited_port(struct text text, char delimiter, struct data_end *end)
{
    uint16_t port = 0;
    for (; text.at < text.end && text_is_digit(*text.at); text.at++)
        port = (uint16_t)(port * 10 + (*text.at - '0'));
    end->port = port;
    return text.at < text.end && *text.at == delimiter && port != 0;
}

static bool read_ipv6(struct text *text, char delimiter, struct data_end *end)
{
    char address[INET6_ADDRSTRLEN];
    const char *stop = memchr(text->at, delimiter, text_left(text));
    if (!stop || (size_t)(stop - text->at) >= sizeof address)
        return false;
    memcpy(address, text->at, (size_t)(stop - text->at));
    address[stop - text->at] = 0;
    text->at = stop;
    return inet_pton(AF_INET6, address, end->address) == 1;
}

/* "EPRT |1|192.168.0.1|8080|", "EPRT |2|2001:db8::1|8080|" */
static bool read_eprt(struct text text, bool is_ipv6, struct data_end *end)
{
    if (text_left(&text) <= 3)
        return false;
    char delimiter = text.at[0], family = text.at[1];
    if (!is_delimiter(delimiter) || text.at[2] != delimiter || family != (is_ipv6 ? '2' : '1'))
        return false;
    text.at += 3;
    uint32_t numbers[ADDRESS_NUMBERS];
    bool has_address = is_ipv6 ? read_ipv6(&text, delimiter, end)
                               : read_numbers(&text, '.', delimiter, numbers, ADDRESS_NUMBERS);
    if (!has_address)
        return false;
    if (!is_ipv6)
        set_ipv4(end, numbers);
    text.at++;
    return read_delimited_port(text, delimiter, end);
}

/* "229 Entering Extended Passive Mode (|||8080|)": what stands in the brackets. */
static bool read_229(struct text text, bool is_ipv6, struct data_end *end)
{
    (void)is_ipv6;
    if (text_left(&text) <= 3)
        return false;
    char delimiter = text.at[0];
    if (!is_delimiter(delimiter) || text.at[1] != delimiter || text.at[2] != delimiter)
        return false;
    text.at += 3;
    return read_delimited_port(text, delimiter, end);
}

struct command {
    const char *word;
    char skip; /* arguments begin after this one; 0: right after the word */
    bool (*read)(struct text text, bool is_ipv6, struct data_end *end);
};

static const struct command commands[FLOW_DIRECTIONS][2] = {
    [FLOW_ORIGINAL] = {{"PORT", ' ', read_port}, {"EPRT", ' ', read_eprt}},
    [FLOW_REPLY] = {{"227 ", 0, read_227}, {"229 ", '(', read_229}},
};

static enum reading read_command(const struct command *command, struct text text, bool is_ipv6,
                                 struct data_end *end)
{
    size_t length = strlen(command->word);
    size_t looked_at = text_left(&text) < length ? text_left(&text) : length;
    if (looked_at == 0 || strncasecmp(text.at, command->word, looked_at) != 0)
        return READING_NOTHING;
    if (text_left(&text) <= length)
        return READING_PART;
    text.at += length;
    if (command->skip) {
        const char *found = memchr(text.at, command->skip, text_left(&text));
        if (!found)
            return READING_PART;
        text.at = found + 1;
    }
    return command->read(text, is_ipv6, end) ? READING_END : READING_PART;
}

static enum reading read_segment(const struct helper_step *step, struct text text,
                                 struct data_end *end)
{
    bool is_ipv6 = step->packet->marks & PACKET_MARK_IPV6;
    memcpy(end->address, step->packet->source_address, sizeof end->address);
    enum reading reading = READING_NOTHING;
    for (size_t i = 0; i < 2 && reading == READING_NOTHING; i++)
        reading = read_command(&commands[step->direction][i], text, is_ipv6, end);
    return reading;
}

/* ---- where lines begin ---- */

static bool is_line_start(const struct ftp_track *track, unsigned direction, uint32_t sequence)
{
    for (unsigned i = 0; i < track->n_after_newline[direction]; i++)
        if (track->after_newline[direction][i] == sequence)
            return true;
    return false;
}

/* Of two that are known the older goes. */
static void note_line_start(struct ftp_track *track, unsigned direction, uint32_t sequence)
{
    uint32_t *known = track->after_newline[direction];
    if (is_line_start(track, direction, sequence))
        return;
    if (track->n_after_newline[direction] < 2)
        known[track->n_after_newline[direction]++] = sequence;
    else if ((int32_t)(known[0] - known[1]) < 0)
        known[0] = sequence;
    else
        known[1] = sequence;
}

static void on_packet(struct helper_step *step)
{
    const struct packet *packet = step->packet;
    if (!step->is_established || packet->payload_bytes == 0)
        return;
    struct ftp_track *track = &step->connection->extra->helper.ftp;
    struct text text = text_of(packet->payload, packet->payload_bytes);
    bool is_whole = packet->payload_bytes == packet->tcp.payload_bytes;
    bool ends_line = is_whole && packet->payload[packet->payload_bytes - 1] == '\n';

    struct data_end end;
    enum reading reading = READING_NOTHING;
    if (is_line_start(track, step->direction, packet->tcp.sequence))
        reading = read_segment(step, text, &end);
    if (reading == READING_PART)
        return;
    if (reading == READING_END && memcmp(end.address, packet->source_address, 16) == 0) {
        struct expectation expected = helper_expectation(step, PROTOCOL_TCP, end.port);
        helper_expect_from_peer(step, &expected);
        helper_expect(step, &expected);
    }
    if (ends_line)
        note_line_start(track, step->direction, packet->tcp.sequence + packet->tcp.payload_bytes);
}

const struct helper helper_ftp = {
    .classes = {{.expectations_max = 1, .timeout_ns = 300 * INT64_C(1000000000)}},
    .on_packet = on_packet,
};
