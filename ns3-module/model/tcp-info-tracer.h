/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_INFO_TRACER_H
#define NS3_QEMU_TCP_INFO_TRACER_H

#include "guest-access.h"

#include "ns3/guest-tcp-info.h"
#include "ns3/nstime.h"
#include "ns3/tcp-socket-state.h"
#include "ns3/tcp-socket.h"
#include "ns3/traced-callback.h"

#include <cstdint>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief The trace sources of one TCP connection of a guest.
 *
 * They are the kernel's struct tcp_info, read after every turn of the machine in which it can have
 * changed: that in which a segment arrived, or one was sent because a timer had expired. It is read
 * only while something is connected to one of them; reading it changes no packet.
 *
 * The names and signatures are those of TcpSocketBase. Old values are those of the sample before,
 * which is taken when something is connected; until then they are 0.
 */
class TcpInfoTracer : private GuestAccess::TurnListener
{
  public:
    TcpInfoTracer();
    ~TcpInfoTracer() override;

    /**
     * @return the connection's tcp_info: as it is now while the connection is open, else as it was
     *         when it was closed
     */
    const ns3qemu::GuestTcpInfo& GetTcpInfo();

    /**
     * TracedCallback signature of a change of the connection's state.
     * @param info the kernel's struct tcp_info
     */
    typedef void (*TcpInfoTracedCallback)(const ns3qemu::GuestTcpInfo& info);

  protected:
    /** Another connection: nothing is connected to its trace sources. */
    TcpInfoTracer(const TcpInfoTracer& other);

    /** @return the type, with the trace sources */
    static TypeId AddTraceSources(TypeId type);

    /**
     * Begin.
     * @param guest where the socket is
     * @param handle the relay's handle of a TCP socket
     */
    void StartTracing(Ptr<GuestAccess> guest, uint32_t handle);
    /** End. */
    void StopTracing();
    /** Read it now, if somebody is connected to a trace source. */
    void Sample();
    /** Read it now. */
    void Read();

  private:
    bool IsTraced() const;
    void OnTurn(GuestAccess::TurnCause cause, uint32_t frames) override;
    bool IsAsking() const override;

    Ptr<GuestAccess> m_tracedGuest;
    uint32_t m_tracedHandle{0};
    ns3qemu::GuestTcpInfo m_info;
    uint32_t m_lastCwnd{0};
    uint32_t m_lastSsthresh{0};
    uint32_t m_lastBytesInFlight{0};
    TcpSocket::TcpStates_t m_lastState{TcpSocket::CLOSED};

    TracedCallback<const ns3qemu::GuestTcpInfo&> m_infoTrace;
    TracedCallback<uint32_t, uint32_t> m_cwndTrace;
    TracedCallback<uint32_t, uint32_t> m_ssthreshTrace;
    TracedCallback<uint32_t, uint32_t> m_bytesInFlightTrace;
    TracedCallback<Time, Time> m_rttTrace;
    TracedCallback<Time, Time> m_rtoTrace;
    TracedCallback<TcpSocket::TcpStates_t, TcpSocket::TcpStates_t> m_stateTrace;
    TracedCallback<TcpSocketState::TcpCongState_t, TcpSocketState::TcpCongState_t>
        m_congestionStateTrace;
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_INFO_TRACER_H */
