#include "tracker/hand.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_room.h"

enum { VERSION = 1, DEATHS_MAX = 2 };

static const char magic[8] = "wmhand1";

/* Where somebody died. */
struct death {
    uint32_t worker;
    uint32_t n; /* in a row there */
    uint64_t epoch;
    int64_t seq;
    uint64_t packet;
};

/* Everything is written by one process and read by its successor. */
struct page {
    char magic[8];
    uint64_t version;
    uint64_t predecessor;
    struct death last_death;
    struct hand_watch watch;
};

struct hand {
    char *path;
    struct page *page;
    uint64_t predecessor;
    struct death poison; /* n 0: none */
};

/* ---- what was left ---- */

static bool is_page(const struct page *page)
{
    return memcmp(page->magic, magic, sizeof magic) == 0 && page->version == VERSION &&
           (page->watch.worker == HAND_IS_EMPTY || page->watch.worker < WORKERS_MAX);
}

static void begin(struct page *page)
{
    *page = (struct page){.version = VERSION, .watch.worker = HAND_IS_EMPTY};
    memcpy(page->magic, magic, sizeof magic);
}

static void count_death(struct page *page)
{
    const struct hand_watch *watch = &page->watch;
    struct death death = {.worker = watch->worker, .n = 1, .packet = watch->packet};
    if (watch->worker == HAND_IS_EMPTY) {
        page->last_death = (struct death){0};
        return;
    }
    death.epoch = watch->batch[watch->worker].epoch;
    death.seq = watch->batch[watch->worker].seq;
    const struct death *last = &page->last_death;
    if (last->n > 0 && last->worker == death.worker && last->epoch == death.epoch &&
        last->seq == death.seq && last->packet == death.packet)
        death.n = last->n + 1;
    page->last_death = death;
}

/* A batch that was set aside stays so until it is committed. */
static void take_over(struct hand *hand)
{
    struct page *page = hand->page;
    assert(page);
    if (!is_page(page))
        begin(page);
    else if (page->last_death.n < DEATHS_MAX || page->watch.worker != HAND_IS_EMPTY)
        count_death(page);
    page->watch.worker = HAND_IS_EMPTY;
    hand->predecessor = page->predecessor;
    if (page->last_death.n >= DEATHS_MAX)
        hand->poison = page->last_death;
}

/* ---- open, close ---- */

static int map(struct hand *hand)
{
    int descriptor = open(hand->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0)
        return -errno;
    int result = file_room_take(descriptor, sizeof(struct page));
    void *page = result == 0 ? mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED,
                                    descriptor, 0)
                             : MAP_FAILED;
    if (result == 0 && page == MAP_FAILED)
        result = -errno;
    close(descriptor);
    hand->page = page == MAP_FAILED ? NULL : page;
    return result;
}

int hand_open(const char *path, struct hand **out)
{
    struct hand *hand = calloc(1, sizeof *hand);
    if (!hand)
        return -ENOMEM;
    hand->path = strdup(path);
    int result = hand->path ? map(hand) : -ENOMEM;
    if (result < 0) {
        hand_close(hand, false);
        return result;
    }
    take_over(hand);
    *out = hand;
    return 0;
}

void hand_close(struct hand *hand, bool is_done)
{
    if (!hand)
        return;
    if (hand->page)
        munmap(hand->page, sizeof *hand->page);
    if (is_done)
        unlink(hand->path);
    free(hand->path);
    free(hand);
}

/* ---- in use ---- */

uint64_t hand_predecessor(const struct hand *hand)
{
    return hand->predecessor;
}

void hand_note_committed(struct hand *hand, uint64_t epoch)
{
    hand->page->predecessor = epoch;
}

volatile struct hand_watch *hand_watch(struct hand *hand)
{
    return &hand->page->watch;
}

bool hand_is_poison(const struct hand *hand, uint32_t worker, const struct stream_id *stream,
                    int64_t seq)
{
    const struct death *poison = &hand->poison;
    return poison->n > 0 && poison->worker == worker && poison->epoch == stream->epoch &&
           poison->seq == seq;
}
