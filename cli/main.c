/* wanmeter: the program that a person types. The commands are in cmd_*.c. */
#include <argp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "common/log.h"

static const struct command commands[] = {
    {"replay", "meter capture files into a database", cmd_replay},
    {"run", "meter live interfaces until it is stopped", cmd_run},
    {"usage", "what was used: by account, WAN, direction, class, time", cmd_usage},
    {"flows", "the flow records", cmd_flows},
    {"losses", "what was lost, where and why", cmd_losses},
    {"audit", "prove that everything captured is counted or declared lost", cmd_audit},
    {"events", "follow what is happening: new, update, destroy, usage, loss", cmd_events},
    {"ct", "the connections of a running daemon: list, watch, update, delete", cmd_ct},
    {"seal", "close what is still open of the bill", cmd_seal},
    {"prune", "delete flow records, and with them addresses, of before a time", cmd_prune},
    {"sql", "ask the database anything, read-only", cmd_sql},
    {"config", "check a configuration, print an example or the reference", cmd_config},
    {"overhead", "what a packet costs on a link, by model", cmd_overhead},
    {"flowlabel", "leases of IPv6 flow labels, of a running daemon", cmd_flowlabel},
    {"account", "who pays for which addresses, in a running daemon", cmd_account},
    {"label", "names of label bits, of a running daemon", cmd_label},
    {"timeout", "timeouts with a name, and the defaults, of a running daemon", cmd_timeout},
    {"invoice", "what an account pays for a period", cmd_invoice},
    {"rerate", "a period with other tariffs or another overhead model", cmd_rerate},
    {"reconcile", "a WAN beside its operator's figure", cmd_reconcile},
    {"meter-spec", "what is counted, where and how: a document to publish", cmd_meter_spec},
    {"status", "the processes of a running daemon, and what holds them", cmd_status},
    {"key", "keys of tcp endpoints", cmd_key},
    {"doctor", "what of this machine would spoil a bill, and what mends it", cmd_doctor},
};

enum { COMMANDS_N = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fputs("Usage: wanmeter COMMAND [OPTION...]\n"
          "Meters what each connection, account and WAN used, and proves that it adds up.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n'wanmeter COMMAND --help' tells more; 'wanmeter --version' the version.\n"
          "Exit status: 0 ok, 1 failed, 2 usage or configuration error, 3 done but loss is "
          "declared,\n4 the audit does not add up, 5 no daemon answers.\n\n"
          "Examples:\n"
          "  wanmeter replay office.pcapng\n"
          "  wanmeter usage --by account,wan\n"
          "  wanmeter run --config /etc/wanmeter/wanmeter.yaml\n",
          out);
}

static enum exit_code refuse(const char *word)
{
    const char *names[COMMANDS_N];
    for (size_t i = 0; i < COMMANDS_N; i++)
        names[i] = commands[i].name;
    const char *nearest = suggest(word, names, COMMANDS_N);
    fprintf(stderr, "wanmeter: unknown %s '%s'", word[0] == '-' ? "option" : "command", word);
    if (nearest != NULL)
        fprintf(stderr, "; did you mean '%s'?", nearest);
    fputs("\nTry 'wanmeter --help'.\n", stderr);
    return EXIT_CODE_USAGE;
}

static enum exit_code run_command(const struct command *command, int argc, char **argv)
{
    char name[64];
    snprintf(name, sizeof name, "wanmeter %s", command->name);
    argv[0] = name;
    return command->run(argc, argv);
}

static enum exit_code dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_CODE_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s\n", argp_program_version);
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; i < COMMANDS_N; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return run_command(&commands[i], argc - 1, argv + 1);
    return refuse(argv[1]);
}

/* Also after --help, where argp ends the program: a full disk must not look like success. */
static void on_exit_flush(void)
{
    if (!output_finish())
        _exit(EXIT_CODE_RUNTIME);
}

/* A standard descriptor that the caller closed would be the next one to be opened here, and that be
 * read or written as if it were the standard one. What stands in for it can do neither. */
static void hold_standard_descriptors(void)
{
    static const int modes[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fcntl(i, F_GETFD) < 0 && open("/dev/null", modes[i]) != i)
            _exit(EXIT_CODE_RUNTIME);
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    log_open("wanmeter");
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of the write */
    argp_program_version = "wanmeter " WANMETER_VERSION;
    atexit(on_exit_flush);
    return (int)dispatch(argc, argv);
}
