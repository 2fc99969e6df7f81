/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_SINK_H
#define NS3_QEMU_TCP_SINK_H

#include "ns3/address.h"
#include "ns3/application.h"
#include "ns3/relay-protocol.h"

#include <cstdint>
#include <vector>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief Accepts TCP connections in the guest, reads all that comes and discards it, as PacketSink
 * does.
 */
class QemuTcpSink : public Application
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTcpSink();
    ~QemuTcpSink() override;

    /** @return how many bytes the guest's program has read, over all connections. */
    uint64_t GetTotalRx();
    /** @return how many connections have been accepted */
    uint32_t GetNConnections() const;

  protected:
    void DoDispose() override;

  private:
    void StartApplication() override;
    void StopApplication() override;
    void OnReady(const RelayReady& ready);

    /* attributes */
    Address m_local;
    uint32_t m_protocol;
    uint32_t m_readSize;
    uint32_t m_readsPerWake;

    Ptr<VirtualMachine> m_machine;
    bool m_open{false};
    uint32_t m_handle{0};
    std::vector<uint32_t> m_connections;
    uint64_t m_totalRx{0};
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_SINK_H */
