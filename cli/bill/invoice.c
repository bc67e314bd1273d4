#include "cli/bill/invoice.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/overhead.h"
#include "common/zone.h"

/* ---- making ---- */

/* What is billed of the rows in seals before 'seal_before'. */
static bool read_bill(struct database *database, const struct usage_request *request,
                      const struct config_tariff *tariff, const struct period *period,
                      struct usage *usage, struct bill *bill)
{
    if (!usage_read(database, request, usage))
        return false;
    if (bill_make(tariff, period, usage, bill))
        return true;
    log_error("tariff '%s': an amount beyond 64 bits of millionths", tariff->name);
    return false;
}

/* What the rows that came after the seal change: the same bill once more, with them. */
static bool read_correction(struct database *database, struct usage_request request,
                            struct invoice_part *part)
{
    struct usage usage;
    struct bill *all = calloc(1, sizeof *all);
    assert(all != NULL);
    request.seal_before = INT64_MAX;
    bool is_read =
        read_bill(database, &request, part->bill.tariff, &part->bill.period, &usage, all);
    part->correction_bytes = all->billed_bytes - part->bill.billed_bytes;
    part->correction = all->subtotal - part->bill.subtotal;
    usage_deinit(&usage);
    free(all);
    return is_read;
}

/* Of the WANs that it is for; of one that does not say, what is usual. */
static uint32_t longest_packet(const struct config *config, const struct config_tariff *tariff)
{
    uint32_t longest = 0;
    for (size_t i = 0; i < config->n_wans; i++) {
        uint32_t mtu =
            config->wans[i].mtu > 0 ? (uint32_t)config->wans[i].mtu : LOSS_BOUND_PACKET_BYTES_USUAL;
        if (config_tariff_covers(&tariff->wans, config->wans[i].name) && mtu > longest)
            longest = mtu;
    }
    return longest > 0 ? longest : LOSS_BOUND_PACKET_BYTES_USUAL;
}

static bool read_bound(struct database *database, const struct invoice *invoice,
                       struct invoice_part *part)
{
    const struct loss_bound_request request = {
        .begin_s = part->bill.begin_s,
        .end_s = part->bill.end_s,
        .models = part->usage.models,
        .n_models = part->usage.n_models,
        .packet_bytes = longest_packet(&invoice->book->config, part->bill.tariff)};
    return loss_bound_read(database, &request, &part->bound);
}

static bool make_part(struct database *database, const struct config_tariff *tariff,
                      const struct invoice *invoice, const struct invoice_model *model,
                      struct invoice_part *part)
{
    struct period period;
    struct usage_request request = {.account = invoice->account,
                                    .wans = &tariff->wans,
                                    .model = model->bounds,
                                    .model_wan = model->wan,
                                    .is_high = model->is_high};
    period_of(tariff->timezone, tariff->cycle_day, invoice->year, invoice->month, &period);
    bill_span(tariff, &period, &request.begin_s, &request.end_s);
    if (!tariff_seals_read(database, period.begin_s, period.end_s, &part->seals))
        return false;
    request.seal_before = part->seals.is_sealed ? part->seals.end : INT64_MAX;
    return read_bill(database, &request, tariff, &period, &part->usage, &part->bill) &&
           (!part->seals.is_sealed || read_correction(database, request, part)) &&
           read_bound(database, invoice, part);
}

static bool is_in_force(const struct config_tariff *tariff, int32_t year, int32_t month)
{
    struct period period;
    int64_t begin_s, end_s;
    period_of(tariff->timezone, tariff->cycle_day, year, month, &period);
    bill_span(tariff, &period, &begin_s, &end_s);
    return begin_s < end_s;
}

enum exit_code invoice_open(struct database *database, const struct tariff_book *book,
                            const char *account, int32_t year, int32_t month,
                            const struct invoice_model *model, struct invoice *invoice)
{
    const struct config *config = &book->config;
    *invoice = (struct invoice){.book = book, .account = account, .year = year, .month = month};
    invoice->parts = calloc(config->n_tariffs + 1, sizeof *invoice->parts);
    assert(invoice->parts != NULL);
    for (size_t i = tariff_find(config, account, 0); i < config->n_tariffs;
         i = tariff_find(config, account, i + 1)) {
        struct invoice_part *part = &invoice->parts[invoice->n_parts];
        if (!is_in_force(&config->tariffs[i], year, month))
            continue;
        invoice->n_parts++;
        if (!make_part(database, &config->tariffs[i], invoice, model, part))
            return EXIT_CODE_RUNTIME;
    }
    if (invoice->n_parts > 0)
        return EXIT_CODE_OK;
    log_error("no tariff is in force for account '%s' in %04d-%02d", account, year, month);
    return EXIT_CODE_USAGE;
}

void invoice_close(struct invoice *invoice)
{
    for (size_t i = 0; i < invoice->n_parts; i++) {
        usage_deinit(&invoice->parts[i].usage);
        loss_bound_deinit(&invoice->parts[i].bound);
    }
    free(invoice->parts);
    *invoice = (struct invoice){0};
}

/* ---- texts ---- */

void invoice_number_text(int64_t number, char text[INVOICE_NUMBER_SIZE])
{
    char digits[INVOICE_NUMBER_SIZE / 2 + 4];
    int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    size_t written = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && digits[i - 1] != '-' && (length - i) % 3 == 0)
            text[written++] = ',';
        text[written++] = digits[i];
    }
    text[written] = '\0';
}

void invoice_bound_text(const struct invoice_part *part, char text[INVOICE_TEXT_SIZE])
{
    const struct loss_bound *bound = &part->bound;
    char bytes[INVOICE_NUMBER_SIZE], packets[INVOICE_NUMBER_SIZE];
    size_t length = 0;
    invoice_number_text(bound->bytes, bytes);
    invoice_number_text(bound->packets, packets);
    if (bound->bytes < 0)
        length =
            (size_t)snprintf(text, INVOICE_TEXT_SIZE, "an unknown number of bytes may be missing");
    else
        length = (size_t)snprintf(text, INVOICE_TEXT_SIZE,
                                  "at most %s bytes missing (%s packets lost", bytes, packets);
    if (bound->bytes >= 0 && bound->packet_bytes > 0)
        length += (size_t)snprintf(text + length, INVOICE_TEXT_SIZE - length,
                                   ", taken to be of up to %" PRIu32 " bytes", bound->packet_bytes);
    if (bound->bytes >= 0)
        length += (size_t)snprintf(text + length, INVOICE_TEXT_SIZE - length, ")");
    if (part->bill.n_present < part->bill.n_slots)
        snprintf(text + length, INVOICE_TEXT_SIZE - length,
                 "; nothing was watched in %" PRId64 " of %" PRId64 " slots",
                 part->bill.n_slots - part->bill.n_present, part->bill.n_slots);
}

bool invoice_is_estimated(const char *model)
{
    struct overhead steps;
    return overhead_make(model, &steps) && overhead_is_estimated(&steps);
}

void invoice_models_text(const struct invoice_part *part, char text[INVOICE_TEXT_SIZE])
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < part->usage.n_models && length < INVOICE_TEXT_SIZE; i++)
        length += (size_t)snprintf(
            text + length, INVOICE_TEXT_SIZE - length, "%s%s: %s%s", i > 0 ? ", " : "",
            part->usage.models[i].wan, part->usage.models[i].model,
            invoice_is_estimated(part->usage.models[i].model) ? " (estimated)" : "");
}

void invoice_rounding_text(const struct config_tariff *tariff, char text[INVOICE_TEXT_SIZE])
{
    snprintf(text, INVOICE_TEXT_SIZE, "%s to %d decimals", tariff->rounding, tariff->decimals);
}

void invoice_time_text(const char *zone, int64_t time_s, char text[INVOICE_TIME_SIZE])
{
    struct tm local;
    zone_local(zone, time_s, &local);
    if (strftime(text, INVOICE_TIME_SIZE, "%Y-%m-%d %H:%M %Z", &local) == 0)
        text[0] = '\0';
}

void invoice_money_text(const struct config_tariff *tariff, int64_t millionths,
                        char text[DECIMAL_TEXT_SIZE])
{
    decimal_text(millionths, tariff->decimals, text);
}

int64_t invoice_bits_per_second(int64_t slot_bytes)
{
    enum { BITS = 8 };
    return slot_bytes / PERIOD_SLOT_S * BITS + slot_bytes % PERIOD_SLOT_S * BITS / PERIOD_SLOT_S;
}

void invoice_totals(const struct invoice *invoice, invoice_total_fn on_total, void *state)
{
    for (size_t i = 0; i < invoice->n_parts; i++) {
        const char *currency = invoice->parts[i].bill.tariff->currency;
        int64_t total = 0;
        int decimals = 0;
        bool is_first = true;
        for (size_t j = 0; j < invoice->n_parts; j++) {
            const struct invoice_part *part = &invoice->parts[j];
            if (strcmp(part->bill.tariff->currency, currency) != 0)
                continue;
            is_first = is_first && j >= i;
            total += part->bill.subtotal + part->correction;
            decimals =
                part->bill.tariff->decimals > decimals ? part->bill.tariff->decimals : decimals;
        }
        if (is_first)
            on_total(state, currency, decimals, total);
    }
}
