/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a NIC does with frames: to the guest, from it, and into the queue of a device.
 */
#include "../helper/qemu-helper.h"
#include "../model/device-credit.h"
#include "../model/qemu-net-device.h"
#include "../model/virtual-machine.h"
#include "thrown.h"

#include "ns3/boolean.h"
#include "ns3/bridge-net-device.h"
#include "ns3/drop-tail-queue.h"
#include "ns3/error-model.h"
#include "ns3/loopback-net-device.h"
#include "ns3/net-device-queue-interface.h"
#include "ns3/node-container.h"
#include "ns3/pointer.h"
#include "ns3/queue.h"
#include "ns3/sim-link.h"
#include "ns3/simple-channel.h"
#include "ns3/simple-net-device.h"
#include "ns3/simulator.h"
#include "ns3/test.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ns3;

namespace
{

/** Keeps what it is to send. */
class RecordingDevice : public SimpleNetDevice
{
  public:
    bool SendFrom(Ptr<Packet> packet,
                  const Address& source,
                  const Address& dest,
                  uint16_t protocol) override
    {
        m_sent += std::to_string(protocol) + ":" + std::to_string(packet->GetSize()) + ";";
        return m_accepts;
    }

    bool m_accepts{true}; //!< whether there is room
    std::string m_sent;   //!< protocol and size of each packet
};

/** What a driver asks for: some addresses, all groups, and what is for all. */
ns3qemu::NicFilter
Filter(const std::vector<Address>& addresses)
{
    const SimLinkFilter told{SIM_LINK_FILTER_MULTICAST | SIM_LINK_FILTER_BROADCAST,
                             static_cast<uint32_t>(addresses.size())};
    std::vector<uint8_t> record(sizeof(told) + 6 * addresses.size());
    std::memcpy(record.data(), &told, sizeof(told));
    for (size_t i = 0; i < addresses.size(); i++)
    {
        Mac48Address::ConvertFrom(addresses[i]).CopyTo(record.data() + sizeof(told) + 6 * i);
    }
    return ns3qemu::NicFilter::Parse(record.data(), record.size());
}

} // namespace

/** What the guest sends is checked before it reaches a device. */
class NicTransmitTestCase : public TestCase
{
  public:
    NicTransmitTestCase()
        : TestCase("Frames of the guest are framed for the link, or dropped")
    {
    }

  private:
    void OnDrop(Ptr<const Packet> packet)
    {
        m_dropped++;
    }

    /** The guest sends an Ethernet frame. */
    void Transmit(Ptr<QemuNetDevice> nic, uint16_t protocol, size_t length)
    {
        std::vector<uint8_t> frame(std::max<size_t>(length, 14));
        frame[12] = static_cast<uint8_t>(protocol >> 8);
        frame[13] = static_cast<uint8_t>(protocol);
        nic->TransmitFromGuest(frame.data(), length);
    }

    void DoRun() override
    {
        NodeContainer nodes(1);
        auto device = CreateObject<RecordingDevice>();
        device->SetAddress(Mac48Address::Allocate());
        device->SetMtu(1500);
        nodes.Get(0)->AddDevice(device);
        auto machine = QemuHelper("no-image").Install(nodes.Get(0));
        auto nic = machine->GetNic(device);
        NS_TEST_ASSERT_MSG_EQ(machine->GetNic(device), nic, "a device has one NIC");
        NS_TEST_ASSERT_MSG_EQ(machine->GetNic(nic), nic, "a NIC is found by itself");
        nic->TraceConnectWithoutContext("MacTxDrop",
                                        MakeCallback(&NicTransmitTestCase::OnDrop, this));

        Transmit(nic, 0x0800, 114);
        Transmit(nic, 0x0806, 1514);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 0, "what can be sent");
        Transmit(nic, 0x0800, 1515);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 1, "larger than the MTU");
        Transmit(nic, 0x0800, 13);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 2, "shorter than a header");
        Transmit(nic, 100, 114);
        NS_TEST_ASSERT_MSG_EQ(device->m_sent,
                              "2048:100;2054:1500;100:100;",
                              "what was sent, also with a length instead of a type");
        device->m_sent.clear();
        Transmit(nic, 0x8100, 1518);
        Transmit(nic, 0x88a8, 1518);
        NS_TEST_ASSERT_MSG_EQ(device->m_sent, "33024:1504;34984:1504;", "a tag beside the MTU");
        Transmit(nic, 0x8100, 1519);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 3, "larger than that");
        const auto unsent = nic->GetUnsent();
        NS_TEST_ASSERT_MSG_EQ(unsent.size(), 2, "of two reasons");
        NS_TEST_ASSERT_MSG_EQ(unsent.begin()->second + unsent.rbegin()->second, 3, "counted");
        device->m_accepts = false;
        Transmit(nic, 0x0800, 114);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 4, "refused by the device");

        device->SetAttribute("PointToPointMode", BooleanValue(true));
        device->m_accepts = true;
        Transmit(nic, 0x86dd, 60);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 4, "IPv6 on a point-to-point link");
        Transmit(nic, 0x0806, 60);
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 5, "ARP on a point-to-point link");
        Simulator::Destroy();
    }

    uint32_t m_dropped{0}; //!< frames
};

/** What a NIC's back-pressure goes by. */
class DeviceCreditTestCase : public TestCase
{
  public:
    DeviceCreditTestCase()
        : TestCase("A device's queue tells how many frames it takes")
    {
    }

  private:
    void OnCredit()
    {
        m_calls++;
    }

    void DoRun() override
    {
        auto device = CreateObject<RecordingDevice>();
        device->SetMtu(1500);
        auto queue = CreateObject<DropTailQueue<Packet>>();
        queue->SetMaxSize(QueueSize("3p"));
        device->SetAttribute("TxQueue", PointerValue(queue));
        const DeviceCredit credit(device, MakeCallback(&DeviceCreditTestCase::OnCredit, this));
        NS_TEST_ASSERT_MSG_EQ(credit.Get(), 3, "an empty queue");
        for (uint32_t left : {2, 1, 0})
        {
            queue->Enqueue(Create<Packet>(100));
            NS_TEST_ASSERT_MSG_EQ(credit.Get(), left, "a queue with packets");
        }
        NS_TEST_ASSERT_MSG_EQ(m_calls, 0, "nothing has become free");
        queue->Dequeue();
        NS_TEST_ASSERT_MSG_EQ(credit.Get(), 1, "after a packet has left");
        NS_TEST_ASSERT_MSG_EQ(m_calls, 1, "it is said");
        queue->Flush();
        queue->SetMaxSize(QueueSize("10000B"));
        NS_TEST_ASSERT_MSG_EQ(credit.Get(), 6, "packets of the MTU that fit for certain");

        auto flowControl = CreateObject<NetDeviceQueueInterface>();
        auto other = CreateObject<RecordingDevice>();
        other->SetAttribute("TxQueue", PointerValue(queue));
        other->AggregateObject(flowControl);
        const DeviceCredit stopped(other, MakeCallback(&DeviceCreditTestCase::OnCredit, this));
        flowControl->GetTxQueue(0)->Stop();
        NS_TEST_ASSERT_MSG_EQ(stopped.Get(), 0, "the device has stopped its queue");

        NS_TEST_ASSERT_MSG_EQ(Thrown<std::invalid_argument>([]() {
                                  DeviceCredit(CreateObject<LoopbackNetDevice>(), Callback<void>());
                              }).empty(),
                              false,
                              "a device that cannot tell");
        Simulator::Destroy();
    }

    uint32_t m_calls{0}; //!< of the callback
};

/** Who sees a frame that is for another station. */
class PromiscuousTestCase : public TestCase
{
  public:
    PromiscuousTestCase()
        : TestCase("Frames for others are captured if wanted, and given to the guest if wanted")
    {
    }

  private:
    void OnSniffer(Ptr<const Packet> packet)
    {
        m_seen += "S";
    }

    void OnPromiscSniffer(Ptr<const Packet> packet)
    {
        m_seen += "P";
    }

    /* The machine does not run, so what is for the guest is dropped. */
    void OnDrop(Ptr<const Packet> packet)
    {
        m_seen += "G";
    }

    /** @return who sees a frame to that address */
    std::string Send(Address to)
    {
        m_seen.clear();
        m_devices[0]->Send(Create<Packet>(100), to, 0x0800);
        Simulator::Run();
        return m_seen;
    }

    void DoRun() override
    {
        NodeContainer nodes(3);
        auto channel = CreateObject<SimpleChannel>();
        for (uint32_t i = 0; i < 3; i++)
        {
            auto device = CreateObject<SimpleNetDevice>();
            device->SetAddress(Mac48Address::Allocate());
            device->SetChannel(channel);
            nodes.Get(i)->AddDevice(device);
            m_devices.push_back(device);
        }
        auto machine = QemuHelper("no-image").Install(nodes.Get(2));
        auto nic = machine->GetNic(m_devices[2]);
        machine->End();
        nic->TraceConnectWithoutContext("Sniffer",
                                        MakeCallback(&PromiscuousTestCase::OnSniffer, this));
        nic->TraceConnectWithoutContext("PromiscSniffer",
                                        MakeCallback(&PromiscuousTestCase::OnPromiscSniffer, this));
        nic->TraceConnectWithoutContext("MacRxDrop",
                                        MakeCallback(&PromiscuousTestCase::OnDrop, this));
        const auto other = m_devices[1]->GetAddress();
        NS_TEST_ASSERT_MSG_EQ(Send(other), "GPS", "before a driver has asked for anything");
        nic->SetFilter(Filter({m_devices[2]->GetAddress()}));
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[2]->GetAddress()), "GPS", "to this station");
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[0]->GetBroadcast()), "GPS", "to all");
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[0]->GetMulticast(Ipv4Address("224.0.0.5"))),
                              "GPS",
                              "to a group");
        NS_TEST_ASSERT_MSG_EQ(Send(other), "P", "to another station");
        nic->SetAttribute("Promiscuous", BooleanValue(true));
        NS_TEST_ASSERT_MSG_EQ(Send(other), "GP", "to another station, and the script wants it");
        nic->SetAttribute("Promiscuous", BooleanValue(false));
        nic->SetFilter(Filter({m_devices[2]->GetAddress(), other}));
        NS_TEST_ASSERT_MSG_EQ(Send(other), "GPS", "to an address that the guest has given itself");
        Simulator::Destroy();
        m_devices.clear();
    }

    std::vector<Ptr<SimpleNetDevice>> m_devices; //!< of three stations
    std::string m_seen;                          //!< who has seen the frame
};

/** A node's bridge takes the place of its ports. */
class BridgePortTestCase : public TestCase
{
  public:
    BridgePortTestCase()
        : TestCase("A port of a bridge is no NIC")
    {
    }

  private:
    void DoRun() override
    {
        NodeContainer nodes(1);
        auto port = CreateObject<SimpleNetDevice>();
        port->SetAddress(Mac48Address::Allocate());
        port->SetChannel(CreateObject<SimpleChannel>());
        nodes.Get(0)->AddDevice(port);
        auto bridge = CreateObject<BridgeNetDevice>();
        nodes.Get(0)->AddDevice(bridge);
        bridge->AddBridgePort(port);
        auto machine = QemuHelper("no-image").Install(nodes.Get(0));
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { machine->GetNic(port); }).empty(),
            false,
            "the port");
        NS_TEST_ASSERT_MSG_EQ(machine->GetNic(bridge)->GetJoinedDevice(), bridge, "the bridge");
        NS_TEST_ASSERT_MSG_EQ(Thrown<std::invalid_argument>([&]() {
                                  machine->GetNic(bridge)->SetAttribute("BackPressure",
                                                                        BooleanValue(true));
                              }).empty(),
                              false,
                              "a bridge cannot tell when its queue is full");
        Simulator::Destroy();
    }
};

/** The suite. */
class QemuNetDeviceTestSuite : public TestSuite
{
  public:
    QemuNetDeviceTestSuite()
        : TestSuite("qemu-net-device", Type::UNIT)
    {
        AddTestCase(new NicTransmitTestCase);
        AddTestCase(new DeviceCreditTestCase);
        AddTestCase(new PromiscuousTestCase);
        AddTestCase(new BridgePortTestCase);
    }
};

static QemuNetDeviceTestSuite g_qemuNetDeviceTestSuite; //!< registers itself
