/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What ns3::Socket promises, on guests' sockets. What happens is noted under a name, in its order.
 */
#include "../model/qemu-socket-factory.h"
#include "../model/qemu-tcp-socket.h"
#include "../model/qemu-udp-socket.h"
#include "socket-network.h"

#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sstream>
#include <sys/socket.h>

using namespace ns3;

namespace
{

constexpr uint32_t A = 0;
constexpr uint32_t B = 1;
constexpr uint32_t NATIVE = SocketNetwork::NATIVE;

std::unique_ptr<SocketNetwork> g_network;
std::map<std::string, std::string> g_notes;
/* Sockets that a script would hold. */
std::vector<Ptr<Socket>> g_held;

template <typename T>
void
Note(const std::string& name, const T& what)
{
    std::ostringstream text;
    text << what;
    auto& note = g_notes[name];
    note += (note.empty() ? "" : " ") + text.str();
}

Ptr<Socket>
Make(uint32_t node, const std::string& protocol)
{
    auto socket = Socket::CreateSocket(g_network->nodes.Get(node),
                                       TypeId::LookupByName("ns3::" + protocol + "SocketFactory"));
    g_held.push_back(socket);
    return socket;
}

int
GuestErrno(Ptr<Socket> socket)
{
    if (const auto tcp = DynamicCast<QemuTcpSocket>(socket))
    {
        return tcp->GetGuestErrno();
    }
    return DynamicCast<QemuUdpSocket>(socket)->GetGuestErrno();
}

/* A call's result and, if it has failed, its errno in ns-3 and in the guest. */
std::string
Outcome(int result, Ptr<Socket> socket)
{
    return std::to_string(result) + (result >= 0 ? ""
                                                 : "/" + std::to_string(socket->GetErrno()) + "/" +
                                                       std::to_string(GuestErrno(socket)));
}

std::string
TextOf(Ptr<Packet> packet)
{
    if (!packet)
    {
        return "none";
    }
    std::string text(packet->GetSize(), '\0');
    packet->CopyData(reinterpret_cast<uint8_t*>(text.data()), packet->GetSize());
    return text.empty() ? "empty" : text;
}

Ptr<Packet>
PacketOf(const std::string& text)
{
    return Create<Packet>(reinterpret_cast<const uint8_t*>(text.data()),
                          static_cast<uint32_t>(text.size()));
}

std::string
TextOf(const Address& address)
{
    std::ostringstream text;
    if (InetSocketAddress::IsMatchingType(address))
    {
        text << InetSocketAddress::ConvertFrom(address).GetIpv4();
    }
    else if (Inet6SocketAddress::IsMatchingType(address))
    {
        text << Inet6SocketAddress::ConvertFrom(address).GetIpv6();
    }
    return text.str();
}

void
At(double time, std::function<void()> what)
{
    Simulator::Schedule(Seconds(time), what);
}

/* Note the ends of a connection and how it comes about. */
void
Watch(Ptr<Socket> socket, const std::string& name)
{
    const auto event = [name](const std::string& what) {
        return Callback<void, Ptr<Socket>>([=](Ptr<Socket> s) {
            const bool failed = what == "failed" || what == "error";
            Note(name, failed ? what + "/" + Outcome(-1, s) : what);
        });
    };
    socket->SetConnectCallback(event("connected"), event("failed"));
    socket->SetCloseCallbacks(event("closed"), event("error"));
}

/* A listening socket; what it accepts goes to `connected`. */
Ptr<Socket>
Serve(uint32_t node, uint16_t port, std::function<void(Ptr<Socket>)> connected)
{
    auto listener = Make(node, "Tcp");
    if (listener->Bind(InetSocketAddress(Ipv4Address::GetAny(), port)) != 0 ||
        listener->Listen() != 0)
    {
        Note("broken", "cannot listen");
    }
    listener->SetAcceptCallback(
        MakeNullCallback<bool, Ptr<Socket>, const Address&>(),
        Callback<void, Ptr<Socket>, const Address&>([=](Ptr<Socket> s, const Address&) {
            g_held.push_back(s);
            connected(s);
        }));
    return listener;
}

Callback<void, Ptr<Socket>>
On(std::function<void(Ptr<Socket>)> what)
{
    return Callback<void, Ptr<Socket>>(what);
}

/* Read all that has come. @return how much it was */
uint32_t
Drain(Ptr<Socket> socket)
{
    uint32_t size = 0;
    for (auto packet = socket->Recv(); packet && packet->GetSize() > 0; packet = socket->Recv())
    {
        size += packet->GetSize();
    }
    return size;
}

/* ---- TCP ---- */

/* All of it is said before the machines run. */
void
BeforeTheBeginning()
{
    Serve(B, 100, [](Ptr<Socket> s) {
        s->SetRecvCallback(On([](Ptr<Socket> s) { Note("early received", TextOf(s->Recv())); }));
    });
    auto client = Make(A, "Tcp");
    Watch(client, "early");
    Note("early", client->Bind());
    Note("early", client->Connect(SocketNetwork::At(B, 100)));
    Note("early", client->Send(PacketOf("good morning")));
    Note("early", client->Close());

    auto receiver = Make(B, "Udp");
    receiver->Bind(InetSocketAddress(Ipv4Address::GetAny(), 100));
    receiver->SetRecvCallback(On([](Ptr<Socket> s) { Note("early datagram", TextOf(s->Recv())); }));
    Make(A, "Udp")->SendTo(PacketOf("hello"), 0, SocketNetwork::At(B, 100));
}

void
Streams()
{
    Serve(B, 101, [](Ptr<Socket> s) {
        Watch(s, "stream server");
        s->SetRecvCallback(On([](Ptr<Socket> s) {
            Note("stream sizes", s->GetRxAvailable());
            Note("stream sizes", s->Recv(50, 0)->GetSize());
            Note("stream sizes", s->GetRxAvailable());
            auto rest = s->Recv();
            Note("stream sizes", rest->GetSize());
            Note("stream content", TextOf(rest).substr(245, 10));
            Note("stream then", TextOf(s->Recv()));
            s->SetRecvCallback(On([](Ptr<Socket> s) { Note("stream then", "told of data"); }));
        }));
        s->SetCloseCallbacks(On([](Ptr<Socket> s) {
                                 Note("stream server", "half closed");
                                 Note("stream then", TextOf(s->Recv()));
                                 s->Send(PacketOf("answer"));
                                 Note("stream server", s->Close());
                                 Note("stream server", Outcome(s->Close(), s));
                             }),
                             MakeNullCallback<void, Ptr<Socket>>());
    });
    auto client = Make(A, "Tcp");
    Watch(client, "stream client");
    client->SetDataSentCallback(Callback<void, Ptr<Socket>, uint32_t>(
        [](Ptr<Socket>, uint32_t size) { Note("stream sent", size); }));
    client->SetRecvCallback(On([](Ptr<Socket> s) {
        Note("stream answer", TextOf(s->Recv()));
        Note("stream answer", TextOf(s->Recv()));
    }));
    client->Connect(SocketNetwork::At(B, 101));
    Note("stream client", Outcome(client->Connect(SocketNetwork::At(B, 101)), client));
    for (int i = 0; i < 3; i++)
    {
        client->Send(PacketOf(std::string(98, static_cast<char>('a' + i)) + "<>"));
    }
    client->ShutdownSend();
    Note("stream client", Outcome(client->Send(PacketOf("more")), client));
}

void
BothNames()
{
    Serve(B, 102, [](Ptr<Socket> s) {
        Address address;
        s->GetSockName(address);
        Note("names server", TextOf(address));
        s->GetPeerName(address);
        Note("names server", TextOf(address));
        Note("names port", InetSocketAddress::ConvertFrom(address).GetPort());
    });
    auto client = Make(A, "Tcp");
    Address address;
    Note("names before", client->GetPeerName(address));
    client->Bind(InetSocketAddress(Ipv4Address::GetAny(), 999));
    client->GetSockName(address);
    Note("names before", TextOf(address));
    client->Connect(SocketNetwork::At(B, 102));
    client->SetConnectCallback(On([](Ptr<Socket> s) {
                                   Address address;
                                   s->GetSockName(address);
                                   Note("names client", TextOf(address));
                                   s->GetPeerName(address);
                                   Note("names client", TextOf(address));
                               }),
                               MakeNullCallback<void, Ptr<Socket>>());
}

/* A receiver that does not read, so that the sender's buffers fill. */
void
Room()
{
    auto server = Serve(B, 103, [](Ptr<Socket> s) {
        At(1, [s]() {
            s->SetRecvCallback(On(Drain));
            Drain(s);
        });
    });
    server->SetAttribute("RcvBufSize", UintegerValue(4000));
    auto client = Make(A, "Tcp");
    client->SetAttribute("SndBufSize", UintegerValue(10'000));
    client->SetConnectCallback(On([](Ptr<Socket> s) {
                                   Note("room", s->GetTxAvailable());
                                   Note("room", s->Send(Create<Packet>(4000)));
                                   Note("room", s->Send(Create<Packet>(4000)));
                                   Note("room", s->GetTxAvailable());
                                   Note("room", Outcome(s->Send(Create<Packet>(4000)), s));
                                   Note("room", s->Send(Create<Packet>(2000)));
                                   Note("room", Outcome(s->Send(Create<Packet>(1)), s));
                               }),
                               MakeNullCallback<void, Ptr<Socket>>());
    /* Filled again until the guest's buffer is full as well, and once more when there is room. */
    auto filled = std::make_shared<uint64_t>(10'000);
    client->SetSendCallback(
        Callback<void, Ptr<Socket>, uint32_t>([filled](Ptr<Socket> s, uint32_t room) {
            if (room != s->GetTxAvailable())
            {
                Note("room told", "wrong");
            }
            if (*filled < 200'000)
            {
                const int sent = s->Send(Create<Packet>(20'000)); // more than there can be room for
                *filled += sent > 0 ? static_cast<uint64_t>(sent) : 0;
            }
        }));
    client->Connect(SocketNetwork::At(B, 103));
    At(0.9, [filled]() { Note("room while nobody reads", *filled < 100'000); });
    At(9, [filled, client]() {
        Note("room in the end", *filled >= 200'000);
        Note("room in the end", client->GetTxAvailable());
    });
}

void
ClosedWithDataToSend()
{
    auto received = std::make_shared<uint64_t>(0);
    Serve(B, 104, [received](Ptr<Socket> s) {
        Watch(s, "linger server");
        s->SetRecvCallback(On([received](Ptr<Socket> s) { *received += Drain(s); }));
    });
    /* Held by nobody, once it is closed. */
    auto client = Socket::CreateSocket(g_network->nodes.Get(A), TcpSocketFactory::GetTypeId());
    client->SetAttribute("SndBufSize", UintegerValue(1'000'000));
    client->Connect(SocketNetwork::At(B, 104));
    Note("linger", client->Send(Create<Packet>(900'000)));
    Note("linger", client->Close());
    client = nullptr;
    At(9, [received]() { Note("linger received", *received); });
}

void
Errors()
{
    for (const auto& [node, name] : {std::pair<uint32_t, std::string>{B, "vm"}, {NATIVE, "native"}})
    {
        auto refused = Make(A, "Tcp");
        Watch(refused, "refused by " + name);
        Note("refused by " + name, refused->Connect(SocketNetwork::At(node, 7777)));
    }
    auto unreachable = Make(A, "Tcp");
    Watch(unreachable, "unreachable");
    Note("unreachable",
         Outcome(unreachable->Connect(InetSocketAddress(Ipv4Address("192.168.9.9"), 80)),
                 unreachable));
    auto silent = Make(A, "Tcp"); // nobody has this address, so ARP finds nobody
    Watch(silent, "nobody");
    silent->Connect(InetSocketAddress(Ipv4Address("10.0.0.99"), 80));

    auto first = Make(A, "Tcp");
    first->Bind(InetSocketAddress(Ipv4Address::GetAny(), 88));
    Note("in use", first->Listen());
    auto second = Make(A, "Tcp");
    Note("in use", Outcome(second->Bind(InetSocketAddress(Ipv4Address::GetAny(), 88)), second));
    auto foreign = Make(A, "Udp");
    Note("foreign", Outcome(foreign->Bind(SocketNetwork::At(B, 88)), foreign));
    Note("bad address", Outcome(Make(A, "Udp")->Bind(Address()), foreign).substr(0, 2));

    /* A server that resets. */
    Serve(B, 105, [](Ptr<Socket> s) {
        const linger reset{1, 0};
        const auto* bytes = reinterpret_cast<const uint8_t*>(&reset);
        DynamicCast<QemuTcpSocket>(s)->SetOption(SOL_SOCKET,
                                                 SO_LINGER,
                                                 {bytes, bytes + sizeof(reset)});
        At(0.1, [s]() { s->Close(); });
    });
    auto reset = Make(A, "Tcp");
    Watch(reset, "reset");
    reset->Connect(SocketNetwork::At(B, 105));
    At(0.5, [reset]() { Note("reset", Outcome(reset->Send(PacketOf("?")), reset).substr(0, 2)); });

    /* A server that does not want the connection. */
    auto unwilling = Serve(B, 106, [](Ptr<Socket>) { Note("unwilling", "accepted"); });
    unwilling->SetAcceptCallback(
        Callback<bool, Ptr<Socket>, const Address&>([](Ptr<Socket>, const Address& from) {
            Note("unwilling", "asked by " + TextOf(from));
            return false;
        }),
        MakeNullCallback<void, Ptr<Socket>, const Address&>());
    auto unwanted = Make(A, "Tcp");
    Watch(unwanted, "unwanted");
    unwanted->Connect(SocketNetwork::At(B, 106));

    Note("not connected", Outcome(Make(A, "Tcp")->Send(PacketOf("?")), first).substr(0, 2));
}

/* Callbacks that do the worst. */
void
Reentrance()
{
    Serve(B, 107, [](Ptr<Socket> s) {
        s->SetRecvCallback(On([](Ptr<Socket> s) {
            Note("reentrance server", TextOf(s->Recv()));
            s->Send(PacketOf("pong"));
            s->Close();
            Note("reentrance server", TextOf(s->Recv()));
        }));
    });
    auto client = std::make_shared<Ptr<Socket>>(
        Socket::CreateSocket(g_network->nodes.Get(A), TcpSocketFactory::GetTypeId()));
    Watch(*client, "reentrance client");
    (*client)->SetRecvCallback(On([client](Ptr<Socket> s) {
        Note("reentrance client", TextOf(s->Recv()));
        s->Close();
        *client = nullptr;
    }));
    (*client)->Connect(SocketNetwork::At(B, 107));
    (*client)->Send(PacketOf("ping"));

    auto closing = Make(A, "Tcp");
    closing->SetConnectCallback(On([](Ptr<Socket> s) {
                                    Note("closing", "connected");
                                    Note("closing", s->Close());
                                }),
                                MakeNullCallback<void, Ptr<Socket>>());
    closing->Connect(SocketNetwork::At(B, 107));
}

void
OverIpv6()
{
    auto server = Make(B, "Tcp");
    server->Bind(Inet6SocketAddress(Ipv6Address::GetAny(), 101)); // beside the one of IPv4
    Note("ipv6", server->Listen());
    server->SetAcceptCallback(
        MakeNullCallback<bool, Ptr<Socket>, const Address&>(),
        Callback<void, Ptr<Socket>, const Address&>([](Ptr<Socket> s, const Address& from) {
            Note("ipv6", TextOf(from));
            s->SetRecvCallback(On([](Ptr<Socket> s) { Note("ipv6", TextOf(s->Recv())); }));
        }));
    auto client = Make(A, "Tcp");
    client->Bind6();
    client->Connect(Inet6SocketAddress(Ipv6Address("fd00::2"), 101));
    client->Send(PacketOf("six"));

    auto receiver = Make(B, "Udp");
    receiver->Bind(Inet6SocketAddress(Ipv6Address::GetAny(), 101));
    receiver->SetRecvPktInfo(true);
    receiver->SetIpv6RecvTclass(true);
    receiver->SetIpv6RecvHopLimit(true);
    receiver->SetRecvCallback(On([](Ptr<Socket> s) {
        Address from;
        auto packet = s->RecvFrom(from);
        Ipv6PacketInfoTag info;
        SocketIpv6TclassTag trafficClass;
        SocketIpv6HopLimitTag limit;
        Note("ipv6 datagram", TextOf(packet) + " " + TextOf(from));
        if (packet->RemovePacketTag(info) && packet->RemovePacketTag(trafficClass) &&
            packet->RemovePacketTag(limit))
        {
            Note("ipv6 datagram", info.GetAddress());
            Note("ipv6 datagram", +trafficClass.GetTclass());
            Note("ipv6 datagram", +limit.GetHopLimit());
        }
    }));
    auto sender = Make(A, "Udp");
    sender->SetIpv6HopLimit(9);
    sender->SetIpv6Tclass(0x28);
    sender->SendTo(PacketOf("six"), 0, Inet6SocketAddress(Ipv6Address("fd00::2"), 101));
}

/* ---- options and traces ---- */

int
Option(Ptr<Socket> socket, int level, int name)
{
    const auto bytes = DynamicCast<QemuTcpSocket>(socket)->GetOption(level, name, sizeof(int));
    int value = -1;
    if (bytes.size() == sizeof(value))
    {
        std::memcpy(&value, bytes.data(), sizeof(value));
    }
    return value;
}

std::string
Control(Ptr<Socket> socket)
{
    const auto bytes =
        DynamicCast<QemuTcpSocket>(socket)->GetOption(IPPROTO_TCP, TCP_CONGESTION, 16);
    return std::string(bytes.begin(), bytes.end()).c_str();
}

void
Options()
{
    auto plain = Make(A, "Tcp");
    plain->Bind();
    Note("plain options", Option(plain, IPPROTO_TCP, TCP_NODELAY));
    Note("plain options", Option(plain, IPPROTO_TCP, TCP_SYNCNT));
    Note("plain options", Option(plain, SOL_SOCKET, SO_SNDBUF));
    Note("plain options", Control(plain));

    auto set = Make(A, "Tcp");
    set->SetAttribute("TcpNoDelay", BooleanValue(true));
    set->SetAttribute("ConnCount", UintegerValue(3));
    set->SetAttribute("SndBufSize", UintegerValue(50'000));
    set->SetAttribute("CongestionControl", StringValue("reno"));
    set->SetPriority(5);
    set->BindToNetDevice(g_network->devices.Get(A));
    set->Bind();
    set->SetAttribute("RcvBufSize", UintegerValue(70'000)); // now that it is open
    Note("set options", Option(set, IPPROTO_TCP, TCP_NODELAY));
    Note("set options", Option(set, IPPROTO_TCP, TCP_SYNCNT));
    Note("set options", Option(set, SOL_SOCKET, SO_SNDBUF));
    Note("set options", Control(set));
    Note("set options", Option(set, SOL_SOCKET, SO_RCVBUF));
    Note("set options", Option(set, SOL_SOCKET, SO_PRIORITY));
    const auto device = DynamicCast<QemuTcpSocket>(set)->GetOption(SOL_SOCKET, SO_BINDTODEVICE, 16);
    Note("set options", std::string(device.begin(), device.end()).c_str());
    Note("bad option", DynamicCast<QemuTcpSocket>(set)->SetOption(IPPROTO_TCP, 9999, 1));
    Note("bad option", GuestErrno(set));

    Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(536)); // ns-3's own, but said
    Config::SetDefault("ns3::TcpL4Protocol::SocketType", StringValue("ns3::TcpLinuxReno"));
    auto byDefault = Make(A, "Tcp");
    byDefault->Bind();
    Note("options by default", Option(byDefault, IPPROTO_TCP, TCP_MAXSEG));
    Note("options by default", Control(byDefault));
    Config::Reset();

    const auto& before = g_network->machines[A];
    Note("list", before->GetObject<QemuTcpSocketFactory>()->GetNSockets() > 0);
}

void
Traces()
{
    Serve(B, 108, [](Ptr<Socket> s) {
        s->SetRecvCallback(On(Drain));
        s->SetCloseCallbacks(On([](Ptr<Socket> s) { s->Close(); }),
                             MakeNullCallback<void, Ptr<Socket>>());
    });
    auto client = Make(A, "Tcp");
    client->Connect(SocketNetwork::At(B, 108));
    const auto factory = g_network->nodes.Get(A)->GetObject<QemuTcpSocketFactory>();
    const std::string path = "/NodeList/0/$ns3::QemuTcpSocketFactory/SocketList/" +
                             std::to_string(factory->GetNSockets() - 1) + "/";
    Config::ConnectWithoutContext(path + "CongestionWindow",
                                  Callback<void, uint32_t, uint32_t>(
                                      [](uint32_t, uint32_t now) { Note("traced cwnd", now); }));
    Config::ConnectWithoutContext(path + "RTT", Callback<void, Time, Time>([](Time, Time now) {
                                      Note("traced rtt", now.GetMicroSeconds());
                                  }));
    Config::ConnectWithoutContext(path + "State",
                                  Callback<void, TcpSocket::TcpStates_t, TcpSocket::TcpStates_t>(
                                      [](TcpSocket::TcpStates_t, TcpSocket::TcpStates_t now) {
                                          Note("traced state", TcpSocket::TcpStateName[now]);
                                      }));
    client->Send(Create<Packet>(100'000));
    client->ShutdownSend();
}

/* After all other TCP: the route that it makes stays. */
void
InitialWindow()
{
    Serve(B, 110, [](Ptr<Socket> s) { s->SetRecvCallback(On(Drain)); });
    auto client = Make(A, "Tcp");
    client->SetAttribute("InitialCwnd", UintegerValue(3));
    client->TraceConnectWithoutContext(
        "CongestionWindow",
        Callback<void, uint32_t, uint32_t>(
            [](uint32_t, uint32_t now) { Note("initial window", now); }));
    client->Connect(SocketNetwork::At(B, 110));
    client->Send(Create<Packet>(10'000));
    /* A host's own address is routed as it was. */
    auto own = Make(A, "Tcp");
    own->SetAttribute("InitialCwnd", UintegerValue(3));
    own->SetConnectCallback(MakeNullCallback<void, Ptr<Socket>>(),
                            On([](Ptr<Socket> s) { Note("own address", GuestErrno(s)); }));
    own->Connect(SocketNetwork::At(A, 111));
}

/* ---- UDP ---- */

void
Datagrams()
{
    auto receiver = Make(B, "Udp");
    receiver->Bind(InetSocketAddress(Ipv4Address::GetAny(), 200));
    receiver->SetRecvPktInfo(true);
    receiver->SetIpRecvTos(true);
    receiver->SetIpRecvTtl(true);
    receiver->SetRecvCallback(On([](Ptr<Socket> s) {
        Address from;
        const uint32_t available = s->GetRxAvailable();
        auto packet = s->RecvFrom(6, 0, from);
        Note("datagram", std::to_string(available) + ":" + TextOf(packet));
        Ipv4PacketInfoTag info;
        SocketIpTosTag tos;
        SocketIpTtlTag ttl;
        if (packet->RemovePacketTag(info) && packet->RemovePacketTag(tos) &&
            packet->RemovePacketTag(ttl))
        {
            Note("datagram tags", info.GetAddress());
            Note("datagram tags", info.GetRecvIf());
            Note("datagram tags", +info.GetTtl());
            Note("datagram tags", +tos.GetTos());
            Note("datagram tags", +ttl.GetTtl());
        }
        Note("datagram from", TextOf(from));
        s->SendTo(PacketOf("back"), 0, from);
    }));
    auto sender = Make(A, "Udp");
    Watch(sender, "datagram sender");
    sender->SetRecvCallback(On([](Ptr<Socket> s) { Note("datagram back", TextOf(s->Recv())); }));
    sender->SetDataSentCallback(Callback<void, Ptr<Socket>, uint32_t>(
        [](Ptr<Socket>, uint32_t size) { Note("datagram sender", size); }));
    Note("datagram sender", Outcome(sender->Send(PacketOf("?")), sender));
    sender->SetIpTos(0x28);
    sender->SetIpTtl(9);
    Note("datagram sender", sender->Connect(SocketNetwork::At(B, 200)));
    sender->Send(PacketOf("short"));
    sender->Send(PacketOf("cut in two"));
    sender->Send(Create<Packet>(0));
    Note("datagram sender", Outcome(sender->Send(Create<Packet>(65'508)), sender));
    sender->SendTo(PacketOf("elsewhere"), 0, SocketNetwork::At(NATIVE, 200)); // to nobody

    auto refused = Make(A, "Udp");
    refused->Connect(SocketNetwork::At(B, 7777));
    Note("datagram refused", Outcome(refused->Send(PacketOf("?")), refused));
    At(0.5, [refused]() {
        Note("datagram refused", Outcome(refused->Send(PacketOf("?")), refused));
        Note("datagram refused", Outcome(refused->Send(PacketOf("?")), refused));
    });
}

void
Groups()
{
    const auto hear = [](const std::string& name, Ptr<Socket> socket, uint16_t port) {
        socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), port));
        socket->SetRecvCallback(On([name](Ptr<Socket> s) { Note(name, TextOf(s->Recv())); }));
    };
    auto heard = Make(B, "Udp");
    hear("broadcast", heard, 201);
    auto sender = Make(A, "Udp");
    const InetSocketAddress everybody(Ipv4Address("10.0.0.255"), 201);
    Note("broadcast", sender->GetAllowBroadcast());
    Note("broadcast", Outcome(sender->SendTo(PacketOf("?"), 0, everybody), sender));
    Note("broadcast", sender->SetAllowBroadcast(true));
    sender->SendTo(PacketOf("all"), 0, everybody);
    /* As OnOff does: what it needs for it is said only after Connect. */
    auto connected = Make(A, "Udp");
    Note("broadcast", connected->Connect(everybody));
    connected->SetAllowBroadcast(true);
    At(0.1, [connected]() { connected->Send(PacketOf("connected")); });

    auto member = DynamicCast<UdpSocket>(Make(B, "Udp"));
    hear("group", member, 202);
    const InetSocketAddress group(Ipv4Address("239.1.2.3"), 202);
    Note("group", member->MulticastJoinGroup(0, group));
    auto speaker = Make(A, "Udp");
    speaker->SetAttribute("IpMulticastIf", IntegerValue(1));
    speaker->SendTo(PacketOf("members"), 0, group);
    At(0.2, [=]() {
        Note("group", member->MulticastLeaveGroup(0, group));
        speaker->SendTo(PacketOf("nobody"), 0, group);
    });
    At(0.4, [=]() { Note("group", Outcome(member->MulticastLeaveGroup(0, group), member)); });
}

} // namespace

int
main(int argc, char* argv[])
{
    if (argc != 2)
    {
        std::cerr << "usage: " << argv[0] << " IMAGE" << std::endl;
        return 2;
    }
    g_network = std::make_unique<SocketNetwork>(argv[1]);
    BeforeTheBeginning();
    double time = 1;
    for (const auto part : {Streams,
                            BothNames,
                            Room,
                            ClosedWithDataToSend,
                            Errors,
                            Reentrance,
                            OverIpv6,
                            Options,
                            Traces,
                            InitialWindow,
                            Datagrams,
                            Groups})
    {
        At(time, part);
        time += 1;
    }
    Simulator::Stop(Seconds(20));
    Simulator::Run();
    /* Sockets that outlive their machine, and then their node. */
    const auto use = [](const std::string& name) {
        auto socket = g_held.back();
        Note(name, socket->SendTo(PacketOf("?"), 0, SocketNetwork::At(B, 1)));
        Note(name, TextOf(socket->Recv()));
    };
    g_network->machines[A]->End();
    use("after its machine");
    Simulator::Destroy();
    use("after Destroy");
    g_held.clear();
    g_network.reset();
    for (const auto& [name, note] : g_notes)
    {
        Say(name, note);
    }
    return 0;
}
