/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "link-look-ahead.h"

#include "distributed-run.h"
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
    return channel && channel->GetNDevices() == 2 &&
           (channel->GetInstanceTypeId() == PointToPointChannel::GetTypeId() ||
            DistributedRun::IsBetweenRanks(channel));
}

LinkLookAhead::LinkLookAhead(Ptr<NetDevice> device, std::function<void()> notify)
    : m_device(DynamicCast<PointToPointNetDevice>(device)),
      m_channel(DynamicCast<PointToPointChannel>(device->GetChannel())),
      m_remote(DistributedRun::IsBetweenRanks(device->GetChannel())),
      m_notify(std::move(notify)),
      m_delay(FindAccessor(PointToPointChannel::GetTypeId(), "Delay")),
      m_rate(FindAccessor(PointToPointNetDevice::GetTypeId(), "DataRate")),
      m_gap(FindAccessor(PointToPointNetDevice::GetTypeId(), "InterframeGap")),
      m_errorModel(FindAccessor(PointToPointNetDevice::GetTypeId(), "ReceiveErrorModel"))
{
    m_peer = m_channel->GetDevice(m_channel->GetDevice(0) == device ? 1 : 0);
    m_device->TraceConnectWithoutContext("PhyTxBegin",
                                         MakeCallback(&LinkLookAhead::OnTransmitBegin, this));
    m_channel->TraceConnectWithoutContext("TxRxPointToPoint",
                                          MakeCallback(&LinkLookAhead::OnTransmission, this));
    if (m_remote)
    {
        /* As it is now: what is under way may have been sent before it became longer. */
        const Time lag = DistributedRun::GetLag(m_peer->GetNode()->GetSystemId());
        m_remoteDelay = GetDelay() - lag;
    }
}

LinkLookAhead::~LinkLookAhead()
{
    m_device->TraceDisconnectWithoutContext("PhyTxBegin",
                                            MakeCallback(&LinkLookAhead::OnTransmitBegin, this));
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
    if (to != m_device)
    {
        return;
    }
    /* Sums first: ns-3's times may be finer than a ns. */
    m_peerBusyUntil = (Simulator::Now() + duration).GetNanoSeconds();
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

/* The device's own, and not the channel's: one to another rank does not tell. */
void
LinkLookAhead::OnTransmitBegin(Ptr<const Packet> packet)
{
    DataRateValue rate;
    m_rate->Get(PeekPointer(m_device), rate);
    TimeValue gap;
    m_gap->Get(PeekPointer(m_device), gap);
    const Time duration = rate.Get().CalculateBytesTxTime(packet->GetSize()) + gap.Get();
    m_transmitEnd = (Simulator::Now() + duration).GetNanoSeconds();
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

Time
LinkLookAhead::GetDelay() const
{
    TimeValue delay;
    m_delay->Get(PeekPointer(m_channel), delay);
    return delay.Get();
}

int64_t
LinkLookAhead::GetHorizon() const
{
    /* At least the header must be sent: so what is sent last is known, too. */
    DataRateValue rate;
    m_rate->Get(PeekPointer(m_peer), rate);
    const Time shortest = rate.Get().CalculateBytesTxTime(PPP_HEADER);
    const Time delay = m_remote ? m_remoteDelay : GetDelay();
    return std::max(NowNs(), m_peerBusyUntil) + shortest.GetNanoSeconds() + delay.GetNanoSeconds();
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
