/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "relay-client.h"

#include "vm-error.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

namespace ns3qemu
{

namespace
{

std::string
Hex(unsigned value)
{
    char text[16];
    std::snprintf(text, sizeof(text), "0x%04x", value);
    return text;
}

/* A flag's value within a scope. */
class Setting
{
  public:
    Setting(bool& flag, bool value)
        : m_flag(flag),
          m_before(std::exchange(flag, value))
    {
    }

    ~Setting()
    {
        m_flag = m_before;
    }

    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;

  private:
    bool& m_flag;
    const bool m_before;
};

/* So much of what is told together is sent at once. */
constexpr size_t TOGETHER_MAX = 65536;

ByteSpan
Text(const std::string& text)
{
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

template <typename T>
ByteSpan
Struct(const T& value)
{
    static_assert(std::is_trivially_copyable_v<T>);
    return {reinterpret_cast<const uint8_t*>(&value), sizeof(value)};
}

/* The body of a request: a struct, then variable data, in pieces that are still the caller's. */
template <typename T>
std::array<ByteSpan, 2>
Body(const T& head, const void* data = nullptr, size_t length = 0)
{
    return {Struct(head), ByteSpan(static_cast<const uint8_t*>(data), length)};
}

RelaySocketAddress
ToWire(uint32_t handle, const GuestEndpoint& endpoint)
{
    RelaySocketAddress wire{};
    wire.handle = handle;
    wire.family = endpoint.address.family;
    wire.port = endpoint.port;
    wire.scope = endpoint.scope;
    std::copy(endpoint.address.bytes.begin(), endpoint.address.bytes.end(), wire.address);
    return wire;
}

RelayAddress
ToWire(uint32_t nic, const GuestAddress& address, uint8_t prefix)
{
    RelayAddress wire{};
    wire.nic = nic;
    wire.family = address.family;
    wire.prefix = prefix;
    std::copy(address.bytes.begin(), address.bytes.end(), wire.address);
    return wire;
}

std::string
Name(const GuestAddress& address, uint8_t prefix)
{
    return address.Print() + "/" + std::to_string(prefix);
}

GuestEndpoint
FromWire(const RelaySocketAddress& wire)
{
    GuestEndpoint endpoint;
    endpoint.address.family = static_cast<uint8_t>(wire.family);
    std::copy(std::begin(wire.address), std::end(wire.address), endpoint.address.bytes.begin());
    endpoint.port = wire.port;
    endpoint.scope = wire.scope;
    return endpoint;
}

} // namespace

GuestError::GuestError(const std::string& what, int error)
    : std::runtime_error(what + ": " + std::strerror(error) + " (the guest's errno " +
                         std::to_string(error) + ")"),
      m_error(error)
{
}

int
GuestError::GetErrno() const
{
    return m_error;
}

GuestAddress
GuestAddress::Parse(const std::string& text)
{
    GuestAddress address;
    if (inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1)
    {
        address.family = RELAY_INET;
    }
    else if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1)
    {
        address.family = RELAY_INET6;
    }
    else
    {
        throw std::invalid_argument("'" + text + "' is neither an IPv4 nor an IPv6 address");
    }
    return address;
}

std::string
GuestAddress::Print() const
{
    char text[INET6_ADDRSTRLEN] = "?";
    inet_ntop(family == RELAY_INET6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof(text));
    return text;
}

RelayClient::RelayClient(Transport transport)
    : m_transport(std::move(transport))
{
}

RelayClient::RelayClient(const RelayClient& original, Transport transport)
    : m_transport(std::move(transport)),
      m_input(original.m_input),
      m_nextId(original.m_nextId),
      m_ready(original.m_ready),
      m_nics(original.m_nics),
      m_release(original.m_release)
{
}

bool
RelayClient::IsReady() const
{
    return m_ready;
}

bool
RelayClient::IsAwaiting() const
{
    return !m_pending.empty();
}

const std::string&
RelayClient::GetRelease() const
{
    return m_release;
}

uint32_t
RelayClient::GetNics() const
{
    return m_nics;
}

void
RelayClient::SetReadyHandler(ReadyHandler handler)
{
    m_onReady = std::move(handler);
}

void
RelayClient::SetStreamHandler(StreamHandler handler)
{
    m_onStream = std::move(handler);
}

void
RelayClient::SetOutputHandler(OutputHandler handler)
{
    m_onOutput = std::move(handler);
}

void
RelayClient::SetExitHandler(ExitHandler handler)
{
    m_onExit = std::move(handler);
}

template <typename T>
T
RelayClient::Read(const std::vector<uint8_t>& body, const std::string& what)
{
    T value;
    if (body.size() < sizeof(T))
    {
        throw VmError("the relay broke its protocol: a message about " + what + " has only " +
                      std::to_string(body.size()) + " bytes");
    }
    std::memcpy(&value, body.data(), sizeof(T));
    return value;
}

void
RelayClient::Receive(const uint8_t* data, size_t length)
{
    m_input.insert(m_input.end(), data, data + length);
    size_t at = 0;
    while (m_input.size() - at >= sizeof(RelayHeader))
    {
        RelayHeader header;
        std::memcpy(&header, m_input.data() + at, sizeof(header));
        if (header.length > RELAY_BODY_MAX)
        {
            throw VmError("the relay broke its protocol: a message of " +
                          std::to_string(header.length) + " bytes");
        }
        if (m_input.size() - at - sizeof(header) < header.length)
        {
            break;
        }
        const auto begin = m_input.begin() + static_cast<ptrdiff_t>(at + sizeof(header));
        std::vector<uint8_t> body(begin, begin + header.length);
        at += sizeof(header) + header.length;
        HandleMessage(header, std::move(body));
    }
    m_input.erase(m_input.begin(), m_input.begin() + static_cast<ptrdiff_t>(at));
}

void
RelayClient::HandleMessage(const RelayHeader& header, std::vector<uint8_t> body)
{
    if (header.id != 0)
    {
        const auto pending = m_pending.find(header.id);
        if (pending == m_pending.end() || pending->second != header.type)
        {
            throw VmError("the relay broke its protocol: a reply of type " + Hex(header.type) +
                          " to no request");
        }
        m_pending.erase(pending);
        m_replies[header.id] = Reply{header.status, std::move(body)};
        return;
    }
    switch (header.type)
    {
    case RELAY_HELLO:
        HandleHello(body);
        break;
    case RELAY_EVENT_READY:
    case RELAY_EVENT_STREAM:
    case RELAY_EVENT_OUTPUT:
    case RELAY_EVENT_EXIT:
    case RELAY_EVENT_INPUT:
        m_events.push_back(Event{header.type, std::move(body)});
        break;
    default:
        throw VmError("the relay broke its protocol: a message of type " + Hex(header.type));
    }
}

void
RelayClient::HandleHello(const std::vector<uint8_t>& body)
{
    const auto hello = Read<RelayHello>(body, "itself");
    if (hello.version != RELAY_PROTOCOL_VERSION)
    {
        throw VmError("the guest's relay speaks protocol version " + std::to_string(hello.version) +
                      ", this program version " + std::to_string(RELAY_PROTOCOL_VERSION) +
                      ": build the image again");
    }
    m_nics = hello.nics;
    m_release.assign(body.begin() + sizeof(hello), body.end());
    m_ready = true;
}

void
RelayClient::DispatchEvents()
{
    if (m_dispatching)
    {
        return;
    }
    m_dispatching = true;
    try
    {
        while (!m_events.empty())
        {
            const Event event = std::move(m_events.front());
            m_events.pop_front();
            DispatchEvent(event.type, event.body);
        }
    }
    catch (...)
    {
        m_dispatching = false;
        throw;
    }
    m_dispatching = false;
}

void
RelayClient::DispatchEvent(uint16_t type, const std::vector<uint8_t>& body)
{
    switch (type)
    {
    case RELAY_EVENT_READY: {
        const auto ready = Read<RelayReady>(body, "readiness");
        if (m_onReady)
        {
            m_onReady(ready);
        }
        break;
    }
    case RELAY_EVENT_STREAM: {
        const auto end = Read<RelayStreamEnd>(body, "a stream's end");
        if (m_onStream)
        {
            m_onStream(end);
        }
        break;
    }
    case RELAY_EVENT_OUTPUT: {
        const auto head = Read<RelayProcessOutput>(body, "a program's output");
        if (head.stream != 1 && head.stream != 2)
        {
            throw VmError("the relay broke its protocol: output number " +
                          std::to_string(head.stream) + " of a program");
        }
        if (m_onOutput)
        {
            m_onOutput(head.process,
                       static_cast<int>(head.stream),
                       body.data() + sizeof(head),
                       body.size() - sizeof(head));
        }
        break;
    }
    case RELAY_EVENT_EXIT: {
        const auto end = Read<RelayProcessExit>(body, "a program's end");
        m_inputs.erase(end.process);
        if (m_onExit)
        {
            m_onExit(end);
        }
        break;
    }
    default:
        GoOnWithInput(Read<RelayProcess>(body, "a program's input").process);
    }
}

/* The header of a request that is on its way from now on. */
RelayHeader
RelayClient::Announce(uint16_t type, Span<const ByteSpan> body, const std::string& what)
{
    const size_t length = PieceReader(body).GetLeft();
    if (length > RELAY_BODY_MAX)
    {
        throw std::invalid_argument(what + ": " + std::to_string(length) +
                                    " bytes are too many for one request");
    }
    RelayHeader header{};
    header.length = static_cast<uint32_t>(length);
    header.type = type;
    header.id = m_nextId;
    m_nextId = m_nextId == UINT32_MAX ? 1 : m_nextId + 1;
    m_pending[header.id] = type;
    return header;
}

std::vector<uint8_t>
RelayClient::TakeReply(const Posted& request)
{
    const auto found = m_replies.find(request.id);
    if (found == m_replies.end())
    {
        throw VmError(request.what +
                      ": the guest's relay did not answer; the guest is busy or stuck");
    }
    Reply reply = std::move(found->second);
    m_replies.erase(found);
    if (reply.status != 0)
    {
        throw GuestError(request.what, reply.status);
    }
    return std::move(reply.body);
}

std::vector<uint8_t>
RelayClient::Call(uint16_t type, Span<const ByteSpan> body, const std::string& what)
{
    Flush();
    const auto header = Announce(type, body, what);
    std::vector<ByteSpan> message{Struct(header)};
    message.insert(message.end(), body.begin(), body.end());
    m_transport(message);
    return TakeReply({header.id, what});
}

/* ---- several requests in one turn ---- */

/* To be sent by SendPosted(). */
RelayClient::Posted
RelayClient::Post(uint16_t type, Span<const ByteSpan> body, const std::string& what)
{
    const auto header = Announce(type, body, what);
    const auto add = [this](const ByteSpan& piece) {
        m_posted.insert(m_posted.end(), piece.begin(), piece.end());
    };
    add(Struct(header));
    std::for_each(body.begin(), body.end(), add);
    return {header.id, what};
}

void
RelayClient::SendPosted()
{
    const auto message = std::exchange(m_posted, {});
    m_transport(std::array{ByteSpan(message)});
}

/* A request whose answer says only whether it has been carried out. */
void
RelayClient::Tell(uint16_t type, Span<const ByteSpan> body, const std::string& what)
{
    if (!m_together)
    {
        Call(type, body, what);
        return;
    }
    m_told.push_back(Post(type, body, what));
    if (m_posted.size() > TOGETHER_MAX)
    {
        Flush();
    }
}

void
RelayClient::Flush()
{
    if (m_told.empty())
    {
        return;
    }
    const auto told = std::exchange(m_told, {});
    SendPosted();
    std::exception_ptr refusal;
    for (const auto& request : told)
    {
        try
        {
            TakeReply(request);
        }
        catch (const GuestError&)
        {
            refusal = refusal ? refusal : std::current_exception();
        }
    }
    if (refusal)
    {
        std::rethrow_exception(refusal);
    }
}

void
RelayClient::Together(const std::function<void()>& requests)
{
    if (m_together)
    {
        requests(); // with those that are being collected
        return;
    }
    try
    {
        const Setting together(m_together, true);
        requests();
    }
    catch (...)
    {
        for (const auto& request : std::exchange(m_told, {}))
        {
            m_pending.erase(request.id);
        }
        m_posted.clear();
        throw;
    }
    Flush();
}

void
RelayClient::Apart(const std::function<void()>& requests)
{
    Flush();
    const Setting apart(m_together, false);
    requests();
}

template <typename T>
T
RelayClient::CallFor(uint16_t type, Span<const ByteSpan> body, const std::string& what)
{
    return Read<T>(Call(type, body, what), what);
}

RelayClock
RelayClient::GetClock()
{
    return CallFor<RelayClock>(RELAY_CLOCK_GET, {}, "reading the clock");
}

void
RelayClient::SetRealtime(int64_t realtime)
{
    Tell(RELAY_CLOCK_SET, Body(RelayClockSet{realtime}), "setting the clock");
}

void
RelayClient::SeedRng(const std::vector<uint8_t>& seed)
{
    Tell(RELAY_RNG_SEED, std::array{ByteSpan(seed)}, "seeding the random numbers");
}

std::string
RelayClient::GetSysctl(const std::string& name)
{
    const auto value = Call(RELAY_SYSCTL_GET, std::array{Text(name)}, "reading sysctl " + name);
    return {value.begin(), value.end()};
}

std::vector<std::optional<std::string>>
RelayClient::GetSysctls(const std::vector<std::string>& names)
{
    Flush();
    std::vector<Posted> requests;
    for (const auto& name : names)
    {
        requests.push_back(
            Post(RELAY_SYSCTL_GET, std::array{Text(name)}, "reading sysctl " + name));
    }
    SendPosted();
    std::vector<std::optional<std::string>> values;
    for (const auto& request : requests)
    {
        try
        {
            const auto value = TakeReply(request);
            values.emplace_back(std::in_place, value.begin(), value.end());
        }
        catch (const GuestError& error)
        {
            if (error.GetErrno() != ENOENT)
            {
                throw;
            }
            values.emplace_back(std::nullopt);
        }
    }
    return values;
}

void
RelayClient::SetSysctl(const std::string& name, const std::string& value)
{
    const std::string both = name + value;
    Tell(RELAY_SYSCTL_SET,
         Body(RelaySysctlSet{static_cast<uint32_t>(name.size())}, both.data(), both.size()),
         "setting sysctl " + name + " = " + value);
}

std::vector<uint8_t>
RelayClient::ReadFile(const std::string& path)
{
    std::vector<uint8_t> content;
    for (;;)
    {
        const auto part = Call(RELAY_FILE_GET,
                               Body(RelayFileGet{content.size()}, path.data(), path.size()),
                               "reading " + path);
        if (part.empty())
        {
            return content;
        }
        content.insert(content.end(), part.begin(), part.end());
    }
}

void
RelayClient::WriteFile(const std::string& path, const std::vector<uint8_t>& data, uint32_t mode)
{
    RelayFilePut put{};
    put.mode = mode;
    put.flags = RELAY_FILE_CREATE | RELAY_FILE_TRUNCATE | RELAY_FILE_PARENTS;
    put.pathLength = static_cast<uint32_t>(path.size());
    if (sizeof(put) + path.size() >= RELAY_BODY_MAX)
    {
        throw std::invalid_argument("a path of " + std::to_string(path.size()) + " bytes");
    }
    const size_t most = RELAY_BODY_MAX - sizeof(put) - path.size();
    do
    {
        const size_t length = std::min(most, data.size() - put.offset);
        Tell(RELAY_FILE_PUT,
             std::array{Struct(put), Text(path), ByteSpan(data).subspan(put.offset, length)},
             "writing " + path);
        put.flags = 0;
        put.offset += length;
    } while (put.offset < data.size());
}

void
RelayClient::Mount(const RelayMount& mount,
                   const std::string& device,
                   const std::string& type,
                   const std::string& directory,
                   const std::string& options)
{
    std::string texts;
    for (const auto* text : {&device, &type, &directory, &options})
    {
        texts += *text;
        texts += '\0';
    }
    Call(RELAY_MOUNT,
         std::array{Struct(mount), Text(texts)},
         "mounting " + device + " on " + directory);
}

void
RelayClient::Freeze(const std::string& directory)
{
    Call(RELAY_FREEZE, std::array{Text(directory)}, "bringing " + directory + " to rest");
}

RelayLink
RelayClient::GetLink(uint32_t nic, std::string* name)
{
    const std::string what = "asking for NIC " + std::to_string(nic);
    const auto body = Call(RELAY_LINK_GET, Body(RelayNic{nic}), what);
    const auto link = Read<RelayLink>(body, what);
    if (name)
    {
        name->assign(body.begin() + sizeof(link), body.end());
    }
    return link;
}

void
RelayClient::SetLink(const RelayLinkSet& link)
{
    Tell(RELAY_LINK_SET, Body(link), "configuring NIC " + std::to_string(link.nic));
}

void
RelayClient::AddAddress(uint32_t nic, const GuestAddress& address, uint8_t prefix)
{
    Tell(RELAY_ADDRESS_ADD,
         Body(ToWire(nic, address, prefix)),
         "adding address " + Name(address, prefix) + " to NIC " + std::to_string(nic));
}

void
RelayClient::DeleteAddress(uint32_t nic, const GuestAddress& address, uint8_t prefix)
{
    Call(RELAY_ADDRESS_DELETE,
         Body(ToWire(nic, address, prefix)),
         "deleting address " + Name(address, prefix) + " of NIC " + std::to_string(nic));
}

uint32_t
RelayClient::Socket(uint32_t domain, uint32_t type, uint32_t protocol)
{
    return CallFor<RelayHandle>(RELAY_SOCKET,
                                Body(RelaySocket{domain, type, protocol}),
                                "opening a socket")
        .handle;
}

void
RelayClient::Bind(uint32_t handle, const GuestEndpoint& local)
{
    Call(RELAY_BIND,
         Body(ToWire(handle, local)),
         "binding to " + local.address.Print() + " port " + std::to_string(local.port));
}

void
RelayClient::Listen(uint32_t handle, uint32_t backlog)
{
    Call(RELAY_LISTEN, Body(RelayListen{handle, backlog}), "listening");
}

uint32_t
RelayClient::Accept(uint32_t handle, GuestEndpoint* peer)
{
    const auto wire = CallFor<RelaySocketAddress>(RELAY_ACCEPT,
                                                  Body(RelayHandle{handle}),
                                                  "accepting a connection");
    if (peer)
    {
        *peer = FromWire(wire);
    }
    return wire.handle;
}

void
RelayClient::Connect(uint32_t handle, const GuestEndpoint& peer)
{
    Call(RELAY_CONNECT,
         Body(ToWire(handle, peer)),
         "connecting to " + peer.address.Print() + " port " + std::to_string(peer.port));
}

void
RelayClient::SetOption(uint32_t handle, int level, int name, const std::vector<uint8_t>& value)
{
    const RelaySocketOption option{handle, level, name, static_cast<uint32_t>(value.size())};
    Call(RELAY_SETSOCKOPT, Body(option, value.data(), value.size()), "setting a socket option");
}

std::vector<uint8_t>
RelayClient::GetOption(uint32_t handle, int level, int name, uint32_t length)
{
    return Call(RELAY_GETSOCKOPT,
                Body(RelaySocketOption{handle, level, name, length}),
                "reading a socket option");
}

GuestEndpoint
RelayClient::GetSocketName(uint32_t handle)
{
    return FromWire(CallFor<RelaySocketAddress>(RELAY_GETSOCKNAME,
                                                Body(RelayHandle{handle}),
                                                "asking for a socket's name"));
}

void
RelayClient::Shutdown(uint32_t handle, uint32_t how)
{
    Call(RELAY_SHUTDOWN, Body(RelayShutdown{handle, how}), "shutting down a socket");
}

size_t
RelayClient::Send(uint32_t handle,
                  const uint8_t* data,
                  size_t length,
                  uint32_t flags,
                  const GuestEndpoint* to)
{
    const std::string what = "sending";
    RelaySend head{};
    head.to.handle = handle;
    head.flags = flags;
    if (to)
    {
        head.to = ToWire(handle, *to);
    }
    constexpr size_t most = RELAY_BODY_MAX - sizeof(head);
    size_t sent = 0;
    do
    {
        const size_t piece = std::min(most, length - sent);
        try
        {
            const auto count =
                CallFor<RelayCount>(RELAY_SEND, Body(head, data + sent, piece), what);
            if (count.bytes > piece)
            {
                throw VmError("the relay broke its protocol: it sent " +
                              std::to_string(count.bytes) + " bytes of " + std::to_string(piece));
            }
            sent += count.bytes;
            if (count.bytes < piece)
            {
                break;
            }
        }
        catch (const GuestError&)
        {
            if (sent == 0)
            {
                throw;
            }
            break;
        }
    } while (sent < length);
    return sent;
}

GuestReceived
RelayClient::Receive(uint32_t handle, uint32_t length, uint32_t flags)
{
    const std::string what = "receiving";
    const auto body = Call(RELAY_RECEIVE, Body(RelayReceive{handle, flags, length}), what);
    const auto head = Read<RelayReceived>(body, what);
    if (body.size() - sizeof(head) > length)
    {
        throw VmError("the relay broke its protocol: it received more than was asked for");
    }
    GuestReceived received;
    received.data.assign(body.begin() + sizeof(head), body.end());
    received.from = FromWire(head.from);
    received.flags = head.flags;
    received.length = head.length;
    received.has = head.has;
    received.interface = head.interface;
    received.local.family = received.from.address.family;
    std::copy(std::begin(head.local), std::end(head.local), received.local.bytes.begin());
    received.tos = head.tos;
    received.ttl = head.ttl;
    return received;
}

std::vector<uint8_t>
RelayClient::Ioctl(uint32_t handle, uint32_t request, const std::vector<uint8_t>& argument)
{
    return Call(RELAY_IOCTL,
                Body(RelayIoctl{handle, request}, argument.data(), argument.size()),
                "ioctl " + Hex(request));
}

void
RelayClient::Close(uint32_t handle)
{
    Call(RELAY_CLOSE, Body(RelayHandle{handle}), "closing a socket");
}

void
RelayClient::Watch(uint32_t handle, uint32_t conditions)
{
    Call(RELAY_WATCH, Body(RelayWatch{handle, conditions}), "watching a socket");
}

void
RelayClient::Stream(uint32_t handle, const GuestStream& stream)
{
    RelayStream wire{};
    wire.handle = handle;
    wire.direction = stream.direction;
    wire.length = stream.length;
    wire.chunk = stream.chunk;
    wire.perWake = stream.perWake;
    Call(RELAY_STREAM, Body(wire), "starting a bulk transfer");
}

RelayStreamStat
RelayClient::GetStreamStat(uint32_t handle)
{
    return CallFor<RelayStreamStat>(RELAY_STREAM_STAT,
                                    Body(RelayHandle{handle}),
                                    "asking how much has been transferred");
}

uint32_t
RelayClient::StartProcess(const GuestProgram& program)
{
    if (program.arguments.empty())
    {
        throw std::invalid_argument("a program to be started has no name");
    }
    const std::string what =
        "starting " + program.arguments.front() +
        (program.directory.empty() ? std::string() : " in " + program.directory);
    std::string texts;
    const auto add = [&](const std::string& text) {
        if (text.find('\0') != std::string::npos)
        {
            throw std::invalid_argument(what + ": a NUL character in its arguments or environment");
        }
        texts += text;
        texts += '\0';
    };
    add(program.directory);
    std::for_each(program.arguments.begin(), program.arguments.end(), add);
    std::for_each(program.environment.begin(), program.environment.end(), add);
    RelayProcessStart start{};
    start.flags = program.input ? RELAY_PROCESS_INPUT : 0;
    start.flags |= program.mergeErrors ? RELAY_PROCESS_MERGE : 0;
    start.arguments = static_cast<uint32_t>(program.arguments.size());
    start.variables = static_cast<uint32_t>(program.environment.size());
    return CallFor<RelayProcess>(RELAY_PROCESS_START, Body(start, texts.data(), texts.size()), what)
        .process;
}

/* As much as the program takes. */
void
RelayClient::WriteInput(uint32_t process)
{
    const std::string what = "writing to a program";
    constexpr size_t most = RELAY_BODY_MAX - sizeof(RelayProcess);
    auto& input = m_inputs[process];
    while (!input.data.empty())
    {
        const size_t length = std::min(most, input.data.size());
        const std::vector<uint8_t> piece(input.data.begin(),
                                         input.data.begin() + static_cast<ptrdiff_t>(length));
        const auto count = CallFor<RelayCount>(RELAY_PROCESS_WRITE,
                                               Body(RelayProcess{process}, piece.data(), length),
                                               what);
        if (count.bytes > length)
        {
            throw VmError("the relay broke its protocol: a program took " +
                          std::to_string(count.bytes) + " bytes of " + std::to_string(length));
        }
        input.data.erase(input.data.begin(),
                         input.data.begin() + static_cast<ptrdiff_t>(count.bytes));
        if (count.bytes < length)
        {
            input.waits = true;
            return;
        }
    }
    const bool ends = input.ends;
    m_inputs.erase(process);
    if (ends)
    {
        Call(RELAY_PROCESS_WRITE, Body(RelayProcess{process}), what);
    }
}

/* There is room, or nobody who reads. */
void
RelayClient::GoOnWithInput(uint32_t process)
{
    const auto found = m_inputs.find(process);
    if (found == m_inputs.end() || !found->second.waits)
    {
        return;
    }
    found->second.waits = false;
    try
    {
        WriteInput(process);
    }
    catch (const GuestError&)
    {
        m_inputs.erase(process); // it does not read its input to the end, as many programs
    }
}

void
RelayClient::WriteProcess(uint32_t process, const uint8_t* data, size_t length)
{
    auto& input = m_inputs[process];
    input.data.insert(input.data.end(), data, data + length);
    if (!input.waits)
    {
        try
        {
            WriteInput(process);
        }
        catch (const GuestError&)
        {
            m_inputs.erase(process);
            throw;
        }
    }
}

void
RelayClient::CloseProcessInput(uint32_t process)
{
    m_inputs[process].ends = true;
    WriteProcess(process, nullptr, 0);
}

void
RelayClient::SignalProcess(uint32_t process, int signal)
{
    Call(RELAY_PROCESS_SIGNAL,
         Body(RelayProcessSignal{process, static_cast<uint32_t>(signal)}),
         "sending signal " + std::to_string(signal) + " to a program");
}

} // namespace ns3qemu
