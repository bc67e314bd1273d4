#include "common/account_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_FIRST = 64 };

bool account_name_is_valid(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strlen(text);
    return length > 0 && length <= CONFIG_NAME_MAX && strspn(text, allowed) == length &&
           strcmp(text, "none") != 0;
}

/* FNV-1a. Names are the operator's: no key is needed. */
static size_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

/* Where the name is, or would be. */
static uint32_t *place_of(const struct account_names *names, const char *text)
{
    size_t place = hash_of(text) & names->places_mask;
    while (names->places[place] && strcmp(names->texts[names->places[place] - 1], text) != 0)
        place = (place + 1) & names->places_mask;
    return &names->places[place];
}

static int grow(struct account_names *names)
{
    size_t n_places = names->places ? 2 * (names->places_mask + 1) : PLACES_FIRST;
    char **texts = reallocarray(names->texts, n_places / 2, sizeof *texts);
    if (!texts)
        return -ENOMEM;
    names->texts = texts;
    uint32_t *places = calloc(n_places, sizeof *places);
    if (!places)
        return -ENOMEM;
    free(names->places);
    names->places = places;
    names->places_mask = n_places - 1;
    names->room = n_places / 2;
    for (size_t i = 0; i < names->n; i++)
        *place_of(names, names->texts[i]) = (uint32_t)i + 1;
    return 0;
}

/* Adds what is not there. */
static int add(struct account_names *names, const char *text)
{
    if (names->n == names->room && grow(names) < 0)
        return -ENOMEM;
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    names->texts[names->n++] = copy;
    *place_of(names, copy) = (uint32_t)names->n;
    return (int)names->n;
}

int account_names_init(struct account_names *names, const struct config *config)
{
    *names = (struct account_names){0};
    int result = grow(names);
    for (size_t i = 0; result >= 0 && i < config->n_accounts; i++)
        result = add(names, config->accounts[i].name);
    if (result >= 0)
        return 0;
    account_names_deinit(names);
    return result;
}

void account_names_deinit(struct account_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->texts[i]);
    free(names->texts);
    free(names->places);
    *names = (struct account_names){0};
}

uint16_t account_names_find(const struct account_names *names, const char *text)
{
    return (uint16_t)*place_of(names, text);
}

int account_names_add(struct account_names *names, const char *text)
{
    uint16_t number = account_names_find(names, text);
    if (number)
        return number;
    if (!account_name_is_valid(text))
        return -EINVAL;
    return names->n == ACCOUNT_NUMBER_MAX ? -ENOSPC : add(names, text);
}

const char *account_names_of(const struct account_names *names, uint16_t number)
{
    return number > 0 && number <= names->n ? names->texts[number - 1] : "none";
}
