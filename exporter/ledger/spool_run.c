#include "exporter/ledger/spool_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *spool_run_encode(const struct store *store, const struct config *config, size_t *size)
{
    char *bytes = NULL;
    char *text = config_text(config, false);
    FILE *out = text ? open_memstream(&bytes, size) : NULL;
    if (!out) {
        free(text);
        return NULL;
    }
    const struct account_names *accounts = store_account_names(store);
    fprintf(out, "run %" PRId64 "\n", store_run_started_ns(store));
    for (size_t i = 0; i < accounts->n; i++)
        fprintf(out, "account %s\n", accounts->texts[i]);
    fprintf(out, "config\n%s", text);
    free(text);
    if (fclose(out) == 0)
        return (uint8_t *)bytes;
    free(bytes);
    return NULL;
}

/* The rest of the line after 'word ', malloc'ed, with '*at' behind it; NULL: another word. */
static char *take(const char **at, const char *end, const char *word)
{
    size_t length = strlen(word);
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    if (!stop || (size_t)(stop - *at) < length || memcmp(*at, word, length) != 0)
        return NULL;
    char *rest = strndup(*at + length, (size_t)(stop - *at) - length);
    *at = stop + 1;
    return rest;
}

static int add_account(struct spool_run *run, char *name)
{
    char **accounts = reallocarray(run->accounts, run->n_accounts + 1, sizeof *accounts);
    if (!accounts) {
        free(name);
        return -ENOMEM;
    }
    run->accounts = accounts;
    accounts[run->n_accounts++] = name;
    return 0;
}

static int read_config(struct spool_run *run, const char *text, size_t size)
{
    struct config_errors errors = {0};
    config_read(&run->config, "spool", text, size, &errors);
    size_t n_errors = errors.n;
    config_errors_deinit(&errors);
    return n_errors ? -EBADMSG : 0;
}

int spool_run_decode(const uint8_t *bytes, size_t size, struct spool_run *run)
{
    const char *at = (const char *)bytes, *end = at + size;
    *run = (struct spool_run){0};
    config_init(&run->config);
    char *text = take(&at, end, "run ");
    if (!text)
        return -EBADMSG;
    run->started_ns = strtoll(text, NULL, 10);
    free(text);
    int result = 0;
    while (result == 0 && (text = take(&at, end, "account ")) != NULL)
        result = add_account(run, text);
    if (result < 0)
        return result;
    text = take(&at, end, "config");
    if (!text)
        return -EBADMSG;
    free(text);
    return read_config(run, at, (size_t)(end - at));
}

void spool_run_release(struct spool_run *run)
{
    for (size_t i = 0; i < run->n_accounts; i++)
        free(run->accounts[i]);
    free(run->accounts);
    config_deinit(&run->config);
    *run = (struct spool_run){0};
}

int spool_declare_damage(struct store *store, const struct spool *spool, int64_t time_ns)
{
    char evidence[LOSS_EVIDENCE_MAX + 1];
    snprintf(evidence, sizeof evidence, "%s: %" PRId64 " bytes of records could not be read again",
             spool_path(spool), spool_n_cut_bytes(spool));
    int result = store_begin(store);
    if (result == 0)
        result = store_declare_unknown(store, "spool_damaged", evidence, time_ns);
    if (result == 0)
        result = store_commit(store);
    if (result < 0)
        store_rollback(store);
    return result;
}
