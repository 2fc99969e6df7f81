/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-blocks.h"

#include "fnv-hash.h"
#include "guest-routes.h"
#include "host-memory.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <set>
#include <sys/socket.h>
#include <tuple>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* -- the file ---------------------------------------------------------------------------------- */

/* Of a list that is kept. What the blocks are worth is seen when they are translated. */
struct FileHeader
{
    uint64_t magic;
    uint64_t count;
    uint64_t sum;
};

constexpr uint64_t FILE_MAGIC = 0x31736b636f6c6256; // "Vblocks1"

uint64_t
Sum(const VmBlocks& blocks)
{
    FnvHash sum;
    sum.Add(blocks.data(), blocks.size() * sizeof(SimLinkBlock));
    return sum.Get();
}

/* -- what machines do -------------------------------------------------------------------------- */

constexpr int64_t MILLISECOND = 1'000'000;
constexpr int64_t DELAY = MILLISECOND / 2;
constexpr uint16_t PORT = 80;

/* Payload of a connection, in bytes, and which of the frames to its receiver are lost. */
constexpr uint64_t LENGTH = 400'000;
constexpr std::array<uint64_t, 3> LOST{150, 170, 171};

/* Two machines, and a wire between their first NICs. */
class Pair
{
  public:
    Pair(VmDriver& one, VmDriver& other)
        : m_vms{&one, &other}
    {
        for (size_t i = 0; i < m_vms.size(); i++)
        {
            m_vms[i]->SetFrameHandler([this, i](unsigned nic, const uint8_t* data, size_t length) {
                const size_t to = 1 - i;
                m_count[to]++;
                if (nic == 0 && std::count(LOST.begin(), LOST.end(), m_count[to]) == 0)
                {
                    m_frames[to].push_back({m_now + DELAY, {data, data + length}});
                }
            });
        }
    }

    RelayClient& GetRelay(size_t i)
    {
        return m_vms[i]->GetRelay();
    }

    /** Count the frames to a machine from now on; some are lost. */
    void Count(size_t to)
    {
        m_count[to] = 0;
    }

    void Run(int64_t duration)
    {
        const int64_t end = m_now + duration;
        for (;;)
        {
            int64_t next = end;
            size_t who = m_vms.size();
            bool frame = false;
            for (size_t i = 0; i < m_vms.size(); i++)
            {
                const int64_t deadline = std::max(m_vms[i]->GetDeadline(), m_now);
                if (deadline < next)
                {
                    std::tie(next, who, frame) = std::tuple(deadline, i, false);
                }
                if (!m_frames[i].empty() && m_frames[i].front().time < next)
                {
                    std::tie(next, who, frame) = std::tuple(m_frames[i].front().time, i, true);
                }
            }
            if (who == m_vms.size())
            {
                break;
            }
            m_now = next;
            if (frame)
            {
                const auto data = std::move(m_frames[who].front().data);
                m_frames[who].pop_front();
                m_vms[who]->QueueFrame(0, data.data(), data.size());
            }
            m_vms[who]->Run(m_now, !frame);
        }
        m_now = end;
        for (auto* vm : m_vms)
        {
            vm->MoveTo(m_now);
        }
    }

  private:
    struct Frame
    {
        int64_t time;
        std::vector<uint8_t> data;
    };

    std::array<VmDriver*, 2> m_vms;
    std::array<std::deque<Frame>, 2> m_frames; // on the way to each
    std::array<uint64_t, 2> m_count{};
    int64_t m_now{0};
};

/* What a kernel does not have, nobody asks it for. */
template <typename F>
void
Try(F&& what)
{
    try
    {
        what();
    }
    catch (const GuestError&)
    {
        /* So it is not among the code. */
    }
}

GuestEndpoint
At(const std::string& address, uint16_t port)
{
    return {GuestAddress::Parse(address), port};
}

std::string
GetAddress(size_t machine, bool ipv6)
{
    return (ipv6 ? "2001:db8::" : "192.0.2.") + std::to_string(machine + 1);
}

/* Payload of IP: type, code, checksum (RFC 1071), identifier and number of an ICMP echo. */
constexpr std::array<uint8_t, 8> ECHO{8, 0, 0xf7, 0xff, 0, 0, 0, 0};

/* A file of a kernel parameter is written as it is. */
void
TouchSysctl(RelayClient& relay, const std::string& name)
{
    Try([&]() { relay.SetSysctl(name, relay.GetSysctl(name)); });
}

void
ConfigureNic(RelayClient& relay, uint32_t nic)
{
    std::string name;
    Try([&]() { relay.GetLink(nic, &name); });
    Try([&]() { relay.SetSysctl("net/ipv6/conf/" + name + "/accept_dad", "0"); });
    TouchSysctl(relay, "net/ipv4/conf/" + name + "/forwarding");
    RelayLinkSet link{};
    link.nic = nic;
    link.set = RELAY_LINK_UP | RELAY_LINK_MTU | RELAY_LINK_ARP | RELAY_LINK_GSO_MAX_SEGMENTS |
               RELAY_LINK_SPEED;
    link.up = 1;
    link.mtu = 1500;
    link.arp = 1;
    link.gsoMaxSegments = 1;
    link.speed = 1000;
    Try([&]() { relay.SetLink(link); });
    /* A link that goes up takes another way than one that is up. */
    link.set = RELAY_LINK_UP;
    Try([&]() { relay.SetLink(link); });
}

/* With a route by way of the peer, and one over the link. */
void
AddRoutes(RelayClient& relay, size_t machine, bool ipv6)
{
    GuestRoutes routes(ipv6 ? RELAY_INET6 : RELAY_INET);
    RouteKey key;
    key.metric = ipv6 ? 128 : 0;
    RouteTarget target;
    target.hasGateway = true;
    target.gateway = GuestAddress::Parse(GetAddress(1 - machine, ipv6)).bytes;
    GuestRoutes::Routes wanted{{key, target}};
    key.destination = GuestAddress::Parse(ipv6 ? "2001:db8:1::" : "198.51.100.0").bytes;
    key.prefix = ipv6 ? 64 : 24;
    wanted.emplace(key, RouteTarget{});
    GuestRoutes::Interfaces interfaces;
    Try([&]() {
        interfaces.push_back(relay.GetLink(0).index);
        routes.Carry(relay, wanted, interfaces);
    });
}

/* As a simulation does it before its time 0: many machines do nothing else at first, and each would
 * translate all of this for itself. */
void
Configure(RelayClient& relay, size_t machine)
{
    Try([&]() { SetHostSysctls(relay, uint64_t{16} << 30); });
    TouchSysctl(relay, "kernel.printk");
    TouchSysctl(relay, "kernel.ns_last_pid");
    TouchSysctl(relay, "net/ipv4/ip_forward");
    TouchSysctl(relay, "net.ipv4.tcp_rmem");
    for (uint32_t nic = 0; nic < relay.GetNics(); nic++)
    {
        ConfigureNic(relay, nic);
    }
    if (relay.GetNics() == 0)
    {
        return;
    }
    for (const bool ipv6 : {false, true})
    {
        Try([&]() {
            const auto address = GuestAddress::Parse(GetAddress(machine, ipv6));
            relay.AddAddress(0, address, ipv6 ? 64 : 24);
        });
        AddRoutes(relay, machine, ipv6);
    }
}

void
SendDatagrams(Pair& pair)
{
    RelayClient& relay = pair.GetRelay(0);
    const auto send = [&](uint32_t type, uint32_t protocol, uint16_t port) {
        const uint32_t socket = relay.Socket(AF_INET, type, protocol);
        const auto to = At(GetAddress(1, false), port);
        relay.Send(socket, ECHO.data(), ECHO.size(), 0, &to);
        pair.Run(5 * MILLISECOND);
        Try([&]() { relay.Receive(socket, 1500); });
        relay.Close(socket);
    };
    Try([&]() { send(SOCK_RAW, IPPROTO_ICMP, 0); });
    Try([&]() { send(SOCK_DGRAM, 0, PORT); }); // refused
    Try([&]() {
        RelayClient& other = pair.GetRelay(1);
        const uint32_t receiver = other.Socket(AF_INET, SOCK_DGRAM, 0);
        other.Bind(receiver, At("0.0.0.0", PORT));
        send(SOCK_DGRAM, 0, PORT);
        other.Receive(receiver, 1500);
        other.Close(receiver);
    });
}

void
Connect(Pair& pair, size_t sender, bool ipv6)
{
    RelayClient& from = pair.GetRelay(sender);
    RelayClient& to = pair.GetRelay(1 - sender);
    const uint32_t domain = ipv6 ? AF_INET6 : AF_INET;
    const uint32_t listening = to.Socket(domain, SOCK_STREAM, 0);
    to.Bind(listening, At(ipv6 ? "::" : "0.0.0.0", PORT));
    to.Listen(listening, 8);
    const uint32_t client = from.Socket(domain, SOCK_STREAM, 0);
    Try([&]() { from.Connect(client, At(GetAddress(1 - sender, ipv6), PORT)); }); // in progress
    pair.Run(20 * MILLISECOND);
    const uint32_t server = to.Accept(listening);
    GuestStream sink;
    sink.direction = RELAY_STREAM_SINK;
    to.Stream(server, sink);
    GuestStream source;
    source.direction = RELAY_STREAM_SOURCE;
    source.length = LENGTH;
    pair.Count(1 - sender);
    from.Stream(client, source);
    pair.Run(50 * MILLISECOND);
    Try([&]() { from.GetOption(client, IPPROTO_TCP, TCP_INFO, 232); });
    pair.Run(500 * MILLISECOND);
    from.Close(client);
    pair.Run(20 * MILLISECOND);
    to.Close(server);
    to.Close(listening);
    pair.Run(300 * MILLISECOND);
}

void
RunProgram(RelayClient& relay)
{
    GuestProgram program;
    program.arguments = {"true"};
    program.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    relay.StartProcess(program);
}

/* Blocks of a list that are not among those seen so far. */
void
Add(VmBlocks& blocks,
    std::set<std::tuple<uint32_t, uint32_t, uint32_t>>& seen,
    const VmBlocks& others)
{
    for (const auto& block : others)
    {
        if (blocks.size() < SIM_ZYGOTE_BLOCKS_MAX &&
            seen.emplace(block.pages[0], block.offset, block.flags).second)
        {
            blocks.push_back(block);
        }
    }
}

} // namespace

std::optional<VmBlocks>
ReadBlocks(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    FileHeader header{};
    file.read(reinterpret_cast<char*>(&header), sizeof(header));
    if (!file || header.magic != FILE_MAGIC || header.count > SIM_ZYGOTE_BLOCKS_MAX)
    {
        return std::nullopt;
    }
    VmBlocks blocks(header.count);
    const auto size = static_cast<std::streamsize>(blocks.size() * sizeof(SimLinkBlock));
    file.read(reinterpret_cast<char*>(blocks.data()), size);
    if (!file || file.peek() != std::ifstream::traits_type::eof() || Sum(blocks) != header.sum)
    {
        return std::nullopt;
    }
    return blocks;
}

void
WriteBlocks(const std::string& path, const VmBlocks& blocks)
{
    if (blocks.empty())
    {
        return; // it would keep all that follow from learning better
    }
    const FileHeader header{FILE_MAGIC, blocks.size(), Sum(blocks)};
    const std::string part = path + "." + std::to_string(getpid());
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    file.write(reinterpret_cast<const char*>(blocks.data()),
               static_cast<std::streamsize>(blocks.size() * sizeof(SimLinkBlock)));
    file.close();
    if (!file || std::rename(part.c_str(), path.c_str()) != 0)
    {
        unlink(part.c_str());
    }
}

VmBlocks
LearnBlocks(const VmConfig& kind, const VmDriver::Interrupt& interrupt)
{
    std::array<std::unique_ptr<VmDriver>, 2> vms;
    for (size_t i = 0; i < vms.size(); i++)
    {
        VmConfig config = kind;
        config.name = "learning" + std::to_string(i);
        config.consoleLog.clear();
        config.seed = VmConfig{}.seed;
        config.tickPhase = -1;
        config.cpuRate = 0;
        config.warmAfter = VmConfig::NEVER_WARM;
        for (size_t nic = 0; nic < config.nics.size(); nic++)
        {
            char address[18];
            std::snprintf(address,
                          sizeof(address),
                          "02:00:5e:00:%02x:%02x",
                          static_cast<unsigned>(nic & 0xff),
                          static_cast<unsigned>(i & 0xff));
            config.nics[nic].address = address;
        }
        vms[i] = std::make_unique<VmDriver>(config);
        vms[i]->SetInterrupt(interrupt);
        vms[i]->SetReporter([](const std::string&) {});
    }
    for (const auto& vm : vms)
    {
        vm->FinishBoot();
    }
    Pair pair(*vms[0], *vms[1]);
    for (size_t i = 0; i < vms.size(); i++)
    {
        Configure(pair.GetRelay(i), i);
    }
    pair.Run(2500 * MILLISECOND); // e1000's link is up
    if (!kind.nics.empty())
    {
        SendDatagrams(pair);
        for (const bool ipv6 : {false, true})
        {
            for (size_t sender = 0; sender < vms.size(); sender++)
            {
                Try([&]() { Connect(pair, sender, ipv6); });
            }
        }
    }
    Try([&]() { RunProgram(pair.GetRelay(0)); });
    pair.Run(5000 * MILLISECOND);
    VmBlocks blocks;
    std::set<std::tuple<uint32_t, uint32_t, uint32_t>> seen;
    for (const auto& vm : vms)
    {
        Add(blocks, seen, vm->GetBlocks());
    }
    return blocks;
}

} // namespace ns3qemu
