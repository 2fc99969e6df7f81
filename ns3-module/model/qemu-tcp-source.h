/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_SOURCE_H
#define NS3_QEMU_TCP_SOURCE_H

#include "tcp-info-tracer.h"
#include "virtual-machine.h"

#include "ns3/address.h"
#include "ns3/application.h"
#include "ns3/relay-protocol.h"

#include <cstdint>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Opens a TCP connection in the guest and keeps its socket full, as BulkSendApplication
 * does.
 *
 * The guest's own relay writes the data, so no payload crosses between simulator and guest but in
 * frames. The state of the connection is the kernel's struct tcp_info, read after every turn of the
 * machine in which it can have changed; reading it changes no packet.
 */
class QemuTcpSource : public Application, public TcpInfoTracer
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuTcpSource();
    ~QemuTcpSource() override;

    /** @return the errno with which the connection failed or ended, or 0 */
    int GetErrno() const;

    /**
     * @copydoc TcpInfoTracer::GetTcpInfo
     * @throw ns3qemu::VmError if another rank of a distributed simulation has the connection
     */
    const ns3qemu::GuestTcpInfo& GetTcpInfo();

  protected:
    void DoDispose() override;

  private:
    void StartApplication() override;
    void StopApplication() override;
    void Open();
    void OnReady(const RelayReady& ready);

    /* attributes */
    Address m_remote;
    Address m_local;
    uint64_t m_maxBytes;
    uint32_t m_writeSize;
    uint32_t m_sendBuffer;
    uint32_t m_protocol;
    std::string m_congestionControl;

    Ptr<VirtualMachine> m_machine;
    bool m_open{false};
    bool m_connected{false};
    uint32_t m_handle{0};
    int m_errno{0};
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_SOURCE_H */
