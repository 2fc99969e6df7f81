/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_DISTRIBUTED_RUN_H
#define NS3_QEMU_DISTRIBUTED_RUN_H

#include "ns3/channel.h"
#include "ns3/net-device.h"
#include "ns3/node.h"
#include "ns3/nstime.h"
#include "ns3/packet.h"

#include <cstdint>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief What the module knows of a simulation that is distributed over the ranks of MPI.
 *
 * Each rank is a process that has all nodes, and simulates those whose system id is its own. Only
 * their machines are started. Ranks are joined by point-to-point links, whose packets are messages
 * between processes. All of this is asked of ns-3 without a header of its module mpi, which need
 * not be there.
 */
class DistributedRun
{
  public:
    /** @return whether the simulator is one of ns-3's distributed ones */
    static bool IsOn();
    /** @return whether another rank simulates this node */
    static bool IsElsewhere(Ptr<const Node> node);
    /** @return which rank simulates this node, and which this is; for errors */
    static std::string Describe(Ptr<const Node> node);

    /** @return whether a channel carries packets to another rank and from there */
    static bool IsBetweenRanks(Ptr<const Channel> channel);
    /**
     * @param rank another one
     * @return the least delay of the links between it and this rank. When an event comes, the other
     *         rank may be behind by that, and no more: the simulators wait for each other so.
     */
    static Time GetLag(uint32_t rank);
    /** @return how many of the pending events are the simulator's own */
    static uint32_t CountOwnEvents();

    /**
     * From now on, end the run if a node of another rank sends something here: the other rank has
     * it sent, too, and it would arrive twice.
     */
    static void WatchOthers();

  private:
    static void OnStrayPacket(uint32_t nodeId, Ptr<const Packet> packet);
};

} // namespace ns3

#endif /* NS3_QEMU_DISTRIBUTED_RUN_H */
