/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "application-check.h"

#include "ns3/application.h"

#include <array>
#include <stdexcept>
#include <string>
#include <utility>

namespace ns3
{

namespace
{

/* By name: the module does not depend on theirs. */
constexpr std::array<std::pair<const char*, const char*>, 1> UNFIT{{
    {"ns3::Radvd",
     "it asks the inside of ns3::Ipv6L3Protocol for its addresses. Run a program that sends router "
     "advertisements in the guest, as Debian's package radvd does"},
}};

} // namespace

void
CheckApplications(Ptr<const Node> node)
{
    for (uint32_t i = 0; i < node->GetNApplications(); i++)
    {
        const auto type = node->GetApplication(i)->GetInstanceTypeId().GetName();
        for (const auto& [unfit, advice] : UNFIT)
        {
            if (type == unfit)
            {
                throw std::invalid_argument("node " + std::to_string(node->GetId()) +
                                            " has a virtual machine, on which " + type +
                                            " cannot run: " + advice);
            }
        }
    }
}

} // namespace ns3
