/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Netlink as the simulator speaks it with a guest's kernel, one that answers and one that must not
 * be trusted; and what it says of routes.
 */
#include "scripted-relay.h"
#include "thrown.h"

#include "ns3/guest-initial-window.h"
#include "ns3/guest-netlink.h"
#include "ns3/guest-prefix.h"
#include "ns3/guest-routes.h"
#include "ns3/test.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <linux/rtnetlink.h>
#include <string>
#include <sys/socket.h>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

namespace
{

using Answer = Scripted::Answer;

constexpr uint32_t HANDLE = 7;

/** @return a netlink message */
std::string
Netlink(uint16_t type, uint32_t sequence, const std::string& body = "")
{
    nlmsghdr header{};
    header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.nlmsg_type = type;
    header.nlmsg_seq = sequence;
    return Bytes(header, body);
}

/** @return an NLMSG_ERROR, or with 0 an acknowledgement */
std::string
Error(uint32_t sequence, int32_t error)
{
    return Netlink(NLMSG_ERROR, sequence, Bytes(int32_t{-error}));
}

std::string
Done(uint32_t sequence, int32_t error = 0)
{
    return Netlink(NLMSG_DONE, sequence, Bytes(int32_t{-error}));
}

/** @return the reply to RELAY_SOCKET */
Answer
Opened(uint32_t handle = HANDLE)
{
    return {0, Bytes(RelayHandle{handle})};
}

/** @return the reply to RELAY_SEND */
Answer
Sent(size_t length)
{
    return {0, Bytes(RelayCount{static_cast<uint32_t>(length)})};
}

/** @return the reply to RELAY_RECEIVE */
Answer
Received(const std::string& data)
{
    RelayReceived head{};
    head.length = static_cast<uint32_t>(data.size());
    return {0, Bytes(head, data)};
}

const Answer CLOSED{0, ""};

std::vector<uint8_t>
ToVector(const std::string& text)
{
    return {text.begin(), text.end()};
}

std::string
ToText(const std::vector<uint8_t>& bytes)
{
    return {bytes.begin(), bytes.end()};
}

/** @return the types of the requests that the relay was asked for */
std::vector<uint16_t>
Types(const Scripted& relay)
{
    std::vector<uint16_t> types;
    for (const auto& asked : relay.m_asked)
    {
        types.push_back(asked.type);
    }
    return types;
}

/** @return the bytes of netlink that a RELAY_SEND carries */
std::string
Carried(const Scripted::Asked& asked)
{
    return asked.body.substr(sizeof(RelaySend));
}

nlmsghdr
HeaderOf(const std::string& message)
{
    nlmsghdr header{};
    std::memcpy(&header, message.data(), std::min(message.size(), sizeof(header)));
    return header;
}

/** @return what is thrown as a GuestError: its errno, or 0 */
int
Refused(const std::function<void()>& call)
{
    try
    {
        call();
    }
    catch (const GuestError& error)
    {
        return error.GetErrno();
    }
    return 0;
}

} // namespace

/** Addresses, prefixes and routes as text. */
class GuestPrefixTestCase : public TestCase
{
  public:
    GuestPrefixTestCase()
        : TestCase("A prefix is an address and a length, a route has one family")
    {
    }

  private:
    void DoRun() override
    {
        const auto ipv4 = GuestPrefix::Parse("10.1.255.3/19");
        NS_TEST_ASSERT_MSG_EQ(ipv4.Print(), "10.1.255.3/19", "as it was given");
        NS_TEST_ASSERT_MSG_EQ(ipv4.GetNetwork().Print(), "10.1.224.0", "its network");
        NS_TEST_ASSERT_MSG_EQ(GuestPrefix::Parse("10.1.2.3/0").GetNetwork().Print(),
                              "0.0.0.0",
                              "all networks");
        NS_TEST_ASSERT_MSG_EQ(GuestPrefix::Parse("10.1.2.3/32").GetNetwork().Print(),
                              "10.1.2.3",
                              "a host");
        const auto ipv6 = GuestPrefix::Parse("fd00:0:0:ffff::3/50");
        NS_TEST_ASSERT_MSG_EQ(ipv6.GetNetwork().Print(), "fd00:0:0:c000::", "of IPv6, too");
        NS_TEST_ASSERT_MSG_EQ(GuestPrefix::Parse("::1/128").GetNetwork().Print(), "::1", "a host");
        for (const std::string wrong : {"10.0.0.1",
                                        "10.0.0.1/",
                                        "10.0.0.1/33",
                                        "10.0.0.1/-1",
                                        "10.0.0.1/ 8",
                                        "10.0.0.1/8x",
                                        "10.0.0.1/0032"})
        {
            NS_TEST_EXPECT_MSG_EQ(
                Thrown<std::invalid_argument>([&]() { GuestPrefix::Parse(wrong); }),
                "'" + wrong + "' needs a prefix length, as in 10.0.1.1/24",
                wrong);
        }
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { GuestPrefix::Parse("fd00::1/129"); }),
            "'fd00::1/129' needs a prefix length, as in fd00::1/64",
            "too long for IPv6");
        for (const std::string wrong : {"", "/8", "ten/8", "10.0.0/8", "10.0.0.256/8"})
        {
            NS_TEST_EXPECT_MSG_NE(Thrown<std::invalid_argument>([&]() {
                                      GuestPrefix::Parse(wrong);
                                  }).find("is neither an IPv4 nor an IPv6 address"),
                                  std::string::npos,
                                  wrong);
        }

        NS_TEST_EXPECT_MSG_EQ(GuestRoute::Parse("10.2.0.0/16", "10.1.0.1").Print(),
                              "10.2.0.0/16 via 10.1.0.1",
                              "by a gateway");
        NS_TEST_EXPECT_MSG_EQ(GuestRoute::Parse("fd02::/16", "").Print(), "fd02::/16", "on link");
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<std::invalid_argument>([]() { GuestRoute::Parse("10.2.0.0/16", "fd00::1"); }),
            "the gateway 'fd00::1' and the destination '10.2.0.0/16' must both be IPv4 or IPv6",
            "two families");
        NS_TEST_EXPECT_MSG_NE(
            Thrown<std::invalid_argument>([]() { GuestRoute::Parse("::/0", "next door"); }),
            "",
            "a gateway that is no address");
    }
};

/** One request, and all that the kernel has to say. */
class NetlinkAskTestCase : public TestCase
{
  public:
    NetlinkAskTestCase()
        : TestCase("A netlink request brings its whole answer")
    {
    }

  private:
    const std::string m_request = Netlink(RTM_GETLINK, 99, "body");

    void CheckDump()
    {
        const std::string one = Netlink(RTM_NEWLINK, 1, "one.");
        const std::string odd = Netlink(RTM_NEWLINK, 1, "odd");
        const std::string large = Netlink(RTM_NEWLINK, 1, std::string(32768 - 16, 'x'));
        Scripted relay;
        relay.m_answers = {Opened(),
                           Sent(m_request.size()),
                           Received(one + odd + std::string(1, 0)),
                           Received(large),
                           Received(one + Done(1) + one),
                           CLOSED};
        const auto answer = PassNetlink(relay.m_client, 16, ToVector(m_request));
        NS_TEST_ASSERT_MSG_EQ((ToText(answer) == one + odd + std::string(1, 0) + large + one),
                              true,
                              "its parts, aligned, up to the end");
        using T = std::vector<uint16_t>;
        NS_TEST_ASSERT_MSG_EQ(
            (Types(relay) ==
             T{RELAY_SOCKET, RELAY_SEND, RELAY_RECEIVE, RELAY_RECEIVE, RELAY_RECEIVE, RELAY_CLOSE}),
            true,
            "a socket for this request");
        NS_TEST_ASSERT_MSG_EQ(relay.m_asked[0].body,
                              Bytes(RelaySocket{AF_NETLINK, SOCK_RAW, 16}),
                              "of the protocol");
        const auto header = HeaderOf(Carried(relay.m_asked[1]));
        NS_TEST_ASSERT_MSG_EQ(header.nlmsg_len, m_request.size(), "the request");
        NS_TEST_ASSERT_MSG_EQ(header.nlmsg_flags, (NLM_F_REQUEST | NLM_F_ACK), "its flags");
        NS_TEST_ASSERT_MSG_EQ(header.nlmsg_seq, 1, "its number");
        RelayReceive receive;
        std::memcpy(&receive, relay.m_asked[2].body.data(), sizeof(receive));
        NS_TEST_ASSERT_MSG_EQ((receive.length >= 32768), true, "a part of a dump fits");
    }

    void CheckErrors()
    {
        const auto ask = [this](const std::deque<Answer>& answers) {
            Scripted relay;
            relay.m_answers = answers;
            const int error =
                Refused([&]() { PassNetlink(relay.m_client, 0, ToVector(m_request)); });
            NS_TEST_EXPECT_MSG_EQ(relay.m_answers.size(), 0, "all of them are taken");
            return error;
        };
        const Answer sent = Sent(m_request.size());
        const std::string one = Netlink(RTM_NEWLINK, 1, "one.");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, Received(Error(1, 0)), CLOSED}), 0, "success");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, Received(Error(1, ENODEV)), CLOSED}),
                              ENODEV,
                              "a refusal");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, Received(one + Done(1, EINTR)), CLOSED}),
                              EINTR,
                              "in the midst of a dump");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, Received(one + Netlink(NLMSG_DONE, 1)), CLOSED}),
                              0,
                              "an end that says nothing more");
        NS_TEST_EXPECT_MSG_EQ(ask({{EPROTONOSUPPORT, ""}}), EPROTONOSUPPORT, "no such protocol");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), {EMSGSIZE, ""}, CLOSED}), EMSGSIZE, "too long");
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, {ENOBUFS, ""}, CLOSED}), ENOBUFS, "overrun");
        RelayReceived cut{};
        cut.length = 100;
        NS_TEST_EXPECT_MSG_EQ(ask({Opened(), sent, {0, Bytes(cut, one)}, CLOSED}), EMSGSIZE, "cut");
        Scripted relay;
        relay.m_answers = {Opened(), sent, Received(Error(1, ENOENT)), CLOSED};
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<GuestError>([&]() { PassNetlink(relay.m_client, 0, ToVector(m_request)); }),
            "a netlink request: No such file or directory (the guest's errno 2)",
            "as it is told");
    }

    void CheckRequests()
    {
        Scripted relay;
        for (const auto& wrong : {std::string(),
                                  std::string(15, 'x'),
                                  m_request + m_request,
                                  m_request.substr(0, 18),
                                  Netlink(1, 1, std::string(RELAY_BODY_MAX, 'x'))})
        {
            NS_TEST_EXPECT_MSG_NE(Thrown<std::invalid_argument>(
                                      [&]() { PassNetlink(relay.m_client, 0, ToVector(wrong)); }),
                                  "",
                                  "a request of " << wrong.size() << " bytes");
        }
        NS_TEST_EXPECT_MSG_EQ(relay.m_asked.size(), 0, "the guest has nothing to do with them");
    }

    void DoRun() override
    {
        CheckDump();
        CheckErrors();
        CheckRequests();
    }
};

/** What no kernel says. */
class NetlinkHostileTestCase : public TestCase
{
  public:
    NetlinkHostileTestCase()
        : TestCase("A netlink answer that is none is found out")
    {
    }

  private:
    void Check(const std::string& what, const std::string& part)
    {
        const std::string request = Netlink(RTM_GETLINK, 0);
        Scripted relay;
        relay.m_answers = {Opened(), Sent(request.size()), Received(part)};
        NS_TEST_EXPECT_MSG_NE(Thrown<VmError>([&]() {
                                  PassNetlink(relay.m_client, 0, ToVector(request));
                              }).find("the guest's kernel"),
                              std::string::npos,
                              what);
        Scripted batch;
        batch.m_answers = {Opened(), Sent(16), Received(part)};
        GuestNetlink netlink;
        netlink.Queue(RTM_NEWROUTE, 0, {}, "a route", 0);
        NS_TEST_EXPECT_MSG_NE(
            Thrown<VmError>([&]() { netlink.Run(batch.m_client); }).find("the guest's kernel"),
            std::string::npos,
            what << ", to a batch");
    }

    void DoRun() override
    {
        nlmsghdr header{};
        header.nlmsg_type = NLMSG_ERROR;
        header.nlmsg_seq = 1;
        Check("nothing", "");
        Check("half a header", Error(1, 0).substr(0, 15));
        Check("half a message", Error(1, 0).substr(0, 19));
        Check("a message of no length", Bytes(header, "xxxx"));
        header.nlmsg_len = 15;
        Check("a message shorter than its header", Bytes(header, "xxxx"));
        header.nlmsg_len = UINT32_MAX;
        Check("a message longer than all", Bytes(header, "xxxx"));
        Check("an error without an errno", Netlink(NLMSG_ERROR, 1, "xx"));
        Check("the end of another answer", Error(2, 0));
        Check("the end of an earlier answer", Error(0, ENOENT));

        Scripted rest;
        rest.m_answers = {Opened(), Sent(16), Received(Netlink(RTM_NEWLINK, 1, "one.") + "rest")};
        const auto request = ToVector(Netlink(RTM_GETLINK, 0));
        NS_TEST_EXPECT_MSG_NE(Thrown<VmError>([&]() { PassNetlink(rest.m_client, 0, request); }),
                              "",
                              "something after a message");
        Scripted piece;
        piece.m_answers = {Opened(), Sent(15)};
        NS_TEST_EXPECT_MSG_NE(Thrown<VmError>([&]() { PassNetlink(piece.m_client, 0, request); }),
                              "",
                              "half of a request");
        Scripted endless;
        const Answer part = Received(Netlink(RTM_NEWLINK, 1, std::string(65536 - 16, 'x')));
        endless.m_answers = {Opened(), Sent(16)};
        endless.m_asking = [&](const Scripted::Asked& asked) {
            if (asked.type == RELAY_RECEIVE)
            {
                endless.m_answers = {part};
            }
        };
        NS_TEST_EXPECT_MSG_NE(Thrown<VmError>([&]() {
                                  PassNetlink(endless.m_client, 0, request);
                              }).find("without end"),
                              std::string::npos,
                              "an answer without end");
    }
};

/** What fails in the midst has no consequences for what comes after it. */
class NetlinkBrokenOffTestCase : public TestCase
{
  public:
    NetlinkBrokenOffTestCase()
        : TestCase("A netlink exchange that is broken off leaves nothing behind")
    {
    }

  private:
    /* The guest fails the first exchange with these answers; a second one follows. */
    void CheckBatch(const std::string& what, const std::deque<Answer>& answers)
    {
        Scripted relay;
        GuestNetlink netlink;
        relay.m_answers = answers;
        netlink.Queue(RTM_NEWROUTE, 0, ToVector("1st."), "the first", 0);
        NS_TEST_EXPECT_MSG_EQ(Refused([&]() { netlink.Run(relay.m_client); }), ENOBUFS, what);
        netlink.Run(relay.m_client);
        NS_TEST_EXPECT_MSG_EQ(relay.m_asked.size(), answers.size(), what << ": nothing to do");
        NS_TEST_EXPECT_MSG_EQ(relay.m_answers.size(), 0, what << ": all of them are taken");

        relay.m_asked.clear();
        const std::string second = Netlink(RTM_DELROUTE, 0, "2nd.");
        relay.m_answers = {Opened(8), Sent(second.size())};
        netlink.Queue(RTM_DELROUTE, 0, ToVector("2nd."), "the second", 0);
        NS_TEST_EXPECT_MSG_NE(Thrown<VmError>([&]() { netlink.Run(relay.m_client); }),
                              "",
                              what << ": the relay has said no more");
        NS_TEST_ASSERT_MSG_EQ((relay.m_asked.size() >= 2), true, what << ": a second batch");
        NS_TEST_EXPECT_MSG_EQ(relay.m_asked[0].type,
                              static_cast<uint16_t>(RELAY_SOCKET),
                              what << ": by another socket");
        NS_TEST_EXPECT_MSG_EQ(Carried(relay.m_asked[1]).substr(16),
                              "2nd.",
                              what << ": the first is not sent again");
    }

    void DoRun() override
    {
        const Answer refusal{ENOBUFS, ""};
        CheckBatch("no socket", {refusal});
        CheckBatch("no request", {Opened(), refusal, CLOSED});
        CheckBatch("no answer", {Opened(), Sent(20), refusal, CLOSED});

        Scripted relay;
        GuestNetlink netlink;
        const std::string part = Netlink(RTM_NEWLINK, 1, "one.");
        relay.m_answers = {Opened(), Sent(20), Received(part), refusal, CLOSED};
        const auto request = ToVector(Netlink(RTM_GETLINK, 0, "body"));
        NS_TEST_ASSERT_MSG_EQ(Refused([&]() { netlink.Ask(relay.m_client, request, "a dump"); }),
                              ENOBUFS,
                              "a dump in its midst");
        relay.m_answers = {Opened(8), Sent(20), Received(Error(2, 0))};
        NS_TEST_ASSERT_MSG_EQ(netlink.Ask(relay.m_client, request, "another").size(),
                              0,
                              "what was left of it is not taken for the next answer");
        NS_TEST_ASSERT_MSG_EQ(relay.m_answers.size(), 0, "by another socket");

        /* What the kernel refuses is no such thing: the socket is as good as before. */
        relay.m_answers = {Sent(20), Received(Error(3, EPERM)), Sent(20), Received(Error(4, 0))};
        NS_TEST_ASSERT_MSG_EQ(Refused([&]() { netlink.Ask(relay.m_client, request, "a third"); }),
                              EPERM,
                              "a refusal");
        netlink.Ask(relay.m_client, request, "a fourth");
        NS_TEST_ASSERT_MSG_EQ(relay.m_answers.size(), 0, "by the same socket");
    }
};

/** Many at a time. */
class NetlinkBatchTestCase : public TestCase
{
  public:
    NetlinkBatchTestCase()
        : TestCase("A netlink batch goes in parts, and the first refusal is told")
    {
    }

  private:
    void DoRun() override
    {
        Scripted relay;
        GuestNetlink netlink;
        for (int i = 0; i < 250; i++)
        {
            netlink.Queue(RTM_NEWROUTE, 0, {}, "route " + std::to_string(i), EEXIST);
        }
        /* Each part has its acknowledgement. The first ten exist already. */
        relay.m_answers = {Opened(), Sent(100 * 16)};
        for (uint32_t i = 0; i < 10; i++)
        {
            relay.m_answers.push_back(Received(Error(1 + i, EEXIST)));
        }
        relay.m_answers.push_back(Received(Error(100, 0)));
        relay.m_answers.push_back(Sent(100 * 16));
        relay.m_answers.push_back(Received(Error(150, ENETUNREACH)));
        relay.m_answers.push_back(Received(Error(151, EINVAL)));
        relay.m_answers.push_back(Received(Error(200, 0)));
        relay.m_answers.push_back(Sent(50 * 16));
        relay.m_answers.push_back(Received(Error(250, 0)));
        NS_TEST_ASSERT_MSG_EQ(Thrown<GuestError>([&]() { netlink.Run(relay.m_client); }),
                              "route 149: Network is unreachable (the guest's errno 101)",
                              "the first refusal");
        NS_TEST_ASSERT_MSG_EQ(relay.m_answers.size(), 0, "the others are carried out all the same");
        std::vector<uint16_t> flags;
        const std::string part = Carried(relay.m_asked[1]);
        for (size_t at = 0; at < part.size(); at += 16)
        {
            flags.push_back(HeaderOf(part.substr(at)).nlmsg_flags);
        }
        std::vector<uint16_t> expected(100, NLM_F_REQUEST);
        expected.back() |= NLM_F_ACK;
        NS_TEST_ASSERT_MSG_EQ((flags == expected), true, "the last one of a part is answered");
    }
};

/** Single routes. */
class GuestRouteTestCase : public TestCase
{
  public:
    GuestRouteTestCase()
        : TestCase("A single route is added and deleted as the guest's kernel has it")
    {
    }

  private:
    /* Lets the guest answer the requests that `call` makes: an errno for each. */
    void Run(const std::vector<int>& errors, const std::function<void(RelayClient&)>& call)
    {
        m_requests.clear();
        uint32_t sequence = 0;
        std::deque<Answer> answers;
        Scripted relay;
        relay.m_asking = [&](const Scripted::Asked& asked) {
            if (asked.type == RELAY_SEND)
            {
                m_requests.push_back(Carried(asked));
                sequence = HeaderOf(m_requests.back()).nlmsg_seq;
            }
            const size_t number = m_requests.size();
            relay.m_answers = {asked.type == RELAY_SOCKET ? Opened()
                               : asked.type == RELAY_SEND ? Sent(m_requests.back().size())
                               : asked.type == RELAY_RECEIVE
                                   ? Received(Error(sequence, errors.at(number - 1)))
                                   : CLOSED};
        };
        call(relay.m_client);
    }

    rtmsg RouteOf(size_t number) const
    {
        rtmsg route{};
        std::memcpy(&route, m_requests.at(number).data() + sizeof(nlmsghdr), sizeof(route));
        return route;
    }

    std::string AttributeOf(size_t number, uint16_t type) const
    {
        return ToText(
            GuestNetlink::FindAttribute(ToVector(m_requests.at(number)), sizeof(rtmsg), type));
    }

    void CheckAdd()
    {
        auto route = GuestRoute::Parse("10.1.2.3/24", "");
        route.interface = 5;
        route.initialWindow = 3;
        route.congestionControl = "reno";
        Run({EEXIST, 0, 0}, [&](RelayClient& relay) { AddGuestRoute(relay, route); });
        NS_TEST_ASSERT_MSG_EQ(m_requests.size(), 3, "the kernel's own makes way for it");
        NS_TEST_ASSERT_MSG_EQ(
            (m_requests[0].substr(sizeof(nlmsghdr)) == m_requests[2].substr(sizeof(nlmsghdr))),
            true,
            "the same again");
        NS_TEST_ASSERT_MSG_EQ(HeaderOf(m_requests[1]).nlmsg_type,
                              static_cast<uint16_t>(RTM_DELROUTE),
                              "that one is deleted");
        NS_TEST_ASSERT_MSG_EQ(unsigned(RouteOf(1).rtm_protocol), unsigned(RTPROT_KERNEL), "whose");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_DST), std::string("\x0a\x01\x02\0", 4), "masked");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_OIF), Bytes(uint32_t{5}), "the interface");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_PRIORITY), "", "without a metric");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_METRICS),
                              Bytes(rtattr{8, RTAX_INITCWND}, Bytes(uint32_t{3})) +
                                  Bytes(rtattr{9, RTAX_CC_ALGO}, std::string("reno\0\0\0\0", 8)),
                              "its attributes");
        const auto twice = [&]() {
            Run({EEXIST, ESRCH}, [&](RelayClient& relay) { AddGuestRoute(relay, route); });
        };
        NS_TEST_ASSERT_MSG_EQ(Thrown<GuestError>(twice),
                              "adding the route 10.1.2.3/24: File exists (the guest's errno 17)",
                              "one that is not the kernel's");
        for (const auto& [destination, gateway] :
             {std::pair{"0.0.0.0/0", ""}, {"10.2.0.0/16", "10.1.2.1"}, {"fd00::/64", ""}})
        {
            const auto other = GuestRoute::Parse(destination, gateway);
            NS_TEST_EXPECT_MSG_EQ(Refused([&]() {
                                      Run({EEXIST},
                                          [&](RelayClient& relay) { AddGuestRoute(relay, other); });
                                  }),
                                  EEXIST,
                                  "the kernel makes none to " << destination);
        }
    }

    void CheckDelete()
    {
        auto route = GuestRoute::Parse("fd02::5/16", "fd00::1");
        Run({ESRCH, 0}, [&](RelayClient& relay) { DeleteGuestRoute(relay, route); });
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_PRIORITY), Bytes(uint32_t{128}), "its own first");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(1, RTA_PRIORITY), "", "then whose it may be");
        NS_TEST_ASSERT_MSG_EQ(unsigned(RouteOf(1).rtm_scope),
                              unsigned(RT_SCOPE_NOWHERE),
                              "of any scope");
        NS_TEST_ASSERT_MSG_EQ(unsigned(RouteOf(1).rtm_protocol), 0U, "of any protocol");
        Run({0}, [&](RelayClient& relay) { DeleteGuestRoute(relay, route); });
        NS_TEST_ASSERT_MSG_EQ(m_requests.size(), 1, "one is enough");
        NS_TEST_ASSERT_MSG_EQ(Refused([&]() {
                                  Run({EPERM},
                                      [&](RelayClient& relay) { DeleteGuestRoute(relay, route); });
                              }),
                              EPERM,
                              "a refusal is not another route");
        route = GuestRoute::Parse("10.2.0.0/16", "");
        NS_TEST_ASSERT_MSG_EQ(Refused([&]() {
                                  Run({ESRCH},
                                      [&](RelayClient& relay) { DeleteGuestRoute(relay, route); });
                              }),
                              ESRCH,
                              "there is none");
    }

    /* What the route that a connection takes says stays true, but not a path's MTU. */
    void CheckWhatIsKept(std::vector<uint8_t> body)
    {
        std::vector<uint8_t> metrics;
        GuestNetlink::AppendNumber(metrics, RTAX_LOCK, 1U << RTAX_RTO_MIN);
        GuestNetlink::AppendNumber(metrics, RTAX_MTU, 1400);
        GuestNetlink::AppendNumber(metrics, RTAX_INITCWND, 5);
        GuestNetlink::AppendNumber(metrics, RTAX_RTO_MIN, 300);
        GuestNetlink::AppendAttribute(metrics, RTAX_CC_ALGO, "reno", 5);
        GuestNetlink::AppendAttribute(body, RTA_METRICS, metrics.data(), metrics.size());
        for (const uint32_t expires : {0, 100})
        {
            rta_cacheinfo cached{};
            cached.rta_expires = static_cast<int32_t>(expires);
            auto told = body;
            GuestNetlink::AppendAttribute(told, RTA_CACHEINFO, &cached, sizeof(cached));
            const size_t size = 16 + 12 + 8 + 8 + 8 + 4 + 24 + 12 + (expires == 0 ? 8 : 0);
            Scripted relay;
            relay.m_answers = {Opened(),
                               Sent(36),
                               Received(Netlink(RTM_NEWROUTE, 1, ToText(told)) + Error(1, 0)),
                               Sent(size),
                               Received(Error(2, 0)),
                               CLOSED};
            SetInitialWindow(relay.m_client, GuestAddress::Parse("192.0.2.1"), 20);
            m_requests = {Carried(relay.m_asked[3])};
            const auto kept = AttributeOf(0, RTA_METRICS);
            const auto has = [&kept](uint16_t type, uint32_t value) {
                return kept.find(Bytes(rtattr{8, type}, Bytes(value))) != std::string::npos;
            };
            NS_TEST_ASSERT_MSG_EQ(has(RTAX_LOCK, 1U << RTAX_RTO_MIN), true, "locked");
            NS_TEST_ASSERT_MSG_EQ(has(RTAX_RTO_MIN, 300), true, "the least timeout");
            NS_TEST_ASSERT_MSG_EQ(has(RTAX_INITCWND, 20), true, "its own window");
            NS_TEST_ASSERT_MSG_EQ(has(RTAX_MTU, 1400), (expires == 0), "the MTU");
            NS_TEST_ASSERT_MSG_EQ((kept.find("reno") != std::string::npos), true, "the algorithm");
        }
    }

    void CheckInitialWindow()
    {
        rtmsg found{};
        found.rtm_type = RTN_UNICAST;
        std::vector<uint8_t> body;
        const auto gateway = GuestAddress::Parse("10.0.0.1");
        GuestNetlink::Append(body, &found, sizeof(found));
        GuestNetlink::AppendNumber(body, RTA_OIF, 4);
        GuestNetlink::AppendAttribute(body, RTA_GATEWAY, gateway.bytes.data(), 4);
        Scripted relay;
        relay.m_answers = {Opened(),
                           Sent(36),
                           Received(Netlink(RTM_NEWROUTE, 1, ToText(body)) + Error(1, 0)),
                           Sent(16 + 12 + 8 + 8 + 8 + 12),
                           Received(Error(2, 0)),
                           CLOSED};
        SetInitialWindow(relay.m_client, GuestAddress::Parse("192.0.2.1"), 20);
        NS_TEST_ASSERT_MSG_EQ(relay.m_answers.size(), 0, "both requests");
        const std::string request = Carried(relay.m_asked[3]);
        NS_TEST_ASSERT_MSG_EQ(HeaderOf(request).nlmsg_flags,
                              (NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE),
                              "a route of its own, or the one from before");
        m_requests = {request};
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_GATEWAY), std::string("\x0a\0\0\x01", 4), "by");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_OIF), Bytes(uint32_t{4}), "over");
        NS_TEST_ASSERT_MSG_EQ(AttributeOf(0, RTA_METRICS),
                              Bytes(rtattr{8, RTAX_INITCWND}, Bytes(uint32_t{20})),
                              "the window");

        CheckWhatIsKept(body);

        Scripted itself;
        found.rtm_type = RTN_LOCAL;
        itself.m_answers = {Opened(),
                            Sent(36),
                            Received(Netlink(RTM_NEWROUTE, 1, Bytes(found)) + Error(1, 0)),
                            CLOSED};
        SetInitialWindow(itself.m_client, GuestAddress::Parse("127.0.0.1"), 20);
        NS_TEST_ASSERT_MSG_EQ(itself.m_answers.size(), 0, "none to itself");
    }

    void DoRun() override
    {
        CheckAdd();
        CheckDelete();
        CheckInitialWindow();
    }

    std::vector<std::string> m_requests;
};

/** The suite. */
class GuestNetlinkTestSuite : public TestSuite
{
  public:
    GuestNetlinkTestSuite()
        : TestSuite("qemu-guest-netlink", Type::UNIT)
    {
        AddTestCase(new GuestPrefixTestCase);
        AddTestCase(new NetlinkAskTestCase);
        AddTestCase(new NetlinkHostileTestCase);
        AddTestCase(new NetlinkBrokenOffTestCase);
        AddTestCase(new NetlinkBatchTestCase);
        AddTestCase(new GuestRouteTestCase);
    }
};

static GuestNetlinkTestSuite g_guestNetlinkTestSuite; //!< registers itself
