/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a script says to a VirtualMachine's guest and asks of it: addresses and routes, parameters,
 * files, clocks, programs.
 */
#include "guest-stack.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/log.h"

#include <cerrno>
#include <stdexcept>
#include <tuple>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("VirtualMachineRequests");

namespace
{

std::pair<ns3qemu::GuestAddress, uint8_t>
ParsePrefix(const std::string& text)
{
    const size_t slash = text.find('/');
    int prefix = -1;
    if (slash != std::string::npos && slash + 1 < text.size() &&
        text.find_first_not_of("0123456789", slash + 1) == std::string::npos &&
        text.size() - slash <= 4)
    {
        prefix = std::stoi(text.substr(slash + 1));
    }
    const auto address = ns3qemu::GuestAddress::Parse(text.substr(0, slash));
    if (prefix < 0 || prefix > (address.family == RELAY_INET ? 32 : 128))
    {
        throw std::invalid_argument("'" + text + "' needs a prefix length, as in " +
                                    (address.family == RELAY_INET ? "10.0.1.1/24" : "fd00::1/64"));
    }
    return {address, static_cast<uint8_t>(prefix)};
}

/* Without the NIC. */
ns3qemu::GuestRoute
ParseRoute(const std::string& destination, const std::string& gateway)
{
    ns3qemu::GuestRoute route;
    std::tie(route.destination, route.prefix) = ParsePrefix(destination);
    route.gateway.family = route.destination.family;
    route.hasGateway = !gateway.empty();
    if (route.hasGateway)
    {
        route.gateway = ns3qemu::GuestAddress::Parse(gateway);
    }
    if (route.gateway.family != route.destination.family)
    {
        throw std::invalid_argument("the gateway '" + gateway + "' and the destination '" +
                                    destination + "' must both be IPv4 or IPv6");
    }
    return route;
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

/* As those with a '-' in sysctl.d(5). @return false if the kernel has none of this name */
bool
SetSysctlIfThere(ns3qemu::RelayClient& relay, const std::string& name, const std::string& value)
{
    try
    {
        relay.SetSysctl(name, value);
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

void
VirtualMachine::AddAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ParsePrefix(address);
    GetStack(parsed.family).AddGuestAddress(GetOwnDevice(device), parsed, prefix);
}

void
VirtualMachine::AddRoute(const std::string& destination,
                         const std::string& gateway,
                         Ptr<NetDevice> device,
                         uint32_t initialWindow)
{
    NS_LOG_FUNCTION(this << destination << gateway << device << initialWindow);
    const auto route = ParseRoute(destination, gateway);
    GetStack(route.destination.family)
        .AddGuestRoute(GetOwnDevice(device),
                       route.destination,
                       route.prefix,
                       route.gateway,
                       initialWindow);
}

void
VirtualMachine::DeleteAddress(Ptr<NetDevice> device, const std::string& address)
{
    NS_LOG_FUNCTION(this << device << address);
    const auto [parsed, prefix] = ParsePrefix(address);
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
    auto route = ParseRoute(destination, gateway);
    const auto own = GetOwnDevice(device);
    CheckDevice(own);
    if (!GetStack(route.destination.family)
             .DeleteGuestRoute(own, route.destination, route.prefix, route.gateway))
    {
        route.nic = GetNic(own)->GetNicIndex();
        Request([&](ns3qemu::RelayClient& relay) { relay.DeleteRoute(route); });
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
        const auto bytes = relay.Netlink(protocol, {request.begin(), request.end()});
        answer.assign(bytes.begin(), bytes.end());
    });
    return answer;
}

/* ---- parameters, files, clocks ---- */

void
VirtualMachine::Configure(const std::function<void(ns3qemu::RelayClient&)>& request)
{
    if (IsRunning())
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
