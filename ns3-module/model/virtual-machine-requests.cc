/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a script says to a VirtualMachine's guest and asks of it: addresses and routes, parameters,
 * files, clocks, programs.
 */
#include "guest-stack.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/guest-netlink.h"
#include "ns3/guest-routes.h"
#include "ns3/log.h"
#include "ns3/simulator.h"
#include "ns3/vm-error.h"

#include <cerrno>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachineRequests");

namespace
{

/* The all-zero address of the destination's family stands for none, as in ns-3. */
ns3qemu::GuestAddress
GatewayOrNone(const ns3qemu::GuestRoute& route)
{
    return route.gateway.value_or(ns3qemu::GuestAddress{route.destination.address.family});
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

} // namespace

/* ---- addresses and routes ---- */

Ptr<NetDevice>
VirtualMachine::GetOwnDevice(Ptr<NetDevice> device)
{
    const auto nic = DynamicCast<QemuNetDevice>(device);
    return nic ? nic->GetJoinedDevice() : device;
}

GuestStack&
VirtualMachine::GetStack(uint8_t family) const
{
    const auto stack = m_stacks.find(family);
    if (stack == m_stacks.end())
    {
        throw std::logic_error("VM '" + GetName() + "': its node has no " +
                               (family == RELAY_INET ? "IPv4" : "IPv6") +
                               "; QemuHelper installs it unless it is told not to");
    }
    return *stack->second;
}

GuestStack*
VirtualMachine::FindObserved(uint16_t etherType) const
{
    const bool ipv4 = etherType == 0x0800;
    if (!ipv4 && etherType != 0x86dd)
    {
        return nullptr;
    }
    const auto stack = m_stacks.find(ipv4 ? RELAY_INET : RELAY_INET6);
    return stack != m_stacks.end() && stack->second->IsObserved() ? stack->second : nullptr;
}

void
VirtualMachine::AddAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ns3qemu::GuestPrefix::Parse(address);
    GetStack(parsed.family).AddGuestAddress(GetOwnDevice(device), parsed, prefix);
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
    GetStack(network.address.family)
        .AddGuestRoute(GetOwnDevice(device),
                       network.address,
                       network.length,
                       GatewayOrNone(route),
                       initialWindow);
}

void
VirtualMachine::DeleteAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ns3qemu::GuestPrefix::Parse(address);
    const auto own = GetOwnDevice(device);
    CheckDevice(own);
    if (!GetStack(parsed.family).DeleteGuestAddress(own, parsed))
    {
        /* One that the guest has made itself; or none, and the guest says so. */
        Request([&, &parsed = parsed, prefix = prefix](ns3qemu::RelayClient& relay) {
            relay.DeleteAddress(GetNic(own)->GetNicIndex(), parsed, prefix);
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
    const auto own = GetOwnDevice(device);
    CheckDevice(own);
    if (!GetStack(network.address.family)
             .DeleteGuestRoute(own, network.address, network.length, GatewayOrNone(route)))
    {
        Request([&](ns3qemu::RelayClient& relay) {
            route.interface = GetInterfaceIndices().at(GetNic(own)->GetNicIndex());
            ns3qemu::DeleteGuestRoute(relay, route);
        });
    }
    else if (IsRunning())
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

/* ---- parameters, files, clocks ---- */

/* As those with a '-' in sysctl.d(5). @return false if the kernel has none of this name */
bool
VirtualMachine::SetSysctlIfThere(ns3qemu::RelayClient& relay,
                                 const std::string& name,
                                 const std::string& value)
{
    try
    {
        relay.Apart([&]() { relay.SetSysctl(name, value); });
    }
    catch (const ns3qemu::GuestError& error)
    {
        /* There may be the parameter, but nothing of the name that it is to have. */
        if (error.GetErrno() != ENOENT || HasSysctl(relay, name))
        {
            throw;
        }
        return false;
    }
    return true;
}

void
VirtualMachine::Configure(const std::function<void(ns3qemu::RelayClient&)>& request)
{
    if (IsRunning())
    {
        Request(request);
    }
    else if (!m_elsewhere)
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
        if (!SetSysctlIfThere(relay, wanted, value))
        {
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

/* ---- a look from outside ---- */

std::shared_ptr<ns3qemu::VmCopy>
VirtualMachine::MakeCopy()
{
    NS_LOG_FUNCTION(this);
    CheckHere();
    if (m_state != State::RUNNING || m_inTurn)
    {
        throw ns3qemu::VmError(
            "VM '" + GetName() + "' cannot be looked at " +
            (m_inTurn ? "within its turn: do it in an event of its own" : "when it does not run"));
    }
    return m_driver->Copy(Simulator::Now().GetNanoSeconds());
}

/* ---- sockets and programs ---- */

void
VirtualMachine::Watch(uint32_t handle, Callback<void, const RelayReady&> callback)
{
    m_watchers.Watch(handle, callback);
}

void
VirtualMachine::Unwatch(uint32_t handle)
{
    m_watchers.Unwatch(handle);
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
    m_watchers.WatchProcess(process, output, exit);
}

void
VirtualMachine::UnwatchProcess(uint32_t process)
{
    m_watchers.UnwatchProcess(process);
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

} // namespace ns3
