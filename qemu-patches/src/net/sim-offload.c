/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Checksum and segmentation offload.
 */
#include "qemu/osdep.h"
#include "net/sim-offload.h"
#include "qemu/bswap.h"

enum {
    ETHERNET_HEADER = 14,
    VLAN_TAG = 4,
    VLAN_TAGS_MAX = 2,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    TCP_CHECKSUM = 16, /* within the header */
    UDP_CHECKSUM = 6,
    TCP_FLAGS = 13,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    FLAG_FIN = 0x01,
    FLAG_PSH = 0x08,
    FLAG_CWR = 0x80,
    /* The least payload of a segment, in bytes: TCP's least MSS in Linux, less its options. It
     * bounds how many frames become of one packet. */
    SEGMENT_MIN = 8,
};

/* Where the parts of a frame are. */
typedef struct Layout {
    size_t network;
    size_t transport;
    uint8_t protocol; /* of what is there */
    bool ipv6;
} Layout;

/* The sum of RFC 1071 over @data, onto @sum; both bytes of a word are in memory's order. */
static uint64_t add_up(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length >= 4; data += 4, length -= 4) {
        sum += (uint32_t)ldl_he_p(data);
    }
    if (length >= 2) {
        sum += (uint16_t)lduw_he_p(data);
        data += 2;
        length -= 2;
    }
    if (length) {
        sum += *data;
    }
    return sum;
}

/* ... as it is to be stored. */
static uint16_t fold(uint64_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum;
}

/* Zero would say that there is none (RFC 768); a kernel does the same for all protocols. */
static void put_checksum(uint8_t *place, uint64_t sum)
{
    uint16_t folded = fold(sum);

    stw_he_p(place, folded ? folded : 0xffff);
}

static uint64_t add_pseudo_header(const uint8_t *ip, bool ipv6, uint8_t protocol, size_t length)
{
    uint8_t rest[8] = { [7] = protocol };

    stl_be_p(rest, length);
    return add_up(ipv6 ? add_up(0, ip + 8, 32) : add_up(0, ip + 12, 8), rest, sizeof(rest));
}

bool sim_offload_has_checksum(const struct virtio_net_hdr *hdr, size_t length)
{
    size_t start = lduw_le_p(&hdr->csum_start);

    return !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
           (start <= length && start + lduw_le_p(&hdr->csum_offset) + 2 <= length);
}

void sim_offload_complete_checksum(const struct virtio_net_hdr *hdr, uint8_t *frame, size_t length)
{
    size_t start = lduw_le_p(&hdr->csum_start);

    if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        put_checksum(frame + start + lduw_le_p(&hdr->csum_offset),
                     add_up(0, frame + start, length - start));
    }
}

/* IPv6's extension headers, behind which TCP or UDP may be (RFC 8200); no fragments. */
static void skip_extensions(Layout *at, const uint8_t *frame, size_t end)
{
    while (at->protocol == 0 || at->protocol == 43 || at->protocol == 60) {
        if (at->transport + 8 > end) {
            break;
        }
        at->protocol = frame[at->transport];
        at->transport += (frame[at->transport + 1] + 1) * 8;
    }
}

/*
 * Find the parts of a frame. Returns where its IP packet ends, or 0 if it is none, is cut off or is
 * a fragment.
 */
static size_t find_layout(Layout *at, const uint8_t *frame, size_t length)
{
    size_t type = ETHERNET_HEADER - 2;
    size_t end;

    for (int i = 0; i < VLAN_TAGS_MAX && type + 2 <= length; i++) {
        uint16_t value = lduw_be_p(frame + type);

        if (value != ETHERTYPE_VLAN && value != ETHERTYPE_QINQ) {
            break;
        }
        type += VLAN_TAG;
    }
    at->network = type + 2;
    if (at->network + IPV4_HEADER > length) {
        return 0;
    }
    at->ipv6 = lduw_be_p(frame + type) == ETHERTYPE_IPV6;
    if (at->ipv6) {
        if (at->network + IPV6_HEADER > length || frame[at->network] >> 4 != 6) {
            return 0;
        }
        end = at->network + IPV6_HEADER + lduw_be_p(frame + at->network + 4);
        at->protocol = frame[at->network + 6];
        at->transport = at->network + IPV6_HEADER;
        skip_extensions(at, frame, MIN(end, length));
    } else {
        if (lduw_be_p(frame + type) != ETHERTYPE_IPV4 || frame[at->network] >> 4 != 4 ||
            (frame[at->network] & 15) * 4 < IPV4_HEADER ||
            (lduw_be_p(frame + at->network + 6) & 0x3fff) != 0) {
            return 0;
        }
        end = at->network + lduw_be_p(frame + at->network + 2);
        at->protocol = frame[at->network + 9];
        at->transport = at->network + (frame[at->network] & 15) * 4;
    }
    return end <= length && at->transport < end ? end : 0;
}

bool sim_offload_checksum_is_right(const uint8_t *frame, size_t length)
{
    Layout at;
    size_t end = find_layout(&at, frame, length);
    uint64_t sum;

    if (!end || (at.protocol != PROTOCOL_TCP && at.protocol != PROTOCOL_UDP) ||
        end - at.transport < (at.protocol == PROTOCOL_TCP ? TCP_HEADER : UDP_HEADER) ||
        (at.protocol == PROTOCOL_UDP &&
         (lduw_he_p(frame + at.transport + UDP_CHECKSUM) == 0 ||
          lduw_be_p(frame + at.transport + 4) != end - at.transport))) {
        return false;
    }
    sum = add_pseudo_header(frame + at.network, at.ipv6, at.protocol, end - at.transport);
    return fold(add_up(sum, frame + at.transport, end - at.transport)) == 0;
}

bool sim_offload_segment(SimSegments *segments, const struct virtio_net_hdr *hdr,
                         const uint8_t *packet, size_t length)
{
    uint8_t type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
    Layout at;

    if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || lduw_le_p(&hdr->hdr_len) > length ||
        lduw_le_p(&hdr->gso_size) < SEGMENT_MIN || find_layout(&at, packet, length) != length) {
        return false;
    }
    if (type != (at.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) ||
        at.protocol != PROTOCOL_TCP || at.transport + TCP_HEADER > length ||
        lduw_le_p(&hdr->csum_start) != at.transport ||
        lduw_le_p(&hdr->csum_offset) != TCP_CHECKSUM) {
        return false;
    }
    *segments = (SimSegments) {
        .packet = packet,
        .network = at.network,
        .transport = at.transport,
        .payload = at.transport + (packet[at.transport + 12] >> 4) * 4,
        .length = length,
        .size = lduw_le_p(&hdr->gso_size),
        .ipv6 = at.ipv6,
    };
    if (segments->payload < at.transport + TCP_HEADER || segments->payload >= length ||
        segments->payload > SIM_OFFLOAD_HEADERS_MAX) {
        return false;
    }
    segments->count = DIV_ROUND_UP(length - segments->payload, segments->size);
    return true;
}

size_t sim_offload_make_segment(const SimSegments *segments, unsigned number, uint8_t *frame)
{
    size_t begin = segments->payload + number * segments->size;
    size_t length = MIN(segments->size, segments->length - begin);
    size_t end = segments->payload + length;
    size_t transport_length = end - segments->transport;
    uint8_t *ip = frame + segments->network;
    uint8_t *tcp = frame + segments->transport;
    uint64_t sum;

    memcpy(frame, segments->packet, segments->payload);
    memcpy(frame + segments->payload, segments->packet + begin, length);
    if (segments->ipv6) {
        stw_be_p(ip + 4, end - segments->network - IPV6_HEADER);
    } else {
        stw_be_p(ip + 2, end - segments->network);
        stw_be_p(ip + 4, lduw_be_p(ip + 4) + number);
        stw_he_p(ip + 10, 0);
        stw_he_p(ip + 10, fold(add_up(0, ip, (ip[0] & 15) * 4)));
    }
    stl_be_p(tcp + 4, ldl_be_p(tcp + 4) + number * segments->size);
    if (number > 0) {
        tcp[TCP_FLAGS] &= ~FLAG_CWR;
    }
    if (number + 1 < segments->count) {
        tcp[TCP_FLAGS] &= ~(FLAG_FIN | FLAG_PSH);
    }
    stw_he_p(tcp + TCP_CHECKSUM, 0);
    sum = add_pseudo_header(ip, segments->ipv6, PROTOCOL_TCP, transport_length);
    put_checksum(tcp + TCP_CHECKSUM, add_up(sum, tcp, transport_length));
    return end;
}
