/* Is it YAML, and within bounds? The text is gone through three times, each pass trusting the one
 * before: its characters, its events (no aliases, so that nothing multiplies), its document. */
#include <string.h>

#include "common/config/config_errors.h"
#include "common/config/config_utf8.h"
#include "common/config/config_yaml.h"

struct syntax {
    const char *name;
    struct config_errors *errors;
};

static void complain(const struct syntax *syntax, struct config_place place, const char *what,
                     const char *got, const char *expected)
{
    char place_text[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(syntax->name, place, place_text);
    config_errors_add(syntax->errors,
                      &(struct config_report){
                          .place = place_text, .what = what, .got = got, .expected = expected});
}

static struct config_place place_of(yaml_mark_t mark)
{
    return (struct config_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* What libyaml's reader lets through unescaped (YAML 1.1, section 5.1); a byte order mark may
 * begin the file. */
static bool is_yaml_character(uint32_t character, size_t offset)
{
    if (character == '\t' || character == '\n' || character == '\r' || character == 0x85)
        return true;
    if (character == 0xfeff)
        return offset == 0;
    return character >= 0x20 && character != 0x7f && !(character > 0x7f && character < 0xa0) &&
           character != 0xfffe && character != 0xffff;
}

static bool check_characters(const struct syntax *syntax, const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    struct config_place place = {1, 1};
    for (size_t at = 0; at < size;) {
        uint32_t character;
        size_t n = config_utf8_decode(bytes + at, size - at, &character);
        if (n == 0 || !is_yaml_character(character, at)) {
            char got[2] = {text[at], '\0'};
            complain(syntax, place,
                     n == 0           ? "not UTF-8"
                     : character == 0 ? "a NUL byte"
                                      : "a control character",
                     n == 0 ? got : NULL, n == 0 ? "" : "text");
            return false;
        }
        place.column++;
        if (character == '\n')
            place = (struct config_place){place.line + 1, 1};
        at += n;
    }
    return true;
}

static void complain_of_parser(const struct syntax *syntax, const yaml_parser_t *parser)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        complain(syntax, (struct config_place){0}, "out of memory", NULL, NULL);
        return;
    }
    char what[400];
    const char *problem = parser->problem ? parser->problem : "cannot be parsed";
    if (parser->context)
        snprintf(what, sizeof what, "YAML: %s %s that begins at %zu:%zu", problem, parser->context,
                 parser->context_mark.line + 1, parser->context_mark.column + 1);
    else
        snprintf(what, sizeof what, "YAML: %s", problem);
    complain(syntax, place_of(parser->problem_mark), what, NULL, NULL);
}

/* What the events have shown so far. */
struct shape {
    size_t depth;
    size_t n_nodes;
    size_t n_documents;
};

static const char *tag_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.tag;
    default:
        return NULL;
    }
}

static const char *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return (const char *)event->data.alias.anchor;
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return (const char *)event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return (const char *)event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static void count_event(const yaml_event_t *event, struct shape *shape)
{
    shape->n_documents += event->type == YAML_DOCUMENT_START_EVENT;
    shape->n_nodes += event->type == YAML_SCALAR_EVENT;
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT) {
        shape->n_nodes++;
        shape->depth++;
    }
    if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
        shape->depth--;
}

static bool is_within_bounds(const struct syntax *syntax, const yaml_event_t *event,
                             struct shape *shape)
{
    count_event(event, shape);
    const char *what = NULL, *got = NULL, *expected = NULL;
    if (shape->n_documents > 1) {
        what = "a second document";
        expected = "one";
    } else if (anchor_of(event)) {
        what = "anchors and aliases are not allowed";
        got = anchor_of(event);
    } else if (tag_of(event)) {
        what = "tags are not allowed";
        got = tag_of(event);
    } else if (shape->depth > CONFIG_DEPTH_MAX) {
        what = "nested too deep";
        expected = "16 levels at most";
    } else if (shape->n_nodes > CONFIG_NODES_MAX) {
        what = "too many values";
        expected = "2000000 at most";
    } else {
        return true;
    }
    complain(syntax, place_of(event->start_mark), what, got, expected);
    return false;
}

static bool check_events(const struct syntax *syntax, yaml_parser_t *parser)
{
    struct shape shape = {0};
    bool is_end = false;
    while (!is_end) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            complain_of_parser(syntax, parser);
            return false;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        bool is_good = is_within_bounds(syntax, &event, &shape);
        yaml_event_delete(&event);
        if (!is_good)
            return false;
    }
    return true;
}

static bool load_document(const struct syntax *syntax, yaml_parser_t *parser,
                          yaml_document_t *document)
{
    if (yaml_parser_load(parser, document))
        return true;
    complain_of_parser(syntax, parser);
    return false;
}

/* One pass of libyaml over the text: for its document, or (NULL) for its events only. */
static bool with_parser(const struct syntax *syntax, const char *text, size_t size,
                        yaml_document_t *document)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        complain(syntax, (struct config_place){0}, "out of memory", NULL, NULL);
        return false;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    bool is_good =
        document ? load_document(syntax, &parser, document) : check_events(syntax, &parser);
    yaml_parser_delete(&parser);
    return is_good;
}

bool config_yaml_load(const char *name, const char *text, size_t size, yaml_document_t *document,
                      struct config_errors *errors)
{
    struct syntax syntax = {.name = name, .errors = errors};
    if (size > CONFIG_FILE_SIZE_MAX) {
        complain(&syntax, (struct config_place){0}, "the file is too large", NULL, "16MiB at most");
        return false;
    }
    return check_characters(&syntax, text, size) && with_parser(&syntax, text, size, NULL) &&
           with_parser(&syntax, text, size, document);
}
