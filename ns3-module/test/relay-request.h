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
    /** @param message as the client's transport gets it, with one request */
    explicit RelayRequest(ns3qemu::Span<const ns3qemu::ByteSpan> message)
    {
        ns3qemu::PieceReader bytes(message);
        Read(bytes);
    }

    /** @param bytes of requests; the first of them is read */
    explicit RelayRequest(ns3qemu::PieceReader& bytes)
    {
        Read(bytes);
    }

    RelayHeader header{};
    std::vector<uint8_t> body;

  private:
    void Read(ns3qemu::PieceReader& bytes)
    {
        bytes.Read(reinterpret_cast<uint8_t*>(&header), sizeof(header));
        body.resize(header.length);
        bytes.Read(body.data(), body.size());
    }
};

#endif /* NS3_QEMU_TEST_RELAY_REQUEST_H */
