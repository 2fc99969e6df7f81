/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "virtual-machine.h"

#include "distributed-run.h"
#include "guest-stack.h"
#include "idle-watch.h"
#include "parallel-turns.h"
#include "qemu-net-device.h"
#include "run-monitor.h"
#include "superseded-stack.h"
#include "timed-turns.h"

#include "ns3/arp-l3-protocol.h"
#include "ns3/boolean.h"
#include "ns3/descriptor-limit.h"
#include "ns3/global-value.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/ipv6-l3-protocol.h"
#include "ns3/log.h"
#include "ns3/names.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachine");

namespace
{

/* How many turns a machine goes ahead at most, so that its results do not pile up. */
constexpr uint32_t AHEAD_LIMIT = 256;

/* All machines of this simulation, so that they boot side by side. */
std::vector<VirtualMachine*> g_machines;
/* Those of them that nobody has started, in the same order. */
std::vector<VirtualMachine*> g_unstarted;

/* Of these very types: those of a machine's node are derived from them. */
bool
HasNativeStack(Ptr<Node> node)
{
    const bool superseded = node->GetObject<SupersededStack>() != nullptr;
    for (auto objects = node->GetAggregateIterator(); objects.HasNext();)
    {
        const auto type = objects.Next()->GetInstanceTypeId();
        const bool ipv4 = type == ArpL3Protocol::GetTypeId() || type == Ipv4L3Protocol::GetTypeId();
        if ((ipv4 && !superseded) || type == Ipv6L3Protocol::GetTypeId())
        {
            return true;
        }
    }
    return false;
}

/* @return what the guest refuses of an action: its GuestError, or null */
template <typename F>
std::exception_ptr
CatchRefusal(F&& action)
{
    try
    {
        action();
    }
    catch (const ns3qemu::GuestError&)
    {
        return std::current_exception();
    }
    return nullptr;
}

} // namespace

VirtualMachine::VirtualMachine()
{
    NS_LOG_FUNCTION(this);
    g_machines.push_back(this);
    g_unstarted.push_back(this);
    /* ns-3 leaves checksums out unless it is told; a real kernel drops such packets. */
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    /* The node may outlive the simulation: the machine must not. */
    Simulator::ScheduleDestroy(&VirtualMachine::Finish, Ptr<VirtualMachine>(this));
}

VirtualMachine::~VirtualMachine()
{
    NS_LOG_FUNCTION(this);
    End();
}

Ptr<VirtualMachine>
VirtualMachine::Of(Ptr<Node> node)
{
    return node->GetObject<VirtualMachine>();
}

std::string
VirtualMachine::GetName() const
{
    if (!m_name.empty())
    {
        return m_name;
    }
    const auto node = GetObject<Node>();
    if (!node)
    {
        return "vm";
    }
    const std::string name = Names::FindName(node);
    return name.empty() ? "node" + std::to_string(node->GetId()) : name;
}

void
VirtualMachine::AddStack(uint8_t family, GuestStack* stack)
{
    m_stacks[family] = stack;
}

void
VirtualMachine::RemoveStack(uint8_t family)
{
    m_stacks.erase(family);
}

uint64_t
VirtualMachine::GetTurns() const
{
    return m_driver ? m_driver->GetTurns() : 0;
}

uint64_t
VirtualMachine::GetTurnsAhead() const
{
    return m_driver ? m_driver->GetTurnsAhead() : 0;
}

uint64_t
VirtualMachine::GetInstructions() const
{
    return m_driver ? m_driver->GetInstructions() : 0;
}

int
VirtualMachine::GetPid() const
{
    return m_driver ? m_driver->GetPid() : -1;
}

bool
VirtualMachine::IsRunning() const
{
    return m_state > State::STARTED && m_state < State::ENDED;
}

bool
VirtualMachine::IsConfigured() const
{
    return IsRunning() && m_state >= State::CONFIGURED;
}

bool
VirtualMachine::IsEarly() const
{
    return m_state < State::RUNNING;
}

void
VirtualMachine::CheckHere() const
{
    if (m_elsewhere)
    {
        throw ns3qemu::VmError("VM '" + GetName() +
                               "': " + DistributedRun::Describe(GetObject<Node>()) +
                               ": what a machine, its programs and sockets have become is known "
                               "there alone");
    }
}

void
VirtualMachine::WhenRunning(std::function<void()> action)
{
    if (IsEarly() && !m_elsewhere)
    {
        m_whenRunning.push_back(std::move(action));
    }
    else if (IsRunning())
    {
        action();
    }
}

/* ---- beginning and end ---- */

void
VirtualMachine::StartMachines()
{
    const auto machines = std::exchange(g_unstarted, {});
    ns3qemu::MakeRoomForDescriptors(machines.size());
    for (auto* machine : machines)
    {
        const auto node = machine->GetObject<Node>();
        if (node && !DistributedRun::IsElsewhere(node))
        {
            machine->StartMachine();
        }
    }
    PrepareMachines(machines);
}

bool
VirtualMachine::CompareConfiguration()
{
    const auto changed = [this](const auto& nic) {
        return nic->GetSpeed() != m_guestNics[nic->GetNicIndex()].speed;
    };
    return CompareRoutes() || std::any_of(m_nics.begin(), m_nics.end(), changed);
}

bool
VirtualMachine::CompareRoutes()
{
    bool changed = false;
    for (const auto& [family, stack] : m_stacks)
    {
        changed = stack->CompareRoutes() || changed;
    }
    return changed;
}

void
VirtualMachine::CarryRoutes()
{
    if (!IsConfigured())
    {
        return;
    }
    auto& relay = m_driver->GetRelay();
    try
    {
        for (const auto& [family, stack] : m_stacks)
        {
            stack->CarryRoutes(relay);
        }
    }
    catch (const ns3qemu::GuestError& error)
    {
        throw ns3qemu::VmError("VM '" + GetName() +
                               "': the guest refuses what the node's routing " +
                               "tables say: " + error.what());
    }
}

void
VirtualMachine::NotifyNewAggregate()
{
    NS_LOG_FUNCTION(this);
    const auto node = GetObject<Node>();
    if (node && HasNativeStack(node))
    {
        throw std::invalid_argument(
            "node " + std::to_string(node->GetId()) +
            " has a virtual machine, whose kernel is its network stack; ns-3's internet stack "
            "cannot be installed beside it, so install one of the two");
    }
    Object::NotifyNewAggregate();
}

void
VirtualMachine::DoInitialize()
{
    NS_LOG_FUNCTION(this);
    if (std::find(g_machines.begin(), g_machines.end(), this) == g_machines.end())
    {
        return; // ended before it began
    }
    m_elsewhere = DistributedRun::IsElsewhere(GetObject<Node>());
    if (m_elsewhere)
    {
        m_configuration.clear();
        m_whenRunning.clear();
        Object::DoInitialize();
        return;
    }
    RunMonitor::CatchInterrupts();
    if (m_state == State::NEW && DistributedRun::IsOn())
    {
        DistributedRun::WatchOthers();
    }
    try
    {
        /* The first to be initialised starts all of them, so that they start side by side. */
        StartMachines();
        /* One that had no node then. */
        StartMachine();
        PrepareMachines({this});
        BeginMachine();
    }
    catch (const std::exception& error)
    {
        if (RunMonitor::WasInterrupted())
        {
            BeInterrupted("was interrupted while it booted");
        }
        else
        {
            /* The driver's own diagnoses name the machine; a refused request does not. */
            const bool named = dynamic_cast<const ns3qemu::VmError*>(&error) != nullptr;
            Fail((named ? "" : "VM '" + GetName() + "': ") + error.what());
        }
    }
    Object::DoInitialize();
}

void
VirtualMachine::Fail(const std::string& diagnosis)
{
    m_state = State::ENDED;
    StayFailed(diagnosis);
}

void
VirtualMachine::BeInterrupted(const std::string& how)
{
    m_state = State::ENDED;
    Simulator::ScheduleNow(&VirtualMachine::StayFailed, this, "VM '" + GetName() + "' " + how);
    RunMonitor::Interrupted();
}

void
VirtualMachine::StayFailed(const std::string& diagnosis)
{
    /* A run that goes on without one of its machines would look like any other. */
    Simulator::ScheduleNow(&VirtualMachine::StayFailed, this, diagnosis);
    RunMonitor::Fail(diagnosis);
}

void
VirtualMachine::Finish()
{
    NS_LOG_FUNCTION(this);
    if (m_state == State::RUNNING && !RunMonitor::WasInterrupted())
    {
        try
        {
            m_driver->KeepDisks();
        }
        catch (const ns3qemu::VmError& error)
        {
            End();
            RunMonitor::Fail(error.what());
        }
    }
    End();
}

void
VirtualMachine::End()
{
    NS_LOG_FUNCTION(this);
    for (auto* list : {&g_machines, &g_unstarted})
    {
        list->erase(std::remove(list->begin(), list->end(), this), list->end());
    }
    if (g_machines.empty())
    {
        RunMonitor::ReleaseInterrupts();
    }
    IdleWatch::Remove(this);
    ParallelTurns::Remove(this);
    TimedTurns::Remove(m_timer.GetUid());
    m_state = State::ENDED;
    m_whenRunning.clear();
    m_held.clear();
    m_timer.Cancel();
    m_grant.Cancel();
    if (m_driver)
    {
        m_driver->End();
    }
}

void
VirtualMachine::DoDispose()
{
    NS_LOG_FUNCTION(this);
    Finish(); // the list of nodes may go before what was scheduled for the simulation's end
    m_node = nullptr;
    m_stacks.clear();
    m_nics.clear();
    m_watchers.Clear();
    Object::DoDispose();
}

/* ---- turns ---- */

template <typename F>
void
VirtualMachine::TakeTurn(TurnCause cause, F&& turn)
{
    NS_ASSERT_MSG(!m_inTurn, "a VM got a turn within its turn");
    m_inTurn = true;
    RunMonitor::SetTurn(this);
    m_framesSent = 0;
    const uint64_t before = m_holds ? m_heldFrom : m_driver->GetInstructions();
    const int64_t begin = std::max(GetReached(), Simulator::Now().GetNanoSeconds());
    const uint64_t computedBefore = m_driver->GetComputed();
    std::exception_ptr refusal;
    try
    {
        HandOnWhatIsHeld();
        MoveDriver();
        CarrySpeeds();
        CarryRoutes();
        refusal = CatchRefusal(turn);
        /* Also what has come with a request that was refused, or behind a handler's refused one. */
        while (const auto another =
                   CatchRefusal([this]() { m_driver->GetRelay().DispatchEvents(); }))
        {
            refusal = refusal ? refusal : another;
        }
    }
    catch (const ns3qemu::VmError& error)
    {
        LeaveTurn();
        Fail(error.what());
    }
    catch (...)
    {
        LeaveTurn();
        if (!RunMonitor::WasInterrupted())
        {
            /* An error of the script's, perhaps of its interpreter's: nobody else is told now. */
            ScheduleDeadline();
            throw;
        }
        BeInterrupted("was interrupted in the midst of a turn");
        return;
    }
    LeaveTurn();
    ScheduleDeadline();
    NotifyCredit();
    const uint32_t frames = m_framesSent;
    const uint64_t instructions = m_driver->GetInstructions() - before;
    TellListeners(cause);
    m_turnTrace(cause, frames, instructions);
    TellComputing(begin, computedBefore);
    RunMonitor::Poll();
    ParallelTurns::Schedule(this);
    if (refusal)
    {
        std::rethrow_exception(refusal);
    }
}

/* To the simulation's time, with what its NICs may send from there on. */
void
VirtualMachine::MoveDriver()
{
    m_driver->MoveTo(Simulator::Now().GetNanoSeconds());
    for (const auto& nic : m_nics)
    {
        m_driver->SetCredit(nic->GetNicIndex(), nic->GetCredit());
    }
}

void
VirtualMachine::LeaveTurn()
{
    m_inTurn = false;
    m_arrival = nullptr;
    RunMonitor::SetTurn(nullptr);
}

void
VirtualMachine::ScheduleDeadline()
{
    const int64_t deadline = m_driver->GetDeadline();
    if (!m_timer.IsExpired() && m_timerAt == deadline)
    {
        return; // keep its place among the events of that time
    }
    m_timer.Cancel();
    m_timerAt = deadline;
    if (deadline == SIM_LINK_NO_DEADLINE)
    {
        return;
    }
    const Time delay = NanoSeconds(deadline) - Simulator::Now();
    SetTimer(Simulator::Schedule(delay, &VirtualMachine::OnTimer, this));
}

void
VirtualMachine::SetTimer(const EventId& timer)
{
    if (IsTimed())
    {
        TimedTurns::SetTimer(this, m_timer.GetUid(), timer.GetUid());
    }
    m_timer = timer;
}

void
VirtualMachine::OnTimer()
{
    NS_LOG_FUNCTION(this);
    /* A frame that arrives at this very instant comes first: it was on its way before. */
    SetTimer(Simulator::ScheduleNow(&VirtualMachine::Expire, this));
}

void
VirtualMachine::Expire()
{
    NS_LOG_FUNCTION(this);
    if (IsRunning())
    {
        TakeTurn(TIMER, [this]() { RunGuest(true); });
    }
}

/* ---- parallel turns ---- */

Ptr<Node>
VirtualMachine::GetNode() const
{
    return m_node;
}

const std::vector<Ptr<QemuNetDevice>>&
VirtualMachine::GetNics() const
{
    return m_nics;
}

int64_t
VirtualMachine::GetReached() const
{
    return m_driver->GetReached();
}

bool
VirtualMachine::IsParallel() const
{
    return m_parallel;
}

int64_t
VirtualMachine::GetTimer() const
{
    return m_timer.IsExpired() ? SIM_LINK_NO_DEADLINE : m_timerAt;
}

void
VirtualMachine::CollectAhead()
{
    if (IsRunning())
    {
        m_driver->CollectAhead();
    }
}

bool
VirtualMachine::IsGoing() const
{
    return IsRunning() && m_driver->IsGoing();
}

bool
VirtualMachine::CanGoAhead() const
{
    /* What is asked for after a turn comes before the next. */
    return m_state == State::RUNNING && m_driver->CanGoAhead() &&
           (!m_driver->IsAhead() || GetAheadLimit() > 1);
}

int64_t
VirtualMachine::GetHorizon() const
{
    return m_driver->GetHorizon();
}

int64_t
VirtualMachine::GetNextTimer() const
{
    return m_driver->GetNextTimer();
}

uint32_t
VirtualMachine::GetAheadLimit() const
{
    const bool asked = !m_turnTrace.IsEmpty() ||
                       std::any_of(m_listeners.begin(), m_listeners.end(), [](auto* listener) {
                           return listener && listener->IsAsking();
                       });
    return asked ? 1 : AHEAD_LIMIT;
}

bool
VirtualMachine::QueueAhead(int64_t time, uint32_t nic, const std::vector<uint8_t>& frame)
{
    return m_driver->QueueAhead(time, nic, frame.data(), frame.size());
}

void
VirtualMachine::GoAhead(int64_t horizon, uint32_t turns)
{
    NS_LOG_FUNCTION(this << horizon << turns);
    m_driver->GoAhead(horizon, turns);
}

void
VirtualMachine::AddListener(TurnListener* listener)
{
    m_listeners.push_back(listener);
}

void
VirtualMachine::RemoveListener(TurnListener* listener)
{
    std::replace(m_listeners.begin(),
                 m_listeners.end(),
                 listener,
                 static_cast<TurnListener*>(nullptr));
}

void
VirtualMachine::TellListeners(TurnCause cause)
{
    const uint32_t frames = m_framesSent;
    /* By index: what they do may add others. */
    const size_t n = m_listeners.size();
    m_telling++;
    for (size_t i = 0; i < n; i++)
    {
        if (m_listeners[i])
        {
            m_listeners[i]->OnTurn(cause, frames);
        }
    }
    if (--m_telling == 0)
    {
        m_listeners.erase(std::remove(m_listeners.begin(), m_listeners.end(), nullptr),
                          m_listeners.end());
    }
}

/* Whether a NIC has used up its credit, so that frames may wait in the guest, and there is more. */
bool
VirtualMachine::HasCreditToGrant() const
{
    return std::any_of(m_nics.begin(), m_nics.end(), [this](const auto& nic) {
        return m_driver->GetCredit(nic->GetNicIndex()) == 0 && nic->GetCredit() > 0;
    });
}

void
VirtualMachine::NotifyCredit()
{
    /* Not at once: the device is in the midst of something. A turn looks for itself at its end. */
    if (IsRunning() && !m_inTurn && m_grant.IsExpired() && HasCreditToGrant())
    {
        m_grant = Simulator::ScheduleNow(&VirtualMachine::GrantCredit, this);
    }
}

void
VirtualMachine::GrantCredit()
{
    NS_LOG_FUNCTION(this);
    /* Another turn may have come first. */
    if (IsRunning() && HasCreditToGrant())
    {
        TakeTurn(DEVICE, [this]() { RunGuest(false); });
    }
}

void
VirtualMachine::SetCarrier(uint32_t nic, bool up)
{
    NS_LOG_FUNCTION(this << nic << up);
    TakeTurn(DEVICE, [&]() {
        m_driver->SetCarrier(nic, up);
        RunGuest(false);
    });
}

bool
VirtualMachine::IsTimed() const
{
    return m_driver && m_driver->IsTimed();
}

void
VirtualMachine::Receive(uint32_t nic, const uint8_t* frame, size_t length)
{
    NS_LOG_FUNCTION(this << nic << length);
    if (IsRunning())
    {
        NoteArrival(nic);
        TakeTurn(FRAME, [&]() {
            m_driver->QueueFrame(nic, frame, length);
            m_arrival = IsTimed() ? PeekPointer(m_nics[nic]) : nullptr;
            RunGuest(false);
            TellArrival(true);
        });
    }
}

void
VirtualMachine::Request(const std::function<void(ns3qemu::RelayClient&)>& request)
{
    NS_LOG_FUNCTION(this);
    CheckHere();
    if (!IsRunning())
    {
        throw std::logic_error("VM '" + GetName() + "' is not running");
    }
    if (m_inTurn)
    {
        /* From a handler of this machine's own events: part of the same turn. */
        CarryRoutes();
        request(m_driver->GetRelay());
        return;
    }
    TakeTurn(REQUEST, [&]() { request(m_driver->GetRelay()); });
}

void
VirtualMachine::OnFrame(uint32_t nic, const uint8_t* frame, size_t length)
{
    if (m_holds)
    {
        m_held.push_back([this, nic, held = std::vector<uint8_t>(frame, frame + length)]() {
            OnFrame(nic, held.data(), held.size());
        });
        return;
    }
    TellArrival(true);
    if (nic < m_nics.size())
    {
        m_framesSent++;
        m_nics[nic]->TransmitFromGuest(frame, length);
    }
}

} // namespace ns3
