/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The guest kernel's struct tcp_info. It knows no ns-3.
 */
#ifndef NS3_QEMU_GUEST_TCP_INFO_H
#define NS3_QEMU_GUEST_TCP_INFO_H

#include <cstdint>
#include <vector>

namespace ns3qemu
{

/**
 * The part of Linux' struct tcp_info that all kernels since 2.6.26 have (tcp(7), linux/tcp.h).
 * Kernels only ever append to it.
 */
struct GuestTcpInfo
{
    /** How many bytes of it Parse() needs. */
    static constexpr uint32_t SIZE = 104;

    uint8_t state{0};         //!< TCP_ESTABLISHED is 1
    uint8_t caState{0};       //!< 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
    uint8_t backoff{0};       //!< doublings of the RTO
    uint32_t rto{0};          //!< us
    uint32_t sndMss{0};       //!< bytes
    uint32_t unacked{0};      //!< segments
    uint32_t sacked{0};       //!< segments
    uint32_t lost{0};         //!< segments
    uint32_t retrans{0};      //!< segments, out now
    uint32_t rtt{0};          //!< smoothed, us
    uint32_t rttvar{0};       //!< us
    uint32_t ssthresh{0};     //!< segments; 0x7fffffff: infinite
    uint32_t cwnd{0};         //!< segments
    uint32_t totalRetrans{0}; //!< segments, so far

    /**
     * @param raw what getsockopt(IPPROTO_TCP, TCP_INFO) gave in the guest
     * @throw VmError if it is too short
     */
    static GuestTcpInfo Parse(const std::vector<uint8_t>& raw);
};

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_TCP_INFO_H */
