/* wanmeter rerate: an account's period once more, with other tariffs or another overhead model,
 * beside what was billed. Nothing is changed. */
#include "cli/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/account_check.h"
#include "cli/bill/invoice.h"
#include "cli/options.h"
#include "cli/settings.h"
#include "common/log.h"

struct rerate_arguments {
    struct query_options query;
    struct settings settings; /* of the other tariffs */
    const char *account;
    const char *wan;
    const char *overhead;
    int32_t year;
    int32_t month; /* 0: not given */
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct rerate_arguments *arguments = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &arguments->query;
        state->child_inputs[1] = &arguments->settings;
        return 0;
    case 'a':
        arguments->account = argument;
        return 0;
    case 'p':
        if (!period_parse(argument, &arguments->year, &arguments->month))
            argp_error(state, "--period: got '%s', expected a month such as 2026-10", argument);
        return 0;
    case 'o':
        arguments->overhead = argument;
        return 0;
    case 'w':
        arguments->wan = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->account == NULL || arguments->month == 0)
            argp_error(state, "--account and --period are needed");
        if (arguments->overhead == NULL && arguments->settings.config_path == NULL)
            argp_error(state, "--config (other tariffs) or --overhead (another model) is needed");
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
            {"overhead", 'o', "MODEL", 0, "As if packets had cost this much", 0},
            {"wan", 'w', "NAME", 0, "On this WAN only (default: all)", 0},
            {0}},
    .parser = on_option,
    .doc =
        "A period once more, by the tariffs of another configuration, by another overhead model, "
        "or both, beside what was billed.\v"
        "Other tariffs are exact. Another model is, where it adds the same to every packet; of "
        "others the sums of slots say only between what two amounts it would be (certainty "
        "'bounded').\n\n"
        "Examples:\n"
        "  wanmeter rerate --account bakery --period 2026-01 --config new.yaml\n"
        "  wanmeter rerate --account bakery --period 2026-01 --overhead pppoe-ptm",
    .children = (const struct argp_child[]){{&options_query_argp, 0, NULL, 0},
                                            {&settings_argp, 0, NULL, 0},
                                            {0}},
};

/* ---- rows ---- */

enum row_column {
    ROW_VERSION,
    ROW_TARIFF,
    ROW_MODELS,
    ROW_BYTES_LOW,
    ROW_BYTES_HIGH,
    ROW_AMOUNT_LOW,
    ROW_AMOUNT_HIGH,
    ROW_CURRENCY,
    ROW_CERTAINTY,
    ROW_COLUMNS,
};

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

/* The same part by both bounds of a model; as billed, both are one. */
static void write_part(struct output *output, const char *version, const char *models,
                       const struct invoice_part *low, const struct invoice_part *high)
{
    const struct config_tariff *tariff = low->bill.tariff;
    char amounts[2][DECIMAL_TEXT_SIZE];
    int64_t low_bytes = low->bill.billed_bytes + low->correction_bytes;
    int64_t high_bytes = high->bill.billed_bytes + high->correction_bytes;
    invoice_money_text(tariff, low->bill.subtotal + low->correction, amounts[0]);
    invoice_money_text(tariff, high->bill.subtotal + high->correction, amounts[1]);
    bool is_exact = low_bytes == high_bytes && strcmp(amounts[0], amounts[1]) == 0;
    const struct value values[ROW_COLUMNS] = {
        [ROW_VERSION] = text_value(version),
        [ROW_TARIFF] = text_value(tariff->name),
        [ROW_MODELS] = text_value(models),
        [ROW_BYTES_LOW] = integer_value(low_bytes),
        [ROW_BYTES_HIGH] = integer_value(high_bytes),
        [ROW_AMOUNT_LOW] = text_value(amounts[0]),
        [ROW_AMOUNT_HIGH] = text_value(amounts[1]),
        [ROW_CURRENCY] = text_value(tariff->currency),
        [ROW_CERTAINTY] = text_value(is_exact ? "exact" : "bounded"),
    };
    output_row(output, values);
}

static void write_invoice(struct output *output, const char *version, const char *model,
                          const struct invoice *low, const struct invoice *high)
{
    for (size_t i = 0; i < low->n_parts; i++) {
        char models[INVOICE_TEXT_SIZE];
        invoice_models_text(&low->parts[i], models);
        write_part(output, version, model != NULL ? model : models, &low->parts[i],
                   &high->parts[i]);
    }
}

static void write_rows(const struct rerate_arguments *arguments, const struct invoice *billed,
                       const struct invoice *low, const struct invoice *high)
{
    static const struct output_column columns[ROW_COLUMNS] = {
        [ROW_VERSION] = {"version", COLUMN_PLAIN},
        [ROW_TARIFF] = {"tariff", COLUMN_PLAIN},
        [ROW_MODELS] = {"models", COLUMN_PLAIN},
        [ROW_BYTES_LOW] = {"low_billed_bytes", COLUMN_COUNT},
        [ROW_BYTES_HIGH] = {"high_billed_bytes", COLUMN_COUNT},
        [ROW_AMOUNT_LOW] = {"low_amount", COLUMN_PLAIN},
        [ROW_AMOUNT_HIGH] = {"high_amount", COLUMN_PLAIN},
        [ROW_CURRENCY] = {"currency", COLUMN_PLAIN},
        [ROW_CERTAINTY] = {"certainty", COLUMN_PLAIN},
    };
    struct output *output;
    if (output_create(stdout, arguments->query.format, "rerate", columns, ROW_COLUMNS, &output) < 0)
        return;
    char model[INVOICE_TEXT_SIZE];
    if (arguments->overhead != NULL)
        snprintf(model, sizeof model, "%s: %s", arguments->wan ? arguments->wan : "all",
                 arguments->overhead);
    write_invoice(output, "billed", NULL, billed, billed);
    write_invoice(output, "rerated", arguments->overhead != NULL ? model : NULL, low, high);
    output_destroy(output);
}

/* ---- making ---- */

/* The three invoices: as billed, and the other one by its two bounds. */
struct rerating {
    struct tariff_book book;
    struct tariff_book other; /* owns nothing */
    struct model_bounds *model;
    struct invoice billed, low, high;
};

static enum exit_code choose(struct database *database, struct rerate_arguments *arguments,
                             struct rerating *rerating)
{
    enum exit_code code = account_check(database, arguments->account);
    if (code == EXIT_CODE_OK && arguments->wan != NULL)
        code = account_check_wan(database, arguments->wan);
    if (code == EXIT_CODE_OK)
        code = tariff_book_open(database, arguments->account, arguments->year, arguments->month,
                                &rerating->book);
    if (code != EXIT_CODE_OK)
        return code;
    rerating->other = rerating->book;
    if (arguments->settings.config_path != NULL) {
        if (!settings_load(&arguments->settings))
            return EXIT_CODE_USAGE;
        rerating->other.config = arguments->settings.config;
    }
    if (arguments->overhead != NULL &&
        model_bounds_create(arguments->overhead, &rerating->model) < 0) {
        log_error("--overhead: '%s' is no model ('wanmeter overhead list')", arguments->overhead);
        return EXIT_CODE_USAGE;
    }
    if (rerating->model != NULL && model_bounds_has_state(rerating->model)) {
        log_error("--overhead: what '%s' costs depends on packets before: replay the captures",
                  arguments->overhead);
        return EXIT_CODE_USAGE;
    }
    if (tariff_find(&rerating->other.config, arguments->account, 0) ==
        rerating->other.config.n_tariffs) {
        log_error("%s: no tariff for account '%s'", arguments->settings.config_path,
                  arguments->account);
        return EXIT_CODE_USAGE;
    }
    return EXIT_CODE_OK;
}

static enum exit_code make(struct database *database, const struct rerate_arguments *arguments,
                           const struct tariff_book *book, const struct model_bounds *bounds,
                           bool is_high, struct invoice *invoice)
{
    const struct invoice_model model = {bounds, arguments->wan, is_high};
    return invoice_open(database, book, arguments->account, arguments->year, arguments->month,
                        &model, invoice);
}

static enum exit_code rerate(struct database *database, struct rerate_arguments *arguments)
{
    struct rerating rerating = {0};
    enum exit_code code = choose(database, arguments, &rerating);
    if (code == EXIT_CODE_OK)
        code = make(database, arguments, &rerating.book, NULL, false, &rerating.billed);
    if (code == EXIT_CODE_OK)
        code = make(database, arguments, &rerating.other, rerating.model, false, &rerating.low);
    if (code == EXIT_CODE_OK)
        code = make(database, arguments, &rerating.other, rerating.model, true, &rerating.high);
    if (code == EXIT_CODE_OK)
        write_rows(arguments, &rerating.billed, &rerating.low, &rerating.high);
    invoice_close(&rerating.billed);
    invoice_close(&rerating.low);
    invoice_close(&rerating.high);
    model_bounds_destroy(rerating.model);
    tariff_book_close(&rerating.book);
    return code;
}

enum exit_code cmd_rerate(int argc, char **argv)
{
    struct rerate_arguments arguments = {0};
    options_parse(&argp, argc, argv, &arguments);
    struct database database;
    enum exit_code code = database_open(arguments.query.database, &database);
    if (code == EXIT_CODE_OK)
        code = rerate(&database, &arguments);
    database_close(&database);
    settings_deinit(&arguments.settings);
    return code;
}
