/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-tcp-sink.h"

#include "guest-address.h"
#include "virtual-machine.h"

#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/relay-client.h"
#include "ns3/uinteger.h"

#include <cerrno>
#include <sys/socket.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuTcpSink");

NS_OBJECT_ENSURE_REGISTERED(QemuTcpSink);

TypeId
QemuTcpSink::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::QemuTcpSink")
            .SetParent<Application>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuTcpSink>()
            .AddAttribute("Local",
                          "Where to listen: an InetSocketAddress or Inet6SocketAddress.",
                          AddressValue(),
                          MakeAddressAccessor(&QemuTcpSink::m_local),
                          MakeAddressChecker())
            .AddAttribute("Protocol",
                          "The number of the socket's protocol: 0 for TCP, 262 for MPTCP (from "
                          "Linux 5.6 on).",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSink::m_protocol),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("ReadSize",
                          "How many bytes the guest's program asks for with each read(2); 0: its "
                          "own choice.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSink::m_readSize),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("ReadsPerWake",
                          "How often it reads when data has come; 0: until there is no more.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&QemuTcpSink::m_readsPerWake),
                          MakeUintegerChecker<uint32_t>());
    return tid;
}

QemuTcpSink::QemuTcpSink()
{
    NS_LOG_FUNCTION(this);
}

QemuTcpSink::~QemuTcpSink()
{
    NS_LOG_FUNCTION(this);
}

void
QemuTcpSink::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_machine = nullptr;
    Application::DoDispose();
}

uint64_t
QemuTcpSink::GetTotalRx()
{
    if (m_machine)
    {
        m_machine->CheckHere();
    }
    if (!m_open || !m_machine->IsRunning())
    {
        return m_totalRx;
    }
    m_totalRx = 0;
    m_machine->Request([this](ns3qemu::RelayClient& relay) {
        for (const auto connection : m_connections)
        {
            m_totalRx += relay.GetStreamStat(connection).bytes;
        }
    });
    return m_totalRx;
}

uint32_t
QemuTcpSink::GetNConnections() const
{
    return static_cast<uint32_t>(m_connections.size());
}

void
QemuTcpSink::StartApplication()
{
    NS_LOG_FUNCTION(this);
    m_machine = VirtualMachine::Of(m_node);
    NS_ABORT_MSG_UNLESS(m_machine, "QemuTcpSink needs a node with a VirtualMachine");
    if (!m_machine->IsRunning())
    {
        return;
    }
    const auto local = ToGuestEndpoint(m_local, "Local");
    m_machine->Request([&](ns3qemu::RelayClient& relay) {
        m_handle = relay.Socket(local.address.family, SOCK_STREAM, m_protocol);
        m_open = true;
        relay.Bind(m_handle, local);
        relay.Listen(m_handle, SOMAXCONN);
        m_machine->Watch(m_handle, MakeCallback(&QemuTcpSink::OnReady, this));
        relay.Watch(m_handle, RELAY_READABLE);
    });
}

void
QemuTcpSink::OnReady(const RelayReady& ready)
{
    NS_LOG_FUNCTION(this << ready.conditions);
    if (!m_open || !(ready.conditions & RELAY_READABLE))
    {
        return;
    }
    m_machine->Request([this](ns3qemu::RelayClient& relay) {
        try
        {
            for (;;)
            {
                const uint32_t connection = relay.Accept(m_handle);
                m_connections.push_back(connection);
                ns3qemu::GuestStream stream;
                stream.direction = RELAY_STREAM_SINK;
                stream.chunk = m_readSize;
                stream.perWake = m_readsPerWake;
                relay.Stream(connection, stream);
            }
        }
        catch (const ns3qemu::GuestError& error)
        {
            if (error.GetErrno() != EAGAIN)
            {
                throw;
            }
        }
    });
}

void
QemuTcpSink::StopApplication()
{
    NS_LOG_FUNCTION(this);
    if (!m_open)
    {
        return;
    }
    GetTotalRx();
    m_open = false;
    m_machine->Unwatch(m_handle);
    if (m_machine->IsRunning())
    {
        m_machine->Request([this](ns3qemu::RelayClient& relay) {
            for (const auto connection : m_connections)
            {
                relay.Close(connection);
            }
            relay.Close(m_handle);
        });
    }
}

} // namespace ns3
