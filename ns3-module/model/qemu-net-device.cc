/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-net-device.h"

#include "device-credit.h"
#include "distributed-run.h"
#include "ethernet-frame.h"
#include "guest-stack.h"
#include "link-look-ahead.h"
#include "parallel-turns.h"
#include "unsent-frames.h"
#include "virtual-machine.h"

#include "ns3/boolean.h"
#include "ns3/channel.h"
#include "ns3/data-rate.h"
#include "ns3/log.h"
#include "ns3/mac48-address.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/uinteger.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuNetDevice");

NS_OBJECT_ENSURE_REGISTERED(QemuNetDevice);

namespace
{

constexpr uint32_t ETHERNET_MTU = 1500; // that every NIC can do

} // namespace

TypeId
QemuNetDevice::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::QemuNetDevice")
            .SetParent<NetDevice>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuNetDevice>()
            .AddAttribute("Promiscuous",
                          "Whether the guest gets all frames, whatever its driver has asked the "
                          "NIC for. The NIC may drop them.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuNetDevice::m_promiscuous),
                          MakeBooleanChecker())
            .AddAttribute("BackPressure",
                          "Whether frames stay in the guest's transmit ring, and then in its "
                          "queueing discipline, while the joined device's queue is full. Without "
                          "it they go straight into that queue, which drops what it cannot hold.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuNetDevice::SetBackPressure,
                                              &QemuNetDevice::HasBackPressure),
                          MakeBooleanChecker())
            .AddAttribute("TxRing",
                          "Descriptors of the guest's transmit ring: a power of two. Linux stops "
                          "its queue while fewer than 19 are free. Fixed once the machine has been "
                          "started.",
                          UintegerValue(256),
                          MakeUintegerAccessor(&QemuNetDevice::m_txRing),
                          MakeUintegerChecker<uint32_t>(32, 256))
            .AddAttribute("RxRing",
                          "Descriptors of the guest's receive ring: a power of two. With CpuRate "
                          "a frame that finds it full is lost (PhyRxDrop). Fixed once the machine "
                          "has been started.",
                          UintegerValue(256),
                          MakeUintegerAccessor(&QemuNetDevice::m_rxRing),
                          MakeUintegerChecker<uint32_t>(32, 1024))
            .AddAttribute("Offloads",
                          "Whether the NIC segments what the guest's TCP gives it whole (TSO), and "
                          "tells the guest which checksums are right, so that it does less for "
                          "each frame. Frames on the link are the same. Fixed once the machine "
                          "has been started.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuNetDevice::m_offloads),
                          MakeBooleanChecker())
            .AddAttribute("RxUsecs",
                          "How many microseconds after a frame has come the NIC interrupts the "
                          "guest, for that and those that have come since, as rx-usecs of ethtool "
                          "-C. 0: at once. Fixed once the machine has been started.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuNetDevice::m_rxUsecs),
                          MakeUintegerChecker<uint32_t>(0, 1'000'000))
            .AddAttribute("RxFrames",
                          "With RxUsecs, how many frames the NIC does not let wait, as rx-frames "
                          "of ethtool -C. 0: any number. Fixed once the machine has been started.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuNetDevice::m_rxFrames),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute(
                "Connected",
                "Whether the NIC is connected to the joined device. While it is not, or "
                "while that device's link is down, the guest's interface has no carrier "
                "and frames are dropped in both directions.",
                BooleanValue(true),
                MakeBooleanAccessor(&QemuNetDevice::SetConnected, &QemuNetDevice::IsConnected),
                MakeBooleanChecker())
            .AddAttribute("EthernetFrames",
                          "Whether a point-to-point device carries Ethernet frames whole (ARP, "
                          "VLAN tags, LLDP, IEEE 802.3) instead of IPv4 and IPv6 in PPP. Both ends "
                          "of the link must be machines that do. Fixed once the machine has been "
                          "started. Other devices carry them anyhow.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuNetDevice::SetEthernetFrames,
                                              &QemuNetDevice::HasEthernetFrames),
                          MakeBooleanChecker())
            .AddTraceSource("MacTx",
                            "The guest has sent a frame.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_macTxTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource(
                "MacTxDrop",
                "A frame that the guest has sent is dropped: it is malformed, cannot be "
                "framed for this link, or the joined device refuses it.",
                MakeTraceSourceAccessor(&QemuNetDevice::m_macTxDropTrace),
                "ns3::Packet::TracedCallback")
            .AddTraceSource("MacRx",
                            "A frame is given to the guest.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_macRxTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("MacRxDrop",
                            "A frame for the guest is dropped: its machine does not run, or its "
                            "interface has no carrier.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_macRxDropTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("PhyRxDrop",
                            "A frame for the guest is lost: its receive ring is full, since its "
                            "CPU has not kept up. With CpuRate only.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_phyRxDropTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("Sniffer",
                            "What a packet sniffer in the guest would see.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_snifferTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("PromiscSniffer",
                            "What a promiscuous packet sniffer in the guest would see.",
                            MakeTraceSourceAccessor(&QemuNetDevice::m_promiscSnifferTrace),
                            "ns3::Packet::TracedCallback");
    return tid;
}

QemuNetDevice::QemuNetDevice()
    : m_unsent(std::make_unique<UnsentFrames>())
{
    NS_LOG_FUNCTION(this);
}

QemuNetDevice::~QemuNetDevice()
{
    NS_LOG_FUNCTION(this);
}

void
QemuNetDevice::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_node = nullptr;
    m_linkChange.Cancel();
    m_device = nullptr;
    m_rateOwner = nullptr;
    m_machine = nullptr;
    m_credit.reset();
    m_lookAhead.reset();
    NetDevice::DoDispose();
}

void
QemuNetDevice::Join(Ptr<VirtualMachine> machine, uint32_t nic, Ptr<NetDevice> device)
{
    NS_LOG_FUNCTION(this << machine << nic << device);
    if (!Mac48Address::IsMatchingType(device->GetAddress()))
    {
        throw std::invalid_argument("a VM's NIC needs a device with a 48-bit MAC address, which " +
                                    device->GetInstanceTypeId().GetName() + " has not");
    }
    m_machine = PeekPointer(machine);
    m_nic = nic;
    m_device = device;
    /* Promiscuous, because only then the callback learns the real destination and packet type. */
    device->GetNode()->RegisterProtocolHandler(
        MakeCallback(&QemuNetDevice::ReceiveFromDevice, this),
        0,
        device,
        true);
    /* CSMA takes LLC headers off; the frame as it was is traced right before. */
    m_ethernet =
        device->GetInstanceTypeId().GetName() == "ns3::CsmaNetDevice" &&
        device->TraceConnectWithoutContext("MacPromiscRx",
                                           MakeCallback(&QemuNetDevice::OnWholeFrame, this));
    device->AddLinkChangeCallback(
        MakeCallback(&QemuNetDevice::OnLinkChange, Ptr<QemuNetDevice>(this)));
    SetBackPressure(m_backPressure);
}

uint32_t
QemuNetDevice::GetNicIndex() const
{
    return m_nic;
}

Ptr<NetDevice>
QemuNetDevice::GetJoinedDevice() const
{
    return m_device;
}

ns3qemu::VmNic
QemuNetDevice::DescribeNic()
{
    for (const auto& [name, ring] : {std::pair{"TxRing", m_txRing}, std::pair{"RxRing", m_rxRing}})
    {
        if ((ring & (ring - 1)) != 0)
        {
            throw std::invalid_argument(std::string("the attribute ") + name +
                                        " must be a power of two, which " + std::to_string(ring) +
                                        " is not");
        }
    }
    FindRate();
    CheckRanks();
    CheckPeer();
    const uint32_t mtu = m_device->GetMtu();
    m_mtuLimit = std::max(mtu, ETHERNET_MTU);
    std::ostringstream address;
    address << Mac48Address::ConvertFrom(m_device->GetAddress());
    ns3qemu::VmNic nic;
    nic.address = address.str();
    nic.mtu = mtu;
    nic.txRing = m_txRing;
    nic.rxRing = m_rxRing;
    nic.offloads = m_offloads;
    nic.rxUsecs = m_rxUsecs;
    nic.rxFrames = m_rxFrames;
    return nic;
}

/* ---- links between ranks ---- */

bool
QemuNetDevice::IsRemote() const
{
    const auto channel = m_device->GetChannel();
    return channel && DistributedRun::IsBetweenRanks(channel);
}

/* On any other link, a node of another rank would hear nothing of what is sent here. */
void
QemuNetDevice::CheckRanks() const
{
    const auto channel = m_device->GetChannel();
    for (size_t i = 0; channel && !IsRemote() && i < channel->GetNDevices(); i++)
    {
        const auto peer = channel->GetDevice(i);
        if (peer && peer->GetNode() && DistributedRun::IsElsewhere(peer->GetNode()))
        {
            throw ns3qemu::VmError(
                "VM '" + m_machine->GetName() + "', NIC " + std::to_string(m_nic) + ": " +
                DistributedRun::Describe(peer->GetNode()) +
                ", and both are on one link. Ranks are joined by point-to-point links alone, which "
                "PointToPointHelper makes between nodes that have their system ids already, after "
                "MpiInterface::Enable. This one is a " +
                channel->GetInstanceTypeId().GetName());
        }
    }
}

/* ---- Ethernet over point-to-point links ---- */

void
QemuNetDevice::SetEthernetFrames(bool ethernetFrames)
{
    NS_LOG_FUNCTION(this << ethernetFrames);
    if (m_mtuLimit != 0 && ethernetFrames != m_ethernetFrames)
    {
        throw std::logic_error("what a NIC's link carries (EthernetFrames) cannot be changed once "
                               "its machine has been started");
    }
    m_ethernetFrames = ethernetFrames;
}

bool
QemuNetDevice::HasEthernetFrames() const
{
    return m_ethernetFrames;
}

bool
QemuNetDevice::IsEthernetOverPpp() const
{
    return m_ethernetFrames && m_device->IsPointToPoint();
}

/* Only a machine's NIC makes an Ethernet frame of what another has made. */
void
QemuNetDevice::CheckPeer() const
{
    const auto channel = m_device->GetChannel();
    for (size_t i = 0; IsEthernetOverPpp() && channel && i < channel->GetNDevices(); i++)
    {
        const auto peer = channel->GetDevice(i);
        const auto machine = VirtualMachine::Of(peer->GetNode());
        const auto nic = machine && peer != m_device ? machine->GetNic(peer) : nullptr;
        if (peer != m_device && !(nic && nic->m_ethernetFrames))
        {
            throw std::invalid_argument(
                "VM '" + m_machine->GetName() + "', NIC " + std::to_string(m_nic) +
                ": its point-to-point link is to carry Ethernet frames (EthernetFrames), but "
                "node " +
                std::to_string(peer->GetNode()->GetId()) + " at the other end " +
                (nic ? "has a NIC without that attribute: set it there, too"
                     : "has no virtual machine: use a CSMA link, or leave the attribute"));
        }
    }
}

void
QemuNetDevice::FindRate()
{
    for (const Ptr<Object>& owner : {Ptr<Object>(m_device), Ptr<Object>(m_device->GetChannel())})
    {
        TypeId::AttributeInformation info;
        if (owner && owner->GetInstanceTypeId().LookupAttributeByName("DataRate", &info))
        {
            m_rateOwner = owner;
            m_rate = info.accessor;
            return;
        }
    }
}

uint32_t
QemuNetDevice::GetSpeed() const
{
    DataRateValue rate;
    if (!m_rateOwner || !m_rate->Get(PeekPointer(m_rateOwner), rate))
    {
        return 0;
    }
    constexpr uint64_t mbps = 1'000'000;
    const uint64_t speed = (rate.Get().GetBitRate() + mbps - 1) / mbps;
    return static_cast<uint32_t>(std::min<uint64_t>(speed, INT32_MAX));
}

/* ---- back-pressure ---- */

void
QemuNetDevice::SetBackPressure(bool backPressure)
{
    NS_LOG_FUNCTION(this << backPressure);
    if (backPressure && m_device && !m_credit)
    {
        m_credit =
            std::make_unique<DeviceCredit>(m_device, MakeCallback(&QemuNetDevice::OnCredit, this));
    }
    m_backPressure = backPressure;
    OnCredit();
}

bool
QemuNetDevice::HasBackPressure() const
{
    return m_backPressure;
}

uint32_t
QemuNetDevice::GetCredit() const
{
    return m_backPressure && m_credit ? m_credit->Get() : SIM_LINK_CREDIT_UNLIMITED;
}

void
QemuNetDevice::OnCredit()
{
    if (m_machine)
    {
        m_machine->NotifyCredit();
    }
}

/* ---- look-ahead ---- */

void
QemuNetDevice::EnableLookAhead()
{
    if (!m_ethernetFrames && LinkLookAhead::IsPossible(m_device))
    {
        m_lookAhead = std::make_unique<LinkLookAhead>(m_device, [this]() {
            ParallelTurns::Schedule(m_machine);
        });
    }
}

LinkLookAhead*
QemuNetDevice::GetLookAhead() const
{
    return m_lookAhead.get();
}

/* ---- the link's state ---- */

void
QemuNetDevice::SetConnected(bool connected)
{
    NS_LOG_FUNCTION(this << connected);
    m_connected = connected;
    OnLinkChange();
}

bool
QemuNetDevice::IsConnected() const
{
    return m_connected;
}

bool
QemuNetDevice::HasCarrier() const
{
    return m_connected && m_device && m_device->IsLinkUp();
}

bool
QemuNetDevice::TakeCarrierChange()
{
    const bool before = m_carrier;
    m_carrier = HasCarrier();
    return m_carrier != before;
}

void
QemuNetDevice::OnLinkChange()
{
    NS_LOG_FUNCTION(this);
    /* Not at once: the device is in the midst of something, or the machine in its turn. */
    if (m_machine && m_linkChange.IsExpired())
    {
        m_linkChange = Simulator::ScheduleNow(&QemuNetDevice::ApplyLink, this);
    }
}

void
QemuNetDevice::ApplyLink()
{
    NS_LOG_FUNCTION(this);
    if (m_machine->IsRunning() && TakeCarrierChange())
    {
        m_machine->SetCarrier(m_nic, m_carrier);
    }
}

/* ---- frames ---- */

void
QemuNetDevice::SetFilter(const ns3qemu::NicFilter& filter)
{
    m_filter = filter;
}

const std::map<std::string, uint64_t>&
QemuNetDevice::GetUnsent() const
{
    return m_unsent->Get();
}

void
QemuNetDevice::NoteUnsent(const std::string& reason, const std::string& advice)
{
    m_unsent->Add("VM '" + (m_machine ? m_machine->GetName() : "") + "', NIC " +
                      std::to_string(m_nic),
                  reason,
                  advice);
}

/* Whether this link can carry the frame; if not, it is told. */
bool
QemuNetDevice::CheckFraming(const uint8_t* frame, size_t length)
{
    const size_t payload = length - ETHERNET_HEADER;
    if (payload > m_device->GetMtu() + GetVlanTagLength(frame, length))
    {
        NoteUnsent("it is longer than the MTU of " + std::to_string(m_device->GetMtu()) +
                       " bytes allows",
                   "The MTU of a guest's interface should be that of its device.");
        return false;
    }
    const auto protocol = static_cast<uint16_t>(frame[12] << 8 | frame[13]);
    if (IsEthernetOverPpp())
    {
        return true;
    }
    if (m_device->IsPointToPoint())
    {
        if (protocol == ETHERTYPE_IPV4 || protocol == ETHERTYPE_IPV6)
        {
            return true;
        }
        char type[8];
        std::snprintf(type, sizeof(type), "0x%04x", protocol);
        NoteUnsent(protocol < ETHERTYPE_MIN
                       ? std::string("a frame of IEEE 802.3 is none for PPP")
                       : std::string("the EtherType ") + type + " is none for PPP",
                   "ns-3's point-to-point links carry IPv4 and IPv6 only: for ARP, VLANs, bridges, "
                   "LLDP and the like use a CSMA link, or set the attribute EthernetFrames of the "
                   "NICs at both ends.");
        return false;
    }
    /* ns-3's CSMA relies on both. */
    constexpr size_t llc = 8;
    if (m_ethernet && protocol < ETHERTYPE_MIN && (protocol < llc || protocol > payload))
    {
        NoteUnsent("a frame of IEEE 802.3 with a length of " + std::to_string(protocol) +
                       " is none for CSMA",
                   "ns-3's CSMA carries those of 8 bytes to the length of the frame.");
        return false;
    }
    return true;
}

bool
QemuNetDevice::SendToLink(const uint8_t* frame, size_t length)
{
    if (length < ETHERNET_HEADER)
    {
        NoteUnsent("a frame of " + std::to_string(length) + " bytes has no Ethernet header",
                   "A real NIC sends none, either.");
        return false;
    }
    if (!m_connected || !CheckFraming(frame, length))
    {
        return false;
    }
    Mac48Address destination;
    Mac48Address source;
    destination.CopyFrom(frame);
    source.CopyFrom(frame + 6);
    const auto protocol = static_cast<uint16_t>(frame[12] << 8 | frame[13]);
    auto packet =
        Create<Packet>(frame + ETHERNET_HEADER, static_cast<uint32_t>(length - ETHERNET_HEADER));
    if (auto* stack = m_machine ? m_machine->FindObserved(protocol) : nullptr)
    {
        packet = stack->ObserveSent(m_device, packet);
    }
    if (IsEthernetOverPpp())
    {
        const uint16_t number = EthernetFrameTag::Wrap(packet, frame);
        return m_device->Send(packet, destination, number);
    }
    return m_device->SupportsSendFrom() ? m_device->SendFrom(packet, source, destination, protocol)
                                        : m_device->Send(packet, destination, protocol);
}

void
QemuNetDevice::TransmitFromGuest(const uint8_t* frame, size_t length)
{
    NS_LOG_FUNCTION(this << length);
    const bool traced = !m_macTxTrace.IsEmpty() || !m_macTxDropTrace.IsEmpty() ||
                        !m_snifferTrace.IsEmpty() || !m_promiscSnifferTrace.IsEmpty();
    const Ptr<Packet> whole =
        traced ? Create<Packet>(frame, static_cast<uint32_t>(length)) : nullptr;
    if (traced)
    {
        m_macTxTrace(whole);
        m_promiscSnifferTrace(whole);
        m_snifferTrace(whole);
    }
    const bool sent = SendToLink(frame, length);
    if (!sent && traced)
    {
        m_macTxDropTrace(whole);
    }
}

void
QemuNetDevice::TellRefused(const uint8_t* data, size_t length)
{
    NS_LOG_FUNCTION(this << length);
    NoteUnsent("its NIC cannot segment it, or its checksum is to be outside of it",
               "No driver of Linux's gives its NIC such a thing.");
    m_macTxDropTrace(Create<Packet>(data, static_cast<uint32_t>(length)));
}

void
QemuNetDevice::OnWholeFrame(Ptr<const Packet> frame)
{
    /* What CSMA puts in front of a packet itself, if it is told to: RFC 1042. */
    constexpr uint8_t snap[] = {0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00};
    uint8_t bytes[ETHERNET_HEADER + sizeof(snap)] = {};
    frame->CopyData(bytes, sizeof(bytes));
    const auto field = static_cast<uint16_t>(bytes[12] << 8 | bytes[13]);
    const bool own = std::equal(std::begin(snap), std::end(snap), bytes + ETHERNET_HEADER);
    m_whole = field < ETHERTYPE_MIN && !own ? frame : nullptr;
}

Mac48Address
QemuNetDevice::GetGuestAddress() const
{
    if (!m_filter.GetOwn())
    {
        return Mac48Address::ConvertFrom(m_device->GetAddress());
    }
    Mac48Address address;
    address.CopyFrom(m_filter.GetOwn()->data());
    return address;
}

/* Whether the guest's driver wants such frames. */
bool
QemuNetDevice::IsAskedFor(Mac48Address destination, NetDevice::PacketType type) const
{
    uint8_t bytes[6];
    destination.CopyTo(bytes);
    return type == NetDevice::PACKET_HOST || m_filter.Takes(bytes);
}

void
QemuNetDevice::ReceiveFromDevice(Ptr<NetDevice> device,
                                 Ptr<const Packet> packet,
                                 uint16_t protocol,
                                 const Address& from,
                                 const Address& to,
                                 NetDevice::PacketType type)
{
    NS_LOG_FUNCTION(this << device << packet << protocol << from << to << type);
    if (m_lookAhead)
    {
        m_lookAhead->Arrived();
    }
    if (IsEthernetOverPpp())
    {
        ReceiveWrapped(packet);
        return;
    }
    /* A link without addresses is between the two that are on it. */
    const auto destination =
        m_device->IsPointToPoint() ? GetGuestAddress() : Mac48Address::ConvertFrom(to);
    ReceiveFrame(packet, protocol, Mac48Address::ConvertFrom(from), destination, type);
}

void
QemuNetDevice::ReceiveWrapped(Ptr<const Packet> packet)
{
    const auto payload = packet->Copy();
    uint8_t header[ETHERNET_HEADER];
    if (!EthernetFrameTag::Unwrap(payload, header))
    {
        NS_LOG_WARN("Not from a NIC that sends Ethernet frames");
        return;
    }
    Mac48Address destination;
    Mac48Address source;
    destination.CopyFrom(header);
    source.CopyFrom(header + 6);
    const bool own = destination == GetGuestAddress();
    ReceiveFrame(payload,
                 static_cast<uint16_t>(header[12] << 8 | header[13]),
                 source,
                 destination,
                 own ? NetDevice::PACKET_HOST : NetDevice::PACKET_OTHERHOST);
}

void
QemuNetDevice::ReceiveFrame(Ptr<const Packet> packet,
                            uint16_t protocol,
                            Mac48Address source,
                            Mac48Address destination,
                            NetDevice::PacketType type)
{
    const bool asked = IsAskedFor(destination, type);
    const bool wanted = asked || m_promiscuous;
    const auto whole8023 = std::exchange(m_whole, nullptr);
    if (!wanted && m_promiscSnifferTrace.IsEmpty())
    {
        return;
    }
    auto& frame = m_frame;
    if (whole8023)
    {
        /* Without padding and FCS: as long as it says. */
        frame.resize(whole8023->GetSize());
        whole8023->CopyData(frame.data(), whole8023->GetSize());
        const size_t length = ETHERNET_HEADER + (frame[12] << 8 | frame[13]);
        frame.resize(std::min(length, frame.size()));
    }
    else
    {
        MakeEthernetFrame(frame, destination, source, protocol, packet);
    }

    /* A driver has buffers for one tag beside an MTU of up to 1500 (virtio_net: GOOD_PACKET_LEN),
     * and the NIC drops what is longer. */
    if (wanted && m_mtuLimit == ETHERNET_MTU &&
        frame.size() > ETHERNET_HEADER + VLAN_TAG + ETHERNET_MTU)
    {
        NoteUnsent("what it receives is longer than a driver's buffers",
                   "With an MTU of up to 1500 they take one VLAN tag beside it, not two: give the "
                   "device an MTU of 1504 before the simulation begins.");
        m_macRxDropTrace(Create<Packet>(frame.data(), static_cast<uint32_t>(frame.size())));
        return;
    }
    if (!wanted)
    {
        m_promiscSnifferTrace(Create<Packet>(frame.data(), static_cast<uint32_t>(frame.size())));
        return;
    }
    if (!m_machine || !m_machine->IsRunning() || !HasCarrier())
    {
        TraceReceived(m_macRxDropTrace, asked);
        return;
    }
    m_asked = asked;
    m_observed = whole8023 ? nullptr : packet;
    m_observedProtocol = protocol;
    if (!m_machine->IsTimed())
    {
        TellArrival(true);
    }
    m_machine->Receive(m_nic, frame.data(), frame.size());
}

/* The frame that is being received. */
void
QemuNetDevice::TraceReceived(const TracedCallback<Ptr<const Packet>>& trace, bool asked)
{
    if (trace.IsEmpty() && m_snifferTrace.IsEmpty() && m_promiscSnifferTrace.IsEmpty())
    {
        return;
    }
    const auto whole = Create<Packet>(m_frame.data(), static_cast<uint32_t>(m_frame.size()));
    trace(whole);
    m_promiscSnifferTrace(whole);
    if (asked)
    {
        m_snifferTrace(whole);
    }
}

void
QemuNetDevice::TellArrival(bool taken)
{
    NS_LOG_FUNCTION(this << taken);
    const auto observed = std::exchange(m_observed, nullptr);
    if (!taken)
    {
        m_rxMissed++;
        if (!m_phyRxDropTrace.IsEmpty())
        {
            m_phyRxDropTrace(Create<Packet>(m_frame.data(), static_cast<uint32_t>(m_frame.size())));
        }
        return;
    }
    TraceReceived(m_macRxTrace, m_asked);
    if (auto* stack = observed ? m_machine->FindObserved(m_observedProtocol) : nullptr)
    {
        stack->ObserveReceived(m_device, observed);
    }
}

uint64_t
QemuNetDevice::GetRxMissed() const
{
    return m_rxMissed;
}

void
QemuNetDevice::SetIfIndex(const uint32_t index)
{
    m_ifIndex = index;
}

uint32_t
QemuNetDevice::GetIfIndex() const
{
    return m_ifIndex;
}

Ptr<Channel>
QemuNetDevice::GetChannel() const
{
    return nullptr;
}

void
QemuNetDevice::SetAddress(Address address)
{
    NS_LOG_FUNCTION(this << address);
    if (m_mtuLimit != 0)
    {
        throw std::logic_error(
            "a NIC's address cannot be changed once its machine has been started");
    }
    m_device->SetAddress(address);
}

Address
QemuNetDevice::GetAddress() const
{
    return m_device->GetAddress();
}

bool
QemuNetDevice::SetMtu(const uint16_t mtu)
{
    NS_LOG_FUNCTION(this << mtu);
    const uint16_t before = m_device->GetMtu();
    if ((m_mtuLimit != 0 && mtu > m_mtuLimit) || !m_device->SetMtu(mtu))
    {
        return false;
    }
    if (m_machine && m_machine->IsRunning())
    {
        RelayLinkSet link{};
        link.nic = m_nic;
        link.set = RELAY_LINK_MTU;
        link.mtu = mtu;
        try
        {
            m_machine->Request([&link](ns3qemu::RelayClient& relay) { relay.SetLink(link); });
        }
        catch (...)
        {
            m_device->SetMtu(before);
            throw;
        }
    }
    return true;
}

uint16_t
QemuNetDevice::GetMtu() const
{
    return m_device->GetMtu();
}

bool
QemuNetDevice::IsLinkUp() const
{
    return m_device->IsLinkUp();
}

void
QemuNetDevice::AddLinkChangeCallback(Callback<void> callback)
{
    m_device->AddLinkChangeCallback(callback);
}

bool
QemuNetDevice::IsBroadcast() const
{
    return m_device->IsBroadcast();
}

Address
QemuNetDevice::GetBroadcast() const
{
    return m_device->GetBroadcast();
}

bool
QemuNetDevice::IsMulticast() const
{
    return m_device->IsMulticast();
}

Address
QemuNetDevice::GetMulticast(Ipv4Address multicastGroup) const
{
    return m_device->GetMulticast(multicastGroup);
}

Address
QemuNetDevice::GetMulticast(Ipv6Address addr) const
{
    return m_device->GetMulticast(addr);
}

bool
QemuNetDevice::IsPointToPoint() const
{
    return m_device->IsPointToPoint();
}

bool
QemuNetDevice::IsBridge() const
{
    return false;
}

bool
QemuNetDevice::Send(Ptr<Packet> packet, const Address& dest, uint16_t protocolNumber)
{
    NS_LOG_FUNCTION(this << packet << dest << protocolNumber);
    /* The guest is this device's only user. */
    return false;
}

bool
QemuNetDevice::SendFrom(Ptr<Packet> packet,
                        const Address& source,
                        const Address& dest,
                        uint16_t protocolNumber)
{
    NS_LOG_FUNCTION(this << packet << source << dest << protocolNumber);
    return false;
}

Ptr<Node>
QemuNetDevice::GetNode() const
{
    return m_node;
}

void
QemuNetDevice::SetNode(Ptr<Node> node)
{
    m_node = node;
}

bool
QemuNetDevice::NeedsArp() const
{
    return m_device->NeedsArp() || IsEthernetOverPpp();
}

void
QemuNetDevice::SetReceiveCallback(NetDevice::ReceiveCallback cb)
{
    /* Nothing is received on the node's side: frames end in the guest. */
}

void
QemuNetDevice::SetPromiscReceiveCallback(NetDevice::PromiscReceiveCallback cb)
{
}

bool
QemuNetDevice::SupportsSendFrom() const
{
    return false;
}

} // namespace ns3
