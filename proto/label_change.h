/* label_change: what a change does to the names of label bits, wherever they are known.
 *
 *     bit = label_change_apply(&names, &change);
 *
 *     label add NAME [BIT] [sticky]
 *     label remove NAME
 *
 * Without BIT the name gets the lowest bit that never had one. The same names and the same change
 * give the same names. */
#ifndef WANMETER_PROTO_LABEL_CHANGE_H
#define WANMETER_PROTO_LABEL_CHANGE_H

#include "common/labels.h"
#include "proto/change.h"

/* Is it one of these? */
bool label_change_is(const struct change *change);

/* The bit; or -EBADMSG: no such words; or as label_names_add() and label_names_remove(). */
int label_change_apply(struct label_names *names, const struct change *change);

#endif
