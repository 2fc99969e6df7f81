/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-ipv4.h"

#include "guest-address.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/ip-l4-protocol.h"
#include "ns3/log.h"
#include "ns3/node.h"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuIpv4");

NS_OBJECT_ENSURE_REGISTERED(QemuIpv4);

namespace
{

constexpr uint16_t MTU_MIN = 68; // RFC 791

uint8_t
GetPrefix(Ipv4Mask mask)
{
    return static_cast<uint8_t>(mask.GetPrefixLength());
}

Ipv4Mask
ToMask(uint8_t prefix)
{
    return Ipv4Mask(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
}

} // namespace

TypeId
QemuIpv4::GetTypeId()
{
    static TypeId tid = []() {
        /* Sources of the names that those of the last parent have: so that comes after them. */
        auto type = TypeId("ns3::QemuIpv4").SetParent<Ipv4>().SetGroupName("Qemu");
        return AddTraceSources(type).SetParent<Ipv4L3Protocol>().AddConstructor<QemuIpv4>();
    }();
    return tid;
}

QemuIpv4::QemuIpv4()
    : m_routes(m_interfaces)
{
    NS_LOG_FUNCTION(this);
}

QemuIpv4::~QemuIpv4()
{
    NS_LOG_FUNCTION(this);
}

void
QemuIpv4::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_node = nullptr;
    if (m_machine)
    {
        m_machine->RemoveStack(RELAY_INET);
    }
    m_machine = nullptr;
    m_interfaces.Clear();
    m_routes.SetProtocol(nullptr);
    m_routing = nullptr;
    Ipv4L3Protocol::DoDispose();
}

void
QemuIpv4::NotifyNewAggregate()
{
    NS_LOG_FUNCTION(this);
    if (!m_node)
    {
        m_node = GetObject<Node>();
        if (m_node)
        {
            const uint32_t index = m_interfaces.Add(VirtualMachine::GetLoopback(m_node), m_forward);
            m_interfaces.At(index).addresses.emplace_back(Ipv4Address::GetLoopback(),
                                                          Ipv4Mask::GetLoopback());
            m_interfaces.At(index).up = true;
        }
    }
    m_machine = PeekPointer(GetObject<VirtualMachine>());
    if (m_machine)
    {
        m_machine->AddStack(RELAY_INET, this);
    }
    Ipv4::NotifyNewAggregate();
}

bool
QemuIpv4::IsRunning() const
{
    return m_machine && m_machine->IsRunning();
}

void
QemuIpv4::Refuse(const std::string& what) const
{
    throw std::logic_error((m_machine ? "VM '" + m_machine->GetName() + "': " : std::string()) +
                           what + " is the guest's own kernel's, not ns-3's");
}

/* ---- routing protocols ---- */

void
QemuIpv4::SetRoutingProtocol(Ptr<Ipv4RoutingProtocol> routingProtocol)
{
    NS_LOG_FUNCTION(this << routingProtocol);
    m_routes.SetProtocol(routingProtocol);
    m_routing = routingProtocol;
    m_routing->SetIpv4(this);
}

Ptr<Ipv4RoutingProtocol>
QemuIpv4::GetRoutingProtocol() const
{
    return m_routing;
}

/* ---- interfaces ---- */

uint32_t
QemuIpv4::AddInterface(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    m_machine->CheckDevice(device);
    const int32_t known = m_interfaces.Find(device);
    return known >= 0 ? static_cast<uint32_t>(known) : m_interfaces.Add(device, m_forward);
}

uint32_t
QemuIpv4::GetOrAddInterface(Ptr<NetDevice> device)
{
    const uint32_t interface = AddInterface(device);
    if (!m_interfaces.At(interface).up)
    {
        SetUp(interface);
    }
    return interface;
}

uint32_t
QemuIpv4::GetNInterfaces() const
{
    return m_interfaces.GetN();
}

int32_t
QemuIpv4::GetInterfaceForAddress(Ipv4Address address) const
{
    return m_interfaces.FindAddress(
        [&](const Ipv4InterfaceAddress& own) { return own.GetLocal() == address; });
}

int32_t
QemuIpv4::GetInterfaceForPrefix(Ipv4Address address, Ipv4Mask mask) const
{
    return m_interfaces.FindAddress([&](const Ipv4InterfaceAddress& own) {
        return own.GetLocal().CombineMask(mask) == address.CombineMask(mask);
    });
}

int32_t
QemuIpv4::GetInterfaceForDevice(Ptr<const NetDevice> device) const
{
    return m_interfaces.Find(device);
}

Ptr<NetDevice>
QemuIpv4::GetNetDevice(uint32_t interface)
{
    return m_interfaces.At(interface).device;
}

bool
QemuIpv4::IsDestinationAddress(Ipv4Address address, uint32_t iif) const
{
    const auto& addresses = m_interfaces.At(iif).addresses;
    return address.IsMulticast() || address.IsBroadcast() || GetInterfaceForAddress(address) >= 0 ||
           std::any_of(addresses.begin(), addresses.end(), [&](const Ipv4InterfaceAddress& own) {
               return own.GetBroadcast() == address;
           });
}

void
QemuIpv4::SetMetric(uint32_t interface, uint16_t metric)
{
    NS_LOG_FUNCTION(this << interface << metric);
    m_interfaces.At(interface).metric = metric;
}

uint16_t
QemuIpv4::GetMetric(uint32_t interface) const
{
    return m_interfaces.At(interface).metric;
}

uint16_t
QemuIpv4::GetMtu(uint32_t interface) const
{
    return m_interfaces.At(interface).device->GetMtu();
}

bool
QemuIpv4::IsUp(uint32_t interface) const
{
    return m_interfaces.At(interface).up;
}

void
QemuIpv4::SetUp(uint32_t interface)
{
    NS_LOG_FUNCTION(this << interface);
    const auto& its = m_interfaces.At(interface);
    if (its.device->GetMtu() < MTU_MIN)
    {
        NS_LOG_WARN("The MTU of interface " << interface << " is too small for IPv4");
        return;
    }
    auto changed = its;
    changed.up = true;
    changed.heldDown = false;
    Apply(interface, changed);
    if (m_routing)
    {
        m_routing->NotifyInterfaceUp(interface);
    }
}

void
QemuIpv4::SetDown(uint32_t interface)
{
    NS_LOG_FUNCTION(this << interface);
    auto changed = m_interfaces.At(interface);
    changed.up = false;
    changed.heldDown = true;
    Apply(interface, changed);
    if (m_routing)
    {
        m_routing->NotifyInterfaceDown(interface);
    }
}

void
QemuIpv4::Apply(uint32_t interface, const Interface& changed)
{
    m_interfaces.Change(interface, changed, [&]() {
        if (m_machine)
        {
            m_machine->UpdateNic(changed.device);
        }
    });
}

bool
QemuIpv4::WantsUp(Ptr<NetDevice> device) const
{
    return m_interfaces.WantsUp(device);
}

void
QemuIpv4::NotifyNic(ns3qemu::RelayClient&, Ptr<NetDevice> device, bool)
{
    /* Its addresses stay, its routes do not. */
    m_routes.Forget(m_machine->GetNic(device)->GetNicIndex());
}

void
QemuIpv4::PrepareNic(ns3qemu::RelayClient&, Ptr<NetDevice>)
{
}

/* ---- forwarding ---- */

bool
QemuIpv4::IsForwarding(uint32_t interface) const
{
    return m_interfaces.At(interface).forwarding;
}

void
QemuIpv4::SetGuestForwarding(ns3qemu::RelayClient& relay, uint32_t interface, bool forward)
{
    const auto device = m_interfaces.At(interface).device;
    relay.SetSysctl("net/ipv4/conf/" + m_machine->GetInterfaceName(device) + "/forwarding",
                    forward ? "1" : "0");
}

void
QemuIpv4::SetForwarding(uint32_t interface, bool val)
{
    NS_LOG_FUNCTION(this << interface << val);
    auto changed = m_interfaces.At(interface);
    changed.forwarding = val;
    m_interfaces.Change(interface, changed, [&]() {
        if (IsRunning() && interface > 0)
        {
            m_machine->Request(
                [&](ns3qemu::RelayClient& relay) { SetGuestForwarding(relay, interface, val); });
        }
    });
}

void
QemuIpv4::SetIpForward(bool forward)
{
    NS_LOG_FUNCTION(this << forward);
    for (uint32_t i = 0; i < m_interfaces.GetN(); i++)
    {
        SetForwarding(i, forward);
    }
    m_forward = forward;
}

bool
QemuIpv4::GetIpForward() const
{
    return m_forward;
}

void
QemuIpv4::CarryForwarding(ns3qemu::RelayClient& relay)
{
    NS_LOG_FUNCTION(this);
    std::vector<uint32_t> forwarding;
    for (uint32_t i = 1; i < m_interfaces.GetN(); i++)
    {
        if (m_interfaces.At(i).forwarding)
        {
            forwarding.push_back(i);
        }
    }
    if (!forwarding.empty() && forwarding.size() + 1 == m_interfaces.GetN())
    {
        /* One request for all, and what other programs in the guest look at. */
        relay.SetSysctl("net/ipv4/ip_forward", "1");
        return;
    }
    for (const uint32_t i : forwarding)
    {
        SetGuestForwarding(relay, i, true);
    }
}

void
QemuIpv4::ChooseStrongModel(bool strong)
{
    if (strong)
    {
        Refuse("the choice of the strong end system model (sysctl rp_filter, arp_ignore)");
    }
}

bool
QemuIpv4::IsStrongModel() const
{
    return false;
}

/* ---- addresses ---- */

bool
QemuIpv4::AddAddress(uint32_t interface, Ipv4InterfaceAddress address)
{
    NS_LOG_FUNCTION(this << interface << address);
    auto& its = m_interfaces.At(interface);
    if (IsRunning() && interface > 0)
    {
        m_machine->Request([&](ns3qemu::RelayClient& relay) {
            relay.AddAddress(m_machine->GetNic(its.device)->GetNicIndex(),
                             ToGuestAddress(address.GetLocal()),
                             GetPrefix(address.GetMask()));
        });
    }
    its.addresses.push_back(address);
    if (m_routing)
    {
        m_routing->NotifyAddAddress(interface, address);
    }
    m_routes.MarkStale();
    return true;
}

void
QemuIpv4::CarryAddresses(ns3qemu::RelayClient& relay)
{
    NS_LOG_FUNCTION(this);
    for (uint32_t i = 1; i < m_interfaces.GetN(); i++)
    {
        const auto& its = m_interfaces.At(i);
        for (const auto& address : its.addresses)
        {
            relay.AddAddress(m_machine->GetNic(its.device)->GetNicIndex(),
                             ToGuestAddress(address.GetLocal()),
                             GetPrefix(address.GetMask()));
        }
    }
}

uint32_t
QemuIpv4::GetNAddresses(uint32_t interface) const
{
    return static_cast<uint32_t>(m_interfaces.At(interface).addresses.size());
}

Ipv4InterfaceAddress
QemuIpv4::GetAddress(uint32_t interface, uint32_t addressIndex) const
{
    return m_interfaces.GetAddress(interface, addressIndex);
}

bool
QemuIpv4::RemoveAddress(uint32_t interface, uint32_t addressIndex)
{
    m_interfaces.GetAddress(interface, addressIndex); // there is one
    return Remove(interface, addressIndex);
}

bool
QemuIpv4::RemoveAddress(uint32_t interface, Ipv4Address address)
{
    const auto& addresses = m_interfaces.At(interface).addresses;
    const auto found =
        std::find_if(addresses.begin(), addresses.end(), [&](const Ipv4InterfaceAddress& own) {
            return own.GetLocal() == address;
        });
    return found != addresses.end() &&
           Remove(interface, static_cast<size_t>(found - addresses.begin()));
}

bool
QemuIpv4::Remove(uint32_t interface, size_t index)
{
    NS_LOG_FUNCTION(this << interface << index);
    if (interface == 0)
    {
        NS_LOG_WARN("The loopback interface keeps its address");
        return false;
    }
    auto& its = m_interfaces.At(interface);
    const Ipv4InterfaceAddress address = its.addresses[index];
    auto others = its.addresses;
    others.erase(others.begin() + static_cast<ptrdiff_t>(index));
    if (IsRunning())
    {
        const uint32_t nic = m_machine->GetNic(its.device)->GetNicIndex();
        m_machine->Request([&](ns3qemu::RelayClient& relay) {
            relay.DeleteAddress(nic,
                                ToGuestAddress(address.GetLocal()),
                                GetPrefix(address.GetMask()));
            /* With a network's first address the kernel drops its others. */
            for (const auto& other : others)
            {
                try
                {
                    relay.AddAddress(nic,
                                     ToGuestAddress(other.GetLocal()),
                                     GetPrefix(other.GetMask()));
                }
                catch (const ns3qemu::GuestError& error)
                {
                    if (error.GetErrno() != EEXIST)
                    {
                        throw;
                    }
                }
            }
        });
        m_routes.Forget(nic); // with an address go routes
    }
    its.addresses = others;
    if (m_routing)
    {
        m_routing->NotifyRemoveAddress(interface, address);
    }
    m_routes.MarkStale();
    return true;
}

Ipv4Address
QemuIpv4::SourceAddressSelection(uint32_t interface, Ipv4Address dest)
{
    return SelectSourceAddress(m_interfaces.At(interface).device,
                               dest,
                               Ipv4InterfaceAddress::GLOBAL);
}

Ipv4Address
QemuIpv4::SelectSourceAddress(Ptr<const NetDevice> device,
                              Ipv4Address dst,
                              Ipv4InterfaceAddress::InterfaceAddressScope_e scope)
{
    /* The device's address in the destination's network, or its first one, or another's. */
    const Ipv4InterfaceAddress* best = nullptr;
    int quality = 0;
    for (const auto& interface : m_interfaces)
    {
        for (const auto& address : interface.addresses)
        {
            if (address.IsSecondary() || address.GetScope() > scope)
            {
                continue;
            }
            const bool own = device && interface.device == device;
            const int offered = own ? (address.IsInSameSubnet(dst) ? 3 : 2)
                                    : (address.GetLocal().IsLocalhost() ? 0 : 1);
            if (offered > quality)
            {
                quality = offered;
                best = &address;
            }
        }
    }
    return best ? best->GetLocal() : Ipv4Address("0.0.0.0");
}

/* ---- what a script says to the machine ---- */

void
QemuIpv4::AddGuestAddress(Ptr<NetDevice> device,
                          const ns3qemu::GuestAddress& address,
                          uint8_t prefix)
{
    AddAddress(
        GetOrAddInterface(device),
        Ipv4InterfaceAddress(Ipv4Address::Deserialize(address.bytes.data()), ToMask(prefix)));
}

bool
QemuIpv4::DeleteGuestAddress(Ptr<NetDevice> device, const ns3qemu::GuestAddress& address)
{
    const int32_t interface = m_interfaces.Find(device);
    return interface >= 0 && RemoveAddress(static_cast<uint32_t>(interface),
                                           Ipv4Address::Deserialize(address.bytes.data()));
}

void
QemuIpv4::AddGuestRoute(Ptr<NetDevice> device,
                        const ns3qemu::GuestAddress& destination,
                        uint8_t prefix,
                        const ns3qemu::GuestAddress& gateway,
                        uint32_t initialWindow)
{
    NS_LOG_FUNCTION(this << device << initialWindow);
    m_routes.Add(*m_machine,
                 Ipv4Address::Deserialize(destination.bytes.data()),
                 ToMask(prefix),
                 Ipv4Address::Deserialize(gateway.bytes.data()),
                 GetOrAddInterface(device),
                 initialWindow);
}

bool
QemuIpv4::DeleteGuestRoute(Ptr<NetDevice> device,
                           const ns3qemu::GuestAddress& destination,
                           uint8_t prefix,
                           const ns3qemu::GuestAddress& gateway)
{
    NS_LOG_FUNCTION(this << device);
    const int32_t interface = m_interfaces.Find(device);
    return interface >= 0 && m_routes.Delete(*m_machine,
                                             Ipv4Address::Deserialize(destination.bytes.data()),
                                             ToMask(prefix),
                                             Ipv4Address::Deserialize(gateway.bytes.data()),
                                             static_cast<uint32_t>(interface));
}

/* ---- routes ---- */

bool
QemuIpv4::CompareRoutes()
{
    return m_routes.Compare();
}

void
QemuIpv4::CarryRoutes(ns3qemu::RelayClient& relay)
{
    m_routes.Carry(relay, *m_machine);
}

/* ---- what a guest's kernel has itself ---- */

void
QemuIpv4::Send(Ptr<Packet>, Ipv4Address, Ipv4Address, uint8_t, Ptr<Ipv4Route>)
{
    Refuse("sending packets");
}

void
QemuIpv4::SendWithHeader(Ptr<Packet>, Ipv4Header, Ptr<Ipv4Route>)
{
    Refuse("sending packets");
}

void
QemuIpv4::Insert(Ptr<IpL4Protocol>)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv4::Insert(Ptr<IpL4Protocol>, uint32_t)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv4::Remove(Ptr<IpL4Protocol>)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv4::Remove(Ptr<IpL4Protocol>, uint32_t)
{
    Refuse("the choice of transport protocols");
}

Ptr<Socket>
QemuIpv4::CreateRawSocket()
{
    Refuse("a raw socket");
}

void
QemuIpv4::DeleteRawSocket(Ptr<Socket>)
{
    Refuse("a raw socket");
}

Ptr<IpL4Protocol>
QemuIpv4::GetProtocol(int) const
{
    return nullptr;
}

Ptr<IpL4Protocol>
QemuIpv4::GetProtocol(int, int32_t) const
{
    return nullptr;
}

/* ---- traces ---- */

bool
QemuIpv4::IsObserved() const
{
    return IsTraced();
}

Ptr<Packet>
QemuIpv4::ObserveSent(Ptr<NetDevice> device, Ptr<Packet> packet)
{
    const int32_t interface = m_interfaces.Find(device);
    return interface < 0 ? packet : TraceSent(this, static_cast<uint32_t>(interface), packet);
}

void
QemuIpv4::ObserveReceived(Ptr<NetDevice> device, Ptr<const Packet> packet)
{
    const int32_t interface = m_interfaces.Find(device);
    if (interface >= 0)
    {
        TraceReceived(this, static_cast<uint32_t>(interface), packet);
    }
}

} // namespace ns3
