/* sip_text: where things stand in a SIP message and its session description, as Linux's SIP helper
 * looks for them. Nothing here allocates; all results lie within the message.
 *
 * Source: RFC 3261, sections 7.3 and 25.1; RFC 8866; Linux nf_conntrack_sip.c. */
#ifndef WANMETER_TRACKER_SIP_TEXT_H
#define WANMETER_TRACKER_SIP_TEXT_H

#include "tracker/helper/text_scan.h"

/* The next header named 'name', or 'compact' (may be NULL), from 'rest' on: what follows its colon,
 * up to the end of its last continuation line. 'rest' is then behind that. The message's first line
 * is none. */
bool sip_header(struct text *rest, const char *name, const char *compact, struct text *value);

/* The number that the message's first header of this name begins with; false: it has none. */
bool sip_number(struct text message, const char *name, uint32_t *number);

struct sip_uri {
    uint8_t address[16];
    uint16_t port; /* 5060 where it names none */
};

enum sip_reading { SIP_FOUND, SIP_NONE, SIP_BAD };

/* The next "sip:user@address:port" within 'header', which is then behind it. BAD: there is one,
 * with a name for an address, or a port below 1024. */
enum sip_reading sip_uri(struct text *header, bool is_ipv6, struct sip_uri *uri);

/* The number of a parameter such as "expires=", up to the next comma in 'header'; false: none. */
bool sip_parameter(struct text header, const char *name, uint32_t *number);

/* Of the URI that 'header' is behind: 6, 17, 'otherwise' where it does not say, 0: another. */
uint8_t sip_transport(struct text header, uint8_t otherwise);

/* The next line of a session description that begins with 'name' ("m="), before one that begins
 * with 'before' (may be NULL): the rest of that line. 'rest' is then there. */
bool sdp_line(struct text *rest, const char *name, const char *before, struct text *value);

/* The address of the next "c=" line before a "m=" line. */
bool sdp_address(struct text rest, bool is_ipv6, uint8_t address[16]);

#endif
