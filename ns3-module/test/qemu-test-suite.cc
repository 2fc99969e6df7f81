/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What can be tested without a machine: the wire's end of the simulator against a hostile VM, and
 * what a NIC does with frames. Machines are tested from pytest, the relay's protocol in
 * relay-client-test-suite.cc.
 */
#include "../helper/qemu-helper.h"
#include "../model/context-scheduler.h"
#include "../model/device-credit.h"
#include "../model/guest-address.h"
#include "../model/qemu-net-device.h"
#include "../model/tcp-segment-error-model.h"
#include "../model/virtual-machine.h"
#include "thrown.h"

#include "ns3/boolean.h"
#include "ns3/bridge-net-device.h"
#include "ns3/drop-tail-queue.h"
#include "ns3/error-model.h"
#include "ns3/guest-tcp-info.h"
#include "ns3/inet-socket-address.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/loopback-net-device.h"
#include "ns3/map-scheduler.h"
#include "ns3/net-device-queue-interface.h"
#include "ns3/node-container.h"
#include "ns3/pointer.h"
#include "ns3/queue.h"
#include "ns3/relay-client.h"
#include "ns3/simple-channel.h"
#include "ns3/simple-net-device.h"
#include "ns3/simulator.h"
#include "ns3/test.h"
#include "ns3/uinteger.h"
#include "ns3/vm-error.h"
#include "ns3/vm-link.h"

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

/** What one or several outboxes hold, with turns in them. */
class Outbox
{
  public:
    /** Put a record, whose header may say something else of its length. */
    Outbox& Put(SimLinkRecord record, const std::string& payload)
    {
        const auto* header = reinterpret_cast<const uint8_t*>(&record);
        m_bytes.insert(m_bytes.end(), header, header + sizeof(record));
        m_bytes.insert(m_bytes.end(), payload.begin(), payload.end());
        m_bytes.resize((m_bytes.size() + 7) & ~size_t{7});
        return *this;
    }

    /** A turn begins. */
    Outbox& Begin(int64_t time, uint32_t flags = 0)
    {
        const SimLinkTurn turn{time, flags, 0};
        return Put({SIM_LINK_TURN, 0, sizeof(turn)}, Raw(turn));
    }

    /** It ends. */
    Outbox& End(int64_t deadline, uint32_t answer = SIM_LINK_IDLE)
    {
        const SimLinkTurnEnd end{deadline, 1000, answer, 0};
        return Put({SIM_LINK_TURN_END, 0, sizeof(end)}, Raw(end));
    }

    template <typename T>
    static std::string Raw(const T& value)
    {
        return {reinterpret_cast<const char*>(&value), sizeof(value)};
    }

    std::vector<uint8_t> m_bytes; //!< whole records
};

/** Turns that a VM has had in a row are read one by one. */
class TurnsTestCase : public TestCase
{
  public:
    TurnsTestCase()
        : TestCase("Turns in a row are read one by one, however they arrive")
    {
    }

  private:
    void DoRun() override
    {
        Outbox outbox;
        outbox.Begin(10).Put({SIM_LINK_FRAME, 0, 60}, std::string(60, 'x')).End(30);
        outbox.Begin(30, SIM_LINK_RUN_TIMERS).Put({SIM_LINK_SERIAL, 1, 2}, "hi");
        outbox.Put({SIM_LINK_SERIAL, 1, 3}, "you").End(40, SIM_LINK_BUSY);
        outbox.Begin(40).End(SIM_LINK_NO_DEADLINE);
        /* Records are whole, so a part ends before any of them: 8 bytes of header each. */
        std::vector<size_t> ends;
        for (size_t at = 0; at < outbox.m_bytes.size();)
        {
            SimLinkRecord record;
            std::memcpy(&record, outbox.m_bytes.data() + at, sizeof(record));
            at += SimLinkRecordSize(record.length);
            ends.push_back(at);
        }
        for (const size_t end : ends)
        {
            VmTurns turns;
            const auto* bytes = outbox.m_bytes.data();
            turns.Append(bytes, static_cast<uint32_t>(end));
            bool rest = false;
            Collector collector;
            VmAnswer answer;
            std::string seen;
            const auto next = [&]() {
                if (turns.IsEmpty() && !rest)
                {
                    turns.Append(bytes + end, static_cast<uint32_t>(outbox.m_bytes.size() - end));
                    rest = true;
                }
                const auto turn = turns.Peek();
                while (!turns.Read(collector, answer))
                {
                    NS_TEST_ASSERT_MSG_EQ(rest, false, "a turn has no end");
                    turns.Append(bytes + end, static_cast<uint32_t>(outbox.m_bytes.size() - end));
                    rest = true;
                }
                seen += std::to_string(turn.time) + "/" + std::to_string(turn.flags) + "/" +
                        std::to_string(answer.kind) + "/" + std::to_string(answer.deadline) + ";";
            };
            next();
            NS_TEST_ASSERT_MSG_EQ(collector.m_seen, "F0:60;", "no more than the first turn's");
            next();
            next();
            NS_TEST_ASSERT_MSG_EQ(collector.m_seen, "F0:60;S1:hi;S1:you;", "the records");
            NS_TEST_ASSERT_MSG_EQ(seen,
                                  "10/0/2/30;30/1/3/40;40/0/2/9223372036854775807;",
                                  "the turns");
            NS_TEST_ASSERT_MSG_EQ(answer.instructions, 1000, "the instructions");
            NS_TEST_ASSERT_MSG_EQ(turns.IsEmpty(), true, "that is all");
        }
    }
};

/** A hostile VM cannot make turns of what are none. */
class TurnsHostileTestCase : public TestCase
{
  public:
    TurnsHostileTestCase()
        : TestCase("Malformed turns of a VM are refused")
    {
    }

  private:
    /** @return the error that is found when the turns are read */
    std::string Refusal(const Outbox& outbox)
    {
        VmTurns turns;
        turns.Append(outbox.m_bytes.data(), static_cast<uint32_t>(outbox.m_bytes.size()));
        Collector collector;
        VmAnswer answer;
        return Thrown<VmError>([&]() {
            while (!turns.IsEmpty())
            {
                turns.Peek();
                turns.Read(collector, answer);
            }
        });
    }

    void DoRun() override
    {
        const auto contains = [](const std::string& text, const char* part) {
            return text.find(part) != std::string::npos;
        };
        NS_TEST_ASSERT_MSG_EQ(Refusal(Outbox().Begin(1).End(2)), "", "a turn");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal(Outbox().Put({SIM_LINK_FRAME, 0, 20}, std::string(20, 'x'))),
                     "no turn begins"),
            true,
            "a frame outside a turn");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(Outbox().End(1)), "no turn begins"),
                              true,
                              "an end without a beginning");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal(Outbox().Put({SIM_LINK_TURN, 0, 8}, std::string(8, 0))),
                     "no turn begins"),
            true,
            "a beginning that is too short");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(Outbox().Begin(1).Begin(2)), "record type 5"),
                              true,
                              "a turn within a turn");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal(Outbox().Begin(1).Put({SIM_LINK_TURN_END, 0, 8}, std::string(8, 0))),
                     "malformed"),
            true,
            "an end that is too short");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(Outbox().Begin(1).End(2, 99)), "answer 99"),
                              true,
                              "an unknown answer");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal(Outbox().Begin(1).End(2, SIM_LINK_FAULT)), "answer 5"),
            true,
            "an answer that ends no turn");
        NS_TEST_ASSERT_MSG_EQ(
            contains(Refusal(Outbox().Begin(1).Put({SIM_LINK_FRAME, 0, 100}, "")), "100 bytes"),
            true,
            "a record that is longer than the outbox's content");
        auto cut = Outbox().Begin(1).End(2);
        cut.m_bytes.resize(cut.m_bytes.size() + 4);
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(cut), "cut off"), true, "half a record's header");

        VmLink link(SIM_LINK_BOX_MIN);
        FakeVm vm(link);
        VmTurns turns;
        VmAnswer answer;
        vm.Answer(SIM_LINK_IDLE);
        NS_TEST_ASSERT_MSG_EQ(
            contains(Thrown<VmError>([&]() { link.TakeAhead(turns, true, answer); }), "answer 2"),
            true,
            "the answer to another command");
        vm.m_used = SIM_LINK_BOX_MIN + 8;
        vm.Answer(SIM_LINK_AHEAD_OVER);
        NS_TEST_ASSERT_MSG_EQ(
            contains(Thrown<VmError>([&]() { link.TakeAhead(turns, false, answer); }), "outbox"),
            true,
            "more content than the outbox holds");
    }
};

/** A scheduler that knows what is pending hands out events as any other does. */
class ContextSchedulerTestCase : public TestCase
{
  public:
    ContextSchedulerTestCase()
        : TestCase("Events are in order, and those of some contexts are known")
    {
    }

  private:
    static constexpr uint32_t FOLLOWED = 3;

    static std::string Print(const Scheduler::EventKey& key)
    {
        return std::to_string(key.m_ts) + "/" + std::to_string(key.m_uid) + ";";
    }

    static std::string Print(const ContextScheduler::Pending& pending)
    {
        std::string text;
        for (const auto& [key, event] : pending)
        {
            text += Print(key);
        }
        return text;
    }

    void DoRun() override
    {
        auto scheduler = CreateObject<ContextScheduler>();
        auto other = CreateObject<MapScheduler>();
        NS_TEST_ASSERT_MSG_EQ(PeekPointer(scheduler), ContextScheduler::Get(), "the latest");
        std::vector<Scheduler::Event> all;
        const uint32_t contexts[] = {FOLLOWED, 1, Simulator::NO_CONTEXT, FOLLOWED, 7};
        uint64_t random = 1;
        const auto insert = [&](uint32_t uid) {
            random = random * 6364136223846793005 + 1442695040888963407;
            const Scheduler::Event event{nullptr, {(random >> 33) % 50, uid, contexts[uid % 5]}};
            scheduler->Insert(event);
            other->Insert(event);
            all.push_back(event);
        };
        const auto expected = [&](uint32_t context) {
            std::map<Scheduler::EventKey, EventImpl*> pending;
            for (const auto& event : all)
            {
                if (event.key.m_context == context)
                {
                    pending.emplace(event.key, nullptr);
                }
            }
            return Print(pending);
        };
        const auto check = [&]() {
            for (const uint32_t context : {FOLLOWED, contexts[2]})
            {
                NS_TEST_ASSERT_MSG_EQ(Print(scheduler->GetPending(context)),
                                      expected(context),
                                      "pending events of " << context);
            }
        };
        for (uint32_t uid = 0; uid < 100; uid++)
        {
            insert(uid);
        }
        scheduler->Follow(FOLLOWED); // what is there already counts, too
        check();
        for (uint32_t uid = 100; uid < 200; uid++)
        {
            insert(uid);
        }
        check();
        for (size_t i = 0; i < 50; i++)
        {
            const auto removed = all.begin() + static_cast<std::ptrdiff_t>(i * 2);
            scheduler->Remove(*removed);
            other->Remove(*removed);
            all.erase(removed);
        }
        check();
        while (!other->IsEmpty())
        {
            NS_TEST_ASSERT_MSG_EQ(Print(scheduler->PeekNext().key),
                                  Print(other->PeekNext().key),
                                  "the next event");
            const auto next = scheduler->RemoveNext();
            NS_TEST_ASSERT_MSG_EQ(Print(next.key), Print(other->RemoveNext().key), "its removal");
            all.erase(std::find_if(all.begin(), all.end(), [&](const auto& event) {
                return event.key.m_uid == next.key.m_uid;
            }));
            check();
        }
        NS_TEST_ASSERT_MSG_EQ(scheduler->IsEmpty(), true, "that is all");
        scheduler = nullptr;
        NS_TEST_ASSERT_MSG_EQ(ContextScheduler::Get(),
                              static_cast<ContextScheduler*>(nullptr),
                              "it is gone");

        /* In a simulation: an event that is cancelled stays, one that is removed does not. */
        const auto early = Simulator::ScheduleNow([]() {});
        ContextScheduler::Install();
        const auto& none = ContextScheduler::Get()->GetPending(Simulator::NO_CONTEXT);
        NS_TEST_ASSERT_MSG_EQ(none.size(), 1, "what was there before");
        auto cancelled = Simulator::Schedule(Seconds(1), []() {});
        auto removed = Simulator::Schedule(Seconds(1), []() {});
        NS_TEST_ASSERT_MSG_EQ(none.size(), 3, "three events");
        cancelled.Cancel();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 3, "the cancelled one is still there");
        NS_TEST_ASSERT_MSG_EQ(std::next(none.begin())->second->IsCancelled(), true, "and says so");
        removed.Remove();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 2, "the removed one is not");
        Simulator::Run();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 0, "nothing is left");
        Simulator::Destroy();
        NS_TEST_ASSERT_MSG_EQ(ContextScheduler::Get(),
                              static_cast<ContextScheduler*>(nullptr),
                              "it has gone with its simulation");
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
        AddTestCase(new TurnsTestCase, Duration::QUICK);
        AddTestCase(new TurnsHostileTestCase, Duration::QUICK);
        AddTestCase(new ContextSchedulerTestCase, Duration::QUICK);
        AddTestCase(new GuestAddressTestCase, Duration::QUICK);
        AddTestCase(new GuestTcpInfoTestCase, Duration::QUICK);
        AddTestCase(new NicTransmitTestCase, Duration::QUICK);
        AddTestCase(new DeviceCreditTestCase, Duration::QUICK);
        AddTestCase(new PromiscuousTestCase, Duration::QUICK);
        AddTestCase(new BridgePortTestCase, Duration::QUICK);
        AddTestCase(new SegmentLossTestCase, Duration::QUICK);
        AddTestCase(new HelperErrorsTestCase, Duration::QUICK);
    }
};

static QemuTestSuite g_qemuTestSuite; //!< registers itself
