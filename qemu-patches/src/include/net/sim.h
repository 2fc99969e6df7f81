/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a NIC tells the backend "sim" besides its frames.
 */
#ifndef NET_SIM_H
#define NET_SIM_H

#include "net/net.h"

/*
 * The filter of a NIC has changed: tell the simulator, if that is what @nc is joined to. @flags are
 * SIM_LINK_FILTER_..., @addresses has @count times 6 bytes.
 */
void sim_net_filter_changed(NetClientState *nc, uint32_t flags,
                            const uint8_t *addresses, size_t count);

/* What @nc had given to its backend and was not sent yet is gone, if that is what it is joined to. */
void sim_net_purged(NetClientState *nc);

#endif
