/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_NETLINK_H
#define NS3_QEMU_GUEST_NETLINK_H

#include "relay-client.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * An rtnetlink socket of the guest, for many requests at a time: the guest's kernel carries out all
 * of a batch in one call.
 */
class GuestNetlink
{
  public:
    /**
     * Put a request at the end of the batch.
     * @param type RTM_...
     * @param flags NLM_F_..., besides NLM_F_REQUEST
     * @param body what follows the header
     * @param what what it is for, in errors
     * @param tolerated an errno that is as good as success
     */
    void Queue(uint16_t type,
               uint16_t flags,
               const std::vector<uint8_t>& body,
               const std::string& what,
               int tolerated);

    /**
     * Carry out the batch.
     * @throw GuestError for the first request that the guest's kernel refuses; the others are
     *        carried out all the same
     */
    void Run(RelayClient& relay);

    /** Append to a request's body, aligned as rtnetlink wants it. */
    static void Append(std::vector<uint8_t>& body, const void* data, size_t length);
    /** Append an attribute. */
    static void AppendAttribute(std::vector<uint8_t>& body,
                                uint16_t type,
                                const void* data,
                                size_t length);
    /** Append an attribute that is a number. */
    static void AppendNumber(std::vector<uint8_t>& body, uint16_t type, uint32_t value);

  private:
    struct Pending
    {
        std::vector<uint8_t> message;
        std::string what;
        int tolerated;
    };

    void RunPart(RelayClient& relay, size_t begin, size_t end);
    /** @return whether it is the answer to the last request, which alone is always answered */
    bool TakeAnswer(const std::vector<uint8_t>& answer, size_t begin, size_t end);

    std::vector<Pending> m_batch;
    uint32_t m_handle{0};
    bool m_open{false};
    uint32_t m_sequence{0}; // of the batch's first request
    size_t m_failed{0};     // index of the first request that was refused
    int m_error{0};         // and why
};

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_NETLINK_H */
