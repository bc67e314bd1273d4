#include "tracker/connection_table/timer_wheel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "tracker/connection_table/mapping.h"

enum { LEVEL_BITS = 8, N_BUCKETS_ALL = WHEEL_LEVELS * WHEEL_BUCKETS };

static_assert(sizeof(struct wheel_chunk) == 64, "a chunk is a cache line");
static_assert(WHEEL_LEVELS * LEVEL_BITS == 64, "the levels cover a time");

static uint64_t time_of_ns(int64_t at_ns)
{
    return (uint64_t)at_ns ^ (UINT64_C(1) << 63);
}

static uint64_t references_max(const struct timer_wheel *wheel)
{
    return 2 * (uint64_t)wheel->slab->n_max;
}

int timer_wheel_init(struct timer_wheel *wheel, const struct connection_slab *slab)
{
    *wheel = (struct timer_wheel){.slab = slab, .next = UINT64_MAX};
    /* Each list has one chunk with room at most; one list more is 'due', and one is being moved. */
    size_t n_chunks = references_max(wheel) / WHEEL_CHUNK_REFERENCES + N_BUCKETS_ALL + 2;
    wheel->chunks_size = n_chunks * sizeof(struct wheel_chunk);
    void *memory;
    int result = mapping_create(wheel->chunks_size, &memory);
    if (result == 0)
        wheel->chunks = memory;
    return result;
}

void timer_wheel_deinit(struct timer_wheel *wheel)
{
    mapping_destroy(wheel->chunks, wheel->chunks_size);
    *wheel = (struct timer_wheel){0};
}

/* ---- lists of references ---- */

static void list_push(struct timer_wheel *wheel, struct wheel_list *list, uint32_t place)
{
    if (list->first == 0 || list->n_in_first == WHEEL_CHUNK_REFERENCES) {
        uint32_t number = wheel->chunks_free;
        if (number != 0)
            wheel->chunks_free = wheel->chunks[number - 1].next;
        else
            number = ++wheel->chunks_touched;
        assert(number * sizeof(struct wheel_chunk) <= wheel->chunks_size);
        wheel->chunks[number - 1].next = list->first;
        *list = (struct wheel_list){.first = number};
    }
    wheel->chunks[list->first - 1].places[list->n_in_first++] = place;
}

/* Only the first chunk of a list may be partly filled, so what follows an emptied one is full. */
static uint32_t list_pop(struct timer_wheel *wheel, struct wheel_list *list)
{
    struct wheel_chunk *chunk = &wheel->chunks[list->first - 1];
    uint32_t place = chunk->places[--list->n_in_first];
    if (list->n_in_first == 0) {
        uint32_t number = list->first;
        *list = (struct wheel_list){chunk->next, chunk->next != 0 ? WHEEL_CHUNK_REFERENCES : 0};
        chunk->next = wheel->chunks_free;
        wheel->chunks_free = number;
    }
    return place;
}

/* Asks for the entries of the list's first chunk, once, when it has just come up. */
static void list_prefetch(const struct timer_wheel *wheel, const struct wheel_list *list,
                          uint32_t n_before)
{
    if (list->first == 0 || n_before != 1)
        return;
    const struct wheel_chunk *chunk = &wheel->chunks[list->first - 1];
    for (uint32_t i = 0; i < list->n_in_first; i++)
        __builtin_prefetch(&wheel->slab->entries[chunk->places[i]].filed_ns, 1);
}

/* ---- where a time lies ---- */

struct window {
    unsigned level;
    unsigned bucket;
    uint64_t first; /* its first instant */
    uint64_t last;
};

static struct window window_at(const struct timer_wheel *wheel, unsigned level, unsigned bucket)
{
    unsigned shift = level * LEVEL_BITS;
    uint64_t width = UINT64_C(1) << shift;
    uint64_t above = level == WHEEL_LEVELS - 1 ? 0 : ~UINT64_C(0) << (shift + LEVEL_BITS);
    uint64_t first = (wheel->now & above) | ((uint64_t)bucket << shift);
    return (struct window){level, bucket, first, first + (width - 1)};
}

/* The window of a time after the wheel's now. */
static struct window window_of(const struct timer_wheel *wheel, uint64_t at)
{
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(at ^ wheel->now);
    unsigned level = highest_bit / LEVEL_BITS;
    return window_at(wheel, level, (at >> (level * LEVEL_BITS)) & (WHEEL_BUCKETS - 1));
}

/* The first window with references. All of a lower level are before all of a higher one, and within
 * a level none is before the wheel's now. */
static bool window_find(const struct timer_wheel *wheel, struct window *window)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned word = 0; word < WHEEL_BUCKETS / 64; word++) {
            uint64_t bits = wheel->occupied[level][word];
            if (bits != 0) {
                *window = window_at(wheel, level, word * 64 + (unsigned)__builtin_ctzll(bits));
                return true;
            }
        }
    }
    return false;
}

/* ---- filing ---- */

/* Puts a reference where the entry's filed_ns says. */
static void wheel_file(struct timer_wheel *wheel, const struct connection *connection)
{
    uint32_t place = connection_slab_place(wheel->slab, connection);
    uint64_t at = time_of_ns(connection->filed_ns);
    if (at <= wheel->now) {
        list_push(wheel, &wheel->due, place);
        wheel->next = 0;
        return;
    }
    struct window window = window_of(wheel, at);
    list_push(wheel, &wheel->levels[window.level][window.bucket], place);
    wheel->occupied[window.level][window.bucket / 64] |= UINT64_C(1) << (window.bucket % 64);
    if (window.first < wheel->next)
        wheel->next = window.first;
}

/* Drops all references, and files each timer once. */
static void wheel_rebuild(struct timer_wheel *wheel)
{
    memset(wheel->levels, 0, sizeof(wheel->levels));
    memset(wheel->occupied, 0, sizeof(wheel->occupied));
    wheel->due = (struct wheel_list){0};
    wheel->chunks_free = 0;
    wheel->chunks_touched = 0;
    wheel->n_references = 0;
    wheel->next = UINT64_MAX;
    uint32_t place = connection_slab_from(wheel->slab, 0);
    for (; place != CONNECTION_NOWHERE; place = connection_slab_from(wheel->slab, place + 1)) {
        struct connection *connection = &wheel->slab->entries[place];
        connection->filed_ns = connection_due_ns(connection);
        if (connection->filed_ns != INT64_MAX) {
            wheel_file(wheel, connection);
            wheel->n_references++;
        }
    }
}

void timer_wheel_set(struct timer_wheel *wheel, struct connection *connection)
{
    int64_t at_ns = connection_due_ns(connection);
    if (at_ns >= connection->filed_ns)
        return;
    connection->filed_ns = at_ns;
    if (wheel->n_references == references_max(wheel)) {
        wheel_rebuild(wheel); /* files this one as well */
        return;
    }
    wheel->n_references++;
    wheel_file(wheel, connection);
}

/* ---- time passes ---- */

/* A reference whose entry has a timer later than 'now' goes on to where that timer is; one without
 * a timer ends here. */
static void reference_move(struct timer_wheel *wheel, struct connection *connection)
{
    connection->filed_ns = connection_due_ns(connection);
    if (connection->filed_ns != INT64_MAX)
        wheel_file(wheel, connection);
    else
        wheel->n_references--;
}

/* Moves the references of a window that is under way to where they belong now. Stale ones, whose
 * entries are filed elsewhere, are dropped. */
static void window_enter(struct timer_wheel *wheel, const struct window *window,
                         struct wheel_list list)
{
    list_prefetch(wheel, &list, 1);
    while (list.first != 0) {
        uint32_t n_before = list.n_in_first;
        struct connection *connection = &wheel->slab->entries[list_pop(wheel, &list)];
        list_prefetch(wheel, &list, n_before);
        uint64_t filed = time_of_ns(connection->filed_ns);
        if (filed < window->first || filed > window->last)
            wheel->n_references--;
        else
            reference_move(wheel, connection);
    }
}

/* Brings the next window with something that may be due into 'due'. False: nothing until 'now'. */
static bool wheel_advance(struct timer_wheel *wheel, uint64_t now)
{
    struct window window;
    bool is_found = window_find(wheel, &window);
    if (!is_found || window.first > now) {
        wheel->now = now;
        wheel->next = is_found ? window.first : UINT64_MAX;
        return false;
    }
    struct wheel_list list = wheel->levels[window.level][window.bucket];
    wheel->levels[window.level][window.bucket] = (struct wheel_list){0};
    wheel->occupied[window.level][window.bucket / 64] &= ~(UINT64_C(1) << (window.bucket % 64));
    if (window.last <= now) {
        wheel->now = window.last;
        wheel->due = list;
        list_prefetch(wheel, &list, 1);
    } else {
        wheel->now = window.first;
        window_enter(wheel, &window, list);
    }
    return true;
}

static bool is_never(const struct connection *connection)
{
    return connection_due_ns(connection) == INT64_MAX;
}

/* The next reference to be looked at whose entry is due. */
static struct connection *wheel_take_due(struct timer_wheel *wheel, int64_t now_ns)
{
    while (wheel->due.first != 0) {
        uint32_t n_before = wheel->due.n_in_first;
        struct connection *connection = &wheel->slab->entries[list_pop(wheel, &wheel->due)];
        list_prefetch(wheel, &wheel->due, n_before);
        if (time_of_ns(connection->filed_ns) > wheel->now) {
            wheel->n_references--; /* filed elsewhere meanwhile */
        } else if (connection_due_ns(connection) > now_ns || is_never(connection)) {
            reference_move(wheel, connection);
        } else {
            connection->filed_ns = INT64_MAX;
            wheel->n_references--;
            return connection;
        }
    }
    return NULL;
}

bool timer_wheel_may_be_due(const struct timer_wheel *wheel, int64_t now_ns)
{
    return time_of_ns(now_ns) >= wheel->next;
}

struct connection *timer_wheel_due(struct timer_wheel *wheel, int64_t now_ns)
{
    uint64_t now = time_of_ns(now_ns);
    if (now < wheel->next)
        return NULL;
    if (now < wheel->now) {
        now = wheel->now;
        now_ns = (int64_t)(now ^ (UINT64_C(1) << 63));
    }
    do {
        struct connection *connection = wheel_take_due(wheel, now_ns);
        if (connection != NULL)
            return connection;
    } while (wheel_advance(wheel, now));
    return NULL;
}
