/* account_internal: what the rooms of account.c share. Only they include it. */
#ifndef WANMETER_TRACKER_ACCOUNT_INTERNAL_H
#define WANMETER_TRACKER_ACCOUNT_INTERNAL_H

#include "common/account_names.h"
#include "tracker/account.h"
#include "tracker/account/prefix_table.h"

struct account_table {
    struct account_names names;
    struct prefix_table prefixes;
};

#endif
