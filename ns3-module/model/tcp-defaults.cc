/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-defaults.h"

#include "qemu-socket.h"

#include "ns3/attribute.h"

#include <algorithm>
#include <cstdint>
#include <iostream>
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
    const char* text;                                    // the sysctl, or what a warning says
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

constexpr const char* CUBIC = "write the guest's /sys/module/tcp_cubic/parameters "
                              "(VirtualMachine::WriteFile)";

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
        {"ns3::TcpSocket::DelAckCount",
         {Fate::WARNING,
          "the kernel acknowledges every second segment; a route's quickack has "
          "it acknowledge each"}},
        {"ns3::TcpSocket::PersistTimeout",
         {Fate::WARNING, "the kernel probes after its retransmission timeout"}},
        {"ns3::TcpSocketBase::WindowScaling",
         {Fate::SYSCTL, "net.ipv4.tcp_window_scaling", FromBool}},
        {"ns3::TcpSocketBase::Sack", {Fate::SYSCTL, "net.ipv4.tcp_sack", FromBool}},
        {"ns3::TcpSocketBase::Timestamp", {Fate::SYSCTL, "net.ipv4.tcp_timestamps", FromBool}},
        {"ns3::TcpSocketBase::UseEcn", {Fate::SYSCTL, "net.ipv4.tcp_ecn", FromEcn}},
        {"ns3::TcpSocketBase::ReTxThreshold", {Fate::SYSCTL, "net.ipv4.tcp_reordering", Same}},
        {"ns3::TcpSocketBase::MinRto",
         {Fate::WARNING,
          "the kernel's least is 200 ms; set a route's rto_min, or from Linux 6.11 "
          "on the sysctl net.ipv4.tcp_rto_min_us"}},
        {"ns3::TcpSocketBase::ClockGranularity",
         {Fate::WARNING, "the kernel's timers have the granularity that it was built with"}},
        {"ns3::TcpSocketBase::MaxSegLifetime",
         {Fate::WARNING, "in Linux TIME_WAIT lasts 60 s; see the sysctl net.ipv4.tcp_tw_reuse"}},
        {"ns3::TcpSocketBase::MaxWindowSize",
         {Fate::WARNING, "set RcvBufSize, or the sysctl net.ipv4.tcp_rmem"}},
        {"ns3::TcpSocketBase::LimitedTransmit",
         {Fate::WARNING, "the kernel always has limited transmit"}},
        {"ns3::TcpSocketBase::IcmpCallback", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::IcmpCallback6", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::TxBuffer", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::RxBuffer", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::CongestionOps", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketBase::RecoveryOps", {Fate::INTERNAL, ""}},
        {"ns3::TcpSocketState::EnablePacing",
         {Fate::WARNING,
          "give the guest the queueing discipline fq, or its sockets the option "
          "SO_MAX_PACING_RATE"}},
        {"ns3::TcpSocketState::MaxPacingRate",
         {Fate::WARNING, "give its sockets the option SO_MAX_PACING_RATE"}},
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
        {"ns3::TcpCubic::FastConvergence", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::TcpFriendliness", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::Beta", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::HyStart", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::HyStartLowWindow", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::HyStartDetect", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::HyStartAckDelta", {Fate::WARNING, CUBIC}},
        {"ns3::TcpCubic::C", {Fate::WARNING, CUBIC}},
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
Warn(const std::string& key, const std::string& value, const char* instead)
{
    if (g_told.insert(key + "=" + value).second)
    {
        std::cerr << "The default " << key << " = " << value
                  << " has no effect on virtual machines: " << instead << "." << std::endl;
    }
}

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
TcpDefaults::Apply(const SetSysctl& setSysctl)
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
            if (fate == Fate::SYSCTL)
            {
                const std::string sysctl = entry->second.text;
                if (!setSysctl(sysctl, entry->second.convert(value)))
                {
                    Warn(key, value, ("a guest's kernel has no " + sysctl).c_str());
                }
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
