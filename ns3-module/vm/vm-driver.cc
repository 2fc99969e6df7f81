/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-driver.h"

#include "format-seconds.h"
#include "side-by-side.h"
#include "spread-seed.h"
#include "vm-error.h"

#include <algorithm>
#include <cerrno>
#include <iostream>

namespace ns3qemu
{

namespace
{

constexpr int64_t MILLISECOND = 1'000'000;

/* How many more turns a request may take than the one that delivers it. */
constexpr int REQUEST_TURNS = 20;

/* How long QEMU may take to exit once it is told to, in ms of wall time. */
constexpr int END_GRACE = 2000;

} // namespace

VmDriver::VmDriver(VmConfig config)
    : m_config(std::move(config)),
      m_reporter([](const std::string& text) { std::cerr << text << std::endl; }),
      m_relay([this](Span<const ByteSpan> message) { SendToRelay(message); }),
      m_credit(m_config.nics.size(), SIM_LINK_CREDIT_UNLIMITED),
      m_relayChunk(GetRelayChunk(m_config.image))
{
}

VmDriver::~VmDriver()
{
    End();
}

void
VmDriver::SetFrameHandler(FrameHandler handler)
{
    m_onFrame = std::move(handler);
}

void
VmDriver::SetFilterHandler(FilterHandler handler)
{
    m_onFilter = std::move(handler);
}

void
VmDriver::SetMissedHandler(MissedHandler handler)
{
    m_onMissed = std::move(handler);
}

void
VmDriver::SetRefusedHandler(FrameHandler handler)
{
    m_onRefused = std::move(handler);
}

void
VmDriver::SetConsoleHandler(ConsoleHandler handler)
{
    m_console.SetHandler(std::move(handler));
}

void
VmDriver::SetInterrupt(Interrupt interrupt)
{
    m_interrupt = std::move(interrupt);
}

void
VmDriver::SetReporter(Reporter reporter)
{
    m_reporter = std::move(reporter);
}

void
VmDriver::SetPreparation(std::function<void(RelayClient&)> preparation)
{
    m_preparation = std::move(preparation);
}

bool
VmDriver::HasProcess() const
{
    return m_state != State::NEW && m_state != State::ENDED;
}

bool
VmDriver::IsInSimulation() const
{
    return m_state == State::RUNNING || m_state == State::GOING || m_state == State::AHEAD;
}

void
VmDriver::BootAndSave(const VmSnapshot& snapshot, const std::string& directory)
{
    m_keepsWhatIsSaid = true;
    StartProcess(snapshot.BuildSaveCommand(directory),
                 VmSnapshot::GetStatePath(directory),
                 directory);
    TakeHello();
    BootUntilReady();
    GiveAndTake(SIM_LINK_SAVE, 0, 0);
    VmSnapshot::Write(directory, m_bootRelay, m_bootConsole);
    m_process->End(END_GRACE);
    m_state = State::ENDED;
}

/* Whatever is wrong with what the VM sends, it is its failure. */
template <typename F>
auto
VmDriver::Guarded(F&& take)
{
    try
    {
        return take();
    }
    catch (const VmError& error)
    {
        if (m_state == State::ENDED)
        {
            throw; // a diagnosis already
        }
        Fail(error.what());
    }
    catch (...)
    {
        /* The VM still has its turn, and nobody will wait for it. */
        SetEnded();
        m_process->End(0);
        throw;
    }
}

void
VmDriver::Take()
{
    m_nextReport = 0;
    m_answer = Guarded([this]() { return m_link->Take(*this); });
    if (m_answer.kind == SIM_LINK_FAULT)
    {
        Fail(DescribeFault(m_answer.fault));
    }
}

void
VmDriver::GiveAndTake(uint32_t command, int64_t vmTime, uint32_t flags)
{
    m_link->Give(command, vmTime, flags, {m_horizon, m_config.cpuRate, m_config.cpuQuantum});
    Take();
    const bool answered = command == SIM_LINK_SAVE
                              ? m_answer.kind == SIM_LINK_SAVED
                              : m_answer.kind == SIM_LINK_IDLE || m_answer.kind == SIM_LINK_BUSY;
    if (!answered)
    {
        Fail("QEMU broke the sim-link protocol: answer " + std::to_string(m_answer.kind) +
             " to command " + std::to_string(command));
    }
}

void
VmDriver::Consume()
{
    std::vector<uint8_t> input;
    input.swap(m_relayInput);
    if (m_keepsWhatIsSaid)
    {
        m_bootRelay.insert(m_bootRelay.end(), input.begin(), input.end());
    }
    try
    {
        m_relay.Receive(input.data(), input.size());
    }
    catch (const VmError& error)
    {
        Fail(error.what());
    }
}

void
VmDriver::TakeHello()
{
    Take();
    if (m_answer.kind != SIM_LINK_HELLO || m_answer.nics != m_config.nics.size())
    {
        Fail("QEMU did not introduce itself as agreed");
    }
    constexpr uint64_t needed = SIM_LINK_FEATURE_BOOT | SIM_LINK_FEATURE_CREDIT |
                                SIM_LINK_FEATURE_CARRIER | SIM_LINK_FEATURE_AHEAD |
                                SIM_LINK_FEATURE_DISK | SIM_LINK_FEATURE_COPY;
    if ((m_answer.features & needed) != needed)
    {
        Fail("this QEMU is older than the simulator: build it anew with `ns3-qemu setup`");
    }
    m_canLook = (m_answer.features & SIM_LINK_FEATURE_LOOK) != 0;
    if (m_config.sandbox && !(m_answer.features & SIM_LINK_FEATURE_FILTER))
    {
        ReportOpenSandbox();
    }
}

void
VmDriver::BootUntilReady()
{
    do
    {
        if (m_answer.time > m_config.bootLimit)
        {
            Fail("the guest has not finished booting after " + FormatSeconds(m_answer.time) +
                 " of its own time");
        }
        const int64_t before = m_answer.time;
        GiveAndTake(SIM_LINK_BOOT, 0, 0);
        Consume();
        if (m_answer.kind == SIM_LINK_BUSY && m_answer.time <= before)
        {
            Fail("QEMU broke the sim-link protocol: time does not pass while it boots");
        }
    } while (m_answer.kind == SIM_LINK_BUSY);
    if (!m_relay.IsReady())
    {
        Fail("the guest went to sleep before its relay was ready");
    }
}

/* Until the guest is ready. */
void
VmDriver::PrepareBoot()
{
    TakeHello();
    if (m_snapshot)
    {
        const auto console = m_snapshot->ReadConsole();
        WriteConsole(console.data(), console.size());
        m_relayInput = m_snapshot->ReadRelay();
        Consume();
        if (!m_relay.IsReady())
        {
            Fail("its snapshot was taken before its relay was ready");
        }
    }
    else
    {
        BootUntilReady();
    }
    if (m_relay.GetNics() < m_config.nics.size())
    {
        Fail("the guest's kernel has found " + std::to_string(m_relay.GetNics()) + " of " +
             std::to_string(m_config.nics.size()) + " NICs: has it a driver for " +
             m_config.image.nicModel + "?");
    }
    if (m_answer.time > m_config.bootLimit)
    {
        Fail("QEMU broke the sim-link protocol: it is " + FormatSeconds(m_answer.time) +
             " after the machine was switched on");
    }
    m_state = State::FORWARD;
    m_vmTime = m_answer.time;
    CheckCpus();
    /* While no link is up: it goes down when its address changes. */
    AddressNics();
    MountDisks();
    if (m_preparation)
    {
        m_preparation(m_relay);
    }
}

void
VmDriver::FinishBoot()
{
    if (m_state == State::NEW)
    {
        SideBySide::Wait([this]() { Start(); });
    }
    CheckRunning();
    if (m_state != State::BOOTING)
    {
        Fail("it was booted twice");
    }
    PrepareBoot();
    FastForward();
    SetDiskTiming(m_config.diskTiming);
    Identify();
    m_state = State::RUNNING;
    if (m_config.sameCpu)
    {
        m_link->StayOnSameCpu(m_process->GetPid());
    }
    m_reached = m_vmTime;
    m_turns = 0;
    m_turnsNow = 0;
    Publish();
}

/* The time until the simulation begins. */
void
VmDriver::FastForward()
{
    /* The guest counts its uptime from some moment of its boot. */
    const int64_t uptime = m_relay.GetClock().monotonic;
    if (uptime < 0)
    {
        Fail("the guest says that its uptime is " + std::to_string(uptime) + " ns");
    }
    if (uptime > m_config.uptime)
    {
        Fail("the guest took " + FormatSeconds(uptime) +
             " of its own time to boot, so its uptime cannot be " + FormatSeconds(m_config.uptime) +
             " when the simulation begins");
    }
    m_base = m_vmTime + (m_config.uptime - uptime);
    m_link->Give(SIM_LINK_AHEAD, m_base, UINT32_MAX);
    m_nextReport = 0;
    VmTurns turns;
    Guarded([&]() { return m_link->TakeAhead(turns, true, m_aheadEnd); });
    while (!turns.IsEmpty())
    {
        Guarded([&]() {
            const int64_t time = turns.Peek().time;
            if (time < m_vmTime || time > m_base)
            {
                throw VmError("the VM broke the sim-link protocol: a turn at " +
                              FormatSeconds(time) + ", which it was not told to have");
            }
            m_vmTime = time;
            turns.Read(*this, m_answer);
        });
        m_ticks.Add(m_vmTime);
        Consume();
    }
    if (m_aheadEnd.kind == SIM_LINK_FAULT)
    {
        Fail(DescribeFault(m_aheadEnd.fault));
    }
    RunUntil(m_base);
    if (m_config.tickPhase >= 0)
    {
        const auto ticks = m_ticks.Find();
        if (!ticks)
        {
            Fail(
                "its timers do not expire at one place in each ms, so its ticks cannot be put to " +
                std::to_string(m_config.tickPhase) +
                " ns after each. A kernel's ticks keep their place if its clock is the HPET "
                "(clocksource=hpet) with a period that is a power of two, as 16 ns; old kernels "
                "also "
                "need nohz=off highres=off");
        }
        const int64_t late = (*ticks - m_config.tickPhase - m_base) % MILLISECOND;
        m_base += late < 0 ? late + MILLISECOND : late;
        RunUntil(m_base);
    }
}

void
VmDriver::Identify()
{
    m_relay.Together([this]() {
        m_relay.SetRealtime(m_config.epoch);
        m_relay.SeedRng(SpreadSeed(m_config.seed));
        m_relay.SetSysctl("kernel.hostname", m_config.name);
    });
}

void
VmDriver::AddressNics()
{
    for (uint32_t nic = 0; nic < m_addresses.size(); nic++)
    {
        RelayLinkSet link{};
        link.nic = nic;
        link.set = RELAY_LINK_ADDRESS;
        std::copy(m_addresses[nic].begin(), m_addresses[nic].end(), link.address);
        m_relay.SetLink(link);
    }
}

void
VmDriver::RunUntil(int64_t vmTime)
{
    while (m_answer.deadline < vmTime)
    {
        m_ticks.Add(m_answer.deadline);
        RunTurn(std::max(m_answer.deadline, m_vmTime), SIM_LINK_RUN_TIMERS);
    }
    RunTurn(vmTime, SIM_LINK_RUN_TIMERS);
}

void
VmDriver::RunTurn(int64_t vmTime, uint32_t flags)
{
    CheckRunning();
    CheckNotAhead();
    m_vmTime = vmTime;
    m_turns++;
    CheckTurnsAtOnce();
    const int64_t begin = std::max(vmTime, m_reached);
    const uint64_t executed = m_answer.instructions;
    GiveAndTake(SIM_LINK_RUN, vmTime, flags);
    m_frames = 0;
    CheckTurnEnd(vmTime, flags);
    if (IsTimed())
    {
        EndTimedTurn(begin, executed, flags);
        return;
    }
    Consume();
}

void
VmDriver::MoveTo(int64_t time)
{
    if (time < GetTime())
    {
        Fail("simulated time went back to " + FormatSeconds(time));
    }
    m_vmTime = time + m_base;
    HandOnWhatIsDue();
}

void
VmDriver::Run(int64_t time, bool timers, int64_t horizon)
{
    CheckRunning();
    MoveTo(time);
    if (IsTimed())
    {
        RunTimed(timers, horizon);
        return;
    }
    const uint32_t flags = timers ? static_cast<uint32_t>(SIM_LINK_RUN_TIMERS) : 0U;
    WaitForNextResult();
    if (IsAhead())
    {
        RunAhead(time + m_base, flags);
    }
    else
    {
        m_occasion = timers ? "a timer of the guest's" : "what has come for it";
        RunTurn(time + m_base, flags);
    }
    m_relay.DispatchEvents();
}

bool
VmDriver::QueueAhead(int64_t time, unsigned nic, const uint8_t* data, size_t length)
{
    CheckNic(nic);
    CheckFrame(length);
    const uint32_t before = m_link->GetInboxLength();
    if (!m_link->AddTurn(time + m_base))
    {
        return false;
    }
    if (!m_link->AddFrame(nic, data, length))
    {
        m_link->TruncateInbox(before);
        return false;
    }
    m_aheadFrames.push_back({time + m_base, nic, {data, data + length}});
    return true;
}

void
VmDriver::GoAhead(int64_t horizon, uint32_t turns)
{
    CollectAhead();
    if (!CanGoAhead())
    {
        throw VmError("VM '" + m_config.name +
                      "' cannot go ahead: it is going already, is busy, "
                      "or its last turns have ended early");
    }
    m_state = State::GOING;
    m_horizon = horizon + m_base;
    m_occasion = "turns that it has ahead of the simulation";
    m_link->Give(SIM_LINK_AHEAD, m_horizon, turns);
}

void
VmDriver::CollectAhead()
{
    TakeAhead(false);
}

bool
VmDriver::IsAhead() const
{
    return m_state == State::GOING || m_state == State::AHEAD;
}

bool
VmDriver::IsGoing() const
{
    return m_state == State::GOING;
}

bool
VmDriver::CanGoAhead() const
{
    return (m_state == State::RUNNING && !IsBusy()) ||
           (m_state == State::AHEAD && m_aheadEnd.kind == SIM_LINK_AHEAD_OVER);
}

int64_t
VmDriver::GetHorizon() const
{
    return IsAhead() ? m_horizon - m_base : GetTime();
}

int64_t
VmDriver::GetNextTimer() const
{
    if (!IsAhead())
    {
        return GetDeadline();
    }
    return m_aheadEnd.deadline == SIM_LINK_NO_DEADLINE ? SIM_LINK_NO_DEADLINE
                                                       : m_aheadEnd.deadline - m_base;
}

void
VmDriver::TakeAhead(bool wait)
{
    if (m_state == State::GOING)
    {
        m_nextReport = 0;
        if (Guarded([&]() { return m_link->TakeAhead(m_aheadTurns, wait, m_aheadEnd); }))
        {
            m_state = State::AHEAD;
        }
        CheckAheadOver();
    }
}

uint32_t
VmDriver::AskForCopy(uint32_t flags)
{
    if (!IsInSimulation() || !m_process->IsOurs())
    {
        return ESRCH;
    }
    TakeAhead(true);
    m_nextReport = 0;
    return Guarded([&]() { return m_link->AskForCopy(flags); });
}

std::vector<SimLinkBlock>
VmDriver::GetBlocks()
{
    CheckRunning();
    TakeAhead(true);
    m_nextReport = 0;
    return Guarded([&]() { return m_link->AskForBlocks(); });
}

void
VmDriver::CheckAheadOver()
{
    /* A fault belongs to the turn that is not over. */
    if (m_state == State::AHEAD && m_aheadTurns.IsEmpty() && m_aheadEnd.kind != SIM_LINK_FAULT)
    {
        m_state = State::RUNNING;
        m_aheadFrames.clear();
    }
}

void
VmDriver::WaitForNextResult()
{
    if (m_aheadTurns.IsEmpty())
    {
        TakeAhead(true);
    }
}

/* Whether a frame that is queued is the one that the machine has had in the next of its turns; if
 * so, it is marked as queued. */
bool
VmDriver::MatchNextAhead(unsigned nic, const uint8_t* data, size_t length)
{
    WaitForNextResult();
    if (!IsAhead() || m_aheadQueued || m_aheadFrames.empty())
    {
        return false;
    }
    const auto& next = m_aheadFrames.front();
    m_aheadQueued =
        next.nic == nic && std::equal(data, data + length, next.data.begin(), next.data.end());
    return m_aheadQueued;
}

void
VmDriver::RunAhead(int64_t vmTime, uint32_t flags)
{
    if (m_aheadTurns.IsEmpty())
    {
        Fail(DescribeFault(m_aheadEnd.fault));
    }
    const auto next = Guarded([this]() { return m_aheadTurns.Peek(); });
    const bool timers = (flags & SIM_LINK_RUN_TIMERS) != 0;
    if (next.time != vmTime || next.flags != flags || m_aheadQueued == timers ||
        (m_aheadQueued && m_aheadFrames.front().vmTime != vmTime))
    {
        CheckNotAhead();
    }
    if (m_aheadQueued)
    {
        m_aheadFrames.pop_front();
        m_aheadQueued = false;
    }
    m_vmTime = vmTime;
    m_turns++;
    m_turnsAhead++;
    CheckTurnsAtOnce();
    ReadAhead();
    CheckTurnEnd(vmTime, flags);
    CheckAheadOver();
    Consume();
}

void
VmDriver::ReadAhead()
{
    while (!Guarded([this]() { return m_aheadTurns.Read(*this, m_answer); }))
    {
        /* The outbox was full in the midst of this turn, or it will never be over. */
        if (m_state != State::GOING)
        {
            Fail(m_aheadEnd.kind == SIM_LINK_FAULT
                     ? DescribeFault(m_aheadEnd.fault)
                     : "QEMU broke the sim-link protocol: a turn has no end");
        }
        TakeAhead(true);
    }
}

void
VmDriver::SendToRelay(Span<const ByteSpan> message)
{
    CheckRunning();
    CheckNotAhead();
    m_occasion = "a request of the simulation's";
    PieceReader bytes(message);
    do
    {
        m_link->AddSerial(SIM_LINK_RELAY_PORT, bytes, std::min(bytes.GetLeft(), m_relayChunk));
        RunTurn(m_vmTime, GetRequestFlags());
    } while (bytes.GetLeft() > 0);
    /* To carry it out may take more instructions than a turn has: a kernel module is loaded. */
    for (int turns = 0; IsBusy() && m_relay.IsAwaiting() && turns < REQUEST_TURNS;)
    {
        const uint64_t before = m_relayBytes;
        RunTurn(m_vmTime, GetRequestFlags());
        /* A part of its answer ends a turn, too. */
        turns += GetRequestFlags() == 0 || m_relayBytes == before ? 1 : 0;
    }
    WaitForDisks();
}

template <typename F>
void
VmDriver::AddRecord(F&& add)
{
    CheckNotAhead();
    if (!add())
    {
        /* The inbox is full: a turn of its own for what is in it. */
        RunTurn(m_vmTime, GetRequestFlags());
        add();
    }
}

void
VmDriver::SetCredit(unsigned nic, uint32_t frames)
{
    CheckNic(nic);
    if (frames != SIM_LINK_CREDIT_UNLIMITED)
    {
        frames -= std::min(frames, CountSent(nic));
    }
    if (frames == m_credit[nic])
    {
        return;
    }
    AddRecord([&]() { return m_link->AddCredit(nic, frames); });
    m_credit[nic] = frames;
}

uint32_t
VmDriver::GetCredit(unsigned nic) const
{
    CheckNic(nic);
    const uint32_t frames = m_credit[nic];
    return frames == SIM_LINK_CREDIT_UNLIMITED ? frames : frames + CountSent(nic);
}

void
VmDriver::SetCarrier(unsigned nic, bool up)
{
    CheckNic(nic);
    AddRecord([&]() { return m_link->AddCarrier(nic, up); });
}

void
VmDriver::QueueFrame(unsigned nic, const uint8_t* data, size_t length)
{
    CheckNic(nic);
    CheckFrame(length);
    if (MatchNextAhead(nic, data, length))
    {
        return;
    }
    AddRecord([&]() { return m_link->AddFrame(nic, data, length); });
    m_frames++;
}

void
VmDriver::QueueConsole(const uint8_t* data, size_t length)
{
    CheckRunning();
    CheckNotAhead();
    size_t sent = 0;
    while ((sent += m_link->AddSerial(SIM_LINK_CONSOLE_PORT, data + sent, length - sent)) < length)
    {
        /* The inbox is full: a turn of its own for what is in it. */
        RunTurn(m_vmTime, GetRequestFlags());
    }
}

bool
VmDriver::IsBusy() const
{
    return m_answer.kind == SIM_LINK_BUSY;
}

int64_t
VmDriver::GetTime() const
{
    return m_vmTime - m_base;
}

uint64_t
VmDriver::GetTurns() const
{
    return m_turns;
}

uint64_t
VmDriver::GetTurnsAhead() const
{
    return m_turnsAhead;
}

uint64_t
VmDriver::GetInstructions() const
{
    return m_answer.instructions;
}

pid_t
VmDriver::GetPid() const
{
    return m_process ? m_process->GetPid() : -1;
}

std::string
VmDriver::GetExit() const
{
    return m_process ? m_process->DescribeExit() : "was never started";
}

RelayClient&
VmDriver::GetRelay()
{
    return m_relay;
}

void
VmDriver::OnFrame(unsigned nic, const uint8_t* data, size_t length)
{
    if (nic >= m_credit.size())
    {
        throw VmError("QEMU broke the sim-link protocol: a frame of NIC " + std::to_string(nic) +
                      ", which the VM has not");
    }
    if (m_credit[nic] != SIM_LINK_CREDIT_UNLIMITED)
    {
        if (m_credit[nic] == 0)
        {
            throw VmError("QEMU broke the sim-link protocol: NIC " + std::to_string(nic) +
                          " has sent a frame that it had no credit for");
        }
        m_credit[nic]--;
    }
    if (IsTimed())
    {
        m_sending.push_back({m_stamp, nic, {data, data + length}});
        m_stamp = NOT_STAMPED;
        return;
    }
    /* What a machine sends before the simulation begins, it sends to nobody. */
    if (IsInSimulation() && m_onFrame)
    {
        m_onFrame(nic, data, length);
    }
}

void
VmDriver::OnSerial(unsigned port, const uint8_t* data, size_t length)
{
    if (port == SIM_LINK_RELAY_PORT)
    {
        m_relayInput.insert(m_relayInput.end(), data, data + length);
        m_relayBytes += length;
    }
    else if (port == SIM_LINK_CONSOLE_PORT)
    {
        WriteConsole(data, length);
    }
}

void
VmDriver::OnFilter(unsigned nic, const NicFilter& filter)
{
    if (nic >= m_credit.size())
    {
        throw VmError("QEMU broke the sim-link protocol: a filter of NIC " + std::to_string(nic) +
                      ", which the VM has not");
    }
    if (m_onFilter)
    {
        m_onFilter(nic, filter);
    }
}

void
VmDriver::OnMissed(unsigned nic)
{
    if (nic >= m_credit.size() || !IsTimed())
    {
        throw VmError("QEMU broke the sim-link protocol: NIC " + std::to_string(nic) +
                      " has missed a frame");
    }
    if (m_onMissed)
    {
        m_onMissed(nic);
    }
}

void
VmDriver::OnRefused(unsigned nic, const uint8_t* data, size_t length)
{
    if (IsInSimulation() && m_onRefused)
    {
        m_onRefused(nic, data, length);
    }
}

void
VmDriver::WriteConsole(const uint8_t* data, size_t length)
{
    if (m_keepsWhatIsSaid)
    {
        m_bootConsole.insert(m_bootConsole.end(), data, data + length);
    }
    m_console.Write(data, length);
    if (!m_shortageReported && !m_console.GetShortage().empty())
    {
        m_shortageReported = true;
        ReportShortage();
    }
    if (!m_faultReported && !m_console.GetFault().empty())
    {
        m_faultReported = true;
        ReportFault();
    }
}

std::vector<std::string>
VmDriver::GetConsoleTail() const
{
    return m_console.GetTail();
}

void
VmDriver::End()
{
    if (!HasProcess())
    {
        return;
    }
    if (m_process && !m_process->IsOurs())
    {
        SetEnded();
        return;
    }
    /* Quit is a command, and only whoever has the turn may give one; at boot, kill. */
    if (m_state == State::RUNNING || m_state == State::AHEAD)
    {
        m_link->Give(SIM_LINK_QUIT, m_vmTime, 0);
        m_process->End(END_GRACE);
    }
    else
    {
        m_process->End(0);
    }
    SetEnded();
    m_console.CloseLog();
}

/* The VM is of no use any more, and nor is what it had ahead. */
void
VmDriver::SetEnded()
{
    m_state = State::ENDED;
    m_aheadQueued = false;
    m_diskCopies.clear();
    m_monitor.reset();
    m_gdb.reset();
    if (const auto copy = m_copy.lock())
    {
        copy->Forget();
    }
}

} // namespace ns3qemu
