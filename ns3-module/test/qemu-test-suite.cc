/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What can be tested without a machine: the wire's end of the simulator against a hostile VM, and
 * what a NIC does with frames. Machines are tested from pytest, the relay's protocol in
 * relay-client-test-suite.cc.
 */
#include "../helper/qemu-helper.h"
#include "../model/device-room.h"
#include "../model/guest-address.h"
#include "../model/guest-tcp-info.h"
#include "../model/qemu-net-device.h"
#include "../model/relay-client.h"
#include "../model/tcp-segment-error-model.h"
#include "../model/virtual-machine.h"
#include "../model/vm-error.h"
#include "../model/vm-link.h"
#include "thrown.h"

#include "ns3/boolean.h"
#include "ns3/bridge-net-device.h"
#include "ns3/drop-tail-queue.h"
#include "ns3/error-model.h"
#include "ns3/inet-socket-address.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/loopback-net-device.h"
#include "ns3/net-device-queue-interface.h"
#include "ns3/node-container.h"
#include "ns3/pointer.h"
#include "ns3/queue.h"
#include "ns3/simple-channel.h"
#include "ns3/simple-net-device.h"
#include "ns3/simulator.h"
#include "ns3/test.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

namespace
{

/** Keeps what a VM sends. */
class Collector : public VmOutput
{
  public:
    void OnFrame(unsigned nic, const uint8_t* data, size_t length) override
    {
        m_seen += "F" + std::to_string(nic) + ":" + std::to_string(length) + ";";
    }

    void OnSerial(unsigned port, const uint8_t* data, size_t length) override
    {
        m_seen += "S" + std::to_string(port) + ":" +
                  std::string(reinterpret_cast<const char*>(data), length) + ";";
    }

    std::string m_seen; //!< a summary, in order
};

/** Plays the VM at the other end of a link, well or badly. */
class FakeVm
{
  public:
    explicit FakeVm(const VmLink& link)
    {
        void* region = mmap(nullptr,
                            SimLinkRegionSize(SIM_LINK_BOX_MIN),
                            PROT_READ | PROT_WRITE,
                            MAP_SHARED,
                            link.GetFileDescriptor(),
                            0);
        m_header = static_cast<SimLinkHeader*>(region);
        m_outbox = static_cast<uint8_t*>(region) + SIM_LINK_HEADER_SIZE + SIM_LINK_BOX_MIN;
    }

    ~FakeVm()
    {
        munmap(m_header, SimLinkRegionSize(SIM_LINK_BOX_MIN));
    }

    /** Put a record into the outbox, whatever its header says of its length. */
    void Put(SimLinkRecord record, const std::string& payload)
    {
        std::memcpy(m_outbox + m_used, &record, sizeof(record));
        std::memcpy(m_outbox + m_used + sizeof(record), payload.data(), payload.size());
        m_used += SimLinkRecordSize(static_cast<uint32_t>(payload.size()));
    }

    /** End the turn. */
    void Answer(uint32_t answer)
    {
        m_header->answer = answer;
        m_header->outboxLength = m_used;
        m_used = 0;
        __atomic_store_n(&m_header->turn, SIM_LINK_TURN_SIMULATOR, __ATOMIC_RELEASE);
    }

    SimLinkHeader* m_header; //!< the region
    uint8_t* m_outbox;       //!< the VM's
    uint32_t m_used{0};      //!< bytes in it
};

} // namespace

/** Records arrive whole and in order. */
class LinkRecordsTestCase : public TestCase
{
  public:
    LinkRecordsTestCase()
        : TestCase("A turn's output arrives whole and in order")
    {
    }

  private:
    void DoRun() override
    {
        VmLink link(SIM_LINK_BOX_MIN);
        FakeVm vm(link);
        vm.Put({SIM_LINK_SERIAL, 1, 5}, "hello");
        vm.Put({SIM_LINK_FRAME, 2, 60}, std::string(60, 'x'));
        vm.Put({SIM_LINK_SERIAL, 0, 0}, "");
        vm.Answer(SIM_LINK_IDLE);
        Collector collector;
        const auto answer = link.Take(collector);
        NS_TEST_ASSERT_MSG_EQ(answer.kind, SIM_LINK_IDLE, "the turn's end");
        NS_TEST_ASSERT_MSG_EQ(collector.m_seen, "S1:hello;F2:60;S0:;", "the records");
    }
};

/** A hostile VM cannot make the simulator read what is not there. */
class LinkHostileTestCase : public TestCase
{
  public:
    LinkHostileTestCase()
        : TestCase("Malformed output of a VM is refused")
    {
    }

  private:
    /** @return the error that an outbox of these records, and this length, causes */
    std::string Refusal(std::vector<SimLinkRecord> records, uint32_t extra, uint32_t answer)
    {
        VmLink link(SIM_LINK_BOX_MIN);
        FakeVm vm(link);
        for (const auto& record : records)
        {
            vm.Put(record, "");
        }
        vm.m_used += extra;
        vm.Answer(answer);
        Collector collector;
        return Thrown<VmError>([&]() { link.Take(collector); });
    }

    void DoRun() override
    {
        const auto contains = [](const std::string& text, const char* part) {
            return text.find(part) != std::string::npos;
        };
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal({{SIM_LINK_FRAME, 0, 100}}, 0, SIM_LINK_IDLE), "100 bytes"),
            true,
            "a record that is longer than the outbox's content");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal({{SIM_LINK_FRAME, 0, 0xffffffff}}, 64, SIM_LINK_IDLE), "4294967295"),
            true,
            "a length whose padding overflows");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({}, 4, SIM_LINK_IDLE), "cut off"),
                              true,
                              "half a record's header");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({{77, 0, 0}}, 0, SIM_LINK_IDLE), "record type 77"),
                              true,
                              "an unknown record");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal({{SIM_LINK_ROOM, 0, 0}}, 0, SIM_LINK_IDLE), "type 3"),
            true,
            "a record that only the simulator may send");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({}, SIM_LINK_BOX_MIN + 8, SIM_LINK_IDLE), "outbox"),
                              true,
                              "more content than the outbox holds");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({}, 0, 99), "answer 99"), true, "an unknown answer");
    }
};

/** What does not fit into the inbox is not lost silently. */
class LinkInboxTestCase : public TestCase
{
  public:
    LinkInboxTestCase()
        : TestCase("A full inbox says so")
    {
    }

  private:
    void DoRun() override
    {
        VmLink link(SIM_LINK_BOX_MIN);
        const std::vector<uint8_t> frame(1514);
        uint32_t taken = 0;
        while (link.AddFrame(0, frame.data(), frame.size()))
        {
            taken++;
        }
        NS_TEST_ASSERT_MSG_EQ(taken, SIM_LINK_BOX_MIN / SimLinkRecordSize(1514), "frames taken");
        NS_TEST_ASSERT_MSG_EQ(Thrown<VmError>([&]() {
                                  link.AddFrame(0, frame.data(), SIM_LINK_PAYLOAD_MAX + 1);
                              }).empty(),
                              false,
                              "a frame that can never fit");
        NS_TEST_ASSERT_MSG_EQ(Thrown<VmError>([]() { VmLink tooSmall(8); }).empty(),
                              false,
                              "a box that is too small");
    }
};

/** Addresses as people write them. */
class GuestAddressTestCase : public TestCase
{
  public:
    GuestAddressTestCase()
        : TestCase("Addresses are read and printed")
    {
    }

  private:
    void DoRun() override
    {
        for (const std::string text : {"10.0.1.2", "fd00::1", "::"})
        {
            NS_TEST_ASSERT_MSG_EQ(GuestAddress::Parse(text).Print(), text, "round trip");
        }
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { GuestAddress::Parse("10.0.1"); }),
            "'10.0.1' is neither an IPv4 nor an IPv6 address",
            "half an address");
        const auto endpoint =
            ToGuestEndpoint(InetSocketAddress(Ipv4Address("1.2.3.4"), 80), "Remote");
        NS_TEST_ASSERT_MSG_EQ(endpoint.address.Print(), "1.2.3.4", "ns-3's address");
        NS_TEST_ASSERT_MSG_EQ(endpoint.port, 80, "ns-3's port");
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { ToGuestEndpoint(Address(), "Remote"); }),
            "the attribute Remote must be an InetSocketAddress or an Inet6SocketAddress",
            "an unset address");
    }
};

/** struct tcp_info, at its offsets. */
class GuestTcpInfoTestCase : public TestCase
{
  public:
    GuestTcpInfoTestCase()
        : TestCase("struct tcp_info is read at its offsets")
    {
    }

  private:
    void DoRun() override
    {
        std::vector<uint8_t> raw(232);
        const auto set = [&raw](size_t offset, uint32_t value) {
            std::memcpy(raw.data() + offset, &value, sizeof(value));
        };
        raw[0] = 1;
        set(16, 1448);
        set(68, 50505);
        set(76, 15);
        set(80, 30);
        set(100, 7);
        const auto info = GuestTcpInfo::Parse(raw);
        NS_TEST_ASSERT_MSG_EQ(info.state, 1, "tcpi_state");
        NS_TEST_ASSERT_MSG_EQ(info.sndMss, 1448, "tcpi_snd_mss");
        NS_TEST_ASSERT_MSG_EQ(info.rtt, 50505, "tcpi_rtt");
        NS_TEST_ASSERT_MSG_EQ(info.ssthresh, 15, "tcpi_snd_ssthresh");
        NS_TEST_ASSERT_MSG_EQ(info.cwnd, 30, "tcpi_snd_cwnd");
        NS_TEST_ASSERT_MSG_EQ(info.totalRetrans, 7, "tcpi_total_retrans");
        raw.resize(103);
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { GuestTcpInfo::Parse(raw); }).empty(),
            false,
            "one byte too few");
    }
};

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
        NS_TEST_ASSERT_MSG_EQ(m_dropped, 3, "a length instead of a type");
        NS_TEST_ASSERT_MSG_EQ(device->m_sent, "2048:100;2054:1500;", "what was sent");
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

/** The loss that a scenario asks for, and no other. */
class SegmentLossTestCase : public TestCase
{
  public:
    SegmentLossTestCase()
        : TestCase("One data segment is lost, and its first retransmissions")
    {
    }

  private:
    /** @return a packet as a point-to-point device receives it: PPP, IPv4, TCP, payload */
    static Ptr<Packet> Segment(uint32_t sequence, uint32_t payload)
    {
        std::vector<uint8_t> bytes(2 + 20 + 20 + payload);
        const uint32_t total = 40 + payload;
        bytes[2] = 0x45;
        bytes[4] = static_cast<uint8_t>(total >> 8);
        bytes[5] = static_cast<uint8_t>(total);
        bytes[11] = 6;
        for (int i = 0; i < 4; i++)
        {
            bytes[26 + i] = static_cast<uint8_t>(sequence >> (24 - 8 * i));
        }
        bytes[34] = 5 << 4;
        return Create<Packet>(bytes.data(), static_cast<uint32_t>(bytes.size()));
    }

    void DoRun() override
    {
        auto model = CreateObject<TcpSegmentErrorModel>();
        model->SetAttribute("Segment", UintegerValue(2));
        model->SetAttribute("Count", UintegerValue(2));
        std::string lost;
        const auto receive = [&](uint32_t sequence, uint32_t payload) {
            lost += model->IsCorrupt(Segment(sequence, payload)) ? "x" : ".";
        };
        receive(1, 0); // no data: not counted
        receive(1, 100);
        receive(101, 100); // the second
        receive(201, 100);
        receive(101, 100); // its retransmission
        receive(101, 100); // the next one passes
        receive(301, 100);
        NS_TEST_ASSERT_MSG_EQ(lost, "..x.x..", "what is lost");
        NS_TEST_ASSERT_MSG_EQ(model->IsCorrupt(Create<Packet>(1)), false, "a stump of a packet");
    }
};

/** Mistakes of a script are told at once. */
class HelperErrorsTestCase : public TestCase
{
  public:
    HelperErrorsTestCase()
        : TestCase("Mistakes of a script are told at once")
    {
    }

  private:
    void DoRun() override
    {
        NodeContainer nodes(3);
        QemuHelper helper("no-image");
        auto machine = helper.Install(nodes.Get(0));
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { helper.Install(nodes.Get(0)); }).empty(),
            false,
            "two machines for a node");
        InternetStackHelper().Install(nodes.Get(1));
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { helper.Install(nodes.Get(1)); }).empty(),
            false,
            "two stacks for a node");
        auto other = CreateObject<SimpleNetDevice>();
        nodes.Get(2)->AddDevice(other);
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<std::invalid_argument>([&]() { machine->GetNic(other); }).empty(),
            false,
            "another node's device");
        auto own = CreateObject<SimpleNetDevice>();
        own->SetAddress(Mac48Address::Allocate());
        nodes.Get(0)->AddDevice(own);
        for (const auto* address : {"10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/x", "bla/24"})
        {
            NS_TEST_ASSERT_MSG_EQ(
                Thrown<std::invalid_argument>([&]() { machine->AddAddress(own, address); }).empty(),
                false,
                address);
        }
        NS_TEST_ASSERT_MSG_EQ(Thrown<std::logic_error>([&]() { machine->GetUptime(); }).empty(),
                              false,
                              "a machine that does not run");
        Simulator::Destroy();
    }
};

/** What a NIC's back-pressure goes by. */
class DeviceRoomTestCase : public TestCase
{
  public:
    DeviceRoomTestCase()
        : TestCase("A device's queue tells how many frames it takes")
    {
    }

  private:
    void OnRoom()
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
        const DeviceRoom room(device, MakeCallback(&DeviceRoomTestCase::OnRoom, this));
        NS_TEST_ASSERT_MSG_EQ(room.Get(), 3, "an empty queue");
        for (uint32_t left : {2, 1, 0})
        {
            queue->Enqueue(Create<Packet>(100));
            NS_TEST_ASSERT_MSG_EQ(room.Get(), left, "a queue with packets");
        }
        NS_TEST_ASSERT_MSG_EQ(m_calls, 0, "nothing has become free");
        queue->Dequeue();
        NS_TEST_ASSERT_MSG_EQ(room.Get(), 1, "after a packet has left");
        NS_TEST_ASSERT_MSG_EQ(m_calls, 1, "it is said");
        queue->Flush();
        queue->SetMaxSize(QueueSize("10000B"));
        NS_TEST_ASSERT_MSG_EQ(room.Get(), 6, "packets of the MTU that fit for certain");

        auto flowControl = CreateObject<NetDeviceQueueInterface>();
        auto other = CreateObject<RecordingDevice>();
        other->SetAttribute("TxQueue", PointerValue(queue));
        other->AggregateObject(flowControl);
        const DeviceRoom stopped(other, MakeCallback(&DeviceRoomTestCase::OnRoom, this));
        flowControl->GetTxQueue(0)->Stop();
        NS_TEST_ASSERT_MSG_EQ(stopped.Get(), 0, "the device has stopped its queue");

        NS_TEST_ASSERT_MSG_EQ(Thrown<std::invalid_argument>([]() {
                                  DeviceRoom(CreateObject<LoopbackNetDevice>(), Callback<void>());
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
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[2]->GetAddress()), "GPS", "to this station");
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[0]->GetBroadcast()), "GPS", "to all");
        NS_TEST_ASSERT_MSG_EQ(Send(m_devices[0]->GetMulticast(Ipv4Address("224.0.0.5"))),
                              "GPS",
                              "to a group");
        NS_TEST_ASSERT_MSG_EQ(Send(other), "P", "to another station");
        nic->SetAttribute("Promiscuous", BooleanValue(true));
        NS_TEST_ASSERT_MSG_EQ(Send(other), "GP", "to another station, and the guest wants it");
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
class QemuTestSuite : public TestSuite
{
  public:
    QemuTestSuite()
        : TestSuite("qemu", Type::UNIT)
    {
        AddTestCase(new LinkRecordsTestCase, Duration::QUICK);
        AddTestCase(new LinkHostileTestCase, Duration::QUICK);
        AddTestCase(new LinkInboxTestCase, Duration::QUICK);
        AddTestCase(new GuestAddressTestCase, Duration::QUICK);
        AddTestCase(new GuestTcpInfoTestCase, Duration::QUICK);
        AddTestCase(new NicTransmitTestCase, Duration::QUICK);
        AddTestCase(new DeviceRoomTestCase, Duration::QUICK);
        AddTestCase(new PromiscuousTestCase, Duration::QUICK);
        AddTestCase(new BridgePortTestCase, Duration::QUICK);
        AddTestCase(new SegmentLossTestCase, Duration::QUICK);
        AddTestCase(new HelperErrorsTestCase, Duration::QUICK);
    }
};

static QemuTestSuite g_qemuTestSuite; //!< registers itself
