/* link_packets: which packets a WAN's link has to be shown with their headers.
 *
 *     link_packets_create(&config, &links);                  NULL: no WAN compresses headers
 *     if (links)
 *         link_packets_add_header(links, &layers, &packet);
 *     link_packets_destroy(links);
 *
 * On a WAN whose model compresses TCP/IP headers ("vj+…") each TCP packet carries its header, and a
 * copy goes to every other shard (tracker/link.h). Not thread-safe. */
#ifndef WANMETER_CAPTURE_LINK_PACKETS_H
#define WANMETER_CAPTURE_LINK_PACKETS_H

#include "capture/decode.h"
#include "common/config.h"
#include "proto/packet.h"

struct link_packets;

/* 'config' was checked; it is not kept. 0 or -ENOMEM. */
int link_packets_create(const struct config *config, struct link_packets **out);
void link_packets_destroy(struct link_packets *links); /* accepts NULL */

/* The header is borrowed from the frame. 'packet' is no fragment, and has its WAN and direction. */
void link_packets_add_header(const struct link_packets *links, const struct layers *layers,
                             struct packet *packet);

#endif
