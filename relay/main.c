/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The relay: it serves the relay protocol, as the first process of a virtual machine, or with
 * "--fd N" as an ordinary program on a descriptor that it has inherited, on the kernel at hand. By
 * the name of modprobe it is that of the guest.
 */
#include "channel.h"
#include "console.h"
#include "data.h"
#include "files.h"
#include "handles.h"
#include "init.h"
#include "interfaces.h"
#include "machine.h"
#include "modprobe.h"
#include "mounts.h"
#include "process.h"
#include "ready.h"
#include "relay-protocol.h"
#include "sockets.h"
#include "stream.h"
#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* What a request does to what has been told about its socket. */
typedef enum Effect
{
    LOOKS,    /* nothing */
    SENDS,    /* whether it is still writable is told again */
    RECEIVES, /* whether it is still readable */
    ACTS,     /* all that is still true */
    RENEWS,   /* and what is true, but was of no interest before */
} Effect;

static const uint32_t g_rearmed[] = {
    [SENDS] = RELAY_WRITABLE | RELAY_ERROR,
    [RECEIVES] = RELAY_READABLE | RELAY_ERROR,
    [ACTS] = UINT32_MAX,
    [RENEWS] = UINT32_MAX,
};

typedef struct Operation
{
    int (*carryOut)(Request* request);
    uint32_t length; /* of the struct in the body */
    bool more;       /* text or a value follows it */
    Effect effect;   /* other than LOOKS: the body begins with a handle */
} Operation;

static const Operation g_operations[] = {
    [RELAY_CLOCK_GET] = {MachineClockGet, 0, false, LOOKS},
    [RELAY_CLOCK_SET] = {MachineClockSet, sizeof(RelayClockSet), false, LOOKS},
    [RELAY_RNG_SEED] = {MachineRngSeed, 0, true, LOOKS},
    [RELAY_SYSCTL_GET] = {MachineSysctlGet, 0, true, LOOKS},
    [RELAY_SYSCTL_SET] = {MachineSysctlSet, sizeof(RelaySysctlSet), true, LOOKS},
    [RELAY_FILE_GET] = {FileGet, sizeof(RelayFileGet), true, LOOKS},
    [RELAY_FILE_PUT] = {FilePut, sizeof(RelayFilePut), true, LOOKS},
    [RELAY_MOUNT] = {MountDisk, sizeof(RelayMount), true, LOOKS},
    [RELAY_FREEZE] = {MountFreeze, 0, true, LOOKS},
    [RELAY_LINK_GET] = {LinkGet, sizeof(RelayNic), false, LOOKS},
    [RELAY_LINK_SET] = {LinkSet, sizeof(RelayLinkSet), false, LOOKS},
    [RELAY_ADDRESS_ADD] = {AddressAdd, sizeof(RelayAddress), false, LOOKS},
    [RELAY_ADDRESS_DELETE] = {AddressDelete, sizeof(RelayAddress), false, LOOKS},
    [RELAY_SOCKET] = {SocketOpen, sizeof(RelaySocket), false, LOOKS},
    [RELAY_BIND] = {SocketBind, sizeof(RelaySocketAddress), false, ACTS},
    [RELAY_LISTEN] = {SocketListen, sizeof(RelayListen), false, ACTS},
    [RELAY_ACCEPT] = {SocketAccept, sizeof(RelayHandle), false, ACTS},
    [RELAY_CONNECT] = {SocketConnect, sizeof(RelaySocketAddress), false, RENEWS},
    [RELAY_SETSOCKOPT] = {SocketSetOption, sizeof(RelaySocketOption), true, ACTS},
    [RELAY_GETSOCKOPT] = {SocketGetOption, sizeof(RelaySocketOption), false, LOOKS},
    [RELAY_GETSOCKNAME] = {SocketGetName, sizeof(RelayHandle), false, LOOKS},
    [RELAY_SHUTDOWN] = {SocketShutdown, sizeof(RelayShutdown), false, ACTS},
    [RELAY_CLOSE] = {SocketClose, sizeof(RelayHandle), false, ACTS},
    [RELAY_WATCH] = {SocketWatch, sizeof(RelayWatch), false, RENEWS},
    [RELAY_SEND] = {DataSend, sizeof(RelaySend), true, SENDS},
    [RELAY_RECEIVE] = {DataReceive, sizeof(RelayReceive), false, RECEIVES},
    [RELAY_IOCTL] = {DataIoctl, sizeof(RelayIoctl), true, LOOKS},
    [RELAY_STREAM] = {SocketStream, sizeof(RelayStream), false, ACTS},
    [RELAY_STREAM_STAT] = {SocketStreamStat, sizeof(RelayHandle), false, LOOKS},
    [RELAY_PROCESS_START] = {ProcessStart, sizeof(RelayProcessStart), true, LOOKS},
    [RELAY_PROCESS_WRITE] = {ProcessWrite, sizeof(RelayProcess), true, LOOKS},
    [RELAY_PROCESS_SIGNAL] = {ProcessSignal, sizeof(RelayProcessSignal), false, LOOKS},
};

static int
CarryOut(const RelayHeader* header, Request* request)
{
    const Operation* operation = NULL;
    if (header->type < sizeof(g_operations) / sizeof(g_operations[0]))
    {
        operation = &g_operations[header->type];
    }
    if (!operation || !operation->carryOut)
    {
        return ENOSYS;
    }
    if (header->id == 0 || request->length < operation->length ||
        (request->length > operation->length && !operation->more))
    {
        return EBADMSG;
    }
    const int error = operation->carryOut(request);
    if (operation->effect != LOOKS)
    {
        uint32_t handle;
        memcpy(&handle, request->body, sizeof(handle));
        Socket* socket = HandleFind(handle);
        if (socket)
        {
            ReadyRearm(socket, g_rearmed[operation->effect], operation->effect == RENEWS);
        }
    }
    return error;
}

static void
ServeRequests(bool channelReady)
{
    bool more = channelReady;
    do
    {
        RelayHeader header;
        Request request = {0};
        more = more && ChannelRead();
        while (ChannelHasRoom() && ChannelNext(&header, &request.body))
        {
            request.length = header.length;
            request.reply = ChannelBody();
            request.replyLength = 0;
            const int error = CarryOut(&header, &request);
            ChannelCommit(header.type, header.id, error, error == 0 ? request.replyLength : 0);
        }
    } while (more && ChannelHasRoom());
}

static void
SayHello(void)
{
    const RelayHello hello = {.version = RELAY_PROTOCOL_VERSION, .nics = NicsCount()};
    struct utsname system;
    if (uname(&system) != 0)
    {
        Fatal("cannot tell the kernel's release: %s", strerror(errno));
    }
    const uint32_t length = (uint32_t)strlen(system.release);
    uint8_t* body = ChannelBody();
    memcpy(body, &hello, sizeof(hello));
    memcpy(body + sizeof(hello), system.release, length);
    ChannelCommit(RELAY_HELLO, 0, 0, (uint32_t)sizeof(hello) + length);
}

static void
TakeArguments(int count, char** arguments)
{
    int fd = -1;
    for (int i = 1; i < count; ++i)
    {
        if (strcmp(arguments[i], "--fd") == 0 && i + 1 < count)
        {
            fd = atoi(arguments[++i]);
        }
        else if (strcmp(arguments[i], "--nic") == 0 && i + 1 < count)
        {
            NicsAdd(arguments[++i]);
        }
        else
        {
            Fatal("unknown argument %s", arguments[i]);
        }
    }
    if (fd < 0)
    {
        Fatal("not the first process; usage: ns3-qemu-relay --fd N [--nic INTERFACE]...");
    }
    ChannelOpenDescriptor(fd);
}

/* Takes the wake-ups to whom they are for, and if there is nothing else to do, waits for one.
 * Returns whether the channel is ready. */
static bool
TakeWakeups(void)
{
    static Wakeup wakeups[WAIT_BATCH];
    bool channel = false;
    size_t count;
    ChannelListen();
    /* Without room nothing can be served, however much there is to do: the channel comes first. */
    const bool work = ReadyHasWork() || ProcessHasWork() || ChannelHasRequest();
    bool sleep = !work || !ChannelHasRoom();
    do
    {
        count = WaitTake(wakeups, sleep);
        for (size_t i = 0; i < count; ++i)
        {
            switch (wakeups[i].kind)
            {
            case WAIT_CHANNEL:
                channel = true;
                break;
            case WAIT_CHILDREN:
                ProcessReap();
                break;
            case WAIT_PROCESS:
                ProcessWake(wakeups[i].number);
                break;
            case WAIT_SOCKET:
                ReadyWake(wakeups[i].number, wakeups[i].events);
                break;
            }
        }
        sleep = false;
    } while (count == WAIT_BATCH); /* an edge is returned once, so this comes to an end */
    return channel;
}

/* Serves what has something to tell: sockets first, in the order of their handles, then programs,
 * in that of their numbers. */
static void
ServeEvents(void)
{
    ReadyServe();
    ProcessServe();
}

int
main(int count, char** arguments)
{
    if (getpid() != 1 && ModprobeIsCalled(arguments[0]))
    {
        return ModprobeMain(count, arguments);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (getpid() == 1)
    {
        /* What the kernel does not know of its command line it passes on to us; it means nothing.
         */
        InitMachine();
        ProcessRuleMachine();
        InitLoadModules();
        LoopbackUp();
        ChannelOpenPort(InitParameter("ns3_qemu.port"));
        NicsFind();
        ConsoleLine("ready");
    }
    else
    {
        TakeArguments(count, arguments);
    }
    /* Not earlier: until there is a console, what is opened may become a standard descriptor. */
    WaitPrepare();
    ProcessPrepare();
    StreamPrepare();
    SayHello();
    ChannelFlush();
    while (!ChannelHasEnded())
    {
        const bool channelReady = TakeWakeups();
        ServeEvents();
        ServeRequests(channelReady);
        ServeEvents();
        ChannelFlush();
    }
    ProcessEndAll();
    return 0;
}
