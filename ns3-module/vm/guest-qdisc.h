/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_QDISC_H
#define NS3_QEMU_GUEST_QDISC_H

#include "relay-client.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * A queueing discipline of the guest's kernel, with those of its classes.
 */
struct GuestQdisc
{
    std::string kind;                 //!< as tc(8) has it: "fq_codel"; empty: the kernel's own
    std::vector<uint8_t> options;     //!< what TCA_OPTIONS holds; empty: none
    bool nested{false};               //!< whether those are attributes, not a structure
    uint32_t queueLength{0};          //!< the interface's, that it takes its limit from; 0: as is
    std::vector<GuestQdisc> children; //!< of its classes 1, 2, ...
};

/**
 * Give an interface a queueing discipline at its root, in place of what it has.
 * @param relay of the guest
 * @param interface the guest's ifindex
 * @param qdisc which
 * @throw GuestError what the kernel answers, with what to do if it has none such
 */
void SetGuestQdisc(RelayClient& relay, uint32_t interface, const GuestQdisc& qdisc);

/** Give an interface the kernel's default one again. */
void ResetGuestQdisc(RelayClient& relay, uint32_t interface);

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_QDISC_H */
