/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-tcp-source.h"

#include "guest-address.h"
#include "guest-buffer.h"

#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/relay-client.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTcpSource");

NS_OBJECT_ENSURE_REGISTERED(QemuTcpSource);

TypeId
QemuTcpSource::GetTypeId()
{
    static TypeId tid = AddTraceSources(
        TypeId("ns3::QemuTcpSource")
            .SetParent<Application>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuTcpSource>()
            .AddAttribute("Remote",
                          "Where to connect to: an InetSocketAddress or Inet6SocketAddress.",
                          AddressValue(),
                          MakeAddressAccessor(&QemuTcpSource::m_remote),
                          MakeAddressChecker())
            .AddAttribute("Local",
                          "Where to connect from. Unset: the guest chooses.",
                          AddressValue(),
                          MakeAddressAccessor(&QemuTcpSource::m_local),
                          MakeAddressChecker())
            .AddAttribute("MaxBytes",
                          "How many bytes to send; 0: until the application stops.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSource::m_maxBytes),
                          MakeUintegerChecker<uint64_t>())
            .AddAttribute(
                "WriteSize",
                "How many bytes the guest's program has in the buffer that it writes, to "
                "its end, before it fills it anew; 0: its own choice, and never at an end.",
                UintegerValue(0),
                MakeUintegerAccessor(&QemuTcpSource::m_writeSize),
                MakeUintegerChecker<uint32_t>())
            .AddAttribute("SndBufSize",
                          "SO_SNDBUF of the socket, bytes; Linux doubles it. 0: unset, the kernel "
                          "adjusts its buffer to the connection.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSource::m_sendBuffer),
                          MakeUintegerChecker<uint32_t>(0, INT32_MAX / 2))
            .AddAttribute("CongestionControl",
                          "TCP_CONGESTION of the socket. Empty: the guest's sysctl decides.",
                          StringValue(""),
                          MakeStringAccessor(&QemuTcpSource::m_congestionControl),
                          MakeStringChecker())
            .AddAttribute("Protocol",
                          "The number of the socket's protocol: 0 for TCP, 262 for MPTCP (from "
                          "Linux 5.6 on).",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSource::m_protocol),
                          MakeUintegerChecker<uint32_t>()));
    return tid;
}

QemuTcpSource::QemuTcpSource()
{
    NS_LOG_FUNCTION(this);
}

QemuTcpSource::~QemuTcpSource()
{
    NS_LOG_FUNCTION(this);
}

void
QemuTcpSource::DoDispose()
{
    NS_LOG_FUNCTION(this);
    StopTracing();
    m_machine = nullptr;
    Application::DoDispose();
}

int
QemuTcpSource::GetErrno() const
{
    return m_errno;
}

const ns3qemu::GuestTcpInfo&
QemuTcpSource::GetTcpInfo()
{
    if (m_machine)
    {
        m_machine->CheckHere();
    }
    return TcpInfoTracer::GetTcpInfo();
}

void
QemuTcpSource::StartApplication()
{
    NS_LOG_FUNCTION(this);
    m_machine = VirtualMachine::Of(m_node);
    NS_ABORT_MSG_UNLESS(m_machine, "QemuTcpSource needs a node with a VirtualMachine");
    if (m_machine->IsRunning())
    {
        Open();
    }
}

void
QemuTcpSource::Open()
{
    const auto remote = ToGuestEndpoint(m_remote, "Remote");
    m_machine->Request([&](ns3qemu::RelayClient& relay) {
        m_handle = relay.Socket(remote.address.family, SOCK_STREAM, m_protocol);
        m_open = true;
        m_machine->Watch(m_handle, MakeCallback(&QemuTcpSource::OnReady, this));
        if (!m_congestionControl.empty())
        {
            relay.SetOption(m_handle,
                            IPPROTO_TCP,
                            TCP_CONGESTION,
                            {m_congestionControl.begin(), m_congestionControl.end()});
        }
        if (m_sendBuffer > 0)
        {
            /* With force, or net.core.wmem_max would cut it. */
            std::vector<uint8_t> size(sizeof(m_sendBuffer));
            std::memcpy(size.data(), &m_sendBuffer, sizeof(m_sendBuffer));
            size = FitGuestBuffer(relay, m_machine->GetName(), SOL_SOCKET, SO_SNDBUFFORCE, size);
            relay.SetOption(m_handle, SOL_SOCKET, SO_SNDBUFFORCE, size);
        }
        if (!m_local.IsInvalid())
        {
            relay.Bind(m_handle, ToGuestEndpoint(m_local, "Local"));
        }
        relay.Watch(m_handle, RELAY_WRITABLE);
        relay.Connect(m_handle, remote);
    });
    StartTracing(m_machine, m_handle);
}

void
QemuTcpSource::OnReady(const RelayReady& ready)
{
    NS_LOG_FUNCTION(this << ready.conditions << ready.error);
    if (ready.conditions & RELAY_ERROR)
    {
        m_errno = ready.error;
    }
    else if ((ready.conditions & RELAY_WRITABLE) && !m_connected)
    {
        m_connected = true;
        ns3qemu::GuestStream stream;
        stream.direction = RELAY_STREAM_SOURCE;
        stream.length = m_maxBytes;
        stream.chunk = m_writeSize;
        m_machine->Request([&](ns3qemu::RelayClient& relay) { relay.Stream(m_handle, stream); });
    }
}

void
QemuTcpSource::StopApplication()
{
    NS_LOG_FUNCTION(this);
    if (!m_open)
    {
        return;
    }
    m_open = false;
    Read();
    StopTracing();
    m_machine->Unwatch(m_handle);
    if (m_machine->IsRunning())
    {
        m_machine->Request([&](ns3qemu::RelayClient& relay) { relay.Close(m_handle); });
    }
}

} // namespace ns3
