#include "tracker/connection_table/timer_wheel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "tracker/connection_table/mapping.h"

enum { LEVEL_BITS = 8, N_BUCKETS_ALL = WHEEL_LEVELS * WHEEL_BUCKETS };

static const uint64_t horizon_ticks = UINT64_C(1) << 30;

/* 30 s. A new connection's timer often becomes earlier before it is due: of TCP from 120 s to 60,
 * and to 30. Where the wheel comes by then at the latest, those need no references of their own. */
static const uint64_t first_look_ticks = UINT64_C(30000000000) >> WHEEL_TICK_BITS;

static_assert(sizeof(struct wheel_chunk) == 64, "a chunk is a cache line");
static_assert(WHEEL_LEVELS * LEVEL_BITS + WHEEL_TICK_BITS >= 64, "the levels cover a time");

static uint64_t references_max(const struct timer_wheel *wheel)
{
    return 2 * (uint64_t)wheel->slab->n_max;
}

int timer_wheel_init(struct timer_wheel *wheel, const struct connection_slab *slab)
{
    *wheel = (struct timer_wheel){.slab = slab, .next = UINT64_MAX, .soon_next = UINT64_MAX};
    /* Each list has one chunk with room at most: 'due', 'soon' and the one being moved as well. */
    size_t n_chunks = references_max(wheel) / WHEEL_CHUNK_REFERENCES + N_BUCKETS_ALL + 3;
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
        __builtin_prefetch(&wheel->slab->entries[chunk->places[i]].filed, 1);
}

/* ---- where a tick lies ---- */

struct window {
    unsigned level;
    unsigned bucket;
    uint64_t first; /* its first tick */
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

/* The window of a tick after the wheel's now. */
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

/* The tick, or the one before where the entry has no number for it. */
static uint64_t tick_before(uint64_t tick)
{
    return (uint32_t)tick == CONNECTION_NOT_FILED ? tick - 1 : tick;
}

static void note_soon(struct timer_wheel *wheel, int64_t due_ns)
{
    uint64_t due = timer_wheel_time(due_ns);
    if (due < wheel->soon_next)
        wheel->soon_next = due;
    if (due < wheel->next)
        wheel->next = due;
}

static void file_at(struct timer_wheel *wheel, uint64_t tick, uint32_t place)
{
    struct window window = window_of(wheel, tick);
    list_push(wheel, &wheel->levels[window.level][window.bucket], place);
    wheel->occupied[window.level][window.bucket / 64] |= UINT64_C(1) << (window.bucket % 64);
    if (window.first << WHEEL_TICK_BITS < wheel->next)
        wheel->next = window.first << WHEEL_TICK_BITS;
}

/* Puts a reference where the entry's timer says, but not more than 'ticks_max' ahead. */
static void wheel_file(struct timer_wheel *wheel, struct connection *connection, uint64_t ticks_max)
{
    uint32_t place = connection_slab_place(wheel->slab, connection);
    int64_t due_ns = connection_due_ns(connection);
    uint64_t tick = timer_wheel_tick(due_ns);
    if (tick > wheel->now && tick - wheel->now > ticks_max)
        tick = wheel->now + ticks_max;
    uint64_t filed = tick_before(tick > wheel->now ? tick : wheel->now);
    connection->filed = (uint32_t)filed;
    if (filed > wheel->now) {
        file_at(wheel, filed, place);
    } else {
        list_push(wheel, &wheel->soon, place);
        note_soon(wheel, due_ns);
    }
}

static bool is_never(const struct connection *connection)
{
    return connection_due_ns(connection) == INT64_MAX;
}

/* Drops all references, and files each timer once. */
static void wheel_rebuild(struct timer_wheel *wheel)
{
    memset(wheel->levels, 0, sizeof(wheel->levels));
    memset(wheel->occupied, 0, sizeof(wheel->occupied));
    wheel->due = wheel->soon = (struct wheel_list){0};
    wheel->chunks_free = 0;
    wheel->chunks_touched = 0;
    wheel->n_references = 0;
    wheel->next = wheel->soon_next = UINT64_MAX;
    uint32_t place = connection_slab_from(wheel->slab, 0);
    for (; place != CONNECTION_NOWHERE; place = connection_slab_from(wheel->slab, place + 1)) {
        struct connection *connection = &wheel->slab->entries[place];
        connection->filed = CONNECTION_NOT_FILED;
        if (!is_never(connection)) {
            wheel_file(wheel, connection, horizon_ticks);
            wheel->n_references++;
        }
    }
}

static void reference_add(struct timer_wheel *wheel, struct connection *connection)
{
    if (is_never(connection))
        return;
    if (wheel->n_references == references_max(wheel)) {
        wheel_rebuild(wheel); /* files this one as well */
        return;
    }
    wheel->n_references++;
    bool is_first = connection->filed == CONNECTION_NOT_FILED;
    wheel_file(wheel, connection, is_first ? first_look_ticks : horizon_ticks);
}

__attribute__((noinline)) void timer_wheel_set_earlier(struct timer_wheel *wheel,
                                                       struct connection *connection)
{
    if (timer_wheel_filed(wheel, connection) <= wheel->now)
        note_soon(wheel, connection_due_ns(connection));
    else
        reference_add(wheel, connection);
}

/* ---- time passes ---- */

/* A reference whose entry has a timer later than 'now' goes on to where that timer is; one without
 * a timer ends here. */
static void reference_move(struct timer_wheel *wheel, struct connection *connection)
{
    if (!is_never(connection)) {
        wheel_file(wheel, connection, horizon_ticks);
    } else {
        connection->filed = CONNECTION_NOT_FILED;
        wheel->n_references--;
    }
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
        uint64_t filed = timer_wheel_filed(wheel, connection);
        if (filed < window->first || filed > window->last)
            wheel->n_references--;
        else
            reference_move(wheel, connection);
    }
}

static void list_take(struct timer_wheel *wheel, struct wheel_list *list)
{
    wheel->due = *list;
    *list = (struct wheel_list){0};
    list_prefetch(wheel, &wheel->due, 1);
}

static void window_take(struct timer_wheel *wheel, const struct window *window, uint64_t tick)
{
    struct wheel_list *list = &wheel->levels[window->level][window->bucket];
    wheel->occupied[window->level][window->bucket / 64] &= ~(UINT64_C(1) << (window->bucket % 64));
    if (window->last <= tick) {
        wheel->now = window->last;
        list_take(wheel, list);
    } else {
        struct wheel_list taken = *list;
        *list = (struct wheel_list){0};
        wheel->now = window->first;
        window_enter(wheel, window, taken);
    }
}

/* Brings what may be due next into 'due', which is empty. False: nothing until 'asked'. */
static bool wheel_advance(struct timer_wheel *wheel)
{
    const uint64_t tick = wheel->asked >> WHEEL_TICK_BITS;
    bool is_soon = wheel->soon.first != 0 && wheel->soon_next <= wheel->asked;
    if (is_soon || wheel->soon.first == 0)
        wheel->soon_next = UINT64_MAX;
    if (is_soon) {
        list_take(wheel, &wheel->soon);
        return true;
    }
    if (tick - wheel->now > horizon_ticks) {
        wheel->now = tick;
        wheel_rebuild(wheel);
        return true;
    }
    struct window window;
    bool is_found = window_find(wheel, &window);
    if (is_found && window.first <= tick) {
        window_take(wheel, &window, tick);
        return true;
    }
    uint64_t first = is_found ? window.first << WHEEL_TICK_BITS : UINT64_MAX;
    wheel->now = tick;
    wheel->next = first < wheel->soon_next ? first : wheel->soon_next;
    return false;
}

/* The next reference to be looked at whose entry is due. */
static struct connection *wheel_take_due(struct timer_wheel *wheel, int64_t now_ns)
{
    while (wheel->due.first != 0) {
        uint32_t n_before = wheel->due.n_in_first;
        struct connection *connection = &wheel->slab->entries[list_pop(wheel, &wheel->due)];
        list_prefetch(wheel, &wheel->due, n_before);
        if (timer_wheel_filed(wheel, connection) > wheel->now) {
            wheel->n_references--; /* filed elsewhere meanwhile */
        } else if (connection_due_ns(connection) > now_ns || is_never(connection)) {
            reference_move(wheel, connection);
        } else {
            connection->filed = CONNECTION_NOT_FILED;
            wheel->n_references--;
            return connection;
        }
    }
    return NULL;
}

bool timer_wheel_may_be_due(const struct timer_wheel *wheel, int64_t now_ns)
{
    return timer_wheel_time(now_ns) >= wheel->next;
}

struct connection *timer_wheel_due(struct timer_wheel *wheel, int64_t now_ns)
{
    uint64_t now = timer_wheel_time(now_ns);
    if (now < wheel->next)
        return NULL;
    if (now > wheel->asked)
        wheel->asked = now;
    now_ns = (int64_t)(wheel->asked ^ (UINT64_C(1) << 63));
    do {
        struct connection *connection = wheel_take_due(wheel, now_ns);
        if (connection != NULL)
            return connection;
    } while (wheel_advance(wheel));
    return NULL;
}
