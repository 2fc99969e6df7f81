/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * How a VirtualMachine begins: what it is made of, what it is told at time 0, and when.
 */
#include "application-check.h"
#include "guest-stack.h"
#include "idle-watch.h"
#include "parallel-turns.h"
#include "qemu-net-device.h"
#include "run-monitor.h"
#include "tcp-defaults.h"
#include "timed-turns.h"
#include "virtual-machine.h"

#include "ns3/fnv-hash.h"
#include "ns3/host-memory.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/side-by-side.h"
#include "ns3/simulator.h"
#include "ns3/spread-seed.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachineStart");

namespace
{

/* So that there is always one that can go on, while this process looks after another; with all at
 * once each would find the caches full of others' code and data. */
constexpr unsigned MACHINES_PER_CPU = 8;

/* @return false if the guest's kernel has no such file, or one that is fixed */
bool
WriteIfThere(ns3qemu::RelayClient& relay, const std::string& path, const std::string& value)
{
    try
    {
        relay.Apart([&]() { relay.WriteFile(path, {value.begin(), value.end()}); });
        return true;
    }
    catch (const ns3qemu::GuestError& error)
    {
        if (error.GetErrno() != ENOENT && error.GetErrno() != EPERM && error.GetErrno() != EACCES)
        {
            throw;
        }
        return false;
    }
}

} // namespace

/* ---- what it is made of ---- */

ns3qemu::VmConfig
VirtualMachine::BuildConfig() const
{
    auto config = ApplyAttributes();
    config.name = GetName();
    config.seed = DeriveSeed();
    config.nics = DescribeNics();
    return config;
}

uint64_t
VirtualMachine::DeriveSeed() const
{
    /* Distinct for each seed, run and node. */
    ns3qemu::FnvHash hash;
    for (const uint64_t value :
         {uint64_t{RngSeedManager::GetSeed()}, RngSeedManager::GetRun(), uint64_t{m_node->GetId()}})
    {
        hash.Add(&value, sizeof(value));
    }
    return hash.Get();
}

/* A number of its own for each purpose. @return 0 to limit - 1, or 0 if that is 0 */
int64_t
VirtualMachine::DrawBelow(const std::string& what, int64_t limit) const
{
    ns3qemu::FnvHash hash;
    const uint64_t seed = DeriveSeed();
    hash.Add(&seed, sizeof(seed));
    hash.Add(what.data(), what.size());
    /* Spread, for the low bits of the hash of similar seeds are similar. */
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
    {
        number = number << 8 | ns3qemu::SpreadSeed(hash.Get())[i];
    }
    return limit > 0 ? static_cast<int64_t>(number % static_cast<uint64_t>(limit)) : 0;
}

void
VirtualMachine::SpreadPids(ns3qemu::RelayClient& relay) const
{
    if (m_pidSpread == 0)
    {
        return;
    }
    const std::string last = "kernel.ns_last_pid";
    try
    {
        const int64_t own = std::stoll(relay.GetSysctl(last));
        relay.SetSysctl(last, std::to_string(own + DrawBelow("pid", m_pidSpread)));
    }
    catch (const ns3qemu::GuestError& error)
    {
        /* A kernel without it (CONFIG_CHECKPOINT_RESTORE) goes on where it is. */
        if (error.GetErrno() != ENOENT)
        {
            throw;
        }
    }
}

void
VirtualMachine::StartMachine()
{
    NS_LOG_FUNCTION(this);
    if (m_state != State::NEW)
    {
        return;
    }
    m_node = GetObject<Node>();
    if (!m_node)
    {
        throw ns3qemu::VmError("a VirtualMachine must be aggregated to a node; use QemuHelper");
    }
    CheckApplications(m_node);
    JoinDevices(m_node, nullptr);
    m_remote = m_nics.size() > 1 && std::any_of(m_nics.begin(), m_nics.end(), [](const auto& nic) {
                   return nic->IsRemote();
               });
    if (m_cpuRate != 0)
    {
        TimedTurns::Add(this);
    }
    else if (m_parallel)
    {
        for (const auto& nic : m_nics)
        {
            nic->EnableLookAhead();
        }
        ParallelTurns::Add(this);
    }
    auto config = BuildConfig();
    /* A real NIC and its driver take seconds until they have a link; a virtio one has it at once.
     */
    m_slowLinks = config.image.nicModel.rfind("virtio", 0) != 0;
    auto driver = std::make_unique<ns3qemu::VmDriver>(std::move(config));
    driver->SetInterrupt([]() { RunMonitor::CheckInterrupt(); });
    driver->SetFrameHandler(
        [this](unsigned nic, const uint8_t* data, size_t length) { OnFrame(nic, data, length); });
    driver->SetFilterHandler([this](unsigned nic, const ns3qemu::NicFilter& filter) {
        if (nic < m_nics.size())
        {
            m_nics[nic]->SetFilter(filter);
        }
    });
    driver->SetMissedHandler([this](unsigned) { TellArrival(false); });
    driver->SetRefusedHandler(
        [this](unsigned nic, const uint8_t* data, size_t length) { OnRefused(nic, data, length); });
    driver->SetPreparation([this](ns3qemu::RelayClient&) { PrepareLinks(); });
    m_watchers.Attach(driver->GetRelay());
    m_driver = std::move(driver);
    m_state = State::STARTED;
}

/* ---- what it is told at time 0 ---- */

void
VirtualMachine::PrepareMachines(const std::vector<VirtualMachine*>& machines)
{
    bool failed = false;
    std::vector<ns3qemu::SideBySide::Task> tasks;
    for (auto* machine : machines)
    {
        if (machine->m_state == State::STARTED && !machine->m_preparationFailure)
        {
            tasks.emplace_back([machine, &failed]() {
                if (!failed) // else the simulation will not get as far as to this one
                {
                    machine->PrepareMachine();
                    failed = machine->m_preparationFailure != nullptr;
                }
            });
        }
    }
    ns3qemu::SideBySide::Run(tasks, MACHINES_PER_CPU * std::thread::hardware_concurrency());
}

/* Beside others: what it sends and what fails is for later, in its node's turn. */
void
VirtualMachine::PrepareMachine()
{
    NS_LOG_FUNCTION(this);
    try
    {
        m_driver->FinishBoot();
        m_state = State::CONFIGURING;
        m_holds = true;
        m_heldFrom = m_driver->GetInstructions();
        m_inTurn = true;
        ConfigureMachine();
    }
    catch (...)
    {
        m_preparationFailure = std::current_exception();
    }
    m_inTurn = false;
}

void
VirtualMachine::ConfigureMachine()
{
    MoveDriver();
    if (m_slowLinks)
    {
        CheckLinks();
    }
    CarryCarriers();
    auto& relay = m_driver->GetRelay();
    relay.Together([&]() {
        if (!m_slowLinks)
        {
            CarryConfiguration();
            ConfigureNics();
        }
        for (const auto& [family, stack] : m_stacks)
        {
            stack->CarryAddresses(relay);
        }
    });
    m_state = State::CONFIGURED;
    CarryRoutes();
}

void
VirtualMachine::CarryConfiguration()
{
    auto& relay = m_driver->GetRelay();
    for (const auto& nic : m_nics)
    {
        GuestNic guest;
        m_interfaceIndices.push_back(relay.GetLink(nic->GetNicIndex(), &guest.name).index);
        m_guestNics.push_back(guest);
    }
    /* Both before what the script has said of sysctls, which has the last word. */
    if (m_hostMemory != 0)
    {
        ns3qemu::SetHostSysctls(relay, m_hostMemory);
        /* These limits do not keep it within its means: its kernel is to say when it exceeds them,
         * which is not always an error to it. */
        SetSysctlIfThere(relay, "kernel.printk", "7");
    }
    SpreadPids(relay);
    for (const auto& [family, stack] : m_stacks)
    {
        stack->CarryForwarding(relay);
    }
    TcpDefaults::Apply(
        [&relay](const std::string& name, const std::string& value) {
            return SetSysctlIfThere(relay, name, value);
        },
        [&relay](const std::string& path, const std::string& value) {
            return WriteIfThere(relay, path, value);
        },
        m_routeMetrics);
    for (const auto& request : m_configuration)
    {
        request(relay);
    }
    m_configuration.clear();
}

/* ---- when its node is initialised ---- */

void
VirtualMachine::BeginMachine()
{
    NS_LOG_FUNCTION(this);
    if (m_preparationFailure)
    {
        std::rethrow_exception(std::exchange(m_preparationFailure, nullptr));
    }
    Request([this](ns3qemu::RelayClient&) {
        /* Its devices have been initialised meanwhile. */
        if (CarryCarriers())
        {
            RunGuest(false);
        }
    });
    if (m_state == State::ENDED)
    {
        return; // interrupted
    }
    m_state = State::RUNNING;
    IdleWatch::Add(this);
    const auto actions = std::move(m_whenRunning);
    m_whenRunning.clear();
    for (const auto& action : actions)
    {
        action();
    }
}

/* What it has sent before, as if it did so now. */
void
VirtualMachine::HandOnWhatIsHeld()
{
    m_holds = false;
    for (const auto& action : std::exchange(m_held, {}))
    {
        action();
    }
}

} // namespace ns3
