/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * sim-link: the wire between a simulator and one virtual machine.
 *
 * This header is the whole protocol and the only definition of it: the simulator's end (vm-link.cc)
 * and QEMU's end (qemu-patches/src/system/sim-link.c) both include it. It needs C11 or C++17 and
 * knows neither ns-3 nor QEMU.
 *
 * The region
 *     One shared memory region per VM, made by the simulator and inherited by QEMU as a file
 *     descriptor:
 *
 *         0                          SimLinkHeader
 *         SIM_LINK_HEADER_SIZE       inbox:  records from the simulator to the VM (boxSize bytes)
 *         ... + boxSize              outbox: records from the VM to the simulator (boxSize bytes)
 *
 * The turn
 *     Whose turn it is, is one 32-bit word, `turn`. Whoever has the turn owns the whole region, and
 *     the other side touches nothing but that word. A side ends its turn by storing the other's
 *     name in the word (release order) and, if that has said that it sleeps, waking its futex.
 *     There are no other locks.
 *
 * A look
 *     The one exception: a simulator that has waited for long for the end of a turn may look at the
 *     guest. It fills in SimLinkLook and sends the VM's process SIM_LINK_LOOK_SIGNAL. The VM
 *     answers where its guest next leaves the translated code, and goes on as if nothing had been.
 *
 * A conversation
 *     The VM has the first turn: it answers SIM_LINK_HELLO and what it offers. From then on the
 *     simulator commands and the VM answers, one for one:
 *
 *         SIM_LINK_BOOT      the clock runs with the instructions, until the guest has announced
 *                            itself on SIM_LINK_RELAY_PORT and is idle. Answers: BUSY (a slice is
 *                            over: command BOOT again), IDLE (ready), MORE, FAULT.
 *         SIM_LINK_RUN       the clock shows `time` and stands still. The records in the inbox are
 *                            delivered, then the guest runs until its CPUs are idle. Answers: IDLE,
 *                            BUSY, MORE, FAULT.
 *                            With SIM_LINK_RUN_TIMED computing takes time: the clock goes on with
 *                            the instructions, `rate` of them a second, all timers expire when they
 *                            are due, and the turn ends when the guest is idle, has sent a frame or
 *                            something on SIM_LINK_RELAY_PORT, or the clock has reached `horizon`.
 *                            It ends behind an instruction: `vmTime` of the answer is when all that
 *                            was sent in this turn has been. After BUSY the guest goes on at that
 *                            time; `time` of the next turn may be less, and then that time counts.
 *                            Several CPUs compute at the same time, to within `quantum`; each frame
 *                            then follows a SIM_LINK_STAMP.
 *         SIM_LINK_AHEAD     several turns, one after the other: those in the inbox, each a
 *                            SIM_LINK_TURN record followed by its input, and in between those for
 *                            timers, which are due before the next one's time, or before `time`
 *                            after the last. It ends early after `flags` of them, after a turn in
 *                            which something was written to SIM_LINK_RELAY_PORT, and after one
 *                            that the guest has used up. In the outbox each turn is a SIM_LINK_TURN
 *                            record, what it sent, and a SIM_LINK_TURN_END record. Answers:
 *                            AHEAD_OVER, AHEAD_EARLY, MORE, FAULT.
 *         SIM_LINK_CONTINUE  only after MORE: the simulator has emptied the outbox; go on with the
 *                            same turn. Answers as for the turn that it belongs to.
 *         SIM_LINK_SAVE      in place of the first RUN: the machine's state is written into the
 *                            file that the link's property `state` names. Answers: SAVED, and the
 *                            process exits; FAULT.
 *         SIM_LINK_COPY      the VM makes a copy of itself, as it is at the end of its last turn,
 *                            and goes on waiting as if it had not been asked; or it says what has
 *                            become of its copy, or ends it: see `flags`. Answer: COPIED.
 *         SIM_LINK_BLOCKS    the VM tells which blocks of translated code it has, in the order in
 *                            which it has translated them, as many as the outbox has room for, and
 *                            goes on waiting as if it had not been asked. Answer: TOLD, with
 *                            SIM_LINK_BLOCK records.
 *         SIM_LINK_QUIT      the VM ends. There is no answer: the process exits.
 *
 * A copy
 *     A VM has at most one copy at a time: a process of its own that shares nothing with it but
 *     what neither changes. The file descriptor of the region must be twice as long when the copy
 *     is made; the second half is the region of the copy, with `magic`, `version` and `boxSize`
 *     set, and the turn the simulator's. The copy waits for its first turn as the VM itself does
 *     for its next one. What it sends is nobody's but the simulator's that asked for it; it ends
 *     with SIM_LINK_QUIT, with SIM_LINK_COPY of its VM, or with its VM.
 *
 * A zygote
 *     A QEMU whose link has the property `zygote`, the descriptor of a SOCK_SEQPACKET socket. It
 *     has a region as any other, of which nothing is used but the header's first line, and waits
 *     for requests, a SimZygoteRequest each; it answers with a SimZygoteReply. It ends with its
 *     socket; its VMs do not end with it.
 *
 *     SIM_ZYGOTE_FORK comes with descriptors (SCM_RIGHTS, unix(7)) of a region of the same size, of
 *     a file for messages, of the end of a pipe that is read, and maybe of a ruleset (landlock(7))
 *     that is to be put into force. It makes a VM, which is a child of the process that started the
 *     zygote, if that adopts orphans (PR_SET_CHILD_SUBREAPER, prctl(2)). The VM goes on when it has
 *     read a byte from the pipe, and ends if there is none.
 *
 *     SIM_ZYGOTE_TRANSLATE comes with a file of SimLinkBlocks: it translates these, so that the VMs
 *     that follow need not. What is not in its memory as it was, it leaves out.
 *
 * Trust
 *     The guest is untrusted, and so is a QEMU that a guest has taken over: the simulator copies
 *     every field once and checks it before use. QEMU checks too, to tell a simulator's error from
 *     its own.
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sim-link is little-endian, and both of its ends run on the same machine"
#endif

#define SIM_LINK_MAGIC UINT64_C(0x4b4e494c2d4d4953) /* "SIM-LINK" */
#define SIM_LINK_VERSION UINT32_C(3)
#define SIM_LINK_HEADER_SIZE UINT32_C(4096)

/* Both boxes have the same size: a multiple of 8 within these bounds, in bytes. */
#define SIM_LINK_BOX_MIN UINT32_C(0x20000)
#define SIM_LINK_BOX_MAX UINT32_C(0x4000000)

/* The largest payload of one record in bytes: an Ethernet frame without segmentation offload fits
 * many times, and so does what a serial port takes at once. */
#define SIM_LINK_PAYLOAD_MAX UINT32_C(0x11000)

/* Serial ports with a meaning to the wire itself. */
#define SIM_LINK_RELAY_PORT 0
#define SIM_LINK_CONSOLE_PORT 1

/* Values of `turn`. */
enum
{
    SIM_LINK_TURN_VM = 1,
    SIM_LINK_TURN_SIMULATOR = 2,
};

/* Simulator to VM: `command`. */
enum
{
    SIM_LINK_BOOT = 1,
    SIM_LINK_RUN = 2,
    SIM_LINK_CONTINUE = 3,
    SIM_LINK_QUIT = 4,
    SIM_LINK_SAVE = 5,
    SIM_LINK_AHEAD = 6,
    SIM_LINK_COPY = 7,
    SIM_LINK_BLOCKS = 8,
};

/* `flags` of SIM_LINK_COPY. */
enum
{
    SIM_LINK_COPY_MAKE = 1,  /* there must be none that runs */
    SIM_LINK_COPY_CHECK = 2, /* whether it runs */
    SIM_LINK_COPY_END = 3,   /* it is ended if it runs */
};

/* Flags of SIM_LINK_RUN, and of a turn. */
enum
{
    /* Timers due at `time` expire in this turn. Without it only those due earlier do: a frame that
     * arrives at the same instant as a tick is then a turn of its own, and the simulator's event
     * order decides which comes first. */
    SIM_LINK_RUN_TIMERS = 1u << 0,
    /* Computing takes time in this turn. From the first such turn on, the machine's instructions
     * are counted one by one; the clock may stand still in others in between. Only of RUN. */
    SIM_LINK_RUN_TIMED = 1u << 1,
    /* The clock stands still, and the turn also ends, with BUSY, once something has been written to
     * SIM_LINK_RELAY_PORT: what the guest does besides is to take time. Only of RUN. */
    SIM_LINK_RUN_REQUEST = 1u << 2,
};

/* VM to simulator: `answer`. */
enum
{
    /* The VM is there; `features`, `nics` and `ports` are valid, `time` is its clock. */
    SIM_LINK_HELLO = 1,
    /* All CPUs are halted and no device has work left. The next timer is due at `deadline`. */
    SIM_LINK_IDLE = 2,
    /* The guest has used up what one turn may take (instructions, or readings of a clock that
     * stands still) and is not idle. It wants to go on at `deadline`. Counts decide, never wall
     * time. */
    SIM_LINK_BUSY = 3,
    /* The outbox is full, so not empty, and the turn goes on: empty it, then SIM_LINK_CONTINUE. */
    SIM_LINK_MORE = 4,
    /* The VM cannot go on; `fault` says why. No further command is answered. */
    SIM_LINK_FAULT = 5,
    /* The machine's state is in its file. No further command is answered. */
    SIM_LINK_SAVED = 6,
    /* All turns of SIM_LINK_AHEAD are over; the next timer is due at `deadline`. */
    SIM_LINK_AHEAD_OVER = 7,
    /* They have ended early (see SIM_LINK_AHEAD): what was left in the inbox has not been
     * delivered. */
    SIM_LINK_AHEAD_EARLY = 8,
    /* `fault` is 0 if there is a copy that runs. Else it is an errno: why it could not be made, or
     * ESRCH if there is none, or none any more. All other fields are as with the last answer. */
    SIM_LINK_COPIED = 9,
    /* The blocks are in the outbox. All other fields are as with the last answer. */
    SIM_LINK_TOLD = 10,
};

/* `fault` of SIM_LINK_FAULT. */
enum
{
    SIM_LINK_FAULT_RESET = 1,    /* the guest rebooted: after a panic, or a triple fault */
    SIM_LINK_FAULT_POWEROFF = 2, /* the guest switched itself off */
    SIM_LINK_FAULT_PANIC = 3,    /* a paravirtual panic device reported a panic */
    SIM_LINK_FAULT_DEVICE = 4,   /* a device model failed */
    SIM_LINK_FAULT_HOST = 5,     /* QEMU was asked to end by someone else */
    SIM_LINK_FAULT_PROTOCOL = 6, /* the simulator broke this protocol */
    SIM_LINK_FAULT_SAVE = 7,     /* the machine's state could not be saved */
};

/* Feature bits of the hello. */
#define SIM_LINK_FEATURE_BOOT UINT64_C(1)     /* SIM_LINK_BOOT is understood */
#define SIM_LINK_FEATURE_CREDIT UINT64_C(2)   /* SIM_LINK_CREDIT is understood */
#define SIM_LINK_FEATURE_CARRIER UINT64_C(4)  /* SIM_LINK_CARRIER is understood */
#define SIM_LINK_FEATURE_SAVE UINT64_C(8)     /* SIM_LINK_SAVE is, and there is a file for it */
#define SIM_LINK_FEATURE_AHEAD UINT64_C(16)   /* SIM_LINK_AHEAD is understood */
#define SIM_LINK_FEATURE_DISK UINT64_C(32)    /* SIM_LINK_DISK is understood */
#define SIM_LINK_FEATURE_COPY UINT64_C(64)    /* SIM_LINK_COPY is understood */
#define SIM_LINK_FEATURE_FILTER UINT64_C(128) /* system calls are filtered from now on */
#define SIM_LINK_FEATURE_LOOK UINT64_C(256)   /* SimLinkLook is understood */
#define SIM_LINK_FEATURE_TIMED UINT64_C(512)  /* SIM_LINK_RUN_TIMED and _REQUEST are understood */
#define SIM_LINK_FEATURE_TIMED_CPUS UINT64_C(1024) /* ... by machines with several CPUs */
#define SIM_LINK_FEATURE_BLOCKS UINT64_C(2048)     /* SIM_LINK_BLOCKS is understood */

#define SIM_LINK_NO_DEADLINE INT64_MAX

/* Records, in either box: this header, `length` bytes, padding to a multiple of 8. */
typedef struct SimLinkRecord
{
    uint16_t type;
    uint16_t channel; /* index of a NIC, a serial port or a disk, by the type */
    uint32_t length;  /* of the payload, in bytes, without padding */
} SimLinkRecord;

enum
{
    SIM_LINK_FRAME = 1,  /* an Ethernet frame, from the destination address on, without FCS */
    SIM_LINK_SERIAL = 2, /* bytes of a serial port, in order */

    /* With SIM_LINK_AHEAD: a turn begins, a SimLinkTurn. */
    SIM_LINK_TURN = 5,
    /* With SIM_LINK_AHEAD, from the VM: the turn is over, a SimLinkTurnEnd. */
    SIM_LINK_TURN_END = 6,

    /* Only from the VM to the simulator, for a NIC: which frames it takes from now on, a
     * SimLinkFilter and its addresses. Before the first such record it takes all. It may take fewer
     * than it says. */
    SIM_LINK_FILTER = 7,
    /* With SIM_LINK_BLOCKS, from the VM: one or more SimLinkBlocks. */
    SIM_LINK_BLOCK = 11,

    /* Only from the simulator to the VM, for a NIC, with a uint32_t as payload. */

    /* How many more frames the NIC may send, until the next such record; without one there is no
     * limit. A NIC that may not send leaves frames in the guest's transmit ring. Those that wait
     * there are sent as soon as this record is delivered. */
    SIM_LINK_CREDIT = 3,
    /* 1: the NIC's link is up, as it is at first; 0: it is down. While it is, frames are lost in
     * both directions. */
    SIM_LINK_CARRIER = 4,

    /* Only from the simulator to the VM, for a disk: how long its requests take from now on, a
     * SimLinkDisk. Without one they take no time. */
    SIM_LINK_DISK = 8,

    /* Only from the VM to the simulator, in turns that are SIM_LINK_RUN_TIMED, of a machine with
     * several CPUs. */

    /* When the NIC has sent the frame that follows, a SimLinkStamp: not after the turn's end.
     * Frames need not be in the order of these times. */
    SIM_LINK_STAMP = 9,
    /* Last: how busy each CPU has been in the turn, a SimLinkBusyCpus. */
    SIM_LINK_BUSY_CPUS = 10,

    /* Only from the VM to the simulator, for a NIC, without a payload: a frame from the inbox has
     * found no room in the NIC's receive ring, and is lost. Only where computing takes time, and
     * before all that the guest sends in that turn: elsewhere QEMU keeps the frame. */
    SIM_LINK_MISSED = 12,

    /* Only from the VM to the simulator, for a NIC: what the guest has given it to send, which no
     * NIC could: the checksum is to be outside the frame, or it makes no sense as a packet to be
     * segmented. It is lost. */
    SIM_LINK_REFUSED = 13,
};

typedef struct SimLinkStamp
{
    int64_t time; /* ns */
} SimLinkStamp;

#define SIM_LINK_CPUS_MAX 8u

typedef struct SimLinkBusyCpus
{
    uint32_t count; /* CPUs that there are */
    uint32_t pad;
    /* How many each has executed, or would have where it waited in a loop with PAUSE. */
    uint64_t instructions[SIM_LINK_CPUS_MAX];
} SimLinkBusyCpus;

/* A request takes `latency` and, if it moves data, as long as that takes at `rate`, rounded up;
 * requests are served one after the other. The one that is being served keeps the time that it had;
 * but if both are 0, all that the disk has to do is done at once. */
typedef struct SimLinkDisk
{
    uint64_t latency; /* ns */
    uint64_t rate;    /* bit/s; 0: no limit */
} SimLinkDisk;

typedef struct SimLinkTurn
{
    int64_t time;   /* ns */
    uint32_t flags; /* of SIM_LINK_RUN */
    uint32_t pad;
} SimLinkTurn;

/* As the answer to SIM_LINK_RUN would be. */
typedef struct SimLinkTurnEnd
{
    int64_t deadline;      /* ns, or SIM_LINK_NO_DEADLINE */
    uint64_t instructions; /* executed since the machine was booted */
    uint32_t answer;       /* SIM_LINK_IDLE or SIM_LINK_BUSY */
    uint32_t pad;
} SimLinkTurnEnd;

/* SimLinkFilter.flags. */
enum
{
    SIM_LINK_FILTER_UNICAST = 1u << 0,   /* every frame to one receiver, whoever that is */
    SIM_LINK_FILTER_MULTICAST = 1u << 1, /* every frame to a group */
    SIM_LINK_FILTER_BROADCAST = 1u << 2, /* frames to all */
};

#define SIM_LINK_ADDRESS_SIZE 6u

/* `count` addresses follow, whose frames it takes whatever the flags say. */
typedef struct SimLinkFilter
{
    uint32_t flags;
    uint32_t count;
} SimLinkFilter;

/* Blocks in one record. */
#define SIM_LINK_BLOCKS_MAX 2048u

#define SIM_LINK_NO_PAGE UINT32_MAX

/* A block of translated code: where it is and what CPU state it is for, but not the code. */
typedef struct SimLinkBlock
{
    uint32_t pages[2]; /* of the machine's memory, by number; the second: SIM_LINK_NO_PAGE, or where
                        * it goes on */
    uint32_t offset;   /* in the first page, in bytes */
    uint32_t size;     /* of what it was translated from, in bytes */
    uint32_t flags;    /* QEMU's, of the CPU's state */
    uint32_t sum;      /* CRC-32C over what it was translated from */
} SimLinkBlock;

/* Payload of SIM_LINK_CREDIT: as many frames as the NIC has. */
#define SIM_LINK_CREDIT_UNLIMITED UINT32_MAX

typedef struct SimLinkHeader
{
    /* Set by the simulator before QEMU starts, never changed. */
    uint64_t magic;
    uint32_t version;
    uint32_t boxSize;
    uint8_t pad0[48];

    /* In a cache line of their own. A side sets its `sleeps` before it waits on `turn`. */
    uint32_t turn;
    uint32_t simulatorSleeps;
    uint32_t vmSleeps;
    uint8_t pad1[52];

    /* Written by the simulator in its turn. */
    int64_t time;         /* ns: what every clock of the guest shows in this turn, or with AHEAD the
                           * time before which timers expire */
    uint32_t command;     /* SIM_LINK_BOOT ... */
    uint32_t flags;       /* of the command, or with AHEAD the largest number of turns */
    uint32_t inboxLength; /* bytes of records in the inbox */
    uint32_t pad2;
    int64_t horizon; /* with SIM_LINK_RUN_TIMED: the clock's time at which the turn ends, in ns */
    uint64_t rate;   /* with SIM_LINK_RUN_TIMED: instructions per second of each CPU */
    int64_t quantum; /* with SIM_LINK_RUN_TIMED: ns by which one CPU may be ahead of another, at
                      * most 1 s */
    uint8_t pad3[16];

    /* Written by the VM in its turn. */
    int64_t vmTime;        /* ns: the guest's clock at the end of the turn */
    int64_t deadline;      /* ns, or SIM_LINK_NO_DEADLINE */
    uint64_t instructions; /* executed since the machine was booted: a restored one goes on from
                            * where it was saved */
    uint32_t answer;       /* SIM_LINK_HELLO ... */
    uint32_t fault;        /* SIM_LINK_FAULT_... */
    uint32_t outboxLength; /* bytes of records in the outbox */
    uint16_t nics;         /* with SIM_LINK_HELLO: how many there are */
    uint16_t ports;        /* with SIM_LINK_HELLO: how many there are */
    uint64_t features;     /* with SIM_LINK_HELLO */
    uint32_t refused;      /* whoever has the turn: QEMU ends by a system call that its sandbox does
                            * not allow, with this number less 1 */
    uint8_t pad4[12];
} SimLinkHeader;

/* SIGUSR2. Only for a VM whose hello has SIM_LINK_FEATURE_LOOK: others are killed by it. */
#define SIM_LINK_LOOK_SIGNAL 12

#define SIM_LINK_LOOK_OFFSET UINT32_C(256)
#define SIM_LINK_LOOK_MAX UINT32_C(2048)

typedef struct SimLinkLook
{
    /* Written by the simulator. */
    uint64_t address; /* virtual address in the guest of what it wants to see */
    uint32_t length;  /* how much of it, in bytes, at most SIM_LINK_LOOK_MAX */
    uint32_t asked;   /* last: one more than before */
    /* Written by the VM. */
    uint64_t pc;           /* the guest's program counter */
    uint64_t instructions; /* executed since the machine was booted */
    uint32_t found;        /* bytes of `data`: fewer than `length` if memory ends there */
    uint32_t answered;     /* last: `asked` */
    uint8_t data[2048];
} SimLinkLook;

/* SimZygoteRequest.what */
enum
{
    SIM_ZYGOTE_FORK = 1,
    SIM_ZYGOTE_TRANSLATE = 2,
};

/* How many blocks a zygote translates at most. */
#define SIM_ZYGOTE_BLOCKS_MAX 65536u

/* To a zygote. */
typedef struct SimZygoteRequest
{
    uint64_t seed;   /* of the VM's own random numbers, as QEMU's option -seed */
    uint32_t what;   /* SIM_ZYGOTE_FORK ... */
    uint32_t blocks; /* with SIM_ZYGOTE_TRANSLATE: how many the file has */
} SimZygoteRequest;

/* From a zygote. */
typedef struct SimZygoteReply
{
    int32_t pid;   /* the VM's process; with SIM_ZYGOTE_TRANSLATE: how many blocks there are */
    int32_t error; /* 0, or an errno: why there is none */
} SimZygoteReply;

static_assert(sizeof(SimLinkLook) == 2088, "part of the protocol");
static_assert(SIM_LINK_LOOK_OFFSET + sizeof(SimLinkLook) <= SIM_LINK_HEADER_SIZE, "room for it");
static_assert(sizeof(SimZygoteRequest) == 16, "part of the protocol");
static_assert(sizeof(SimZygoteReply) == 8, "part of the protocol");
static_assert(sizeof(SimLinkRecord) == 8, "part of the protocol");
static_assert(sizeof(SimLinkBlock) == 24, "part of the protocol");
static_assert(SIM_LINK_BLOCKS_MAX * sizeof(SimLinkBlock) <= SIM_LINK_PAYLOAD_MAX, "room for them");
static_assert(sizeof(SimLinkTurn) == 16, "part of the protocol");
static_assert(sizeof(SimLinkTurnEnd) == 24, "part of the protocol");
static_assert(sizeof(SimLinkFilter) == 8, "part of the protocol");
static_assert(sizeof(SimLinkDisk) == 16, "part of the protocol");
static_assert(sizeof(SimLinkStamp) == 8, "part of the protocol");
static_assert(sizeof(SimLinkBusyCpus) == 72, "part of the protocol");
static_assert(sizeof(SimLinkHeader) == 256, "part of the protocol");
static_assert(offsetof(SimLinkHeader, turn) == 64, "part of the protocol");
static_assert(offsetof(SimLinkHeader, time) == 128, "part of the protocol");
static_assert(offsetof(SimLinkHeader, horizon) == 152, "part of the protocol");
static_assert(offsetof(SimLinkHeader, vmTime) == 192, "part of the protocol");
static_assert(offsetof(SimLinkHeader, features) == 232, "part of the protocol");
static_assert(offsetof(SimLinkHeader, refused) == 240, "part of the protocol");

/* Bytes that a record with `length` bytes of payload takes in a box. */
static inline uint32_t
SimLinkRecordSize(uint32_t length)
{
    return (uint32_t)sizeof(SimLinkRecord) + ((length + 7u) & ~7u);
}

/* Size of the whole region in bytes. */
static inline size_t
SimLinkRegionSize(uint32_t boxSize)
{
    return SIM_LINK_HEADER_SIZE + 2 * (size_t)boxSize;
}

#endif /* SIM_LINK_H */
