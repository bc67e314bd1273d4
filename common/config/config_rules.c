#include "common/config/config_rules.h"

#include <stdio.h>
#include <string.h>

#include "common/config/config_labels.h"
#include "common/ct_action.h"

enum { ZONE_MAX = 65535 };

#define FIELD(member)                                                                              \
    .offset = offsetof(struct config_rule, member),                                                \
    .size = sizeof(((struct config_rule *)0)->member)
#define TEXT_PLACE(member) .text_place_offset = offsetof(struct config_rule, member)

static const struct config_option rule_options[] = {
    {"name", CONFIG_TEXT, FIELD(name), .min = 1, .max = CONFIG_NAME_MAX,
     .help = "What people call it."},
    {"match", CONFIG_TEXT, FIELD(match), .min = 1, .max = CONFIG_TEXT_MAX, TEXT_PLACE(match_place),
     .is_billing = true,
     .help = "A pcap-filter expression over IP and transport headers; not set: every packet."},
    {"wan", CONFIG_TEXT, FIELD(wan), .min = 1, .max = CONFIG_NAME_MAX, .is_billing = true,
     .help = "The WAN that its packets use; none: those without one; not set: any."},
    {"zone", CONFIG_INTEGER, FIELD(zone), .max = ZONE_MAX, .is_billing = true,
     .help = "The zone that its packets are in; not set: any."},
    {"state", CONFIG_TEXT, FIELD(state), .words = "new related reply", .is_billing = true,
     .help =
         "new: no helper expected the connection; related: one did; not set: either. reply: not "
         "its first packet, but its first reply."},
    {"ct", CONFIG_TEXT, FIELD(ct), .max = CONFIG_TEXT_MAX, TEXT_PLACE(ct_place),
     .is_required = true, .is_billing = true,
     .help = "What to do, with commas between: commit, notrack, zone=N, mark=V[/M], label=NAME or "
             "V[/M], helper=NAME, timeout=POLICY, account=NAME, class=NAME."},
};

const struct config_table config_rule_table = {
    .options = rule_options,
    .n_options = sizeof rule_options / sizeof *rule_options,
    .object_size = sizeof(struct config_rule),
    .place_offset = offsetof(struct config_rule, place),
};

const char config_rules_example[] = "  - match: tcp dst port 443\n"
                                    "    ct: commit,mark=0x5/0xff,label=0x8/0x8\n"
                                    "  - wan: radio\n"
                                    "    match: ip and udp dst port 5060\n"
                                    "    ct: commit,zone=9,helper=sip\n";

void config_rule_complain(const struct config *config, size_t i, const char *key,
                          const struct config_text_place *at, size_t offset,
                          struct config_report report, struct config_errors *errors)
{
    char subject[64], place[CONFIG_PLACE_TEXT_SIZE];
    struct config_place where = at->place;
    if (at->is_exact && where.line > 0)
        where.column += (uint32_t)offset;
    snprintf(subject, sizeof subject, "rules[%zu]%s%s", i, *key ? "." : "", key);
    config_place_text(config->path, where, place);
    report.place = place;
    report.subject = subject;
    config_errors_add(errors, &report);
}

/* At the rule itself. */
static void complain_rule(const struct config *config, size_t i, const char *key,
                          struct config_report report, struct config_errors *errors)
{
    struct config_text_place at = {.place = config->rules[i].place};
    config_rule_complain(config, i, key, &at, 0, report, errors);
}

static void check_wan(const struct config *config, size_t i, struct config_errors *errors)
{
    const char *wan = config->rules[i].wan;
    if (!wan || strcmp(wan, "none") == 0)
        return;
    struct config_suggestion suggestion;
    config_suggestion_init(&suggestion, wan);
    for (size_t j = 0; j < config->n_wans; j++) {
        const char *name = config->wans[j].name;
        if (name && strcmp(name, wan) == 0)
            return;
        if (name)
            config_suggestion_offer(&suggestion, name, strlen(name));
    }
    complain_rule(
        config, i, "wan",
        (struct config_report){.what = "unknown WAN", .got = wan, .suggestion = suggestion.word},
        errors);
}

static void check_action(const struct config *config, size_t i, struct config_errors *errors)
{
    const struct config_rule *rule = &config->rules[i];
    struct ct_action action;
    struct ct_complaint complaint;
    if (!rule->ct)
        return; /* said where it is missing */
    if (!ct_action_read(config, rule->ct, &action, &complaint)) {
        config_rule_complain(config, i, "ct", &rule->ct_place, complaint.offset,
                             (struct config_report){.what = complaint.value.what,
                                                    .got = *complaint.got ? complaint.got : NULL,
                                                    .expected = complaint.value.expected,
                                                    .suggestion = complaint.value.suggestion},
                             errors);
        return;
    }
    uint32_t at_reply = CT_ACTION_COMMIT | CT_ACTION_MARK | CT_ACTION_LABEL;
    if (rule->state && strcmp(rule->state, "reply") == 0 && action.attributes & ~at_reply)
        complain_rule(config, i, "state",
                      (struct config_report){.what = "a reply comes too late for this",
                                             .got = rule->ct,
                                             .expected = "mark= and label="},
                      errors);
    else if (rule->state && action.attributes & CT_ACTION_BEFORE_LOOKUP)
        complain_rule(config, i, "state",
                      (struct config_report){.what = "a zone, or notrack, is given to every packet "
                                                     "before there is a state",
                                             .got = rule->state},
                      errors);
}

static void check_classes(const struct config *config, struct config_errors *errors)
{
    char place[CONFIG_PLACE_TEXT_SIZE];
    config_place_text(config->path, (struct config_place){0}, place);
    struct config_report report = {.place = place, .subject = "classes"};
    for (size_t i = 0; i < config->classes.n; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(config->classes.items[i], config->classes.items[j]) == 0) {
                report.what = "the same name twice";
                report.got = config->classes.items[i];
                config_errors_add(errors, &report);
                break;
            }
    if (config->classes.n > CONFIG_CLASSES_MAX) {
        report.what = "too many classes";
        report.expected = "200 at most";
        report.got = NULL;
        config_errors_add(errors, &report);
    }
}

void config_check_rules(const struct config *config, struct config_errors *errors)
{
    config_check_labels(config, errors);
    check_classes(config, errors);
    for (size_t i = 0; i < config->n_rules; i++) {
        check_wan(config, i, errors);
        check_action(config, i, errors);
    }
}
