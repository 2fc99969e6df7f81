/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-ipv6.h"

#include "guest-address.h"
#include "qemu-net-device.h"
#include "virtual-machine.h"

#include "ns3/ip-l4-protocol.h"
#include "ns3/log.h"
#include "ns3/mac48-address.h"
#include "ns3/node.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <stdexcept>
#include <string>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuIpv6");

NS_OBJECT_ENSURE_REGISTERED(QemuIpv6);

namespace
{

constexpr uint16_t MTU_MIN = 1280; // RFC 8200

/* A route to the network comes with the address only where it is on the link. */
uint8_t
GetPrefix(const Ipv6InterfaceAddress& address)
{
    return address.GetOnLink() ? address.GetPrefix().GetPrefixLength() : 128;
}

/* Duplicates are not looked for. */
Ipv6InterfaceAddress
MakePreferred(Ipv6InterfaceAddress address)
{
    address.SetState(Ipv6InterfaceAddress::PREFERRED);
    return address;
}

/* The link-local address that ns-3 and the guest's kernel make of a MAC address. */
Ipv6Address
MakeLinkLocal(Ptr<const NetDevice> device)
{
    return Ipv6Address::MakeAutoconfiguredLinkLocalAddress(
        Mac48Address::ConvertFrom(device->GetAddress()));
}

} // namespace

TypeId
QemuIpv6::GetTypeId()
{
    static TypeId tid = []() {
        /* Sources of the names that those of the last parent have: so that comes after them. */
        auto type = TypeId("ns3::QemuIpv6").SetParent<Ipv6>().SetGroupName("Qemu");
        return AddTraceSources(type).SetParent<Ipv6L3Protocol>().AddConstructor<QemuIpv6>();
    }();
    return tid;
}

QemuIpv6::QemuIpv6()
    : m_routes(m_interfaces)
{
    NS_LOG_FUNCTION(this);
}

QemuIpv6::~QemuIpv6()
{
    NS_LOG_FUNCTION(this);
}

void
QemuIpv6::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_node = nullptr;
    if (m_machine)
    {
        m_machine->RemoveStack(RELAY_INET6);
    }
    m_machine = nullptr;
    m_interfaces.Clear();
    m_routes.SetProtocol(nullptr);
    m_routing = nullptr;
    Ipv6L3Protocol::DoDispose();
}

void
QemuIpv6::NotifyNewAggregate()
{
    NS_LOG_FUNCTION(this);
    if (!m_node)
    {
        m_node = GetObject<Node>();
        if (m_node)
        {
            const uint32_t index = m_interfaces.Add(VirtualMachine::GetLoopback(m_node), m_forward);
            m_interfaces.At(index).addresses.emplace_back(Ipv6Address::GetLoopback(),
                                                          Ipv6Prefix(128));
            m_interfaces.At(index).up = true;
        }
    }
    m_machine = PeekPointer(GetObject<VirtualMachine>());
    if (m_machine)
    {
        m_machine->AddStack(RELAY_INET6, this);
    }
    Ipv6::NotifyNewAggregate();
}

bool
QemuIpv6::IsRunning() const
{
    return m_machine && m_machine->IsRunning();
}

void
QemuIpv6::Refuse(const std::string& what) const
{
    throw std::logic_error((m_machine ? "VM '" + m_machine->GetName() + "': " : std::string()) +
                           what + " is the guest's own kernel's, not ns-3's");
}

/* ---- routing protocols ---- */

void
QemuIpv6::SetRoutingProtocol(Ptr<Ipv6RoutingProtocol> routingProtocol)
{
    NS_LOG_FUNCTION(this << routingProtocol);
    m_routes.SetProtocol(routingProtocol);
    m_routing = routingProtocol;
    m_routing->SetIpv6(this);
}

Ptr<Ipv6RoutingProtocol>
QemuIpv6::GetRoutingProtocol() const
{
    return m_routing;
}

/* ---- interfaces ---- */

uint32_t
QemuIpv6::AddInterface(Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << device);
    m_machine->CheckDevice(device);
    const int32_t known = m_interfaces.Find(device);
    return known >= 0 ? static_cast<uint32_t>(known) : m_interfaces.Add(device, m_forward);
}

uint32_t
QemuIpv6::GetOrAddInterface(Ptr<NetDevice> device)
{
    const uint32_t interface = AddInterface(device);
    if (!m_interfaces.At(interface).up)
    {
        SetUp(interface);
    }
    return interface;
}

uint32_t
QemuIpv6::GetNInterfaces() const
{
    return m_interfaces.GetN();
}

int32_t
QemuIpv6::GetInterfaceForAddress(Ipv6Address address) const
{
    return m_interfaces.FindAddress(
        [&](const Ipv6InterfaceAddress& own) { return own.GetAddress() == address; });
}

int32_t
QemuIpv6::GetInterfaceForPrefix(Ipv6Address address, Ipv6Prefix prefix) const
{
    return m_interfaces.FindAddress([&](const Ipv6InterfaceAddress& own) {
        return own.GetAddress().CombinePrefix(prefix) == address.CombinePrefix(prefix);
    });
}

int32_t
QemuIpv6::GetInterfaceForDevice(Ptr<const NetDevice> device) const
{
    return m_interfaces.Find(device);
}

Ptr<NetDevice>
QemuIpv6::GetNetDevice(uint32_t interface)
{
    return m_interfaces.At(interface).device;
}

void
QemuIpv6::SetMetric(uint32_t interface, uint16_t metric)
{
    NS_LOG_FUNCTION(this << interface << metric);
    m_interfaces.At(interface).metric = metric;
}

uint16_t
QemuIpv6::GetMetric(uint32_t interface) const
{
    return m_interfaces.At(interface).metric;
}

uint16_t
QemuIpv6::GetMtu(uint32_t interface) const
{
    return m_interfaces.At(interface).device->GetMtu();
}

bool
QemuIpv6::IsUp(uint32_t interface) const
{
    return m_interfaces.At(interface).up;
}

void
QemuIpv6::SetUp(uint32_t interface)
{
    NS_LOG_FUNCTION(this << interface);
    const auto& its = m_interfaces.At(interface);
    if (its.device->GetMtu() < MTU_MIN)
    {
        NS_LOG_WARN("The MTU of interface " << interface << " is too small for IPv6");
        return;
    }
    auto changed = its;
    if (!its.up && interface > 0)
    {
        AddLinkLocal(changed);
    }
    changed.up = true;
    changed.heldDown = false;
    Apply(interface, changed);
    if (m_routing)
    {
        m_routing->NotifyInterfaceUp(interface);
    }
}

void
QemuIpv6::SetDown(uint32_t interface)
{
    NS_LOG_FUNCTION(this << interface);
    auto changed = m_interfaces.At(interface);
    changed.up = false;
    changed.heldDown = true;
    changed.addresses.clear(); // as in ns-3, and as a kernel does it
    Apply(interface, changed);
    if (m_routing)
    {
        m_routing->NotifyInterfaceDown(interface);
    }
}

void
QemuIpv6::Apply(uint32_t interface, const Interface& changed)
{
    m_interfaces.Change(interface, changed, [&]() {
        if (m_machine)
        {
            m_machine->UpdateNic(changed.device);
        }
    });
}

bool
QemuIpv6::WantsUp(Ptr<NetDevice> device) const
{
    return m_interfaces.WantsUp(device);
}

void
QemuIpv6::NotifyNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device, bool up)
{
    /* Its addresses have gone, and its routes with them. */
    m_routes.Forget(m_machine->GetNic(device)->GetNicIndex());
    const int32_t interface = m_interfaces.Find(device);
    if (!up || interface < 0)
    {
        return;
    }
    for (const auto& address : GetCarried(static_cast<uint32_t>(interface)))
    {
        try
        {
            CarryAddress(relay, static_cast<uint32_t>(interface), address);
        }
        catch (const ns3qemu::GuestError& error)
        {
            /* A kernel may have kept it while the NIC was down. */
            if (error.GetErrno() != EEXIST)
            {
                throw;
            }
        }
    }
}

void
QemuIpv6::AddLinkLocal(Interface& interface) const
{
    const auto address = MakeLinkLocal(interface.device);
    const auto& addresses = interface.addresses;
    if (std::none_of(addresses.begin(), addresses.end(), [&](const Ipv6InterfaceAddress& own) {
            return own.GetAddress() == address;
        }))
    {
        interface.addresses.insert(addresses.begin(), MakePreferred({address, Ipv6Prefix(64)}));
    }
}

/* ---- forwarding ---- */

bool
QemuIpv6::IsForwarding(uint32_t interface) const
{
    return m_interfaces.At(interface).forwarding;
}

void
QemuIpv6::SetForwarding(uint32_t interface, bool val)
{
    NS_LOG_FUNCTION(this << interface << val);
    auto changed = m_interfaces.At(interface);
    changed.forwarding = val;
    m_interfaces.Change(interface, changed, [&]() {
        if (IsRunning() && interface > 0)
        {
            m_machine->Request([&](ns3qemu::RelayClient& relay) {
                if (!val && !IsAnyForwarding())
                {
                    relay.SetSysctl("net/ipv6/conf/all/forwarding", "0");
                }
                CarryForwarding(relay);
            });
        }
    });
}

bool
QemuIpv6::IsAnyForwarding() const
{
    return std::any_of(m_interfaces.begin() + 1, m_interfaces.end(), [](const auto& interface) {
        return interface.forwarding;
    });
}

void
QemuIpv6::CarryForwarding(ns3qemu::RelayClient& relay)
{
    NS_LOG_FUNCTION(this);
    if (!IsAnyForwarding())
    {
        return;
    }
    /* This sets it for each interface, too. There it says how the guest takes router
     * advertisements. */
    relay.SetSysctl("net/ipv6/conf/all/forwarding", "1");
    for (uint32_t i = 1; i < m_interfaces.GetN(); i++)
    {
        const auto& its = m_interfaces.At(i);
        if (!its.forwarding)
        {
            relay.SetSysctl("net/ipv6/conf/" + m_machine->GetInterfaceName(its.device) +
                                "/forwarding",
                            "0");
        }
    }
}

void
QemuIpv6::PrepareNic(ns3qemu::RelayClient& relay, Ptr<NetDevice> device)
{
    if (m_interfaces.Find(device) >= 0)
    {
        relay.SetSysctl("net/ipv6/conf/" + m_machine->GetInterfaceName(device) + "/accept_dad",
                        "0");
    }
}

void
QemuIpv6::SetIpForward(bool forward)
{
    NS_LOG_FUNCTION(this << forward);
    for (uint32_t i = 0; i < m_interfaces.GetN(); i++)
    {
        SetForwarding(i, forward);
    }
    m_forward = forward;
}

bool
QemuIpv6::GetIpForward() const
{
    return m_forward;
}

void
QemuIpv6::SetMtuDiscover(bool mtuDiscover)
{
    if (!mtuDiscover)
    {
        Refuse("the choice to do without path MTU discovery");
    }
}

bool
QemuIpv6::GetMtuDiscover() const
{
    return true;
}

void
QemuIpv6::ChooseStrongModel(bool strong)
{
    /* ns-3's default is true. A guest's kernel takes a packet for any of its addresses. */
    m_strong = strong;
}

bool
QemuIpv6::IsStrongModel() const
{
    return m_strong;
}

/* ---- addresses ---- */

bool
QemuIpv6::AddAddress(uint32_t interface, Ipv6InterfaceAddress address, bool addOnLinkRoute)
{
    NS_LOG_FUNCTION(this << interface << address << addOnLinkRoute);
    auto& its = m_interfaces.At(interface);
    const Ipv6Address own = address.GetAddress();
    if (own.IsAny() ||
        std::any_of(its.addresses.begin(),
                    its.addresses.end(),
                    [&](const Ipv6InterfaceAddress& other) { return other.GetAddress() == own; }))
    {
        return false;
    }
    address.SetOnLink(addOnLinkRoute);
    if (IsRunning() && interface > 0 && m_machine->IsNicUp(its.device))
    {
        m_machine->Request(
            [&](ns3qemu::RelayClient& relay) { CarryAddress(relay, interface, address); });
    }
    its.addresses.push_back(MakePreferred(address));
    if (m_routing)
    {
        m_routing->NotifyAddAddress(interface, address);
        if (addOnLinkRoute && address.GetPrefix() != Ipv6Prefix::GetZero())
        {
            m_routing->NotifyAddRoute(own.CombinePrefix(address.GetPrefix()),
                                      address.GetPrefix(),
                                      Ipv6Address::GetZero(),
                                      interface);
        }
    }
    m_routes.MarkStale();
    return true;
}

void
QemuIpv6::CarryAddresses(ns3qemu::RelayClient& relay)
{
    NS_LOG_FUNCTION(this);
    for (uint32_t i = 1; i < m_interfaces.GetN(); i++)
    {
        if (m_machine->IsNicUp(m_interfaces.At(i).device))
        {
            for (const auto& address : GetCarried(i))
            {
                CarryAddress(relay, i, address);
            }
        }
    }
}

/* An interface's addresses without that which the kernel makes itself. */
std::vector<Ipv6InterfaceAddress>
QemuIpv6::GetCarried(uint32_t interface) const
{
    const auto& its = m_interfaces.At(interface);
    const auto linkLocal = MakeLinkLocal(its.device);
    std::vector<Ipv6InterfaceAddress> carried;
    std::copy_if(its.addresses.begin(),
                 its.addresses.end(),
                 std::back_inserter(carried),
                 [&](const auto& own) { return own.GetAddress() != linkLocal; });
    return carried;
}

void
QemuIpv6::CarryAddress(ns3qemu::RelayClient& relay,
                       uint32_t interface,
                       const Ipv6InterfaceAddress& address)
{
    relay.AddAddress(m_machine->GetNic(m_interfaces.At(interface).device)->GetNicIndex(),
                     ToGuestAddress(address.GetAddress()),
                     GetPrefix(address));
}

uint32_t
QemuIpv6::GetNAddresses(uint32_t interface) const
{
    return static_cast<uint32_t>(m_interfaces.At(interface).addresses.size());
}

Ipv6InterfaceAddress
QemuIpv6::GetAddress(uint32_t interface, uint32_t addressIndex) const
{
    return m_interfaces.GetAddress(interface, addressIndex);
}

bool
QemuIpv6::RemoveAddress(uint32_t interface, uint32_t addressIndex)
{
    m_interfaces.GetAddress(interface, addressIndex); // there is one
    return Remove(interface, addressIndex);
}

bool
QemuIpv6::RemoveAddress(uint32_t interface, Ipv6Address address)
{
    const auto& addresses = m_interfaces.At(interface).addresses;
    const auto found =
        std::find_if(addresses.begin(), addresses.end(), [&](const Ipv6InterfaceAddress& own) {
            return own.GetAddress() == address;
        });
    return found != addresses.end() &&
           Remove(interface, static_cast<size_t>(found - addresses.begin()));
}

bool
QemuIpv6::Remove(uint32_t interface, size_t index)
{
    NS_LOG_FUNCTION(this << interface << index);
    if (interface == 0)
    {
        NS_LOG_WARN("The loopback interface keeps its address");
        return false;
    }
    auto& its = m_interfaces.At(interface);
    const Ipv6InterfaceAddress address = its.addresses[index];
    if (IsRunning() && m_machine->IsNicUp(its.device))
    {
        const uint32_t nic = m_machine->GetNic(its.device)->GetNicIndex();
        m_machine->Request([&](ns3qemu::RelayClient& relay) {
            relay.DeleteAddress(nic, ToGuestAddress(address.GetAddress()), GetPrefix(address));
        });
        m_routes.Forget(nic); // with an address go routes
    }
    its.addresses.erase(its.addresses.begin() + static_cast<ptrdiff_t>(index));
    if (m_routing)
    {
        m_routing->NotifyRemoveAddress(interface, address);
    }
    m_routes.MarkStale();
    return true;
}

Ipv6Address
QemuIpv6::SourceAddressSelection(uint32_t interface, Ipv6Address dest)
{
    /* One of the destination's scope, of its network if there is one. */
    const bool linkLocal = dest.IsLinkLocal() || dest.IsLinkLocalMulticast();
    Ipv6Address found;
    for (const auto& address : m_interfaces.At(interface).addresses)
    {
        if ((address.GetScope() == Ipv6InterfaceAddress::LINKLOCAL) != linkLocal)
        {
            continue;
        }
        if (address.IsInSameSubnet(dest))
        {
            return address.GetAddress();
        }
        if (found == Ipv6Address())
        {
            found = address.GetAddress();
        }
    }
    return found;
}

/* ---- what a script says to the machine ---- */

void
QemuIpv6::AddGuestAddress(Ptr<NetDevice> device,
                          const ns3qemu::GuestAddress& address,
                          uint8_t prefix)
{
    AddAddress(
        GetOrAddInterface(device),
        Ipv6InterfaceAddress(Ipv6Address::Deserialize(address.bytes.data()), Ipv6Prefix(prefix)));
}

bool
QemuIpv6::DeleteGuestAddress(Ptr<NetDevice> device, const ns3qemu::GuestAddress& address)
{
    const int32_t interface = m_interfaces.Find(device);
    return interface >= 0 && RemoveAddress(static_cast<uint32_t>(interface),
                                           Ipv6Address::Deserialize(address.bytes.data()));
}

void
QemuIpv6::AddGuestRoute(Ptr<NetDevice> device,
                        const ns3qemu::GuestAddress& destination,
                        uint8_t prefix,
                        const ns3qemu::GuestAddress& gateway,
                        uint32_t initialWindow)
{
    NS_LOG_FUNCTION(this << device << initialWindow);
    m_routes.Add(*m_machine,
                 Ipv6Address::Deserialize(destination.bytes.data()),
                 Ipv6Prefix(prefix),
                 Ipv6Address::Deserialize(gateway.bytes.data()),
                 GetOrAddInterface(device),
                 initialWindow);
}

bool
QemuIpv6::DeleteGuestRoute(Ptr<NetDevice> device,
                           const ns3qemu::GuestAddress& destination,
                           uint8_t prefix,
                           const ns3qemu::GuestAddress& gateway)
{
    NS_LOG_FUNCTION(this << device);
    const int32_t interface = m_interfaces.Find(device);
    return interface >= 0 && m_routes.Delete(*m_machine,
                                             Ipv6Address::Deserialize(destination.bytes.data()),
                                             Ipv6Prefix(prefix),
                                             Ipv6Address::Deserialize(gateway.bytes.data()),
                                             static_cast<uint32_t>(interface));
}

/* ---- routes ---- */

bool
QemuIpv6::CompareRoutes()
{
    return m_routes.Compare();
}

void
QemuIpv6::CarryRoutes(ns3qemu::RelayClient& relay)
{
    m_routes.Carry(relay, *m_machine);
}

/* ---- what a guest's kernel has itself ---- */

void
QemuIpv6::Send(Ptr<Packet>, Ipv6Address, Ipv6Address, uint8_t, Ptr<Ipv6Route>)
{
    Refuse("sending packets");
}

void
QemuIpv6::Insert(Ptr<IpL4Protocol>)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv6::Insert(Ptr<IpL4Protocol>, uint32_t)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv6::Remove(Ptr<IpL4Protocol>)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv6::Remove(Ptr<IpL4Protocol>, uint32_t)
{
    Refuse("the choice of transport protocols");
}

void
QemuIpv6::SetPmtu(Ipv6Address, uint32_t)
{
    Refuse("what is known of a path's MTU");
}

void
QemuIpv6::RegisterExtensions()
{
}

void
QemuIpv6::RegisterOptions()
{
}

Ptr<IpL4Protocol>
QemuIpv6::GetProtocol(int) const
{
    return nullptr;
}

Ptr<IpL4Protocol>
QemuIpv6::GetProtocol(int, int32_t) const
{
    return nullptr;
}

/* ---- for who follows packets ---- */

bool
QemuIpv6::IsObserved() const
{
    return IsTraced();
}

Ptr<Packet>
QemuIpv6::ObserveSent(Ptr<NetDevice> device, Ptr<Packet> packet)
{
    const int32_t interface = m_interfaces.Find(device);
    return interface < 0 ? packet : TraceSent(this, static_cast<uint32_t>(interface), packet);
}

void
QemuIpv6::ObserveReceived(Ptr<NetDevice> device, Ptr<const Packet> packet)
{
    const int32_t interface = m_interfaces.Find(device);
    if (interface >= 0)
    {
        TraceReceived(this, static_cast<uint32_t>(interface), packet);
    }
}

} // namespace ns3
