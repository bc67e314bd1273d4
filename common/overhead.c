#include "common/overhead.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/overhead/overhead_words.h"

enum {
    IPV4_HEADER = 20,
    FRAGMENT_UNIT = 8,
    VLAN_TAG = 4,
    GROWTH_MAX = 8,
    VJ_SLOTS_MIN = 2, /* RFC 1332, section 4 */
    VJ_SLOTS_MAX = 16,
};

static const struct {
    const char *name;
    unsigned n_numbers;
} operations[OVERHEAD_OPERATIONS_N] = {
    [OVERHEAD_END] = {"", 0},
    [OVERHEAD_ADD] = {"add", 1},
    [OVERHEAD_MIN] = {"min", 1},
    [OVERHEAD_ALIGN] = {"align", 1},
    [OVERHEAD_ALIGN_CLAMPED] = {"alignclamp", 2},
    [OVERHEAD_CELLS] = {"cells", 2},
    [OVERHEAD_PER_BLOCK] = {"perblock", 1},
    [OVERHEAD_RATIO] = {"ratio", 2},
    [OVERHEAD_FRAGMENT_IPV4] = {"frag4", 1},
    [OVERHEAD_TABLE] = {"", 0},
    [OVERHEAD_VJ] = {"vj", 2},
    [OVERHEAD_ESTIMATE] = {"", 0},
};

/* ---- billing ---- */

static uint64_t divide_up(uint64_t length, uint64_t by)
{
    return (length + by - 1) / by;
}

static uint64_t add(uint64_t length, int32_t bytes)
{
    if (bytes >= 0)
        return length + (uint64_t)bytes;
    uint64_t less = (uint64_t) - (int64_t)bytes;
    return length > less ? length - less : 0;
}

/* As WireGuard pads: what is over a multiple of the MTU is aligned, but never beyond the MTU. */
static uint64_t align_clamped(uint64_t length, uint64_t unit, uint64_t mtu)
{
    uint64_t last = length > mtu ? length % mtu : length;
    uint64_t padded = divide_up(last, unit) * unit;
    return length - last + (padded < mtu ? padded : mtu);
}

/* Each fragment but the last carries a multiple of 8 bytes. Source: RFC 791, section 3.2. */
static uint64_t fragment_ipv4(uint64_t length, uint64_t mtu)
{
    if (length <= mtu)
        return length;
    uint64_t payload = length - IPV4_HEADER;
    uint64_t each = (mtu - IPV4_HEADER) / FRAGMENT_UNIT * FRAGMENT_UNIT;
    return payload + divide_up(payload, each) * IPV4_HEADER;
}

static uint64_t apply(const struct overhead_step *step, uint64_t length)
{
    assert(step->operation > OVERHEAD_END && step->operation < OVERHEAD_OPERATIONS_N);
    uint64_t a = (uint64_t)step->a, b = (uint64_t)step->b;
    switch (step->operation) {
    case OVERHEAD_ADD:
        return add(length, step->a);
    case OVERHEAD_MIN:
        return length > a ? length : a;
    case OVERHEAD_ALIGN:
        return divide_up(length, a) * a;
    case OVERHEAD_ALIGN_CLAMPED:
        return align_clamped(length, a, b);
    case OVERHEAD_CELLS:
        return divide_up(length, a) * b;
    case OVERHEAD_PER_BLOCK:
        return length + divide_up(length, a);
    case OVERHEAD_RATIO:
        return length * a;
    case OVERHEAD_FRAGMENT_IPV4:
        return fragment_ipv4(length, a);
    case OVERHEAD_TABLE:
        return overhead_table_bytes(step, length);
    case OVERHEAD_VJ:
    case OVERHEAD_ESTIMATE:
    case OVERHEAD_END:
    case OVERHEAD_OPERATIONS_N:
        break;
    }
    return length;
}

uint64_t overhead_billed_parts(const struct overhead *model, uint32_t l3_bytes)
{
    if (l3_bytes == 0)
        return 0;
    uint64_t length = l3_bytes;
    for (unsigned i = 0; i < OVERHEAD_STEPS_MAX && model->steps[i].operation != OVERHEAD_END; i++)
        length = apply(&model->steps[i], length);
    return length;
}

uint32_t overhead_parts(const struct overhead *model)
{
    for (unsigned i = 0; i < OVERHEAD_STEPS_MAX; i++) {
        if (model->steps[i].operation == OVERHEAD_RATIO)
            return (uint32_t)model->steps[i].b;
    }
    return 1;
}

bool overhead_is_estimated(const struct overhead *model)
{
    return model->steps[0].operation == OVERHEAD_ESTIMATE ||
           model->steps[1].operation == OVERHEAD_ESTIMATE;
}

uint64_t overhead_billed_bytes(const struct overhead *model, uint32_t l3_bytes)
{
    return overhead_billed_parts(model, l3_bytes) / overhead_parts(model);
}

/* ---- names ---- */

static const struct overhead *find(const char *name, size_t length)
{
    static const char prefix[] = "cake:";
    if (length > sizeof(prefix) - 1 && memcmp(name, prefix, sizeof(prefix) - 1) == 0) {
        name += sizeof(prefix) - 1;
        length -= sizeof(prefix) - 1;
    }
    for (size_t i = 0; i < overhead_presets_n; i++) {
        const char *preset = overhead_presets[i].name;
        if (strlen(preset) == length && memcmp(preset, name, length) == 0)
            return &overhead_presets[i];
    }
    return NULL;
}

const struct overhead *overhead_find(const char *name)
{
    return find(name, strlen(name));
}

/* ---- compositions ---- */

struct making {
    struct overhead *model;
    unsigned n_steps;
    unsigned part_start; /* the first step of the name before; n_steps: there is none */
};

/* A step may make a length at most GROWTH_MAX times as long: 8 steps fit 64 bits. */
static bool step_is_valid(const struct overhead_step *step)
{
    switch (step->operation) {
    case OVERHEAD_ADD:
        return true;
    case OVERHEAD_MIN:
        return step->a >= 0;
    case OVERHEAD_ALIGN:
    case OVERHEAD_PER_BLOCK:
        return step->a > 0;
    case OVERHEAD_ALIGN_CLAMPED:
        return step->a > 0 && step->b >= step->a;
    case OVERHEAD_CELLS:
        return step->a > 0 && step->b >= step->a && step->b <= GROWTH_MAX * step->a;
    case OVERHEAD_RATIO:
        return step->a > 0 && step->b > 0 && step->a <= GROWTH_MAX * step->b;
    case OVERHEAD_FRAGMENT_IPV4:
        return step->a >= IPV4_HEADER + FRAGMENT_UNIT;
    case OVERHEAD_TABLE:
    case OVERHEAD_ESTIMATE:
        return true;
    case OVERHEAD_VJ:
        return step->a >= VJ_SLOTS_MIN && step->a <= VJ_SLOTS_MAX && (step->b | 1) == 1;
    case OVERHEAD_END:
    case OVERHEAD_OPERATIONS_N:
        break;
    }
    return false;
}

/* Headers are compressed before anything is put around them: TCP's, UDP's, or both. */
static bool is_after_compression(const struct making *making)
{
    for (unsigned i = 0; i < making->n_steps; i++)
        if (making->model->steps[i].operation != OVERHEAD_VJ &&
            making->model->steps[i].operation != OVERHEAD_ESTIMATE)
            return false;
    return making->n_steps < 2;
}

static bool making_add(struct making *making, const struct overhead_step *step)
{
    bool is_after_ratio = making->n_steps > 0 &&
                          making->model->steps[making->n_steps - 1].operation == OVERHEAD_RATIO;
    bool is_compression = step->operation == OVERHEAD_VJ || step->operation == OVERHEAD_ESTIMATE;
    if (making->n_steps == OVERHEAD_STEPS_MAX || is_after_ratio || !step_is_valid(step) ||
        (is_compression && !is_after_compression(making)))
        return false;
    making->model->steps[making->n_steps++] = *step;
    return true;
}

static bool making_add_preset(struct making *making, const struct overhead *preset)
{
    making->part_start = making->n_steps;
    for (unsigned i = 0; i < OVERHEAD_STEPS_MAX && preset->steps[i].operation != OVERHEAD_END;
         i++) {
        if (!making_add(making, &preset->steps[i]))
            return false;
    }
    return true;
}

/* The tag lies within the frame: before the name's minimum, cells or blocks. */
static bool making_add_tag(struct making *making)
{
    for (unsigned i = making->part_start; i < making->n_steps; i++) {
        struct overhead_step *step = &making->model->steps[i];
        if (step->operation == OVERHEAD_ADD) {
            step->a += VLAN_TAG;
            return true;
        }
    }
    return false;
}

/* A number of a step: decimal, followed by 'end'. Moves '*text' behind that. */
static bool number_read(const char **text, char end, int32_t *number)
{
    char *behind;
    if (**text != '-' && (**text < '0' || **text > '9'))
        return false;
    errno = 0;
    long value = strtol(*text, &behind, 10);
    if (errno != 0 || behind == *text || *behind != end || labs(value) > OVERHEAD_NUMBER_MAX)
        return false;
    *number = (int32_t)value;
    *text = behind + 1;
    return true;
}

/* "name(a)" or "name(a,b)", which is 'length' long. */
static bool step_read(const char *text, size_t length, struct overhead_step *step)
{
    const char *open = memchr(text, '(', length);
    if (open == NULL)
        return false;
    const char *end = text + length;
    size_t name_length = (size_t)(open - text);
    for (unsigned i = OVERHEAD_ADD; i < OVERHEAD_OPERATIONS_N; i++) {
        if (strlen(operations[i].name) != name_length ||
            memcmp(operations[i].name, text, name_length) != 0)
            continue;
        *step = (struct overhead_step){.operation = (enum overhead_operation)i};
        const char *at = open + 1;
        if (operations[i].n_numbers == 1)
            return number_read(&at, ')', &step->a) && at == end;
        return number_read(&at, ',', &step->a) && number_read(&at, ')', &step->b) && at == end;
    }
    return false;
}

static bool words_read(struct making *making, const char *part, size_t length, char *why)
{
    struct overhead_step steps[OVERHEAD_WORDS_STEPS_MAX];
    if (!overhead_words_read(part, length, steps, why))
        return false;
    making->part_start = making->n_steps;
    for (unsigned i = 0; i < OVERHEAD_WORDS_STEPS_MAX && steps[i].operation != OVERHEAD_END; i++) {
        if (!making_add(making, &steps[i]))
            return false;
    }
    return true;
}

static bool part_read(struct making *making, const char *part, size_t length, char *why)
{
    static const char tag[] = "ether-vlan";
    if (length == sizeof(tag) - 1 && memcmp(part, tag, length) == 0)
        return making_add_tag(making);
    const struct overhead *preset = find(part, length);
    if (preset != NULL)
        return making_add_preset(making, preset);
    if (memchr(part, ' ', length) != NULL)
        return words_read(making, part, length, why);
    struct overhead_step step;
    if (!step_read(part, length, &step) || !making_add(making, &step))
        return false;
    making->part_start = making->n_steps;
    return true;
}

bool overhead_make_or_tell(const char *text, struct overhead *model, char why[OVERHEAD_WHY_SIZE])
{
    struct making making = {.model = model};
    *model = (struct overhead){0};
    why[0] = '\0';
    for (;;) {
        size_t length = strcspn(text, "+");
        if (!part_read(&making, text, length, why))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

bool overhead_make(const char *text, struct overhead *model)
{
    char why[OVERHEAD_WHY_SIZE];
    return overhead_make_or_tell(text, model, why);
}
