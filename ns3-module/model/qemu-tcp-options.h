/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_OPTIONS_H
#define NS3_QEMU_TCP_OPTIONS_H

#include "qemu-socket.h"

#include "ns3/nstime.h"
#include "ns3/tcp-socket.h"

#include <cstdint>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief The attributes of an ns3::TcpSocket as options of a guest's socket.
 *
 * Attributes that a script does not set, by Config::SetDefault or at the socket, are left to the
 * kernel; the default values of ns-3 mean nothing here. See the section on sockets in qemu.rst for
 * what they are mapped to.
 */
class QemuTcpOptions : public QemuSocket<TcpSocket>
{
  public:
    QemuTcpOptions();

  protected:
    /** A fork of a listening socket: the attributes are the same. */
    QemuTcpOptions(const QemuTcpOptions& listener);

    void NotifyConstructionCompleted() override;

    void SetCongestionControl(std::string name);
    std::string GetCongestionControl() const;

    // Inherited from TcpSocket
    void SetSndBufSize(uint32_t size) override;
    uint32_t GetSndBufSize() const override;
    void SetRcvBufSize(uint32_t size) override;
    uint32_t GetRcvBufSize() const override;
    void SetSegSize(uint32_t size) override;
    uint32_t GetSegSize() const override;
    void SetInitialSSThresh(uint32_t threshold) override;
    uint32_t GetInitialSSThresh() const override;
    void SetInitialCwnd(uint32_t cwnd) override;
    uint32_t GetInitialCwnd() const override;
    void SetConnTimeout(Time timeout) override;
    Time GetConnTimeout() const override;
    void SetSynRetries(uint32_t count) override;
    uint32_t GetSynRetries() const override;
    void SetDataRetries(uint32_t retries) override;
    uint32_t GetDataRetries() const override;
    void SetDelAckTimeout(Time timeout) override;
    Time GetDelAckTimeout() const override;
    void SetDelAckMaxCount(uint32_t count) override;
    uint32_t GetDelAckMaxCount() const override;
    void SetTcpNoDelay(bool noDelay) override;
    bool GetTcpNoDelay() const override;
    void SetPersistTimeout(Time timeout) override;
    Time GetPersistTimeout() const override;

    uint32_t m_initialWindow{0};    // segments; 0: a script has not set it
    double m_maxSegmentLifetime{0}; // s

  private:
    void Ignore(const char* attribute, const char* instead) const;

    /* The attributes as a script sees them. */
    struct Attributes
    {
        uint32_t sendBuffer{0};
        uint32_t receiveBuffer{0};
        uint32_t segmentSize{0};
        uint32_t initialSsthresh{0};
        uint32_t initialCwnd{0};
        Time connectTimeout;
        uint32_t synRetries{0};
        uint32_t dataRetries{0};
        Time delayedAckTimeout;
        uint32_t delayedAckCount{0};
        bool noDelay{false};
        Time persistTimeout;
        std::string congestionControl;
    };

    Attributes m_attributes;
    bool m_constructed{false}; // until then ns-3's own defaults are set
};

/**
 * @param type name of the TypeId of a congestion control of ns-3
 * @return Linux' name of its counterpart; empty if it has none, which is logged
 */
std::string GetLinuxCongestionControl(const std::string& type);

} // namespace ns3

#endif /* NS3_QEMU_TCP_OPTIONS_H */
