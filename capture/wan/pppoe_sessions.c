#include "capture/wan/pppoe_sessions.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = PPPOE_SESSIONS_MAX * 2 };

/* 'key' 0: never used; a closed one keeps its place for when it opens again. */
struct session {
    uint64_t key;
    bool is_open;
};

struct pppoe_sessions {
    size_t n_keys;
    struct session places[PLACES];
};

int pppoe_sessions_create(struct pppoe_sessions **out)
{
    *out = calloc(1, sizeof **out);
    return *out ? 0 : -ENOMEM;
}

void pppoe_sessions_destroy(struct pppoe_sessions *sessions)
{
    free(sessions);
}

static uint64_t key_of(uint64_t concentrator, uint16_t id)
{
    return concentrator << 16 | id;
}

/* Its place, or the free one where it would be. */
static size_t place_of(const struct pppoe_sessions *sessions, uint64_t key)
{
    size_t place = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) % PLACES;
    while (sessions->places[place].key && sessions->places[place].key != key)
        place = (place + 1) % PLACES;
    return place;
}

/* Leaves out what is closed. */
static void tidy(struct pppoe_sessions *sessions)
{
    struct session *open = calloc(PPPOE_SESSIONS_MAX, sizeof *open);
    size_t n = 0;
    if (!open)
        return;
    for (size_t i = 0; i < PLACES; i++)
        if (sessions->places[i].is_open)
            open[n++] = sessions->places[i];
    memset(sessions->places, 0, sizeof sessions->places);
    for (size_t i = 0; i < n; i++)
        sessions->places[place_of(sessions, open[i].key)] = open[i];
    sessions->n_keys = n;
    free(open);
}

void pppoe_sessions_open(struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id)
{
    uint64_t key = key_of(concentrator, id);
    size_t place = place_of(sessions, key);
    if (!sessions->places[place].key && sessions->n_keys == PPPOE_SESSIONS_MAX) {
        tidy(sessions);
        if (sessions->n_keys == PPPOE_SESSIONS_MAX)
            return;
        place = place_of(sessions, key);
    }
    sessions->n_keys += sessions->places[place].key == 0;
    sessions->places[place] = (struct session){key, true};
}

void pppoe_sessions_close(struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id)
{
    struct session *session = &sessions->places[place_of(sessions, key_of(concentrator, id))];
    session->is_open = false;
}

bool pppoe_sessions_has(const struct pppoe_sessions *sessions, uint64_t concentrator, uint16_t id)
{
    return sessions->places[place_of(sessions, key_of(concentrator, id))].is_open;
}
