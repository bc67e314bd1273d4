/* An invoice as one page of HTML that needs nothing else, for screens and for paper. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bill/invoice.h"
#include "cli/output/output_format.h"

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\"/>\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
    "<title>Invoice</title>\n"
    "<style>\n"
    "@page { size: A4; margin: 18mm; }\n"
    "body { font: 11pt/1.45 \"DejaVu Sans\", Arial, sans-serif; color: #1a1a1a; background: #fff;\n"
    "  max-width: 52em; margin: 2em auto; padding: 0 1em; }\n"
    "h1 { font-size: 1.7em; margin: 0; }\n"
    "h2 { font-size: 1.15em; margin: 2em 0 .3em; border-bottom: 2px solid #1a1a1a; }\n"
    ".about { display: flex; justify-content: space-between; align-items: baseline;\n"
    "  margin-bottom: 1.2em; }\n"
    ".state { border: 1.5px solid; border-radius: .3em; padding: .1em .6em; font-weight: 600; }\n"
    ".final { color: #17623a; } .interim { color: #9a4a00; }\n"
    "dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1.2em; margin: .6em "
    "0;\n"
    "  font-size: .85em; }\n"
    "dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }\n"
    "table { border-collapse: collapse; width: 100%; margin: .6em 0; }\n"
    "th { text-align: left; font-size: .8em; color: #555; border-bottom: 1px solid #999; }\n"
    "th, td { padding: .35em .5em; vertical-align: top; }\n"
    "td { border-bottom: 1px solid #ddd; }\n"
    ".number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }\n"
    ".bound { display: block; font-size: .75em; color: #555; }\n"
    ".total td { font-size: 1.25em; font-weight: 700; border-bottom: 3px double #1a1a1a; }\n"
    "code { font-family: \"DejaVu Sans Mono\", monospace; font-size: .85em; }\n"
    "footer { margin-top: 2em; font-size: .75em; color: #555; overflow-wrap: anywhere; }\n"
    "@media print { body { margin: 0; max-width: none; padding: 0; }\n"
    "  section { break-inside: avoid; } }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n";

static void write_text(const char *text, FILE *out)
{
    struct value value = {.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
    char *valid = value_text(&value);
    for (const char *at = valid; *at != '\0'; at++) {
        switch (*at) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*at, out);
        }
    }
    free(valid);
}

static void write_detail(const char *name, const char *text, FILE *out)
{
    fprintf(out, "<dt>%s</dt><dd>", name);
    write_text(text, out);
    fputs("</dd>\n", out);
}

static void write_cell(const char *class_name, const char *text, FILE *out)
{
    fprintf(out, "<td%s%s%s>", *class_name ? " class=\"" : "", class_name, *class_name ? "\"" : "");
    write_text(text, out);
    fputs("</td>", out);
}

/* ---- lines ---- */

static void write_line(const struct invoice_part *part, const struct bill_line *line,
                       const char *bound, FILE *out)
{
    char price[DECIMAL_TEXT_SIZE], amount[DECIMAL_TEXT_SIZE], bytes[INVOICE_NUMBER_SIZE] = "";
    decimal_text(line->price, 2, price);
    invoice_money_text(part->bill.tariff, line->amount, amount);
    if (line->bytes >= 0)
        invoice_number_text(line->bytes, bytes);
    fputs("<tr><td>", out);
    write_text(line->text, out);
    fputs("<span class=\"bound\">", out);
    write_text(strcmp(line->unit, "period") == 0 ? "" : bound, out);
    fputs("</span></td>", out);
    write_cell("number", bytes, out);
    fputs("<td class=\"number\">", out);
    write_text(line->quantity, out);
    fputc(' ', out);
    write_text(line->unit, out);
    fputs("</td>", out);
    write_cell("number", price, out);
    write_cell("number", amount, out);
    fputs("</tr>\n", out);
}

static void write_correction(const struct invoice_part *part, FILE *out)
{
    char amount[DECIMAL_TEXT_SIZE], bytes[INVOICE_NUMBER_SIZE];
    if (part->correction_bytes == 0 && part->correction == 0)
        return;
    invoice_money_text(part->bill.tariff, part->correction, amount);
    invoice_number_text(part->correction_bytes, bytes);
    fputs("<tr>", out);
    write_cell("", "counted after the seal", out);
    write_cell("number", bytes, out);
    fputs("<td></td><td></td>", out);
    write_cell("number", amount, out);
    fputs("</tr>\n", out);
}

static void write_lines(const struct invoice_part *part, FILE *out)
{
    char bound[INVOICE_TEXT_SIZE];
    invoice_bound_text(part, bound);
    fputs("<table>\n<thead><tr><th>for</th><th class=\"number\">billed bytes</th>"
          "<th class=\"number\">quantity</th><th class=\"number\">price</th>"
          "<th class=\"number\">",
          out);
    write_text(part->bill.tariff->currency, out);
    fputs("</th></tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < part->bill.n_lines; i++)
        write_line(part, &part->bill.lines[i], bound, out);
    write_correction(part, out);
    fputs("</tbody>\n</table>\n", out);
}

/* ---- details ---- */

static void write_percentile(const struct bill *bill, FILE *out)
{
    char text[INVOICE_TEXT_SIZE], rate[INVOICE_NUMBER_SIZE];
    const struct percentile *percentile = &bill->percentile;
    invoice_number_text(invoice_bits_per_second(percentile->value), rate);
    snprintf(text, sizeof text,
             "%d: of N = %" PRId64 " samples the largest %" PRId64 " are discarded, and the next "
             "(rank %" PRId64 ") is billed: %s bit/s",
             bill->tariff->percentile, percentile->n_samples, percentile->n_discarded,
             percentile->rank, rate);
    write_detail("percentile", text, out);
    snprintf(text, sizeof text, "%" PRId64 " present, %" PRId64 " missing; missing: %s",
             bill->n_present, bill->n_slots - bill->n_present, bill->tariff->missing);
    write_detail("samples", text, out);
    if (bill->n_above_commit < 0)
        return;
    snprintf(text, sizeof text, "%" PRId64 " samples; up to %" PRId64 " cost nothing more",
             bill->n_above_commit, percentile->n_discarded);
    write_detail("above the commit", text, out);
}

static void write_span(const struct invoice_part *part, FILE *out)
{
    char begin[INVOICE_TIME_SIZE], end[INVOICE_TIME_SIZE], text[INVOICE_TEXT_SIZE];
    const struct bill *bill = &part->bill;
    invoice_time_text(bill->tariff->timezone, bill->begin_s, begin);
    invoice_time_text(bill->tariff->timezone, bill->end_s, end);
    snprintf(text, sizeof text, "%s to %s, %s", begin, end, bill->tariff->timezone);
    write_detail("period", text, out);
    if (bill->part == bill->whole)
        return;
    snprintf(text, sizeof text, "%" PRId64 " of %" PRId64 " seconds of the period", bill->part,
             bill->whole);
    write_detail("in force", text, out);
}

static void write_bytes(const struct bill *bill, FILE *out)
{
    char up[INVOICE_NUMBER_SIZE], down[INVOICE_NUMBER_SIZE], none[INVOICE_NUMBER_SIZE];
    char text[INVOICE_TEXT_SIZE];
    invoice_number_text(bill->up_bytes, up);
    invoice_number_text(bill->down_bytes, down);
    invoice_number_text(bill->none_bytes, none);
    snprintf(text, sizeof text, "up %s, down %s, no direction %s; rule: %s", up, down, none,
             bill->rule);
    write_detail("billed bytes", text, out);
    if (bill->quota_bytes <= 0)
        return;
    invoice_number_text(bill->billed_bytes, up);
    invoice_number_text(bill->quota_bytes, down);
    snprintf(text, sizeof text, "%s of %s bytes", up, down);
    write_detail("quota used", text, out);
}

static void write_losses(const struct loss_bound *bound, FILE *out)
{
    if (bound->n_sums == 0)
        write_detail("losses", "none", out);
    for (size_t i = 0; i < bound->n_sums; i++) {
        const struct loss_sum *sum = &bound->sums[i];
        char packets[INVOICE_NUMBER_SIZE], text[INVOICE_TEXT_SIZE];
        invoice_number_text(sum->packets, packets);
        snprintf(text, sizeof text, "%s: %s, %s packets, %s", sum->stage, sum->reason,
                 sum->packets < 0 ? "unknown" : packets, sum->certainty);
        write_detail("loss", text, out);
    }
}

static void write_seals(const struct tariff_seals *seals, FILE *out)
{
    char text[INVOICE_TEXT_SIZE];
    snprintf(text, sizeof text, "%" PRId64 " to %" PRId64 ", last hash %s", seals->begin,
             seals->last, seals->hash);
    write_detail("seals", seals->n > 0 ? text : "none", out);
}

static void write_part(const struct invoice_part *part, FILE *out)
{
    char models[INVOICE_TEXT_SIZE], rounding[INVOICE_TEXT_SIZE];
    invoice_models_text(part, models);
    invoice_rounding_text(part->bill.tariff, rounding);
    fputs("<section>\n<h2>", out);
    write_text(part->bill.tariff->name, out);
    fprintf(out, " <span class=\"state %s\">%s</span></h2>\n",
            invoice_is_final(part) ? "final" : "interim",
            invoice_is_final(part) ? "final" : "interim: not sealed");
    write_lines(part, out);
    fputs("<dl>\n", out);
    write_span(part, out);
    if (config_tariff_is_percentile(part->bill.tariff))
        write_percentile(&part->bill, out);
    write_bytes(&part->bill, out);
    write_detail("models", *models ? models : "nothing was used", out);
    write_losses(&part->bound, out);
    write_detail("rounding", rounding, out);
    write_seals(&part->seals, out);
    fputs("</dl>\n</section>\n", out);
}

static void write_total(void *state, const char *currency, int decimals, int64_t millionths)
{
    char amount[DECIMAL_TEXT_SIZE];
    decimal_text(millionths, decimals, amount);
    fputs("<tr class=\"total\"><td>Total</td><td class=\"number\">", state);
    write_text(amount, state);
    fputc(' ', state);
    write_text(currency, state);
    fputs("</td></tr>\n", state);
}

void invoice_write_html(const struct invoice *invoice, FILE *out)
{
    fputs(head, out);
    fputs("<div class=\"about\"><h1>Invoice</h1><div>account <strong>", out);
    write_text(invoice->account, out);
    fprintf(out, "</strong>, period <strong>%04d-%02d</strong></div></div>\n", invoice->year,
            invoice->month);
    fputs("<table>\n<tbody>\n", out);
    invoice_totals(invoice, write_total, out);
    fputs("</tbody>\n</table>\n", out);
    for (size_t i = 0; i < invoice->n_parts; i++)
        write_part(&invoice->parts[i], out);
    fputs("<footer>Metered by wanmeter ", out);
    write_text(invoice->book->version, out);
    fprintf(out, ", run %" PRId64 ", configuration <code>%s</code></footer>\n",
            invoice->book->run_id, invoice->book->config_sha256);
    fputs("</body>\n</html>\n", out);
}
