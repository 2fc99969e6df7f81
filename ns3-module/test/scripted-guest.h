/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TEST_SCRIPTED_GUEST_H
#define NS3_QEMU_TEST_SCRIPTED_GUEST_H

#include "../model/guest-access.h"
#include "relay-request.h"

#include "ns3/node.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ns3
{

/**
 * A guest without a machine: a relay that answers each request as a kernel would whose peers and
 * buffers are as a test says. It is aggregated to a node, whose sockets then are the guest's.
 */
class ScriptedGuest : public GuestAccess
{
  public:
    static TypeId GetTypeId()
    {
        static TypeId tid = TypeId("ns3::ScriptedGuest").SetParent<GuestAccess>();
        return tid;
    }

    ScriptedGuest()
        : m_client([this](ns3qemu::Span<const ns3qemu::ByteSpan> message) { Take(message); })
    {
        m_client.SetReadyHandler([this](const RelayReady& ready) {
            const auto watcher = m_watchers.find(ready.handle);
            if (watcher != m_watchers.end())
            {
                const auto callback = watcher->second;
                callback(ready);
            }
        });
    }

    /* ---- what a test says ---- */

    /** An option of a socket that has been set. */
    struct Option
    {
        int32_t level;
        int32_t name;
        std::string value; //!< its bytes
    };

    /** A socket becomes ready. @param conditions RELAY_READABLE, ... */
    void Tell(uint32_t handle, uint32_t conditions, int32_t error = 0)
    {
        Put(RELAY_EVENT_READY, 0, 0, Bytes(RelayReady{handle, conditions, error}));
        m_client.DispatchEvents();
    }

    /** Let the machine run that was early. */
    void Start()
    {
        m_early = false;
        m_running = true;
        const auto actions = std::move(m_actions);
        for (const auto& action : actions)
        {
            action();
        }
    }

    /** @return how often something was asked for */
    size_t Count(uint16_t type) const
    {
        return std::count(m_asked.begin(), m_asked.end(), type);
    }

    bool m_early{false};
    bool m_running{true};
    std::map<uint16_t, int32_t> m_refusals;         //!< errno of the next answer to a type
    uint32_t m_room{UINT32_MAX};                    //!< bytes that the send buffer still takes
    std::deque<std::string> m_stream;               //!< to be received; "": the stream's end
    uint32_t m_connections{0};                      //!< to be accepted
    std::vector<uint32_t> m_interfaceIndices{2, 3}; //!< as GetInterfaceIndices()
    std::string m_sent;                             //!< what has been sent
    std::vector<uint16_t> m_asked;                  //!< what has been asked for: RELAY_...
    std::vector<Option> m_options;                  //!< in the order in which they were set
    uint32_t m_lastHandle{0};                       //!< of the socket that was made last

    /* ---- inherited from GuestAccess ---- */

    std::string GetName() const override
    {
        return "scripted";
    }

    bool IsEarly() const override
    {
        return m_early;
    }

    bool IsRunning() const override
    {
        return m_running;
    }

    void WhenRunning(std::function<void()> action) override
    {
        if (m_early)
        {
            m_actions.push_back(std::move(action));
        }
        else if (m_running)
        {
            action();
        }
    }

    void Request(const std::function<void(ns3qemu::RelayClient&)>& request) override
    {
        request(m_client);
        m_client.DispatchEvents();
    }

    void Watch(uint32_t handle, Callback<void, const RelayReady&> callback) override
    {
        m_watchers[handle] = callback;
    }

    void Unwatch(uint32_t handle) override
    {
        m_watchers.erase(handle);
    }

    const std::vector<uint32_t>& GetInterfaceIndices() const override
    {
        return m_interfaceIndices;
    }

    void AddListener(TurnListener*) override
    {
    }

    void RemoveListener(TurnListener*) override
    {
    }

  private:
    template <typename T>
    static std::string Bytes(const T& value)
    {
        return {reinterpret_cast<const char*>(&value), sizeof(value)};
    }

    template <typename T>
    static T Head(const RelayRequest& request)
    {
        T value{};
        std::memcpy(&value, request.body.data(), std::min(sizeof(value), request.body.size()));
        return value;
    }

    void Put(uint16_t type, uint32_t id, int32_t status, const std::string& body)
    {
        const RelayHeader header{static_cast<uint32_t>(body.size()), type, 0, id, status};
        const std::string message = Bytes(header) + body;
        m_client.Receive(reinterpret_cast<const uint8_t*>(message.data()), message.size());
    }

    void Take(ns3qemu::Span<const ns3qemu::ByteSpan> message)
    {
        const RelayRequest request(message);
        m_asked.push_back(request.header.type);
        int32_t status = std::exchange(m_refusals[request.header.type], 0);
        std::string body;
        if (status == 0)
        {
            std::tie(status, body) = Answer(request);
        }
        Put(request.header.type, request.header.id, status, body);
        if (request.header.type == RELAY_RECEIVE && !m_stream.empty())
        {
            Put(RELAY_EVENT_READY, 0, 0, Bytes(RelayReady{Handle(request), RELAY_READABLE, 0}));
        }
        if (request.header.type == RELAY_ACCEPT && m_connections > 0)
        {
            Put(RELAY_EVENT_READY, 0, 0, Bytes(RelayReady{Handle(request), RELAY_READABLE, 0}));
        }
    }

    static uint32_t Handle(const RelayRequest& request)
    {
        return Head<RelayHandle>(request).handle;
    }

    RelaySocketAddress NewAddress(uint32_t handle) const
    {
        return {handle, RELAY_INET, 1000, 0, {10, 0, 0, 9}};
    }

    std::pair<int32_t, std::string> Answer(const RelayRequest& request)
    {
        switch (request.header.type)
        {
        case RELAY_SOCKET:
            return {0, Bytes(RelayHandle{++m_lastHandle})};
        case RELAY_ACCEPT:
            if (m_connections == 0)
            {
                return {EAGAIN, ""};
            }
            m_connections--;
            return {0, Bytes(NewAddress(++m_lastHandle))};
        case RELAY_GETSOCKNAME:
            return {0, Bytes(NewAddress(Handle(request)))};
        case RELAY_SETSOCKOPT: {
            const auto option = Head<RelaySocketOption>(request);
            m_options.push_back({option.level,
                                 option.name,
                                 {request.body.begin() + sizeof(option), request.body.end()}});
            return {0, ""};
        }
        case RELAY_GETSOCKOPT:
            return {0, std::string(Head<RelaySocketOption>(request).length, '\0')};
        case RELAY_SEND: {
            const auto length = static_cast<uint32_t>(request.body.size() - sizeof(RelaySend));
            const uint32_t taken = std::min(length, m_room);
            if (taken == 0 && length > 0)
            {
                return {EAGAIN, ""};
            }
            m_room -= taken;
            const auto* data = reinterpret_cast<const char*>(request.body.data());
            m_sent.append(data + sizeof(RelaySend), taken);
            return {0, Bytes(RelayCount{taken})};
        }
        case RELAY_RECEIVE:
            return Receive(Head<RelayReceive>(request).length);
        case RELAY_IOCTL: {
            size_t queued = 0;
            for (const auto& part : m_stream)
            {
                queued += part.size();
            }
            return {0, Bytes(static_cast<int>(queued))};
        }
        default:
            return {0, ""};
        }
    }

    std::pair<int32_t, std::string> Receive(uint32_t length)
    {
        if (m_stream.empty())
        {
            return {EAGAIN, ""};
        }
        auto& part = m_stream.front();
        const std::string data = part.substr(0, length);
        part.erase(0, data.size());
        if (part.empty())
        {
            m_stream.pop_front();
        }
        RelayReceived received{};
        received.length = static_cast<uint32_t>(data.size());
        return {0, Bytes(received) + data};
    }

    ns3qemu::RelayClient m_client;
    std::vector<std::function<void()>> m_actions;
    std::map<uint32_t, Callback<void, const RelayReady&>> m_watchers;
};

} // namespace ns3

#endif /* NS3_QEMU_TEST_SCRIPTED_GUEST_H */
