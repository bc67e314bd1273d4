/* tariff_book: the tariffs that are in force for a period, as the database has kept them.
 *
 *     code = tariff_book_open(&database, "alice", 2026, 10, &book);   an error was said
 *     … book.config.tariffs …
 *     tariff_book_close(&book);
 *
 * Each run of the exporter keeps its configuration in the database. For a period that is sealed,
 * that of the run counts which sealed it: what is edited later never changes it. Before, that of
 * the newest run which metered anything in the period. The period is that of the account's first
 * tariff. */
#ifndef WANMETER_CLI_BILL_TARIFF_BOOK_H
#define WANMETER_CLI_BILL_TARIFF_BOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cmd.h"
#include "cli/database.h"
#include "common/config.h"
#include "common/period.h"

enum { TARIFF_HASH_SIZE = 65, TARIFF_VERSION_SIZE = 32 };

struct tariff_book {
    struct config config;
    int64_t run_id;                       /* whose configuration it is */
    char config_sha256[TARIFF_HASH_SIZE]; /* hexadecimal digits */
    char version[TARIFF_VERSION_SIZE];    /* of wanmeter in that run */
};

enum exit_code tariff_book_open(struct database *database, const char *account, int32_t year,
                                int32_t month, struct tariff_book *book);
void tariff_book_close(struct tariff_book *book); /* accepts a zeroed one */

/* The newest run's configuration, whatever it bills. */
enum exit_code tariff_book_open_newest(struct database *database, struct tariff_book *book);

/* The first tariff that is for the account, from 'from' on; n_tariffs: none. */
size_t tariff_find(const struct config *config, const char *account, size_t from);

/* ---- seals ---- */

/* The seals of a span of time that is whole seals. */
struct tariff_seals {
    bool is_sealed; /* all of it */
    int64_t begin;  /* number of its first seal */
    int64_t end;    /* and of the first that is not its own */
    int64_t n;      /* seals that there are */
    int64_t last;   /* the last of these; its hash covers all before it */
    char hash[TARIFF_HASH_SIZE];
    int64_t sealed_ns; /* wall time at which the span was whole */
    int64_t run_id;    /* that did it; 0: none */
};

bool tariff_seals_read(struct database *database, int64_t begin_s, int64_t end_s,
                       struct tariff_seals *seals);

#endif
