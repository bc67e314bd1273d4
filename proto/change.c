#include "proto/change.h"

#include <assert.h>
#include <string.h>

#include "change.pb-c.h"
#include "proto/envelope.h"

bool change_set_words(struct change *change, const char *const *words, size_t n_words)
{
    size_t used = 0;
    if (n_words > CHANGE_WORDS_MAX)
        return false;
    for (size_t i = 0; i < n_words; i++) {
        size_t size = strlen(words[i]) + 1;
        if (size > sizeof change->text - used)
            return false;
        change->words[i] = memcpy(change->text + used, words[i], size);
        used += size;
    }
    change->n_words = n_words;
    change->words[n_words] = NULL;
    return true;
}

size_t change_encode(const struct change *change, uint8_t *room)
{
    assert(change->n_words <= CHANGE_WORDS_MAX);
    ProtobufCBinaryData words[CHANGE_WORDS_MAX];
    for (size_t i = 0; i < change->n_words; i++)
        words[i] = (ProtobufCBinaryData){.len = strlen(change->words[i]),
                                         .data = (uint8_t *)(uintptr_t)change->words[i]};
    Wanmeter__Change wire = WANMETER__CHANGE__INIT;
    wire.id = change->id;
    wire.time_ns = change->time_ns;
    wire.n_words = change->n_words;
    wire.words = words;
    wire.pid = change->pid;
    wire.uid = change->uid;
    wire.seed = change->seed;
    wire.is_restored = change->is_restored;
    if (wanmeter__change__get_packed_size(&wire) > PACKET_PAYLOAD_MAX)
        return 0;
    return wanmeter__change__pack(&wire, room);
}

/* The wire's words, if none holds a NUL. */
static bool copy_words(const Wanmeter__Change *wire, struct change *change)
{
    size_t used = 0;
    if (wire->n_words > CHANGE_WORDS_MAX)
        return false;
    for (size_t i = 0; i < wire->n_words; i++) {
        const ProtobufCBinaryData *word = &wire->words[i];
        bool has_nul = word->len > 0 && memchr(word->data, '\0', word->len) != NULL;
        if (has_nul || word->len >= sizeof change->text - used)
            return false;
        change->words[i] = change->text + used;
        if (word->len > 0)
            memcpy(change->text + used, word->data, word->len);
        change->text[used + word->len] = '\0';
        used += word->len + 1;
    }
    change->n_words = wire->n_words;
    change->words[wire->n_words] = NULL;
    return true;
}

bool change_decode(const uint8_t *bytes, size_t size, struct change *change)
{
    struct arena *arena = arena_create(size);
    if (!arena)
        return false;
    Wanmeter__Change *wire = wanmeter__change__unpack(&arena->allocator, size, bytes);
    bool is_ours = wire && wire->base.n_unknown_fields == 0 && copy_words(wire, change);
    if (is_ours) {
        change->id = wire->id;
        change->time_ns = wire->time_ns;
        change->pid = wire->pid;
        change->uid = wire->uid;
        change->seed = wire->seed;
        change->is_restored = wire->is_restored;
    }
    arena_destroy(arena);
    return is_ours;
}
