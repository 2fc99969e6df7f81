/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The wire's end of the simulator, against a VM that is played well or badly.
 */
#include "thrown.h"

#include "ns3/test.h"
#include "ns3/vm-error.h"
#include "ns3/vm-link.h"

#include <atomic>
#include <climits>
#include <cstring>
#include <linux/futex.h>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
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

/** Wants nothing of what a VM sends. */
class Ignorer : public VmOutput
{
  public:
    void OnFrame(unsigned, const uint8_t*, size_t) override
    {
    }

    void OnSerial(unsigned, const uint8_t*, size_t) override
    {
    }
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
            contains(Refusal({{SIM_LINK_CREDIT, 0, 0}}, 0, SIM_LINK_IDLE), "type 3"),
            true,
            "a record that only the simulator may send");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({}, SIM_LINK_BOX_MIN + 8, SIM_LINK_IDLE), "outbox"),
                              true,
                              "more content than the outbox holds");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal({}, 0, 99), "answer 99"), true, "an unknown answer");
    }
};

/** The words around the records are checked, too. */
class LinkHeaderTestCase : public TestCase
{
  public:
    LinkHeaderTestCase()
        : TestCase("A VM's turn word, clock and deadline are checked, and its output has an end")
    {
    }

  private:
    /** @return the error that an answer causes, when something is made of its header */
    template <typename F>
    std::string Refusal(F spoil)
    {
        VmLink link(SIM_LINK_BOX_MIN);
        FakeVm vm(link);
        vm.Answer(SIM_LINK_IDLE);
        spoil(vm.m_header);
        Collector collector;
        return Thrown<VmError>([&]() { link.Take(collector); });
    }

    void DoRun() override
    {
        const auto contains = [](const std::string& text, const char* part) {
            return text.find(part) != std::string::npos;
        };
        const auto turn = Refusal([](SimLinkHeader* header) { header->turn = 77; });
        NS_TEST_ASSERT_MSG_EQ(contains(turn, "the turn is 77's"), true, turn);
        const auto deadline = Refusal([](SimLinkHeader* header) { header->deadline = -1; });
        NS_TEST_ASSERT_MSG_EQ(contains(deadline, "its next timer at -1 ns"), true, deadline);
        const auto clock = Refusal([](SimLinkHeader* header) { header->vmTime = INT64_MIN; });
        NS_TEST_ASSERT_MSG_EQ(contains(clock, "its clock is at -9223372036854775808"), true, clock);
        const auto empty = Refusal([](SimLinkHeader* header) { header->answer = SIM_LINK_MORE; });
        NS_TEST_ASSERT_MSG_EQ(contains(empty, "full of nothing"), true, empty);
    }
};

/** A VM that never comes to the end of its turn. */
class LinkEndlessTestCase : public TestCase
{
  public:
    LinkEndlessTestCase()
        : TestCase("What a VM sends in one turn has a limit")
    {
    }

  private:
    /** @return the error of a turn, or of several, in which a VM sends without end */
    std::string Refusal(bool ahead)
    {
        VmLink link(SIM_LINK_BOX_MIN);
        FakeVm vm(link);
        std::atomic<bool> over{false};
        std::thread sender([&]() {
            const std::string payload(SIM_LINK_PAYLOAD_MAX, 'x');
            while (!over)
            {
                if (__atomic_load_n(&vm.m_header->turn, __ATOMIC_ACQUIRE) == SIM_LINK_TURN_VM)
                {
                    vm.Put({SIM_LINK_SERIAL, 2, SIM_LINK_PAYLOAD_MAX}, payload);
                    vm.Answer(SIM_LINK_MORE);
                    syscall(SYS_futex, &vm.m_header->turn, FUTEX_WAKE, 1, nullptr, nullptr, 0);
                }
                sched_yield();
            }
        });
        Ignorer ignored;
        VmTurns turns;
        VmAnswer answer;
        const auto refusal = Thrown<VmError>([&]() {
            ahead ? (void)link.TakeAhead(turns, true, answer) : (void)link.Take(ignored);
        });
        over = true;
        sender.join();
        return refusal;
    }

    void DoRun() override
    {
        const std::string expected = "the VM has sent more than 256 MiB and its turn is not over";
        NS_TEST_ASSERT_MSG_EQ(Refusal(false), expected, "one turn");
        NS_TEST_ASSERT_MSG_EQ(Refusal(true), expected, "several turns");
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
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(Outbox().Begin(-1).End(2)), "a turn at -1 ns"),
                              true,
                              "a turn before all time");
        NS_TEST_ASSERT_MSG_EQ(contains(Refusal(Outbox().Begin(1).End(-2)), "a deadline of -2 ns"),
                              true,
                              "a timer before all time");
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

/** The suite. */
class VmLinkTestSuite : public TestSuite
{
  public:
    VmLinkTestSuite()
        : TestSuite("qemu-vm-link", Type::UNIT)
    {
        AddTestCase(new LinkRecordsTestCase);
        AddTestCase(new LinkHostileTestCase);
        AddTestCase(new LinkHeaderTestCase);
        AddTestCase(new LinkEndlessTestCase);
        AddTestCase(new LinkInboxTestCase);
        AddTestCase(new TurnsTestCase);
        AddTestCase(new TurnsHostileTestCase);
    }
};

static VmLinkTestSuite g_vmLinkTestSuite; //!< registers itself
