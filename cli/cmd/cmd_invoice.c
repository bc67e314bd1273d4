/* wanmeter invoice: what an account pays for a period. */
#include "cli/cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/account_check.h"
#include "cli/bill/invoice.h"
#include "cli/options.h"
#include "common/log.h"

typedef void (*write_fn)(const struct invoice *invoice, FILE *out);

struct invoice_arguments {
    const char *database;
    const char *account;
    int32_t year;
    int32_t month; /* 0: not given */
    write_fn write;
};

static void parse_format(struct argp_state *state, const char *text, write_fn *write)
{
    static const char *const names[] = {"table", "html", "csv", "json"};
    static const write_fn writers[] = {invoice_write_table, invoice_write_html, invoice_write_csv,
                                       invoice_write_json};
    *write = writers[options_word(state, "format", text, names, sizeof names / sizeof *names)];
}

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct invoice_arguments *arguments = state->input;
    switch (key) {
    case 'd':
        arguments->database = argument;
        return 0;
    case 'a':
        arguments->account = argument;
        return 0;
    case 'p':
        if (!period_parse(argument, &arguments->year, &arguments->month))
            argp_error(state, "--period: got '%s', expected a month such as 2026-10", argument);
        return 0;
    case 'f':
        parse_format(state, argument, &arguments->write);
        return 0;
    case ARGP_KEY_END:
        if (arguments->account == NULL || arguments->month == 0)
            argp_error(state, "--account and --period are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options =
        (const struct argp_option[]){
            {"account", 'a', "NAME", 0, "Whose; none: what has no account", 0},
            {"period", 'p', "MONTH", 0, "The one that begins in this month, as 2026-10", 0},
            {"database", 'd', "FILE", 0, "The database (default: wanmeter.db)", 0},
            {"format", 'f', "FORMAT", 0, "table (default), html, csv or json", 0},
            {0}},
    .parser = on_option,
    .doc =
        "What an account pays for a period, with everything that is needed to check it.\v"
        "The tariffs are those that the period was sealed with; of one that is not sealed, those "
        "of its newest run, and the invoice says interim.\n\n"
        "Examples:\n"
        "  wanmeter invoice --account bakery --period 2026-10\n"
        "  wanmeter invoice --account bakery --period 2026-10 --format html >bakery.html",
};

static enum exit_code write_invoice(struct database *database,
                                    const struct invoice_arguments *arguments)
{
    struct tariff_book book = {0};
    struct invoice invoice = {0};
    const struct invoice_model as_billed = {0};
    enum exit_code code = account_check(database, arguments->account);
    if (code == EXIT_CODE_OK)
        code = tariff_book_open(database, arguments->account, arguments->year, arguments->month,
                                &book);
    if (code == EXIT_CODE_OK)
        code = invoice_open(database, &book, arguments->account, arguments->year, arguments->month,
                            &as_billed, &invoice);
    if (code == EXIT_CODE_OK)
        arguments->write(&invoice, stdout);
    invoice_close(&invoice);
    tariff_book_close(&book);
    return code;
}

enum exit_code cmd_invoice(int argc, char **argv)
{
    struct invoice_arguments arguments = {.database = options_default_database,
                                          .write = invoice_write_table};
    options_parse(&argp, argc, argv, &arguments);
    struct database database;
    enum exit_code code = database_open(arguments.database, &database);
    if (code != EXIT_CODE_OK)
        return code;
    code = write_invoice(&database, &arguments);
    database_close(&database);
    return code;
}
