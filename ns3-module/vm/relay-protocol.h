/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The relay protocol: how the simulation acts inside a guest.
 *
 * The relay (relay/) is the guest's first process. It speaks this protocol over one byte stream, a
 * virtio-serial port or a UART, with the simulator (relay-client.cc). This header is the whole
 * protocol and the only definition of it; C11 or C++17. It knows neither ns-3 nor QEMU.
 *
 * Messages
 *     Every message is a RelayHeader and `length` bytes of body: most often one of the structs
 *     below, and after some of them text or bytes, whose length follows from the message's. Text is
 *     not terminated. All integers are little-endian, and the structs have no hidden padding.
 *     Addresses are in network byte order, an IPv4 address in the first four bytes.
 *
 *     There are three kinds:
 *
 *         request  simulator to relay, with an id of the simulator's choice that is not 0
 *         reply    relay to simulator, with the request's type and id: one for each request
 *         event    relay to simulator on its own account, with id 0
 *
 *     A reply's `status` is 0, or an errno and then its body is empty. That is what the guest's
 *     kernel said, or of the relay itself: EBADMSG to a body that is not what its type demands,
 *     ENOSYS to a type that there is not, EBADF, ENODEV and ESRCH to a socket, a NIC and a process
 *     that there are not, EINVAL to a value that is not defined here.
 *
 * A conversation
 *     The relay begins: when the machine is ready for use it says RELAY_HELLO. From then on the
 *     simulator makes requests, and the relay replies; several may be under way, and are carried
 *     out and answered in the order in which they came. Events may come in between. A client that
 *     looks at a server's greeting:
 *
 *         simulator                             relay
 *                                               HELLO       version 3, 1 NIC, "6.1.0"
 *         LINK_SET    NIC 0, up
 *                                               LINK_SET    status 0
 *         SOCKET      AF_INET, SOCK_STREAM
 *                                               SOCKET      handle 1
 *         WATCH       1, readable
 *                                               WATCH       status 0
 *         CONNECT     1, 10.0.0.2 port 80
 *                                               CONNECT     status 0
 *         ... the machine's turn ends; later, in one in which a frame arrives:
 *                                               EVENT_READY 1, writable: it is connected
 *                                               EVENT_READY 1, readable
 *         RECEIVE     1, at most 1000 bytes
 *                                               RECEIVE     "220 ..."
 *
 * Time
 *     No request waits inside the guest: sockets do not block, a connect that is under way is a
 *     success, and how it ended is told by an event. So a request's reply comes in the turn that
 *     delivered it, at the same simulated time.
 *
 * Trust
 *     The guest is untrusted, and so is what speaks for it: the simulator checks every length and
 *     every field before use. The relay checks too, to tell a simulator's error from its own.
 */
#ifndef RELAY_PROTOCOL_H
#define RELAY_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define RELAY_PROTOCOL_VERSION 3u

/* The largest body in bytes, either way: more than the largest datagram that the Internet protocols
 * carry (64 KiB), and what is said of it. */
#define RELAY_BODY_MAX 69632u

/* Name of the relay's virtio-serial port, as the guest sees it in sysfs. */
#define RELAY_PORT_NAME "ns3-qemu.relay"

typedef struct RelayHeader
{
    uint32_t length; /* of the body, in bytes */
    uint16_t type;   /* RELAY_... */
    uint16_t reserved;
    uint32_t id;    /* the request's; 0: not a reply */
    int32_t status; /* of a reply: 0 or an errno; otherwise 0 */
} RelayHeader;

/* `type`. What each message means stands below, by subject: first its body, then, for a request,
 * the body of the reply. */
enum
{
    RELAY_HELLO = 0x0001,

    RELAY_CLOCK_GET = 0x0010,
    RELAY_CLOCK_SET = 0x0011,
    RELAY_RNG_SEED = 0x0012,
    RELAY_SYSCTL_GET = 0x0013,
    RELAY_SYSCTL_SET = 0x0014,
    RELAY_FILE_GET = 0x0015,
    RELAY_FILE_PUT = 0x0016,
    RELAY_MOUNT = 0x0018,
    RELAY_FREEZE = 0x0019,

    RELAY_LINK_GET = 0x0020,
    RELAY_LINK_SET = 0x0021,
    RELAY_ADDRESS_ADD = 0x0022,
    RELAY_ADDRESS_DELETE = 0x0023,

    RELAY_SOCKET = 0x0030,
    RELAY_BIND = 0x0031,
    RELAY_LISTEN = 0x0032,
    RELAY_ACCEPT = 0x0033,
    RELAY_CONNECT = 0x0034,
    RELAY_SETSOCKOPT = 0x0035,
    RELAY_GETSOCKOPT = 0x0036,
    RELAY_GETSOCKNAME = 0x0037,
    RELAY_SHUTDOWN = 0x0038,
    RELAY_CLOSE = 0x0039,
    RELAY_WATCH = 0x003a,
    RELAY_SEND = 0x003b,
    RELAY_RECEIVE = 0x003c,
    RELAY_IOCTL = 0x003d,

    RELAY_STREAM = 0x0048,
    RELAY_STREAM_STAT = 0x0049,

    RELAY_PROCESS_START = 0x0050,
    RELAY_PROCESS_WRITE = 0x0051,
    RELAY_PROCESS_SIGNAL = 0x0052,

    RELAY_EVENT_READY = 0x0080,
    RELAY_EVENT_STREAM = 0x0081,
    RELAY_EVENT_OUTPUT = 0x0082,
    RELAY_EVENT_EXIT = 0x0083,
    RELAY_EVENT_INPUT = 0x0084,
};

/* ---- the beginning ----
 *
 * RELAY_HELLO, event: RelayHello, then the kernel's release as `uname -r` prints it.
 *     The machine is ready for use. It is the first message, and comes once.
 */

typedef struct RelayHello
{
    uint32_t version; /* RELAY_PROTOCOL_VERSION */
    uint32_t nics;    /* how many network interfaces the relay found */
} RelayHello;

/* ---- the machine ----
 *
 * RELAY_CLOCK_GET, request: nothing -> RelayClock
 *     What the kernel's clocks show.
 * RELAY_CLOCK_SET, request: RelayClockSet -> nothing
 *     Sets CLOCK_REALTIME.
 * RELAY_RNG_SEED, request: bytes -> nothing
 *     Mixes the bytes into the kernel's random number generator, as so many bits of entropy, and
 *     has it begin anew with them.
 * RELAY_SYSCTL_GET, request: name -> value, without its line end
 *     Reads a kernel parameter. Names are those of sysctl(8): "net.ipv4.tcp_sack", or with '/'.
 * RELAY_SYSCTL_SET, request: RelaySysctlSet, name, value -> nothing
 *     Sets a kernel parameter.
 * RELAY_FILE_GET, request: RelayFileGet, path -> bytes
 *     Reads a file from that offset, as much as a reply holds. Nothing: that is the file's end.
 * RELAY_FILE_PUT, request: RelayFilePut, path, bytes -> nothing
 *     Writes the bytes to a file. One that cannot take all of them keeps those that it took, and
 *     the status says why.
 * RELAY_MOUNT, request: RelayMount, texts -> nothing
 *     Mounts a file system. The texts are terminated by a 0 each: its device, its type, the
 *     directory, which is made if it is not there, and its own options.
 * RELAY_FREEZE, request: path -> nothing
 *     Writes what is to be written to disks, and lets nothing more be written to the file system
 *     that has this path, if there is one. Whoever tries, waits.
 * These two may wait for a disk.
 */

/* ns since the epoch of each clock: CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME (or
 * CLOCK_MONOTONIC where the kernel has none). */
typedef struct RelayClock
{
    int64_t realtime;
    int64_t monotonic;
    int64_t boottime;
} RelayClock;

typedef struct RelayClockSet
{
    int64_t realtime; /* ns since 1970 */
} RelayClockSet;

typedef struct RelaySysctlSet
{
    uint32_t nameLength; /* bytes */
} RelaySysctlSet;

typedef struct RelayFileGet
{
    uint64_t offset; /* bytes */
} RelayFileGet;

/* RelayFilePut.flags. */
enum
{
    RELAY_FILE_CREATE = 1u << 0,   /* make it if it is not there, with `mode` */
    RELAY_FILE_TRUNCATE = 1u << 1, /* what it held before is gone */
    RELAY_FILE_PARENTS = 1u << 2,  /* make the directories on its path, where they are missing */
};

typedef struct RelayFilePut
{
    uint64_t offset;     /* where the bytes go */
    uint32_t flags;      /* RELAY_FILE_... */
    uint32_t mode;       /* permissions of a new file */
    uint32_t pathLength; /* bytes */
    uint32_t pad;
} RelayFilePut;

/* RelayMount.flags. */
enum
{
    RELAY_MOUNT_READ_ONLY = 1u << 0,
    RELAY_MOUNT_ROOT = 1u << 1, /* it becomes the root; where it cannot be written, what is written
                                 * is in memory. The machine's own file systems, /dev and its like,
                                 * go with it, and what the image adds is copied to it. */
};

typedef struct RelayMount
{
    uint32_t flags; /* RELAY_MOUNT_... */
} RelayMount;

/* ---- network interfaces ----
 *
 * A NIC is named by its index, in the order of the machine's NICs. Routes, neighbours, queueing
 * disciplines and all else that the kernel tells by netlink, the simulator asks for itself, over a
 * socket of AF_NETLINK.
 *
 * RELAY_LINK_GET, request: RelayNic -> RelayLink, then the interface's name
 *     What the NIC is like.
 * RELAY_LINK_SET, request: RelayLinkSet -> nothing
 *     Sets what `set` says. With more than one: down comes first and up last, so that the link
 *     comes up as what it is to be. The first that fails is the last that is tried.
 * RELAY_ADDRESS_ADD, request: RelayAddress -> nothing
 *     Gives the NIC an address, which it can use at once.
 * RELAY_ADDRESS_DELETE, request: RelayAddress -> nothing
 *     Takes one away.
 */

typedef struct RelayNic
{
    uint32_t nic;
} RelayNic;

typedef struct RelayLink
{
    uint32_t index;     /* ifindex */
    uint32_t flags;     /* IFF_... */
    uint32_t mtu;       /* bytes */
    uint8_t address[6]; /* MAC */
    uint8_t pad[2];
} RelayLink;

/* RelayLinkSet.set: which of the fields are to be set. */
enum
{
    RELAY_LINK_UP = 1u << 0,               /* `up` */
    RELAY_LINK_ARP = 1u << 1,              /* `arp` */
    RELAY_LINK_MTU = 1u << 2,              /* `mtu` */
    RELAY_LINK_ADDRESS = 1u << 3,          /* `address` */
    RELAY_LINK_GSO_MAX_SEGMENTS = 1u << 4, /* `gsoMaxSegments` */
    RELAY_LINK_SPEED = 1u << 5,            /* `speed`, and full duplex; a NIC that negotiates them,
                                            * or whose driver cannot be told, keeps what it has */
};

typedef struct RelayLinkSet
{
    uint32_t nic;
    uint32_t set;            /* RELAY_LINK_... */
    uint32_t mtu;            /* bytes */
    uint32_t gsoMaxSegments; /* 1: the stack builds no super-packets */
    uint32_t speed;          /* Mbit/s */
    uint8_t up;              /* 0: down */
    uint8_t arp;             /* 0: IFF_NOARP */
    uint8_t pad[2];
    uint8_t address[6]; /* MAC */
    uint8_t pad1[2];
} RelayLinkSet;

/* `family`: AF_INET and AF_INET6 as in Linux. */
enum
{
    RELAY_INET = 2,
    RELAY_INET6 = 10,
};

typedef struct RelayAddress
{
    uint32_t nic;
    uint8_t family; /* RELAY_INET... */
    uint8_t prefix; /* bits */
    uint8_t pad[2];
    uint8_t address[16];
} RelayAddress;

/* ---- sockets ----
 *
 * What POSIX does with sockets; none of them blocks. A handle is what RELAY_SOCKET and RELAY_ACCEPT
 * return, and is never used twice.
 *
 * RELAY_SOCKET, request: RelaySocket -> RelayHandle
 *     Opens one, of any family that the kernel has.
 * RELAY_BIND, request: RelaySocketAddress -> nothing
 * RELAY_LISTEN, request: RelayListen -> nothing
 * RELAY_ACCEPT, request: RelayHandle -> RelaySocketAddress, the new handle and its peer
 *     EAGAIN: nobody has connected.
 * RELAY_CONNECT, request: RelaySocketAddress -> nothing
 *     Begins to connect. How that ends is told by RELAY_EVENT_READY, also if it is known at once:
 *     WRITABLE, or ERROR and HANGUP.
 * RELAY_SETSOCKOPT, request: RelaySocketOption, value -> nothing
 * RELAY_GETSOCKOPT, request: RelaySocketOption -> value, at most `length` bytes
 * RELAY_GETSOCKNAME, request: RelayHandle -> RelaySocketAddress
 * RELAY_SHUTDOWN, request: RelayShutdown -> nothing
 * RELAY_CLOSE, request: RelayHandle -> nothing
 *     Never lingers: what is still to be sent, the kernel sends all the same.
 * RELAY_SEND, request: RelaySend, data -> RelayCount, how much the kernel took
 *     EAGAIN: nothing.
 * RELAY_RECEIVE, request: RelayReceive -> RelayReceived, data
 *     No data: the end of a connection's stream, or an empty datagram. EAGAIN: there is nothing.
 * RELAY_IOCTL, request: RelayIoctl, argument -> the argument, as the kernel left it
 * RELAY_WATCH, request: RelayWatch -> nothing
 *     Says which conditions RELAY_EVENT_READY is to tell, besides ERROR and HANGUP, which it always
 *     tells.
 * RELAY_EVENT_READY, event: RelayReady
 *     A watched condition has become true. It is told once, and again after a request on that
 *     handle if it is still true. A request that only looks (GETSOCKOPT, GETSOCKNAME, IOCTL,
 *     STREAM_STAT) does not count; RELAY_SEND counts for WRITABLE, RELAY_RECEIVE for READABLE, and
 *     both for ERROR.
 */

typedef struct RelaySocket
{
    uint32_t domain; /* RELAY_INET, RELAY_INET6, or any other AF_... */
    uint32_t type;   /* SOCK_..., without flags */
    uint32_t protocol;
} RelaySocket;

typedef struct RelayHandle
{
    uint32_t handle;
} RelayHandle;

typedef struct RelaySocketAddress
{
    uint32_t handle;
    uint16_t family; /* RELAY_INET...; 0: none */
    uint16_t port;   /* host byte order */
    uint32_t scope;  /* IPv6 scope id */
    uint8_t address[16];
} RelaySocketAddress;

typedef struct RelayListen
{
    uint32_t handle;
    uint32_t backlog;
} RelayListen;

typedef struct RelaySocketOption
{
    uint32_t handle;
    int32_t level;
    int32_t name;
    uint32_t length; /* of the value in bytes: RELAY_GETSOCKOPT, the most to return */
} RelaySocketOption;

typedef struct RelayShutdown
{
    uint32_t handle;
    uint32_t how; /* SHUT_RD, SHUT_WR, SHUT_RDWR */
} RelayShutdown;

typedef struct RelaySend
{
    RelaySocketAddress to; /* family 0: the socket's peer */
    uint32_t flags;        /* MSG_... of send(2); MSG_DONTWAIT and MSG_NOSIGNAL are implied */
} RelaySend;

typedef struct RelayCount
{
    uint32_t bytes;
} RelayCount;

typedef struct RelayReceive
{
    uint32_t handle;
    uint32_t flags;  /* MSG_... of recv(2) */
    uint32_t length; /* the most to return; a longer datagram is cut, as by recv(2) */
} RelayReceive;

/* RelayReceived.has: what the kernel told besides (IP_PKTINFO, IP_RECVTOS, IP_RECVTTL and their
 * counterparts of IPv6, where the socket has those options). */
enum
{
    RELAY_HAS_LOCAL = 1u << 0, /* `local`, `interface` */
    RELAY_HAS_TOS = 1u << 1,   /* `tos` */
    RELAY_HAS_TTL = 1u << 2,   /* `ttl` */
};

typedef struct RelayReceived
{
    RelaySocketAddress from; /* family 0: the kernel names no sender; `handle` is the socket's */
    uint32_t flags;          /* MSG_TRUNC, MSG_CTRUNC, MSG_OOB ... */
    uint32_t length; /* of the datagram as it came, in bytes; with MSG_TRUNC more than the data */
    uint32_t has;    /* RELAY_HAS_... */
    uint32_t interface; /* ifindex on which it came */
    uint8_t local[16];  /* the destination address */
    uint8_t tos;        /* type of service or traffic class */
    uint8_t ttl;        /* time to live or hop limit */
    uint8_t pad[2];
} RelayReceived;

typedef struct RelayIoctl
{
    uint32_t handle;
    uint32_t request; /* SIOCOUTQ, ...; not FIONBIO and FIOASYNC */
} RelayIoctl;

/* RelayWatch.conditions and RelayReady.conditions, as in poll(2). */
enum
{
    RELAY_READABLE = 1u << 0, /* for a listening socket: a connection can be accepted */
    RELAY_WRITABLE = 1u << 1, /* for a connecting socket: it is connected */
    RELAY_ERROR = 1u << 2,    /* `error` is SO_ERROR; the next call returns it all the same */
    RELAY_HANGUP = 1u << 3,   /* the peer has closed */
};

typedef struct RelayWatch
{
    uint32_t handle;
    uint32_t conditions;
} RelayWatch;

typedef struct RelayReady
{
    uint32_t handle;
    uint32_t conditions;
    int32_t error; /* errno, with RELAY_ERROR */
} RelayReady;

/* ---- bulk data that does not cross the serial port ----
 *
 * RELAY_STREAM, request: RelayStream -> nothing
 *     From now on the relay itself writes to this socket or reads from it. EBUSY: it does so
 *     already.
 * RELAY_STREAM_STAT, request: RelayHandle -> RelayStreamStat
 *     How far it is, or how far it came.
 * RELAY_EVENT_STREAM, event: RelayStreamEnd
 *     A stream has ended.
 */

/* RelayStream.direction. */
enum
{
    RELAY_STREAM_SOURCE = 1, /* write the pattern: byte i of a stream is i % 251 */
    RELAY_STREAM_SINK = 2,   /* read and discard, until end of file */
    RELAY_STREAM_VERIFY = 3, /* read and compare with the pattern, until end of file */
};

typedef struct RelayStream
{
    uint32_t handle;
    uint32_t direction; /* RELAY_STREAM_... */
    uint64_t length;    /* bytes to transfer; 0: no end */
    uint32_t chunk;     /* bytes for each read(2), or of the buffer to write; 0: its own choice */
    uint32_t perWake;   /* the most reads or writes for each wake-up; 0: until it would block */
} RelayStream;

typedef struct RelayStreamStat
{
    uint64_t bytes; /* transferred so far */
    uint64_t wrong; /* RELAY_STREAM_VERIFY: bytes that differ from the pattern */
} RelayStreamStat;

typedef struct RelayStreamEnd
{
    uint32_t handle;
    int32_t error;  /* 0: `length` reached or end of file; otherwise errno */
    uint64_t bytes; /* transferred */
    uint64_t wrong; /* as in RelayStreamStat */
} RelayStreamEnd;

/* ---- programs ----
 *
 * A process is what RELAY_PROCESS_START returns, and is never used twice.
 *
 * RELAY_PROCESS_START, request: RelayProcessStart, texts -> RelayProcess
 *     Starts a program. The texts are terminated by a 0 each: the working directory (empty: "/"),
 *     `arguments` of them, of which the first is the program (a path, or a name to look for in
 *     PATH), `variables` of them ("NAME=value", the whole environment). The status is what exec(2)
 *     says: ENOENT, EACCES, ENOEXEC ...
 * RELAY_PROCESS_WRITE, request: RelayProcess, bytes -> RelayCount, how much its input took
 *     If that is not all, RELAY_EVENT_INPUT follows. No bytes: its input ends.
 * RELAY_PROCESS_SIGNAL, request: RelayProcessSignal -> nothing
 *     Sends a signal to the process and its children, as long as they do not leave its process
 *     group.
 * RELAY_EVENT_OUTPUT, event: RelayProcessOutput, bytes
 *     It has written. What its children write after its end is told after its RELAY_EVENT_EXIT.
 * RELAY_EVENT_INPUT, event: RelayProcess
 *     It may take more input.
 * RELAY_EVENT_EXIT, event: RelayProcessExit
 *     It has ended, and all that it has written is told.
 */

/* RelayProcessStart.flags. */
enum
{
    RELAY_PROCESS_INPUT = 1u << 0, /* RELAY_PROCESS_WRITE feeds it; otherwise it reads nothing */
    RELAY_PROCESS_MERGE = 1u << 1, /* standard error goes where standard output goes */
};

typedef struct RelayProcessStart
{
    uint32_t flags;     /* RELAY_PROCESS_... */
    uint32_t arguments; /* how many */
    uint32_t variables; /* how many */
} RelayProcessStart;

typedef struct RelayProcess
{
    uint32_t process;
} RelayProcess;

typedef struct RelayProcessSignal
{
    uint32_t process;
    uint32_t signal;
} RelayProcessSignal;

typedef struct RelayProcessOutput
{
    uint32_t process;
    uint32_t stream; /* 1: standard output, 2: standard error */
} RelayProcessOutput;

typedef struct RelayProcessExit
{
    uint32_t process;
    uint32_t code;   /* exit status, if `signal` is 0 */
    uint32_t signal; /* that ended it, or 0 */
} RelayProcessExit;

static_assert(sizeof(RelayHeader) == 16, "part of the protocol");
static_assert(sizeof(RelayHello) == 8, "part of the protocol");
static_assert(sizeof(RelayClock) == 24, "part of the protocol");
static_assert(sizeof(RelayClockSet) == 8, "part of the protocol");
static_assert(sizeof(RelaySysctlSet) == 4, "part of the protocol");
static_assert(sizeof(RelayFileGet) == 8, "part of the protocol");
static_assert(sizeof(RelayFilePut) == 24, "part of the protocol");
static_assert(sizeof(RelayMount) == 4, "part of the protocol");
static_assert(sizeof(RelayNic) == 4, "part of the protocol");
static_assert(sizeof(RelayLink) == 20, "part of the protocol");
static_assert(sizeof(RelayLinkSet) == 32, "part of the protocol");
static_assert(sizeof(RelayAddress) == 24, "part of the protocol");
static_assert(sizeof(RelaySocket) == 12, "part of the protocol");
static_assert(sizeof(RelayHandle) == 4, "part of the protocol");
static_assert(sizeof(RelaySocketAddress) == 28, "part of the protocol");
static_assert(sizeof(RelayListen) == 8, "part of the protocol");
static_assert(sizeof(RelaySocketOption) == 16, "part of the protocol");
static_assert(sizeof(RelayShutdown) == 8, "part of the protocol");
static_assert(sizeof(RelaySend) == 32, "part of the protocol");
static_assert(sizeof(RelayCount) == 4, "part of the protocol");
static_assert(sizeof(RelayReceive) == 12, "part of the protocol");
static_assert(sizeof(RelayReceived) == 64, "part of the protocol");
static_assert(sizeof(RelayIoctl) == 8, "part of the protocol");
static_assert(sizeof(RelayWatch) == 8, "part of the protocol");
static_assert(sizeof(RelayReady) == 12, "part of the protocol");
static_assert(sizeof(RelayStream) == 24, "part of the protocol");
static_assert(sizeof(RelayStreamStat) == 16, "part of the protocol");
static_assert(sizeof(RelayStreamEnd) == 24, "part of the protocol");
static_assert(sizeof(RelayProcessStart) == 12, "part of the protocol");
static_assert(sizeof(RelayProcess) == 4, "part of the protocol");
static_assert(sizeof(RelayProcessSignal) == 8, "part of the protocol");
static_assert(sizeof(RelayProcessOutput) == 8, "part of the protocol");
static_assert(sizeof(RelayProcessExit) == 12, "part of the protocol");

#endif /* RELAY_PROTOCOL_H */
