/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The relay protocol: how the simulation acts inside a guest.
 *
 * The relay (relay/) is the guest's first process. It speaks this protocol over one byte stream, a
 * virtio-serial port or a UART, with the simulator (relay-client.cc). This header is the only
 * definition of it; C11 or C++17.
 *
 * Messages
 *     Every message is a RelayHeader and `length` bytes of body. All integers are little-endian,
 * all structs below have no hidden padding. Text is not terminated; its length follows from the
 *     message's. Addresses are in network byte order, an IPv4 address in the first four bytes.
 *
 * Who speaks
 *     Relay to simulator: one RELAY_HELLO when the machine is ready for use, before anything else;
 *     exactly one reply for each request; RELAY_EVENT_* on its own account (id 0).
 *     Simulator to relay: requests, with an id that is not 0. Several may be under way; they are
 *     carried out and answered in the order in which they came.
 *     A reply has its request's type and id. `status` is 0, or the errno that the guest's kernel
 * gave, and the body is then empty. A malformed request gets EBADMSG, an unknown one ENOSYS.
 *
 * Time
 *     No request waits inside the guest: sockets do not block, a connect that is under way is a
 *     success, and how it ended is told by an event. So a request's reply comes in the turn that
 *     delivered it, at the same simulated time.
 */
#ifndef RELAY_PROTOCOL_H
#define RELAY_PROTOCOL_H

#include <assert.h>
#include <stdint.h>

#define RELAY_PROTOCOL_VERSION 2u

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

enum
{
    /* The machine. */
    RELAY_HELLO = 0x0001,     /* relay -> simulator: RelayHello, then utsname.release */
    RELAY_CLOCK_GET = 0x0010, /* - -> RelayClock */
    RELAY_CLOCK_SET = 0x0011, /* RelayClockSet -> - */
    RELAY_RNG_SEED = 0x0012,  /* seed bytes -> -; mixed into and credited to the kernel's RNG */
    RELAY_SYSCTL_GET =
        0x0013, /* name ("net.ipv4.tcp_sack" or with '/') -> value without line end */
    RELAY_SYSCTL_SET = 0x0014, /* RelaySysctlSet, name, value -> - */
    RELAY_FILE_GET =
        0x0015, /* RelayFileGet, path -> contents from that offset, at most RELAY_BODY_MAX */
    RELAY_FILE_PUT = 0x0016, /* RelayFilePut, path, data -> - */

    /* Interfaces. A NIC is named by its index, in the order of the machine's NICs. */
    RELAY_LINK_GET = 0x0020,       /* RelayNic -> RelayLink, then the interface's name */
    RELAY_LINK_SET = 0x0021,       /* RelayLinkSet -> - */
    RELAY_ADDRESS_ADD = 0x0022,    /* RelayAddress -> - */
    RELAY_ROUTE_ADD = 0x0023,      /* RelayRoute -> - */
    RELAY_ADDRESS_DELETE = 0x0024, /* RelayAddress -> - */
    RELAY_ROUTE_DELETE = 0x0025,   /* RelayRoute -> - ; attributes do not matter */
    RELAY_NETLINK = 0x0026, /* RelayNetlink, one netlink request -> RelayNetlinkAnswer, messages */

    /* Sockets. A handle is what RELAY_SOCKET and RELAY_ACCEPT return; it is never used twice. */
    RELAY_SOCKET = 0x0030,      /* RelaySocket -> RelayHandle */
    RELAY_BIND = 0x0031,        /* RelaySocketAddress -> - */
    RELAY_LISTEN = 0x0032,      /* RelayListen -> - */
    RELAY_ACCEPT = 0x0033,      /* RelayHandle -> RelaySocketAddress: the new handle and its peer */
    RELAY_CONNECT = 0x0034,     /* RelaySocketAddress -> - ; the end comes as RELAY_EVENT_READY */
    RELAY_SETSOCKOPT = 0x0035,  /* RelaySocketOption, value -> - */
    RELAY_GETSOCKOPT = 0x0036,  /* RelaySocketOption -> value */
    RELAY_GETSOCKNAME = 0x0037, /* RelayHandle -> RelaySocketAddress */
    RELAY_GETPEERNAME = 0x0038, /* RelayHandle -> RelaySocketAddress */
    RELAY_SHUTDOWN = 0x0039,    /* RelayShutdown -> - */
    RELAY_CLOSE = 0x003a,       /* RelayHandle -> - */
    RELAY_WATCH = 0x003b,       /* RelayWatch -> - : which RELAY_EVENT_READY are wanted */
    RELAY_SEND = 0x003c,        /* RelaySend, data -> RelayCount: how much the kernel took */
    RELAY_RECEIVE = 0x003d,     /* RelayReceive -> RelayReceived, data */
    RELAY_IOCTL = 0x003e,       /* RelayIoctl, argument -> argument, as the kernel left it */

    /* Bulk data that does not cross the serial port. */
    RELAY_STREAM = 0x0048,      /* RelayStream -> - : from now on the relay serves this socket */
    RELAY_STREAM_STAT = 0x0049, /* RelayHandle -> RelayStreamStat */

    /* Programs. A process is what RELAY_PROCESS_START returns; it is never used twice. */
    RELAY_PROCESS_START = 0x0050,  /* RelayProcessStart, texts -> RelayProcess */
    RELAY_PROCESS_WRITE = 0x0051,  /* RelayProcess, data -> RelayCount: how much its input took;
                                    * if not all, RELAY_EVENT_INPUT follows. No data: the end of its
                                    * input */
    RELAY_PROCESS_SIGNAL = 0x0052, /* RelayProcessSignal -> - */

    /* Events. */
    RELAY_EVENT_READY = 0x0080,  /* RelayReady */
    RELAY_EVENT_STREAM = 0x0081, /* RelayStreamEnd: a bulk transfer has ended */
    RELAY_EVENT_OUTPUT = 0x0082, /* RelayProcessOutput, bytes: a program has written */
    RELAY_EVENT_EXIT = 0x0083,   /* RelayProcessExit: it has ended, and all its output is told */
    RELAY_EVENT_INPUT = 0x0084,  /* RelayProcess: it may take more input */
};

/* RELAY_HELLO. */
typedef struct RelayHello
{
    uint32_t version; /* RELAY_PROTOCOL_VERSION */
    uint32_t nics;    /* how many network interfaces the relay found */
} RelayHello;

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
    uint32_t nameLength;
} RelaySysctlSet;

typedef struct RelayFileGet
{
    uint64_t offset;
} RelayFileGet;

/* Flags of RelayFilePut. */
enum
{
    RELAY_FILE_CREATE = 1u << 0,   /* make it if it is not there, with `mode` */
    RELAY_FILE_TRUNCATE = 1u << 1, /* what it held before is gone */
    RELAY_FILE_PARENTS = 1u << 2,  /* make the directories on its path, where they are missing */
};

/* A file that cannot take all of the data keeps what it took. */

typedef struct RelayFilePut
{
    uint64_t offset; /* where the data goes */
    uint32_t flags;
    uint32_t mode; /* permissions of a new file */
    uint32_t pathLength;
    uint32_t pad;
} RelayFilePut;

typedef struct RelayNic
{
    uint32_t nic;
} RelayNic;

typedef struct RelayLink
{
    uint32_t index; /* ifindex */
    uint32_t flags; /* IFF_... */
    uint32_t mtu;   /* bytes */
    uint8_t address[6];
    uint8_t pad[2];
} RelayLink;

/* Values of RelayLinkSet.set: which of the fields are to be set. */
enum
{
    RELAY_LINK_UP = 1u << 0,      /* `up` */
    RELAY_LINK_ARP = 1u << 1,     /* `arp`: 0 sets IFF_NOARP */
    RELAY_LINK_MTU = 1u << 2,     /* `mtu` */
    RELAY_LINK_ADDRESS = 1u << 3, /* `address` */
    RELAY_LINK_GSO_MAX_SEGMENTS = 1u
                                  << 4, /* `gsoMaxSegments`; 1: the stack builds no super-packets */
    RELAY_LINK_GRO = 1u << 5,           /* `gro` */
};

typedef struct RelayLinkSet
{
    uint32_t nic;
    uint32_t set;
    uint32_t mtu; /* bytes */
    uint32_t gsoMaxSegments;
    uint8_t up;
    uint8_t arp;
    uint8_t gro;
    uint8_t pad;
    uint8_t address[6];
    uint8_t pad1[2];
} RelayLinkSet;

/* Values of `family`: AF_INET and AF_INET6 as in Linux. */
enum
{
    RELAY_INET = 2,
    RELAY_INET6 = 10,
};

typedef struct RelayAddress
{
    uint32_t nic;
    uint8_t family;
    uint8_t prefix; /* bits */
    uint8_t pad[2];
    uint8_t address[16];
} RelayAddress;

typedef struct RelayRoute
{
    uint32_t nic;
    uint8_t family;
    uint8_t prefix;     /* bits of `destination`; 0: the default route */
    uint8_t hasGateway; /* 0: on link */
    uint8_t pad;
    uint8_t destination[16];
    uint8_t gateway[16];
    uint32_t initcwnd; /* segments; here and below: 0 leaves the kernel's own */
    uint32_t initrwnd; /* segments */
    uint32_t mtu;      /* bytes */
    uint8_t quickack;  /* 1: RTAX_QUICKACK */
    uint8_t pad1[3];
    uint32_t advmss; /* bytes */
    uint32_t window; /* bytes */
    uint32_t hoplimit;
    uint32_t rtoMin;     /* ms */
    char congestion[16]; /* the name of a congestion control, and zeros */
} RelayRoute;

/* The request is one netlink message. It is sent with NLM_F_ACK and a sequence number of the
 * relay's own, so that its end is known; the answer is every message before the NLMSG_DONE or
 * NLMSG_ERROR that ends it, whose error is the reply's status. */
typedef struct RelayNetlink
{
    uint32_t protocol; /* NETLINK_ROUTE, ... */
    uint32_t more;     /* 1: no request follows; the rest of the last one's answer is wanted */
} RelayNetlink;

typedef struct RelayNetlinkAnswer
{
    uint32_t more; /* 1: there is more, until the next request to netlink */
} RelayNetlinkAnswer;

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
    uint16_t family;
    uint16_t port;  /* host byte order */
    uint32_t scope; /* IPv6 scope id */
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
    uint32_t length; /* of the value: RELAY_GETSOCKOPT, the most to return */
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
    RELAY_HAS_TOS = 1u << 1,   /* `tos`: type of service or traffic class */
    RELAY_HAS_TTL = 1u << 2,   /* `ttl`: time to live or hop limit */
};

/* With no data: the end of a connection's stream, or an empty datagram. */
typedef struct RelayReceived
{
    RelaySocketAddress from; /* family 0: the kernel names no sender; `handle` is the socket's */
    uint32_t flags;          /* MSG_TRUNC, MSG_CTRUNC, MSG_OOB ... */
    uint32_t length; /* of the datagram as it came, in bytes; with MSG_TRUNC more than the data */
    uint32_t has;
    uint32_t interface; /* ifindex on which it came */
    uint8_t local[16];  /* the destination address */
    uint8_t tos;
    uint8_t ttl;
    uint8_t pad[2];
} RelayReceived;

typedef struct RelayIoctl
{
    uint32_t handle;
    uint32_t request; /* SIOCOUTQ, ... */
} RelayIoctl;

/* Readiness, as in poll(2). An event is sent when a watched condition becomes true, and again only
 * after a request on that handle. ERROR and HANGUP are always watched. */
enum
{
    RELAY_READABLE = 1u << 0, /* for a listening socket: a connection can be accepted */
    RELAY_WRITABLE = 1u << 1, /* for a connecting socket: it is connected */
    RELAY_ERROR = 1u << 2,    /* `error` is SO_ERROR */
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

/* RelayStream.direction. */
enum
{
    RELAY_STREAM_SOURCE = 1, /* write the pattern: byte i of a stream is i % 251 */
    RELAY_STREAM_SINK = 2,   /* read and discard, until end of file */
    RELAY_STREAM_VERIFY = 3, /* read and compare with the pattern, until end of file */
    RELAY_STREAM_STOP = 4,   /* the relay no longer serves this socket */
};

typedef struct RelayStream
{
    uint32_t handle;
    uint32_t direction;
    uint64_t length;  /* bytes to transfer; 0: no end */
    uint32_t chunk;   /* bytes for each read(2) or write(2); 0: the relay's own choice */
    uint32_t perWake; /* the most reads or writes for each wake-up; 0: until it would block */
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

/* Flags of RelayProcessStart. */
enum
{
    RELAY_PROCESS_INPUT = 1u << 0, /* RELAY_PROCESS_WRITE feeds it; otherwise it reads nothing */
    RELAY_PROCESS_MERGE = 1u << 1, /* standard error goes where standard output goes */
};

/* Texts follow, each with a terminating 0: the working directory (empty: "/"), `arguments` of them,
 * of which the first is the program (a path, or a name to look for in PATH), `variables` of them
 * ("NAME=value", the whole environment). An executable that cannot be started is the reply's errno.
 */
typedef struct RelayProcessStart
{
    uint32_t flags;
    uint32_t arguments;
    uint32_t variables;
} RelayProcessStart;

typedef struct RelayProcess
{
    uint32_t process;
} RelayProcess;

/* To the process and its children, as long as they do not leave its process group. */
typedef struct RelayProcessSignal
{
    uint32_t process;
    uint32_t signal;
} RelayProcessSignal;

/* Children of a process may write after its end: that is told after its RELAY_EVENT_EXIT. */
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
static_assert(sizeof(RelayLink) == 20, "part of the protocol");
static_assert(sizeof(RelayLinkSet) == 28, "part of the protocol");
static_assert(sizeof(RelayAddress) == 24, "part of the protocol");
static_assert(sizeof(RelayRoute) == 88, "part of the protocol");
static_assert(sizeof(RelaySocket) == 12, "part of the protocol");
static_assert(sizeof(RelaySocketAddress) == 28, "part of the protocol");
static_assert(sizeof(RelaySocketOption) == 16, "part of the protocol");
static_assert(sizeof(RelayReady) == 12, "part of the protocol");
static_assert(sizeof(RelayFilePut) == 24, "part of the protocol");
static_assert(sizeof(RelaySend) == 32, "part of the protocol");
static_assert(sizeof(RelayReceived) == 64, "part of the protocol");
static_assert(sizeof(RelayStream) == 24, "part of the protocol");
static_assert(sizeof(RelayStreamStat) == 16, "part of the protocol");
static_assert(sizeof(RelayStreamEnd) == 24, "part of the protocol");

#endif /* RELAY_PROTOCOL_H */
