/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-netlink.h"

#include "vm-error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace ns3qemu
{

namespace
{

/* How many requests of a batch go in one call. Each may be refused, and a netlink socket keeps no
 * more than some hundred refusals. */
constexpr size_t PART_MAX = 100;
/* What one receive asks for. A kernel fills at most 32 KiB of it with a dump. */
constexpr uint32_t RECEIVE_MAX = 65536;

std::vector<uint8_t>
Message(uint16_t type, uint16_t flags, uint32_t sequence, const std::vector<uint8_t>& body)
{
    nlmsghdr header{};
    header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = sequence;
    std::vector<uint8_t> message;
    GuestNetlink::Append(message, &header, sizeof(header));
    GuestNetlink::Append(message, body.data(), body.size());
    return message;
}

/* A message's header, which has been looked at: the message lies within the part. */
nlmsghdr
ReadHeader(const std::vector<uint8_t>& part, size_t at)
{
    nlmsghdr header;
    if (part.size() - at < sizeof(header))
    {
        throw VmError("the guest's kernel broke off a netlink message");
    }
    std::memcpy(&header, part.data() + at, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > part.size() - at)
    {
        throw VmError("the guest's kernel gave a netlink message of " +
                      std::to_string(header.nlmsg_len) + " bytes in " +
                      std::to_string(part.size() - at));
    }
    return header;
}

/* What an NLMSG_ERROR or an NLMSG_DONE says: 0 or an errno. */
int
ReadError(const std::vector<uint8_t>& part, size_t at, const nlmsghdr& header)
{
    int32_t error = 0;
    if (header.nlmsg_len >= sizeof(header) + sizeof(error))
    {
        std::memcpy(&error, part.data() + at + sizeof(header), sizeof(error));
    }
    else if (header.nlmsg_type == NLMSG_ERROR) // some kernels' NLMSG_DONE says nothing more
    {
        throw VmError("the guest's kernel gave a netlink error without an errno");
    }
    return error < 0 && error != INT32_MIN ? -error : 0;
}

/* The value of the first attribute of a type between two places. */
std::vector<uint8_t>
FindWithin(const std::vector<uint8_t>& bytes, size_t at, size_t end, uint16_t type)
{
    while (at + sizeof(rtattr) <= end)
    {
        rtattr attribute;
        std::memcpy(&attribute, bytes.data() + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > end - at)
        {
            break;
        }
        if ((attribute.rta_type & NLA_TYPE_MASK) == type)
        {
            const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
            return {begin + sizeof(attribute), begin + attribute.rta_len};
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return {};
}

} // namespace

GuestNetlink::GuestNetlink(uint32_t protocol)
    : m_protocol(protocol)
{
}

void
GuestNetlink::Append(std::vector<uint8_t>& body, const void* data, size_t length)
{
    const auto* bytes = static_cast<const uint8_t*>(data);
    body.insert(body.end(), bytes, bytes + length);
    body.resize(NLMSG_ALIGN(body.size()));
}

void
GuestNetlink::AppendAttribute(std::vector<uint8_t>& body,
                              uint16_t type,
                              const void* data,
                              size_t length)
{
    const rtattr attribute{static_cast<uint16_t>(RTA_LENGTH(length)), type};
    Append(body, &attribute, sizeof(attribute));
    Append(body, data, length);
}

void
GuestNetlink::AppendNumber(std::vector<uint8_t>& body, uint16_t type, uint32_t value)
{
    AppendAttribute(body, type, &value, sizeof(value));
}

std::vector<uint8_t>
GuestNetlink::FindAttribute(const std::vector<uint8_t>& message, size_t fixed, uint16_t type)
{
    const size_t end = message.empty() ? 0 : ReadHeader(message, 0).nlmsg_len;
    return FindWithin(message, sizeof(nlmsghdr) + NLMSG_ALIGN(fixed), end, type);
}

std::vector<uint8_t>
GuestNetlink::FindNested(const std::vector<uint8_t>& attributes, uint16_t type)
{
    return FindWithin(attributes, 0, attributes.size(), type);
}

/* Opens the socket if need be, and gives it up if the exchange does not come to its end: what the
 * kernel would still answer must not be taken for the answer to something else. */
template <typename F>
void
GuestNetlink::Exchange(RelayClient& relay, F exchange)
{
    if (!m_open)
    {
        m_handle = relay.Socket(AF_NETLINK, SOCK_RAW, m_protocol);
        m_open = true;
    }
    try
    {
        exchange();
    }
    catch (const GuestError&)
    {
        Close(relay);
        throw;
    }
    catch (...)
    {
        m_open = false; // the machine does not answer any more
        throw;
    }
}

void
GuestNetlink::Close(RelayClient& relay)
{
    if (std::exchange(m_open, false))
    {
        relay.Close(m_handle);
    }
}

void
GuestNetlink::Send(RelayClient& relay, const std::vector<uint8_t>& messages)
{
    if (relay.Send(m_handle, messages.data(), messages.size()) != messages.size())
    {
        throw VmError("the guest's kernel took a part of a netlink request");
    }
}

/* One datagram. The kernel makes the next one of a dump when this one has been taken, so each is
 * there when the call before it returns. */
std::vector<uint8_t>
GuestNetlink::ReceivePart(RelayClient& relay)
{
    auto received = relay.Receive(m_handle, RECEIVE_MAX);
    if (received.length > received.data.size() || (received.flags & MSG_TRUNC))
    {
        throw GuestError("receiving from netlink", EMSGSIZE);
    }
    if (received.data.empty())
    {
        throw VmError("the guest's kernel gave an empty answer to a netlink request");
    }
    return std::move(received.data);
}

std::vector<uint8_t>
GuestNetlink::Ask(RelayClient& relay, const std::vector<uint8_t>& request, const std::string& what)
{
    nlmsghdr header{};
    if (request.size() >= sizeof(header))
    {
        std::memcpy(&header, request.data(), sizeof(header));
    }
    if (request.size() < sizeof(header) || header.nlmsg_len != request.size())
    {
        throw std::invalid_argument(what + ": it must be one message with its header; it has " +
                                    std::to_string(request.size()) +
                                    " bytes, and its header says " +
                                    std::to_string(header.nlmsg_len));
    }
    if (request.size() > RELAY_BODY_MAX - sizeof(RelaySend))
    {
        throw std::invalid_argument(what + ": " + std::to_string(request.size()) +
                                    " bytes are too many for one message");
    }
    header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK; // so that its end is known
    header.nlmsg_seq = m_sequence++;
    header.nlmsg_pid = 0;
    std::vector<uint8_t> message = request;
    std::memcpy(message.data(), &header, sizeof(header));

    std::vector<uint8_t> answer;
    int error = 0;
    try
    {
        Exchange(relay, [&]() {
            Send(relay, message);
            for (bool ended = false; !ended;)
            {
                const auto part = ReceivePart(relay);
                size_t at = 0;
                while (at < part.size() && !ended)
                {
                    const auto seen = ReadHeader(part, at);
                    ended = seen.nlmsg_type == NLMSG_ERROR || seen.nlmsg_type == NLMSG_DONE;
                    if (!ended)
                    {
                        at += NLMSG_ALIGN(seen.nlmsg_len);
                    }
                    else if (seen.nlmsg_seq != header.nlmsg_seq)
                    {
                        throw VmError("the guest's kernel gave an answer to no netlink request");
                    }
                    else
                    {
                        error = ReadError(part, at, seen);
                    }
                }
                const size_t used = std::min(at, part.size());
                if (used > ANSWER_MAX - answer.size())
                {
                    throw VmError("the guest's kernel answers a netlink request without end");
                }
                Append(answer, part.data(), used);
            }
        });
    }
    catch (const GuestError& failed)
    {
        throw GuestError(what, failed.GetErrno());
    }
    if (error != 0)
    {
        throw GuestError(what, error);
    }
    return answer;
}

std::vector<uint8_t>
GuestNetlink::Ask(RelayClient& relay,
                  uint16_t type,
                  uint16_t flags,
                  const std::vector<uint8_t>& body,
                  const std::string& what)
{
    return Ask(relay, Message(type, flags, 0, body), what);
}

void
GuestNetlink::Queue(uint16_t type,
                    uint16_t flags,
                    const std::vector<uint8_t>& body,
                    const std::string& what,
                    int tolerated)
{
    m_batch.push_back(Pending{Message(type, flags, 0, body), what, tolerated});
}

void
GuestNetlink::Run(RelayClient& relay)
{
    auto batch = std::exchange(m_batch, {});
    if (batch.empty())
    {
        return;
    }
    Refusal refusal;
    Exchange(relay, [&]() {
        for (size_t begin = 0; begin < batch.size();)
        {
            const size_t end = std::min(begin + PART_MAX, batch.size());
            RunPart(relay, batch, begin, end, refusal);
            begin = end;
        }
    });
    if (refusal.error != 0)
    {
        throw GuestError(batch[refusal.index].what, refusal.error);
    }
}

void
GuestNetlink::RunPart(RelayClient& relay,
                      const std::vector<Pending>& batch,
                      size_t begin,
                      size_t end,
                      Refusal& refusal)
{
    const uint32_t first = m_sequence;
    m_sequence += static_cast<uint32_t>(end - begin);
    std::vector<uint8_t> part;
    for (size_t i = begin; i < end; i++)
    {
        nlmsghdr header;
        const auto& message = batch[i].message;
        std::memcpy(&header, message.data(), sizeof(header));
        header.nlmsg_seq = first + static_cast<uint32_t>(i - begin);
        /* An error is always answered. So is the last request, to know that all is done. */
        header.nlmsg_flags |= i + 1 == end ? NLM_F_ACK : 0;
        Append(part, &header, sizeof(header));
        part.insert(part.end(), message.begin() + sizeof(header), message.end());
    }
    Send(relay, part);
    for (bool ended = false; !ended;)
    {
        const auto answer = ReceivePart(relay);
        const auto header = ReadHeader(answer, 0);
        const size_t index = begin + (header.nlmsg_seq - first);
        if (header.nlmsg_type != NLMSG_ERROR || index >= end)
        {
            throw VmError("the guest's kernel gave an answer to no rtnetlink request");
        }
        const int error = ReadError(answer, 0, header);
        if (error != 0 && error != batch[index].tolerated && refusal.error == 0)
        {
            refusal = {index, error};
        }
        ended = index + 1 == end;
    }
}

std::vector<uint8_t>
PassNetlink(RelayClient& relay, uint32_t protocol, const std::vector<uint8_t>& request)
{
    std::vector<uint8_t> answer;
    WithGuestNetlink(relay, protocol, [&](GuestNetlink& netlink) {
        answer = netlink.Ask(relay, request, "a netlink request");
    });
    return answer;
}

} // namespace ns3qemu
