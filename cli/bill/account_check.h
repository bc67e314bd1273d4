/* account_check: does the database know the name? */
#ifndef WANMETER_CLI_BILL_ACCOUNT_CHECK_H
#define WANMETER_CLI_BILL_ACCOUNT_CHECK_H

#include "cli/cmd.h"
#include "cli/database.h"

/* EXIT_CODE_USAGE after a message with the nearest name, if it does not. */
enum exit_code account_check(struct database *database, const char *account);
enum exit_code account_check_wan(struct database *database, const char *wan);

#endif
