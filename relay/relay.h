/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the parts of the relay know of each other.
 *
 * The relay is a guest's first process; it does there what the simulation asks for over one byte
 * stream (relay-protocol.h). It is built for every kernel back to 2.6.26, so it makes old system
 * calls only, and it is one thread. It knows nothing of ns-3 and of QEMU.
 */
#ifndef RELAY_H
#define RELAY_H

#include "relay-protocol.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* console.c: what people are told. */

/* Prints one line, "ns3-qemu relay: ...", and waits until the console has taken it. */
void ConsoleLine(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* The end: the first process must not go on in a machine that is not what it should be. The kernel
 * panics when it exits, and that is how the simulator learns of it. */
_Noreturn void Fatal(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* init.c: what the first process of a machine owes it. */

/* Mounts file systems, loads modules, brings up the loopback interface. */
void InitMachine(void);

/* Real-time priorities. A program that never sleeps must not keep the simulation from being
 * answered, nor another from being started. */
enum
{
    INIT_PRIORITY_PROGRAM = 0, /* none: what programs run with */
    INIT_PRIORITY_START = 1,   /* until the program is executed */
    INIT_PRIORITY_RELAY = 2,
};

/* Only in a machine, whose first process has the first; elsewhere it does nothing. 0: oneself. */
void InitSchedule(pid_t pid, int priority);

/* From now on `InitChildPipe` is readable when children have ended. `InitReap` buries them. */
void InitHearChildren(void);
void InitReap(void);
int InitChildPipe(void);

/* In a child: the limits that the relay has changed are as they were. */
void InitRestoreLimits(void);

/* A parameter of the kernel's command line, or NULL; the text is good until the next call. */
const char* InitParameter(const char* name);

/* Waits for the shortest time that is worth it, in the machine's own time. */
void InitPause(void);

/* How many pauses something in the machine may take to come up (10 s). */
#define INIT_PAUSES 1000

/* Opens a device by its class in sysfs and its name; makes its node if nothing else has. -1: errno
 */
int InitOpenDevice(const char* class, const char* name, int flags);

/* channel.c: the byte stream and the messages in it. */

/* Waits for the machine's relay port and opens it. */
void ChannelOpenPort(void);

/* Takes a descriptor that is open already; its end of file is the end of the program. */
void ChannelOpenDescriptor(int fd);

int ChannelDescriptor(void);

/* The poll(2) conditions that the channel waits for, and whether only their changes matter. */
uint32_t ChannelConditions(bool* edges);

/* Room for the largest message, and some events. Without it nothing may be sent. */
bool ChannelHasRoom(void);

/* Reads what there is, once. false: nothing more is to be had for now. */
bool ChannelRead(void);

/* Whether a whole request has been read. */
bool ChannelHasRequest(void);

/* The next request that has been read whole, or false. `body` is good until the next read. */
bool ChannelNext(RelayHeader* header, const uint8_t** body);

/* Where the body of the next message is to be written, RELAY_BODY_MAX bytes. */
uint8_t* ChannelBody(void);

/* Queues a message, of which `ChannelBody` holds the body. */
void ChannelCommit(uint16_t type, uint32_t id, int status, uint32_t length);

/* Queues an event. */
void ChannelEvent(uint16_t type, const void* body, uint32_t length);

/* Writes as much of the queue as the channel takes. */
void ChannelFlush(void);

/* A request's body and the place for its reply's. */
typedef struct Request
{
    const uint8_t* body;
    uint32_t length;
    uint8_t* reply; /* RELAY_BODY_MAX bytes */
    uint32_t replyLength;
} Request;

/* Each operation returns 0 or an errno. That the body is at least as long as the struct that the
 * protocol gives it, and exactly as long where no text or value follows, the caller has checked. */

/* machine.c: the machine itself. */
int MachineClockGet(Request* request);
int MachineClockSet(Request* request);
int MachineRngSeed(Request* request);
int MachineSysctlGet(Request* request);
int MachineSysctlSet(Request* request);
int MachineFileGet(Request* request);
int MachineFilePut(Request* request);

/* Reads a small text file into `text` (terminated, without line end). false: errno */
bool ReadText(const char* path, char* text, size_t size);

/* netlink.c: network interfaces, addresses, routes. */

/* Finds the machine's NICs, in the order of their places on the bus; returns how many there are. */
uint32_t NicsFind(void);

/* Instead: this interface is the next NIC. */
void NicsAdd(const char* name);

uint32_t NicsCount(void);
void LoopbackUp(void);
int LinkGet(Request* request);
int LinkSet(Request* request);
int AddressAdd(Request* request);
int AddressDelete(Request* request);
int RouteAdd(Request* request);
int RouteDelete(Request* request);

/* netlink-pass.c: netlink as the simulator speaks it itself. */
int NetlinkPass(Request* request);

/* stream.c: bulk data on one socket. */

typedef struct Stream
{
    bool active;
    uint32_t direction; /* RELAY_STREAM_... */
    uint64_t length;    /* bytes; 0: no end */
    uint64_t bytes;     /* transferred */
    uint64_t wrong;     /* bytes that differ from the pattern */
    uint32_t chunk;     /* bytes for each call */
    uint32_t perWake;   /* calls for each wake-up; STREAM_UNLIMITED */
    uint32_t credit;    /* calls left of this wake-up's */
    bool runnable;      /* there is something to do without a further wake-up */
} Stream;

#define STREAM_UNLIMITED UINT32_MAX

/* The largest chunk, and the relay's own choice. */
#define STREAM_CHUNK_MAX 262144u
#define STREAM_CHUNK_DEFAULT 65536u

/* Makes the pattern; once, before anything else here. */
void StreamPrepare(void);

/* Checks and takes over what was asked for; 0 or an errno. */
int StreamStart(Stream* stream, const RelayStream* wanted);

/* The socket has become ready: the stream may make its calls. */
void StreamWake(Stream* stream);

/* What StreamServe found. */
typedef enum StreamResult
{
    STREAM_CONTINUES,
    STREAM_ENDED
} StreamResult;

/* How a socket behaves. */
typedef struct SocketNature
{
    bool connection; /* a read of nothing is end of file; not usable before it is connected */
    bool bytes;      /* a short read or write says that the kernel has no more, or takes no more */
} SocketNature;

/* Makes a bounded number of the calls that the stream may make now. `closed`: nothing more will
 * arrive, so what is there is read to its end. With STREAM_ENDED `error` is 0 or an errno. */
StreamResult StreamServe(Stream* stream, int fd, SocketNature nature, bool closed, int* error);

/* sockets.c: handles and what POSIX does with them. */

typedef struct Socket
{
    uint32_t handle;
    int fd;
    SocketNature nature;
    uint32_t watched; /* RELAY_READABLE ..., what the simulator wants to know */
    uint32_t told;    /* what it has been told since its last request */
    uint32_t arrived; /* EPOLL..., wake-ups that were not served yet */
    int error;        /* an error that a read or a write has taken from the socket */
    int held;         /* an error that was told, and that no call has returned yet */
    bool registered;  /* its wake-ups are heard */
    bool connecting;  /* and how that ends is still to be told */
    bool closed;      /* the other side has closed: nothing more will arrive */
    bool recheck;     /* what is true now is to be told, without a wake-up */
    bool queued;      /* is among those to be served */
    Stream stream;
} Socket;

/* The socket of a handle, or NULL. */
Socket* SocketFind(uint32_t handle);

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
int SocketGetPeerName(Request* request);
int SocketShutdown(Request* request);
int SocketClose(Request* request);
int SocketWatch(Request* request);
int SocketStream(Request* request);
int SocketStreamStat(Request* request);

/* data.c: data through sockets, and what ioctl(2) tells of them. */
int SocketSend(Request* request);
int SocketReceive(Request* request);
int SocketIoctl(Request* request);

/* process.c: programs. */
int ProcessStart(Request* request);
int ProcessWrite(Request* request);
int ProcessSignal(Request* request);

/* One of the process's pipes has become ready. */
void ProcessWake(uint32_t number);

/* A child has ended, one of these or not; `status` is wait(2)'s. */
void ProcessEnded(pid_t pid, int status);

/* Serves the processes that have something to tell, in the order of their numbers. */
void ProcessServe(void);
bool ProcessHasWork(void);

/* The relay ends, and nobody is left to hear of them. */
void ProcessEndAll(void);

/* ready.c: which sockets have something to tell or to do. */

void ReadyPrepare(void);

/* Sleeps until there is something to do. Returns whether the channel is ready. */
bool ReadyWait(void);

/* Serves the sockets and the processes that have something to do, in the order of their handles. */
void ReadyServe(void);

/* From now on the socket's wake-ups are heard; 0 or an errno. */
int ReadyRegister(Socket* socket);

/* From now on the process's pipe wakes it, at each change; 0 or an errno. */
int ReadyRegisterProcess(int fd, uint32_t process, uint32_t events);

/* The socket is to be served, without a wake-up. */
void ReadyQueue(Socket* socket);

/* A request has acted on the socket: which of these conditions are still true is to be told, and
 * with `always` what is true and has not been told. */
void ReadyRearm(Socket* socket, uint32_t conditions, bool always);

/* The socket goes away. */
void ReadyForget(Socket* socket);

/* Makes room for one more socket; false: no memory. */
bool ReadyReserve(size_t sockets);

#endif /* RELAY_H */
