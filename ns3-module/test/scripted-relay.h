/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A relay that says what a test has it say.
 */
#ifndef NS3_QEMU_TEST_SCRIPTED_RELAY_H
#define NS3_QEMU_TEST_SCRIPTED_RELAY_H

#include "relay-request.h"

#include "ns3/relay-client.h"

#include <deque>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

/** @return the bytes of a struct, and what follows it */
template <typename T>
std::string
Bytes(const T& head, const std::string& rest = "")
{
    static_assert(std::is_trivially_copyable_v<T>);
    return std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + rest;
}

/** A client, and a relay that answers as it is told to. */
class Scripted
{
  public:
    /** One answer: its status and its body. */
    struct Answer
    {
        int32_t status;   //!< 0 or an errno
        std::string body; //!< if 0
    };

    /** One request. */
    struct Asked
    {
        uint16_t type;    //!< RELAY_...
        std::string body; //!< all of it
    };

    Scripted()
        : m_client([this](ns3qemu::Span<const ns3qemu::ByteSpan> message) { Take(message); })
    {
    }

    /** Tell the client something on the relay's own account. */
    void Tell(uint16_t type, const std::string& body)
    {
        Send(type, 0, 0, body);
    }

    /** Put a message on the wire. */
    void Send(uint16_t type, uint32_t id, int32_t status, const std::string& body)
    {
        RelayHeader header{};
        header.length = static_cast<uint32_t>(body.size());
        header.type = type;
        header.id = id;
        header.status = status;
        const std::string message = Bytes(header, body);
        m_client.Receive(reinterpret_cast<const uint8_t*>(message.data()), message.size());
    }

    std::deque<Answer> m_answers;               //!< to come; without one the relay says nothing
    std::vector<Asked> m_asked;                 //!< what the client has asked for
    int m_messages{0};                          //!< in how many pieces it was asked
    std::function<void(const Asked&)> m_asking; //!< gets each request before it is answered
    ns3qemu::RelayClient m_client;              //!< under test

  private:
    void Take(ns3qemu::Span<const ns3qemu::ByteSpan> message)
    {
        m_messages++;
        ns3qemu::PieceReader bytes(message);
        while (bytes.GetLeft() > 0)
        {
            TakeOne(RelayRequest(bytes));
        }
    }

    void TakeOne(const RelayRequest& request)
    {
        const auto& header = request.header;
        m_asked.push_back({header.type, {request.body.begin(), request.body.end()}});
        if (m_asking)
        {
            m_asking(m_asked.back());
        }
        if (!m_answers.empty())
        {
            const Answer answer = m_answers.front();
            m_answers.pop_front();
            Send(header.type, header.id, answer.status, answer.body);
        }
    }
};

/** @return the text's bytes */
inline const uint8_t*
Data(const std::string& text)
{
    return reinterpret_cast<const uint8_t*>(text.data());
}

#endif /* NS3_QEMU_TEST_SCRIPTED_RELAY_H */
