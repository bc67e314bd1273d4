#include "cli/control_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/daemon.h"
#include "common/bus.h"
#include "common/log.h"
#include "proto/control.h"

enum {
    SOCKETS_MAX = 1 + 64, /* change.sock, then each shard's */
    CONNECT_MS = 3000,
    ANSWER_MS = 20000,
    RETRY_MS = 5,
    RESULT_RETRY_MS = 10,
    NS_PER_MS = 1000000,
};

/* Where a socket is in the client's list. */
enum { CHANGE_SOCKET, FIRST_SHARD_SOCKET };

struct control_client {
    char directory[DAEMON_PATH_MAX + 1];
    struct bus *bus;
    struct bus_socket *sockets[SOCKETS_MAX];
    Wanmeter__Control__Reply *reply; /* the last one; NULL: none came */
    uint32_t n_shards;
};

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    if (key != 'r')
        return ARGP_ERR_UNKNOWN;
    *(const char **)state->input = argument;
    return 0;
}

const struct argp control_client_argp = {
    .options =
        (const struct argp_option[]){
            {"run-directory", 'r', "DIR", 0,
             "Where the daemon's sockets are (default: that of the one daemon here)", 0},
            {0}},
    .parser = on_option,
};

/* ---- one question, one answer ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

static void pause_ms(int64_t ms)
{
    struct timespec time = {.tv_nsec = (long)ms * NS_PER_MS};
    nanosleep(&time, NULL);
}

static void forget_reply(struct control_client *client)
{
    if (client->reply)
        wanmeter__control__reply__free_unpacked(client->reply, NULL);
    client->reply = NULL;
}

static void on_message(void *state, const struct bus_message *message)
{
    struct control_client *client = state;
    forget_reply(client);
    client->reply = wanmeter__control__reply__unpack(NULL, message->size, message->bytes);
}

static void socket_path(const struct control_client *client, size_t socket, char *path, size_t size)
{
    if (socket == CHANGE_SOCKET)
        snprintf(path, size, "%s/change.sock", client->directory);
    else
        snprintf(path, size, "%s/ct-%zu.sock", client->directory, socket - FIRST_SHARD_SOCKET);
}

static enum exit_code connect_socket(struct control_client *client, size_t socket)
{
    char path[DAEMON_PATH_MAX + 32], endpoint[sizeof path + 8];
    if (client->sockets[socket])
        return EXIT_CODE_OK;
    socket_path(client, socket, path, sizeof path);
    if (!daemon_is_listening(path)) {
        log_error("%s: no daemon answers%s", path,
                  socket == CHANGE_SOCKET ? " (only a live one takes changes)" : "");
        return EXIT_CODE_UNREACHABLE;
    }
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    int result = bus_connect(client->bus, BUS_DEALER, endpoint, NULL, on_message, client,
                             &client->sockets[socket]);
    if (result == 0)
        return EXIT_CODE_OK;
    log_error("%s: %s", path, strerror(-result));
    return EXIT_CODE_RUNTIME;
}

/* Without an answer: gone, busy, or it does not let us in, which nobody is told. */
static enum exit_code tell_silence(const struct control_client *client, size_t socket)
{
    char path[DAEMON_PATH_MAX + 32];
    socket_path(client, socket, path, sizeof path);
    log_error("%s: no answer (only the daemon's own user and root are let in)", path);
    return EXIT_CODE_UNREACHABLE;
}

static enum exit_code ask(struct control_client *client, size_t socket,
                          const struct control_request *request)
{
    enum exit_code code = connect_socket(client, socket);
    if (code != EXIT_CODE_OK)
        return code;
    size_t size;
    uint8_t *bytes = control_request_encode(request, &size);
    assert(bytes != NULL);
    forget_reply(client);
    int64_t end_ms = now_ms() + CONNECT_MS;
    int result;
    while ((result = bus_send(client->sockets[socket], NULL, bytes, size)) == -EAGAIN &&
           now_ms() < end_ms)
        pause_ms(RETRY_MS); /* being connected */
    free(bytes);
    if (result < 0)
        return tell_silence(client, socket);
    end_ms = now_ms() + ANSWER_MS;
    while (!client->reply && now_ms() < end_ms)
        if (bus_receive(client->sockets[socket], end_ms - now_ms()) < 0)
            break;
    if (!client->reply)
        return tell_silence(client, socket);
    client->n_shards = client->reply->n_shards;
    return EXIT_CODE_OK;
}

/* False (logged): more words than a request has. */
static bool fill_words(const char *const *words, struct control_request *request)
{
    *request = (struct control_request){0};
    size_t bytes = 0;
    for (; words[request->n_words]; request->n_words++) {
        bytes += strlen(words[request->n_words]) + 1;
        if (request->n_words == CHANGE_WORDS_MAX || bytes > CHANGE_TEXT_MAX) {
            log_error("too long: got more than %d words or %d bytes", CHANGE_WORDS_MAX,
                      CHANGE_TEXT_MAX);
            return false;
        }
        request->words[request->n_words] = words[request->n_words];
    }
    return true;
}

/* ---- open, close ---- */

enum exit_code control_client_open(const char *run_directory, struct control_client **out)
{
    struct control_client *client = calloc(1, sizeof *client);
    assert(client != NULL);
    if (run_directory != NULL) {
        snprintf(client->directory, sizeof client->directory, "%s", run_directory);
    } else if (!daemon_find("ct-0.sock", client->directory)) {
        log_error("no daemon runs here (--run-directory names one elsewhere)");
        free(client);
        return EXIT_CODE_UNREACHABLE;
    }
    int result = bus_create(NULL, &client->bus);
    if (result < 0) {
        log_error("cannot ask: %s", strerror(-result));
        control_client_close(client);
        return EXIT_CODE_RUNTIME;
    }
    *out = client;
    return EXIT_CODE_OK;
}

void control_client_close(struct control_client *client)
{
    if (!client)
        return;
    forget_reply(client);
    bus_destroy(client->bus);
    free(client);
}

/* ---- changes ---- */

static void take_answer(const Wanmeter__Control__Reply *reply, struct control_outcome *outcome)
{
    size_t length = reply->answer.len < CHANGE_ANSWER_MAX ? reply->answer.len : CHANGE_ANSWER_MAX;
    outcome->error = (int)reply->error;
    if (length > 0)
        memcpy(outcome->answer, reply->answer.data, length);
    outcome->answer[length] = '\0';
}

/* Asks a shard for what became of the change, until it has come there. */
static enum exit_code wait_for_result(struct control_client *client, uint32_t shard,
                                      uint64_t change_id)
{
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)change_id);
    struct control_request request;
    fill_words((const char *[]){"change", id, NULL}, &request);
    int64_t end_ms = now_ms() + ANSWER_MS;
    do {
        enum exit_code code = ask(client, FIRST_SHARD_SOCKET + shard, &request);
        if (code != EXIT_CODE_OK || client->reply->error != EINPROGRESS)
            return code;
        pause_ms(RESULT_RETRY_MS);
    } while (now_ms() < end_ms);
    return tell_silence(client, FIRST_SHARD_SOCKET + shard);
}

/* A connection is in one shard: there it was found, or nowhere. What all shards have they do alike.
 */
static void add_result(const struct control_client *client, bool is_first, bool is_summed,
                       struct control_outcome *outcome)
{
    const Wanmeter__Control__Reply *reply = client->reply;
    if (is_first || (outcome->error != 0 && reply->error == 0))
        take_answer(reply, outcome);
    if (is_first || is_summed)
        outcome->count += reply->count;
    outcome->time_ns = reply->time_ns;
}

enum exit_code control_client_change(struct control_client *client, const char *const *words,
                                     struct control_outcome *outcome)
{
    *outcome = (struct control_outcome){0};
    struct control_request request;
    if (!fill_words(words, &request))
        return EXIT_CODE_USAGE;
    enum exit_code code = ask(client, CHANGE_SOCKET, &request);
    if (code != EXIT_CODE_OK)
        return code;
    take_answer(client->reply, outcome);
    if (outcome->error)
        return EXIT_CODE_OK; /* it was not taken */
    outcome->change_id = client->reply->change_id;
    uint32_t n_shards = client->n_shards;
    for (uint32_t i = 0; i < n_shards && i < SOCKETS_MAX - FIRST_SHARD_SOCKET; i++) {
        code = wait_for_result(client, i, outcome->change_id);
        if (code != EXIT_CODE_OK)
            return code;
        add_result(client, i == 0, strcmp(words[0], "ct") == 0, outcome);
    }
    return EXIT_CODE_OK;
}

enum exit_code control_client_refused(const char *command, const struct control_outcome *outcome)
{
    fprintf(stderr, "%s: %s%s%s\n", command, strerror(outcome->error),
            outcome->answer[0] != '\0' ? ": " : "", outcome->answer);
    return EXIT_CODE_RUNTIME;
}

/* ---- queries ---- */

/* All portions of one shard. 'is_done': on_reply had enough, or there was an error. */
static enum exit_code query_shard(struct control_client *client, uint32_t shard,
                                  struct control_request *request, control_reply_fn on_reply,
                                  void *state, bool *is_done)
{
    request->cursor = 0;
    do {
        enum exit_code code = ask(client, FIRST_SHARD_SOCKET + shard, request);
        if (code != EXIT_CODE_OK)
            return code;
        request->cursor = client->reply->cursor;
        bool is_last = client->reply->error != 0;
        *is_done = !on_reply(state, shard, client->reply) || is_last;
    } while (request->cursor != 0 && !*is_done);
    return EXIT_CODE_OK;
}

enum exit_code control_client_query(struct control_client *client, int shard,
                                    const char *const *words, control_reply_fn on_reply,
                                    void *state)
{
    struct control_request request;
    if (!fill_words(words, &request))
        return EXIT_CODE_USAGE;
    bool is_done = false;
    if (shard != CONTROL_EVERY_SHARD)
        return query_shard(client, (uint32_t)shard, &request, on_reply, state, &is_done);
    enum exit_code code = query_shard(client, 0, &request, on_reply, state, &is_done);
    for (uint32_t i = 1;
         code == EXIT_CODE_OK && !is_done && i < client->n_shards && i < SOCKETS_MAX - 1; i++)
        code = query_shard(client, i, &request, on_reply, state, &is_done);
    return code;
}

const char *control_client_value(const Wanmeter__Control__Row *row, size_t column,
                                 char text[CONTROL_VALUE_MAX + 1])
{
    size_t length = column < row->n_values ? row->values[column].len : 0;
    if (length > CONTROL_VALUE_MAX)
        length = CONTROL_VALUE_MAX;
    if (length > 0)
        memcpy(text, row->values[column].data, length);
    text[length] = '\0';
    return text;
}
