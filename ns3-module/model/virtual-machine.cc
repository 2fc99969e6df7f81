/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "virtual-machine.h"

#include "parallel-turns.h"
#include "qemu-ipv4.h"
#include "qemu-ipv6.h"
#include "qemu-net-device.h"
#include "run-monitor.h"

#include "ns3/arp-l3-protocol.h"
#include "ns3/boolean.h"
#include "ns3/bridge-net-device.h"
#include "ns3/fnv-hash.h"
#include "ns3/global-value.h"
#include "ns3/guest-netlink.h"
#include "ns3/guest-prefix.h"
#include "ns3/guest-routes.h"
#include "ns3/ipv4-l3-protocol.h"
#include "ns3/ipv6-l3-protocol.h"
#include "ns3/log.h"
#include "ns3/loopback-net-device.h"
#include "ns3/names.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cerrno>
#include <net/if.h>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachine");

NS_OBJECT_ENSURE_REGISTERED(VirtualMachine);

namespace
{

/* How many turns a machine goes ahead at most, so that its results do not pile up. */
constexpr uint32_t AHEAD_LIMIT = 256;

/* All machines of this simulation, so that they boot side by side. */
std::vector<VirtualMachine*> g_machines;

/* Whether a device of a node is a port of one of its bridges: frames are the bridge's, then. */
bool
IsBridgePort(Ptr<Node> node, Ptr<const NetDevice> device)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        const auto bridge = DynamicCast<BridgeNetDevice>(node->GetDevice(i));
        for (uint32_t port = 0; bridge && port < bridge->GetNBridgePorts(); port++)
        {
            if (bridge->GetBridgePort(port) == device)
            {
                return true;
            }
        }
    }
    return false;
}

bool
HasSysctl(ns3qemu::RelayClient& relay, const std::string& name)
{
    try
    {
        relay.GetSysctl(name);
    }
    catch (const ns3qemu::GuestError& error)
    {
        return error.GetErrno() != ENOENT;
    }
    return true;
}

Ipv4Mask
ToMask(uint8_t prefix)
{
    return Ipv4Mask(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
}

/* The all-zero address of the destination's family stands for none, as in ns-3. */
ns3qemu::GuestAddress
GatewayOrNone(const ns3qemu::GuestRoute& route)
{
    return route.gateway.value_or(ns3qemu::GuestAddress{route.destination.address.family});
}

} // namespace

TypeId
VirtualMachine::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::VirtualMachine")
            .SetParent<Object>()
            .SetGroupName("Qemu")
            .AddConstructor<VirtualMachine>()
            .AddAttribute("Name",
                          "The guest's host name. Empty: the node's name, or node0, node1, ...",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_name),
                          MakeStringChecker())
            .AddAttribute("Image",
                          "Directory of the image that the machine is started from.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_image),
                          MakeStringChecker())
            .AddAttribute("ConsoleLog",
                          "File for the guest's console. Empty: none.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_consoleLog),
                          MakeStringChecker())
            .AddAttribute(
                "Uptime",
                "The guest's uptime when the simulation begins. It must have booted by then.",
                TimeValue(Seconds(20)),
                MakeTimeAccessor(&VirtualMachine::m_uptime),
                MakeTimeChecker(Seconds(0)))
            .AddAttribute("Epoch",
                          "The guest's date when the simulation begins, as time since 1970. "
                          "Negative: that of its image, which is that of its kernel or of the "
                          "newest certificate in it.",
                          TimeValue(Seconds(-1)),
                          MakeTimeAccessor(&VirtualMachine::m_epoch),
                          MakeTimeChecker(Seconds(-1)))
            .AddAttribute("TickPhase",
                          "When the guest's timer ticks: so long after a full millisecond of "
                          "simulated time. Its uptime when the simulation begins is larger by up "
                          "to 1 ms then. Negative: wherever it happens to.",
                          TimeValue(NanoSeconds(-1)),
                          MakeTimeAccessor(&VirtualMachine::m_tickPhase),
                          MakeTimeChecker(NanoSeconds(-1), NanoSeconds(999999)))
            .AddAttribute("TscStep",
                          "How far the guest's TSC advances with each reading within a turn, "
                          "during which all other clocks stand still.",
                          TimeValue(MicroSeconds(1)),
                          MakeTimeAccessor(&VirtualMachine::m_tscStep),
                          MakeTimeChecker(NanoSeconds(1), MilliSeconds(1)))
            .AddAttribute("SegmentationOffload",
                          "Whether the guest's stack may build packets larger than the MTU and "
                          "segment them when they leave it.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&VirtualMachine::m_segmentationOffload),
                          MakeBooleanChecker())
            .AddAttribute("Snapshot",
                          "Whether the machine starts from a saved one, which is kept with the "
                          "image; the first of its kind is booted and saved. Otherwise it boots.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_snapshot),
                          MakeBooleanChecker())
            .AddAttribute("Parallel",
                          "Whether the machine's turns may be had while the simulation and other "
                          "machines go on. The results are the same. All its devices must be "
                          "point-to-point, and events of other nodes must leave it alone. Fixed "
                          "once the simulation has begun.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&VirtualMachine::m_parallel),
                          MakeBooleanChecker())
            .AddAttribute("Spin",
                          "Wall time for which simulator and machine poll for their turn before "
                          "they sleep. Only of use where each has a CPU of its own.",
                          TimeValue(Seconds(0)),
                          MakeTimeAccessor(&VirtualMachine::m_spin),
                          MakeTimeChecker(Seconds(0)))
            .AddAttribute("Watchdog",
                          "A turn that lasts longer than this wall time is reported. It changes "
                          "nothing in the simulation.",
                          TimeValue(Seconds(30)),
                          MakeTimeAccessor(&VirtualMachine::m_watchdog),
                          MakeTimeChecker(MilliSeconds(1)))
            .AddAttribute("BusyInstructions",
                          "A guest that has executed so many instructions in a turn without going "
                          "to sleep goes on BusyStep later.",
                          UintegerValue(50'000'000),
                          MakeUintegerAccessor(&VirtualMachine::m_busyInstructions),
                          MakeUintegerChecker<uint64_t>(10'000))
            .AddAttribute("BusyReads",
                          "A guest that has read its clock so often in a turn without going to "
                          "sleep goes on BusyStep later: a program that waits in a loop until it "
                          "is late enough.",
                          UintegerValue(20'000),
                          MakeUintegerAccessor(&VirtualMachine::m_busyReads),
                          MakeUintegerChecker<uint64_t>(100))
            .AddAttribute("BusyStep",
                          "How much later a guest goes on that has used up a turn, unless a timer "
                          "of its own expires earlier.",
                          TimeValue(MilliSeconds(10)),
                          MakeTimeAccessor(&VirtualMachine::m_busyStep),
                          MakeTimeChecker(NanoSeconds(1)))
            .AddTraceSource("Turn",
                            "The machine has had a turn.",
                            MakeTraceSourceAccessor(&VirtualMachine::m_turnTrace),
                            "ns3::VirtualMachine::TurnTracedCallback");
    return tid;
}

VirtualMachine::VirtualMachine()
{
    NS_LOG_FUNCTION(this);
    g_machines.push_back(this);
    /* ns-3 leaves checksums out unless it is told; a real kernel drops such packets. */
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    /* The node may outlive the simulation: the machine must not. */
    Simulator::ScheduleDestroy(&VirtualMachine::End, Ptr<VirtualMachine>(this));
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

Ptr<QemuNetDevice>
VirtualMachine::GetNic(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    if (const auto nic = FindJoined(device))
    {
        return nic;
    }
    CheckDevice(device);
    if (m_driver)
    {
        throw std::logic_error("VM '" + GetName() +
                               "': a NIC cannot be added once the simulation has begun");
    }
    /* NICs are in the order of the devices, whichever is asked for first. */
    JoinDevices(GetObject<Node>(), device);
    const auto nic = FindJoined(device);
    if (!nic)
    {
        throw std::invalid_argument("VM '" + GetName() + "': a device of the type " +
                                    device->GetInstanceTypeId().GetName() + " cannot be a NIC");
    }
    return nic;
}

Ptr<QemuNetDevice>
VirtualMachine::FindJoined(Ptr<NetDevice> device) const
{
    for (const auto& nic : m_nics)
    {
        if (nic == device || nic->GetJoinedDevice() == device)
        {
            return nic;
        }
    }
    return nullptr;
}

void
VirtualMachine::JoinDevices(Ptr<Node> node, Ptr<NetDevice> last)
{
    /* By index: joining a device adds one. */
    const uint32_t n = node->GetNDevices();
    for (uint32_t i = 0; i < n; i++)
    {
        const auto device = node->GetDevice(i);
        if (!DynamicCast<LoopbackNetDevice>(device) && !DynamicCast<QemuNetDevice>(device) &&
            !IsBridgePort(node, device) && !FindJoined(device))
        {
            auto nic = CreateObject<QemuNetDevice>();
            nic->Join(Ptr<VirtualMachine>(this), static_cast<uint32_t>(m_nics.size()), device);
            m_nics.push_back(nic);
            node->AddDevice(nic);
        }
        if (device == last)
        {
            break;
        }
    }
}

uint32_t
VirtualMachine::GetNNics() const
{
    return static_cast<uint32_t>(m_nics.size());
}

Ptr<NetDevice>
VirtualMachine::GetLoopback(Ptr<Node> node)
{
    for (uint32_t i = 0; i < node->GetNDevices(); i++)
    {
        if (DynamicCast<LoopbackNetDevice>(node->GetDevice(i)))
        {
            return node->GetDevice(i);
        }
    }
    auto loopback = CreateObject<LoopbackNetDevice>();
    node->AddDevice(loopback);
    return loopback;
}

void
VirtualMachine::CheckDevice(Ptr<const NetDevice> device) const
{
    const auto node = GetObject<Node>();
    if (!node || device->GetNode() != node)
    {
        throw std::invalid_argument("VM '" + GetName() + "': the device belongs to another node");
    }
    if (DynamicCast<const LoopbackNetDevice>(device) || DynamicCast<const QemuNetDevice>(device))
    {
        throw std::invalid_argument("VM '" + GetName() +
                                    "': " + device->GetInstanceTypeId().GetName() +
                                    " is not a device that a NIC can be joined to");
    }
    if (IsBridgePort(node, device))
    {
        throw std::invalid_argument("VM '" + GetName() +
                                    "': the device is a port of a bridge; use the bridge itself");
    }
}

Ptr<NetDevice>
VirtualMachine::GetOwnDevice(Ptr<NetDevice> device)
{
    const auto nic = DynamicCast<QemuNetDevice>(device);
    return nic ? nic->GetJoinedDevice() : device;
}

template <typename Stack>
Ptr<Stack>
VirtualMachine::GetStack(const char* name) const
{
    const auto stack = GetObject<Stack>();
    if (!stack)
    {
        throw std::logic_error("VM '" + GetName() + "': its node has no " + name +
                               "; QemuHelper installs it unless it is told not to");
    }
    return stack;
}

void
VirtualMachine::AddAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ns3qemu::GuestPrefix::Parse(address);
    const auto own = GetOwnDevice(device);
    if (parsed.family == RELAY_INET)
    {
        const auto ipv4 = GetStack<QemuIpv4>("IPv4");
        ipv4->AddAddress(
            ipv4->GetOrAddInterface(own),
            Ipv4InterfaceAddress(Ipv4Address::Deserialize(parsed.bytes.data()), ToMask(prefix)));
    }
    else
    {
        const auto ipv6 = GetStack<QemuIpv6>("IPv6");
        ipv6->AddAddress(ipv6->GetOrAddInterface(own),
                         Ipv6InterfaceAddress(Ipv6Address::Deserialize(parsed.bytes.data()),
                                              Ipv6Prefix(prefix)));
    }
}

void
VirtualMachine::AddRoute(const std::string& destination,
                         const std::string& gateway,
                         Ptr<NetDevice> device,
                         uint32_t initialWindow)
{
    NS_LOG_FUNCTION(this << destination << gateway << device << initialWindow);
    const auto route = ns3qemu::GuestRoute::Parse(destination, gateway);
    const auto& network = route.destination;
    const auto via = GatewayOrNone(route);
    const auto own = GetOwnDevice(device);
    if (network.address.family == RELAY_INET)
    {
        const auto ipv4 = GetStack<QemuIpv4>("IPv4");
        ipv4->AddRoute(Ipv4Address::Deserialize(network.address.bytes.data()),
                       ToMask(network.length),
                       Ipv4Address::Deserialize(via.bytes.data()),
                       ipv4->GetOrAddInterface(own),
                       initialWindow);
    }
    else
    {
        const auto ipv6 = GetStack<QemuIpv6>("IPv6");
        ipv6->AddRoute(Ipv6Address::Deserialize(network.address.bytes.data()),
                       Ipv6Prefix(network.length),
                       Ipv6Address::Deserialize(via.bytes.data()),
                       ipv6->GetOrAddInterface(own),
                       initialWindow);
    }
}

void
VirtualMachine::DeleteAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ns3qemu::GuestPrefix::Parse(address);
    const auto own = GetOwnDevice(device);
    CheckDevice(own);
    bool known = false;
    if (parsed.family == RELAY_INET)
    {
        const auto ipv4 = GetStack<QemuIpv4>("IPv4");
        const int32_t interface = ipv4->GetInterfaceForDevice(own);
        known =
            interface >= 0 && ipv4->RemoveAddress(static_cast<uint32_t>(interface),
                                                  Ipv4Address::Deserialize(parsed.bytes.data()));
    }
    else
    {
        const auto ipv6 = GetStack<QemuIpv6>("IPv6");
        const int32_t interface = ipv6->GetInterfaceForDevice(own);
        known =
            interface >= 0 && ipv6->RemoveAddress(static_cast<uint32_t>(interface),
                                                  Ipv6Address::Deserialize(parsed.bytes.data()));
    }
    if (!known)
    {
        /* One that the guest has made itself; or none, and the guest says so. */
        Request([&, &parsed = parsed, prefix = prefix](ns3qemu::RelayClient& relay) {
            relay.DeleteAddress(GetNic(own)->GetNic(), parsed, prefix);
        });
    }
}

void
VirtualMachine::DeleteRoute(const std::string& destination,
                            const std::string& gateway,
                            Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << destination << gateway << device);
    auto route = ns3qemu::GuestRoute::Parse(destination, gateway);
    const auto& network = route.destination;
    const auto via = GatewayOrNone(route);
    const auto own = GetOwnDevice(device);
    CheckDevice(own);
    bool known = false;
    if (network.address.family == RELAY_INET)
    {
        const auto ipv4 = GetStack<QemuIpv4>("IPv4");
        const int32_t interface = ipv4->GetInterfaceForDevice(own);
        known = interface >= 0 &&
                ipv4->DeleteRoute(Ipv4Address::Deserialize(network.address.bytes.data()),
                                  ToMask(network.length),
                                  Ipv4Address::Deserialize(via.bytes.data()),
                                  static_cast<uint32_t>(interface));
    }
    else
    {
        const auto ipv6 = GetStack<QemuIpv6>("IPv6");
        const int32_t interface = ipv6->GetInterfaceForDevice(own);
        known = interface >= 0 &&
                ipv6->DeleteRoute(Ipv6Address::Deserialize(network.address.bytes.data()),
                                  Ipv6Prefix(network.length),
                                  Ipv6Address::Deserialize(via.bytes.data()),
                                  static_cast<uint32_t>(interface));
    }
    if (!known)
    {
        Request([&](ns3qemu::RelayClient& relay) {
            route.interface = GetInterfaceIndices().at(GetNic(own)->GetNic());
            ns3qemu::DeleteGuestRoute(relay, route);
        });
    }
    else if (m_running)
    {
        Request([](ns3qemu::RelayClient&) {}); // a turn, in which the tables are carried
    }
}

std::string
VirtualMachine::Netlink(uint32_t protocol, const std::string& request)
{
    std::string answer;
    Request([&](ns3qemu::RelayClient& relay) {
        const auto bytes = ns3qemu::PassNetlink(relay, protocol, {request.begin(), request.end()});
        answer.assign(bytes.begin(), bytes.end());
    });
    return answer;
}

void
VirtualMachine::Configure(const std::function<void(ns3qemu::RelayClient&)>& request)
{
    if (m_running)
    {
        Request(request);
    }
    else
    {
        m_configuration.push_back(request);
    }
}

void
VirtualMachine::SetSysctl(const std::string& name, const std::string& value)
{
    NS_LOG_FUNCTION(this << name << value);
    if (name.empty() || name[0] != '-')
    {
        Configure([name, value](ns3qemu::RelayClient& relay) { relay.SetSysctl(name, value); });
        return;
    }
    const std::string wanted = name.substr(1);
    Configure([this, wanted, value](ns3qemu::RelayClient& relay) {
        try
        {
            relay.SetSysctl(wanted, value);
        }
        catch (const ns3qemu::GuestError& error)
        {
            /* There may be the parameter, but nothing of the name that it is to have. */
            if (error.GetErrno() != ENOENT || HasSysctl(relay, wanted))
            {
                throw;
            }
            m_skippedSysctls.push_back(wanted);
        }
    });
}

std::vector<std::string>
VirtualMachine::GetSkippedSysctls() const
{
    return m_skippedSysctls;
}

std::string
VirtualMachine::GetSysctl(const std::string& name)
{
    std::string value;
    Request([&](ns3qemu::RelayClient& relay) { value = relay.GetSysctl(name); });
    return value;
}

std::string
VirtualMachine::ReadFile(const std::string& path)
{
    std::string content;
    Request([&](ns3qemu::RelayClient& relay) {
        const auto bytes = relay.ReadFile(path);
        content.assign(bytes.begin(), bytes.end());
    });
    return content;
}

void
VirtualMachine::WriteFile(const std::string& path, const std::string& text, uint32_t mode)
{
    NS_LOG_FUNCTION(this << path << text.size() << mode);
    const std::vector<uint8_t> data(text.begin(), text.end());
    Configure(
        [path, data, mode](ns3qemu::RelayClient& relay) { relay.WriteFile(path, data, mode); });
}

Time
VirtualMachine::GetRealtime()
{
    int64_t ns = 0;
    Request([&](ns3qemu::RelayClient& relay) { ns = relay.GetClock().realtime; });
    return NanoSeconds(ns);
}

Time
VirtualMachine::GetUptime()
{
    int64_t ns = 0;
    Request([&](ns3qemu::RelayClient& relay) { ns = relay.GetClock().monotonic; });
    return NanoSeconds(ns);
}

std::string
VirtualMachine::GetRelease()
{
    std::string release;
    Request([&](ns3qemu::RelayClient& relay) { release = relay.GetRelease(); });
    return release;
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
    return m_running;
}

bool
VirtualMachine::IsEarly() const
{
    return m_early;
}

void
VirtualMachine::WhenRunning(std::function<void()> action)
{
    if (m_early)
    {
        m_whenRunning.push_back(std::move(action));
    }
    else if (m_running)
    {
        action();
    }
}

void
VirtualMachine::Watch(uint32_t handle, Callback<void, const RelayReady&> callback)
{
    m_watchers[handle] = callback;
}

void
VirtualMachine::Unwatch(uint32_t handle)
{
    m_watchers.erase(handle);
}

uint32_t
VirtualMachine::StartProcess(const ns3qemu::GuestProgram& program,
                             OutputCallback output,
                             ExitCallback exit)
{
    uint32_t process = 0;
    Request([&](ns3qemu::RelayClient& relay) {
        process = relay.StartProcess(program);
        WatchProcess(process, output, exit);
    });
    return process;
}

void
VirtualMachine::WatchProcess(uint32_t process, OutputCallback output, ExitCallback exit)
{
    m_processes[process] = {output, exit};
}

void
VirtualMachine::UnwatchProcess(uint32_t process)
{
    m_processes.erase(process);
}

void
VirtualMachine::WriteProcess(uint32_t process, const std::string& text)
{
    Request([&](ns3qemu::RelayClient& relay) {
        relay.WriteProcess(process, reinterpret_cast<const uint8_t*>(text.data()), text.size());
    });
}

void
VirtualMachine::CloseProcessInput(uint32_t process)
{
    Request([&](ns3qemu::RelayClient& relay) { relay.CloseProcessInput(process); });
}

void
VirtualMachine::SignalProcess(uint32_t process, int signal)
{
    Request([&](ns3qemu::RelayClient& relay) { relay.SignalProcess(process, signal); });
}

/* ---- beginning and end ---- */

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

ns3qemu::VmConfig
VirtualMachine::BuildConfig()
{
    if (m_image.empty())
    {
        throw ns3qemu::VmError("VM '" + GetName() +
                               "' has no image: set the attribute Image, or use QemuHelper");
    }
    ns3qemu::VmConfig config;
    config.name = GetName();
    config.image = ns3qemu::ReadImage(m_image);
    config.consoleLog = m_consoleLog;
    config.seed = DeriveSeed();
    config.uptime = m_uptime.GetNanoSeconds();
    config.epoch = m_epoch.IsStrictlyNegative() ? config.image.epoch * 1'000'000'000
                                                : m_epoch.GetNanoSeconds();
    config.snapshots = m_snapshot ? m_image + "/snapshots" : "";
    config.spin = m_spin.GetNanoSeconds();
    config.watchdog = m_watchdog.GetNanoSeconds();
    config.tickPhase = m_tickPhase.GetNanoSeconds();
    config.linkOptions.push_back("tsc-step=" + std::to_string(m_tscStep.GetNanoSeconds()));
    /* A real NIC and its driver take seconds until they have a link; a virtio one has it at once.
     */
    m_slowLinks = config.image.nicModel.rfind("virtio", 0) != 0;
    config.linkOptions.push_back("busy-instructions=" + std::to_string(m_busyInstructions));
    config.linkOptions.push_back("busy-reads=" + std::to_string(m_busyReads));
    config.linkOptions.push_back("busy-step=" + std::to_string(m_busyStep.GetNanoSeconds()));
    for (const auto& nic : m_nics)
    {
        if (IsBridgePort(m_node, nic->GetJoinedDevice()))
        {
            throw ns3qemu::VmError(
                "VM '" + GetName() +
                "': a device became a port of a bridge when it was a NIC already; "
                "make the bridge before the node's addresses");
        }
        config.nics.push_back(nic->DescribeNic());
    }
    return config;
}

void
VirtualMachine::StartMachine()
{
    NS_LOG_FUNCTION(this);
    if (m_driver)
    {
        return;
    }
    m_node = GetObject<Node>();
    if (!m_node)
    {
        throw ns3qemu::VmError("a VirtualMachine must be aggregated to a node; use QemuHelper");
    }
    m_ipv4 = PeekPointer(GetObject<QemuIpv4>());
    m_ipv6 = PeekPointer(GetObject<QemuIpv6>());
    JoinDevices(m_node, nullptr);
    if (m_parallel)
    {
        for (const auto& nic : m_nics)
        {
            nic->LookAhead();
        }
        ParallelTurns::Add(this);
    }
    auto driver = std::make_unique<ns3qemu::VmDriver>(BuildConfig());
    driver->SetInterrupt([]() { RunMonitor::CheckInterrupt(); });
    driver->SetFrameHandler(
        [this](unsigned nic, const uint8_t* data, size_t length) { OnFrame(nic, data, length); });
    driver->SetPreparation([this](ns3qemu::RelayClient&) { PrepareLinks(); });
    driver->GetRelay().SetReadyHandler([this](const RelayReady& ready) { OnReady(ready); });
    driver->GetRelay().SetOutputHandler(
        [this](uint32_t process, int stream, const uint8_t* data, size_t length) {
            OnOutput(process, stream, data, length);
        });
    driver->GetRelay().SetExitHandler([this](const RelayProcessExit& end) { OnExit(end); });
    driver->Start();
    m_driver = std::move(driver);
}

void
VirtualMachine::PrepareMachine()
{
    /* What slow links need is asked for in this, and not before the node's own turn. */
    if (m_driver && !m_slowLinks)
    {
        m_driver->PrepareBoot();
    }
}

bool
VirtualMachine::WantsUp(Ptr<NetDevice> device) const
{
    return (!m_ipv4 || m_ipv4->WantsUp(device)) && (!m_ipv6 || m_ipv6->WantsUp(device));
}

void
VirtualMachine::ConfigureNics()
{
    auto& relay = m_driver->GetRelay();
    for (const auto& nic : m_nics)
    {
        const auto device = nic->GetJoinedDevice();
        auto& guest = m_guestNics[nic->GetNic()];
        guest.up = WantsUp(device);
        if (m_ipv6)
        {
            m_ipv6->PrepareNic(relay, device);
        }
        RelayLinkSet link{};
        link.nic = nic->GetNic();
        link.set = RELAY_LINK_UP | RELAY_LINK_MTU | RELAY_LINK_ARP;
        link.up = guest.up;
        link.mtu = nic->GetMtu();
        link.arp = nic->NeedsArp();
        if (!m_segmentationOffload)
        {
            link.set |= RELAY_LINK_GSO_MAX_SEGMENTS;
            link.gsoMaxSegments = 1;
        }
        relay.SetLink(link);
    }
}

void
VirtualMachine::UpdateNic(Ptr<NetDevice> device)
{
    if (!m_running || !m_configured || DynamicCast<LoopbackNetDevice>(device))
    {
        return;
    }
    const auto nic = GetNic(device);
    auto& guest = m_guestNics[nic->GetNic()];
    const bool up = WantsUp(device);
    if (guest.up == up)
    {
        return;
    }
    NS_LOG_FUNCTION(this << device << up);
    Request([&](ns3qemu::RelayClient& relay) {
        RelayLinkSet link{};
        link.nic = nic->GetNic();
        link.set = RELAY_LINK_UP;
        link.up = up;
        relay.SetLink(link);
        guest.up = up;
        if (m_ipv4)
        {
            m_ipv4->NotifyNic(relay, device, up);
        }
        if (m_ipv6)
        {
            m_ipv6->NotifyNic(relay, device, up);
        }
    });
}

bool
VirtualMachine::IsNicUp(Ptr<NetDevice> device)
{
    return m_guestNics.at(GetNic(device)->GetNic()).up;
}

const std::string&
VirtualMachine::GetInterfaceName(Ptr<NetDevice> device)
{
    return m_guestNics.at(GetNic(device)->GetNic()).name;
}

const std::vector<uint32_t>&
VirtualMachine::GetInterfaceIndices() const
{
    return m_interfaceIndices;
}

bool
VirtualMachine::HaveRoutesChanged()
{
    const bool ipv4 = m_ipv4 && m_ipv4->HaveRoutesChanged();
    const bool ipv6 = m_ipv6 && m_ipv6->HaveRoutesChanged();
    return ipv4 || ipv6;
}

void
VirtualMachine::CarryRoutes()
{
    if (!m_configured)
    {
        return;
    }
    auto& relay = m_driver->GetRelay();
    try
    {
        if (m_ipv4)
        {
            m_ipv4->CarryRoutes(relay);
        }
        if (m_ipv6)
        {
            m_ipv6->CarryRoutes(relay);
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
VirtualMachine::CarryConfiguration()
{
    auto& relay = m_driver->GetRelay();
    for (const auto& nic : m_nics)
    {
        GuestNic guest;
        m_interfaceIndices.push_back(relay.GetLink(nic->GetNic(), &guest.name).index);
        m_guestNics.push_back(guest);
    }
    /* Before what the script has said of sysctls, which has the last word. */
    if (m_ipv4)
    {
        m_ipv4->CarryForwarding(relay);
    }
    if (m_ipv6)
    {
        m_ipv6->CarryForwarding(relay);
    }
    for (const auto& request : m_configuration)
    {
        request(relay);
    }
    m_configuration.clear();
}

void
VirtualMachine::PrepareLinks()
{
    if (m_slowLinks)
    {
        CarryConfiguration();
        ConfigureNics();
    }
}

void
VirtualMachine::CheckLinks()
{
    for (const auto& nic : m_nics)
    {
        if (m_guestNics[nic->GetNic()].up &&
            !(m_driver->GetRelay().GetLink(nic->GetNic()).flags & IFF_RUNNING))
        {
            throw ns3qemu::VmError("VM '" + GetName() + "': NIC " + std::to_string(nic->GetNic()) +
                                   " has no link when the simulation begins. It takes some "
                                   "seconds to come up: give the machine a longer Uptime");
        }
    }
}

void
VirtualMachine::BootMachine()
{
    NS_LOG_FUNCTION(this);
    m_driver->FinishBoot();
    m_running = true;
    TakeTurn(REQUEST, [this]() {
        if (m_slowLinks)
        {
            CheckLinks();
        }
        for (const auto& nic : m_nics)
        {
            if (nic->TakeCarrierChange())
            {
                m_driver->SetCarrier(nic->GetNic(), nic->HasCarrier());
            }
        }
        if (!m_slowLinks)
        {
            CarryConfiguration();
            ConfigureNics();
        }
        auto& relay = m_driver->GetRelay();
        if (m_ipv4)
        {
            m_ipv4->CarryAddresses(relay);
        }
        if (m_ipv6)
        {
            m_ipv6->CarryAddresses(relay);
        }
        m_configured = true;
        CarryRoutes();
        relay.DispatchEvents();
    });
    m_early = false;
    const auto actions = std::move(m_whenRunning);
    m_whenRunning.clear();
    for (const auto& action : actions)
    {
        action();
    }
}

void
VirtualMachine::NotifyNewAggregate()
{
    NS_LOG_FUNCTION(this);
    const auto node = GetObject<Node>();
    if (node && (node->GetObject<ArpL3Protocol>() || node->GetObject<Ipv4L3Protocol>() ||
                 node->GetObject<Ipv6L3Protocol>()))
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
    RunMonitor::CatchInterrupts();
    try
    {
        /* The first to be initialised starts all of them, so that they start side by side; each
         * then waits for its own. */
        for (auto* machine : g_machines)
        {
            if (machine->GetObject<Node>())
            {
                machine->StartMachine();
            }
        }
        for (auto* machine : g_machines)
        {
            machine->PrepareMachine();
        }
        BootMachine();
    }
    catch (const std::exception& error)
    {
        m_running = false;
        if (RunMonitor::WasInterrupted())
        {
            RunMonitor::Interrupted();
        }
        else
        {
            /* The driver's own diagnoses name the machine; a refused request does not. */
            const bool named = dynamic_cast<const ns3qemu::VmError*>(&error) != nullptr;
            RunMonitor::Fail((named ? "" : "VM '" + GetName() + "': ") + error.what());
        }
    }
    Object::DoInitialize();
}

void
VirtualMachine::End()
{
    NS_LOG_FUNCTION(this);
    const auto self = std::find(g_machines.begin(), g_machines.end(), this);
    if (self != g_machines.end())
    {
        g_machines.erase(self);
    }
    if (g_machines.empty())
    {
        RunMonitor::ReleaseInterrupts();
    }
    ParallelTurns::Remove(this);
    m_running = false;
    m_early = false;
    m_whenRunning.clear();
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
    End();
    m_node = nullptr;
    m_ipv4 = nullptr;
    m_ipv6 = nullptr;
    m_nics.clear();
    m_watchers.clear();
    m_processes.clear();
    Object::DoDispose();
}

/* ---- turns ---- */

template <typename F>
void
VirtualMachine::TakeTurn(TurnCause cause, F&& turn)
{
    NS_ASSERT_MSG(!m_inTurn, "a VM got a turn within its turn");
    m_inTurn = true;
    m_framesSent = 0;
    try
    {
        m_driver->MoveTo(Simulator::Now().GetNanoSeconds());
        for (const auto& nic : m_nics)
        {
            m_driver->SetCredit(nic->GetNic(), nic->GetRoom());
        }
        CarryRoutes();
        turn();
    }
    catch (const ns3qemu::VmError& error)
    {
        m_inTurn = false;
        m_running = false;
        RunMonitor::Fail(error.what());
        return;
    }
    catch (...)
    {
        m_inTurn = false;
        if (!RunMonitor::WasInterrupted())
        {
            ScheduleDeadline();
            throw;
        }
        m_running = false;
        RunMonitor::Interrupted();
        return;
    }
    m_inTurn = false;
    ScheduleDeadline();
    NotifyRoom();
    const uint64_t before = m_instructions;
    m_instructions = m_driver->GetInstructions();
    const uint32_t frames = m_framesSent;
    const uint64_t instructions = m_instructions - before;
    TellListeners(cause);
    m_turnTrace(cause, frames, instructions);
    RunMonitor::Poll();
    ParallelTurns::Schedule();
}

void
VirtualMachine::ScheduleDeadline()
{
    const int64_t deadline = m_driver->GetDeadline();
    if (m_timer.IsPending() && m_timerAt == deadline)
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
    m_timer = Simulator::Schedule(delay, &VirtualMachine::OnTimer, this);
}

void
VirtualMachine::OnTimer()
{
    NS_LOG_FUNCTION(this);
    /* A frame that arrives at this very instant comes first: it was on its way before. */
    m_timer = Simulator::ScheduleNow(&VirtualMachine::Expire, this);
}

void
VirtualMachine::Expire()
{
    NS_LOG_FUNCTION(this);
    if (m_running)
    {
        TakeTurn(TIMER, [this]() { m_driver->Run(Simulator::Now().GetNanoSeconds(), true); });
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
VirtualMachine::GetTimer() const
{
    return m_timer.IsPending() ? m_timerAt : SIM_LINK_NO_DEADLINE;
}

bool
VirtualMachine::IsGoing() const
{
    if (m_running)
    {
        m_driver->CollectAhead();
    }
    return m_running && m_driver->IsGoing();
}

bool
VirtualMachine::CanGoAhead()
{
    /* What is asked for after a turn comes before the next. */
    if (m_running)
    {
        m_driver->CollectAhead();
    }
    return m_running && !m_early && m_driver->CanGoAhead() &&
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

/* Whether a NIC has used up its room, so that frames may wait in the guest, and there is more. */
bool
VirtualMachine::HasRoomToGrant() const
{
    return std::any_of(m_nics.begin(), m_nics.end(), [this](const auto& nic) {
        return m_driver->GetCredit(nic->GetNic()) == 0 && nic->GetRoom() > 0;
    });
}

void
VirtualMachine::NotifyRoom()
{
    /* Not at once: the device is in the midst of something. A turn looks for itself at its end. */
    if (m_running && !m_inTurn && !m_grant.IsPending() && HasRoomToGrant())
    {
        m_grant = Simulator::ScheduleNow(&VirtualMachine::GrantRoom, this);
    }
}

void
VirtualMachine::GrantRoom()
{
    NS_LOG_FUNCTION(this);
    /* Another turn may have come first. */
    if (m_running && HasRoomToGrant())
    {
        TakeTurn(DEVICE, [this]() { m_driver->Run(Simulator::Now().GetNanoSeconds(), false); });
    }
}

void
VirtualMachine::SetCarrier(uint32_t nic, bool up)
{
    NS_LOG_FUNCTION(this << nic << up);
    TakeTurn(DEVICE, [&]() {
        m_driver->SetCarrier(nic, up);
        m_driver->Run(Simulator::Now().GetNanoSeconds(), false);
    });
}

void
VirtualMachine::Receive(uint32_t nic, const uint8_t* frame, size_t length)
{
    NS_LOG_FUNCTION(this << nic << length);
    if (m_running)
    {
        TakeTurn(FRAME, [&]() {
            m_driver->QueueFrame(nic, frame, length);
            m_driver->Run(Simulator::Now().GetNanoSeconds(), false);
        });
    }
}

void
VirtualMachine::Request(const std::function<void(ns3qemu::RelayClient&)>& request)
{
    NS_LOG_FUNCTION(this);
    if (!m_running)
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
    TakeTurn(REQUEST, [&]() {
        request(m_driver->GetRelay());
        m_driver->GetRelay().DispatchEvents();
    });
}

void
VirtualMachine::OnFrame(uint32_t nic, const uint8_t* frame, size_t length)
{
    if (nic < m_nics.size())
    {
        m_framesSent++;
        m_nics[nic]->TransmitFromGuest(frame, length);
    }
}

void
VirtualMachine::OnReady(const RelayReady& ready)
{
    const auto watcher = m_watchers.find(ready.handle);
    if (watcher != m_watchers.end())
    {
        /* A copy: the callback may unwatch itself. */
        const auto callback = watcher->second;
        callback(ready);
    }
}

void
VirtualMachine::OnOutput(uint32_t process, int stream, const uint8_t* data, size_t length)
{
    const auto watcher = m_processes.find(process);
    if (watcher != m_processes.end() && !watcher->second.first.IsNull())
    {
        const auto callback = watcher->second.first;
        callback(stream, std::string(data, data + length));
    }
}

void
VirtualMachine::OnExit(const RelayProcessExit& end)
{
    const auto watcher = m_processes.find(end.process);
    if (watcher != m_processes.end())
    {
        const auto callback = watcher->second.second;
        m_processes.erase(watcher);
        if (!callback.IsNull())
        {
            callback(static_cast<int>(end.code), static_cast<int>(end.signal));
        }
    }
}

} // namespace ns3
