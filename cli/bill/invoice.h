/* invoice: what an account pays for a period, with everything that a reader needs to check it.
 *
 *     code = invoice_open(&database, &book, "alice", 2026, 10, &invoice);
 *     invoice_write_html(&invoice, stdout);
 *     invoice_close(&invoice);
 *
 * A period that is sealed is billed from the rows of its own seals: the same invoice, whenever it
 * is asked for. What was counted later (corrections) is a line of its own: the difference that it
 * makes. A period that is not sealed gives an interim invoice. */
#ifndef WANMETER_CLI_BILL_INVOICE_H
#define WANMETER_CLI_BILL_INVOICE_H

#include <stdio.h>

#include "cli/bill/bill.h"
#include "cli/bill/loss_bound.h"
#include "cli/bill/tariff_book.h"
#include "cli/output.h"

/* A tariff's part of it. */
struct invoice_part {
    struct bill bill;
    struct usage usage;
    struct tariff_seals seals;
    struct loss_bound bound;
    int64_t correction_bytes; /* billed bytes that were counted after the seal */
    int64_t correction;       /* millionths: what they change */
};

struct invoice {
    const struct tariff_book *book; /* kept, not copied */
    const char *account;            /* kept, not copied */
    int32_t year;
    int32_t month;
    struct invoice_part *parts;
    size_t n_parts;
};

/* Of another overhead model than was billed by; a zeroed one: as billed. */
struct invoice_model {
    const struct model_bounds *bounds;
    const char *wan; /* NULL: all */
    bool is_high;
};

/* EXIT_CODE_OK, or the error was said. */
enum exit_code invoice_open(struct database *database, const struct tariff_book *book,
                            const char *account, int32_t year, int32_t month,
                            const struct invoice_model *model, struct invoice *invoice);
void invoice_close(struct invoice *invoice); /* accepts a zeroed one */

/* ---- as documents ---- */

void invoice_write_table(const struct invoice *invoice, FILE *out);
void invoice_write_html(const struct invoice *invoice, FILE *out);
void invoice_write_json(const struct invoice *invoice, FILE *out);
void invoice_write_csv(const struct invoice *invoice, FILE *out);

/* ---- for the documents ---- */

enum { INVOICE_TEXT_SIZE = 512 };

static inline bool invoice_is_final(const struct invoice_part *part)
{
    return part->seals.is_sealed;
}

/* "at most 3,028 bytes missing (2 packets)", and what else a line's bound is. */
void invoice_bound_text(const struct invoice_part *part, char text[INVOICE_TEXT_SIZE]);

/* Does the model's name say that it estimates? */
bool invoice_is_estimated(const char *model);

/* "adsl: pppoe-llcsnap, lte: ip" */
void invoice_models_text(const struct invoice_part *part, char text[INVOICE_TEXT_SIZE]);

/* "half-even to 2 decimals" */
void invoice_rounding_text(const struct config_tariff *tariff, char text[INVOICE_TEXT_SIZE]);

/* "1,234,567" */
enum { INVOICE_NUMBER_SIZE = 40 };
void invoice_number_text(int64_t number, char text[INVOICE_NUMBER_SIZE]);

/* "2026-10-01 00:00 CEST" */
enum { INVOICE_TIME_SIZE = 64 };
void invoice_time_text(const char *zone, int64_t time_s, char text[INVOICE_TIME_SIZE]);

/* An amount with as many decimals as the tariff rounds to. */
void invoice_money_text(const struct config_tariff *tariff, int64_t millionths,
                        char text[DECIMAL_TEXT_SIZE]);

/* The rate of a percentile, in whole bits a second, rounded down. */
int64_t invoice_bits_per_second(int64_t slot_bytes);

/* Sums of one currency: calls 'on_total' for each. */
typedef void (*invoice_total_fn)(void *state, const char *currency, int decimals,
                                 int64_t millionths);
void invoice_totals(const struct invoice *invoice, invoice_total_fn on_total, void *state);

#endif
