#include "proto/clock_step.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const WORDS[] = {"clock", "step"};

enum { N_WORDS = 3, NUMBER_SIZE = 24 };

void clock_step_change(int64_t step_ns, struct change *change)
{
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%" PRId64, step_ns);
    const char *words[N_WORDS] = {WORDS[0], WORDS[1], number};
    *change = (struct change){0};
    bool fits = change_set_words(change, words, N_WORDS);
    assert(fits);
    (void)fits;
}

bool clock_step_of(const struct change *change, int64_t *step_ns)
{
    if (change->id != 0 || change->n_words != N_WORDS || strcmp(change->words[0], WORDS[0]) != 0 ||
        strcmp(change->words[1], WORDS[1]) != 0)
        return false;
    char *end;
    errno = 0;
    *step_ns = strtoll(change->words[2], &end, 10);
    return errno == 0 && end != change->words[2] && *end == '\0';
}

void bill_clock_step(struct bill_clock *clock, int64_t clock_ns, int64_t step_ns)
{
    clock->least_ns = bill_clock_at(clock, clock_ns);
    clock->step_ns = step_ns;
    clock->has_stepped = true;
}

void bill_clock_resume(struct bill_clock *clock, int64_t bill_ns, int64_t step_ns)
{
    *clock = (struct bill_clock){.step_ns = step_ns, .least_ns = bill_ns, .has_stepped = true};
}

int64_t bill_clock_stream(int64_t bill_ns, int64_t step_ns, int64_t now_ns, bool *is_certain)
{
    bool has_stepped = step_ns > CLOCK_STEP_NOISE_NS || step_ns < -CLOCK_STEP_NOISE_NS;
    int64_t clock_ns = has_stepped && bill_ns > 0 ? bill_ns - step_ns : bill_ns;
    *is_certain = !has_stepped && clock_ns <= now_ns;
    return clock_ns < now_ns ? clock_ns : now_ns;
}
