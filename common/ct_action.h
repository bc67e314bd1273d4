/* ct_action: what a rule does, from its text: "commit,zone=9,mark=0x5/0xff,label=gold".
 *
 *     if (!ct_action_read(config, rule->ct, &action, &complaint))
 *         … complaint.offset is where in the text, complaint.value what is wrong
 *     connection->mark = ct_mark_write(connection->mark, action.mark, action.mark_mask);
 *
 * The words are those of Open vSwitch's ct() and of nftables' ct statements. A value lies inside
 * its mask, a mask is not 0, no attribute is given twice; what sets something of the connection
 * needs 'commit'. Names are those of the configuration that is passed. Source: openvswitch's
 * ovs-actions(7), "ct"; the checks of Linux net/netfilter's and net/openvswitch's parsers. */
#ifndef WANMETER_COMMON_CT_ACTION_H
#define WANMETER_COMMON_CT_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/config/config_value.h"
#include "common/helper_names.h"
#include "common/labels.h"

enum ct_attribute {
    CT_ACTION_COMMIT = 1 << 0,  /* makes a connection; without, rules only look one up */
    CT_ACTION_NOTRACK = 1 << 1, /* no connection, no look-up */
    CT_ACTION_ZONE = 1 << 2,
    CT_ACTION_MARK = 1 << 3,
    CT_ACTION_LABEL = 1 << 4,
    CT_ACTION_HELPER = 1 << 5,
    CT_ACTION_TIMEOUT = 1 << 6,
    CT_ACTION_ACCOUNT = 1 << 7,
    CT_ACTION_CLASS = 1 << 8,

    /* What is done to every packet before its connection is looked up. */
    CT_ACTION_BEFORE_LOOKUP = CT_ACTION_ZONE | CT_ACTION_NOTRACK,
};

struct ct_action {
    uint32_t attributes; /* enum ct_attribute: which of what follows is set */
    uint32_t mark, mark_mask;
    uint8_t labels[LABELS_SIZE], labels_mask[LABELS_SIZE];
    uint16_t zone;
    uint16_t account;    /* index into config.accounts + 1, as in records */
    uint8_t class_index; /* CONFIG_CLASS_FIRST + index into config.classes */
    uint8_t helper;      /* enum helper_number */
    const char *timeout; /* within the text that was read: not ended by NUL */
    size_t timeout_length;
};

struct ct_complaint {
    size_t offset; /* in the text, bytes: where what is wrong begins */
    char got[64];  /* empty: nothing to show */
    struct config_complaint value;
};

/* False: 'complaint' says why. */
bool ct_action_read(const struct config *config, const char *text, struct ct_action *action,
                    struct ct_complaint *complaint);

/* "V" or "V/M", decimal or with 0x; without a mask all bits are meant. The value may have bits
 * outside the mask. */
bool ct_mark_read(const char *text, uint32_t *value, uint32_t *mask,
                  struct config_complaint *complaint);

/* The same of labels: "0x…[/0x…]", or the name of one. */
bool ct_labels_read(const struct label_names *names, const char *text, uint8_t value[LABELS_SIZE],
                    uint8_t mask[LABELS_SIZE], struct config_complaint *complaint);

/* As Linux's ctnetlink: (old & ~mask) ^ value. With a value inside its mask, the only ones that a
 * rule has, the bits of the mask become the value's and all others stay. */
static inline uint32_t ct_mark_write(uint32_t old, uint32_t value, uint32_t mask)
{
    return (old & ~mask) ^ value;
}

#endif
