/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_APPLICATION_HELPER_H
#define NS3_QEMU_APPLICATION_HELPER_H

#include "ns3/application-container.h"
#include "ns3/node-container.h"
#include "ns3/object-factory.h"

#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Installs QemuApplications: programs that run in the guests of nodes.
 */
class QemuApplicationHelper
{
  public:
    /**
     * @param command the program and its arguments, see QemuApplication::SetCommand
     */
    explicit QemuApplicationHelper(const std::string& command);

    /**
     * Set an attribute of the applications to be installed.
     * @param name of ns3::QemuApplication's attribute
     * @param value of it
     */
    void SetAttribute(const std::string& name, const AttributeValue& value);

    /** @param nodes get an application each */
    ApplicationContainer Install(const NodeContainer& nodes) const;
    /** @param node gets an application */
    ApplicationContainer Install(Ptr<Node> node) const;
    /**
     * @param nodeName of the node, as ns3::Names has it
     * @throw std::invalid_argument if there is none of that name
     */
    ApplicationContainer Install(const std::string& nodeName) const;

  private:
    ObjectFactory m_factory;
};

} // namespace ns3

#endif /* NS3_QEMU_APPLICATION_HELPER_H */
