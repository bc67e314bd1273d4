#include "common/config/config_errors.h"

#include <stdlib.h>
#include <string.h>

#include "common/config/config_object.h"
#include "common/config/config_utf8.h"

enum { GOT_SIZE_MAX = 60 };

/* A text from outside, so that it can neither flood the terminal nor command it. */
static void write_escaped(const char *text, size_t size_max, FILE *out)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = strlen(text);
    size_t at = 0;
    while (at < size && at < size_max) {
        uint32_t character;
        size_t n = config_utf8_decode(bytes + at, size - at, &character);
        if (n > 0 && config_utf8_is_printable(character)) {
            fwrite(bytes + at, 1, n, out);
            at += n;
        } else {
            fprintf(out, "\\x%02x", bytes[at]);
            at++;
        }
    }
    fputs(at < size ? "..." : "", out);
}

static bool is_empty(const char *text)
{
    return !text || !*text;
}

static void write_details(const struct config_report *report, FILE *out)
{
    if (!report->got && is_empty(report->expected) && is_empty(report->suggestion))
        return;
    const char *before = " (";
    if (report->got) {
        fprintf(out, "%sgot '", before);
        write_escaped(report->got, GOT_SIZE_MAX, out);
        fputc('\'', out);
        before = ", ";
    }
    if (!is_empty(report->expected)) {
        fprintf(out, "%sexpected %s", before, report->expected);
        before = "; ";
    }
    if (!is_empty(report->suggestion))
        fprintf(out, "%sdid you mean %s?", *before == ' ' ? " (" : "; ", report->suggestion);
    fputc(')', out);
}

void config_errors_add(struct config_errors *errors, const struct config_report *report)
{
    if (errors->n == CONFIG_ERRORS_MAX) {
        errors->n_left_out++;
        return;
    }
    if (!errors->items)
        errors->items = config_allocate(CONFIG_ERRORS_MAX, sizeof *errors->items);

    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        write_escaped(report->place, CONFIG_PLACE_TEXT_SIZE, out);
        fputs(": ", out);
        if (!is_empty(report->subject))
            fprintf(out, "%s: ", report->subject);
        fputs(report->what, out);
        write_details(report, out);
        fclose(out);
    }
    errors->items[errors->n++].text = text ? text : config_copy_text("out of memory", 13);
}

void config_errors_add_complaint(struct config_errors *errors, const char *place,
                                 const char *subject, const char *got,
                                 const struct config_complaint *complaint)
{
    config_errors_add(errors, &(struct config_report){.place = place,
                                                      .subject = subject,
                                                      .what = complaint->what,
                                                      .got = got,
                                                      .expected = complaint->expected,
                                                      .suggestion = complaint->suggestion});
}

void config_place_text(const char *file, struct config_place place,
                       char out[CONFIG_PLACE_TEXT_SIZE])
{
    const char *name = file ? file : "configuration";
    if (place.line == 0)
        snprintf(out, CONFIG_PLACE_TEXT_SIZE, "%s", name);
    else
        snprintf(out, CONFIG_PLACE_TEXT_SIZE, "%.4096s:%u:%u", name, place.line, place.column);
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
    for (size_t i = 0; i < errors->n; i++)
        fprintf(out, "%s\n", errors->items[i].text);
    if (errors->n_left_out > 0)
        fprintf(out, "... and %zu more\n", errors->n_left_out);
}

void config_errors_deinit(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        free(errors->items[i].text);
    free(errors->items);
    *errors = (struct config_errors){0};
}
