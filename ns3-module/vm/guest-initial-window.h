/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_INITIAL_WINDOW_H
#define NS3_QEMU_GUEST_INITIAL_WINDOW_H

#include "relay-client.h"

#include <cstdint>

namespace ns3qemu
{

/**
 * Let connections to a host begin with another congestion window. In Linux that is an attribute of
 * a route, not of a socket: the host gets a route of its own, as the kernel would send to it now,
 * with initcwnd (ip-route(8)).
 * @param relay of the guest
 * @param host whom connections are made to
 * @param segments the window
 * @throw GuestError if the guest has no route to that host
 */
void SetInitialWindow(RelayClient& relay, const GuestAddress& host, uint32_t segments);

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_INITIAL_WINDOW_H */
