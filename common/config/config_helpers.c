#include "common/config/config_helpers.h"

#include <stdio.h>
#include <string.h>

#include "common/helper_names.h"

enum { PORT_MAX = 65535 };

static const struct config_option helper_options[] = {
    {"name", CONFIG_TEXT, .offset = offsetof(struct config_helper, name),
     .size = sizeof(((struct config_helper *)0)->name), .min = 1, .max = CONFIG_NAME_MAX,
     .words = "ftp tftp sip irc pptp amanda", .is_required = true, .is_billing = true,
     .help = "The protocol that it reads."},
    {"ports", CONFIG_INTEGER_LIST, .offset = offsetof(struct config_helper, ports),
     .count_offset = offsetof(struct config_helper, n_ports), .min = 1, .max = PORT_MAX,
     .is_billing = true,
     .help =
         "Where its servers listen; not set: the usual port (21, 69, 5060, 6667, 1723, 10080)."},
};

const struct config_table config_helper_table = {
    .options = helper_options,
    .n_options = sizeof helper_options / sizeof *helper_options,
    .object_size = sizeof(struct config_helper),
    .place_offset = offsetof(struct config_helper, place),
};

const char config_helpers_example[] = "  - name: ftp\n"
                                      "    ports: [21, 2121]\n"
                                      "  - name: sip\n";

bool config_has_helpers(const struct config *config)
{
    for (size_t i = 0; i < config->n_rules; i++)
        if (config->rules[i].ct && strstr(config->rules[i].ct, "helper="))
            return true;
    return config->n_helpers > 0;
}

size_t config_helper_ports(const struct config_helper *helper)
{
    return helper->n_ports > 0 ? helper->n_ports : 1;
}

uint16_t config_helper_port(const struct config_helper *helper, size_t i)
{
    if (helper->n_ports == 0)
        return helper_names[helper_number_of(helper->name)].port;
    return (uint16_t)helper->ports[i];
}

static bool share_transport(const struct config_helper *a, const struct config_helper *b)
{
    const struct helper_name *one = &helper_names[helper_number_of(a->name)];
    const struct helper_name *other = &helper_names[helper_number_of(b->name)];
    return (one->is_tcp && other->is_tcp) || (one->is_udp && other->is_udp);
}

/* A port that both have, or 0. */
static uint16_t shared_port(const struct config_helper *a, const struct config_helper *b)
{
    for (size_t i = 0; i < config_helper_ports(a); i++)
        for (size_t j = 0; j < config_helper_ports(b); j++)
            if (config_helper_port(a, i) == config_helper_port(b, j))
                return config_helper_port(a, i);
    return 0;
}

static void complain(const struct config *config, const struct config_helper *helper, uint16_t port,
                     const struct config_helper *other, struct config_errors *errors)
{
    char place[CONFIG_PLACE_TEXT_SIZE], subject[CONFIG_NAME_MAX + 16], what[CONFIG_NAME_MAX + 64];
    char got[8];
    config_place_text(config->path, helper->place, place);
    snprintf(subject, sizeof subject, "helper '%.63s'", helper->name);
    snprintf(what, sizeof what, "a port that helper '%.63s' reads already", other->name);
    snprintf(got, sizeof got, "%u", port);
    config_errors_add(errors, &(struct config_report){
                                  .place = place, .subject = subject, .what = what, .got = got});
}

void config_check_helpers(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->n_helpers; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_helper *helper = &config->helpers[i], *other = &config->helpers[j];
            if (!helper->name || !other->name || !share_transport(helper, other))
                continue;
            uint16_t port = shared_port(helper, other);
            if (port == 0)
                continue;
            complain(config, helper, port, other, errors);
            break;
        }
}
