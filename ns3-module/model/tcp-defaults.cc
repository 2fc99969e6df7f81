/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-defaults.h"

#include "qemu-socket.h"

#include "ns3/attribute.h"
#include "ns3/nstime.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace ns3
{

namespace
{

using Fate = TcpDefaults::Fate;

struct Entry
{
    Fate fate;
    const char* text;                                    // the parameter, or what a warning says
    std::string (*convert)(const std::string&){nullptr}; // ns-3's value into the kernel's
};

std::string
Same(const std::string& value)
{
    return value;
}

std::string
FromBool(const std::string& value)
{
    return value == "true" || value == "1" ? "1" : "0";
}

std::string
FromEcn(const std::string& value)
{
    return value == "On" ? "1" : value == "AcceptOnly" ? "2" : "0";
}

std::string
ToMicroseconds(const std::string& value)
{
    return std::to_string(Time(value).GetMicroSeconds());
}

/* Linux counts in 1024ths. */
std::string
ToBinaryFraction(const std::string& value)
{
    return std::to_string(std::lround(std::stod(value) * 1024));
}

/* The bits of hystart_detect. */
std::string
FromHyStartDetect(const std::string& value)
{
    return value == "PACKET_TRAIN" ? "1" : value == "DELAY" ? "2" : "3";
}

/* Before Linux 6.11 there is no sysctl for it, and it belongs to routes alone. */
constexpr const char* MIN_RTO = "ns3::TcpSocketBase::MinRto";

/* 1 is a route's quickack, 2 is what the kernel does anyway. */
constexpr const char* DELAYED_ACKS = "ns3::TcpSocket::DelAckCount";

/* At least 1: of a route, 0 means the kernel's own. */
uint32_t
ToMilliseconds(const std::string& value)
{
    constexpr int64_t most = std::numeric_limits<uint32_t>::max();
    const int64_t microseconds = Time(value).GetMicroSeconds();
    return static_cast<uint32_t>(std::clamp<int64_t>((microseconds + 999) / 1000, 1, most));
}

#define CUBIC(name) "/sys/module/tcp_cubic/parameters/" name

const std::map<std::string, Entry>&
GetTable()
{
    static const std::map<std::string, Entry> table{
        {"ns3::TcpSocket::SndBufSize", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::RcvBufSize", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::SegmentSize", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::InitialCwnd", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::ConnCount", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::TcpNoDelay", {Fate::SOCKET, ""}},
        {"ns3::TcpSocket::DataRetries", {Fate::SYSCTL, "net.ipv4.tcp_retries2", Same}},
        {"ns3::TcpSocket::InitialSlowStartThreshold",
         {Fate::WARNING, "the kernel begins without one"}},
        {"ns3::TcpSocket::ConnTimeout", {Fate::WARNING, "the kernel repeats a SYN after 1 s"}},
        {"ns3::TcpSocket::DelAckTimeout",
         {Fate::WARNING, "the kernel delays between 40 and 200 ms"}},
        {DELAYED_ACKS, {Fate::ROUTE, "the kernel acknowledges every second segment, or each"}},
        {"ns3::TcpSocket::PersistTimeout",
         {Fate::WARNING, "the kernel probes after its retransmission timeout"}},
        {"ns3::TcpSocketBase::WindowScaling",
         {Fate::SYSCTL, "net.ipv4.tcp_window_scaling", FromBool}},
        {"ns3::TcpSocketBase::Sack", {Fate::SYSCTL, "net.ipv4.tcp_sack", FromBool}},
        {"ns3::TcpSocketBase::Timestamp", {Fate::SYSCTL, "net.ipv4.tcp_timestamps", FromBool}},
        {"ns3::TcpSocketBase::UseEcn", {Fate::SYSCTL, "net.ipv4.tcp_ecn", FromEcn}},
        {"ns3::TcpSocketBase::ReTxThreshold", {Fate::SYSCTL, "net.ipv4.tcp_reordering", Same}},
        {MIN_RTO, {Fate::SYSCTL, "net.ipv4.tcp_rto_min_us", ToMicroseconds}},
        {"ns3::TcpSocketBase::ClockGranularity",
         {Fate::WARNING, "the kernel's timers have the granularity that it was built with"}},
        {"ns3::TcpSocketBase::MaxSegLifetime",
         {Fate::WARNING, "in Linux TIME_WAIT lasts 60 s; see the sysctl net.ipv4.tcp_tw_reuse"}},
        {"ns3::TcpSocketBase::MaxWindowSize",
         {Fate::WARNING, "set RcvBufSize, or the sysctl net.ipv4.tcp_rmem"}},
        {"ns3::TcpSocketBase::LimitedTransmit",
         {Fate::WARNING, "the kernel always has limited transmit"}},
        {"ns3::TcpSocketBase::Fack",
         {Fate::WARNING, "the kernel has RACK (RFC 8985) in its place, since Linux 4.15"}},
        {"ns3::TcpSocketBase::UseAbe",
         {Fate::WARNING, "the kernel has no other backoff for ECN (RFC 8511)"}},
        {"ns3::TcpSocketBase::IcmpCallback", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::IcmpCallback6", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::TxBuffer", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::RxBuffer", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::CongestionOps", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::RecoveryOps", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketState::EnablePacing", {Fate::SOCKET, ""}},
        {"ns3::TcpSocketState::MaxPacingRate", {Fate::SOCKET, ""}},
        {"ns3::TcpSocketState::PacingSsRatio",
         {Fate::SYSCTL, "net.ipv4.tcp_pacing_ss_ratio", Same}},
        {"ns3::TcpSocketState::PacingCaRatio",
         {Fate::SYSCTL, "net.ipv4.tcp_pacing_ca_ratio", Same}},
        {"ns3::TcpSocketState::PaceInitialWindow",
         {Fate::WARNING, "the kernel paces from the start whatever it paces"}},
        {"ns3::TcpL4Protocol::SocketType", {Fate::SOCKET, ""}},
        {"ns3::TcpL4Protocol::RecoveryType",
         {Fate::WARNING, "the kernel has proportional rate reduction"}},
        {"ns3::TcpL4Protocol::RttEstimatorType",
         {Fate::WARNING, "the kernel has RFC 6298's, with a variance of its own"}},
        {"ns3::TcpL4Protocol::SocketList", {Fate::INTERNAL, ""}},
        {"ns3::RttEstimator::InitialEstimation",
         {Fate::WARNING, "the kernel's first timeout is 1 s"}},
        {"ns3::RttMeanDeviation::Alpha", {Fate::WARNING, "the kernel's is 1/8"}},
        {"ns3::RttMeanDeviation::Beta", {Fate::WARNING, "the kernel's is 1/4"}},
        {"ns3::TcpCubic::FastConvergence", {Fate::PARAMETER, CUBIC("fast_convergence"), FromBool}},
        {"ns3::TcpCubic::TcpFriendliness", {Fate::PARAMETER, CUBIC("tcp_friendliness"), FromBool}},
        {"ns3::TcpCubic::Beta", {Fate::PARAMETER, CUBIC("beta"), ToBinaryFraction}},
        {"ns3::TcpCubic::HyStart", {Fate::PARAMETER, CUBIC("hystart"), FromBool}},
        {"ns3::TcpCubic::HyStartLowWindow", {Fate::PARAMETER, CUBIC("hystart_low_window"), Same}},
        {"ns3::TcpCubic::HyStartDetect",
         {Fate::PARAMETER, CUBIC("hystart_detect"), FromHyStartDetect}},
        {"ns3::TcpCubic::HyStartAckDelta",
         {Fate::PARAMETER, CUBIC("hystart_ack_delta_us"), ToMicroseconds}},
        {"ns3::TcpCubic::C",
         {Fate::WARNING,
          "the kernel's bic_scale (C times 102.4) is fixed when it boots: give its command line "
          "tcp_cubic.bic_scale"}},
    };
    return table;
}

std::string
GetKey(TypeId type, const std::string& attribute)
{
    return type.GetName() + "::" + attribute;
}

/* Told once in a simulator, however many machines there are. */
std::set<std::string> g_told;

void
Warn(const std::string& key, const std::string& value, const std::string& instead)
{
    if (g_told.insert(key + "=" + value).second)
    {
        std::cerr << "The default " << key << " = " << value
                  << " has no effect on virtual machines: " << instead << "." << std::endl;
    }
}

#undef CUBIC

} // namespace

std::vector<TypeId>
TcpDefaults::GetTypes()
{
    std::vector<TypeId> types;
    for (uint16_t i = 0; i < TypeId::GetRegisteredN(); i++)
    {
        const auto type = TypeId::GetRegistered(i);
        const auto name = type.GetName();
        const bool tcp = name.rfind("ns3::Tcp", 0) == 0 || name.rfind("ns3::Rtt", 0) == 0;
        if (tcp && type.GetGroupName() == "Internet" && type.GetAttributeN() != 0)
        {
            types.push_back(type);
        }
    }
    return types;
}

bool
TcpDefaults::IsKnown(TypeId type, const std::string& attribute)
{
    return GetTable().count(GetKey(type, attribute)) != 0;
}

TcpDefaults::Fate
TcpDefaults::GetFate(TypeId type, const std::string& attribute)
{
    const auto entry = GetTable().find(GetKey(type, attribute));
    return entry == GetTable().end() ? Fate::WARNING : entry->second.fate;
}

void
TcpDefaults::Apply(const SetValue& setSysctl,
                   const SetValue& setParameter,
                   ns3qemu::RouteMetrics& metrics)
{
    for (const auto& type : GetTypes())
    {
        for (size_t i = 0; i < type.GetAttributeN(); i++)
        {
            const auto info = type.GetAttribute(i);
            const auto key = GetKey(type, info.name);
            const auto fate = GetFate(type, info.name);
            if (fate == Fate::INTERNAL || fate == Fate::SOCKET ||
                !IsDefaultChanged(type, info.name))
            {
                continue;
            }
            const auto value = info.initialValue->SerializeToString(info.checker);
            const auto entry = GetTable().find(key);
            if (fate == Fate::SYSCTL || fate == Fate::PARAMETER)
            {
                const std::string name = entry->second.text;
                const auto& set = fate == Fate::SYSCTL ? setSysctl : setParameter;
                if (set(name, entry->second.convert(value)))
                {
                    continue;
                }
                if (key == MIN_RTO)
                {
                    metrics.minimumRto = ToMilliseconds(value);
                }
                else
                {
                    Warn(key, value, "a guest's kernel has no " + name);
                }
            }
            else if (fate == Fate::ROUTE && std::stoul(value) <= 2)
            {
                metrics.quickAck = std::stoul(value) < 2;
            }
            else
            {
                Warn(
                    key,
                    value,
                    entry != GetTable().end()
                        ? entry->second.text
                        : "the kernel's own TCP has nothing like it, or a parameter of its module");
            }
        }
    }
}

} // namespace ns3
