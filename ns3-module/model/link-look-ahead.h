/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_LINK_LOOK_AHEAD_H
#define NS3_QEMU_LINK_LOOK_AHEAD_H

#include "ns3/attribute.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"
#include "ns3/point-to-point-channel.h"
#include "ns3/point-to-point-net-device.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief What is on its way to a point-to-point device, and when the next could come that is not.
 *
 * That is the look-ahead that a link gives whoever is at its end (Chandy and Misra 1979; Fujimoto,
 * Parallel and Distributed Simulation Systems, 2000): what is sent from now on arrives a
 * propagation delay later at the earliest.
 *
 * A link to another rank of a distributed simulation gives less. The other rank may be behind, so
 * from its delay DistributedRun::GetLag() is taken off, and nothing is left if it is the shortest
 * between the two. What comes over it is not known before it is an event.
 *
 * All times are simulated times in ns.
 */
class LinkLookAhead
{
  public:
    /** A frame on its way. */
    struct Arrival
    {
        int64_t time;             //!< when its last bit arrives
        Ptr<const Packet> packet; //!< with the device's header
    };

    /** @return whether the device is at the end of a link that has a look-ahead */
    static bool IsPossible(Ptr<NetDevice> device);

    /**
     * From now on, know what is on its way to a device. It must be before anything is.
     * @param device for which IsPossible()
     * @param notify called when a frame is sent to it
     */
    LinkLookAhead(Ptr<NetDevice> device, std::function<void()> notify);
    ~LinkLookAhead();
    LinkLookAhead(const LinkLookAhead&) = delete;
    LinkLookAhead& operator=(const LinkLookAhead&) = delete;

    /** @return the frames on their way, by time */
    const std::deque<Arrival>& GetArrivals();
    /** The next frame has arrived. */
    void Arrived();

    /** @return the time before which no frame arrives that is not on its way now */
    int64_t GetHorizon() const;
    /** @return when what the device itself is sending will have been sent, or a time before */
    int64_t GetTransmitEnd() const;
    /** @return whether what arrives is handed on in any case */
    bool IsReliable() const;

    /**
     * Make the Ethernet frame that the machine gets of a packet on its way.
     * @param packet with the device's header
     * @param frame replaced by it
     * @return false for a protocol that the device cannot hand on
     */
    bool BuildFrame(Ptr<const Packet> packet, std::vector<uint8_t>& frame) const;

  private:
    void OnTransmission(Ptr<const Packet> packet,
                        Ptr<NetDevice> from,
                        Ptr<NetDevice> to,
                        Time duration,
                        Time lastBit);
    void OnTransmitBegin(Ptr<const Packet> packet);
    Time GetDelay() const;

    Ptr<PointToPointNetDevice> m_device;
    Ptr<NetDevice> m_peer;
    Ptr<PointToPointChannel> m_channel;
    bool m_remote; // to another rank
    std::function<void()> m_notify;
    Ptr<const AttributeAccessor> m_delay;
    Ptr<const AttributeAccessor> m_rate;
    Ptr<const AttributeAccessor> m_gap;
    Ptr<const AttributeAccessor> m_errorModel;
    Time m_remoteDelay;             // what is left of its delay
    std::deque<Arrival> m_arrivals; // by time
    int64_t m_peerBusyUntil{0};
    int64_t m_transmitEnd{-1};
};

} // namespace ns3

#endif /* NS3_QEMU_LINK_LOOK_AHEAD_H */
