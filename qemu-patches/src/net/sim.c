/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Network backend "sim": frames to and from a simulator, over a sim-link.
 *
 * A NIC may leave checksums to it, and segmentation: that spares the guest half of the work with a
 * frame, or all but that for the first of many, and the frames are the same.
 *
 * A NIC with several queues has a client for each. What a NIC has once is the first one's.
 */
#include "qemu/osdep.h"
#include "clients.h"
#include "net/net.h"
#include "net/queue.h"
#include "net/sim.h"
#include "net/sim-flows.h"
#include "net/sim-offload.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/iov.h"
#include "standard-headers/linux/virtio_net.h"
#include "hw/virtio/virtio.h"
#include "system/cpus.h"
#include "system/sim-clock.h"
#include "system/sim-link.h"

enum {
    SIM_NET_QUEUES_MAX = 8,
};

static NetClientInfo sim_net_info;

typedef struct SimNetState {
    NetClientState nc;
    SimLink *link;
    uint16_t nic;
    uint32_t vnet_hdr_len; /* bytes of a virtio-net header before each frame, or 0 */
    uint8_t *input;        /* such a header and a frame for the guest */
    uint8_t *packet;       /* that is being segmented */
    uint8_t *segment;      /* a frame of it */
    unsigned segments_sent; /* of the packet that waits for credit */
    struct SimNetState *first; /* of the same NIC */
    /* The first one's. */
    uint32_t queues;
    struct SimNetState *queue[SIM_NET_QUEUES_MAX];
    SimFlows *flows;       /* if there are several queues */
    uint32_t resumed;      /* the queue that goes on first when there is credit again */
    uint32_t credit;       /* how many more frames the simulator takes, or ..._UNLIMITED */
    bool checks;           /* the NIC tells its driver which checksums are right */
} SimNetState;

/* Send a frame. Returns where it is, or NULL if it is none that the simulator could take. */
static uint8_t *sim_net_put(SimNetState *s, const struct iovec *iov, int iovcnt)
{
    SimNetState *first = s->first;
    uint8_t *frame;

    sim_clock_stamp();
    frame = sim_link_put(first->link, SIM_LINK_FRAME, first->nic, iov, iovcnt);
    if (!frame) {
        return NULL;
    }
    sim_clock_sent(false);
    if (first->credit != SIM_LINK_CREDIT_UNLIMITED) {
        first->credit--;
    }
    if (first->flows) {
        sim_flows_note(first->flows, frame, iov_size(iov, iovcnt), s->nc.queue_index);
        first->resumed = (s->nc.queue_index + 1) % first->queues;
    }
    return frame;
}

/* What the guest's driver asks for cannot be done: it is lost, and the simulator told. */
static void sim_net_refuse(SimNetState *s, const struct iovec *iov, int iovcnt)
{
    sim_link_put(s->first->link, SIM_LINK_REFUSED, s->first->nic, iov, iovcnt);
}

/*
 * A packet that the NIC is to segment. It goes on where it has stopped for want of credit.
 * Returns false if there is no more credit: the NIC keeps the packet, and stops.
 */
static bool sim_net_send_segments(SimNetState *s, const struct virtio_net_hdr *hdr,
                                  const struct iovec *iov, int iovcnt)
{
    size_t length = iov_to_buf(iov, iovcnt, 0, s->packet, SIM_LINK_PAYLOAD_MAX);
    SimSegments segments;

    if (length < iov_size(iov, iovcnt) ||
        !sim_offload_segment(&segments, hdr, s->packet, length)) {
        sim_net_refuse(s, iov, iovcnt);
        return true;
    }
    for (; s->segments_sent < segments.count; s->segments_sent++) {
        struct iovec frame = { .iov_base = s->segment };

        if (s->first->credit == 0) {
            return false;
        }
        frame.iov_len = sim_offload_make_segment(&segments, s->segments_sent, s->segment);
        sim_net_put(s, &frame, 1);
    }
    s->segments_sent = 0;
    return true;
}

static ssize_t sim_net_receive_iov(NetClientState *nc, const struct iovec *iov, int iovcnt)
{
    SimNetState *s = DO_UPCAST(SimNetState, nc, nc);
    size_t length = iov_size(iov, iovcnt);
    struct virtio_net_hdr hdr;
    struct iovec payload[VIRTQUEUE_MAX_SIZE];
    uint8_t *frame;

    if (length <= s->vnet_hdr_len ||
        (s->vnet_hdr_len && iov_to_buf(iov, iovcnt, 0, &hdr, sizeof(hdr)) < sizeof(hdr))) {
        /* No frame at all. It is gone: 0 would say that it is to be kept. */
        return MAX(length, 1);
    }
    if (s->first->credit == 0) {
        /* QEMU's queue keeps this frame, and the NIC stops, until there is credit again. */
        return 0;
    }
    if (s->vnet_hdr_len) {
        iovcnt = iov_copy(payload, ARRAY_SIZE(payload), iov, iovcnt, s->vnet_hdr_len, -1);
        iov = payload;
    }
    if (s->vnet_hdr_len && hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE) {
        return sim_net_send_segments(s, &hdr, iov, iovcnt) ? length : 0;
    }
    if (s->vnet_hdr_len && !sim_offload_has_checksum(&hdr, length - s->vnet_hdr_len)) {
        sim_net_refuse(s, iov, iovcnt);
        return length;
    }
    frame = sim_net_put(s, iov, iovcnt);
    if (frame && s->vnet_hdr_len) {
        sim_offload_complete_checksum(&hdr, frame, length - s->vnet_hdr_len);
    }
    return length;
}

static ssize_t sim_net_receive(NetClientState *nc, const uint8_t *buf, size_t size)
{
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = size };

    return sim_net_receive_iov(nc, &iov, 1);
}

void sim_net_filter_changed(NetClientState *nc, uint32_t flags,
                            const uint8_t *addresses, size_t count)
{
    SimLinkFilter filter = { .flags = flags, .count = count };
    struct iovec iov[] = {
        { .iov_base = &filter, .iov_len = sizeof(filter) },
        { .iov_base = (void *)addresses, .iov_len = count * SIM_LINK_ADDRESS_SIZE },
    };
    SimNetState *s;

    /* A device that is reset when the machine is made is none that the simulator waits for. */
    if (!nc->peer || nc->peer->info != &sim_net_info || !qemu_in_vcpu_thread()) {
        return;
    }
    s = DO_UPCAST(SimNetState, nc, nc->peer);
    sim_link_put(s->link, SIM_LINK_FILTER, s->nic, iov, ARRAY_SIZE(iov));
    sim_clock_sent(false);
}

/*
 * A frame arrives at the NIC. Where computing takes time it is lost if the receive ring is full, as
 * a real one is. Elsewhere the guest refills its ring in no time, and where it has no buffer left,
 * QEMU's queue keeps the frame until it has.
 */
static void sim_net_arrive(SimNetState *s, const uint8_t *data, size_t length)
{
    NetClientState *peer = s->nc.peer;

    if (!sim_clock_takes_time() || !peer || s->nc.link_down) {
        qemu_send_packet(&s->nc, data, length);
        return;
    }
    /* It looks at its ring for each frame, and not only when it is told of new buffers. */
    peer->receive_disabled = 0;
    if (qemu_net_queue_receive(peer->incoming_queue, data, length) <= 0) {
        sim_link_put(s->first->link, SIM_LINK_MISSED, s->first->nic, NULL, 0);
    }
}

/*
 * The NIC goes on with what it could not send. The guest is halted, so this is in a fixed order; of
 * several queues, the one behind that which has sent last is the first.
 */
static void sim_net_resume(SimNetState *first)
{
    uint32_t begin = first->resumed;

    for (uint32_t i = 0; i < first->queues; i++) {
        SimNetState *s = first->queue[(begin + i) % first->queues];

        s->nc.receive_disabled = 0;
        qemu_net_queue_flush(s->nc.incoming_queue);
    }
}

static void sim_net_set_carrier(SimNetState *s, bool up)
{
    NetClientState *peer = s->nc.peer;

    for (uint32_t i = 0; i < s->queues; i++) {
        NetClientState *nc = &s->queue[i]->nc;

        /* What was waiting for credit is lost with the link. */
        s->queue[i]->segments_sent = 0;
        nc->link_down = !up;
        if (nc->peer) {
            nc->peer->link_down = !up;
        }
    }
    sim_net_resume(s);
    if (peer && peer->info->link_status_changed) {
        peer->info->link_status_changed(peer);
    }
}

/* Whether the guest's driver uses it. */
static bool sim_net_is_used(SimNetState *s)
{
    NetClientState *peer = s->nc.peer;

    return peer && (!peer->info->can_receive || peer->info->can_receive(peer));
}

/* Which queue gets a frame. */
static SimNetState *sim_net_steer(SimNetState *first, const uint8_t *frame, size_t length)
{
    uint32_t used = 1;

    if (!first->flows) {
        return first;
    }
    while (used < first->queues && sim_net_is_used(first->queue[used])) {
        used++;
    }
    return first->queue[sim_flows_find(first->flows, frame, length, used)];
}

static bool sim_net_input(void *opaque, uint16_t type, const uint8_t *data, size_t length)
{
    SimNetState *s = opaque;
    uint32_t value;

    if (type == SIM_LINK_FRAME) {
        s = sim_net_steer(s, data, length);
        if (s->vnet_hdr_len) {
            s->input[offsetof(struct virtio_net_hdr, flags)] =
                s->first->checks && sim_offload_checksum_is_right(data, length)
                    ? VIRTIO_NET_HDR_F_DATA_VALID
                    : 0;
            memcpy(s->input + s->vnet_hdr_len, data, length);
            sim_net_arrive(s, s->input, s->vnet_hdr_len + length);
        } else {
            sim_net_arrive(s, data, length);
        }
        return true;
    }
    if (length != sizeof(value)) {
        return false;
    }
    memcpy(&value, data, sizeof(value));
    switch (type) {
    case SIM_LINK_CREDIT:
        s->credit = value;
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

static bool sim_net_has_vnet_hdr(NetClientState *nc)
{
    return true;
}

static bool sim_net_has_vnet_hdr_len(NetClientState *nc, int length)
{
    return length == sizeof(struct virtio_net_hdr) || length == sizeof(struct virtio_net_hdr_v1);
}

static void sim_net_set_vnet_hdr_len(NetClientState *nc, int length)
{
    SimNetState *s = DO_UPCAST(SimNetState, nc, nc);

    assert(sim_net_has_vnet_hdr_len(nc, length));
    if (!s->input) {
        /* A header that says nothing stays in front of each frame. */
        s->input = g_malloc0(sizeof(struct virtio_net_hdr_v1) + SIM_LINK_PAYLOAD_MAX);
        s->packet = g_malloc(SIM_LINK_PAYLOAD_MAX);
        s->segment = g_malloc(SIM_LINK_PAYLOAD_MAX);
    }
    s->vnet_hdr_len = length;
}

/* The driver has said what it wants of its NIC. */
static void sim_net_set_offload(NetClientState *nc, int csum, int tso4, int tso6, int ecn, int ufo,
                                int uso4, int uso6)
{
    DO_UPCAST(SimNetState, nc, nc)->checks = csum;
}

void sim_net_purged(NetClientState *nc)
{
    if (nc->peer && nc->peer->info == &sim_net_info) {
        DO_UPCAST(SimNetState, nc, nc->peer)->segments_sent = 0;
    }
}

static void sim_net_cleanup(NetClientState *nc)
{
    SimNetState *s = DO_UPCAST(SimNetState, nc, nc);

    g_free(s->input);
    g_free(s->flows);
    g_free(s->packet);
    g_free(s->segment);
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
    .has_vnet_hdr = sim_net_has_vnet_hdr,
    .has_vnet_hdr_len = sim_net_has_vnet_hdr_len,
    .set_vnet_hdr_len = sim_net_set_vnet_hdr_len,
    .set_offload = sim_net_set_offload,
};

int net_init_sim(const Netdev *netdev, const char *name, NetClientState *peer, Error **errp)
{
    const NetdevSimOptions *opts = &netdev->u.sim;
    SimLink *link = sim_link_find(opts->link, errp);
    uint32_t queues = opts->has_queues ? opts->queues : 1;
    NetClientState *nc;
    SimNetState *s;

    if (!link) {
        return -1;
    }
    if (queues < 1 || queues > SIM_NET_QUEUES_MAX) {
        error_setg(errp, "a NIC has 1 to %d queues", SIM_NET_QUEUES_MAX);
        return -1;
    }
    nc = qemu_new_net_client(&sim_net_info, peer, "sim", name);
    s = DO_UPCAST(SimNetState, nc, nc);
    s->first = s;
    s->queues = 1;
    s->queue[0] = s;
    if (!sim_link_add(link, SIM_LINK_FRAME, opts->nic, sim_net_input, s, errp)) {
        qemu_del_net_client(nc);
        return -1;
    }
    object_ref(OBJECT(link));
    s->link = link;
    s->nic = opts->nic;
    s->credit = SIM_LINK_CREDIT_UNLIMITED;
    if (queues > 1) {
        s->flows = g_new0(SimFlows, 1);
    }
    for (uint32_t i = 1; i < queues; i++) {
        NetClientState *other = qemu_new_net_client(&sim_net_info, peer, "sim", name);

        other->queue_index = i;
        s->queue[i] = DO_UPCAST(SimNetState, nc, other);
        s->queue[i]->first = s;
        s->queues++;
    }
    qemu_set_info_str(nc, "link=%s,nic=%u", opts->link, opts->nic);
    return 0;
}
