/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TEST_RELAY_REQUEST_H
#define NS3_QEMU_TEST_RELAY_REQUEST_H

#include "ns3/byte-pieces.h"
#include "ns3/relay-protocol.h"

#include <vector>

/** What a RelayClient has asked for, as its relay reads it. */
struct RelayRequest
{
    /** @param message as the client's transport gets it */
    explicit RelayRequest(ns3qemu::Span<const ns3qemu::ByteSpan> message)
    {
        ns3qemu::PieceReader bytes(message);
        bytes.Read(reinterpret_cast<uint8_t*>(&header), sizeof(header));
        body.resize(bytes.GetLeft());
        bytes.Read(body.data(), body.size());
    }

    RelayHeader header{};
    std::vector<uint8_t> body;
};

#endif /* NS3_QEMU_TEST_RELAY_REQUEST_H */
