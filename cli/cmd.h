/* cmd: the commands of the program 'wanmeter', one function and one file each.
 *
 * A command gets its own name as argv[0] ("wanmeter replay"), parses with options_parse() and
 * returns one of enum exit_code. It prints results on standard output and everything else on
 * standard error. */
#ifndef WANMETER_CLI_CMD_H
#define WANMETER_CLI_CMD_H

/* What the program's exit status means, for scripts (docs/cli.md). */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_RUNTIME = 1,     /* something failed while it ran: a file, a process, a full disk */
    EXIT_CODE_USAGE = 2,       /* the command line, the configuration or the database is wrong */
    EXIT_CODE_LOSS = 3,        /* done, but loss is declared, not all input was read, or the doctor
                                  found something */
    EXIT_CODE_MISMATCH = 4,    /* the audit does not add up */
    EXIT_CODE_UNREACHABLE = 5, /* no daemon answers */
};

struct command {
    const char *name;
    const char *help; /* one line */
    enum exit_code (*run)(int argc, char **argv);
};

enum exit_code cmd_replay(int argc, char **argv);
enum exit_code cmd_run(int argc, char **argv);
enum exit_code cmd_usage(int argc, char **argv);
enum exit_code cmd_flows(int argc, char **argv);
enum exit_code cmd_losses(int argc, char **argv);
enum exit_code cmd_audit(int argc, char **argv);
enum exit_code cmd_events(int argc, char **argv);
enum exit_code cmd_ct(int argc, char **argv);
enum exit_code cmd_seal(int argc, char **argv);
enum exit_code cmd_prune(int argc, char **argv);
enum exit_code cmd_sql(int argc, char **argv);
enum exit_code cmd_config(int argc, char **argv);
enum exit_code cmd_overhead(int argc, char **argv);
enum exit_code cmd_account(int argc, char **argv);
enum exit_code cmd_label(int argc, char **argv);
enum exit_code cmd_timeout(int argc, char **argv);
enum exit_code cmd_flowlabel(int argc, char **argv);
enum exit_code cmd_invoice(int argc, char **argv);
enum exit_code cmd_rerate(int argc, char **argv);
enum exit_code cmd_meter_spec(int argc, char **argv);
enum exit_code cmd_reconcile(int argc, char **argv);
enum exit_code cmd_status(int argc, char **argv);
enum exit_code cmd_key(int argc, char **argv);
enum exit_code cmd_doctor(int argc, char **argv);

#endif
