/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Which of a NIC's queues the frames of a flow get to: the one on which the guest has last sent frames
 * of the same flow (virtio 1.2, 5.1.6.5.6: automatic receive steering). Before it has, the flow's hash
 * says which. A flow is all between two addresses, and two ports if the frame shows any.
 */
#ifndef NET_SIM_FLOWS_H
#define NET_SIM_FLOWS_H

#define SIM_FLOWS 4096

typedef struct SimFlows {
    uint8_t queue[SIM_FLOWS]; /* and 1; 0 for flows that are not known */
} SimFlows;

/* The guest has sent @frame on @queue. */
void sim_flows_note(SimFlows *flows, const uint8_t *frame, size_t length, unsigned queue);

/* Which of @queues gets @frame. What is of no flow gets to the first. */
unsigned sim_flows_find(const SimFlows *flows, const uint8_t *frame, size_t length, unsigned queues);

#endif
