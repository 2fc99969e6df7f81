/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The simulator's end of the relay protocol (relay-protocol.h). It knows neither ns-3 nor the wire:
 * bytes go out through a function and come in through Receive().
 */
#ifndef NS3_QEMU_RELAY_CLIENT_H
#define NS3_QEMU_RELAY_CLIENT_H

#include "byte-pieces.h"
#include "relay-protocol.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace ns3qemu
{

/** The guest's kernel refused a request. */
class GuestError : public std::runtime_error
{
  public:
    /**
     * @param what what was asked for
     * @param error the guest's errno
     */
    GuestError(const std::string& what, int error);

    /** @return the guest's errno */
    int GetErrno() const;

  private:
    int m_error;
};

/** An IPv4 or IPv6 address as the relay takes it: family, and 4 or 16 bytes in network order. */
struct GuestAddress
{
    uint8_t family{RELAY_INET};
    std::array<uint8_t, 16> bytes{};

    /**
     * @param text "10.0.0.1" or "fd00::1"
     * @throw std::invalid_argument if it is neither
     */
    static GuestAddress Parse(const std::string& text);

    /** @return the usual text form */
    std::string Print() const;
};

/** A socket address in the guest. */
struct GuestEndpoint
{
    GuestAddress address;
    uint16_t port{0};
    uint32_t scope{0}; //!< ifindex, of a link-local IPv6 address
};

/** What one receive has brought; fields as in RelayReceived. */
struct GuestReceived
{
    std::vector<uint8_t> data;
    GuestEndpoint from;    //!< family 0: the kernel names no sender
    uint32_t flags{0};     //!< MSG_TRUNC, ...
    uint32_t length{0};    //!< bytes of the whole datagram
    uint32_t has{0};       //!< RELAY_HAS_...: which of the following are known
    uint32_t interface{0}; //!< ifindex
    GuestAddress local;    //!< the destination address
    uint8_t tos{0};
    uint8_t ttl{0};
};

/** Bulk data that the relay itself sends or receives; fields as in RelayStream. */
struct GuestStream
{
    uint32_t direction{RELAY_STREAM_SINK};
    uint64_t length{0};
    uint32_t chunk{0};
    uint32_t perWake{0};
};

/** A program to be started in the guest. */
struct GuestProgram
{
    std::vector<std::string> arguments; //!< the first is the program: a path, or a name to look for
                                        //!< in PATH
    std::vector<std::string> environment; //!< "NAME=value", all of it
    std::string directory;                //!< where it starts; empty: "/"
    bool input{false};                    //!< its standard input is written; false: it is empty
    bool mergeErrors{false};              //!< standard error goes where standard output goes
};

/**
 * A client of one relay.
 *
 * Call() and the methods above it are synchronous: the transport delivers the request in a turn,
 * and the reply has come when the transport returns, at the same simulated time. They throw
 * GuestError with the guest's errno, or VmError if the guest gave no answer.
 */
class RelayClient
{
  public:
    /**
     * Takes a message, which is in pieces, to the relay, and hands what it sends to Receive()
     * before it returns.
     */
    using Transport = std::function<void(Span<const ByteSpan>)>;
    using ReadyHandler = std::function<void(const RelayReady&)>;
    using StreamHandler = std::function<void(const RelayStreamEnd&)>;
    /** Gets the process, 1 for its standard output or 2 for its standard error, and bytes. */
    using OutputHandler = std::function<void(uint32_t, int, const uint8_t*, size_t)>;
    using ExitHandler = std::function<void(const RelayProcessExit&)>;

    explicit RelayClient(Transport transport);

    /**
     * A client of the same relay in a copy of its machine. Nobody is told of events.
     * @param original the machine's, with no request under way
     * @param transport to the copy
     */
    RelayClient(const RelayClient& original, Transport transport);

    /**
     * Take bytes from the relay. Events are kept for DispatchEvents().
     * @throw VmError if they break the protocol
     */
    void Receive(const uint8_t* data, size_t length);

    /**
     * Tell the handlers of the events that have come, in order. A handler may make requests: what
     * they bring is told after it, not within it.
     */
    void DispatchEvents();

    /** @return true when the relay has said hello */
    bool IsReady() const;
    /** @return whether a request has not been answered */
    bool IsAwaiting() const;
    /** @return the guest kernel's release, as uname -r prints it */
    const std::string& GetRelease() const;
    /** @return how many NICs the relay found */
    uint32_t GetNics() const;

    void SetReadyHandler(ReadyHandler handler);
    void SetStreamHandler(StreamHandler handler);
    /** What a program's children write after its exit is told after its exit. */
    void SetOutputHandler(OutputHandler handler);
    void SetExitHandler(ExitHandler handler);

    /**
     * Make requests of which those that only tell the guest something go together, in one turn:
     * SetRealtime(), SeedRng(), SetSysctl(), WriteFile(), SetLink(), AddAddress(). They are sent at
     * the end, or before any other request; what the guest refuses of them is thrown then, and
     * those behind it have been carried out.
     * @param requests makes them; if it throws, those that have not been sent are dropped
     * @throw GuestError for the first that is refused
     */
    void Together(const std::function<void()>& requests);
    /** Make requests of which each is sent and answered at once, also within Together(). */
    void Apart(const std::function<void()>& requests);

    RelayClock GetClock();
    /** @param realtime ns since 1970 */
    void SetRealtime(int64_t realtime);
    void SeedRng(const std::vector<uint8_t>& seed);
    std::string GetSysctl(const std::string& name);
    /**
     * All in one turn.
     * @return the value of each, in order; none where the kernel has no such parameter
     */
    std::vector<std::optional<std::string>> GetSysctls(const std::vector<std::string>& names);
    void SetSysctl(const std::string& name, const std::string& value);
    std::vector<uint8_t> ReadFile(const std::string& path);
    /**
     * Write a file; what it held before is gone. Missing directories are made. If the guest refuses
     * (its file system is full, say) the file keeps what it has taken.
     * @param path absolute
     * @param data its content
     * @param mode permissions of a new file
     */
    void WriteFile(const std::string& path, const std::vector<uint8_t>& data, uint32_t mode = 0644);

    /**
     * Mount a file system.
     * @param mount what to do with it
     * @param device "/dev/vda"
     * @param type as mount(8) calls it
     * @param directory where; it is made if need be
     * @param options of the file system's own
     */
    void Mount(const RelayMount& mount,
               const std::string& device,
               const std::string& type,
               const std::string& directory,
               const std::string& options = "");
    /**
     * Bring a file system to rest: all is on its disk, and nothing is written any more.
     * @param directory where it is mounted; empty: only write what is to be written, everywhere
     */
    void Freeze(const std::string& directory);

    RelayLink GetLink(uint32_t nic, std::string* name = nullptr);
    void SetLink(const RelayLinkSet& link);
    void AddAddress(uint32_t nic, const GuestAddress& address, uint8_t prefix);
    /** @throw GuestError EADDRNOTAVAIL if the NIC has no such address */
    void DeleteAddress(uint32_t nic, const GuestAddress& address, uint8_t prefix);

    uint32_t Socket(uint32_t domain, uint32_t type, uint32_t protocol);
    void Bind(uint32_t handle, const GuestEndpoint& local);
    void Listen(uint32_t handle, uint32_t backlog);
    /** @return the new connection's handle */
    uint32_t Accept(uint32_t handle, GuestEndpoint* peer = nullptr);
    void Connect(uint32_t handle, const GuestEndpoint& peer);
    void SetOption(uint32_t handle, int level, int name, const std::vector<uint8_t>& value);
    std::vector<uint8_t> GetOption(uint32_t handle, int level, int name, uint32_t length);
    GuestEndpoint GetSocketName(uint32_t handle);
    void Shutdown(uint32_t handle, uint32_t how);
    /**
     * Send. What is too long for one request goes in several; of a datagram the kernel refuses the
     * first one, for it is longer than any datagram.
     * @param handle of the socket
     * @param data its first byte
     * @param length in bytes
     * @param flags MSG_... of send(2); it never waits
     * @param to where to, or nullptr: to the socket's peer
     * @return bytes that the kernel took
     * @throw GuestError EAGAIN if it takes nothing now
     */
    size_t Send(uint32_t handle,
                const uint8_t* data,
                size_t length,
                uint32_t flags = 0,
                const GuestEndpoint* to = nullptr);
    /**
     * Receive, at most what one reply holds (a whole datagram always fits). An end of file and an
     * empty datagram bring no data.
     * @param handle of the socket
     * @param length the most bytes to return
     * @param flags MSG_... of recv(2); it never waits
     * @throw GuestError EAGAIN if there is nothing
     */
    GuestReceived Receive(uint32_t handle, uint32_t length, uint32_t flags = 0);
    /**
     * ioctl(2) on a socket.
     * @param handle of the socket
     * @param request SIOCOUTQ, ...; not FIONBIO
     * @param argument the bytes of its argument, which must hold no pointers
     * @return the argument as the kernel left it
     */
    std::vector<uint8_t> Ioctl(uint32_t handle,
                               uint32_t request,
                               const std::vector<uint8_t>& argument);
    void Close(uint32_t handle);
    /**
     * @param handle of the socket
     * @param conditions RELAY_READABLE | RELAY_WRITABLE
     */
    void Watch(uint32_t handle, uint32_t conditions);
    void Stream(uint32_t handle, const GuestStream& stream);
    RelayStreamStat GetStreamStat(uint32_t handle);

    /**
     * Start a program.
     * @return its number, which is never used twice
     * @throw GuestError what exec(2) says: ENOENT, EACCES, ENOEXEC, ...
     */
    uint32_t StartProcess(const GuestProgram& program);
    /**
     * Write to a program's standard input. What it does not take now is kept here and follows when
     * it does.
     * @throw GuestError EPIPE if it has closed its input, ESRCH if it has ended
     */
    void WriteProcess(uint32_t process, const uint8_t* data, size_t length);
    /** The end of its input, after what is still to be written. */
    void CloseProcessInput(uint32_t process);
    /**
     * Send a signal to a program and its children.
     * @throw GuestError ESRCH if they have ended
     */
    void SignalProcess(uint32_t process, int signal);

    /**
     * One request, and its reply's body.
     * @param type RELAY_...
     * @param body the request's, in pieces
     * @param what what it is for, in errors
     */
    std::vector<uint8_t> Call(uint16_t type, Span<const ByteSpan> body, const std::string& what);

  private:
    struct Reply
    {
        int32_t status;
        std::vector<uint8_t> body;
    };

    /* A request that has been made and not been answered, or whose answer is still to be taken. */
    struct Posted
    {
        uint32_t id;
        std::string what;
    };

    RelayHeader Announce(uint16_t type, Span<const ByteSpan> body, const std::string& what);
    Posted Post(uint16_t type, Span<const ByteSpan> body, const std::string& what);
    std::vector<uint8_t> TakeReply(const Posted& request);
    void Tell(uint16_t type, Span<const ByteSpan> body, const std::string& what);
    void SendPosted();
    void Flush();
    template <typename T>
    T CallFor(uint16_t type, Span<const ByteSpan> body, const std::string& what);
    template <typename T>
    static T Read(const std::vector<uint8_t>& body, const std::string& what);
    void HandleMessage(const RelayHeader& header, std::vector<uint8_t> body);
    void HandleHello(const std::vector<uint8_t>& body);
    void DispatchEvent(uint16_t type, const std::vector<uint8_t>& body);
    void WriteInput(uint32_t process);
    void GoOnWithInput(uint32_t process);

    struct Event
    {
        uint16_t type;
        std::vector<uint8_t> body;
    };

    /* What a program has not taken of its input. */
    struct Input
    {
        std::deque<uint8_t> data;
        bool ends{false};
        bool waits{false}; // until the relay says that there is room
    };

    Transport m_transport;
    ReadyHandler m_onReady;
    StreamHandler m_onStream;
    OutputHandler m_onOutput;
    ExitHandler m_onExit;
    std::vector<uint8_t> m_input;
    uint32_t m_nextId{1};
    /* Requests under way, and the replies to them that have come. */
    std::map<uint32_t, uint16_t> m_pending;
    std::map<uint32_t, Reply> m_replies;
    /* Within Together(): requests that wait to be sent. */
    bool m_together{false};
    std::vector<uint8_t> m_posted;
    std::vector<Posted> m_told;
    std::deque<Event> m_events;
    std::map<uint32_t, Input> m_inputs;
    bool m_dispatching{false};
    bool m_ready{false};
    uint32_t m_nics{0};
    std::string m_release;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_RELAY_CLIENT_H */
