/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The table of states of QemuTcpSocket, row by row, on a guest that answers as it is told to. How a
 * real guest behaves is in socket-contract.cc.
 */
#include "tcp-socket-scripts.h"
#include "thrown.h"

#include "ns3/simulator.h"
#include "ns3/test.h"
#include "ns3/uinteger.h"

#include <cerrno>
#include <functional>
#include <netinet/in.h>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

using namespace ns3;

namespace
{

using State = QemuTcpSocket::State;
using namespace tcp_states;
using Path = std::vector<State>;

std::string
Print(const Path& path)
{
    std::ostringstream text;
    for (const auto state : path)
    {
        text << " " << state;
    }
    return text.str();
}

/** All scripts, under what they are about. */
std::vector<TcpSocketScript>
AllScripts()
{
    std::vector<TcpSocketScript> all;
    for (const auto& scripts : {ConnectingScripts(),
                                ListeningScripts(),
                                WeEndFirstScripts(),
                                PeerEndsFirstScripts(),
                                ResetScripts(),
                                SendingScripts(),
                                DisposalScripts()})
    {
        all.insert(all.end(), scripts.begin(), scripts.end());
    }
    return all;
}

/** Goes where it is told to. */
class FreeSocket : public QemuTcpSocket
{
  public:
    using QemuTcpSocket::Enter;
};

constexpr State
ToState(int number)
{
    return static_cast<State>(number);
}

} // namespace

/** Runs scripts. */
class TcpScriptsTestCase : public TestCase
{
  public:
    using TestCase::TestCase;

  private:
    virtual std::vector<TcpSocketScript> GetScripts() const = 0;

    void DoRun() override
    {
        for (const auto& script : GetScripts())
        {
            TcpSocketScene scene(script.early);
            script.run(scene);
            NS_TEST_EXPECT_MSG_EQ(Print(scene.m_path), Print(script.path), script.name);
            NS_TEST_EXPECT_MSG_EQ(scene.m_notes, script.notes, script.name);
        }
    }
};

class TcpConnectingTestCase : public TcpScriptsTestCase
{
  public:
    TcpConnectingTestCase()
        : TcpScriptsTestCase("A TCP socket connects, fails to, or is closed before")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return ConnectingScripts();
    }
};

class TcpListeningTestCase : public TcpScriptsTestCase
{
  public:
    TcpListeningTestCase()
        : TcpScriptsTestCase("A TCP socket listens, and accepts or refuses")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return ListeningScripts();
    }
};

class TcpWeEndFirstTestCase : public TcpScriptsTestCase
{
  public:
    TcpWeEndFirstTestCase()
        : TcpScriptsTestCase("A TCP connection that its own application ends first")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return WeEndFirstScripts();
    }
};

class TcpPeerEndsFirstTestCase : public TcpScriptsTestCase
{
  public:
    TcpPeerEndsFirstTestCase()
        : TcpScriptsTestCase("A TCP connection that its peer ends first")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return PeerEndsFirstScripts();
    }
};

class TcpResetTestCase : public TcpScriptsTestCase
{
  public:
    TcpResetTestCase()
        : TcpScriptsTestCase("A TCP connection is reset in each of its states")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return ResetScripts();
    }
};

class TcpSendingTestCase : public TcpScriptsTestCase
{
  public:
    TcpSendingTestCase()
        : TcpScriptsTestCase("A TCP socket takes what it has room for")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return SendingScripts();
    }
};

class TcpDisposalTestCase : public TcpScriptsTestCase
{
  public:
    TcpDisposalTestCase()
        : TcpScriptsTestCase("A TCP socket that is disposed of only fails")
    {
    }

  private:
    std::vector<TcpSocketScript> GetScripts() const override
    {
        return DisposalScripts();
    }
};

/** The table and the scripts say the same, and the socket keeps to the table. */
class TcpTransitionsTestCase : public TestCase
{
  public:
    TcpTransitionsTestCase()
        : TestCase("Each transition of a TCP socket's table is driven, and no other is possible")
    {
    }

  private:
    void DoRun() override
    {
        std::set<std::pair<State, State>> driven;
        std::vector<Path> ways(QemuTcpSocket::STATES);
        for (const auto& script : AllScripts())
        {
            State before = IDLE;
            Path way;
            for (const auto now : script.path)
            {
                if (before == LISTENING && now == ESTABLISHED)
                {
                    before = IDLE; // another socket
                    way.clear();
                }
                else if (before == ESTABLISHED && now == ESTABLISHED)
                {
                    continue; // and one more
                }
                driven.emplace(before, now);
                way.push_back(now);
                ways[static_cast<int>(now)] = way;
                before = now;
            }
        }
        for (int from = 0; from < QemuTcpSocket::STATES; from++)
        {
            for (int to = 0; to < QemuTcpSocket::STATES; to++)
            {
                Check(ways[from], ToState(from), ToState(to), driven);
            }
        }
        Simulator::Destroy();
    }

    void Check(const Path& way,
               State from,
               State to,
               const std::set<std::pair<State, State>>& driven)
    {
        std::ostringstream what;
        what << from << " to " << to;
        const bool inTable = QemuTcpSocket::IsTransition(from, to);
        NS_TEST_EXPECT_MSG_EQ(inTable, (driven.count({from, to}) == 1), what.str());
        auto socket = CreateObject<FreeSocket>();
        for (const auto state : way)
        {
            if (socket->GetState() != from)
            {
                socket->Enter(state);
            }
        }
        NS_TEST_ASSERT_MSG_EQ(socket->GetState(), from, "on the way to " << what.str());
        const auto error = Thrown<std::logic_error>([&]() { socket->Enter(to); });
        std::ostringstream expected;
        if (!inTable)
        {
            expected << "a TCP socket cannot go from " << from << " to " << to;
        }
        NS_TEST_EXPECT_MSG_EQ(error, expected.str(), what.str());
        NS_TEST_EXPECT_MSG_EQ(socket->GetState(), (inTable ? to : from), what.str());
    }
};

/** Each call, in each state. */
class TcpCallsTestCase : public TestCase
{
  public:
    TcpCallsTestCase()
        : TestCase("A call in the wrong state of a TCP socket fails with its errno")
    {
    }

  private:
    /* Bind, Connect, Listen, Send, Recv, Close. */
    static std::string Calls(const std::function<void(TcpSocketScene&)>& begin, bool early = false)
    {
        TcpSocketScene scene(early);
        begin(scene);
        scene.m_notes.clear();
        scene.Call(scene.m_socket->Bind());
        scene.Call(scene.Connect());
        scene.Call(scene.m_socket->Listen());
        scene.Call(scene.Send("abc"));
        scene.Receive();
        scene.Call(scene.m_socket->Close());
        return scene.m_notes;
    }

    void DoRun() override
    {
        const auto bound = [](TcpSocketScene& s) { s.m_socket->Bind(); };
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  bound(s);
                                  s.m_socket->Listen();
                              }),
                              "INVAL OPNOTSUPP INVAL NOTCONN NOTCONN 0",
                              "LISTENING");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  bound(s);
                                  s.Connect();
                                  s.m_guest->m_room = 0;
                              }),
                              "INVAL ISCONN INVAL 3 INVAL 0",
                              "CONNECTING; Recv returns nothing, and leaves the errno");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  bound(s);
                                  s.Establish();
                              }),
                              "INVAL ISCONN INVAL 3 AGAIN 0",
                              "ESTABLISHED");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  bound(s);
                                  s.Establish();
                                  s.m_socket->ShutdownSend();
                                  Simulator::Run();
                              }),
                              "INVAL ISCONN INVAL SHUTDOWN AGAIN 0",
                              "FIN_WAIT");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  bound(s);
                                  s.Establish();
                                  s.PeersEnd();
                              }),
                              "INVAL ISCONN INVAL 3 '' 0",
                              "CLOSE_WAIT");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) {
                                  s.Establish();
                                  s.Fill();
                                  s.m_socket->Close();
                              }),
                              "BADF BADF BADF NOTCONN BADF BADF",
                              "ESTABLISHED_CLOSED");
        NS_TEST_EXPECT_MSG_EQ(Calls([&](TcpSocketScene& s) { s.m_socket->Close(); }),
                              "BADF BADF BADF NOTCONN BADF BADF",
                              "ENDED");
        TcpSocketScene idle;
        idle.Call(idle.Send("?"));
        idle.Receive();
        idle.Call(static_cast<int>(idle.m_socket->GetTxAvailable()));
        idle.Call(idle.m_socket->ShutdownSend());
        idle.Call(idle.Send("?"));
        NS_TEST_EXPECT_MSG_EQ(idle.m_notes, "NOTCONN NOTCONN 131072 0 SHUTDOWN", "IDLE");
        TcpSocketScene unbound;
        unbound.Establish();
        unbound.m_guest->m_refusals[RELAY_BIND] = EINVAL;
        unbound.Call(unbound.m_socket->Bind());
        NS_TEST_EXPECT_MSG_EQ(unbound.m_notes, "INVAL", "bound too late, which the guest refuses");
        NS_TEST_EXPECT_MSG_EQ(unbound.m_socket->GetGuestErrno(), EINVAL, "its errno");
    }
};

/** Close is called in each of the callbacks. */
class TcpCloseInCallbackTestCase : public TestCase
{
  public:
    TcpCloseInCallbackTestCase()
        : TestCase("A TCP socket is closed in one of its callbacks")
    {
    }

  private:
    void Check(const std::string& callback,
               const std::string& notes,
               State last,
               const std::function<void(TcpSocketScene&)>& run)
    {
        TcpSocketScene scene;
        scene.m_closeIn = callback;
        run(scene);
        NS_TEST_EXPECT_MSG_EQ(scene.m_notes, notes, callback);
        NS_TEST_EXPECT_MSG_EQ(scene.m_path.back(), last, callback);
    }

    void DoRun() override
    {
        Check("connected", "connected 0 closed", ENDED, [](TcpSocketScene& s) {
            s.Connect();
            s.Tell(RELAY_WRITABLE);
        });
        Check("failed", "failed:111 BADF", ENDED, [](TcpSocketScene& s) {
            s.Connect();
            s.Tell(RELAY_ERROR, ECONNREFUSED);
        });
        Check("sent", "sent:3 0 closed", ENDED, [](TcpSocketScene& s) {
            s.Establish();
            s.Send("abc");
            Simulator::Run();
        });
        /* With data unsent, so that there is more to tell. */
        Check("sent", "sent:2 0 closed", ENDED, [](TcpSocketScene& s) {
            s.Establish();
            s.Fill();
            s.Room();
        });
        Check("room", "connected room:131072 0 closed", ENDED, [](TcpSocketScene& s) {
            s.Connect();
            s.Tell(RELAY_WRITABLE);
        });
        Check("data", "data 0 closed", ENDED, [](TcpSocketScene& s) {
            s.Establish();
            s.PeersEnd("abc");
        });
        Check("closed", "closed 0", ENDED, [](TcpSocketScene& s) {
            s.Establish();
            s.PeersEnd();
        });
        Check("error", "error:104 BADF", ENDED, [](TcpSocketScene& s) {
            s.Establish();
            s.Reset();
        });
    }
};

/** What a script has set counts for a socket that it has closed before the machine runs. */
class TcpEarlyOptionsTestCase : public TestCase
{
  public:
    TcpEarlyOptionsTestCase()
        : TestCase("A TCP socket's options are set, even if it is closed before the machine runs")
    {
    }

  private:
    void DoRun() override
    {
        TcpSocketScene scene(true);
        scene.m_socket->SetAttribute("SndBufSize", UintegerValue(1000));
        scene.m_socket->SetIpTos(0x10);
        scene.Connect();
        scene.Send("abc");
        scene.m_socket->Close();
        scene.m_guest->Start();
        std::vector<int32_t> names;
        for (const auto& option : scene.m_guest->m_options)
        {
            names.push_back(option.name);
        }
        const std::vector<int32_t> expected{SO_SNDBUFFORCE, IP_TOS, SO_PRIORITY};
        NS_TEST_EXPECT_MSG_EQ((names == expected), true, "the options");
    }
};

/** The run ends where there is nobody to tell of a refusal. */
class TcpEarlyRefusalTestCase : public TestCase
{
  public:
    TcpEarlyRefusalTestCase()
        : TestCase("A Listen that was noted and that the guest refuses ends the run")
    {
    }

  private:
    void DoRun() override
    {
        TcpSocketScene scene(true);
        NS_TEST_EXPECT_MSG_EQ(scene.m_socket->Listen(), 0, "it is noted");
        scene.m_guest->m_refusals[RELAY_LISTEN] = EADDRINUSE;
        NS_TEST_EXPECT_MSG_EQ(
            Thrown<ns3qemu::GuestError>([&]() { scene.m_guest->Start(); }),
            "listening at a socket: Address already in use (the guest's errno 98)",
            "and refused");
    }
};

/** The suite. */
class QemuTcpSocketTestSuite : public TestSuite
{
  public:
    QemuTcpSocketTestSuite()
        : TestSuite("qemu-tcp-socket", Type::UNIT)
    {
        AddTestCase(new TcpConnectingTestCase);
        AddTestCase(new TcpListeningTestCase);
        AddTestCase(new TcpWeEndFirstTestCase);
        AddTestCase(new TcpPeerEndsFirstTestCase);
        AddTestCase(new TcpResetTestCase);
        AddTestCase(new TcpSendingTestCase);
        AddTestCase(new TcpDisposalTestCase);
        AddTestCase(new TcpTransitionsTestCase);
        AddTestCase(new TcpCallsTestCase);
        AddTestCase(new TcpCloseInCallbackTestCase);
        AddTestCase(new TcpEarlyOptionsTestCase);
        AddTestCase(new TcpEarlyRefusalTestCase);
    }
};

static QemuTcpSocketTestSuite g_qemuTcpSocketTestSuite;
