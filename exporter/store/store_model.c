/* An overhead model's definition as text, and its hash: what a record's model was when it was
 * counted, whatever its name comes to mean later. */
#include "exporter/store/store_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/overhead.h"
#include "proto/seal.h"

static const char *const operation_names[OVERHEAD_OPERATIONS_N] = {
    [OVERHEAD_ADD] = "add",           [OVERHEAD_MIN] = "min",
    [OVERHEAD_ALIGN] = "align",       [OVERHEAD_ALIGN_CLAMPED] = "alignclamp",
    [OVERHEAD_CELLS] = "cells",       [OVERHEAD_PER_BLOCK] = "perblock",
    [OVERHEAD_RATIO] = "ratio",       [OVERHEAD_FRAGMENT_IPV4] = "frag4",
    [OVERHEAD_TABLE] = "table",       [OVERHEAD_VJ] = "vj",
    [OVERHEAD_ESTIMATE] = "estimate",
};

/* A table's third number is how it is looked up. */
static size_t put_step(const struct overhead_step *step, bool is_next, char *text, size_t size)
{
    const char *joint = is_next ? "+" : "", *name = operation_names[step->operation];
    int length =
        step->operation == OVERHEAD_TABLE
            ? snprintf(text, size, "%s%s(%" PRId32 ",%" PRId32 ",%" PRId32 ")", joint, name,
                       step->a, step->b, step->c)
            : snprintf(text, size, "%s%s(%" PRId32 ",%" PRId32 ")", joint, name, step->a, step->b);
    return (size_t)length;
}

void store_model_definition(const char *name, struct store_model *model)
{
    struct overhead overhead;
    bool is_known = overhead_make(name, &overhead);
    size_t length = 0;
    model->definition[0] = '\0';
    for (size_t i = 0; is_known && i < OVERHEAD_STEPS_MAX; i++) {
        const struct overhead_step *step = &overhead.steps[i];
        if (step->operation == OVERHEAD_END)
            break;
        length +=
            put_step(step, i > 0, model->definition + length, sizeof model->definition - length);
        assert(length < sizeof model->definition);
    }
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const uint8_t *)model->definition, length);
    seal_hex(hash, model->sha256);
}
