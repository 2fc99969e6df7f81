/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-info-tracer.h"

#include "ns3/relay-client.h"
#include "ns3/trace-source-accessor.h"

#include <array>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace ns3
{

namespace
{

TcpSocket::TcpStates_t
ToState(uint8_t state)
{
    /* By the kernel's numbers, of which 0 is none. */
    static constexpr std::array<TcpSocket::TcpStates_t, 12> states{TcpSocket::CLOSED,
                                                                   TcpSocket::ESTABLISHED,
                                                                   TcpSocket::SYN_SENT,
                                                                   TcpSocket::SYN_RCVD,
                                                                   TcpSocket::FIN_WAIT_1,
                                                                   TcpSocket::FIN_WAIT_2,
                                                                   TcpSocket::TIME_WAIT,
                                                                   TcpSocket::CLOSED,
                                                                   TcpSocket::CLOSE_WAIT,
                                                                   TcpSocket::LAST_ACK,
                                                                   TcpSocket::LISTEN,
                                                                   TcpSocket::CLOSING};
    return state < states.size() ? states[state] : TcpSocket::CLOSED;
}

TcpSocketState::TcpCongState_t
ToCongestionState(uint8_t state)
{
    /* The same numbers in both. */
    return state < TcpSocketState::CA_LAST_STATE
               ? static_cast<TcpSocketState::TcpCongState_t>(state)
               : TcpSocketState::CA_OPEN;
}

} // namespace

TcpInfoTracer::TcpInfoTracer()
{
}

TcpInfoTracer::TcpInfoTracer(const TcpInfoTracer&)
    : TcpInfoTracer()
{
}

TcpInfoTracer::~TcpInfoTracer()
{
    StopTracing();
}

TypeId
TcpInfoTracer::AddTraceSources(TypeId type)
{
    return type
        .AddTraceSource("TcpInfo",
                        "The state of the connection has changed.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_infoTrace),
                        "ns3::TcpInfoTracer::TcpInfoTracedCallback")
        .AddTraceSource("CongestionWindow",
                        "The kernel's snd_cwnd, in bytes.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_cwndTrace),
                        "ns3::TracedValueCallback::Uint32")
        .AddTraceSource("SlowStartThreshold",
                        "The kernel's snd_ssthresh, in bytes; 0xffffffff: infinite.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_ssthreshTrace),
                        "ns3::TracedValueCallback::Uint32")
        .AddTraceSource("BytesInFlight",
                        "What is sent and not acknowledged, lost or retransmitted, in bytes: "
                        "segments of full size, as the kernel counts.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_bytesInFlightTrace),
                        "ns3::TracedValueCallback::Uint32")
        .AddTraceSource("RTT",
                        "The kernel's smoothed round-trip time.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_rttTrace),
                        "ns3::TracedValueCallback::Time")
        .AddTraceSource("RTO",
                        "The retransmission timeout.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_rtoTrace),
                        "ns3::TracedValueCallback::Time")
        .AddTraceSource("State",
                        "The connection's state.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_stateTrace),
                        "ns3::TcpStatesTracedValueCallback")
        .AddTraceSource("CongState",
                        "The state of the congestion control.",
                        MakeTraceSourceAccessor(&TcpInfoTracer::m_congestionStateTrace),
                        "ns3::TcpCongStatesTracedValueCallback");
}

const ns3qemu::GuestTcpInfo&
TcpInfoTracer::GetTcpInfo()
{
    Read();
    return m_info;
}

void
TcpInfoTracer::StartTracing(Ptr<GuestAccess> guest, uint32_t handle)
{
    m_tracedGuest = guest;
    m_tracedHandle = handle;
    guest->AddListener(this);
    Sample();
}

void
TcpInfoTracer::StopTracing()
{
    if (m_tracedGuest)
    {
        m_tracedGuest->RemoveListener(this);
        m_tracedGuest = nullptr;
    }
}

bool
TcpInfoTracer::IsAsking() const
{
    return IsTraced();
}

bool
TcpInfoTracer::IsTraced() const
{
    return !m_infoTrace.IsEmpty() || !m_cwndTrace.IsEmpty() || !m_ssthreshTrace.IsEmpty() ||
           !m_bytesInFlightTrace.IsEmpty() || !m_rttTrace.IsEmpty() || !m_rtoTrace.IsEmpty() ||
           !m_stateTrace.IsEmpty() || !m_congestionStateTrace.IsEmpty();
}

void
TcpInfoTracer::OnTurn(GuestAccess::TurnCause cause, uint32_t frames)
{
    /*
     * TCP changes its state when a segment arrives, or when it sends one because a timer has
     * expired. Asking after a mere tick would keep the guest from stopping its tick.
     */
    if (cause == GuestAccess::FRAME || (cause == GuestAccess::TIMER && frames > 0))
    {
        Sample();
    }
}

void
TcpInfoTracer::Sample()
{
    if (IsTraced())
    {
        Read();
    }
}

void
TcpInfoTracer::Read()
{
    if (!m_tracedGuest || !m_tracedGuest->IsRunning())
    {
        return;
    }
    std::vector<uint8_t> raw;
    m_tracedGuest->Request([&](ns3qemu::RelayClient& relay) {
        raw = relay.GetOption(m_tracedHandle, IPPROTO_TCP, TCP_INFO, ns3qemu::GuestTcpInfo::SIZE);
    });
    if (raw.empty())
    {
        return; // the machine has failed, and the run ends
    }
    const auto before = m_info;
    m_info = ns3qemu::GuestTcpInfo::Parse(raw);
    const auto& now = m_info;
    if (now.cwnd != before.cwnd || now.ssthresh != before.ssthresh || now.rtt != before.rtt ||
        now.rttvar != before.rttvar || now.caState != before.caState || now.state != before.state ||
        now.totalRetrans != before.totalRetrans)
    {
        m_infoTrace(now);
    }
    const auto change = [](auto& trace, auto& last, auto value) {
        if (value != last)
        {
            const auto old = last;
            last = value;
            trace(old, value);
        }
    };
    change(m_cwndTrace, m_lastCwnd, now.cwnd * now.sndMss);
    change(m_ssthreshTrace,
           m_lastSsthresh,
           now.ssthresh >= 0x7fffffff ? UINT32_MAX : now.ssthresh * now.sndMss);
    const uint32_t gone = now.sacked + now.lost;
    change(m_bytesInFlightTrace,
           m_lastBytesInFlight,
           (now.unacked + now.retrans > gone ? now.unacked + now.retrans - gone : 0) * now.sndMss);
    if (now.rtt != before.rtt)
    {
        m_rttTrace(MicroSeconds(before.rtt), MicroSeconds(now.rtt));
    }
    if (now.rto != before.rto)
    {
        m_rtoTrace(MicroSeconds(before.rto), MicroSeconds(now.rto));
    }
    change(m_stateTrace, m_lastState, ToState(now.state));
    if (now.caState != before.caState)
    {
        m_congestionStateTrace(ToCongestionState(before.caState), ToCongestionState(now.caState));
    }
}

} // namespace ns3
