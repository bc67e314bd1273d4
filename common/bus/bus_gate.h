/* bus_gate: who may talk to the sockets that are bound here. By ipc: the user that runs us, root,
 * and one guest; by tcp: whose public key is on the list. The bus's own.
 *
 *     bus_gate_open(context, &gate);               before anything is bound
 *     bus_gate_guard(zmq_socket);                  before it is bound
 *     bus_gate_serve(&gate);                       when somebody asks: lets in, or not
 *     bus_gate_peer(message, &uid, &pid);          who sent it, as the kernel says
 *     bus_gate_close(&gate);
 *
 * libzmq asks before the first message of a connection is taken (ZAP, RFC 27 of ZeroMQ), and tells
 * what the kernel says of the other end of a unix socket (SO_PEERCRED): "NAME:UID:GID:PID". What is
 * let in has "UID:PID" as its user id, which libzmq adds to every message of the connection. Who is
 * refused is told nothing and counted; the log has the first, and then every doubling. */
#ifndef WANMETER_COMMON_BUS_GATE_H
#define WANMETER_COMMON_BUS_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "common/bus/bus_key.h"

struct bus_gate {
    void *zmq;                     /* NULL: not open */
    uint32_t guest_uid;            /* is let in beside us and root */
    const struct bus_key *clients; /* public keys that may connect by tcp; kept, not copied */
    size_t n_clients;
    uint64_t n_refused;
};

/* 0 or -errno. */
int bus_gate_open(void *context, struct bus_gate *gate);
void bus_gate_close(struct bus_gate *gate);

int bus_gate_guard(void *zmq_socket);

/* Somebody did not get in: counted, and said now and then. */
void bus_gate_refuse(struct bus_gate *gate, const char *who);

/* True: there may be more to answer. */
bool bus_gate_serve(struct bus_gate *gate);

/* False: it came by a socket that is not guarded. */
bool bus_gate_peer(zmq_msg_t *message, uint32_t *uid, uint32_t *pid);

/* Takes "NAME:UID:GID:PID" apart; false: it is no such text. */
bool bus_gate_parse(const char *address, uint32_t *uid, uint32_t *pid);

#endif
