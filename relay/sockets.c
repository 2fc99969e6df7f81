/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The POSIX calls on sockets. When a socket is ready, and for what, is ready.c's business.
 */
#include "sockets.h"

#include "handles.h"
#include "ready.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Gives the descriptor a handle; closes it if that fails. NULL: errno */
static Socket*
AddSocket(int fd, SocketNature nature)
{
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
    {
        errno = ENOMEM;
        Socket* added = ReadyReserve(HandleCount() + 1) ? HandleAdd(fd, nature) : NULL;
        if (added)
        {
            return added;
        }
    }
    const int error = errno;
    (void)close(fd);
    errno = error;
    return NULL;
}

/* A socket that is to linger would keep close(2) waiting, even if it does not block. What it still
 * has to send the kernel sends without that, too. With a time of 0, close(2) resets the connection
 * and waits for nothing. */
static void
CloseDescriptor(int fd)
{
    struct linger linger = {0};
    socklen_t length = sizeof(linger);
    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && linger.l_onoff != 0 &&
        linger.l_linger != 0)
    {
        linger.l_onoff = 0;
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    (void)close(fd);
}

static void
RemoveSocket(Socket* socket)
{
    ReadyForget(socket);
    CloseDescriptor(socket->fd); /* its wake-ups end with it */
    HandleRemove(socket);
}

/* The socket that a request is about: every body here begins with its handle. */
static Socket*
RequestSocket(const Request* request)
{
    uint32_t handle;
    memcpy(&handle, request->body, sizeof(handle));
    return HandleFind(handle);
}

socklen_t
SocketAddressToSystem(const RelaySocketAddress* from, SocketAddress* to)
{
    memset(to, 0, sizeof(*to));
    switch (from->family)
    {
    case AF_INET:
        to->inet.sin_family = AF_INET;
        to->inet.sin_port = htons(from->port);
        memcpy(&to->inet.sin_addr, from->address, sizeof(to->inet.sin_addr));
        return sizeof(to->inet);
    case AF_INET6:
        to->inet6.sin6_family = AF_INET6;
        to->inet6.sin6_port = htons(from->port);
        to->inet6.sin6_scope_id = from->scope;
        memcpy(&to->inet6.sin6_addr, from->address, sizeof(to->inet6.sin6_addr));
        return sizeof(to->inet6);
    case AF_UNSPEC: /* connect(2): without a peer again */
        to->any.sa_family = AF_UNSPEC;
        return sizeof(to->any);
    default:
        return 0;
    }
}

bool
SocketAddressFromSystem(const SocketAddress* from, uint32_t handle, RelaySocketAddress* to)
{
    memset(to, 0, sizeof(*to));
    to->handle = handle;
    switch (from->any.sa_family)
    {
    case AF_INET:
        to->port = ntohs(from->inet.sin_port);
        memcpy(to->address, &from->inet.sin_addr, sizeof(from->inet.sin_addr));
        break;
    case AF_INET6:
        to->port = ntohs(from->inet6.sin6_port);
        to->scope = from->inet6.sin6_scope_id;
        memcpy(to->address, &from->inet6.sin6_addr, sizeof(from->inet6.sin6_addr));
        break;
    default:
        return false;
    }
    to->family = from->any.sa_family;
    return true;
}

static int
ReplyAddress(const SocketAddress* address, uint32_t handle, Request* request)
{
    RelaySocketAddress reply;
    if (!SocketAddressFromSystem(address, handle, &reply))
    {
        return EAFNOSUPPORT;
    }
    memcpy(request->reply, &reply, sizeof(reply));
    request->replyLength = sizeof(reply);
    return 0;
}

int
SocketOpen(Request* request)
{
    RelaySocket wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    if (wanted.domain > INT32_MAX || wanted.type > 0xf || wanted.protocol > INT32_MAX)
    {
        return EINVAL; /* flags in the type are newer than some kernels */
    }
    int fd = socket((int)wanted.domain, (int)wanted.type, (int)wanted.protocol);
    if (fd < 0)
    {
        return errno;
    }
    const bool inet = wanted.domain == AF_INET || wanted.domain == AF_INET6;
    const bool tcp =
        wanted.protocol == 0 || wanted.protocol == IPPROTO_TCP || wanted.protocol == IPPROTO_MPTCP;
    const SocketNature nature = {
        .connection = wanted.type == SOCK_STREAM || wanted.type == SOCK_SEQPACKET,
        .bytes = wanted.type == SOCK_STREAM && inet && tcp,
    };
    Socket* added = AddSocket(fd, nature);
    if (!added)
    {
        return errno;
    }
    if (!nature.connection)
    {
        int error = ReadyRegister(added);
        if (error != 0)
        {
            RemoveSocket(added);
            return error;
        }
    }
    const RelayHandle handle = {added->handle};
    memcpy(request->reply, &handle, sizeof(handle));
    request->replyLength = sizeof(handle);
    return 0;
}

int
SocketBind(Request* request)
{
    RelaySocketAddress wanted;
    SocketAddress address;
    memcpy(&wanted, request->body, sizeof(wanted));
    const Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    const socklen_t size = SocketAddressToSystem(&wanted, &address);
    if (size == 0)
    {
        return EAFNOSUPPORT;
    }
    return bind(socket->fd, &address.any, size) == 0 ? 0 : errno;
}

int
SocketListen(Request* request)
{
    RelayListen wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    const int backlog = (int)(wanted.backlog <= INT32_MAX ? wanted.backlog : INT32_MAX);
    if (listen(socket->fd, backlog) != 0)
    {
        return errno;
    }
    return ReadyRegister(socket);
}

int
SocketAccept(Request* request)
{
    const Socket* listener = RequestSocket(request);
    if (!listener)
    {
        return EBADF;
    }
    SocketAddress peer;
    socklen_t size = sizeof(peer);
    memset(&peer, 0, sizeof(peer));
    int fd = accept(listener->fd, &peer.any, &size);
    if (fd < 0)
    {
        return errno;
    }
    Socket* added = AddSocket(fd, listener->nature);
    if (!added)
    {
        return errno;
    }
    int error = ReadyRegister(added);
    if (error == 0)
    {
        error = ReplyAddress(&peer, added->handle, request);
    }
    if (error != 0)
    {
        RemoveSocket(added);
    }
    return error;
}

int
SocketConnect(Request* request)
{
    RelaySocketAddress wanted;
    SocketAddress address;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    const socklen_t size = SocketAddressToSystem(&wanted, &address);
    if (size == 0)
    {
        return EAFNOSUPPORT;
    }
    if (connect(socket->fd, &address.any, size) != 0 && errno != EINPROGRESS)
    {
        return errno;
    }
    /* Even one that has succeeded at once is told of by an event: there is one way only. */
    socket->connecting = wanted.family != AF_UNSPEC;
    socket->closed = false;
    socket->error = 0;
    socket->held = 0;
    return ReadyRegister(socket);
}

int
SocketSetOption(Request* request)
{
    RelaySocketOption option;
    memcpy(&option, request->body, sizeof(option));
    if (option.length != request->length - sizeof(option))
    {
        return EBADMSG;
    }
    const Socket* socket = HandleFind(option.handle);
    if (!socket)
    {
        return EBADF;
    }
    return setsockopt(socket->fd,
                      option.level,
                      option.name,
                      request->body + sizeof(option),
                      option.length) == 0
               ? 0
               : errno;
}

/* SO_ERROR was asked for: an error that has been told is what the kernel would have returned. */
static void
TakeHeldError(Socket* socket, const Request* request)
{
    int error = 0;
    if (request->replyLength != sizeof(error))
    {
        return;
    }
    memcpy(&error, request->reply, sizeof(error));
    if (error == 0)
    {
        memcpy(request->reply, &socket->held, sizeof(socket->held));
    }
    socket->held = 0;
    socket->told &= ~(uint32_t)RELAY_ERROR;
}

int
SocketGetOption(Request* request)
{
    RelaySocketOption option;
    memcpy(&option, request->body, sizeof(option));
    Socket* socket = HandleFind(option.handle);
    if (!socket)
    {
        return EBADF;
    }
    socklen_t length = option.length < RELAY_BODY_MAX ? option.length : RELAY_BODY_MAX;
    if (getsockopt(socket->fd, option.level, option.name, request->reply, &length) != 0)
    {
        return errno;
    }
    request->replyLength = length;
    if (option.level == SOL_SOCKET && option.name == SO_ERROR)
    {
        TakeHeldError(socket, request);
    }
    return 0;
}

int
SocketGetName(Request* request)
{
    const Socket* socket = RequestSocket(request);
    SocketAddress address;
    socklen_t size = sizeof(address);
    memset(&address, 0, sizeof(address));
    if (!socket)
    {
        return EBADF;
    }
    if (getsockname(socket->fd, &address.any, &size) != 0)
    {
        return errno;
    }
    return ReplyAddress(&address, socket->handle, request);
}

int
SocketShutdown(Request* request)
{
    RelayShutdown wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    const Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    if (wanted.how > SHUT_RDWR)
    {
        return EINVAL;
    }
    return shutdown(socket->fd, (int)wanted.how) == 0 ? 0 : errno;
}

int
SocketClose(Request* request)
{
    Socket* socket = RequestSocket(request);
    if (!socket)
    {
        return EBADF;
    }
    RemoveSocket(socket);
    return 0;
}

int
SocketWatch(Request* request)
{
    RelayWatch wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    const uint32_t known = RELAY_READABLE | RELAY_WRITABLE | RELAY_ERROR | RELAY_HANGUP;
    if ((wanted.conditions & ~known) != 0)
    {
        return EINVAL;
    }
    socket->watched = wanted.conditions;
    return 0;
}

int
SocketStream(Request* request)
{
    RelayStream wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    const int error = StreamStart(&socket->stream, &wanted);
    if (error == 0)
    {
        ReadyQueue(socket);
    }
    return error;
}

int
SocketStreamStat(Request* request)
{
    const Socket* socket = RequestSocket(request);
    if (!socket)
    {
        return EBADF;
    }
    const RelayStreamStat stat = {.bytes = socket->stream.bytes, .wrong = socket->stream.wrong};
    memcpy(request->reply, &stat, sizeof(stat));
    request->replyLength = sizeof(stat);
    return 0;
}
