/* An invoice for programs: a row a line, as CSV, and with its details as one JSON document. */
#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/invoice.h"
#include "cli/output/output_format.h"

static const int64_t SECOND_NS = 1000000000;

enum row_column {
    ROW_ACCOUNT,
    ROW_PERIOD,
    ROW_BEGIN,
    ROW_END,
    ROW_TIMEZONE,
    ROW_STATUS,
    ROW_TARIFF,
    ROW_KIND,
    ROW_RULE,
    ROW_LINE,
    ROW_BYTES,
    ROW_QUANTITY,
    ROW_UNIT,
    ROW_PRICE,
    ROW_AMOUNT,
    ROW_CURRENCY,
    ROW_ROUNDING,
    ROW_MODELS,
    ROW_MISSING,
    ROW_SLOTS,
    ROW_WATCHED,
    ROW_SEAL,
    ROW_SEAL_HASH,
    ROW_COLUMNS,
};

static const struct output_column columns[ROW_COLUMNS] = {
    [ROW_ACCOUNT] = {"account", COLUMN_PLAIN},
    [ROW_PERIOD] = {"period", COLUMN_PLAIN},
    [ROW_BEGIN] = {"begin_ns", COLUMN_TIME},
    [ROW_END] = {"end_ns", COLUMN_TIME},
    [ROW_TIMEZONE] = {"timezone", COLUMN_PLAIN},
    [ROW_STATUS] = {"status", COLUMN_PLAIN},
    [ROW_TARIFF] = {"tariff", COLUMN_PLAIN},
    [ROW_KIND] = {"kind", COLUMN_PLAIN},
    [ROW_RULE] = {"rule", COLUMN_PLAIN},
    [ROW_LINE] = {"line", COLUMN_PLAIN},
    [ROW_BYTES] = {"billed_bytes", COLUMN_COUNT},
    [ROW_QUANTITY] = {"quantity", COLUMN_PLAIN},
    [ROW_UNIT] = {"unit", COLUMN_PLAIN},
    [ROW_PRICE] = {"price", COLUMN_PLAIN},
    [ROW_AMOUNT] = {"amount", COLUMN_PLAIN},
    [ROW_CURRENCY] = {"currency", COLUMN_PLAIN},
    [ROW_ROUNDING] = {"rounding", COLUMN_PLAIN},
    [ROW_MODELS] = {"models", COLUMN_PLAIN},
    [ROW_MISSING] = {"missing_bytes_max", COLUMN_COUNT},
    [ROW_SLOTS] = {"slots", COLUMN_PLAIN},
    [ROW_WATCHED] = {"slots_watched", COLUMN_PLAIN},
    [ROW_SEAL] = {"seal", COLUMN_PLAIN},
    [ROW_SEAL_HASH] = {"seal_hash", COLUMN_PLAIN},
};

/* A row's values, with the room that its texts need. */
struct row {
    struct value values[ROW_COLUMNS];
    char period[PERIOD_TEXT_SIZE];
    char price[DECIMAL_TEXT_SIZE];
    char amount[DECIMAL_TEXT_SIZE];
    char rounding[INVOICE_TEXT_SIZE];
    char models[INVOICE_TEXT_SIZE];
};

static struct value text_value(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static struct value integer_value(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .integer = integer};
}

static struct value known_value(int64_t integer)
{
    return integer < 0 ? (struct value){.kind = VALUE_NULL} : integer_value(integer);
}

/* What all rows of a part say. */
static void fill_part(const struct invoice *invoice, const struct invoice_part *part,
                      struct row *row)
{
    const struct config_tariff *tariff = part->bill.tariff;
    struct value *values = row->values;
    period_text(&part->bill.period, row->period);
    invoice_rounding_text(tariff, row->rounding);
    invoice_models_text(part, row->models);
    values[ROW_ACCOUNT] = text_value(invoice->account);
    values[ROW_PERIOD] = text_value(row->period);
    values[ROW_BEGIN] = integer_value(part->bill.begin_s * SECOND_NS);
    values[ROW_END] = integer_value(part->bill.end_s * SECOND_NS);
    values[ROW_TIMEZONE] = text_value(tariff->timezone);
    values[ROW_STATUS] = text_value(invoice_is_final(part) ? "final" : "interim");
    values[ROW_TARIFF] = text_value(tariff->name);
    values[ROW_KIND] = text_value(tariff->kind);
    values[ROW_RULE] = text_value(part->bill.rule);
    values[ROW_CURRENCY] = text_value(tariff->currency);
    values[ROW_ROUNDING] = text_value(row->rounding);
    values[ROW_MODELS] = text_value(row->models);
    values[ROW_MISSING] = known_value(part->bound.bytes);
    values[ROW_SLOTS] = integer_value(part->bill.n_slots);
    values[ROW_WATCHED] = integer_value(part->bill.n_present);
    bool has_seal = part->seals.n > 0;
    values[ROW_SEAL] = has_seal ? integer_value(part->seals.last) : known_value(-1);
    values[ROW_SEAL_HASH] = has_seal ? text_value(part->seals.hash) : known_value(-1);
}

static void fill_line(const struct config_tariff *tariff, const struct bill_line *line,
                      struct row *row)
{
    decimal_text(line->price, 0, row->price);
    invoice_money_text(tariff, line->amount, row->amount);
    row->values[ROW_LINE] = text_value(line->text);
    row->values[ROW_BYTES] = known_value(line->bytes);
    row->values[ROW_QUANTITY] = text_value(line->quantity);
    row->values[ROW_UNIT] = text_value(line->unit);
    row->values[ROW_PRICE] = text_value(row->price);
    row->values[ROW_AMOUNT] = text_value(row->amount);
}

static void fill_correction(const struct invoice_part *part, struct row *row)
{
    row->values[ROW_STATUS] = text_value("correction");
    row->values[ROW_LINE] = text_value("counted after the seal");
    row->values[ROW_BYTES] = integer_value(part->correction_bytes);
    row->values[ROW_QUANTITY] = row->values[ROW_UNIT] = row->values[ROW_PRICE] = known_value(-1);
    invoice_money_text(part->bill.tariff, part->correction, row->amount);
    row->values[ROW_AMOUNT] = text_value(row->amount);
}

typedef void (*on_row_fn)(void *state, const struct value *values);

static void each_row(const struct invoice *invoice, on_row_fn on_row, void *state)
{
    for (size_t i = 0; i < invoice->n_parts; i++) {
        const struct invoice_part *part = &invoice->parts[i];
        struct row row;
        fill_part(invoice, part, &row);
        for (size_t line = 0; line < part->bill.n_lines; line++) {
            fill_line(part->bill.tariff, &part->bill.lines[line], &row);
            on_row(state, row.values);
        }
        if (part->correction_bytes == 0 && part->correction == 0)
            continue;
        fill_correction(part, &row);
        on_row(state, row.values);
    }
}

/* ---- CSV ---- */

static void write_csv_row(void *state, const struct value *values)
{
    output_row(state, values);
}

void invoice_write_csv(const struct invoice *invoice, FILE *out)
{
    struct output *output;
    int result = output_create(out, OUTPUT_CSV, "invoice", columns, ROW_COLUMNS, &output);
    assert(result == 0);
    each_row(invoice, write_csv_row, output);
    output_destroy(output);
}

/* ---- JSON ---- */

static void put(json_t *object, const char *name, json_t *value)
{
    int result = json_object_set_new(object, name, value);
    assert(result == 0);
}

static json_t *text_json(const char *text)
{
    struct value value = text_value(text);
    char *valid = value_text(&value);
    json_t *json = json_string(valid);
    free(valid);
    return json;
}

static json_t *known_json(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static void append_json_row(void *state, const struct value *values)
{
    json_t *object = json_object();
    for (int i = 0; i < ROW_COLUMNS; i++) {
        const struct value *value = &values[i];
        json_t *json = value->kind == VALUE_NULL      ? json_null()
                       : value->kind == VALUE_INTEGER ? json_integer(value->integer)
                                                      : text_json(value->bytes);
        put(object, columns[i].name, json);
    }
    json_array_append_new(state, object);
}

static json_t *percentile_json(const struct bill *bill)
{
    json_t *object = json_object();
    put(object, "percentile", json_integer(bill->tariff->percentile));
    put(object, "samples", json_integer(bill->percentile.n_samples));
    put(object, "samples_present", json_integer(bill->n_present));
    put(object, "samples_missing", json_integer(bill->n_slots - bill->n_present));
    put(object, "missing", text_json(bill->tariff->missing));
    put(object, "discarded", json_integer(bill->percentile.n_discarded));
    put(object, "rank", json_integer(bill->percentile.rank));
    put(object, "samples_above_commit", known_json(bill->n_above_commit));
    put(object, "slot_bytes", json_integer(bill->percentile.value));
    put(object, "bits_per_second", json_integer(invoice_bits_per_second(bill->percentile.value)));
    return object;
}

static json_t *models_json(const struct usage *usage)
{
    json_t *array = json_array();
    for (size_t i = 0; i < usage->n_models; i++) {
        json_t *object = json_object();
        put(object, "wan", text_json(usage->models[i].wan));
        put(object, "model", text_json(usage->models[i].model));
        put(object, "estimated", json_boolean(invoice_is_estimated(usage->models[i].model)));
        put(object, "packets", json_integer(usage->models[i].packets));
        put(object, "l3_bytes", json_integer(usage->models[i].l3_bytes));
        put(object, "billed_bytes", json_integer(usage->models[i].billed_bytes));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *losses_json(const struct loss_bound *bound)
{
    json_t *array = json_array();
    for (size_t i = 0; i < bound->n_sums; i++) {
        const struct loss_sum *sum = &bound->sums[i];
        json_t *object = json_object();
        put(object, "stage", text_json(sum->stage));
        put(object, "reason", text_json(sum->reason));
        put(object, "certainty", text_json(sum->certainty));
        put(object, "lines", json_integer(sum->n_lines));
        put(object, "packets", known_json(sum->packets));
        put(object, "l2_bytes", known_json(sum->l2_bytes));
        put(object, "l3_bytes", known_json(sum->l3_bytes));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *part_json(const struct invoice_part *part)
{
    const struct bill *bill = &part->bill;
    char amount[DECIMAL_TEXT_SIZE], bound[INVOICE_TEXT_SIZE];
    json_t *object = json_object();
    invoice_money_text(bill->tariff, bill->subtotal + part->correction, amount);
    invoice_bound_text(part, bound);
    put(object, "tariff", text_json(bill->tariff->name));
    put(object, "amount", json_string(amount));
    put(object, "currency", text_json(bill->tariff->currency));
    put(object, "cycle_begin_ns", json_integer(bill->period.begin_s * SECOND_NS));
    put(object, "cycle_end_ns", json_integer(bill->period.end_s * SECOND_NS));
    put(object, "seconds", json_integer(bill->part));
    put(object, "cycle_seconds", json_integer(bill->whole));
    put(object, "up_bytes", json_integer(bill->up_bytes));
    put(object, "down_bytes", json_integer(bill->down_bytes));
    put(object, "none_bytes", json_integer(bill->none_bytes));
    put(object, "quota_bytes",
        bill->quota_bytes > 0 ? json_integer(bill->quota_bytes) : json_null());
    put(object, "percentile",
        config_tariff_is_percentile(bill->tariff) ? percentile_json(bill) : json_null());
    put(object, "bound", json_string(bound));
    put(object, "seals", json_integer(part->seals.n));
    put(object, "sealed_ns",
        part->seals.is_sealed ? json_integer(part->seals.sealed_ns) : json_null());
    put(object, "models", models_json(&part->usage));
    put(object, "losses", losses_json(&part->bound));
    return object;
}

static void append_total(void *state, const char *currency, int decimals, int64_t millionths)
{
    char amount[DECIMAL_TEXT_SIZE];
    decimal_text(millionths, decimals, amount);
    json_t *object = json_object();
    put(object, "currency", text_json(currency));
    put(object, "amount", json_string(amount));
    json_array_append_new(state, object);
}

void invoice_write_json(const struct invoice *invoice, FILE *out)
{
    json_t *document = json_object();
    json_t *rows = json_array(), *parts = json_array(), *totals = json_array();
    put(document, "schema", json_integer(OUTPUT_SCHEMA_VERSION));
    put(document, "command", json_string("invoice"));
    put(document, "run", json_integer(invoice->book->run_id));
    put(document, "version", text_json(invoice->book->version));
    put(document, "config_sha256", text_json(invoice->book->config_sha256));
    each_row(invoice, append_json_row, rows);
    for (size_t i = 0; i < invoice->n_parts; i++)
        json_array_append_new(parts, part_json(&invoice->parts[i]));
    invoice_totals(invoice, append_total, totals);
    put(document, "rows", rows);
    put(document, "tariffs", parts);
    put(document, "totals", totals);
    json_dumpf(document, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(document);
}
