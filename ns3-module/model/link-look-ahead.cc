/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "link-look-ahead.h"

#include "ethernet-frame.h"

#include "ns3/data-rate.h"
#include "ns3/error-model.h"
#include "ns3/pointer.h"
#include "ns3/ppp-header.h"
#include "ns3/simulator.h"

#include <algorithm>

namespace ns3
{

namespace
{

/* Assigned numbers of the Point-to-Point Protocol (RFC 1661): the ones that the device hands on. */
constexpr uint16_t PPP_IPV4 = 0x0021;
constexpr uint16_t PPP_IPV6 = 0x0057;

constexpr uint32_t PPP_HEADER = 2; // bytes

Ptr<const AttributeAccessor>
FindAccessor(TypeId type, const std::string& name)
{
    TypeId::AttributeInformation info;
    const bool found = type.LookupAttributeByName(name, &info);
    NS_ABORT_MSG_UNLESS(found, type.GetName() << " has no attribute " << name);
    return info.accessor;
}

int64_t
NowNs()
{
    return Simulator::Now().GetNanoSeconds();
}

} // namespace

bool
LinkLookAhead::IsPossible(Ptr<NetDevice> device)
{
    /* Not one derived from them, which may do as it pleases. */
    if (!device || device->GetInstanceTypeId() != PointToPointNetDevice::GetTypeId())
    {
        return false;
    }
    const auto channel = device->GetChannel();
    return channel && channel->GetInstanceTypeId() == PointToPointChannel::GetTypeId() &&
           channel->GetNDevices() == 2;
}

LinkLookAhead::LinkLookAhead(Ptr<NetDevice> device, std::function<void()> notify)
    : m_device(DynamicCast<PointToPointNetDevice>(device)),
      m_channel(DynamicCast<PointToPointChannel>(device->GetChannel())),
      m_notify(std::move(notify)),
      m_delay(FindAccessor(PointToPointChannel::GetTypeId(), "Delay")),
      m_peerRate(FindAccessor(PointToPointNetDevice::GetTypeId(), "DataRate")),
      m_gap(FindAccessor(PointToPointNetDevice::GetTypeId(), "InterframeGap")),
      m_errorModel(FindAccessor(PointToPointNetDevice::GetTypeId(), "ReceiveErrorModel"))
{
    m_peer = m_channel->GetDevice(m_channel->GetDevice(0) == device ? 1 : 0);
    m_channel->TraceConnectWithoutContext("TxRxPointToPoint",
                                          MakeCallback(&LinkLookAhead::OnTransmission, this));
}

LinkLookAhead::~LinkLookAhead()
{
    m_channel->TraceDisconnectWithoutContext("TxRxPointToPoint",
                                             MakeCallback(&LinkLookAhead::OnTransmission, this));
}

void
LinkLookAhead::OnTransmission(Ptr<const Packet> packet,
                              Ptr<NetDevice> from,
                              Ptr<NetDevice> to,
                              Time duration,
                              Time lastBit)
{
    /* Sums first: ns-3's times may be finer than a ns. */
    const Time sent = Simulator::Now() + duration;
    if (to != m_device)
    {
        TimeValue gap;
        m_gap->Get(PeekPointer(m_device), gap);
        m_transmitEnd = (sent + gap.Get()).GetNanoSeconds();
        return;
    }
    m_peerBusyUntil = sent.GetNanoSeconds();
    const Arrival arrival{(Simulator::Now() + lastBit).GetNanoSeconds(), packet};
    /* A link whose delay has become shorter lets frames overtake others. */
    auto place = m_arrivals.end();
    while (place != m_arrivals.begin() && std::prev(place)->time > arrival.time)
    {
        --place;
    }
    m_arrivals.insert(place, arrival);
    m_notify();
}

const std::deque<LinkLookAhead::Arrival>&
LinkLookAhead::GetArrivals()
{
    /* What an error model has dropped is never said to have arrived. */
    while (!m_arrivals.empty() && m_arrivals.front().time < NowNs())
    {
        m_arrivals.pop_front();
    }
    return m_arrivals;
}

void
LinkLookAhead::Arrived()
{
    const auto& arrivals = GetArrivals();
    if (!arrivals.empty() && arrivals.front().time == NowNs())
    {
        m_arrivals.pop_front();
    }
}

int64_t
LinkLookAhead::GetHorizon() const
{
    TimeValue delay;
    m_delay->Get(PeekPointer(m_channel), delay);
    /* At least the header must be sent: so what is sent last is known, too. */
    DataRateValue rate;
    m_peerRate->Get(PeekPointer(m_peer), rate);
    const Time shortest = rate.Get().CalculateBytesTxTime(PPP_HEADER);
    return std::max(NowNs(), m_peerBusyUntil) + shortest.GetNanoSeconds() +
           delay.Get().GetNanoSeconds();
}

int64_t
LinkLookAhead::GetTransmitEnd() const
{
    return m_transmitEnd;
}

bool
LinkLookAhead::IsReliable() const
{
    PointerValue model;
    m_errorModel->Get(PeekPointer(m_device), model);
    return !model.GetObject();
}

bool
LinkLookAhead::BuildFrame(Ptr<const Packet> packet, std::vector<uint8_t>& frame) const
{
    PppHeader header;
    const uint32_t headerLength = packet->PeekHeader(header);
    uint16_t protocol = 0;
    switch (header.GetProtocol())
    {
    case PPP_IPV4:
        protocol = ETHERTYPE_IPV4;
        break;
    case PPP_IPV6:
        protocol = ETHERTYPE_IPV6;
        break;
    default:
        return false;
    }
    MakeEthernetFrame(frame,
                      Mac48Address::ConvertFrom(m_device->GetAddress()),
                      Mac48Address::ConvertFrom(m_peer->GetAddress()),
                      protocol,
                      packet->CreateFragment(headerLength, packet->GetSize() - headerLength));
    return true;
}

} // namespace ns3
