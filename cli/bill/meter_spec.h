/* meter_spec: a configuration's meter, described for those who pay by it. */
#ifndef WANMETER_CLI_BILL_METER_SPEC_H
#define WANMETER_CLI_BILL_METER_SPEC_H

#include <stdio.h>

#include "common/config.h"

/* Markdown. */
void meter_spec_write(const struct config *config, FILE *out);

#endif
