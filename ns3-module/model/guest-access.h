/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_ACCESS_H
#define NS3_QEMU_GUEST_ACCESS_H

#include "ns3/callback.h"
#include "ns3/object.h"
#include "ns3/relay-client.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief How a node's sockets reach its guest: what they need of a VirtualMachine, and no more.
 *
 * It is found at the node, to which the machine is aggregated. A test may aggregate something else
 * that answers for a guest.
 */
class GuestAccess : public Object
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    /** @return the machine's name, for errors */
    virtual std::string GetName() const = 0;
    /** @return true if it is still to be started */
    virtual bool IsEarly() const = 0;
    /** @return true while the machine runs */
    virtual bool IsRunning() const = 0;
    /**
     * Do something as soon as the machine runs and is configured: now, or when the simulation
     * begins.
     * @param action if it throws then, the run ends
     */
    virtual void WhenRunning(std::function<void()> action) = 0;

    /**
     * Ask something of the guest, now.
     * @param request gets the relay; what it throws ends up here
     * @throw ns3qemu::GuestError if the guest refuses: when the turn is over, like any other
     */
    virtual void Request(const std::function<void(ns3qemu::RelayClient&)>& request) = 0;
    /**
     * Be told what becomes of a socket.
     * @param handle the relay's handle
     * @param callback told of each change
     */
    virtual void Watch(uint32_t handle, Callback<void, const RelayReady&> callback) = 0;
    /** No longer. */
    virtual void Unwatch(uint32_t handle) = 0;

    /** @return the guest's ifindex of each NIC. The machine must have been started. */
    virtual const std::vector<uint32_t>& GetInterfaceIndices() const = 0;

    /** What a turn was for. */
    enum TurnCause
    {
        FRAME,   //!< a frame arrived
        TIMER,   //!< a timer of the guest expired, or a busy guest goes on
        REQUEST, //!< the simulation asked the guest for something
        DEVICE,  //!< a joined device takes frames again, or its link has changed
    };

    /** Who is told of each turn, and may want to ask the machine something then. */
    class TurnListener
    {
      public:
        virtual ~TurnListener() = default;
        /** The machine has had a turn; see VirtualMachine::TurnTracedCallback. */
        virtual void OnTurn(TurnCause cause, uint32_t frames) = 0;
        /** @return whether it may ask something after the next turn */
        virtual bool IsAsking() const = 0;
    };

    /** Be told of each turn. */
    virtual void AddListener(TurnListener* listener) = 0;
    /** No longer. */
    virtual void RemoveListener(TurnListener* listener) = 0;
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_ACCESS_H */
