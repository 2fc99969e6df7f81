/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-application-helper.h"

#include "ns3/string.h"

namespace ns3
{

QemuApplicationHelper::QemuApplicationHelper(const std::string& command)
    : ApplicationHelper("ns3::QemuApplication")
{
    SetAttribute("Command", StringValue(command));
}

} // namespace ns3
