#include "proto/account_change.h"

#include <stdio.h>
#include <string.h>

#include "common/account_names.h"
#include "common/config/config_value.h"

enum { WORD_VERB = 1, WORD_NAME, WORD_PREFIX, ANSWER_SIZE = CHANGE_ANSWER_MAX + 1 };

bool account_change_is(const struct change *change)
{
    return change->n_words > 0 && strcmp(change->words[0], "account") == 0;
}

static bool read_verb(const char *word, enum account_verb *verb)
{
    static const char *const verbs[] = {
        [ACCOUNT_ADD] = "add", [ACCOUNT_MOVE] = "move", [ACCOUNT_REMOVE] = "remove"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(word, verbs[i]) == 0) {
            *verb = (enum account_verb)i;
            return true;
        }
    }
    return false;
}

static bool read_prefix(const char *word, struct config_prefix *prefix, char error[ANSWER_SIZE])
{
    struct config_complaint complaint = {0};
    *prefix = (struct config_prefix){0};
    if (config_prefix_read(word, prefix, &complaint))
        return true;
    bool is_suggested = *complaint.suggestion != '\0';
    snprintf(error, ANSWER_SIZE, "'%.60s': %s%s%s", word, complaint.what,
             is_suggested ? ", did you mean " : ", expected ",
             is_suggested ? complaint.suggestion : complaint.expected);
    return false;
}

bool account_change_read(const struct change *change, struct account_change *read,
                         char error[ANSWER_SIZE])
{
    read->n_prefixes = 0;
    bool is_right = change->n_words > WORD_NAME &&
                    read_verb(change->words[WORD_VERB], &read->verb) &&
                    (change->n_words > WORD_PREFIX || read->verb == ACCOUNT_REMOVE);
    if (!is_right) {
        snprintf(error, ANSWER_SIZE,
                 "expected: account add NAME PREFIX..., account move NAME "
                 "PREFIX..., account remove NAME [PREFIX...]");
        return false;
    }
    read->name = change->words[WORD_NAME];
    if (!account_name_is_valid(read->name)) {
        snprintf(error, ANSWER_SIZE,
                 "'%.40s': an account's name is 1 to %d letters, digits, '.', '_' and '-', and "
                 "not 'none'",
                 read->name, CONFIG_NAME_MAX);
        return false;
    }
    for (size_t i = WORD_PREFIX; i < change->n_words; i++)
        if (!read_prefix(change->words[i], &read->prefixes[read->n_prefixes++], error))
            return false;
    return true;
}

const char *account_change_name(const struct change *change)
{
    enum account_verb verb;
    bool is_named = account_change_is(change) && change->n_words > WORD_NAME &&
                    read_verb(change->words[WORD_VERB], &verb) && verb != ACCOUNT_REMOVE;
    return is_named ? change->words[WORD_NAME] : NULL;
}
