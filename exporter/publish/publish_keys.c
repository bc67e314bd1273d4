#include "exporter/publish/publish_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

int publish_keys_open(const struct config *config, struct publish_keys *keys)
{
    const struct config_text_list *clients = &config->events.clients;
    *keys = (struct publish_keys){0};
    if (config->events.key_file[0] == '\0')
        return 0;
    int result = bus_key_read(config->events.key_file, &keys->own);
    if (result < 0)
        return result;
    keys->clients = calloc(clients->n + 1, sizeof *keys->clients);
    if (!keys->clients)
        return -ENOMEM;
    for (size_t i = 0; i < clients->n; i++)
        if (!bus_key_parse(clients->items[i], &keys->clients[i]))
            return -EINVAL; /* the configuration's check has said so */
    keys->keys =
        (struct bus_keys){.own = &keys->own, .clients = keys->clients, .n_clients = clients->n};
    return 0;
}

void publish_keys_close(struct publish_keys *keys)
{
    explicit_bzero(&keys->own, sizeof keys->own);
    free(keys->clients);
    *keys = (struct publish_keys){0};
}
