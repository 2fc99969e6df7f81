/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-link.h"

#include "side-by-side.h"
#include "vm-error.h"
#include "wall-clock.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* What a VM may send in one turn, or in a row of them: several times what a guest can within the
 * instructions that it has, and what the simulator has room for. */
constexpr uint64_t OUTPUT_MAX = 256 * 1024 * 1024;

/* How often a sleeping simulator looks whether the VM is still alive, in ns. */
constexpr int64_t WATCH_INTERVAL = 20'000'000;

[[noreturn]] void
ThrowErrno(const std::string& what)
{
    throw VmError(what + ": " + DescribeErrno(errno));
}

SimLinkRecord
ReadRecord(const uint8_t* box, size_t at, size_t length)
{
    SimLinkRecord record;
    if (length - at < sizeof(record))
    {
        throw VmError("the VM broke the sim-link protocol: a record is cut off");
    }
    std::memcpy(&record, box + at, sizeof(record));
    if (record.length > SIM_LINK_PAYLOAD_MAX || SimLinkRecordSize(record.length) > length - at)
    {
        throw VmError("the VM broke the sim-link protocol: a record has " +
                      std::to_string(record.length) + " bytes");
    }
    return record;
}

/* @return a payload that is a structure of a known size */
template <typename T>
T
ReadPayload(const SimLinkRecord& record, const uint8_t* payload)
{
    T value;
    if (record.length != sizeof(value))
    {
        throw VmError("the VM broke the sim-link protocol: a record of type " +
                      std::to_string(record.type) + " has " + std::to_string(record.length) +
                      " bytes");
    }
    std::memcpy(&value, payload, sizeof(value));
    return value;
}

void
HandOn(const SimLinkRecord& record, const uint8_t* payload, VmOutput& output)
{
    switch (record.type)
    {
    case SIM_LINK_FRAME:
        output.OnFrame(record.channel, payload, record.length);
        break;
    case SIM_LINK_SERIAL:
        output.OnSerial(record.channel, payload, record.length);
        break;
    case SIM_LINK_FILTER:
        output.OnFilter(record.channel, NicFilter::Parse(payload, record.length));
        break;
    case SIM_LINK_STAMP:
        output.OnStamp(ReadPayload<SimLinkStamp>(record, payload).time);
        break;
    case SIM_LINK_BUSY_CPUS:
        output.OnBusyCpus(ReadPayload<SimLinkBusyCpus>(record, payload));
        break;
    case SIM_LINK_MISSED:
        output.OnMissed(record.channel);
        break;
    case SIM_LINK_REFUSED:
        output.OnRefused(record.channel, payload, record.length);
        break;
    default:
        throw VmError("the VM broke the sim-link protocol: record type " +
                      std::to_string(record.type));
    }
}

} // namespace

std::string
DescribeSimLinkFault(uint32_t fault)
{
    switch (fault)
    {
    case SIM_LINK_FAULT_RESET:
        return "the guest has rebooted";
    case SIM_LINK_FAULT_POWEROFF:
        return "the guest has switched itself off";
    case SIM_LINK_FAULT_PANIC:
        return "the guest's kernel has panicked";
    case SIM_LINK_FAULT_DEVICE:
        return "a device of the machine has failed";
    case SIM_LINK_FAULT_HOST:
        return "QEMU was told to end by somebody else";
    case SIM_LINK_FAULT_SAVE:
        return "QEMU could not save the machine";
    case SIM_LINK_FAULT_PROTOCOL:
        return "QEMU says that the simulator broke the sim-link protocol";
    default:
        return "QEMU reports fault " + std::to_string(fault);
    }
}

/* ---- several turns ---- */

void
VmTurns::Append(const uint8_t* outbox, uint32_t length)
{
    if (m_at > 0)
    {
        m_bytes.erase(m_bytes.begin(), m_bytes.begin() + static_cast<std::ptrdiff_t>(m_at));
        m_at = 0;
    }
    m_bytes.insert(m_bytes.end(), outbox, outbox + length);
}

bool
VmTurns::IsEmpty() const
{
    return m_at == m_bytes.size();
}

VmTurns::Turn
VmTurns::Peek() const
{
    const auto record = ReadRecord(m_bytes.data(), m_at, m_bytes.size());
    SimLinkTurn begin;
    if (record.type != SIM_LINK_TURN || record.length != sizeof(begin))
    {
        throw VmError("the VM broke the sim-link protocol: no turn begins where one should");
    }
    std::memcpy(&begin, m_bytes.data() + m_at + sizeof(record), sizeof(begin));
    if (begin.time < 0)
    {
        throw VmError("the VM broke the sim-link protocol: a turn at " +
                      std::to_string(begin.time) + " ns");
    }
    return {begin.time, begin.flags};
}

bool
VmTurns::Read(VmOutput& output, VmAnswer& answer)
{
    if (!m_inTurn)
    {
        m_inTurn = true;
        m_at += SimLinkRecordSize(sizeof(SimLinkTurn));
    }
    while (!IsEmpty())
    {
        const auto record = ReadRecord(m_bytes.data(), m_at, m_bytes.size());
        const uint8_t* payload = m_bytes.data() + m_at + sizeof(record);
        m_at += SimLinkRecordSize(record.length);
        if (record.type != SIM_LINK_TURN_END)
        {
            HandOn(record, payload, output);
            continue;
        }
        SimLinkTurnEnd end;
        if (record.length != sizeof(end))
        {
            throw VmError("the VM broke the sim-link protocol: the end of a turn is malformed");
        }
        std::memcpy(&end, payload, sizeof(end));
        if (end.deadline < 0)
        {
            throw VmError("the VM broke the sim-link protocol: a deadline of " +
                          std::to_string(end.deadline) + " ns");
        }
        if (end.answer != SIM_LINK_IDLE && end.answer != SIM_LINK_BUSY)
        {
            throw VmError("the VM broke the sim-link protocol: answer " +
                          std::to_string(end.answer) + " at the end of a turn");
        }
        answer.kind = end.answer;
        answer.deadline = end.deadline;
        answer.instructions = end.instructions;
        m_inTurn = false;
        return true;
    }
    return false;
}

/* ---- the link ---- */

VmLink::VmLink(uint32_t boxSize, int64_t spin)
    : m_boxSize(boxSize),
      m_spin(spin)
{
    if (boxSize < SIM_LINK_BOX_MIN || boxSize > SIM_LINK_BOX_MAX || boxSize % 8 != 0)
    {
        throw VmError("a sim-link's box cannot have " + std::to_string(boxSize) +
                      " bytes: it must be a multiple of 8 from " +
                      std::to_string(SIM_LINK_BOX_MIN) + " to " + std::to_string(SIM_LINK_BOX_MAX));
    }
    m_fd = memfd_create("sim-link", MFD_CLOEXEC);
    if (m_fd < 0)
    {
        ThrowErrno("cannot create a sim-link");
    }
    Map(0);
}

VmLink::VmLink(CopyOf original)
    : m_boxSize(original.link.m_boxSize),
      m_spin(original.link.m_spin)
{
    m_fd = fcntl(original.link.m_fd, F_DUPFD_CLOEXEC, 0);
    if (m_fd < 0)
    {
        ThrowErrno("cannot copy a sim-link");
    }
    Map(static_cast<off_t>(SimLinkRegionSize(m_boxSize)));
    /* The copy waits as the VM does. There may have been another before. */
    m_header->simulatorSleeps = 0;
    m_header->vmSleeps = 0;
    m_header->turn = SIM_LINK_TURN_SIMULATOR;
}

/* Map a region that begins at this place of the file, which is made as long as that takes. */
void
VmLink::Map(off_t offset)
{
    const size_t size = SimLinkRegionSize(m_boxSize);
    void* region = MAP_FAILED;
    if (ftruncate(m_fd, offset + static_cast<off_t>(size)) == 0)
    {
        region = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, m_fd, offset);
    }
    if (region == MAP_FAILED)
    {
        const int error = errno;
        close(m_fd);
        errno = error;
        ThrowErrno("cannot map a sim-link");
    }
    m_header = static_cast<SimLinkHeader*>(region);
    m_inbox = static_cast<uint8_t*>(region) + SIM_LINK_HEADER_SIZE;
    m_outbox = m_inbox + m_boxSize;
    m_header->magic = SIM_LINK_MAGIC;
    m_header->version = SIM_LINK_VERSION;
    m_header->boxSize = m_boxSize;
    m_header->turn = SIM_LINK_TURN_VM;
}

VmLink::~VmLink()
{
    munmap(m_header, SimLinkRegionSize(m_boxSize));
    close(m_fd);
}

int
VmLink::GetFileDescriptor() const
{
    return m_fd;
}

void
VmLink::StayOnSameCpu(pid_t pid)
{
    m_sameCpu.emplace(pid);
}

void
VmLink::SetWatch(Watch watch)
{
    m_watch = std::move(watch);
}

/* @return where its payload goes, or nullptr if the inbox is full */
uint8_t*
VmLink::AddRecord(uint16_t type, unsigned channel, size_t length)
{
    if (length > SIM_LINK_PAYLOAD_MAX || channel > UINT16_MAX)
    {
        throw VmError("a sim-link record cannot carry " + std::to_string(length) +
                      " bytes for channel " + std::to_string(channel));
    }
    const SimLinkRecord record{type, static_cast<uint16_t>(channel), static_cast<uint32_t>(length)};
    const uint32_t size = SimLinkRecordSize(record.length);
    if (m_boxSize - m_inboxLength < size)
    {
        return nullptr;
    }
    uint8_t* at = m_inbox + m_inboxLength;
    std::memcpy(at, &record, sizeof(record));
    m_inboxLength += size;
    return at + sizeof(record);
}

bool
VmLink::Add(uint16_t type, unsigned channel, const uint8_t* data, size_t length)
{
    uint8_t* payload = AddRecord(type, channel, length);
    if (payload && length > 0)
    {
        std::memcpy(payload, data, length);
    }
    return payload != nullptr;
}

bool
VmLink::AddFrame(unsigned nic, const uint8_t* data, size_t length)
{
    return Add(SIM_LINK_FRAME, nic, data, length);
}

size_t
VmLink::AddSerial(unsigned port, const uint8_t* data, size_t length)
{
    const ByteSpan whole(data, length);
    PieceReader bytes({&whole, 1});
    return AddSerial(port, bytes, length);
}

size_t
VmLink::AddSerial(unsigned port, PieceReader& bytes, size_t most)
{
    size_t taken = 0;
    while (taken < most)
    {
        const size_t part = std::min<size_t>(most - taken, SIM_LINK_PAYLOAD_MAX);
        uint8_t* payload = AddRecord(SIM_LINK_SERIAL, port, part);
        if (!payload)
        {
            break;
        }
        bytes.Read(payload, part);
        taken += part;
    }
    return taken;
}

bool
VmLink::AddCredit(unsigned nic, uint32_t frames)
{
    return Add(SIM_LINK_CREDIT, nic, reinterpret_cast<const uint8_t*>(&frames), sizeof(frames));
}

bool
VmLink::AddCarrier(unsigned nic, bool up)
{
    const uint32_t value = up ? 1 : 0;
    return Add(SIM_LINK_CARRIER, nic, reinterpret_cast<const uint8_t*>(&value), sizeof(value));
}

bool
VmLink::AddDisk(unsigned disk, const SimLinkDisk& timing)
{
    return Add(SIM_LINK_DISK, disk, reinterpret_cast<const uint8_t*>(&timing), sizeof(timing));
}

bool
VmLink::AddTurn(int64_t time)
{
    const SimLinkTurn turn{time, 0, 0};
    return Add(SIM_LINK_TURN, 0, reinterpret_cast<const uint8_t*>(&turn), sizeof(turn));
}

uint32_t
VmLink::GetInboxLength() const
{
    return m_inboxLength;
}

void
VmLink::TruncateInbox(uint32_t length)
{
    m_inboxLength = length;
}

bool
VmLink::HasTurn() const
{
    const uint32_t turn = __atomic_load_n(&m_header->turn, __ATOMIC_ACQUIRE);
    if (turn != SIM_LINK_TURN_SIMULATOR && turn != SIM_LINK_TURN_VM)
    {
        throw VmError("the VM broke the sim-link protocol: the turn is " + std::to_string(turn) +
                      "'s");
    }
    return turn == SIM_LINK_TURN_SIMULATOR;
}

void
VmLink::Give(uint32_t command, int64_t time, uint32_t flags, const VmPace& pace)
{
    m_header->time = time;
    m_header->horizon = pace.horizon;
    m_header->rate = pace.rate;
    m_header->quantum = pace.quantum;
    m_header->command = command;
    m_header->flags = flags;
    m_header->inboxLength = m_inboxLength;
    m_inboxLength = 0;
    m_given = true;
    if (command != SIM_LINK_CONTINUE)
    {
        m_turnBegin = 0;
        m_outputLength = 0;
    }
    /* Beside others it wants a CPU of its own. */
    if (m_sameCpu && !SideBySide::IsWithin() &&
        (command == SIM_LINK_RUN || command == SIM_LINK_CONTINUE))
    {
        m_sameCpu->Hold();
    }
    __atomic_store_n(&m_header->turn, SIM_LINK_TURN_VM, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&m_header->vmSleeps, __ATOMIC_SEQ_CST) != 0)
    {
        syscall(SYS_futex, &m_header->turn, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }
}

void
VmLink::WaitForTurn()
{
    SideBySide::Wait([this]() { WaitHere(); });
}

void
VmLink::WaitHere()
{
    if (m_spin > 0)
    {
        const int64_t end = WallClock() + m_spin;
        do
        {
            for (int i = 0; i < 64; i++)
            {
                if (HasTurn())
                {
                    return;
                }
                __builtin_ia32_pause();
            }
        } while (WallClock() < end);
    }

    __atomic_store_n(&m_header->simulatorSleeps, 1, __ATOMIC_SEQ_CST);
    while (!HasTurn())
    {
        const timespec interval{0, WATCH_INTERVAL};
        syscall(SYS_futex, &m_header->turn, FUTEX_WAIT, SIM_LINK_TURN_VM, &interval, nullptr, 0);
        /* Not only after the whole interval: a VM could wake this side again and again. */
        if (!HasTurn())
        {
            LookAfterVm();
        }
    }
    __atomic_store_n(&m_header->simulatorSleeps, 0, __ATOMIC_RELAXED);
    if (m_sameCpu)
    {
        m_sameCpu->Release();
    }
}

/* Call the watch if it is time to. */
void
VmLink::LookAfterVm()
{
    if (m_sameCpu)
    {
        m_sameCpu->ReleaseBoth();
    }
    const int64_t now = WallClock();
    if (m_turnBegin == 0)
    {
        m_turnBegin = now;
        m_lastWatch = now;
    }
    else if (now - m_lastWatch >= WATCH_INTERVAL && m_watch)
    {
        m_lastWatch = now;
        m_watch(now - m_turnBegin);
    }
}

/* The outbox has been emptied: the VM may go on with its turn. */
void
VmLink::GoOn(const VmAnswer& answer)
{
    if (answer.outboxLength == 0)
    {
        throw VmError("the VM broke the sim-link protocol: its outbox is full of nothing");
    }
    m_outputLength += answer.outboxLength;
    if (m_outputLength > OUTPUT_MAX)
    {
        throw VmError("the VM has sent more than " + std::to_string(OUTPUT_MAX >> 20) +
                      " MiB and its turn is not over");
    }
    /* It could fill the outbox for ever. */
    LookAfterVm();
    Give(SIM_LINK_CONTINUE, 0, 0);
}

void
VmLink::ReadOutbox(uint32_t length, VmOutput& output) const
{
    uint32_t at = 0;
    while (at < length)
    {
        const auto record = ReadRecord(m_outbox, at, length);
        HandOn(record, m_outbox + at + sizeof(record), output);
        at += SimLinkRecordSize(record.length);
    }
}

VmAnswer
VmLink::ReadAnswer() const
{
    VmAnswer answer;
    answer.kind = __atomic_load_n(&m_header->answer, __ATOMIC_RELAXED);
    answer.fault = m_header->fault;
    answer.time = m_header->vmTime;
    answer.deadline = m_header->deadline;
    answer.instructions = m_header->instructions;
    answer.nics = m_header->nics;
    answer.ports = m_header->ports;
    answer.features = m_header->features;
    answer.outboxLength = __atomic_load_n(&m_header->outboxLength, __ATOMIC_RELAXED);
    if (answer.outboxLength > m_boxSize)
    {
        throw VmError("the VM broke the sim-link protocol: its outbox has " +
                      std::to_string(answer.outboxLength) + " bytes");
    }
    if (answer.kind != SIM_LINK_MORE && (answer.time < 0 || answer.deadline < 0))
    {
        throw VmError("the VM broke the sim-link protocol: its clock is at " +
                      std::to_string(answer.time) + " ns and its next timer at " +
                      std::to_string(answer.deadline) + " ns");
    }
    return answer;
}

VmAnswer
VmLink::Take(VmOutput& output)
{
    for (;;)
    {
        WaitForTurn();
        const VmAnswer answer = ReadAnswer();
        ReadOutbox(answer.outboxLength, output);
        switch (answer.kind)
        {
        case SIM_LINK_MORE:
            GoOn(answer);
            break;
        case SIM_LINK_HELLO:
        case SIM_LINK_IDLE:
        case SIM_LINK_BUSY:
        case SIM_LINK_FAULT:
        case SIM_LINK_SAVED:
            m_given = false;
            return answer;
        default:
            throw VmError("the VM broke the sim-link protocol: answer " +
                          std::to_string(answer.kind));
        }
    }
}

uint32_t
VmLink::AskForCopy(uint32_t flags)
{
    if (m_given)
    {
        return EBUSY;
    }
    const uint32_t kept = m_inboxLength;
    m_inboxLength = 0;
    Give(SIM_LINK_COPY, 0, flags);
    m_inboxLength = kept;
    WaitForTurn();
    m_given = false;
    const VmAnswer answer = ReadAnswer();
    if (answer.kind != SIM_LINK_COPIED || answer.outboxLength != 0)
    {
        throw VmError("the VM broke the sim-link protocol: answer " + std::to_string(answer.kind) +
                      " to a question about its copy");
    }
    return answer.fault;
}

std::vector<SimLinkBlock>
VmLink::AskForBlocks()
{
    std::vector<SimLinkBlock> blocks;
    if (m_given)
    {
        return blocks;
    }
    const uint32_t kept = m_inboxLength;
    m_inboxLength = 0;
    Give(SIM_LINK_BLOCKS, 0, 0);
    m_inboxLength = kept;
    WaitForTurn();
    m_given = false;
    const VmAnswer answer = ReadAnswer();
    bool understood = answer.kind == SIM_LINK_TOLD;
    for (uint32_t at = 0; understood && at < answer.outboxLength;)
    {
        const auto record = ReadRecord(m_outbox, at, answer.outboxLength);
        const size_t count = record.length / sizeof(SimLinkBlock);
        understood = record.type == SIM_LINK_BLOCK && record.length % sizeof(SimLinkBlock) == 0;
        blocks.resize(blocks.size() + count);
        std::memcpy(blocks.data() + blocks.size() - count,
                    m_outbox + at + sizeof(record),
                    count * sizeof(SimLinkBlock));
        at += SimLinkRecordSize(record.length);
    }
    if (!understood)
    {
        throw VmError("the VM broke the sim-link protocol: answer " + std::to_string(answer.kind) +
                      " to a question about its code");
    }
    return blocks;
}

std::optional<uint32_t>
VmLink::GetRefusedCall() const
{
    const uint32_t refused = __atomic_load_n(&m_header->refused, __ATOMIC_ACQUIRE);
    return refused == 0 ? std::nullopt : std::optional<uint32_t>(refused - 1);
}

bool
VmLink::HasEnded() const
{
    return HasTurn();
}

void
VmLink::AskForLook(uint64_t address, uint32_t length)
{
    auto* look = GetLookArea();
    look->address = address;
    look->length = std::min(length, SIM_LINK_LOOK_MAX);
    __atomic_store_n(&look->asked, ++m_looks, __ATOMIC_RELEASE);
}

std::optional<VmLook>
VmLink::GetLook() const
{
    const auto* look = GetLookArea();
    if (__atomic_load_n(&look->answered, __ATOMIC_ACQUIRE) != m_looks)
    {
        return std::nullopt;
    }
    VmLook result;
    result.pc = look->pc;
    result.instructions = look->instructions;
    const uint32_t found = __atomic_load_n(&look->found, __ATOMIC_RELAXED);
    result.data.assign(look->data, look->data + std::min(found, SIM_LINK_LOOK_MAX));
    return result;
}

SimLinkLook*
VmLink::GetLookArea() const
{
    return reinterpret_cast<SimLinkLook*>(reinterpret_cast<uint8_t*>(m_header) +
                                          SIM_LINK_LOOK_OFFSET);
}

bool
VmLink::TakeAhead(VmTurns& turns, bool wait, VmAnswer& answer)
{
    while (wait || HasEnded())
    {
        WaitForTurn();
        const VmAnswer end = ReadAnswer();
        turns.Append(m_outbox, end.outboxLength);
        switch (end.kind)
        {
        case SIM_LINK_MORE:
            GoOn(end);
            break;
        case SIM_LINK_AHEAD_OVER:
        case SIM_LINK_AHEAD_EARLY:
        case SIM_LINK_FAULT:
            m_given = false;
            answer = end;
            return true;
        default:
            throw VmError("the VM broke the sim-link protocol: answer " + std::to_string(end.kind));
        }
    }
    return false;
}

} // namespace ns3qemu
