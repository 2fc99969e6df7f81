/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-application-helper.h"

#include "ns3/application.h"
#include "ns3/names.h"
#include "ns3/node.h"
#include "ns3/string.h"

#include <stdexcept>

namespace ns3
{

QemuApplicationHelper::QemuApplicationHelper(const std::string& command)
    : m_factory("ns3::QemuApplication")
{
    SetAttribute("Command", StringValue(command));
}

void
QemuApplicationHelper::SetAttribute(const std::string& name, const AttributeValue& value)
{
    m_factory.Set(name, value);
}

ApplicationContainer
QemuApplicationHelper::Install(const NodeContainer& nodes) const
{
    ApplicationContainer applications;
    for (auto node = nodes.Begin(); node != nodes.End(); ++node)
    {
        applications.Add(Install(*node));
    }
    return applications;
}

ApplicationContainer
QemuApplicationHelper::Install(Ptr<Node> node) const
{
    auto application = m_factory.Create<Application>();
    node->AddApplication(application);
    return ApplicationContainer(application);
}

ApplicationContainer
QemuApplicationHelper::Install(const std::string& nodeName) const
{
    const auto node = Names::Find<Node>(nodeName);
    if (!node)
    {
        throw std::invalid_argument("no node has the name " + nodeName);
    }
    return Install(node);
}

} // namespace ns3
