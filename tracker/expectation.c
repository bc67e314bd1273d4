#include "tracker/expectation.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct expectation_table {
    struct expectation *items;
    struct expectation *free; /* linked by next_in_bucket */
    struct expectation **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_max;
    size_t n;
    struct expectation_counters counters;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

int expectation_table_create(size_t n_max, struct expectation_table **out)
{
    assert(n_max > 0);
    struct expectation_table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    table->n_max = n_max;
    table->n_buckets = 1;
    while (table->n_buckets < n_max)
        table->n_buckets *= 2;
    table->items = calloc(n_max, sizeof *table->items);
    table->buckets = calloc(table->n_buckets, sizeof(struct expectation *));
    randombytes_buf(table->hash_key, sizeof table->hash_key);
    if (!table->items || !table->buckets) {
        expectation_table_destroy(table);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n_max; i++) {
        table->items[i].next_in_bucket = table->free;
        table->free = &table->items[i];
    }
    *out = table;
    return 0;
}

void expectation_table_destroy(struct expectation_table *table)
{
    if (!table)
        return;
    free(table->items);
    free(table->buckets);
    free(table);
}

size_t expectation_table_count(const struct expectation_table *table)
{
    return table->n;
}

const struct expectation_counters *expectation_table_counters(const struct expectation_table *table)
{
    return &table->counters;
}

/* ---- what fits what ---- */

/* By what no mask leaves open. */
static struct expectation **bucket_of(const struct expectation_table *table,
                                      const struct expectation_key *key)
{
    uint8_t content[22] = {0};
    memcpy(content, key->destination_address, 16);
    memcpy(content + 16, &key->destination_port, 2);
    memcpy(content + 18, &key->zone, 2);
    content[20] = key->protocol;
    content[21] = key->ip_version;
    uint64_t hash;
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash-2-4 gives 64 bits");
    crypto_shorthash((uint8_t *)&hash, content, sizeof content, table->hash_key);
    return &table->buckets[hash & (table->n_buckets - 1)];
}

static bool is_same_destination(const struct expectation_key *a, const struct expectation_key *b)
{
    return memcmp(a->destination_address, b->destination_address, 16) == 0 &&
           a->destination_port == b->destination_port && a->zone == b->zone &&
           a->protocol == b->protocol && a->ip_version == b->ip_version;
}

static bool fits(const struct expectation *expectation, const struct expectation_key *key)
{
    const struct expectation_key *own = &expectation->key;
    return is_same_destination(own, key) &&
           (expectation->is_any_address ||
            memcmp(own->source_address, key->source_address, 16) == 0) &&
           (expectation->is_any_port || own->source_port == key->source_port);
}

static bool is_equal(const struct expectation *a, const struct expectation *b)
{
    return a->is_any_address == b->is_any_address && a->is_any_port == b->is_any_port &&
           a->key.source_port == b->key.source_port &&
           memcmp(a->key.source_address, b->key.source_address, 16) == 0 &&
           is_same_destination(&a->key, &b->key);
}

/* Is there a packet that both fit? */
static bool is_clash(const struct expectation *a, const struct expectation *b)
{
    return is_same_destination(&a->key, &b->key) &&
           (a->is_any_address || b->is_any_address ||
            memcmp(a->key.source_address, b->key.source_address, 16) == 0) &&
           (a->is_any_port || b->is_any_port || a->key.source_port == b->key.source_port);
}

static bool is_over(const struct expectation *expectation, int64_t clock_ns)
{
    return expectation->expires_ns <= clock_ns || expectation->master->expires_ns <= clock_ns;
}

/* ---- changes ---- */

static void unlink_from(struct expectation **first, struct expectation *expectation, bool by_master)
{
    while (*first != expectation) {
        assert(*first);
        first = by_master ? &(*first)->next_of_master : &(*first)->next_in_bucket;
    }
    *first = by_master ? expectation->next_of_master : expectation->next_in_bucket;
}

void expectation_table_remove(struct expectation_table *table, struct expectation *expectation)
{
    unlink_from(bucket_of(table, &expectation->key), expectation, false);
    unlink_from(&expectation->master->extra->expectations, expectation, true);
    expectation->next_in_bucket = table->free;
    table->free = expectation;
    table->n--;
}

void expectation_table_forget(struct expectation_table *table, struct connection *master)
{
    while (master->extra && master->extra->expectations)
        expectation_table_remove(table, master->extra->expectations);
}

void expectation_table_use(struct expectation_table *table, struct expectation *expectation)
{
    table->counters.n_used++;
    bool fits_one = !expectation->is_any_address && !expectation->is_any_port;
    if (fits_one && !expectation->is_lasting)
        expectation_table_remove(table, expectation);
}

/* Removes what is over among those of a bucket, or of a master. */
static void clear_bucket(struct expectation_table *table, struct expectation **bucket,
                         int64_t clock_ns)
{
    for (struct expectation *next, *item = *bucket; item; item = next) {
        next = item->next_in_bucket;
        if (is_over(item, clock_ns))
            expectation_table_remove(table, item);
    }
}

static void clear_master(struct expectation_table *table, struct connection *master,
                         int64_t clock_ns)
{
    for (struct expectation *next, *item = master->extra->expectations; item; item = next) {
        next = item->next_of_master;
        if (is_over(item, clock_ns))
            expectation_table_remove(table, item);
    }
}

struct expectation *expectation_table_find(struct expectation_table *table,
                                           const struct expectation_key *key, int64_t clock_ns)
{
    if (table->n == 0)
        return NULL;
    for (struct expectation *item = *bucket_of(table, key); item; item = item->next_in_bucket)
        if (!item->is_inactive && fits(item, key) && !is_over(item, clock_ns))
            return item;
    return NULL;
}

/* Looks at those in the way: an equal one goes, or will do; another that could be meant refuses. */
static enum expectation_result clear_the_way(struct expectation_table *table,
                                             struct expectation *const *bucket,
                                             const struct expectation *wanted)
{
    for (struct expectation *next, *item = *bucket; item; item = next) {
        next = item->next_in_bucket;
        bool is_own = item->master == wanted->master;
        if ((is_own || wanted->is_shared) && is_equal(item, wanted)) {
            if (!is_own || item->class_index != wanted->class_index)
                return EXPECTATION_KNOWN;
            expectation_table_remove(table, item);
            break;
        }
        if (is_clash(item, wanted))
            return EXPECTATION_BUSY;
    }
    return EXPECTATION_ADDED;
}

/* The oldest of the class goes while there are too many. */
static void make_room(struct expectation_table *table, const struct expectation *wanted,
                      size_t expectations_max)
{
    struct expectation *oldest = NULL;
    size_t n = 0;
    for (struct expectation *item = wanted->master->extra->expectations; item;
         item = item->next_of_master) {
        if (item->class_index != wanted->class_index)
            continue;
        oldest = item;
        n++;
    }
    if (oldest && n >= expectations_max)
        expectation_table_remove(table, oldest);
}

static void insert(struct expectation_table *table, struct expectation **bucket,
                   const struct expectation *wanted, int64_t expires_ns)
{
    struct expectation *item = table->free;
    struct connection_extra *extra = wanted->master->extra;
    table->free = item->next_in_bucket;
    *item = *wanted;
    item->expires_ns = expires_ns;
    item->next_in_bucket = *bucket;
    item->next_of_master = extra->expectations;
    *bucket = item;
    extra->expectations = item;
    table->n++;
    table->counters.n_added++;
}

enum expectation_result expectation_table_add(struct expectation_table *table,
                                              const struct expectation *wanted,
                                              const struct expectation_policy *policy,
                                              int64_t clock_ns)
{
    struct expectation **bucket = bucket_of(table, &wanted->key);
    clear_bucket(table, bucket, clock_ns);
    clear_master(table, wanted->master, clock_ns);
    enum expectation_result result = clear_the_way(table, bucket, wanted);
    if (result != EXPECTATION_ADDED) {
        table->counters.n_busy += result == EXPECTATION_BUSY;
        return result;
    }
    make_room(table, wanted, policy->expectations_max);
    for (size_t i = 0; i < table->n_buckets && table->n == table->n_max; i++)
        clear_bucket(table, &table->buckets[i], clock_ns);
    if (table->n == table->n_max) {
        table->counters.n_full++;
        return EXPECTATION_FULL;
    }
    insert(table, bucket, wanted, clock_ns + policy->timeout_ns);
    return EXPECTATION_ADDED;
}
