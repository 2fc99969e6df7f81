/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_APPLICATION_HELPER_H
#define NS3_QEMU_APPLICATION_HELPER_H

#include "ns3/application-helper.h"

#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Installs QemuApplications: programs that run in the guests of nodes.
 */
class QemuApplicationHelper : public ApplicationHelper
{
  public:
    /**
     * @param command the program and its arguments, see QemuApplication::SetCommand
     */
    explicit QemuApplicationHelper(const std::string& command);
};

} // namespace ns3

#endif /* NS3_QEMU_APPLICATION_HELPER_H */
