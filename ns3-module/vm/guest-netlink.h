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
 * A netlink socket of the guest: the simulator speaks netlink itself, the relay knows nothing of
 * it. One request at a time brings its whole answer; a batch of rtnetlink requests is carried out
 * in one call.
 *
 * The socket is opened when it is first needed. An exchange that was broken off leaves none of its
 * answers behind: the next one has a socket of its own.
 */
class GuestNetlink
{
  public:
    /** The most that the guest's kernel may answer one request with, in bytes. */
    static constexpr size_t ANSWER_MAX = 128 << 20;

    /** @param protocol NETLINK_ROUTE (0), ... */
    explicit GuestNetlink(uint32_t protocol = 0);

    /**
     * Make one request and take its whole answer.
     * @param relay of the guest
     * @param request one message, with its header. NLM_F_REQUEST and NLM_F_ACK are implied, and the
     *        sequence number is this class's own
     * @param what what it is for, in errors
     * @return the messages of the answer, one after the other, without the NLMSG_DONE or
     *         NLMSG_ERROR that ends it
     * @throw GuestError the error that the kernel answers with, or EPROTONOSUPPORT if it has no
     *        such protocol
     * @throw VmError if the answer is none, or longer than ANSWER_MAX
     * @throw std::invalid_argument if the request is not one whole message, or too long for one
     *        datagram
     */
    std::vector<uint8_t> Ask(RelayClient& relay,
                             const std::vector<uint8_t>& request,
                             const std::string& what);

    /**
     * The same, with a header made of these.
     * @param relay of the guest
     * @param type RTM_...
     * @param flags NLM_F_...
     * @param body what follows the header
     * @param what what it is for, in errors
     */
    std::vector<uint8_t> Ask(RelayClient& relay,
                             uint16_t type,
                             uint16_t flags,
                             const std::vector<uint8_t>& body,
                             const std::string& what);

    /**
     * Put an rtnetlink request at the end of the batch.
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
     * Carry out the batch. However that ends, the next one begins empty.
     * @throw GuestError for the first request that the guest's kernel refuses; the others are
     *        carried out all the same
     * @throw VmError if an answer is none
     */
    void Run(RelayClient& relay);

    /** Close the guest's socket, for which there is no more use. */
    void Close(RelayClient& relay);

    /** Append to a request's body, aligned as netlink wants it. */
    static void Append(std::vector<uint8_t>& body, const void* data, size_t length);
    /** Append an attribute. */
    static void AppendAttribute(std::vector<uint8_t>& body,
                                uint16_t type,
                                const void* data,
                                size_t length);
    /** Append an attribute that is a number. */
    static void AppendNumber(std::vector<uint8_t>& body, uint16_t type, uint32_t value);
    /**
     * Find an attribute.
     * @param message the first of these is looked at
     * @param fixed bytes between its header and its attributes
     * @param type of the attribute
     * @return the attribute's value; empty: it has none
     */
    static std::vector<uint8_t> FindAttribute(const std::vector<uint8_t>& message,
                                              size_t fixed,
                                              uint16_t type);
    /** Find one within an attribute that is made of such. @return its value; empty: it has none */
    static std::vector<uint8_t> FindNested(const std::vector<uint8_t>& attributes, uint16_t type);

  private:
    struct Pending
    {
        std::vector<uint8_t> message;
        std::string what;
        int tolerated;
    };

    /* The first request of a batch that was refused. */
    struct Refusal
    {
        size_t index{0};
        int error{0}; // 0: none
    };

    template <typename F>
    void Exchange(RelayClient& relay, F exchange);
    void Send(RelayClient& relay, const std::vector<uint8_t>& messages);
    std::vector<uint8_t> ReceivePart(RelayClient& relay);
    void RunPart(RelayClient& relay,
                 const std::vector<Pending>& batch,
                 size_t begin,
                 size_t end,
                 Refusal& refusal);

    uint32_t m_protocol;
    std::vector<Pending> m_batch;
    uint32_t m_handle{0};
    bool m_open{false};
    uint32_t m_sequence{1}; // of the next request
};

/**
 * Use a netlink socket of the guest for a while.
 * @param protocol NETLINK_ROUTE, ...
 * @param use gets the GuestNetlink, whose socket is closed after it
 */
template <typename F>
void
WithGuestNetlink(RelayClient& relay, uint32_t protocol, F use)
{
    GuestNetlink netlink(protocol);
    try
    {
        use(netlink);
    }
    catch (const GuestError&)
    {
        netlink.Close(relay);
        throw;
    }
    netlink.Close(relay);
}

/**
 * Pass one request on to the guest's kernel, by a socket of its own.
 * @see GuestNetlink::Ask
 */
std::vector<uint8_t> PassNetlink(RelayClient& relay,
                                 uint32_t protocol,
                                 const std::vector<uint8_t>& request);

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_NETLINK_H */
