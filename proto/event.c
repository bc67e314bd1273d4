#include "proto/event.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "event.pb-c.h"

/* The generated names, shortened. */
typedef Wanmeter__Event__Event wire_event;
