#include "cli/event/event_print.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/moment.h"
#include "cli/output/output_format.h"
#include "proto/record.h"

enum { KIND_MAX = 15, ENDPOINT_SIZE = 64 };

/* "new" of "new.alice". */
static void kind_of(const Wanmeter__Event__Event *event, char kind[KIND_MAX + 1])
{
    snprintf(kind, KIND_MAX + 1, "%.*s", (int)strcspn(event->topic, "."), event->topic);
}

/* ---- table ---- */

static void endpoint_text(const char *address, uint32_t port, uint32_t ip_version,
                          char text[ENDPOINT_SIZE])
{
    bool needs_brackets = port != 0 && ip_version == 6;
    int length = snprintf(text, ENDPOINT_SIZE, needs_brackets ? "[%s]" : "%s", address);
    if (port != 0 && length < ENDPOINT_SIZE)
        snprintf(text + length, ENDPOINT_SIZE - (size_t)length, ":%" PRIu32, port);
}

static void print_connection(const Wanmeter__Event__Connection *connection, FILE *out)
{
    char source[ENDPOINT_SIZE];
    char destination[ENDPOINT_SIZE];
    endpoint_text(connection->orig_src_address, connection->orig_src_port, connection->ip_version,
                  source);
    endpoint_text(connection->orig_dst_address, connection->orig_dst_port, connection->ip_version,
                  destination);
    fprintf(out, "%s %s > %s %s, %s, %s", connection->protocol_name, source, destination,
            connection->state, connection->account, connection->wan);
    if (connection->orig != NULL && connection->reply != NULL)
        fprintf(out, ", %" PRIu64 " + %" PRIu64 " packets, %" PRIu64 " + %" PRIu64 " billed bytes",
                connection->orig->packets, connection->reply->packets,
                connection->orig->billed_bytes, connection->reply->billed_bytes);
    if (connection->end_reason[0] != '\0' && strcmp(connection->end_reason, "none") != 0)
        fprintf(out, ", %s", connection->end_reason);
}

static void print_usage(const Wanmeter__Event__Usage *usage, FILE *out)
{
    char slot[MOMENT_TEXT_SIZE];
    moment_format(usage->slot_ns, slot);
    fprintf(out, "%s, %s %s, %s: %" PRIu64 " packets, %" PRIu64 " billed bytes, slot %s",
            usage->account, usage->wan, usage->direction, usage->class_, usage->packets,
            usage->billed_bytes, slot);
}

static void print_loss(const Wanmeter__Event__Loss *loss, FILE *out)
{
    fprintf(out, "%s %s: ", loss->stage, loss->reason);
    if (loss->packets == LOSS_AMOUNT_UNKNOWN)
        fputs("packets unknown", out);
    else
        fprintf(out, "%" PRId64 " packets", loss->packets);
    fprintf(out, ", %s, %s", loss->certainty, loss->evidence);
}

static void print_quota(const Wanmeter__Event__Quota *quota, FILE *out)
{
    fprintf(out, "%s, %s: %" PRIu32 " %% reached, %" PRIu64 " of %" PRIu64 " billed bytes",
            quota->account, quota->tariff, quota->percent, quota->used_bytes, quota->quota_bytes);
}

void event_print_table(const Wanmeter__Event__Event *event, FILE *out)
{
    char time[MOMENT_TEXT_SIZE];
    char kind[KIND_MAX + 1];
    moment_format(event->time_ns, time);
    kind_of(event, kind);
    fprintf(out, "%-30s  %-7s  ", time, kind);
    switch (event->content_case) {
    case WANMETER__EVENT__EVENT__CONTENT_CONNECTION:
        print_connection(event->connection, out);
        break;
    case WANMETER__EVENT__EVENT__CONTENT_USAGE:
        print_usage(event->usage, out);
        break;
    case WANMETER__EVENT__EVENT__CONTENT_LOSS:
        print_loss(event->loss, out);
        break;
    case WANMETER__EVENT__EVENT__CONTENT_QUOTA:
        print_quota(event->quota, out);
        break;
    default:
        break;
    }
    fputc('\n', out);
}

/* ---- json ---- */

static json_t *message_json(const ProtobufCMessage *message);

static json_t *text_json(enum value_kind kind, const void *bytes, size_t size)
{
    struct value value = {.kind = kind, .bytes = bytes, .size = size};
    char *text = value_text(&value);
    json_t *string = json_string(text);
    free(text);
    return string;
}

static json_t *field_json(const ProtobufCFieldDescriptor *field, const void *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)value;
        return text_json(VALUE_TEXT, text, strlen(text));
    }
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = value;
        return text_json(VALUE_BLOB, bytes->data, bytes->len);
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_json(*(ProtobufCMessage *const *)value);
    case PROTOBUF_C_TYPE_UINT32:
        return json_integer(*(const uint32_t *)value);
    default: /* the .proto has no others: 64 bits, as signed as in the database */
        return json_integer(*(const int64_t *)value);
    }
}

/* An amount that is not known is none, as in the database. */
static bool is_unknown(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                       const void *value)
{
    return message->descriptor == &wanmeter__event__loss__descriptor &&
           field->type == PROTOBUF_C_TYPE_SINT64 && strstr(field->name, "_ns") == NULL &&
           *(const int64_t *)value == LOSS_AMOUNT_UNKNOWN;
}

/* Of a oneof only the field that is set; of others all. */
static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    const char *base = (const char *)message;
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(ProtobufCMessage *const *)(base + field->offset) != NULL;
    return field->label != PROTOBUF_C_LABEL_REPEATED; /* only in heartbeats: not printed */
}

static json_t *message_json(const ProtobufCMessage *message)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const void *value = (const char *)message + field->offset;
        if (!is_present(message, field))
            continue;
        json_t *json = is_unknown(message, field, value) ? json_null() : field_json(field, value);
        int result = json_object_set_new(object, field->name, json);
        assert(result == 0);
    }
    return object;
}

json_t *event_connection_json(const Wanmeter__Event__Connection *connection)
{
    return message_json(&connection->base);
}

void event_print_json(const Wanmeter__Event__Event *event, FILE *out)
{
    json_t *object = json_object();
    json_t *content = message_json(&event->base);
    int result = json_object_set_new(object, "schema", json_integer(OUTPUT_SCHEMA_VERSION));
    assert(result == 0);
    result = json_object_update(object, content);
    assert(result == 0);
    json_dumpf(object, out, 0);
    fputc('\n', out);
    json_decref(content);
    json_decref(object);
}
