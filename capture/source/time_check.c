#include "capture/source/time_check.h"

#include <assert.h>

void time_check_init(struct time_check *check, int64_t jump_max_ns)
{
    assert(jump_max_ns >= 0);
    *check = (struct time_check){.jump_max_ns = (uint64_t)jump_max_ns};
}
