/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-info-writer.h"

#include "ns3/abort.h"
#include "ns3/callback.h"
#include "ns3/config.h"
#include "ns3/simulator.h"
#include "ns3/trace-helper.h"
#include "ns3/uinteger.h"

#include <cstdio>
#include <netinet/tcp.h>

namespace ns3
{

namespace
{

/* What Linux shows for an ssthresh that has never been set. */
constexpr uint32_t SSTHRESH_INFINITE = 0x7fffffff;

} // namespace

TcpInfoWriter::TcpInfoWriter(const std::string& filename)
    : m_stream(AsciiTraceHelper().CreateFileStream(filename))
{
    *m_stream->GetStream() << "t,cwnd_seg,ssthresh_seg,srtt_ms\n";
}

void
TcpInfoWriter::Write(uint32_t cwnd, uint32_t ssthresh, int64_t srtt)
{
    char row[96];
    std::snprintf(row,
                  sizeof(row),
                  "%u,%u,%lld.%03lld",
                  cwnd,
                  ssthresh,
                  static_cast<long long>(srtt / 1000),
                  static_cast<long long>(srtt % 1000));
    if (row == m_last)
    {
        return;
    }
    m_last = row;
    const int64_t now = Simulator::Now().GetNanoSeconds();
    char time[32];
    std::snprintf(time,
                  sizeof(time),
                  "%lld.%09lld",
                  static_cast<long long>(now / 1'000'000'000),
                  static_cast<long long>(now % 1'000'000'000));
    *m_stream->GetStream() << time << ',' << row << '\n';
}

void
TcpInfoWriter::WriteGuest(const ns3qemu::GuestTcpInfo& info)
{
    if (info.state == TCP_SYN_SENT)
    {
        return; // the kernel sets the initial window when the connection is established
    }
    Write(info.cwnd, info.ssthresh, info.rtt);
}

void
TcpInfoWriter::TraceNative(Ptr<Node> node)
{
    const auto sockets = Config::LookupMatches("/NodeList/" + std::to_string(node->GetId()) +
                                               "/$ns3::TcpL4Protocol/SocketList/0");
    NS_ABORT_MSG_IF(sockets.GetN() == 0, "there is no TCP socket to trace");
    const auto socket = sockets.Get(0);
    UintegerValue segmentSize;
    socket->GetAttribute("SegmentSize", segmentSize);
    m_segmentSize = static_cast<uint32_t>(segmentSize.Get());
    /* Bound to a Ptr: the socket's traces keep this object. */
    const Ptr<TcpInfoWriter> self(this);
    socket->TraceConnectWithoutContext("CongestionWindow",
                                       MakeCallback(&TcpInfoWriter::OnCwnd, self));
    socket->TraceConnectWithoutContext("SlowStartThreshold",
                                       MakeCallback(&TcpInfoWriter::OnSsthresh, self));
    socket->TraceConnectWithoutContext("RTT", MakeCallback(&TcpInfoWriter::OnRtt, self));
}

void
TcpInfoWriter::OnCwnd(uint32_t, uint32_t now)
{
    m_cwnd = now;
    WriteNative();
}

void
TcpInfoWriter::OnSsthresh(uint32_t, uint32_t now)
{
    m_ssthresh = now;
    WriteNative();
}

void
TcpInfoWriter::OnRtt(Time, Time now)
{
    m_srtt = now;
    WriteNative();
}

void
TcpInfoWriter::WriteNative()
{
    Write(m_cwnd / m_segmentSize,
          m_ssthresh >= SSTHRESH_INFINITE ? SSTHRESH_INFINITE : m_ssthresh / m_segmentSize,
          m_srtt.GetMicroSeconds());
}

} // namespace ns3
