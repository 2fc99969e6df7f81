/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a NIC does for its host: checksums, and segments of what is too large for the wire.
 */
#ifndef NET_SIM_OFFLOAD_H
#define NET_SIM_OFFLOAD_H

#include "standard-headers/linux/virtio_net.h"

/* No longer headers than these are before a segment's payload, in bytes: Ethernet, two VLAN tags,
 * IPv6 with extensions, TCP. */
#define SIM_OFFLOAD_HEADERS_MAX 512

/*
 * Is the checksum that a guest leaves to its NIC, if it does, within the frame (virtio 1.2,
 * 5.1.6.2)? Nothing the guest says can be trusted.
 */
bool sim_offload_has_checksum(const struct virtio_net_hdr *hdr, size_t length);

/* Complete that checksum. */
void sim_offload_complete_checksum(const struct virtio_net_hdr *hdr, uint8_t *frame,
                                   size_t length);

/* Is it a frame of TCP or UDP over IP, not a fragment, whose checksum there is, and is right? */
bool sim_offload_checksum_is_right(const uint8_t *frame, size_t length);

/* A TCP packet that is to be cut into segments. */
typedef struct SimSegments {
    const uint8_t *packet;
    size_t network;   /* where the IP header begins */
    size_t transport; /* where that of TCP begins */
    size_t payload;   /* where that ends */
    size_t length;
    size_t size;      /* of a segment's payload, but for the last one's */
    unsigned count;
    bool ipv6;
} SimSegments;

/*
 * What a guest asks to be segmented. Returns false if it makes no sense. Else @packet must live while segments are made of it.
 */
bool sim_offload_segment(SimSegments *segments, const struct virtio_net_hdr *hdr,
                         const uint8_t *packet, size_t length);

/*
 * Make a frame of a segment, as the guest's kernel would have: IP ids that count up, CWR in the
 * first one only (RFC 3168), FIN and PSH in the last, all checksums. @frame has room for
 * SIM_OFFLOAD_HEADERS_MAX and the payload. Returns its length.
 */
size_t sim_offload_make_segment(const SimSegments *segments, unsigned number, uint8_t *frame);

#endif
