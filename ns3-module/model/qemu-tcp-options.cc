/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-tcp-options.h"

#include "ns3/boolean.h"
#include "ns3/data-rate.h"
#include "ns3/log.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTcpOptions");

namespace
{

/* ns-3's congestion controls that Linux has as well, and under which name. */
constexpr std::array<std::pair<const char*, const char*>, 16> CONGESTION_CONTROLS{{
    {"ns3::TcpLinuxReno", "reno"},
    {"ns3::TcpNewReno", "reno"},
    {"ns3::TcpCubic", "cubic"},
    {"ns3::TcpBbr", "bbr"},
    {"ns3::TcpDctcp", "dctcp"},
    {"ns3::TcpBic", "bic"},
    {"ns3::TcpHighSpeed", "highspeed"},
    {"ns3::TcpHtcp", "htcp"},
    {"ns3::TcpHybla", "hybla"},
    {"ns3::TcpIllinois", "illinois"},
    {"ns3::TcpLp", "lp"},
    {"ns3::TcpScalable", "scalable"},
    {"ns3::TcpVegas", "vegas"},
    {"ns3::TcpVeno", "veno"},
    {"ns3::TcpWestwoodPlus", "westwood"},
    {"ns3::TcpYeah", "yeah"},
}};

/* The counterpart of what a script has set for all of ns-3's own sockets; empty: nothing. */
std::string
DefaultCongestionControl()
{
    TypeId tcp;
    TypeId::AttributeInformation info;
    if (!TypeId::LookupByNameFailSafe("ns3::TcpL4Protocol", &tcp) ||
        !IsDefaultChanged(tcp, "SocketType") || !tcp.LookupAttributeByName("SocketType", &info))
    {
        return "";
    }
    return GetLinuxCongestionControl(info.initialValue->SerializeToString(info.checker));
}

/* What a script has set of pacing for all of ns-3's own sockets, as the value of
 * SO_MAX_PACING_RATE, with which the kernel paces a socket; 0: nothing. */
uint32_t
DefaultPacingRate()
{
    TypeId state;
    TypeId::AttributeInformation enable;
    TypeId::AttributeInformation rate;
    if (!TypeId::LookupByNameFailSafe("ns3::TcpSocketState", &state) ||
        !IsDefaultChanged(state, "EnablePacing") ||
        !state.LookupAttributeByName("EnablePacing", &enable) ||
        !state.LookupAttributeByName("MaxPacingRate", &rate))
    {
        return 0;
    }
    BooleanValue enabled;
    DataRateValue most;
    if (!enabled.DeserializeFromString(enable.initialValue->SerializeToString(enable.checker),
                                       enable.checker) ||
        !enabled.Get() ||
        !most.DeserializeFromString(rate.initialValue->SerializeToString(rate.checker),
                                    rate.checker))
    {
        return 0;
    }
    /* The largest value says that there is to be no pacing. */
    return static_cast<uint32_t>(std::min<uint64_t>(most.Get().GetBitRate() / 8, UINT32_MAX - 1));
}

} // namespace

std::string
GetLinuxCongestionControl(const std::string& type)
{
    for (const auto& [theirs, ours] : CONGESTION_CONTROLS)
    {
        if (type == theirs)
        {
            return ours;
        }
    }
    NS_LOG_WARN("Linux has no counterpart of " << type
                                               << "; the guest's own congestion control is used");
    return "";
}

QemuTcpOptions::QemuTcpOptions()
{
}

QemuTcpOptions::QemuTcpOptions(const QemuTcpOptions& listener)
    : QemuSocket<TcpSocket>(listener),
      m_maxSegmentLifetime(listener.m_maxSegmentLifetime),
      m_attributes(listener.m_attributes),
      m_constructed(true)
{
}

void
QemuTcpOptions::NotifyConstructionCompleted()
{
    TcpSocket::NotifyConstructionCompleted();
    m_constructed = true;
    /* What a script has set as a default; ns-3's own defaults are not meant for a kernel. */
    const auto type = GetInstanceTypeId();
    const auto changed = [type](const char* name) { return IsDefaultChanged(type, name); };
    const auto again = [&](const char* name, auto set, const auto& value) {
        if (changed(name))
        {
            (this->*set)(value);
        }
    };
    const Attributes a = m_attributes;
    again("SndBufSize", &QemuTcpOptions::SetSndBufSize, a.sendBuffer);
    again("RcvBufSize", &QemuTcpOptions::SetRcvBufSize, a.receiveBuffer);
    again("SegmentSize", &QemuTcpOptions::SetSegSize, a.segmentSize);
    again("InitialSlowStartThreshold", &QemuTcpOptions::SetInitialSSThresh, a.initialSsthresh);
    again("InitialCwnd", &QemuTcpOptions::SetInitialCwnd, a.initialCwnd);
    again("ConnTimeout", &QemuTcpOptions::SetConnTimeout, a.connectTimeout);
    again("ConnCount", &QemuTcpOptions::SetSynRetries, a.synRetries);
    again("DelAckTimeout", &QemuTcpOptions::SetDelAckTimeout, a.delayedAckTimeout);
    again("DelAckCount", &QemuTcpOptions::SetDelAckMaxCount, a.delayedAckCount);
    again("TcpNoDelay", &QemuTcpOptions::SetTcpNoDelay, a.noDelay);
    again("PersistTimeout", &QemuTcpOptions::SetPersistTimeout, a.persistTimeout);
    const auto control =
        a.congestionControl.empty() ? DefaultCongestionControl() : a.congestionControl;
    if (!control.empty())
    {
        SetCongestionControl(control);
    }
    if (const uint32_t rate = DefaultPacingRate(); rate != 0)
    {
        SetOption(SOL_SOCKET, SO_MAX_PACING_RATE, static_cast<int>(rate));
    }
}

void
QemuTcpOptions::Ignore(const char* attribute, const char* instead) const
{
    if (m_constructed)
    {
        NS_LOG_WARN("the attribute " << attribute << " has no effect on a guest's socket; "
                                     << instead);
    }
}

void
QemuTcpOptions::SetCongestionControl(std::string name)
{
    m_attributes.congestionControl = name;
    if (m_constructed && !name.empty())
    {
        SetOption(IPPROTO_TCP, TCP_CONGESTION, {name.begin(), name.end()});
    }
}

std::string
QemuTcpOptions::GetCongestionControl() const
{
    return m_attributes.congestionControl;
}

void
QemuTcpOptions::SetSndBufSize(uint32_t size)
{
    m_attributes.sendBuffer = size;
    if (m_constructed)
    {
        /* With force, or net.core.wmem_max would cut it. */
        SetOption(SOL_SOCKET, SO_SNDBUFFORCE, static_cast<int>(size));
    }
}

uint32_t
QemuTcpOptions::GetSndBufSize() const
{
    return m_attributes.sendBuffer;
}

void
QemuTcpOptions::SetRcvBufSize(uint32_t size)
{
    m_attributes.receiveBuffer = size;
    if (m_constructed)
    {
        SetOption(SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(size));
    }
}

uint32_t
QemuTcpOptions::GetRcvBufSize() const
{
    return m_attributes.receiveBuffer;
}

void
QemuTcpOptions::SetSegSize(uint32_t size)
{
    m_attributes.segmentSize = size;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_MAXSEG, static_cast<int>(size));
    }
}

uint32_t
QemuTcpOptions::GetSegSize() const
{
    return m_attributes.segmentSize;
}

void
QemuTcpOptions::SetInitialSSThresh(uint32_t threshold)
{
    m_attributes.initialSsthresh = threshold;
    Ignore("InitialSlowStartThreshold", "the kernel begins without one");
}

uint32_t
QemuTcpOptions::GetInitialSSThresh() const
{
    return m_attributes.initialSsthresh;
}

void
QemuTcpOptions::SetInitialCwnd(uint32_t cwnd)
{
    m_attributes.initialCwnd = cwnd;
    if (m_constructed)
    {
        m_initialWindow = cwnd;
    }
}

uint32_t
QemuTcpOptions::GetInitialCwnd() const
{
    return m_attributes.initialCwnd;
}

void
QemuTcpOptions::SetConnTimeout(Time timeout)
{
    m_attributes.connectTimeout = timeout;
    Ignore("ConnTimeout", "the kernel repeats a SYN after 1 s");
}

Time
QemuTcpOptions::GetConnTimeout() const
{
    return m_attributes.connectTimeout;
}

void
QemuTcpOptions::SetSynRetries(uint32_t count)
{
    m_attributes.synRetries = count;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_SYNCNT, static_cast<int>(count));
    }
}

uint32_t
QemuTcpOptions::GetSynRetries() const
{
    return m_attributes.synRetries;
}

void
QemuTcpOptions::SetDataRetries(uint32_t retries)
{
    m_attributes.dataRetries = retries;
    Ignore("DataRetries", "set the sysctl net.ipv4.tcp_retries2");
}

uint32_t
QemuTcpOptions::GetDataRetries() const
{
    return m_attributes.dataRetries;
}

void
QemuTcpOptions::SetDelAckTimeout(Time timeout)
{
    m_attributes.delayedAckTimeout = timeout;
    Ignore("DelAckTimeout", "the kernel delays between 40 and 200 ms");
}

Time
QemuTcpOptions::GetDelAckTimeout() const
{
    return m_attributes.delayedAckTimeout;
}

void
QemuTcpOptions::SetDelAckMaxCount(uint32_t count)
{
    m_attributes.delayedAckCount = count;
    Ignore("DelAckCount", "the kernel acknowledges every second segment");
}

uint32_t
QemuTcpOptions::GetDelAckMaxCount() const
{
    return m_attributes.delayedAckCount;
}

void
QemuTcpOptions::SetTcpNoDelay(bool noDelay)
{
    m_attributes.noDelay = noDelay;
    if (m_constructed)
    {
        SetOption(IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
    }
}

bool
QemuTcpOptions::GetTcpNoDelay() const
{
    return m_attributes.noDelay;
}

void
QemuTcpOptions::SetPersistTimeout(Time timeout)
{
    m_attributes.persistTimeout = timeout;
    Ignore("PersistTimeout", "the kernel probes after its retransmission timeout");
}

Time
QemuTcpOptions::GetPersistTimeout() const
{
    return m_attributes.persistTimeout;
}

} // namespace ns3
