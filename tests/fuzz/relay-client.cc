/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The relay protocol, the simulator's end: requests of many kinds, with answers and events that a
 * hostile relay makes, and netlink messages in them.
 */
#include "relay-client.h"

#include "guest-initial-window.h"
#include "guest-netlink.h"
#include "guest-qdisc.h"
#include "guest-routes.h"
#include "guest-tcp-info.h"
#include "input.h"
#include "vm-error.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdexcept>

using namespace ns3qemu;

namespace
{

constexpr int REQUESTS_MAX = 50;

/* Answers with what the input has. */
class Relay
{
  public:
    explicit Relay(Input input)
        : m_input(input),
          m_client([this](Span<const ByteSpan> message) { Take(message); })
    {
        m_client.SetReadyHandler([this](const RelayReady& ready) { m_sum += ready.handle; });
        m_client.SetStreamHandler([this](const RelayStreamEnd& end) { m_sum += end.handle; });
        m_client.SetExitHandler([this](const RelayProcessExit& exit) { m_sum += exit.process; });
        m_client.SetOutputHandler([this](uint32_t process, int, const uint8_t* data, size_t n) {
            m_sum += process;
            for (size_t i = 0; i < n; i++)
            {
                m_sum += data[i];
            }
        });
    }

    void Run()
    {
        const RelayHello hello{RELAY_PROTOCOL_VERSION, 2};
        std::vector<uint8_t> body(sizeof(hello));
        std::memcpy(body.data(), &hello, sizeof(hello));
        body.push_back('6');
        Send(RELAY_HELLO, 0, 0, body);
        for (int i = 0; i < REQUESTS_MAX && !m_input.IsEmpty(); i++)
        {
            try
            {
                Ask(m_input.Take<uint8_t>() % 32);
                m_client.DispatchEvents();
            }
            catch (const GuestError&)
            {
            }
        }
    }

  private:
    void Ask(unsigned what)
    {
        const uint32_t handle = 1;
        const std::vector<uint8_t> data(100, 'x');
        GuestEndpoint peer;
        std::string name;
        switch (what)
        {
        case 0:
            m_client.GetClock();
            return;
        case 1:
            m_client.GetSysctl("net.ipv4.tcp_rmem");
            return;
        case 2:
            m_client.ReadFile("/etc/passwd");
            return;
        case 3:
            m_client.WriteFile("/x", data);
            return;
        case 4:
            m_client.GetLink(0, &name);
            return;
        case 5:
            m_client.Socket(2, 1, 0);
            return;
        case 6:
            m_client.Accept(handle, &peer);
            peer.address.Print();
            return;
        case 7:
            m_client.GetOption(handle, 6, 11, 104);
            return;
        case 8:
            m_client.GetSocketName(handle).address.Print();
            return;
        case 9:
            m_client.Send(handle, data.data(), data.size());
            return;
        case 10:
            m_client.Receive(handle, 65536);
            return;
        case 11:
            m_client.Ioctl(handle, 0x541b, {0, 0, 0, 0});
            return;
        case 12:
            m_client.GetStreamStat(handle);
            return;
        case 13: {
            GuestProgram program;
            program.arguments = {"/bin/true"};
            m_client.StartProcess(program);
            return;
        }
        case 14:
            m_client.WriteProcess(1, data.data(), data.size());
            return;
        case 15:
            m_client.CloseProcessInput(1);
            return;
        case 16:
            GuestTcpInfo::Parse(m_client.GetOption(handle, 6, 11, 104));
            return;
        case 17: {
            GuestNetlink netlink;
            const std::vector<uint8_t> request(sizeof(rtmsg));
            const auto answer =
                netlink.Ask(m_client, RTM_GETROUTE, NLM_F_DUMP, request, "asking for routes");
            GuestNetlink::FindNested(
                GuestNetlink::FindAttribute(answer, sizeof(rtmsg), RTA_METRICS),
                RTAX_INITCWND);
            return;
        }
        case 18: {
            GuestNetlink netlink;
            for (int i = 0; i < 3; i++)
            {
                netlink.Queue(RTM_NEWROUTE, NLM_F_ACK, std::vector<uint8_t>(12), "a route", 17);
            }
            netlink.Run(m_client);
            return;
        }
        case 19:
            SetInitialWindow(m_client, GuestAddress::Parse("10.0.0.2"), 10);
            return;
        case 20:
            ResetGuestQdisc(m_client, 2);
            return;
        case 21: {
            GuestRoute route;
            route.CopyMetrics(m_input.TakeSome());
            route.Build();
            return;
        }
        case 22: {
            const auto message = m_input.TakeSome();
            GuestNetlink::FindAttribute(message, m_input.Take<uint8_t>(), RTA_METRICS);
            GuestNetlink::FindNested(message, m_input.Take<uint8_t>());
            return;
        }
        case 23:
            GuestTcpInfo::Parse(m_input.TakeSome());
            return;
        case 24: {
            const auto bytes = m_input.TakeSome();
            m_client.Receive(bytes.data(), bytes.size());
            return;
        }
        case 25:
            Event();
            return;
        default:
            m_client.Watch(handle, RELAY_READABLE);
        }
    }

    /* An event, now and then with a body of the right length. */
    void Event()
    {
        const auto type = static_cast<uint16_t>(RELAY_EVENT_READY + m_input.Take<uint8_t>() % 6);
        Send(type, 0, 0, m_input.TakeSome());
    }

    void Send(uint16_t type, uint32_t id, int32_t status, const std::vector<uint8_t>& body)
    {
        const RelayHeader header{static_cast<uint32_t>(body.size()), type, 0, id, status};
        std::vector<uint8_t> message(sizeof(header));
        std::memcpy(message.data(), &header, sizeof(header));
        message.insert(message.end(), body.begin(), body.end());
        /* In two parts, at any place. */
        const size_t first = std::min<size_t>(m_input.Take<uint8_t>(), message.size());
        m_client.Receive(message.data(), first);
        m_client.Receive(message.data() + first, message.size() - first);
    }

    void Take(Span<const ByteSpan> message)
    {
        RelayHeader header{};
        PieceReader(message).Read(reinterpret_cast<uint8_t*>(&header), sizeof(header));
        const uint8_t kind = m_input.Take<uint8_t>();
        if (kind & 1)
        {
            Event();
        }
        if (kind & 2)
        {
            return; // no answer
        }
        const int32_t status = kind & 4 ? m_input.Take<int32_t>() : 0;
        const uint32_t id = kind & 8 ? m_input.Take<uint32_t>() : header.id;
        const uint16_t type = kind & 16 ? m_input.Take<uint16_t>() : header.type;
        Send(type, id, status, kind & 32 ? MakeAnswer() : m_input.TakeSome());
        if (kind & 64)
        {
            Send(type, id, status, m_input.TakeSome());
        }
    }

    /* What recv(2) of a netlink socket brings: the relay's header, then messages. */
    std::vector<uint8_t> MakeAnswer()
    {
        const auto netlink = m_input.TakeSome();
        RelayReceived received{};
        received.length = m_input.Take<uint8_t>() == 0 ? m_input.Take<uint32_t>()
                                                       : static_cast<uint32_t>(netlink.size());
        std::vector<uint8_t> body(sizeof(received));
        std::memcpy(body.data(), &received, sizeof(received));
        body.insert(body.end(), netlink.begin(), netlink.end());
        return body;
    }

    Input m_input;
    volatile uint32_t m_sum{0};
    RelayClient m_client;
};

} // namespace

int
LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    try
    {
        Relay(Input(data, size)).Run();
    }
    catch (const VmError&)
    {
    }
    return 0;
}
