/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The relay, the guest's end of its protocol: it is asked for anything, and carries it out as far
 * as its jail lets it. Its main loop is used turn by turn.
 */
#define main RelayMain
#include "../../relay/main.c"
#undef main

#include "jail.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

int LLVMFuzzerInitialize(int* count, char*** arguments);
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static int g_simulator;
static uint32_t g_firstHandle = 1;

int
LLVMFuzzerInitialize(int* count, char*** arguments)
{
    (void)count;
    (void)arguments;
    int ends[2];
    EnterJail();
    (void)signal(SIGPIPE, SIG_IGN);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    {
        return 1;
    }
    g_simulator = ends[0];
    NicsAdd("lo");
    ChannelOpenDescriptor(ends[1]);
    WaitPrepare();
    ProcessPrepare();
    StreamPrepare();
    SayHello();
    ChannelFlush();
    return 0;
}

static void
Serve(void)
{
    static uint8_t answers[65536];
    const bool channelReady = TakeWakeups();
    ServeEvents();
    ServeRequests(channelReady);
    ServeEvents();
    ChannelFlush();
    while (recv(g_simulator, answers, sizeof(answers), MSG_DONTWAIT) > 0)
    {
    }
}

static void
Ask(uint16_t type, uint32_t id, const void* body, uint32_t length)
{
    static uint8_t message[sizeof(RelayHeader) + RELAY_BODY_MAX];
    const RelayHeader header = {.length = length, .type = type, .id = id};
    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), body, length);
    const size_t whole = sizeof(header) + length;
    /* In two parts, for it to come to know half a message, too. */
    const size_t first = 1 + id % 15;
    if (send(g_simulator, message, first, 0) == (ssize_t)first && first < whole)
    {
        Serve();
        (void)send(g_simulator, message + first, whole - first, 0);
    }
    Serve();
}

/* What an input has opened is gone before the next one. */
static void
CloseHandles(void)
{
    while (HandleCount() > 0)
    {
        if (HandleFind(g_firstHandle))
        {
            const RelayHandle handle = {.handle = g_firstHandle};
            Ask(RELAY_CLOSE, 40, &handle, sizeof(handle));
        }
        ++g_firstHandle;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static uint8_t body[RELAY_BODY_MAX];
    const uint32_t first = g_firstHandle;
    while (size >= 4)
    {
        /* Type, a number, the body's length. */
        const uint16_t type = data[0];
        const uint32_t id = data[1];
        uint32_t length = (uint32_t)data[2] | (uint32_t)data[3] << 8;
        data += 4;
        size -= 4;
        length = length > size ? (uint32_t)size : length;
        memcpy(body, data, length);
        data += length;
        size -= length;
        /* Handles are named from 0 by an input. */
        uint32_t handle;
        if (type >= RELAY_BIND && type < RELAY_PROCESS_START && length >= sizeof(handle))
        {
            memcpy(&handle, body, sizeof(handle));
            handle += first;
            memcpy(body, &handle, sizeof(handle));
        }
        Ask(type, id, body, length);
    }
    CloseHandles();
    return 0;
}
