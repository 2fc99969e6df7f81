/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Flows of a NIC with several queues. Two flows may share a place: then the later one has it, as in
 * a NIC whose table is full. Nothing in a frame can be trusted.
 */
#include "qemu/osdep.h"
#include "net/sim-flows.h"
#include "qemu/bswap.h"

enum {
    ETHERNET_HEADER = 14,
    TYPE_OFFSET = 12,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
};

static uint32_t hash(uint32_t value, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        value = (value ^ data[i]) * 16777619u; /* FNV-1a */
    }
    return value;
}

/* The same for both directions: the sum of what each end gives. */
static uint32_t hash_ends(const uint8_t *source, const uint8_t *destination, size_t size,
                          const uint8_t *ports)
{
    uint32_t from = hash(2166136261u, source, size);
    uint32_t to = hash(2166136261u, destination, size);

    return ports ? hash(from, ports, 2) + hash(to, ports + 2, 2) : from + to;
}

/* @return whether the frame is of a flow; its hash, in @sum */
static bool hash_of(const uint8_t *frame, size_t length, uint32_t *sum)
{
    const uint8_t *ip = frame + ETHERNET_HEADER;
    const uint8_t *ports = NULL;
    bool v6;
    size_t header;
    uint8_t protocol;

    if (length < ETHERNET_HEADER + IPV4_HEADER) {
        return false;
    }
    length -= ETHERNET_HEADER;
    v6 = lduw_be_p(frame + TYPE_OFFSET) == TYPE_IPV6;
    if (lduw_be_p(frame + TYPE_OFFSET) == TYPE_IPV4) {
        header = (ip[0] & 0xf) * 4;
        protocol = ip[9];
        if (lduw_be_p(ip + 6) & 0x3fff) {
            protocol = 0; /* a fragment: not all show their ports */
        }
    } else if (v6 && length >= IPV6_HEADER) {
        header = IPV6_HEADER;
        protocol = ip[6];
    } else {
        return false;
    }
    if ((protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP) && length >= header + 4) {
        ports = ip + header;
    }
    *sum = v6 ? hash_ends(ip + 8, ip + 24, 16, ports) : hash_ends(ip + 12, ip + 16, 4, ports);
    /* All of its bits have a part in the lower ones (the end of MurmurHash3). */
    *sum = (*sum ^ (*sum >> 16)) * 0x85ebca6bu;
    *sum = (*sum ^ (*sum >> 13)) * 0xc2b2ae35u;
    *sum ^= *sum >> 16;
    return true;
}

void sim_flows_note(SimFlows *flows, const uint8_t *frame, size_t length, unsigned queue)
{
    uint32_t sum;

    if (hash_of(frame, length, &sum)) {
        flows->queue[sum % SIM_FLOWS] = queue + 1;
    }
}

unsigned sim_flows_find(const SimFlows *flows, const uint8_t *frame, size_t length, unsigned queues)
{
    uint32_t sum;
    unsigned known;

    if (!hash_of(frame, length, &sum)) {
        return 0;
    }
    known = flows->queue[sum % SIM_FLOWS];
    return known && known <= queues ? known - 1 : ((uint64_t)sum * queues) >> 32;
}
