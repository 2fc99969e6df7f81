/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_HELPER_H
#define NS3_QEMU_HELPER_H

#include "ns3/application.h"
#include "ns3/guest-stack-installer.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/node-container.h"
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
 * It is an InternetStackHelper, for helpers of topologies that take one (InstallStack of
 * PointToPointDumbbellHelper, PointToPointStarHelper, CsmaStarHelper ...), for EnablePcapIpv4 and
 * its like. What such a helper copies of it installs machines, with all settings of the time of the
 * copy.
 *
 * EnablePcap captures Ethernet frames between the guest's stack and its NIC. It may be given a
 * machine's ordinary device or the QemuNetDevice that joins it; both mean the same file.
 * EnablePcapIpv4, EnableAsciiIpv4 and those for IPv6 write what crosses between guest and NICs,
 * from the IP header on, as they do of ns-3's own stack. In a distributed simulation a file of a
 * node is written by the rank that simulates it.
 */
class QemuHelper : public InternetStackHelper, public PcapHelperForDevice
{
  public:
    /**
     * @param image what machines are started from: the name of an image ("debian:6.1", or what
     * `ns3-qemu image build --name` was given) or its directory. That it is not there is said when
     * machines are installed.
     */
    explicit QemuHelper(const std::string& image);
    ~QemuHelper() override;

    /** Forget what has been set of routing, IPv4 and IPv6. */
    void Reset();

    /**
     * Set an attribute of the machines to be installed.
     * @param name of ns3::VirtualMachine's attribute
     * @param value of it
     */
    void SetAttribute(const std::string& name, const AttributeValue& value);

    /**
     * What a node gets as routing protocol: its tables are carried into the guest. By default it is
     * that of InternetStackHelper: a list of static and global routing.
     * @param routing makes static or global routing, or lists of them
     */
    void SetRoutingHelper(const Ipv4RoutingHelper& routing);
    /** @param routing makes static routing, or lists of it (the default) */
    void SetRoutingHelper(const Ipv6RoutingHelper& routing);
    /** @param enable whether nodes get an Ipv4 object; the default is true */
    void SetIpv4StackInstall(bool enable);
    /** @param enable false: no Ipv6 object, and the guest has IPv6 disabled; the default is true */
    void SetIpv6StackInstall(bool enable);

    /**
     * Make a machine the network stack of a node.
     * @param node gets a machine, QemuIpv4 and QemuIpv6
     * @return the machine
     * @throw std::invalid_argument if the node has a machine or ns-3's internet stack
     */
    Ptr<VirtualMachine> Install(Ptr<Node> node) const;
    /** @param nodes get a machine each */
    std::vector<Ptr<VirtualMachine>> Install(const NodeContainer& nodes) const;
    /** @param name of the node, as ns3::Names has it */
    Ptr<VirtualMachine> Install(const std::string& name) const;
    /** All nodes that there are get a machine each. */
    std::vector<Ptr<VirtualMachine>> InstallAll() const;

    /**
     * There is nothing to assign: what a guest draws comes from its machine's seed, which follows
     * from RngSeed, RngRun and the node's id.
     * @param nodes whose stacks would use streams
     * @param stream the first number to use
     * @return how many streams have been used: none
     */
    int64_t AssignStreams(const NodeContainer& nodes, int64_t stream);

    /**
     * Write every change of a connection's state to a CSV file: t in s, cwnd and ssthresh in
     * segments, smoothed RTT in ms.
     * @param filename the file
     * @param source a QemuTcpSource, or any other application, of whose node the first TCP socket
     * is traced
     */
    static void EnableTcpInfo(const std::string& filename, Ptr<Application> source);

  private:
    void EnablePcapInternal(std::string prefix,
                            Ptr<NetDevice> device,
                            bool promiscuous,
                            bool explicitFilename) override;
    void EnablePcapIpv4Internal(std::string prefix,
                                Ptr<Ipv4> ipv4,
                                uint32_t interface,
                                bool explicitFilename) override;
    void EnablePcapIpv6Internal(std::string prefix,
                                Ptr<Ipv6> ipv6,
                                uint32_t interface,
                                bool explicitFilename) override;
    void EnableAsciiIpv4Internal(Ptr<OutputStreamWrapper> stream,
                                 std::string prefix,
                                 Ptr<Ipv4> ipv4,
                                 uint32_t interface,
                                 bool explicitFilename) override;
    void EnableAsciiIpv6Internal(Ptr<OutputStreamWrapper> stream,
                                 std::string prefix,
                                 Ptr<Ipv6> ipv6,
                                 uint32_t interface,
                                 bool explicitFilename) override;
    void UpdateBase();

    GuestStackInstaller m_installer;
    std::set<std::string> m_captures; // files that are being written
};

} // namespace ns3

#endif /* NS3_QEMU_HELPER_H */
