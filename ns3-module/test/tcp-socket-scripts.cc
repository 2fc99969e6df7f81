/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "tcp-socket-scripts.h"

#include "ns3/uinteger.h"

#include <sys/socket.h>

namespace ns3
{

using namespace tcp_states;

/* `room` is what is left of the buffer's default size. */

std::vector<TcpSocketScript>
ConnectingScripts()
{
    return {
        {"a peer answers",
         [](TcpSocketScene& s) {
             s.Call(s.Connect());
             s.Tell(RELAY_WRITABLE);
         },
         {CONNECTING, ESTABLISHED},
         "0 connected room:131072"},
        {"the guest refuses at once, and then not",
         [](TcpSocketScene& s) {
             s.m_guest->m_refusals[RELAY_CONNECT] = ENETUNREACH;
             s.Call(s.Connect());
             Address peer;
             s.Call(s.m_socket->GetPeerName(peer));
             s.Call(s.Connect());
         },
         {CONNECTING, IDLE, CONNECTING},
         "NOROUTETOHOST NOTCONN 0"},
        {"the guest refuses what was said early",
         [](TcpSocketScene& s) {
             s.m_guest->m_refusals[RELAY_CONNECT] = ENETUNREACH;
             s.Call(s.Connect());
             s.m_guest->Start();
             s.Note("later");
             Simulator::Run();
         },
         {CONNECTING, ENDED},
         "0 later failed:101",
         true},
        {"the peer refuses",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Tell(RELAY_ERROR | RELAY_HANGUP, ECONNREFUSED);
             s.Call(s.m_socket->Close());
         },
         {CONNECTING, ENDED},
         "failed:111 BADF"},
        {"nobody answers",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Tell(RELAY_ERROR, ETIMEDOUT);
         },
         {CONNECTING, ENDED},
         "failed:110"},
        {"the peer is gone at once, without an error",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Tell(RELAY_HANGUP);
         },
         {CONNECTING, ENDED},
         "failed:104"},
        {"connected, reset and ended in one turn",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Tell(RELAY_WRITABLE | RELAY_ERROR | RELAY_HANGUP, ECONNRESET);
         },
         {CONNECTING, ENDED},
         "failed:104"},
        {"connected and ended in one turn",
         [](TcpSocketScene& s) {
             s.Connect();
             s.m_guest->m_stream.emplace_back();
             s.Tell(RELAY_WRITABLE | RELAY_READABLE | RELAY_HANGUP);
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT},
         "connected room:131072 closed"},
        {"what was sent before goes then",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Call(s.Send("abc"));
             Simulator::Run();
             s.Note("'" + s.m_guest->m_sent + "'");
             s.Tell(RELAY_WRITABLE);
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, ESTABLISHED},
         "3 '' connected room:131069 sent:3 room:131072 'abc'"},
        {"closed before",
         [](TcpSocketScene& s) {
             s.Connect();
             const uint32_t handle = s.m_socket->GetHandle();
             s.Call(s.m_socket->Close());
             s.m_guest->Tell(handle, RELAY_WRITABLE);
             Simulator::Run();
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
         },
         {CONNECTING, ENDED},
         "0 closes:1"},
        {"closed before, with data",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Send("abc");
             s.Call(s.m_socket->Close());
             s.Call(s.m_socket->Close());
             s.Tell(RELAY_WRITABLE);
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, CONNECTING_CLOSED, ESTABLISHED_CLOSED, ENDED},
         "0 BADF closed 'abc'"},
        {"closed before, with data, and refused",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Send("abc");
             s.m_socket->Close();
             s.Tell(RELAY_ERROR, ECONNREFUSED);
         },
         {CONNECTING, CONNECTING_CLOSED, ENDED},
         ""},
        {"shut down before",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Send("abc");
             s.Call(s.m_socket->ShutdownSend());
             s.Call(s.Send("d"));
             s.Tell(RELAY_WRITABLE);
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
         },
         {CONNECTING, CONNECTING_FIN, ESTABLISHED_FIN, FIN_WAIT},
         "0 SHUTDOWN connected sent:3 FINs:1"},
        {"shut down before, and refused",
         [](TcpSocketScene& s) {
             s.Connect();
             s.m_socket->ShutdownSend();
             s.Tell(RELAY_ERROR, ECONNREFUSED);
         },
         {CONNECTING, CONNECTING_FIN, ENDED},
         "failed:111"},
        {"shut down before, and closed",
         [](TcpSocketScene& s) {
             s.Connect();
             s.m_socket->ShutdownSend();
             s.Call(s.m_socket->Close());
             Simulator::Run();
         },
         {CONNECTING, CONNECTING_FIN, ENDED},
         "0"},
        {"shut down before, and closed with data",
         [](TcpSocketScene& s) {
             s.Connect();
             s.Send("abc");
             s.m_socket->ShutdownSend();
             s.Call(s.m_socket->Close());
             s.Tell(RELAY_WRITABLE);
         },
         {CONNECTING, CONNECTING_FIN, CONNECTING_CLOSED, ESTABLISHED_CLOSED, ENDED},
         "0 closed"},
        {"all said early",
         [](TcpSocketScene& s) {
             s.Call(s.Connect());
             s.Call(s.Send("abc"));
             s.Call(s.m_socket->Close());
             s.m_guest->Start();
             s.Tell(RELAY_WRITABLE);
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, CONNECTING_CLOSED, ESTABLISHED_CLOSED, ENDED},
         "0 3 0 closed 'abc'",
         true},
    };
}

std::vector<TcpSocketScript>
ListeningScripts()
{
    const auto listen = [](TcpSocketScene& s) {
        s.m_socket->Bind();
        s.Call(s.m_socket->Listen());
    };
    return {
        {"connections come, one an event",
         [=](TcpSocketScene& s) {
             listen(s);
             s.m_guest->m_connections = 2;
             s.m_inAccept = [&s]() { s.m_guest->m_stream.emplace_back(); };
             s.Tell(RELAY_READABLE);
         },
         {LISTENING, ESTABLISHED, ESTABLISHED},
         "0 accepted accepted room:131072 room:131072"},
        {"a connection is not wanted",
         [=](TcpSocketScene& s) {
             listen(s);
             s.m_willing = false;
             s.m_guest->m_connections = 1;
             s.Tell(RELAY_READABLE);
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
             s.Note(s.m_guest->m_options.back().name == SO_LINGER ? "reset" : "no reset");
         },
         {LISTENING},
         "0 closes:1 reset"},
        {"a connection is gone before it is accepted",
         [=](TcpSocketScene& s) {
             listen(s);
             s.Tell(RELAY_READABLE);
         },
         {LISTENING},
         "0"},
        {"the guest refuses, and then not",
         [=](TcpSocketScene& s) {
             s.m_guest->m_refusals[RELAY_LISTEN] = EADDRINUSE;
             listen(s);
             s.Call(s.m_socket->Listen());
         },
         {LISTENING, IDLE, LISTENING},
         "ADDRINUSE 0"},
        {"it is closed",
         [=](TcpSocketScene& s) {
             listen(s);
             s.Call(s.m_socket->Close());
             s.Note("later");
             Simulator::Run();
         },
         {LISTENING, ENDED},
         "0 0 later closed"},
        {"neither, and closed",
         [](TcpSocketScene& s) {
             s.Call(s.m_socket->Close());
             Simulator::Run();
             s.Note("sockets:" + std::to_string(s.m_guest->Count(RELAY_SOCKET)));
         },
         {ENDED},
         "0 sockets:0"},
        {"data and the end have come with the connection",
         [](TcpSocketScene& s) {
             s.BecomeAccepted();
             s.PeersEnd("abc");
             s.Receive();
             s.Receive();
             Simulator::Run();
         },
         {ESTABLISHED, CLOSE_WAIT},
         "accepted room:131072 data closed 'abc' ''"},
        {"the listener was shut down, as PacketSink's",
         [](TcpSocketScene& s) {
             s.m_socket->ShutdownSend();
             s.BecomeAccepted();
             s.Call(s.Send("?"));
             s.PeersEnd("abc");
             s.Receive();
             s.Receive();
             Simulator::Run();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
         },
         {ESTABLISHED, CLOSE_WAIT, ENDED},
         "accepted SHUTDOWN data closed 'abc' '' FINs:0 closes:1"},
        {"closed when it is accepted",
         [](TcpSocketScene& s) {
             s.m_closeIn = "";
             s.m_inAccept = [&s]() { s.Call(s.m_socket->Close()); };
             s.BecomeAccepted();
         },
         {ESTABLISHED, ENDED},
         "accepted 0 closed"},
        {"closed when it is accepted, with more data than the guest takes",
         [](TcpSocketScene& s) {
             s.m_guest->m_room = 2;
             s.m_inAccept = [&s]() {
                 s.Call(s.Send("abcde"));
                 s.Call(s.m_socket->Close());
             };
             s.BecomeAccepted();
             /* Of the listener, and of the connection: or nobody would say that there is room. */
             s.Note("watches:" + std::to_string(s.m_guest->Count(RELAY_WATCH)));
             s.Room();
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {ESTABLISHED, ESTABLISHED_CLOSED, ENDED},
         "accepted 5 0 watches:2 closed 'abcde'"},
    };
}

std::vector<TcpSocketScript>
WeEndFirstScripts()
{
    return {
        {"close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Call(s.m_socket->Close());
             s.Note("later");
             Simulator::Run();
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
         },
         {CONNECTING, ESTABLISHED, ENDED},
         "0 later closed closes:1"},
        {"close with data unsent",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.Call(s.m_socket->Close());
             s.Call(s.Send("f"));
             Simulator::Run();
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
             s.Room();
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_CLOSED, ENDED},
         "sent:2 room:131069 0 NOTCONN closes:0 closed 'abcde'"},
        {"close with data unsent, and the peer ends meanwhile",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->Close();
             s.PeersEnd("abc");
             s.Room();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_CLOSED, ENDED},
         "sent:2 room:131069 closed"},
        {"shut down, and the peer ends",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Call(s.m_socket->ShutdownSend());
             Simulator::Run();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.PeersEnd();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, DRAINING, ENDED},
         "0 FINs:1 closed"},
        {"shut down, the peer answers and ends",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.PeersEnd("abc");
             s.Receive();
             s.Receive();
             Simulator::Run();
             s.Receive();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, DRAINING, ENDED},
         "data closed 'abc' '' BADF"},
        {"shut down, the peer ends, and the rest is not wanted",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.PeersEnd("abc");
             s.Call(s.m_socket->ShutdownRecv());
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, DRAINING, ENDED},
         "data closed 0"},
        {"shut down, the peer ends, and close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.PeersEnd("abc");
             s.Call(s.m_socket->Close());
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, DRAINING, ENDED},
         "data closed 0"},
        {"shut down, and close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.Call(s.m_socket->Close());
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, ENDED},
         "0 closed"},
        {"shut down, and close at once",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             s.Call(s.m_socket->Close());
             Simulator::Run();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, ENDED},
         "0 closed FINs:0"},
        {"shut down with data unsent, and close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.Call(s.m_socket->Close());
             s.Room();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, ESTABLISHED_CLOSED, ENDED},
         "sent:2 room:131069 FINs:0 0 closed"},
    };
}

std::vector<TcpSocketScript>
PeerEndsFirstScripts()
{
    return {
        {"we close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Receive();
             s.Call(s.m_socket->Close());
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, ENDED},
         "closed '' 0"},
        {"we answer, and close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Call(s.Send("abc"));
             s.Call(s.m_socket->Close());
             Simulator::Run();
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_CLOSED, ENDED},
         "closed 3 0 'abc'"},
        {"we answer, and shut down",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Call(s.Send("abc"));
             s.Call(s.m_socket->ShutdownSend());
             Simulator::Run();
             s.Note("'" + s.m_guest->m_sent + "'");
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_FIN, ENDED},
         "closed 3 0 sent:3 'abc' FINs:0 closes:1"},
        {"we shut down, and read the rest",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd("abc");
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.Receive(2);
             s.Receive(2);
             s.Receive();
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_FIN, DRAINING, ENDED},
         "data closed FINs:1 'ab' 'c' ''"},
        {"we shut down, and close at once",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd("abc");
             s.m_socket->ShutdownSend();
             s.Call(s.m_socket->Close());
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_FIN, ENDED},
         "data closed 0"},
        {"while our data and FIN are unsent",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->ShutdownSend();
             s.PeersEnd("abc");
             s.Room();
             s.Note("FINs:" + std::to_string(s.m_guest->Count(RELAY_SHUTDOWN)));
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, CLOSE_WAIT_FIN, DRAINING},
         "sent:2 room:131069 data closed sent:3 FINs:1 'abcde'"},
        {"while our data and FIN are unsent, and we close",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->ShutdownSend();
             s.PeersEnd();
             s.Call(s.m_socket->Close());
             s.Room();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, CLOSE_WAIT_FIN, CLOSE_WAIT_CLOSED, ENDED},
         "sent:2 room:131069 closed 0"},
        {"while data comes, which is read when it is told",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->SetRecvCallback(MakeFunctorCallback<void, Ptr<Socket>>([&s](Ptr<Socket>) {
                 s.Receive();
                 s.Receive();
             }));
             s.PeersEnd("abc");
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT},
         "'abc' '' closed"},
    };
}

std::vector<TcpSocketScript>
ResetScripts()
{
    return {
        {"ESTABLISHED",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Reset();
             s.Call(s.Send("?"));
             s.Note("closes:" + std::to_string(s.m_guest->Count(RELAY_CLOSE)));
         },
         {CONNECTING, ESTABLISHED, ENDED},
         "error:104 NOTCONN closes:1"},
        {"ESTABLISHED, with data that has come before",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_guest->m_stream.emplace_back("abc");
             s.m_socket->SetRecvCallback(
                 MakeFunctorCallback<void, Ptr<Socket>>([&s](Ptr<Socket>) { s.Receive(); }));
             s.Tell(RELAY_READABLE | RELAY_ERROR | RELAY_HANGUP, ECONNRESET);
         },
         {CONNECTING, ESTABLISHED, ENDED},
         "'abc' error:104"},
        {"ESTABLISHED, when it sends",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_guest->m_refusals[RELAY_SEND] = EPIPE;
             s.Call(s.Send("abc"));
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED, ENDED},
         "3 error:32"},
        {"ESTABLISHED_FIN",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->ShutdownSend();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, ENDED},
         "sent:2 room:131069 error:104"},
        {"ESTABLISHED_CLOSED",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->Close();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_CLOSED, ENDED},
         "sent:2 room:131069"},
        {"FIN_WAIT",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, ENDED},
         "error:104"},
        {"CLOSE_WAIT",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, ENDED},
         "closed error:104"},
        {"CLOSE_WAIT_FIN",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Fill();
             s.m_socket->ShutdownSend();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_FIN, ENDED},
         "closed sent:2 room:131069 error:104"},
        {"CLOSE_WAIT_CLOSED",
         [](TcpSocketScene& s) {
             s.Establish();
             s.PeersEnd();
             s.Fill();
             s.m_socket->Close();
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, CLOSE_WAIT, CLOSE_WAIT_CLOSED, ENDED},
         "closed sent:2 room:131069"},
        {"DRAINING",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_socket->ShutdownSend();
             Simulator::Run();
             s.PeersEnd("abc");
             s.Reset();
         },
         {CONNECTING, ESTABLISHED, ESTABLISHED_FIN, FIN_WAIT, DRAINING, ENDED},
         "data closed error:104"},
        {"LISTENING, which has no connection",
         [](TcpSocketScene& s) {
             s.m_socket->Listen();
             s.Reset();
         },
         {LISTENING},
         ""},
    };
}

std::vector<TcpSocketScript>
SendingScripts()
{
    return {
        {"when the buffer is full, and again when there is room",
         [](TcpSocketScene& s) {
             s.m_socket->SetAttribute("SndBufSize", UintegerValue(10));
             s.Establish();
             s.m_guest->m_room = 3;
             s.Call(s.Send("aaaa"));
             s.Call(s.Send("bbbb"));
             s.Call(s.Send("cccc"));
             s.Call(s.Send("dd"));
             s.Call(s.Send("e"));
             Simulator::Run();
             s.Note("then");
             s.Call(s.Send("ffff"));
             s.Call(s.Send("ggg"));
             s.Room();
             s.Note("'" + s.m_guest->m_sent + "'");
         },
         {CONNECTING, ESTABLISHED},
         "4 4 AGAIN 2 AGAIN sent:3 room:3 then AGAIN 3 sent:10 room:10 'aaaabbbbddggg'"},
        {"what is larger than the buffer, as far as it fits",
         [](TcpSocketScene& s) {
             s.m_socket->SetAttribute("SndBufSize", UintegerValue(4));
             s.Establish();
             s.Call(s.Send("abcdefgh"));
             s.Call(s.Send("abcdefgh"));
             Simulator::Run();
         },
         {CONNECTING, ESTABLISHED},
         "4 AGAIN sent:4 room:4"},
        {"when the guest takes nothing at first",
         [](TcpSocketScene& s) {
             s.Establish();
             s.m_guest->m_room = 0;
             s.Send("abc");
             Simulator::Run();
             s.Note("full");
             s.Room();
         },
         {CONNECTING, ESTABLISHED},
         "full sent:3 room:131072"},
    };
}

std::vector<TcpSocketScript>
DisposalScripts()
{
    return {
        {"disposed of",
         [](TcpSocketScene& s) {
             s.Establish();
             s.Fill();
             s.m_socket->Dispose();
             s.Call(s.Connect());
             s.Call(s.Send("?"));
             s.Call(s.m_socket->Close());
         },
         {CONNECTING, ESTABLISHED, ENDED},
         "sent:2 room:131069 BADF NOTCONN BADF"},
    };
}

} // namespace ns3
