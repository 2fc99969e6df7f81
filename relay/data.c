/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Data through sockets that the simulation itself sends and receives, a call for each request. Bulk
 * data that nobody looks at is stream.c's business.
 */
#include "data.h"

#include "handles.h"
#include "ready.h"
#include "relay-protocol.h"
#include "sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define IOCTL_MAX 1024u

#define RECEIVE_MAX (RELAY_BODY_MAX - sizeof(RelayReceived))

/* A connect(2) that send(2) has made. */
static int
BeginConnect(Socket* socket)
{
    socket->connecting = true;
    socket->closed = false;
    return ReadyRegister(socket);
}

int
DataSend(Request* request)
{
    RelaySend wanted;
    SocketAddress to;
    socklen_t size = 0;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.to.handle);
    if (!socket)
    {
        return EBADF;
    }
    if (wanted.to.family != AF_UNSPEC)
    {
        size = SocketAddressToSystem(&wanted.to, &to);
        if (size == 0)
        {
            return EAFNOSUPPORT;
        }
    }
    if (socket->held != 0)
    {
        const int error = socket->held;
        socket->held = 0;
        return error;
    }
    const int flags = (int)(wanted.flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    const size_t length = request->length - sizeof(wanted);
    ssize_t sent;
    do
    {
        sent = sendto(socket->fd,
                      request->body + sizeof(wanted),
                      length,
                      flags,
                      size > 0 ? &to.any : NULL,
                      size);
    } while (sent < 0 && errno == EINTR);
    const int error = sent < 0 ? errno : 0;
    if ((flags & MSG_FASTOPEN) && !socket->registered && (error == 0 || error == EINPROGRESS))
    {
        const int connectError = BeginConnect(socket);
        if (connectError != 0)
        {
            return connectError;
        }
    }
    if (error != 0)
    {
        return error;
    }
    const RelayCount count = {(uint32_t)sent};
    memcpy(request->reply, &count, sizeof(count));
    request->replyLength = sizeof(count);
    return 0;
}

/* The first bytes of a control message's value, which are all that is wanted of it. */
static bool
ReadControl(const struct cmsghdr* control, void* value, size_t size)
{
    if (control->cmsg_len < CMSG_LEN(size))
    {
        return false;
    }
    memcpy(value, CMSG_DATA(control), size);
    return true;
}

/* An IPv4 address where those of the socket are IPv6 ones is written as one of them. */
static void
SetLocal(RelayReceived* received, const void* address, size_t size)
{
    if (size == 4 && received->from.family == AF_INET6)
    {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        memcpy(received->local, mapped, sizeof(mapped));
        memcpy(received->local + sizeof(mapped), address, size);
    }
    else
    {
        memcpy(received->local, address, size);
    }
    received->has |= RELAY_HAS_LOCAL;
}

static void
TakeControl(const struct cmsghdr* control, RelayReceived* received)
{
    struct in_pktinfo inet;
    struct in6_pktinfo inet6;
    uint8_t byte = 0;
    int number = 0;
    const bool ip = control->cmsg_level == IPPROTO_IP;
    const bool ipv6 = control->cmsg_level == IPPROTO_IPV6;
    if (ip && control->cmsg_type == IP_PKTINFO && ReadControl(control, &inet, sizeof(inet)))
    {
        SetLocal(received, &inet.ipi_addr, sizeof(inet.ipi_addr));
        received->interface = (uint32_t)inet.ipi_ifindex;
    }
    else if (ipv6 && control->cmsg_type == IPV6_PKTINFO &&
             ReadControl(control, &inet6, sizeof(inet6)))
    {
        SetLocal(received, &inet6.ipi6_addr, sizeof(inet6.ipi6_addr));
        received->interface = inet6.ipi6_ifindex;
    }
    else if (ip && control->cmsg_type == IP_TOS && ReadControl(control, &byte, sizeof(byte)))
    {
        received->tos = byte;
        received->has |= RELAY_HAS_TOS;
    }
    else if (ipv6 && control->cmsg_type == IPV6_TCLASS &&
             ReadControl(control, &number, sizeof(number)))
    {
        received->tos = (uint8_t)number;
        received->has |= RELAY_HAS_TOS;
    }
    else if (((ip && control->cmsg_type == IP_TTL) ||
              (ipv6 && control->cmsg_type == IPV6_HOPLIMIT)) &&
             ReadControl(control, &number, sizeof(number)))
    {
        received->ttl = (uint8_t)number;
        received->has |= RELAY_HAS_TTL;
    }
}

/* What a call would return that the error has been kept from; `error` is what it did return. */
static int
ReceiveError(Socket* socket, int error)
{
    if (socket->held != 0 && (error == 0 || error == EAGAIN))
    {
        error = socket->held;
        socket->held = 0;
    }
    return error;
}

int
DataReceive(Request* request)
{
    RelayReceive wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    /* A datagram socket returns its error first, a connection what came before it. */
    if (!socket->nature.connection && socket->held != 0)
    {
        return ReceiveError(socket, 0);
    }
    SocketAddress from;
    RelayReceived received;
    _Alignas(struct cmsghdr) uint8_t control[512];
    uint8_t* data = request->reply + sizeof(received);
    struct iovec piece = {data, wanted.length < RECEIVE_MAX ? wanted.length : RECEIVE_MAX};
    struct msghdr message = {
        .msg_name = &from,
        .msg_namelen = sizeof(from),
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    memset(&from, 0, sizeof(from));
    int flags = (int)(wanted.flags | MSG_DONTWAIT);
    if (!socket->nature.connection)
    {
        flags |= MSG_TRUNC; /* return a datagram's whole length */
    }
    ssize_t got;
    do
    {
        got = recvmsg(socket->fd, &message, flags);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
    {
        return ReceiveError(socket, errno);
    }
    if (got == 0 && socket->nature.connection && piece.iov_len > 0)
    {
        const int error = ReceiveError(socket, 0);
        if (error != 0)
        {
            return error;
        }
    }
    (void)SocketAddressFromSystem(&from, wanted.handle, &received.from);
    received.flags = (uint32_t)message.msg_flags;
    received.length = (uint32_t)got;
    received.has = 0;
    received.interface = 0;
    memset(received.local, 0, sizeof(received.local));
    received.tos = 0;
    received.ttl = 0;
    memset(received.pad, 0, sizeof(received.pad));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion" /* in the C library's macro */
    for (struct cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
    {
        TakeControl(c, &received);
    }
#pragma GCC diagnostic pop
    size_t kept = (size_t)got < piece.iov_len ? (size_t)got : piece.iov_len;
    if (socket->nature.bytes && (wanted.flags & MSG_TRUNC))
    {
        kept = 0; /* such a call discards what it counts */
    }
    memcpy(request->reply, &received, sizeof(received));
    request->replyLength = (uint32_t)(sizeof(received) + kept);
    return 0;
}

int
DataIoctl(Request* request)
{
    RelayIoctl wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    const Socket* socket = HandleFind(wanted.handle);
    if (!socket)
    {
        return EBADF;
    }
    if (wanted.request == FIONBIO || wanted.request == FIOASYNC)
    {
        return EINVAL; /* how the relay waits is its own business */
    }
    /* The kernel takes as much as it likes, which is never much; the reply's place is larger. */
    const uint32_t length = request->length - (uint32_t)sizeof(wanted);
    if (length > IOCTL_MAX)
    {
        return EINVAL;
    }
    memcpy(request->reply, request->body + sizeof(wanted), length);
    memset(request->reply + length, 0, IOCTL_MAX - length);
    if (ioctl(socket->fd, (int)wanted.request, request->reply) < 0)
    {
        return errno;
    }
    request->replyLength = length;
    return 0;
}
