/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Netlink for the simulator: its request goes to the kernel as it is, and the kernel's answer comes
 * back as it is. What is in them is the simulator's business.
 *
 * An answer that one reply does not hold (the routes of a large table) is fetched in parts. The
 * kernel makes the next part only when this one has been read, so what is left waits there, in a
 * socket that is kept for it; the next request gives it up.
 */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel puts no more into one part of a dump. */
#define PART_MAX 32768u

static int g_socket = -1;
static uint32_t g_sequence;

static void
GiveUp(void)
{
    if (g_socket >= 0)
    {
        (void)close(g_socket);
        g_socket = -1;
    }
}

static int
Ask(uint32_t protocol, const uint8_t* request, uint32_t length)
{
    static _Alignas(struct nlmsghdr) uint8_t message[RELAY_BODY_MAX];
    struct nlmsghdr header;
    if (length < sizeof(header))
    {
        return EBADMSG;
    }
    memcpy(&header, request, sizeof(header));
    if (header.nlmsg_len != length)
    {
        return EBADMSG;
    }
    if (protocol > INT32_MAX)
    {
        return EPROTONOSUPPORT;
    }
    GiveUp();
    g_socket = socket(AF_NETLINK, SOCK_RAW, (int)protocol);
    if (g_socket < 0)
    {
        return errno;
    }
    (void)fcntl(g_socket, F_SETFD, FD_CLOEXEC);
    header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    header.nlmsg_seq = ++g_sequence;
    header.nlmsg_pid = 0;
    memcpy(message, request, length);
    memcpy(message, &header, sizeof(header));
    return send(g_socket, message, length, 0) < 0 ? errno : 0;
}

/* Takes the messages of one part, of which the reply has the bytes behind its end. `ended`: that
 * was the last part. */
static int
TakePart(Request* request, size_t length, bool* ended)
{
    const uint8_t* part = request->reply + request->replyLength;
    struct nlmsghdr header;
    for (size_t at = 0; at + sizeof(header) <= length; at += NLMSG_ALIGN(header.nlmsg_len))
    {
        memcpy(&header, part + at, sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length - at)
        {
            return EPROTO;
        }
        if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE)
        {
            /* Some kernels' NLMSG_DONE says nothing more. */
            int error = 0;
            if (header.nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
            {
                memcpy(&error, part + at + NLMSG_HDRLEN, sizeof(error));
            }
            request->replyLength += (uint32_t)at;
            *ended = true;
            return error < 0 ? -error : 0;
        }
    }
    request->replyLength += (uint32_t)NLMSG_ALIGN(length);
    return 0;
}

int
NetlinkPass(Request* request)
{
    RelayNetlink wanted;
    RelayNetlinkAnswer answer = {0};
    memcpy(&wanted, request->body, sizeof(wanted));
    const uint8_t* message = request->body + sizeof(wanted);
    const uint32_t length = request->length - (uint32_t)sizeof(wanted);
    int error = 0;
    if (wanted.more == 0)
    {
        error = Ask(wanted.protocol, message, length);
    }
    else if (wanted.more != 1 || length != 0)
    {
        error = EBADMSG;
    }
    else if (g_socket < 0)
    {
        error = EINVAL; /* there is no more */
    }
    request->replyLength = sizeof(answer);
    bool ended = false;
    while (error == 0 && !ended)
    {
        if (RELAY_BODY_MAX - request->replyLength < PART_MAX)
        {
            answer.more = 1;
            break;
        }
        /* Each part is there when the call before it returns, so none is waited for. */
        const ssize_t got = recv(g_socket,
                                 request->reply + request->replyLength,
                                 PART_MAX,
                                 MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR)
        {
            continue;
        }
        if (got < 0)
        {
            error = errno;
        }
        else if ((size_t)got > PART_MAX)
        {
            error = EMSGSIZE;
        }
        else
        {
            error = TakePart(request, (size_t)got, &ended);
        }
    }
    if (answer.more == 0)
    {
        GiveUp();
    }
    memcpy(request->reply, &answer, sizeof(answer));
    return error;
}
