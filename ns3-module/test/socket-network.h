/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the programs that test the sockets have in common. They are started with an image's
 * directory, as any C++ simulation is, and print "name=value" lines, which tests/test_simulation_
 * sockets.py and tests/test_simulation_applications.py look at.
 */
#ifndef NS3_QEMU_SOCKET_NETWORK_H
#define NS3_QEMU_SOCKET_NETWORK_H

#include "../helper/qemu-helper.h"
#include "../model/virtual-machine.h"

#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/csma-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"

#include <iostream>
#include <string>
#include <vector>

namespace ns3
{

/** Two machines and a native node on one Ethernet. */
struct SocketNetwork
{
    /** @param image the directory of an image */
    explicit SocketNetwork(const std::string& image)
    {
        nodes.Create(3);
        CsmaHelper csma;
        csma.SetChannelAttribute("DataRate", StringValue("100Mbps"));
        csma.SetChannelAttribute("Delay", StringValue("500us"));
        devices = csma.Install(nodes);
        QemuHelper qemu(image);
        for (uint32_t i = 0; i < 2; i++)
        {
            const auto machine = qemu.Install(nodes.Get(i));
            machine->AddAddress(devices.Get(i), Text(i) + "/24");
            machine->AddAddress(devices.Get(i), "fd00::" + std::to_string(i + 1) + "/64");
            machines.push_back(machine);
        }
        InternetStackHelper().Install(nodes.Get(NATIVE));
        Ipv4AddressHelper("10.0.0.0", "255.255.255.0", "0.0.0.3").Assign(devices.Get(NATIVE));
    }

    /** @return the address of a node */
    static std::string Text(uint32_t node)
    {
        return "10.0.0." + std::to_string(node + 1);
    }

    /** @return the address of a node, with a port */
    static InetSocketAddress At(uint32_t node, uint16_t port)
    {
        return {Ipv4Address(Text(node).c_str()), port};
    }

    static constexpr uint32_t NATIVE = 2;

    NodeContainer nodes;
    NetDeviceContainer devices;
    std::vector<Ptr<VirtualMachine>> machines;
};

/** Print one result. */
template <typename T>
void
Say(const std::string& name, const T& value)
{
    std::cout << name << "=" << value << std::endl;
}

} // namespace ns3

#endif /* NS3_QEMU_SOCKET_NETWORK_H */
