/* suggest: which known word somebody may have meant.
 *
 *     suggest("usgae", words, n_words)     "usage"; NULL: none is near
 * (common/config/config_suggest.c)
 */
#ifndef WANMETER_CLI_SUGGEST_H
#define WANMETER_CLI_SUGGEST_H

#include <stddef.h>

/* Borrowed from 'words'. */
const char *suggest(const char *word, const char *const *words, size_t n_words);

#endif
