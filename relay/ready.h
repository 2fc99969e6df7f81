/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which sockets have something to tell or to do.
 */
#ifndef READY_H
#define READY_H

#include "handles.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on the socket's wake-ups are heard; 0 or an errno. */
int ReadyRegister(Socket* socket);

/* A wake-up for the socket of that handle, if there still is one; `events` are EPOLL... */
void ReadyWake(uint32_t handle, uint32_t events);

/* The socket is to be served, without a wake-up. */
void ReadyQueue(Socket* socket);

/* A request has acted on the socket: which of these conditions are still true is to be told, and
 * with `always` what is true and has not been told. */
void ReadyRearm(Socket* socket, uint32_t conditions, bool always);

/* The socket goes away. */
void ReadyForget(Socket* socket);

/* Makes room for so many sockets; false: no memory. */
bool ReadyReserve(size_t sockets);

/* Serves the sockets that have something to do, in the order of their handles. */
void ReadyServe(void);
bool ReadyHasWork(void);

#endif /* READY_H */
