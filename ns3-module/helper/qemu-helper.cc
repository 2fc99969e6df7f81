/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-helper.h"

#include "../model/distributed-run.h"
#include "../model/qemu-net-device.h"
#include "../model/qemu-socket-factory.h"
#include "../model/virtual-machine.h"
#include "tcp-info-writer.h"

#include "ns3/abort.h"
#include "ns3/ipv4-global-routing-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/ipv6-list-routing-helper.h"
#include "ns3/ipv6-static-routing-helper.h"
#include "ns3/log.h"
#include "ns3/loopback-net-device.h"
#include "ns3/names.h"
#include "ns3/node.h"
#include "ns3/pcap-file-wrapper.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/vm-error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <unistd.h>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuHelper");

namespace
{

void
WriteGuestTcpInfo(Ptr<TcpInfoWriter> writer, const ns3qemu::GuestTcpInfo& info)
{
    writer->WriteGuest(info);
}

void
TraceTcp(Ptr<TcpInfoWriter> writer, Ptr<Node> node)
{
    const auto factory = node->GetObject<QemuTcpSocketFactory>();
    if (!factory)
    {
        writer->TraceNative(node);
        return;
    }
    NS_ABORT_MSG_IF(factory->GetNSockets() == 0, "there is no TCP socket to trace");
    factory->GetSocket(0)->TraceConnectWithoutContext(
        "TcpInfo",
        MakeBoundCallback(&WriteGuestTcpInfo, writer));
}

/* A capture, whose every failure is told: once. */
struct CaptureFile
{
    std::string name;
    Ptr<PcapFileWrapper> file;
    bool failed{false};

    void Check()
    {
        if (file->Fail() && !failed)
        {
            failed = true;
            throw ns3qemu::VmError("cannot write the capture '" + name + "'" +
                                   (errno != 0 ? std::string(": ") + std::strerror(errno) : "") +
                                   ". What it holds ends before the simulation does");
        }
    }
};

/* PcapHelper aborts if it cannot. */
void
CheckWritable(const std::string& name)
{
    const int file = open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0)
    {
        throw ns3qemu::VmError("cannot write the capture '" + name + "': " + std::strerror(errno));
    }
    close(file);
}

/* As PcapHelper's, which looks at nothing. */
void
Capture(std::shared_ptr<CaptureFile> capture, Ptr<const Packet> frame)
{
    errno = 0;
    capture->file->Write(Simulator::Now(), frame);
    capture->Check();
}

void
CloseCapture(std::shared_ptr<CaptureFile> capture)
{
    errno = 0;
    capture->file->Close();
    capture->Check();
}

/* At the application's start, after the event in which it opens its socket. */
void
TraceTcpSoon(Ptr<TcpInfoWriter> writer, Ptr<Node> node)
{
    Simulator::ScheduleNow(&TraceTcp, writer, node);
}

/* The rank of a distributed simulation that simulates the node writes its files. */
template <typename Ip>
bool
IsElsewhere(Ptr<Ip> ip)
{
    const auto node = ip->template GetObject<Node>();
    return node && DistributedRun::IsElsewhere(node);
}

} // namespace

QemuHelper::QemuHelper(const std::string& image)
{
    NS_LOG_FUNCTION(this << image);
    m_installer.m_factory.SetTypeId("ns3::VirtualMachine");
    m_installer.m_factory.Set("Image", StringValue(image));
    InternetStackHelper::SetIpv6StackInstall(false);
    Reset();
}

QemuHelper::~QemuHelper()
{
    NS_LOG_FUNCTION(this);
}

void
QemuHelper::Reset()
{
    NS_LOG_FUNCTION(this);
    m_installer.m_ipv4 = true;
    m_installer.m_ipv6 = true;
    Ipv4ListRoutingHelper ipv4;
    ipv4.Add(Ipv4StaticRoutingHelper(), 0);
    ipv4.Add(Ipv4GlobalRoutingHelper(), -10);
    m_installer.m_ipv4Routing.reset(ipv4.Copy());
    Ipv6ListRoutingHelper ipv6;
    ipv6.Add(Ipv6StaticRoutingHelper(), 0);
    m_installer.m_ipv6Routing.reset(ipv6.Copy());
    UpdateBase();
}

/* What is copied where somebody takes an InternetStackHelper. */
void
QemuHelper::UpdateBase()
{
    InternetStackHelper::SetRoutingHelper(m_installer);
}

void
QemuHelper::SetAttribute(const std::string& name, const AttributeValue& value)
{
    NS_LOG_FUNCTION(this << name);
    m_installer.m_factory.Set(name, value);
    UpdateBase();
}

void
QemuHelper::SetRoutingHelper(const Ipv4RoutingHelper& routing)
{
    NS_LOG_FUNCTION(this);
    m_installer.m_ipv4Routing.reset(routing.Copy());
    UpdateBase();
}

void
QemuHelper::SetRoutingHelper(const Ipv6RoutingHelper& routing)
{
    NS_LOG_FUNCTION(this);
    m_installer.m_ipv6Routing.reset(routing.Copy());
    UpdateBase();
}

void
QemuHelper::SetIpv4StackInstall(bool enable)
{
    NS_LOG_FUNCTION(this << enable);
    m_installer.m_ipv4 = enable;
    UpdateBase();
}

void
QemuHelper::SetIpv6StackInstall(bool enable)
{
    NS_LOG_FUNCTION(this << enable);
    m_installer.m_ipv6 = enable;
    UpdateBase();
}

Ptr<VirtualMachine>
QemuHelper::Install(Ptr<Node> node) const
{
    NS_LOG_FUNCTION(this << node);
    return m_installer.Install(node);
}

std::vector<Ptr<VirtualMachine>>
QemuHelper::Install(const NodeContainer& nodes) const
{
    std::vector<Ptr<VirtualMachine>> machines;
    for (auto node = nodes.Begin(); node != nodes.End(); node++)
    {
        machines.push_back(Install(*node));
    }
    return machines;
}

Ptr<VirtualMachine>
QemuHelper::Install(const std::string& name) const
{
    const auto node = Names::Find<Node>(name);
    if (!node)
    {
        throw std::invalid_argument("there is no node of the name '" + name + "'");
    }
    return Install(node);
}

std::vector<Ptr<VirtualMachine>>
QemuHelper::InstallAll() const
{
    return Install(NodeContainer::GetGlobal());
}

int64_t
QemuHelper::AssignStreams(const NodeContainer& /* nodes */, int64_t stream)
{
    NS_LOG_FUNCTION(this << stream);
    return 0;
}

void
QemuHelper::EnableTcpInfo(const std::string& filename, Ptr<Application> source)
{
    NS_LOG_FUNCTION(filename << source);
    if (source->GetNode() && DistributedRun::IsElsewhere(source->GetNode()))
    {
        return;
    }
    auto writer = Create<TcpInfoWriter>(filename);
    if (source->TraceConnectWithoutContext("TcpInfo",
                                           MakeBoundCallback(&WriteGuestTcpInfo, writer)))
    {
        return;
    }
    const auto node = source->GetNode();
    if (!node || (!node->GetObject<TcpL4Protocol>() && !node->GetObject<QemuTcpSocketFactory>()))
    {
        throw std::invalid_argument(source->GetInstanceTypeId().GetName() +
                                    " has no TCP state to trace: it is neither a QemuTcpSource nor "
                                    "on a node with TCP sockets");
    }
    TimeValue start;
    source->GetAttribute("StartTime", start);
    Simulator::Schedule(start.Get(), &TraceTcpSoon, writer, node);
}

void
QemuHelper::EnablePcapInternal(std::string prefix,
                               Ptr<NetDevice> device,
                               bool promiscuous,
                               bool explicitFilename)
{
    NS_LOG_FUNCTION(this << prefix << device << promiscuous << explicitFilename);
    const auto machine = VirtualMachine::Of(device->GetNode());
    if (!machine || DynamicCast<LoopbackNetDevice>(device))
    {
        NS_LOG_INFO("Device " << device << " is not joined to a virtual machine's NIC");
        return;
    }
    const auto nic = machine->GetNic(device); // in all ranks: they number devices alike
    if (DistributedRun::IsElsewhere(device->GetNode()))
    {
        return; // the other rank writes the file
    }
    PcapHelper helper;
    const std::string filename =
        explicitFilename ? prefix : helper.GetFilenameFromDevice(prefix, nic->GetJoinedDevice());
    if (!m_captures.insert(filename).second)
    {
        return; // EnablePcapAll comes by a NIC and by the device that it is joined to
    }
    CheckWritable(filename);
    auto capture = std::make_shared<CaptureFile>();
    capture->name = filename;
    capture->file = helper.CreateFile(filename, std::ios::out, PcapHelper::DLT_EN10MB);
    nic->TraceConnectWithoutContext(promiscuous ? "PromiscSniffer" : "Sniffer",
                                    MakeBoundCallback(&Capture, capture));
    Simulator::ScheduleDestroy(&CloseCapture, capture);
}

/* InternetStackHelper's own do it, with the trace sources that a machine's Ipv4 and Ipv6 have; but
 * what this one is to InternetStackHelper has no IPv6. */

void
QemuHelper::EnablePcapIpv4Internal(std::string prefix,
                                   Ptr<Ipv4> ipv4,
                                   uint32_t interface,
                                   bool explicitFilename)
{
    if (IsElsewhere(ipv4))
    {
        return;
    }
    InternetStackHelper().EnablePcapIpv4(prefix, ipv4, interface, explicitFilename);
}

void
QemuHelper::EnablePcapIpv6Internal(std::string prefix,
                                   Ptr<Ipv6> ipv6,
                                   uint32_t interface,
                                   bool explicitFilename)
{
    if (IsElsewhere(ipv6))
    {
        return;
    }
    InternetStackHelper().EnablePcapIpv6(prefix, ipv6, interface, explicitFilename);
}

void
QemuHelper::EnableAsciiIpv4Internal(Ptr<OutputStreamWrapper> stream,
                                    std::string prefix,
                                    Ptr<Ipv4> ipv4,
                                    uint32_t interface,
                                    bool explicitFilename)
{
    if (IsElsewhere(ipv4))
    {
        return;
    }
    InternetStackHelper helper;
    if (stream)
    {
        helper.EnableAsciiIpv4(stream, ipv4, interface);
    }
    else
    {
        helper.EnableAsciiIpv4(prefix, ipv4, interface, explicitFilename);
    }
}

void
QemuHelper::EnableAsciiIpv6Internal(Ptr<OutputStreamWrapper> stream,
                                    std::string prefix,
                                    Ptr<Ipv6> ipv6,
                                    uint32_t interface,
                                    bool explicitFilename)
{
    if (IsElsewhere(ipv6))
    {
        return;
    }
    InternetStackHelper helper;
    if (stream)
    {
        helper.EnableAsciiIpv6(stream, ipv6, interface);
    }
    else
    {
        helper.EnableAsciiIpv6(prefix, ipv6, interface, explicitFilename);
    }
}

} // namespace ns3
