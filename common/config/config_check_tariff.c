/* What no single option of a tariff shows: names that are not there, tiers that fall, prices that
 * would be for the same thing. */
#include "common/config/config_check_tariff.h"

#include <inttypes.h>
#include <string.h>

#include "common/config/config_errors.h"
#include "common/period.h"
#include "common/zone.h"

enum { SLOT_MINUTES = 5, DAY_SLOTS = 24 * 60 / SLOT_MINUTES, WEEK_DAYS = 7 };

struct check {
    const struct config *config;
    struct config_errors *errors;
    const struct config_tariff *tariff;
};

static void complain(const struct check *check, struct config_place place,
                     struct config_report report)
{
    char place_text[CONFIG_PLACE_TEXT_SIZE], subject[CONFIG_NAME_MAX + 32];
    const char *name = check->tariff->name ? check->tariff->name : "";
    snprintf(subject, sizeof subject, "tariff '%.63s'", name);
    config_place_text(check->config->path, place, place_text);
    report.place = place_text;
    report.subject = subject;
    config_errors_add(check->errors, &report);
}

static void complain_tariff(const struct check *check, const char *what, const char *got,
                            const char *expected)
{
    complain(check, check->tariff->place,
             (struct config_report){.what = what, .got = got, .expected = expected});
}

/* ---- names ---- */

static void check_account(const struct check *check, const char *name)
{
    const struct config *config = check->config;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    for (size_t i = 0; i < config->n_accounts; i++) {
        const char *known = config->accounts[i].name ? config->accounts[i].name : "";
        if (strcmp(known, name) == 0)
            return;
        config_suggestion_offer(&suggestion, known, strlen(known));
    }
    if (strcmp(name, "none") != 0)
        complain(check, check->tariff->place,
                 (struct config_report){
                     .what = "no such account", .got = name, .suggestion = suggestion.word});
}

static void check_wan(const struct check *check, const char *name)
{
    const struct config *config = check->config;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, name);
    for (size_t i = 0; i < config->n_wans; i++) {
        const char *known = config->wans[i].name ? config->wans[i].name : "";
        if (strcmp(known, name) == 0)
            return;
        config_suggestion_offer(&suggestion, known, strlen(known));
    }
    if (strcmp(name, "none") != 0)
        complain(check, check->tariff->place,
                 (struct config_report){
                     .what = "no such WAN", .got = name, .suggestion = suggestion.word});
}

static void check_names(const struct check *check)
{
    const struct config_tariff *tariff = check->tariff;
    if (tariff->wans.n == 0 && check->config->n_wans == 0)
        complain_tariff(check, "no WAN is there whose bytes it could be for", NULL,
                        "wans; or 'wans: none' for what no WAN has");
    for (size_t i = 0; i < tariff->accounts.n; i++)
        check_account(check, tariff->accounts.items[i]);
    for (size_t i = 0; i < tariff->wans.n; i++)
        check_wan(check, tariff->wans.items[i]);
}

static void check_zone(const struct check *check)
{
    const char *zone = check->tariff->timezone;
    char suggestion[ZONE_NAME_MAX + 1];
    if (!zone || zone_is_known(zone))
        return;
    zone_suggest(zone, suggestion);
    complain(check, check->tariff->place,
             (struct config_report){.what = "no such time zone",
                                    .got = zone,
                                    .expected = "an IANA name such as Europe/Berlin",
                                    .suggestion = suggestion});
}

/* ---- prices ---- */

static void check_tiers(const struct check *check)
{
    const struct config_tariff *tariff = check->tariff;
    int64_t below = 0;
    for (size_t i = 0; i < tariff->n_tiers; i++) {
        const struct config_tariff_tier *tier = &tariff->tiers[i];
        char got[CONFIG_NUMBER_TEXT_SIZE], expected[CONFIG_NUMBER_TEXT_SIZE + 16];
        snprintf(got, sizeof got, "%" PRId64, tier->above);
        snprintf(expected, sizeof expected, "more than %" PRId64, below);
        if (tier->above <= below)
            complain(check, tier->place,
                     (struct config_report){.what = "a tier that is not above the one before",
                                            .got = got,
                                            .expected = expected});
        else
            below = tier->above;
    }
}

/* Marks the slots of a week that the price is for; false: one of them has a price already. */
static bool claim_times(const struct config_tariff_time *time, bool week[WEEK_DAYS * DAY_SLOTS])
{
    int from = config_time_of_day(time->from) / SLOT_MINUTES;
    int to = config_time_of_day(time->to) / SLOT_MINUTES;
    int n = to > from ? to - from : to + DAY_SLOTS - from;
    bool is_free = true;
    for (size_t i = 0; i < (time->days.n ? time->days.n : WEEK_DAYS); i++) {
        int day = time->days.n ? config_weekday(time->days.items[i]) : (int)i;
        for (int slot = day * DAY_SLOTS + from; slot < day * DAY_SLOTS + from + n; slot++) {
            is_free = is_free && !week[slot % (WEEK_DAYS * DAY_SLOTS)];
            week[slot % (WEEK_DAYS * DAY_SLOTS)] = true;
        }
    }
    return is_free;
}

static void check_times(const struct check *check)
{
    const struct config_tariff *tariff = check->tariff;
    bool week[WEEK_DAYS * DAY_SLOTS] = {false};
    for (size_t i = 0; i < tariff->n_times; i++) {
        const struct config_tariff_time *time = &tariff->times[i];
        if (time->from && time->to && !claim_times(time, week))
            complain(check, time->place,
                     (struct config_report){.what = "a time that another price is for",
                                            .got = time->from});
    }
}

static void check_kind(const struct check *check)
{
    const struct config_tariff *tariff = check->tariff;
    bool is_percentile = config_tariff_is_percentile(tariff);
    const char *unit = config_tariff_unit(tariff);
    if (config_unit_is_rate(unit) != is_percentile)
        complain_tariff(check,
                        is_percentile ? "a unit that is no rate" : "a unit that is no volume", unit,
                        is_percentile ? "kbit/s, Mbit/s or Gbit/s" : "kB to TB, KiB to TiB");
    if (is_percentile && tariff->n_times > 0)
        complain_tariff(check, "'times' are prices of a volume", NULL, "kind: volume");
    if (is_percentile && tariff->quota > 0)
        complain_tariff(check, "a quota is one of volume", NULL, "kind: volume");
    if (!is_percentile && tariff->commit >= 0)
        complain_tariff(check, "a commit is one of a rate", NULL, "kind: percentile");
    if (tariff->commit >= 0 && tariff->n_tiers > 0)
        complain_tariff(check, "both a commit and tiers", NULL, "one of them");
    if (tariff->commit < 0 && tariff->overage >= 0)
        complain_tariff(check, "a price of overage without a commit", NULL, "commit");
}

static void check_quota(const struct check *check)
{
    char got[CONFIG_NUMBER_TEXT_SIZE], expected[CONFIG_NUMBER_TEXT_SIZE + 16];
    snprintf(got, sizeof got, "%zu", check->tariff->n_quota_percents);
    snprintf(expected, sizeof expected, "%d at most", CONFIG_QUOTA_PERCENTS_MAX);
    if (check->tariff->n_quota_percents > CONFIG_QUOTA_PERCENTS_MAX)
        complain_tariff(check, "too many thresholds of a quota", got, expected);
}

static void check_days(const struct check *check)
{
    const struct config_tariff *tariff = check->tariff;
    if (tariff->begins && tariff->ends && strcmp(tariff->begins, tariff->ends) >= 0)
        complain_tariff(check, "it ends before it begins", tariff->ends, "a later day");
}

/* ---- one tariff beside another ---- */

/* A name that both lists have; NULL: none. */
static const char *shared_name(const struct config_text_list *left,
                               const struct config_text_list *right)
{
    if (left->n == 0)
        return right->n > 0 ? right->items[0] : "any";
    for (size_t i = 0; i < left->n; i++)
        if (config_tariff_covers(right, left->items[i]))
            return left->items[i];
    return NULL;
}

static bool are_apart(const struct config_tariff *left, const struct config_tariff *right)
{
    return (left->ends && right->begins && strcmp(left->ends, right->begins) <= 0) ||
           (right->ends && left->begins && strcmp(right->ends, left->begins) <= 0);
}

static void check_pair(const struct check *check, const struct config_tariff *before)
{
    const struct config_tariff *tariff = check->tariff;
    char what[3 * CONFIG_NAME_MAX + 64];
    if (tariff->name && before->name && strcmp(tariff->name, before->name) == 0) {
        complain_tariff(check, "a name that another tariff has", tariff->name, NULL);
        return;
    }
    const char *account = shared_name(&tariff->accounts, &before->accounts);
    const char *wan = shared_name(&tariff->wans, &before->wans);
    if (!account || !wan || are_apart(tariff, before))
        return;
    snprintf(what, sizeof what, "account '%.63s' on WAN '%.63s' would be billed by '%.63s' too",
             account, wan, before->name ? before->name : "");
    complain_tariff(check, what, NULL, NULL);
}

void config_check_tariffs(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->n_tariffs; i++) {
        struct check check = {config, errors, &config->tariffs[i]};
        check_names(&check);
        check_zone(&check);
        check_tiers(&check);
        check_times(&check);
        check_kind(&check);
        check_quota(&check);
        check_days(&check);
        for (size_t j = 0; j < i; j++)
            check_pair(&check, &config->tariffs[j]);
    }
}
