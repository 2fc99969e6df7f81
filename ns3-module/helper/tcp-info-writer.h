/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_INFO_WRITER_H
#define NS3_QEMU_TCP_INFO_WRITER_H

#include "ns3/guest-tcp-info.h"
#include "ns3/node.h"
#include "ns3/nstime.h"
#include "ns3/output-stream-wrapper.h"
#include "ns3/simple-ref-count.h"

#include <cstdint>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Writes the state of a TCP connection to a CSV file, on every change of what a row shows.
 *
 * The state comes from a guest's kernel, or from a socket of ns-3's own stack.
 */
class TcpInfoWriter : public SimpleRefCount<TcpInfoWriter>
{
  public:
    /** @param filename the file; it begins with the columns' names */
    explicit TcpInfoWriter(const std::string& filename);

    /** Write a guest's state. */
    void WriteGuest(const ns3qemu::GuestTcpInfo& info);

    /**
     * Trace the first TCP socket of a node with ns-3's own stack.
     * @param node the node; the socket must be there
     */
    void TraceNative(Ptr<Node> node);

  private:
    void Write(uint32_t cwnd, uint32_t ssthresh, int64_t srtt);
    void WriteNative();
    void OnCwnd(uint32_t before, uint32_t now);
    void OnSsthresh(uint32_t before, uint32_t now);
    void OnRtt(Time before, Time now);

    Ptr<OutputStreamWrapper> m_stream;
    std::string m_last;

    uint32_t m_segmentSize{1};
    uint32_t m_cwnd{0};               // bytes
    uint32_t m_ssthresh{0xffffffffU}; // bytes
    Time m_srtt;
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_INFO_WRITER_H */
