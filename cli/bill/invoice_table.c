/* An invoice for people at a terminal. */
#include <inttypes.h>

#include "cli/bill/invoice.h"

static void write_total(void *state, const char *currency, int decimals, int64_t millionths)
{
    char amount[DECIMAL_TEXT_SIZE];
    decimal_text(millionths, decimals, amount);
    fprintf(state, "Total  %s %s\n", amount, currency);
}

static void write_span(const struct invoice_part *part, FILE *out)
{
    char begin[INVOICE_TIME_SIZE], end[INVOICE_TIME_SIZE];
    const struct bill *bill = &part->bill;
    invoice_time_text(bill->tariff->timezone, bill->begin_s, begin);
    invoice_time_text(bill->tariff->timezone, bill->end_s, end);
    fprintf(out, "  %s to %s (%s)", begin, end, bill->tariff->timezone);
    if (bill->part != bill->whole)
        fprintf(out, ", %" PRId64 " of %" PRId64 " seconds of the period", bill->part, bill->whole);
    fputc('\n', out);
}

static void write_lines(const struct invoice_part *part, FILE *out)
{
    const struct bill *bill = &part->bill;
    for (size_t i = 0; i < bill->n_lines; i++) {
        const struct bill_line *line = &bill->lines[i];
        char price[DECIMAL_TEXT_SIZE], amount[DECIMAL_TEXT_SIZE];
        decimal_text(line->price, 2, price);
        invoice_money_text(bill->tariff, line->amount, amount);
        fprintf(out, "  %-34s %16s %-7s x %10s = %12s %s\n", line->text, line->quantity, line->unit,
                price, amount, bill->tariff->currency);
    }
    if (part->correction_bytes != 0 || part->correction != 0) {
        char bytes[INVOICE_NUMBER_SIZE], amount[DECIMAL_TEXT_SIZE];
        invoice_number_text(part->correction_bytes, bytes);
        invoice_money_text(bill->tariff, part->correction, amount);
        fprintf(out, "  %-34s %16s %-7s   %10s = %12s %s\n", "counted after the seal", bytes,
                "bytes", "", amount, bill->tariff->currency);
    }
}

static void write_percentile(const struct bill *bill, FILE *out)
{
    char rate[INVOICE_NUMBER_SIZE];
    const struct percentile *percentile = &bill->percentile;
    invoice_number_text(invoice_bits_per_second(percentile->value), rate);
    fprintf(out,
            "  percentile %d, rule %s: of %" PRId64 " samples the largest %" PRId64
            " discarded, rank %" PRId64 " billed: %s bit/s\n"
            "  samples present %" PRId64 ", missing %" PRId64 " (missing: %s)\n",
            bill->tariff->percentile, bill->rule, percentile->n_samples, percentile->n_discarded,
            percentile->rank, rate, bill->n_present, bill->n_slots - bill->n_present,
            bill->tariff->missing);
    if (bill->n_above_commit >= 0)
        fprintf(out,
                "  samples above the commit: %" PRId64 "; up to %" PRId64 " cost nothing more\n",
                bill->n_above_commit, percentile->n_discarded);
}

static void write_bytes(const struct bill *bill, FILE *out)
{
    char up[INVOICE_NUMBER_SIZE], down[INVOICE_NUMBER_SIZE], none[INVOICE_NUMBER_SIZE];
    invoice_number_text(bill->up_bytes, up);
    invoice_number_text(bill->down_bytes, down);
    invoice_number_text(bill->none_bytes, none);
    fprintf(out, "  billed bytes: up %s, down %s, no direction %s; rule %s", up, down, none,
            bill->rule);
    if (bill->quota_bytes > 0)
        fprintf(out, "; quota %" PRId64 " bytes, used %" PRId64 " %%", bill->quota_bytes,
                bill->billed_bytes / (bill->quota_bytes / 100 + (bill->quota_bytes < 100)));
    fputc('\n', out);
}

static void write_losses(const struct loss_bound *bound, FILE *out)
{
    for (size_t i = 0; i < bound->n_sums; i++) {
        const struct loss_sum *sum = &bound->sums[i];
        char packets[INVOICE_NUMBER_SIZE];
        invoice_number_text(sum->packets, packets);
        fprintf(out, "  loss: %s %s, %s packets, %s\n", sum->stage, sum->reason,
                sum->packets < 0 ? "unknown" : packets, sum->certainty);
    }
}

static void write_seals(const struct tariff_seals *seals, FILE *out)
{
    if (seals->n > 0)
        fprintf(out, "  seals: %" PRId64 ", the last %" PRId64 " %s\n", seals->n, seals->last,
                seals->hash);
    if (!seals->is_sealed)
        fputs("  not sealed: this is an interim invoice\n", out);
}

static void write_part(const struct invoice_part *part, FILE *out)
{
    char bound[INVOICE_TEXT_SIZE], models[INVOICE_TEXT_SIZE], rounding[INVOICE_TEXT_SIZE];
    const struct bill *bill = &part->bill;
    invoice_bound_text(part, bound);
    invoice_models_text(part, models);
    invoice_rounding_text(bill->tariff, rounding);
    fprintf(out, "Tariff %s\n", bill->tariff->name);
    write_span(part, out);
    write_lines(part, out);
    if (config_tariff_is_percentile(bill->tariff))
        write_percentile(bill, out);
    write_bytes(bill, out);
    fprintf(out, "  of each line: %s\n", bound);
    write_losses(&part->bound, out);
    fprintf(out, "  models: %s\n  rounding: %s, once a line\n", models[0] ? models : "none used",
            rounding);
    write_seals(&part->seals, out);
    fputc('\n', out);
}

void invoice_write_table(const struct invoice *invoice, FILE *out)
{
    fprintf(out, "Invoice  account %s, period %04d-%02d\n\n", invoice->account, invoice->year,
            invoice->month);
    for (size_t i = 0; i < invoice->n_parts; i++)
        write_part(&invoice->parts[i], out);
    invoice_totals(invoice, write_total, out);
    fprintf(out, "\nwanmeter %s, run %" PRId64 ", configuration %s\n", invoice->book->version,
            invoice->book->run_id, invoice->book->config_sha256);
}
