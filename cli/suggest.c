#include "cli/suggest.h"

#include <string.h>

#include "common/config/config_value.h"

const char *suggest(const char *word, const char *const *words, size_t n_words)
{
    struct config_suggestion suggestion;
    const char *nearest = NULL;
    config_suggestion_init(&suggestion, word);
    for (size_t i = 0; i < n_words; i++) {
        size_t distance = suggestion.distance;
        config_suggestion_offer(&suggestion, words[i], strlen(words[i]));
        if (suggestion.distance < distance)
            nearest = words[i];
    }
    return nearest;
}
