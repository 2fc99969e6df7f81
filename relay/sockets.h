/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The POSIX calls on sockets.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "relay-protocol.h"
#include "request.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef union SocketAddress {
    struct sockaddr any;
    struct sockaddr_in inet;
    struct sockaddr_in6 inet6;
    struct sockaddr_storage storage;
} SocketAddress;

/* An address as the kernel takes it, and its length; 0: not a family that has such addresses. */
socklen_t SocketAddressToSystem(const RelaySocketAddress* from, SocketAddress* to);

/* false: not a family that has such addresses. */
bool SocketAddressFromSystem(const SocketAddress* from, uint32_t handle, RelaySocketAddress* to);

int SocketOpen(Request* request);
int SocketBind(Request* request);
int SocketListen(Request* request);
int SocketAccept(Request* request);
int SocketConnect(Request* request);
int SocketSetOption(Request* request);
int SocketGetOption(Request* request);
int SocketGetName(Request* request);
int SocketShutdown(Request* request);
int SocketClose(Request* request);
int SocketWatch(Request* request);
int SocketStream(Request* request);
int SocketStreamStat(Request* request);

#endif /* SOCKETS_H */
