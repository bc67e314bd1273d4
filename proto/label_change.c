#include "proto/label_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool label_change_is(const struct change *change)
{
    return change->n_words > 0 && strcmp(change->words[0], "label") == 0;
}

/* "17"; LABEL_BITS: no number. */
static int read_bit(const char *word)
{
    size_t n = strlen(word);
    return n > 0 && n < 4 && strspn(word, "0123456789") == n ? atoi(word) : LABEL_BITS;
}

static int add(struct label_names *names, const struct change *change)
{
    size_t n_words = change->n_words;
    bool is_sticky = n_words > 3 && strcmp(change->words[n_words - 1], "sticky") == 0;
    n_words -= is_sticky ? 1 : 0;
    if (n_words < 3 || n_words > 4)
        return -EBADMSG;
    int bit = n_words == 4 ? read_bit(change->words[3]) : LABEL_BIT_ANY;
    return label_names_add(names, change->words[2], bit, is_sticky);
}

int label_change_apply(struct label_names *names, const struct change *change)
{
    const char *verb = change->n_words > 1 ? change->words[1] : "";
    if (strcmp(verb, "add") == 0)
        return add(names, change);
    if (strcmp(verb, "remove") == 0 && change->n_words == 3)
        return label_names_remove(names, change->words[2]);
    return -EBADMSG;
}
