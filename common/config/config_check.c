/* What no single option shows: names that are taken, keys that two accounts share, WANs that no
 * packet can have, sizes that do not fit each other. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/config/config_check_tariff.h"
#include "common/config/config_errors.h"
#include "common/config/config_helpers.h"
#include "common/config/config_object.h"
#include "common/config/config_rules.h"
#include "common/config/config_timeout.h"
#include "common/overhead.h"

/* Something that only one owner may have: a name, an address block, a MAC, … */
struct claim {
    const char *kind;
    char text[CONFIG_NAME_MAX + 1]; /* canonical: equal things have equal texts */
    size_t owner;                   /* index; earlier ones come first */
    const char *owner_name;         /* borrowed */
    struct config_place place;
};

static_assert(CONFIG_NAME_MAX + 1 >= CONFIG_PREFIX_TEXT_SIZE, "a claim holds a prefix");

struct claims {
    const char *owner_kind; /* "wan", "account" */
    struct claim *items;
    size_t n;
};

static void complain(const struct config *config, struct config_errors *errors,
                     struct config_place place, struct config_report report)
{
    char text[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(config->path, place, text);
    report.place = text;
    config_errors_add(errors, &report);
}

/* ---- what only one may have ---- */

static struct claim *add_claim(struct claims *claims, const char *kind, size_t owner,
                               const char *owner_name, struct config_place place)
{
    struct claim *claim = &claims->items[claims->n++];
    *claim = (struct claim){
        .kind = kind, .owner = owner, .owner_name = owner_name ? owner_name : "", .place = place};
    return claim;
}

static void claim_name(struct claims *claims, size_t owner, const char *name,
                       struct config_place place)
{
    if (name)
        snprintf(add_claim(claims, "name", owner, name, place)->text, CONFIG_NAME_MAX + 1, "%s",
                 name);
}

static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    int order = strcmp(a->kind, b->kind);
    if (order == 0)
        order = strcmp(a->text, b->text);
    if (order == 0)
        order = (a->owner > b->owner) - (a->owner < b->owner);
    return order;
}

static void complain_shared(const struct config *config, const struct claims *claims,
                            const struct claim *first, const struct claim *second,
                            struct config_errors *errors)
{
    char subject[CONFIG_NAME_MAX + 32], what[2 * CONFIG_NAME_MAX + 64], place[32] = "";
    if (first->place.line > 0)
        snprintf(place, sizeof place, " at %u:%u", first->place.line, first->place.column);
    snprintf(subject, sizeof subject, "%s '%.63s'", claims->owner_kind, second->owner_name);
    snprintf(what, sizeof what, "the same %s as %s '%.63s'%s", second->kind, claims->owner_kind,
             first->owner_name, place);
    complain(config, errors, second->place,
             (struct config_report){.subject = subject, .what = what, .got = second->text});
}

static void check_claims(const struct config *config, const struct claims *claims,
                         struct config_errors *errors)
{
    qsort(claims->items, claims->n, sizeof *claims->items, compare_claims);
    for (size_t i = 1; i < claims->n; i++) {
        const struct claim *first = &claims->items[i - 1], *second = &claims->items[i];
        if (strcmp(first->kind, second->kind) == 0 && strcmp(first->text, second->text) == 0 &&
            first->owner != second->owner)
            complain_shared(config, claims, first, second, errors);
    }
}

static void claim_numbers(struct claims *claims, const char *kind, const int32_t *numbers, size_t n,
                          size_t owner, const struct config_account *account)
{
    for (size_t i = 0; i < n; i++) {
        struct claim *claim = add_claim(claims, kind, owner, account->name, account->place);
        snprintf(claim->text, sizeof claim->text, "%d", numbers[i]);
    }
}

static void claim_all_of_account(struct claims *claims, size_t owner,
                                 const struct config_account *account)
{
    claim_name(claims, owner, account->name, account->place);
    for (size_t i = 0; i < account->n_prefixes; i++) {
        const struct config_prefix *prefix = &account->prefixes[i];
        struct claim *claim = add_claim(claims, "prefix", owner, account->name, prefix->place);
        config_prefix_text(prefix, claim->text);
    }
    for (size_t i = 0; i < account->n_macs; i++) {
        struct claim *claim = add_claim(claims, "MAC", owner, account->name, account->place);
        config_mac_text(&account->macs[i], claim->text);
    }
    claim_numbers(claims, "VLAN", account->vlans, account->n_vlans, owner, account);
    claim_numbers(claims, "PPPoE session", account->pppoe_sessions, account->n_pppoe_sessions,
                  owner, account);
}

static void check_accounts(const struct config *config, struct config_errors *errors)
{
    size_t n = 0;
    for (size_t i = 0; i < config->n_accounts; i++) {
        const struct config_account *account = &config->accounts[i];
        n += 1 + account->n_prefixes + account->n_macs + account->n_vlans +
             account->n_pppoe_sessions;
    }
    struct claims claims = {"account", config_allocate(n, sizeof(struct claim)), 0};
    for (size_t i = 0; i < config->n_accounts; i++)
        claim_all_of_account(&claims, i, &config->accounts[i]);
    assert(claims.n <= n);
    check_claims(config, &claims, errors);
    free(claims.items);
}

/* ---- sources and WANs ---- */

static void check_sources(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->n_sources; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_source *source = &config->sources[i];
            const struct config_source *other = &config->sources[j];
            if (!source->interface || !other->interface ||
                strcmp(source->interface, other->interface) != 0)
                continue;
            complain(config, errors, source->place,
                     (struct config_report){.subject = "sources",
                                            .what = "an interface that another source has",
                                            .got = source->interface});
            break;
        }
}

/* What a flow's packets cost is carried in 64ths of a byte (tracker/link.h). */
static void check_overhead(const struct config *config, const struct config_wan *wan,
                           const char *text, const char *subject, struct config_errors *errors)
{
    struct overhead model;
    char why[OVERHEAD_WHY_SIZE];
    bool is_known = overhead_make_or_tell(text, &model, why);
    if (is_known && 64 % overhead_parts(&model) == 0)
        return;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, text);
    for (size_t i = 0; i < overhead_presets_n && !is_known; i++)
        config_suggestion_offer(&suggestion, overhead_presets[i].name,
                                strlen(overhead_presets[i].name));
    complain(config, errors, wan->place,
             (struct config_report){
                 .subject = subject,
                 .what = is_known ? "an overhead model that costs other parts of a byte than 64ths"
                         : why[0] ? why
                                  : "unknown overhead model",
                 .got = text,
                 .expected = is_known ? "a ratio to 64, or to what divides it"
                                      : "one of 'wanmeter overhead list'",
                 .suggestion = suggestion.word});
}

/* What is learned from discovery is known to the worker that saw it. */
static void check_concentrators(const struct config *config, const struct config_wan *wan,
                                const char *subject, struct config_errors *errors)
{
    bool has_several = config->capture.workers > 1 || config->n_sources > 1;
    for (size_t i = 0; i < config->n_sources; i++)
        has_several |= config->sources[i].workers > 1;
    for (size_t i = 0; i < wan->n_matches && has_several; i++)
        if (wan->matches[i].n_pppoe_concentrators)
            complain(config, errors, wan->place,
                     (struct config_report){.subject = subject,
                                            .what = "pppoe_concentrators with several workers",
                                            .expected = "one worker, or gateway_macs"});
}

static void check_wan(const struct config *config, const struct config_wan *wan,
                      struct config_errors *errors)
{
    char subject[CONFIG_NAME_MAX + 32];
    snprintf(subject, sizeof subject, "wan '%.63s'", wan->name ? wan->name : "");
    const char *const models[] = {wan->overhead, wan->overhead_up, wan->overhead_down};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (models[i] && models[i][0] != '\0')
            check_overhead(config, wan, models[i], subject, errors);
    check_concentrators(config, wan, subject, errors);
    if (wan->n_matches == 0)
        complain(config, errors, wan->place,
                 (struct config_report){.subject = subject,
                                        .what = "without 'match' no packet is its own",
                                        .expected = "a map, {} for every packet"});
}

static void check_wans(const struct config *config, struct config_errors *errors)
{
    struct claims claims = {"wan", config_allocate(config->n_wans, sizeof(struct claim)), 0};
    for (size_t i = 0; i < config->n_wans; i++) {
        claim_name(&claims, i, config->wans[i].name, config->wans[i].place);
        check_wan(config, &config->wans[i], errors);
    }
    check_claims(config, &claims, errors);
    free(claims.items);
}

/* A worker that holds two batches can fill one while the other is on its way. */
static void check_window(const struct config *config, struct config_errors *errors)
{
    if (config->capture.batch_bytes <= config->capture.window_bytes / 2)
        return;
    char got[CONFIG_NUMBER_TEXT_SIZE], expected[CONFIG_NUMBER_TEXT_SIZE + 32];
    config_number_text(CONFIG_SIZE, config->capture.window_bytes, got);
    size_t length = (size_t)snprintf(expected, sizeof expected, "at least ");
    config_number_text(CONFIG_SIZE, 2 * config->capture.batch_bytes, expected + length);
    complain(config, errors, (struct config_place){0},
             (struct config_report){.subject = "capture.window",
                                    .what = "less than two of capture.batch",
                                    .got = got,
                                    .expected = expected});
}

/* By ipc the kernel says who connects; by tcp a key does, or nobody could. */
static void check_endpoint(const struct config *config, const char *subject, const char *endpoint,
                           struct config_errors *errors)
{
    bool is_tcp = strncmp(endpoint, "tcp://", 6) == 0;
    bool has_keys = config->events.key_file[0] != '\0' && config->events.clients.n > 0;
    if (endpoint[0] == '\0' || strncmp(endpoint, "ipc://", 6) == 0 || (is_tcp && has_keys))
        return;
    complain(config, errors, (struct config_place){0},
             (struct config_report){.subject = subject,
                                    .what = is_tcp ? "tcp without keys" : "no such transport",
                                    .got = endpoint,
                                    .expected = is_tcp ? "events.key_file and events.clients too"
                                                       : "ipc:// or tcp://"});
}

void config_check(const struct config *config, struct config_errors *errors)
{
    check_sources(config, errors);
    check_wans(config, errors);
    check_accounts(config, errors);
    config_check_tariffs(config, errors);
    config_check_timeout_policies(config, errors);
    check_window(config, errors);
    check_endpoint(config, "events.endpoint", config->events.endpoint, errors);
    check_endpoint(config, "events.control_endpoint", config->events.control_endpoint, errors);
    config_check_rules(config, errors);
    config_check_helpers(config, errors);
}
