/* control_client: what a command asks of a running daemon, or has it change.
 *
 *     code = control_client_open(run_directory, &client);     NULL: that of the one daemon here
 *     code = control_client_change(client, (const char *[]){"timeout", "delete", "short", NULL},
 *                                  &outcome);                 returns when every shard has done it
 *     if (code == EXIT_CODE_OK && outcome.error)
 *         code = control_client_refused("wanmeter timeout", &outcome);     "…: File exists: …"
 *     code = control_client_query(client, CONTROL_FIRST_SHARD,
 *                                 (const char *[]){"timeout", "list", NULL}, on_reply, state);
 *     control_client_close(client);
 *
 * A change waits for its place among the packets: on a quiet link up to 2 s (the clock follows the
 * wall that far behind). Whatever the code says but OK has been logged: EXIT_CODE_UNREACHABLE:
 * nobody answers, or answers us. Sockets: proto/control.proto. Not thread-safe. */
#ifndef WANMETER_CLI_CONTROL_CLIENT_H
#define WANMETER_CLI_CONTROL_CLIENT_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cmd.h"
#include "control.pb-c.h"
#include "proto/change.h"

struct control_client;

/* --run-directory (-r): a child parser; its input is a const char *, NULL at first. */
extern const struct argp control_client_argp;

enum exit_code control_client_open(const char *run_directory, struct control_client **out);
void control_client_close(struct control_client *client); /* accepts NULL */

/* What became of a change, in all shards. */
struct control_outcome {
    int error;      /* errno; 0: done, in one shard at least */
    uint64_t count; /* of "ct …": what it was done to, in all shards; others: in one (all alike) */
    uint64_t change_id;
    int64_t time_ns; /* packet time */
    char answer[CHANGE_ANSWER_MAX + 1];
};

/* 'words' end with NULL. */
enum exit_code control_client_change(struct control_client *client, const char *const *words,
                                     struct control_outcome *outcome);

/* Says on standard error what the outcome's error means; returns EXIT_CODE_RUNTIME. */
enum exit_code control_client_refused(const char *command, const struct control_outcome *outcome);

enum { CONTROL_EVERY_SHARD = -1, CONTROL_FIRST_SHARD = 0 }; /* or any other shard's number */

/* One portion of an answer, borrowed for the call: 'rows' of text under 'columns', 'connections',
 * 'count'. A reply with an 'error' is the last. False: enough. */
typedef bool (*control_reply_fn)(void *state, uint32_t shard,
                                 const Wanmeter__Control__Reply *reply);

/* Gives 'on_reply' all portions, shard after shard. What is the same in every shard (policies,
 * labels, leases) is asked of the first. */
enum exit_code control_client_query(struct control_client *client, int shard,
                                    const char *const *words, control_reply_fn on_reply,
                                    void *state);

/* The text of one value of a row; "" where it has none. The caller's room. */
enum { CONTROL_VALUE_MAX = 4096 };
const char *control_client_value(const Wanmeter__Control__Row *row, size_t column,
                                 char text[CONTROL_VALUE_MAX + 1]);

#endif
