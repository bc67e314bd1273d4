#include "tracker/flow_label/lease_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* RFC 8200, section 4.2: next header, length in units of 8 bytes less one, options. */
enum { HEADER_UNIT = 8, HEADER_MIN = 2, HEADER_LENGTH_AT = 1 };

/* The header's own length, 0 where the bytes are fewer. */
static size_t header_size(const struct flow_label_option *option)
{
    if (option->size < HEADER_MIN)
        return 0;
    size_t size = ((size_t)option->bytes[HEADER_LENGTH_AT] + 1) * HEADER_UNIT;
    return size <= option->size ? size : 0;
}

static int add_part(const struct flow_label_request *request,
                    const struct flow_label_option *option, struct lease_options *found)
{
    struct header_part part = {option->bytes, header_size(option)};
    bool is_again = option->kind == FLOW_LABEL_HOPOPTS && found->headers.hop_by_hop.size > 0;
    if (option->kind == FLOW_LABEL_RTHDR || part.size == 0)
        return -EINVAL;
    if (is_again)
        return -EINVAL;
    if (!request->is_privileged)
        return -EPERM;
    if (option->kind == FLOW_LABEL_HOPOPTS)
        found->headers.hop_by_hop = part;
    else if (option->kind == FLOW_LABEL_RTHDRDSTOPTS)
        found->headers.first_destination = part;
    else
        found->headers.last_destination = part;
    return 0;
}

static uint8_t *copy_part(const struct header_part *from, uint8_t *room, struct header_part *to)
{
    if (from->size > 0)
        memcpy(room, from->bytes, from->size);
    *to = (struct header_part){room, from->size};
    return room + from->size;
}

int lease_options_create(const struct flow_label_request *request, struct lease_options **out)
{
    struct lease_options found = {0};
    *out = NULL;
    for (size_t i = 0; i < request->n_options; i++) {
        int result = add_part(request, &request->options[i], &found);
        if (result < 0)
            return result;
    }
    if (found.headers.last_destination.size > 0)
        return -EINVAL;
    const struct header_options *headers = &found.headers;
    size_t size = headers->hop_by_hop.size + headers->first_destination.size;
    if (size == 0)
        return 0;
    struct lease_options *options = malloc(sizeof *options + size);
    if (!options)
        return -ENOMEM;
    *options = (struct lease_options){.size = size};
    uint8_t *room = options->bytes;
    room = copy_part(&headers->hop_by_hop, room, &options->headers.hop_by_hop);
    copy_part(&headers->first_destination, room, &options->headers.first_destination);
    *out = options;
    return 0;
}

void lease_options_destroy(struct lease_options *options)
{
    free(options);
}

void header_options_of(const struct flow_label_request *request, struct header_options *own)
{
    *own = (struct header_options){0};
    struct header_part *const parts[] = {
        [FLOW_LABEL_HOPOPTS] = &own->hop_by_hop,
        [FLOW_LABEL_RTHDRDSTOPTS] = &own->first_destination,
        [FLOW_LABEL_RTHDR] = &own->routing,
        [FLOW_LABEL_DSTOPTS] = &own->last_destination,
    };
    for (size_t i = 0; i < request->n_options; i++) {
        const struct flow_label_option *option = &request->options[i];
        *parts[option->kind] = (struct header_part){option->bytes, header_size(option)};
    }
}

void header_options_merge(const struct header_options *leased, const struct header_options *own,
                          struct header_options *sent)
{
    *sent = *leased;
    sent->last_destination = own->last_destination;
}
