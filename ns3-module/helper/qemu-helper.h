/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_HELPER_H
#define NS3_QEMU_HELPER_H

#include "ns3/application.h"
#include "ns3/node-container.h"
#include "ns3/object-factory.h"
#include "ns3/trace-helper.h"

#include <set>
#include <string>
#include <vector>

namespace ns3
{

class VirtualMachine;

/**
 * @ingroup qemu
 * @brief Makes virtual machines the network stacks of nodes, as InternetStackHelper installs
 * ns-3's.
 *
 * EnablePcap captures Ethernet frames between the guest's stack and its NIC. It may be given a
 * machine's ordinary device or the QemuNetDevice that joins it; both mean the same file.
 */
class QemuHelper : public PcapHelperForDevice
{
  public:
    /**
     * @param image directory of the image that machines are started from
     */
    explicit QemuHelper(const std::string& image);
    ~QemuHelper() override;

    /**
     * Set an attribute of the machines to be installed.
     * @param name of ns3::VirtualMachine's attribute
     * @param value of it
     */
    void SetAttribute(const std::string& name, const AttributeValue& value);

    /** @param node gets a machine. It must not have one, nor ns-3's internet stack. */
    Ptr<VirtualMachine> Install(Ptr<Node> node) const;
    /** @param nodes get a machine each */
    std::vector<Ptr<VirtualMachine>> Install(const NodeContainer& nodes) const;

    /**
     * Write every change of a connection's state to a CSV file: t in s, cwnd and ssthresh in
     * segments, smoothed RTT in ms.
     * @param filename the file
     * @param source a QemuTcpSource, or an application on a node with ns3's own stack, whose first
     *        TCP socket is traced
     */
    static void EnableTcpInfo(const std::string& filename, Ptr<Application> source);

  private:
    void EnablePcapInternal(std::string prefix,
                            Ptr<NetDevice> device,
                            bool promiscuous,
                            bool explicitFilename) override;

    ObjectFactory m_factory;
    std::set<std::string> m_captures; // files that are being written
};

} // namespace ns3

#endif /* NS3_QEMU_HELPER_H */
