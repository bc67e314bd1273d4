#include "capture/link_packets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/model.h"

struct link_packets {
    size_t n_wans;
    bool compresses[]; /* by WAN; 0: none */
};

int link_packets_create(const struct config *config, struct link_packets **out)
{
    size_t n_wans = config->n_wans + 1;
    bool is_wanted = false;
    struct link_packets *links = calloc(1, sizeof *links + n_wans * sizeof *links->compresses);
    if (!links)
        return -ENOMEM;
    links->n_wans = n_wans;
    for (size_t wan = 1; wan < n_wans; wan++) {
        links->compresses[wan] = model_compresses_tcp(config, (uint16_t)wan);
        is_wanted |= links->compresses[wan];
    }
    if (!is_wanted) {
        free(links);
        links = NULL;
    }
    *out = links;
    return 0;
}

void link_packets_destroy(struct link_packets *links)
{
    free(links);
}

void link_packets_add_header(const struct link_packets *links, const struct layers *layers,
                             struct packet *packet)
{
    if (!links->compresses[packet->wan] || packet->direction == DIRECTION_NONE ||
        packet->protocol != IPPROTO_TCP || !(packet->marks & PACKET_MARK_IPV4) ||
        !layers->transport)
        return;
    size_t size = (size_t)(layers->transport - layers->network) + layers->transport_bytes;
    packet->header = layers->network;
    packet->header_bytes = (uint16_t)(size < PACKET_HEADER_MAX ? size : PACKET_HEADER_MAX);
}
