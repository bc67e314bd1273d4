#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "tracker/flow_label/flow_label_internal.h"
#include "tracker/flow_label/lease_options.h"
#include "tracker/flow_label/lease_request.h"

static const int64_t second_ns = 1000000000;

enum { NUMBER_SIZE = 24, HEX_SIZE = 2 * CHANGE_TEXT_MAX + 1 };

static void put_hex(const uint8_t *bytes, size_t size, char *text)
{
    text[0] = '\0';
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static const char *account_name(const struct config *config, uint16_t account)
{
    return account ? config->accounts[account - 1].name : "";
}

static const char *class_name(const struct config *config, uint8_t class_index)
{
    return class_index >= CONFIG_CLASS_FIRST
               ? config->classes.items[class_index - CONFIG_CLASS_FIRST]
               : "";
}

/* ---- list ---- */

/* The first eight: as in the kernel's list, without the spaces. */
static const char *const list_columns[] = {"label",   "share",   "owner", "users",
                                           "linger",  "expires", "dst",   "opt",
                                           "address", "account", "class"};
enum { LIST_COLUMNS_N = sizeof list_columns / sizeof *list_columns };

static bool put_lease(const struct config *config, const struct lease *lease, int64_t now_ns,
                      struct control_reply *reply)
{
    char numbers[8][NUMBER_SIZE], destination[33], address[ADDRESS_TEXT_SIZE];
    const char *values[LIST_COLUMNS_N] = {numbers[0],
                                          numbers[1],
                                          numbers[2],
                                          numbers[3],
                                          numbers[4],
                                          numbers[5],
                                          destination,
                                          numbers[7],
                                          address,
                                          account_name(config, lease->account),
                                          class_name(config, lease->class_index)};
    snprintf(numbers[0], NUMBER_SIZE, "%05" PRIX32, lease->label);
    snprintf(numbers[1], NUMBER_SIZE, "%u", lease->share);
    snprintf(numbers[2], NUMBER_SIZE, "%" PRIu32, lease->owner);
    snprintf(numbers[3], NUMBER_SIZE, "%" PRIu32, lease->n_users);
    snprintf(numbers[4], NUMBER_SIZE, "%" PRId64, lease->linger_ns / second_ns);
    snprintf(numbers[5], NUMBER_SIZE, "%" PRId64, (lease->expires_ns - now_ns) / second_ns);
    snprintf(numbers[7], NUMBER_SIZE, "%zu", lease->options ? lease->options->size : 0);
    put_hex(lease->destination, sizeof lease->destination, destination);
    address_text(6, lease->destination, address);
    return control_reply_row(reply, values, LIST_COLUMNS_N);
}

static void list(const struct flow_label_table *labels, int64_t now_ns,
                 const struct control_request *request, struct control_reply *reply)
{
    uint64_t place = 0;
    control_reply_columns(reply, list_columns, LIST_COLUMNS_N);
    for (const struct lease *lease = flow_label_next(labels, NULL, now_ns); lease;
         lease = flow_label_next(labels, lease, now_ns), place++) {
        if (place >= request->cursor && !put_lease(labels->config, lease, now_ns, reply)) {
            reply->cursor = place;
            return;
        }
    }
}

/* ---- headers ---- */

static bool put_headers(const struct header_options *sent, struct control_reply *reply)
{
    static const char *const columns[] = {"hopopts", "rthdrdstopts", "rthdr", "dstopts"};
    const struct header_part *parts[] = {&sent->hop_by_hop, &sent->first_destination,
                                         &sent->routing, &sent->last_destination};
    char text[4][HEX_SIZE];
    const char *values[4];
    control_reply_columns(reply, columns, 4);
    for (size_t i = 0; i < 4; i++) {
        put_hex(parts[i]->bytes, parts[i]->size, text[i]);
        values[i] = text[i];
    }
    return control_reply_row(reply, values, 4);
}

/* What a packet with these headers of its own has when it is sent under the lease. */
static void show_headers(const struct flow_label_table *labels, int64_t now_ns,
                         const struct control_request *request, struct control_reply *reply)
{
    struct lease_request read;
    char why[CHANGE_ANSWER_MAX + 1];
    uint32_t label;
    if (request->n_words < 3 || !lease_request_label(request->words[2], &label)) {
        control_reply_fail(reply, EINVAL, "expected: flowlabel headers LABEL [NAME=HEX]...");
        return;
    }
    if (lease_request_headers(request->words + 3, request->n_words - 3, &read, why) < 0) {
        control_reply_fail(reply, EINVAL, "%s", why);
        return;
    }
    const struct lease *lease = lease_table_find(&labels->grant.leases, label);
    if (!lease || lease_is_over(lease, now_ns)) {
        control_reply_fail(reply, ENOENT, "there is no lease of this label");
        return;
    }
    static const struct header_options none;
    struct header_options own, sent;
    header_options_of(&read.request, &own);
    header_options_merge(lease->options ? &lease->options->headers : &none, &own, &sent);
    put_headers(&sent, reply);
}

void flow_label_query(const struct flow_label_table *labels, int64_t now_ns,
                      const struct control_request *request, struct control_reply *reply)
{
    const char *verb = request->n_words > 1 ? request->words[1] : "";
    if (strcmp(verb, "list") == 0 && request->n_words == 2)
        list(labels, now_ns, request, reply);
    else if (strcmp(verb, "headers") == 0)
        show_headers(labels, now_ns, request, reply);
    else
        control_reply_fail(reply, EINVAL, "expected: flowlabel list, or flowlabel headers");
}
