/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-helper.h"

#include "../model/guest-tcp-info.h"
#include "../model/qemu-net-device.h"
#include "../model/qemu-tcp-source.h"
#include "../model/virtual-machine.h"

#include "ns3/ipv4.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/output-stream-wrapper.h"
#include "ns3/pcap-file-wrapper.h"
#include "ns3/simulator.h"
#include "ns3/string.h"

#include <cstdio>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuHelper");

namespace
{

/* Rows differ in what they show: a change of another field makes none. */
struct TcpInfoWriter : public SimpleRefCount<TcpInfoWriter>
{
    explicit TcpInfoWriter(Ptr<OutputStreamWrapper> output)
        : stream(output)
    {
    }

    void Write(const ns3qemu::GuestTcpInfo& info)
    {
        char row[96];
        std::snprintf(row,
                      sizeof(row),
                      "%u,%u,%u.%03u",
                      info.cwnd,
                      info.ssthresh,
                      info.rtt / 1000,
                      info.rtt % 1000);
        if (row == last)
        {
            return;
        }
        last = row;
        const int64_t now = Simulator::Now().GetNanoSeconds();
        char time[32];
        std::snprintf(time,
                      sizeof(time),
                      "%lld.%09lld",
                      static_cast<long long>(now / 1'000'000'000),
                      static_cast<long long>(now % 1'000'000'000));
        *stream->GetStream() << time << ',' << row << '\n';
    }

    Ptr<OutputStreamWrapper> stream;
    std::string last;
};

void
WriteTcpInfo(Ptr<TcpInfoWriter> writer, const ns3qemu::GuestTcpInfo& info)
{
    writer->Write(info);
}

} // namespace

QemuHelper::QemuHelper(const std::string& image)
{
    NS_LOG_FUNCTION(this << image);
    m_factory.SetTypeId("ns3::VirtualMachine");
    m_factory.Set("Image", StringValue(image));
}

QemuHelper::~QemuHelper()
{
    NS_LOG_FUNCTION(this);
}

void
QemuHelper::SetAttribute(const std::string& name, const AttributeValue& value)
{
    NS_LOG_FUNCTION(this << name);
    m_factory.Set(name, value);
}

Ptr<VirtualMachine>
QemuHelper::Install(Ptr<Node> node) const
{
    NS_LOG_FUNCTION(this << node);
    const std::string which = "node " + std::to_string(node->GetId());
    if (VirtualMachine::Of(node))
    {
        throw std::invalid_argument(which + " has a virtual machine already");
    }
    if (node->GetObject<Ipv4>())
    {
        throw std::invalid_argument(
            which + " has ns-3's internet stack; a virtual machine takes its place, so install one "
                    "of the two");
    }
    auto machine = m_factory.Create<VirtualMachine>();
    node->AggregateObject(machine);
    return machine;
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

void
QemuHelper::EnableTcpInfo(const std::string& filename, Ptr<Application> source) const
{
    NS_LOG_FUNCTION(this << filename << source);
    AsciiTraceHelper ascii;
    const auto stream = ascii.CreateFileStream(filename);
    *stream->GetStream() << "t,cwnd_seg,ssthresh_seg,srtt_ms\n";
    const bool connected = source->TraceConnectWithoutContext(
        "TcpInfo",
        MakeBoundCallback(&WriteTcpInfo, Create<TcpInfoWriter>(stream)));
    if (!connected)
    {
        throw std::invalid_argument(source->GetInstanceTypeId().GetName() +
                                    " has no TCP state to trace; a QemuTcpSource has");
    }
}

void
QemuHelper::EnablePcapInternal(std::string prefix,
                               Ptr<NetDevice> device,
                               bool promiscuous,
                               bool explicitFilename)
{
    NS_LOG_FUNCTION(this << prefix << device << promiscuous << explicitFilename);
    const auto machine = VirtualMachine::Of(device->GetNode());
    if (!machine)
    {
        NS_LOG_INFO("Device " << device << " belongs to a node without a virtual machine");
        return;
    }
    const auto nic = machine->GetNic(device);
    PcapHelper helper;
    const std::string filename =
        explicitFilename ? prefix : helper.GetFilenameFromDevice(prefix, device);
    const auto file = helper.CreateFile(filename, std::ios::out, PcapHelper::DLT_EN10MB);
    helper.HookDefaultSink<QemuNetDevice>(nic, promiscuous ? "PromiscSniffer" : "Sniffer", file);
}

} // namespace ns3
