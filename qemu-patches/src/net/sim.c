/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Network backend "sim": frames to and from a simulator, over a sim-link.
 */
#include "qemu/osdep.h"
#include "clients.h"
#include "net/net.h"
#include "net/queue.h"
#include "qapi/error.h"
#include "qemu/iov.h"
#include "system/sim-link.h"

typedef struct SimNetState {
    NetClientState nc;
    SimLink *link;
    uint16_t nic;
    uint32_t room; /* how many more frames the simulator takes, or SIM_LINK_ROOM_UNLIMITED */
} SimNetState;

static ssize_t sim_net_receive_iov(NetClientState *nc, const struct iovec *iov, int iovcnt)
{
    SimNetState *s = DO_UPCAST(SimNetState, nc, nc);

    if (s->room == 0) {
        /* QEMU's queue keeps this frame, and the NIC stops, until there is room again. */
        return 0;
    }
    if (s->room != SIM_LINK_ROOM_UNLIMITED) {
        s->room--;
    }
    sim_link_put(s->link, SIM_LINK_FRAME, s->nic, iov, iovcnt);
    return iov_size(iov, iovcnt);
}

static ssize_t sim_net_receive(NetClientState *nc, const uint8_t *buf, size_t size)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = size };

    return sim_net_receive_iov(nc, &iov, 1);
}

/* The NIC goes on with what it could not send. The guest is halted, so this is in a fixed order. */
static void sim_net_resume(SimNetState *s)
{
    s->nc.receive_disabled = 0;
    qemu_net_queue_flush(s->nc.incoming_queue);
}

static void sim_net_set_carrier(SimNetState *s, bool up)
{
    NetClientState *peer = s->nc.peer;

    s->nc.link_down = !up;
    if (peer) {
        peer->link_down = !up;
    }
    /* What was waiting for room is lost with the link. */
    sim_net_resume(s);
    if (peer && peer->info->link_status_changed) {
        peer->info->link_status_changed(peer);
    }
}

static bool sim_net_input(void *opaque, uint16_t type, const uint8_t *data, size_t length)
{
    SimNetState *s = opaque;
    uint32_t value;

    if (type == SIM_LINK_FRAME) {
        /* Where the guest has no buffer left, QEMU's queue keeps the frame until it has. */
        qemu_send_packet(&s->nc, data, length);
        return true;
    }
    if (length != sizeof(value)) {
        return false;
    }
    memcpy(&value, data, sizeof(value));
    switch (type) {
    case SIM_LINK_ROOM:
        s->room = value;
        sim_net_resume(s);
        return true;
    case SIM_LINK_CARRIER:
        if (value > 1) {
            return false;
        }
        sim_net_set_carrier(s, value);
        return true;
    default:
        return false;
    }
}

static void sim_net_cleanup(NetClientState *nc)
{
    SimNetState *s = DO_UPCAST(SimNetState, nc, nc);

    if (s->link) {
        sim_link_remove(s->link, SIM_LINK_FRAME, s->nic);
        object_unref(OBJECT(s->link));
    }
}

static NetClientInfo sim_net_info = {
    .type = NET_CLIENT_DRIVER_SIM,
    .size = sizeof(SimNetState),
    .receive = sim_net_receive,
    .receive_iov = sim_net_receive_iov,
    .cleanup = sim_net_cleanup,
};

int net_init_sim(const Netdev *netdev, const char *name, NetClientState *peer, Error **errp)
{
    const NetdevSimOptions *opts = &netdev->u.sim;
    SimLink *link = sim_link_find(opts->link, errp);
    NetClientState *nc;
    SimNetState *s;

    if (!link) {
        return -1;
    }
    nc = qemu_new_net_client(&sim_net_info, peer, "sim", name);
    s = DO_UPCAST(SimNetState, nc, nc);
    if (!sim_link_add(link, SIM_LINK_FRAME, opts->nic, sim_net_input, s, errp)) {
        qemu_del_net_client(nc);
        return -1;
    }
    object_ref(OBJECT(link));
    s->link = link;
    s->nic = opts->nic;
    s->room = SIM_LINK_ROOM_UNLIMITED;
    qemu_set_info_str(nc, "link=%s,nic=%u", opts->link, opts->nic);
    return 0;
}
