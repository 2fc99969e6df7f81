/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The simulator's end of the relay's protocol, against a relay that keeps to it and against ones
 * that do not: what runs in a guest is not to be trusted.
 */
#include "scripted-relay.h"
#include "thrown.h"

#include "ns3/relay-client.h"
#include "ns3/test.h"
#include "ns3/vm-error.h"

#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

/** The relay's messages may come in any pieces. */
class RelayFramingTestCase : public TestCase
{
  public:
    RelayFramingTestCase()
        : TestCase("The relay's messages are put together from any pieces")
    {
    }

  private:
    void DoRun() override
    {
        Scripted relay;
        const RelayHeader header{13, RELAY_HELLO, 0, 0, 0};
        const std::string hello =
            Bytes(header, Bytes(RelayHello{RELAY_PROTOCOL_VERSION, 3}, "6.1.0"));
        for (size_t i = 0; i + 1 < hello.size(); ++i)
        {
            relay.m_client.Receive(Data(hello) + i, 1);
        }
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.IsReady(), false, "a hello without its end");
        relay.m_client.Receive(Data(hello) + hello.size() - 1, 1);
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.IsReady(), true, "a whole hello");
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.GetRelease(), "6.1.0", "the release");
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.GetNics(), 3, "the number of NICs");

        relay.m_answers = {{0, "reno"}, {ENOENT, ""}};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.GetSysctl("x"), "reno", "a reply");
        NS_TEST_ASSERT_MSG_EQ(Thrown<GuestError>([&]() { relay.m_client.GetSysctl("x"); }),
                              "reading sysctl x: No such file or directory (the guest's errno 2)",
                              "a refusal");
    }
};

/** A handler may make requests, and what they bring comes after it. */
class RelayEventsTestCase : public TestCase
{
  public:
    RelayEventsTestCase()
        : TestCase("Events are told one after the other, never within a handler")
    {
    }

  private:
    void DoRun() override
    {
        Scripted relay;
        const auto arrive = [&relay](uint32_t handle) {
            relay.Tell(RELAY_EVENT_READY, Bytes(RelayReady{handle, RELAY_READABLE, 0}));
        };
        std::string told;
        relay.m_client.SetReadyHandler([&](const RelayReady& ready) {
            told += std::string("<") + std::to_string(ready.handle);
            if (ready.handle == 1)
            {
                arrive(3);
                relay.m_client.DispatchEvents();
            }
            told += ">";
        });
        arrive(1);
        arrive(2);
        NS_TEST_ASSERT_MSG_EQ(told, "", "nothing before it is dispatched");
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(told, "<1><2><3>", "in order, not nested");
    }
};

/** What only tells the guest something may wait for more of its kind. */
class RelayTogetherTestCase : public TestCase
{
  public:
    RelayTogetherTestCase()
        : TestCase("Requests that are made together go in one message, in order")
    {
    }

  private:
    void DoRun() override
    {
        CheckOrder();
        CheckRefusal();
        CheckApart();
        CheckDropped();
        CheckMany();
    }

    void CheckOrder()
    {
        Scripted relay;
        relay.m_answers = {{0, ""}, {0, ""}, {0, "reno"}, {0, ""}};
        relay.m_client.Together([&]() {
            relay.m_client.SetSysctl("a", "1");
            relay.m_client.Together([&]() { relay.m_client.WriteFile("/b", {}); });
            NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 0, "nothing is sent yet");
            NS_TEST_EXPECT_MSG_EQ(relay.m_client.GetSysctl("c"), "reno", "what asks is answered");
            NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 2, "what was told before is sent before");
            relay.m_client.SetSysctl("d", "1");
        });
        NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 3, "the rest is sent at the end");
        std::vector<uint16_t> types;
        for (const auto& asked : relay.m_asked)
        {
            types.push_back(asked.type);
        }
        const std::vector<uint16_t> expected{RELAY_SYSCTL_SET,
                                             RELAY_FILE_PUT,
                                             RELAY_SYSCTL_GET,
                                             RELAY_SYSCTL_SET};
        NS_TEST_EXPECT_MSG_EQ((types == expected), true, "in the order in which they were made");
        NS_TEST_EXPECT_MSG_EQ(relay.m_client.IsAwaiting(), false, "all have been answered");
    }

    void CheckRefusal()
    {
        Scripted relay;
        relay.m_answers = {{0, ""}, {EINVAL, ""}, {ENOENT, ""}};
        const auto thrown = Thrown<GuestError>([&]() {
            relay.m_client.Together([&]() {
                for (const char* name : {"a", "b", "c"})
                {
                    relay.m_client.SetSysctl(name, "1");
                }
            });
        });
        NS_TEST_EXPECT_MSG_EQ(thrown,
                              "setting sysctl b = 1: Invalid argument (the guest's errno 22)",
                              "the first that is refused is told");
        relay.m_answers = {{0, "x"}};
        NS_TEST_EXPECT_MSG_EQ(relay.m_client.GetSysctl("a"), "x", "later ones have their answers");
    }

    void CheckApart()
    {
        Scripted relay;
        relay.m_answers = {{0, ""}, {ENOENT, ""}, {0, ""}};
        bool refused = false;
        relay.m_client.Together([&]() {
            relay.m_client.SetSysctl("a", "1");
            refused = !Thrown<GuestError>([&]() {
                           relay.m_client.Apart([&]() { relay.m_client.SetSysctl("b", "1"); });
                       }).empty();
            relay.m_client.SetSysctl("c", "1");
            NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 2, "they are together again");
        });
        NS_TEST_EXPECT_MSG_EQ(refused, true, "the refusal is told at once");
        NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 3, "one before, one apart, one behind");
    }

    void CheckDropped()
    {
        Scripted relay;
        Thrown<std::logic_error>([&]() {
            relay.m_client.Together([&]() {
                relay.m_client.SetSysctl("a", "1");
                throw std::logic_error("the script's own");
            });
        });
        NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 0, "nothing of what was not whole");
        NS_TEST_EXPECT_MSG_EQ(relay.m_client.IsAwaiting(), false, "no answer is waited for");
    }

    void CheckMany()
    {
        Scripted relay;
        relay.m_answers = {{0, "1"}, {ENOENT, ""}, {0, "3"}};
        const auto values = relay.m_client.GetSysctls({"a", "b", "c"});
        NS_TEST_EXPECT_MSG_EQ(relay.m_messages, 1, "one message");
        NS_TEST_ASSERT_MSG_EQ(values.size(), 3, "a value for each name");
        NS_TEST_EXPECT_MSG_EQ(values[0].value_or("-") + values[1].value_or("-") +
                                  values[2].value_or("-"),
                              "1-3",
                              "in order, and none of what is not there");
    }
};

/** Whatever the relay may say that it must not. */
class RelayHostileTestCase : public TestCase
{
  public:
    RelayHostileTestCase()
        : TestCase("A relay that breaks its protocol is found out")
    {
    }

  private:
    /** @param call what is asked of the client, which gets this reply */
    void CheckReply(const std::string& what,
                    const std::string& reply,
                    const std::function<void(RelayClient&)>& call)
    {
        Scripted relay;
        relay.m_answers = {{0, reply}};
        NS_TEST_EXPECT_MSG_EQ(Thrown<VmError>([&]() { call(relay.m_client); }).empty(),
                              false,
                              what);
    }

    void CheckEvent(const std::string& what, uint16_t type, const std::string& body)
    {
        Scripted relay;
        bool handled = false;
        relay.m_client.SetReadyHandler([&](const RelayReady&) { handled = true; });
        relay.m_client.SetStreamHandler([&](const RelayStreamEnd&) { handled = true; });
        relay.m_client.SetOutputHandler(
            [&](uint32_t, int, const uint8_t*, size_t) { handled = true; });
        relay.m_client.SetExitHandler([&](const RelayProcessExit&) { handled = true; });
        const std::string thrown = Thrown<VmError>([&]() {
            relay.Tell(type, body);
            relay.m_client.DispatchEvents();
        });
        NS_TEST_EXPECT_MSG_EQ(thrown.empty(), false, what);
        NS_TEST_EXPECT_MSG_EQ(handled, false, what << " reached a handler");
    }

    void DoRun() override
    {
        CheckReply("half a clock", std::string(23, 'x'), [](auto& c) { c.GetClock(); });
        CheckReply("no handle", "xxx", [](auto& c) { c.Socket(2, 1, 0); });
        CheckReply("half an address", std::string(27, 'x'), [](auto& c) { c.Accept(1); });
        CheckReply("no count", "xxx", [](auto& c) { c.Send(1, Data("data"), 4); });
        CheckReply("more sent than there was", Bytes(RelayCount{5}), [](auto& c) {
            c.Send(1, Data("data"), 4);
        });
        CheckReply("half of what is said of data", std::string(63, 'x'), [](auto& c) {
            c.Receive(1, 100);
        });
        CheckReply("more data than was asked for", Bytes(RelayReceived{}, "data"), [](auto& c) {
            c.Receive(1, 3);
        });
        CheckReply("no process", "xxx", [](auto& c) { c.StartProcess({{"x"}, {}, "", {}, {}}); });
        CheckReply("more written than there was", Bytes(RelayCount{5}), [](auto& c) {
            c.WriteProcess(1, Data("data"), 4);
        });
        Scripted silent;
        NS_TEST_EXPECT_MSG_EQ(Thrown<VmError>([&]() { silent.m_client.GetClock(); }).empty(),
                              false,
                              "no reply");
        Scripted unasked;
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<VmError>([&]() { unasked.Send(RELAY_CLOCK_GET, 1, 0, ""); }).empty(),
            false,
            "a reply to no request");

        CheckEvent("half a readiness", RELAY_EVENT_READY, std::string(11, 'x'));
        CheckEvent("half a stream's end", RELAY_EVENT_STREAM, std::string(23, 'x'));
        CheckEvent("output of nobody", RELAY_EVENT_OUTPUT, std::string(7, 'x'));
        CheckEvent("output 0", RELAY_EVENT_OUTPUT, Bytes(RelayProcessOutput{1, 0}, "x"));
        CheckEvent("output 3", RELAY_EVENT_OUTPUT, Bytes(RelayProcessOutput{1, 3}, "x"));
        CheckEvent("half an exit", RELAY_EVENT_EXIT, std::string(11, 'x'));
        CheckEvent("input of nobody", RELAY_EVENT_INPUT, "xxx");
        CheckEvent("an event that there is not", 0x0090, "");
        CheckEvent("half a hello", RELAY_HELLO, "xxx");
        CheckEvent("another version", RELAY_HELLO, Bytes(RelayHello{99, 0}));
        Scripted large;
        const RelayHeader header{RELAY_BODY_MAX + 1, RELAY_EVENT_OUTPUT, 0, 0, 0};
        const std::string bytes = Bytes(header);
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<VmError>([&]() { large.m_client.Receive(Data(bytes), bytes.size()); }).empty(),
            false,
            "a message without bounds");
    }
};

/** Data, and how much of it the guest's kernel takes. */
class RelaySendTestCase : public TestCase
{
  public:
    RelaySendTestCase()
        : TestCase("Data goes in pieces, as far as the guest's kernel takes it")
    {
    }

  private:
    void DoRun() override
    {
        const size_t most = RELAY_BODY_MAX - sizeof(RelaySend);
        const std::string data(2 * most, 'x');
        const auto all = Bytes(RelayCount{static_cast<uint32_t>(most)});
        Scripted relay;
        relay.m_answers = {{0, all}, {0, all}};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.Send(1, Data(data), data.size()),
                              data.size(),
                              "all of it");
        relay.m_answers = {{0, all}, {0, Bytes(RelayCount{7})}};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.Send(1, Data(data), data.size()),
                              most + 7,
                              "a part of the second piece");
        relay.m_answers = {{0, all}, {EAGAIN, ""}};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.Send(1, Data(data), data.size()),
                              most,
                              "nothing of the second piece");
        relay.m_answers = {{EAGAIN, ""}};
        int error = 0;
        try
        {
            relay.m_client.Send(1, Data(data), data.size());
        }
        catch (const GuestError& refusal)
        {
            error = refusal.GetErrno();
        }
        NS_TEST_ASSERT_MSG_EQ(error, EAGAIN, "nothing at all");

        relay.m_asked.clear();
        relay.m_answers = {{0, Bytes(RelayCount{0})}};
        const GuestEndpoint to{GuestAddress::Parse("fe80::1"), 53, 4};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.Send(9, nullptr, 0, 0x40, &to), 0, "nothing to send");
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.size(), 1, "an empty datagram is one, too");
        RelaySend sent;
        std::memcpy(&sent, relay.m_asked[0].body.data(), sizeof(sent));
        NS_TEST_ASSERT_MSG_EQ(sent.to.handle, 9, "the socket");
        NS_TEST_ASSERT_MSG_EQ(sent.to.family, RELAY_INET6, "the address family");
        NS_TEST_ASSERT_MSG_EQ(sent.to.port, 53, "the port");
        NS_TEST_ASSERT_MSG_EQ(sent.to.scope, 4, "the interface");
        NS_TEST_ASSERT_MSG_EQ(sent.flags, 0x40, "the flags");
    }
};

/** A file may be longer than a message. */
class RelayPartsTestCase : public TestCase
{
  public:
    RelayPartsTestCase()
        : TestCase("Files go in parts")
    {
    }

  private:
    void DoRun() override
    {
        Scripted relay;
        relay.m_answers = {{0, ""}, {0, ""}};
        std::vector<uint8_t> content(RELAY_BODY_MAX);
        for (size_t i = 0; i < content.size(); ++i)
        {
            content[i] = static_cast<uint8_t>(i % 251);
        }
        relay.m_client.WriteFile("/a/file", content, 0755);
        std::string written;
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.size(), 2, "two parts");
        for (const auto& asked : relay.m_asked)
        {
            RelayFilePut put;
            std::memcpy(&put, asked.body.data(), sizeof(put));
            const uint32_t flags = RELAY_FILE_CREATE | RELAY_FILE_TRUNCATE | RELAY_FILE_PARENTS;
            NS_TEST_ASSERT_MSG_EQ(put.offset, written.size(), "where it goes");
            NS_TEST_ASSERT_MSG_EQ(put.flags,
                                  (written.empty() ? flags : 0),
                                  "only the first begins");
            NS_TEST_ASSERT_MSG_EQ(put.mode, 0755, "permissions");
            NS_TEST_ASSERT_MSG_EQ(asked.body.substr(sizeof(put), put.pathLength),
                                  "/a/file",
                                  "the path");
            written += asked.body.substr(sizeof(put) + put.pathLength);
        }
        NS_TEST_ASSERT_MSG_EQ((written == std::string(content.begin(), content.end())),
                              true,
                              "the contents");
    }
};

/** Programs: what is told of them, and what they do not take at once. */
class RelayProcessTestCase : public TestCase
{
  public:
    RelayProcessTestCase()
        : TestCase("A program gets its input as it takes it, and its output is told")
    {
    }

  private:
    void CheckInput()
    {
        Scripted relay;
        relay.m_answers = {{0, Bytes(RelayCount{3})}};
        relay.m_client.WriteProcess(5, Data("0123456789"), 10);
        relay.m_client.WriteProcess(5, Data("abc"), 3);
        relay.m_client.CloseProcessInput(5);
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.size(), 1, "nothing more before there is room");

        relay.m_asked.clear();
        relay.Tell(RELAY_EVENT_INPUT, Bytes(RelayProcess{4}));
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.empty(), true, "another's room");

        relay.m_answers = {{0, Bytes(RelayCount{10})}, {0, Bytes(RelayCount{0})}};
        relay.Tell(RELAY_EVENT_INPUT, Bytes(RelayProcess{5}));
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.size(), 2, "the rest, and its end");
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked[0].body,
                              Bytes(RelayProcess{5}, "3456789abc"),
                              "the rest");
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked[1].body, Bytes(RelayProcess{5}), "the end");

        relay.m_asked.clear();
        relay.Tell(RELAY_EVENT_INPUT, Bytes(RelayProcess{5}));
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.empty(), true, "room for nothing");
    }

    void CheckRefusedInput()
    {
        Scripted relay;
        relay.m_answers = {{EPIPE, ""}};
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<GuestError>([&]() { relay.m_client.WriteProcess(5, Data("x"), 1); }).empty(),
            false,
            "a program that does not read");
        relay.m_answers = {{0, Bytes(RelayCount{0})}, {EPIPE, ""}};
        relay.m_client.WriteProcess(5, Data("x"), 1);
        relay.Tell(RELAY_EVENT_INPUT, Bytes(RelayProcess{5}));
        relay.m_client.DispatchEvents(); // nobody waits for this one's outcome
        relay.m_answers = {{0, Bytes(RelayCount{0})}};
        relay.m_client.WriteProcess(6, Data("x"), 1);
        relay.Tell(RELAY_EVENT_EXIT, Bytes(RelayProcessExit{6, 0, 0}));
        relay.Tell(RELAY_EVENT_INPUT, Bytes(RelayProcess{6}));
        relay.m_asked.clear();
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.empty(), true, "input of what has ended");
    }

    void CheckEvents()
    {
        Scripted relay;
        std::string told;
        relay.m_client.SetOutputHandler(
            [&](uint32_t process, int stream, const uint8_t* data, size_t length) {
                told += std::to_string(process) + "." + std::to_string(stream) + ":" +
                        std::string(reinterpret_cast<const char*>(data), length) + ";";
            });
        relay.m_client.SetExitHandler([&](const RelayProcessExit& end) {
            told += std::to_string(end.process) + " " + std::to_string(end.code) + " " +
                    std::to_string(end.signal) + ";";
        });
        relay.Tell(RELAY_EVENT_OUTPUT, Bytes(RelayProcessOutput{7, 1}, "out"));
        relay.Tell(RELAY_EVENT_OUTPUT, Bytes(RelayProcessOutput{7, 2}, ""));
        relay.Tell(RELAY_EVENT_EXIT, Bytes(RelayProcessExit{7, 3, 0}));
        relay.Tell(RELAY_EVENT_EXIT, Bytes(RelayProcessExit{4000000000, 0, 9}));
        relay.m_client.DispatchEvents();
        NS_TEST_ASSERT_MSG_EQ(told, "7.1:out;7.2:;7 3 0;4000000000 0 9;", "as it was told");
    }

    void CheckStart()
    {
        Scripted relay;
        relay.m_answers = {{0, Bytes(RelayProcess{8})}, {ENOENT, ""}};
        const GuestProgram program{{"cat", "", "-n"}, {"A=1"}, "/tmp", true, true};
        NS_TEST_ASSERT_MSG_EQ(relay.m_client.StartProcess(program), 8, "its number");
        const std::string texts("/tmp\0cat\0\0-n\0A=1\0", 17);
        NS_TEST_ASSERT_MSG_EQ((relay.m_asked[0].body == Bytes(RelayProcessStart{3, 3, 1}, texts)),
                              true,
                              "what it is to be");
        NS_TEST_ASSERT_MSG_EQ(
            Thrown<GuestError>([&]() { relay.m_client.StartProcess(program); }),
            "starting cat in /tmp: No such file or directory (the guest's errno 2)",
            "a program that is missing");
        relay.m_asked.clear();
        for (const auto& wrong : {GuestProgram{}, GuestProgram{{std::string("a\0b", 3)}, {}, ""}})
        {
            NS_TEST_ASSERT_MSG_EQ(Thrown<std::invalid_argument>([&]() {
                                      relay.m_client.StartProcess(wrong);
                                  }).empty(),
                                  false,
                                  "no program");
        }
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked.empty(), true, "the guest has nothing to do with it");
    }

    void DoRun() override
    {
        CheckStart();
        CheckInput();
        CheckRefusedInput();
        CheckEvents();
    }
};

/** The suite. */
class RelayClientTestSuite : public TestSuite
{
  public:
    RelayClientTestSuite()
        : TestSuite("qemu-relay-client", Type::UNIT)
    {
        AddTestCase(new RelayFramingTestCase);
        AddTestCase(new RelayTogetherTestCase);
        AddTestCase(new RelayEventsTestCase);
        AddTestCase(new RelayHostileTestCase);
        AddTestCase(new RelaySendTestCase);
        AddTestCase(new RelayPartsTestCase);
        AddTestCase(new RelayProcessTestCase);
    }
};

static RelayClientTestSuite g_relayClientTestSuite; //!< registers itself
