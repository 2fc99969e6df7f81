/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-netlink.h"

#include "vm-error.h"

#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace ns3qemu
{

namespace
{

/* Bytes of requests in one call: well below what a netlink socket takes by default. */
constexpr size_t PART_MAX = 32768;
/* The most that an answer can have: an error repeats the request. */
constexpr uint32_t ANSWER_MAX = 4096;

} // namespace

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

void
GuestNetlink::Queue(uint16_t type,
                    uint16_t flags,
                    const std::vector<uint8_t>& body,
                    const std::string& what,
                    int tolerated)
{
    nlmsghdr header{};
    header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + body.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = m_sequence + static_cast<uint32_t>(m_batch.size());
    std::vector<uint8_t> message;
    Append(message, &header, sizeof(header));
    Append(message, body.data(), body.size());
    m_batch.push_back(Pending{std::move(message), what, tolerated});
}

void
GuestNetlink::Run(RelayClient& relay)
{
    m_error = 0;
    if (m_batch.empty())
    {
        return;
    }
    if (!m_open)
    {
        m_handle = relay.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
        m_open = true;
    }
    for (size_t begin = 0; begin < m_batch.size();)
    {
        size_t length = 0;
        size_t end = begin;
        while (end < m_batch.size() && (end == begin || length < PART_MAX))
        {
            length += m_batch[end].message.size();
            end++;
        }
        RunPart(relay, begin, end);
        begin = end;
    }
    const std::string what = m_error != 0 ? m_batch[m_failed].what : "";
    m_sequence += static_cast<uint32_t>(m_batch.size());
    m_batch.clear();
    if (m_error != 0)
    {
        throw GuestError(what, m_error);
    }
}

void
GuestNetlink::RunPart(RelayClient& relay, size_t begin, size_t end)
{
    /* An error is always answered. So is the last request, to know that all is done. */
    auto* last = reinterpret_cast<nlmsghdr*>(m_batch[end - 1].message.data());
    last->nlmsg_flags |= NLM_F_ACK;
    std::vector<uint8_t> part;
    for (size_t i = begin; i < end; i++)
    {
        part.insert(part.end(), m_batch[i].message.begin(), m_batch[i].message.end());
    }
    relay.Send(m_handle, part.data(), part.size(), 0, nullptr);
    while (!TakeAnswer(relay.Receive(m_handle, ANSWER_MAX, 0).data, begin, end))
    {
    }
}

bool
GuestNetlink::TakeAnswer(const std::vector<uint8_t>& answer, size_t begin, size_t end)
{
    struct
    {
        nlmsghdr header;
        int32_t error;
    } seen;

    size_t index = 0;
    if (answer.size() >= sizeof(seen))
    {
        std::memcpy(&seen, answer.data(), sizeof(seen));
        index = seen.header.nlmsg_seq - m_sequence;
    }
    if (answer.size() < sizeof(seen) || seen.header.nlmsg_type != NLMSG_ERROR || index < begin ||
        index >= end)
    {
        throw VmError("the guest's kernel gave an answer to no rtnetlink request");
    }
    const int error = -seen.error;
    if (error != 0 && error != m_batch[index].tolerated && m_error == 0)
    {
        m_failed = index;
        m_error = error;
    }
    return index + 1 == end;
}

} // namespace ns3qemu
