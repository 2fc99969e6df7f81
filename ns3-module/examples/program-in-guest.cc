/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Programs in guests: by default Debian's iperf3, over a link of 10 Mbit/s. The image has it if it
 * was built by
 *
 *     ns3-qemu image build --add /usr/bin/iperf3 --name iperf3
 */
#include "ns3/core-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/qemu-module.h"

#include <iostream>

using namespace ns3;

int
main(int argc, char* argv[])
{
    std::string image = "iperf3";
    std::string serverCommand = "iperf3 --server --one-off";
    std::string clientCommand = "iperf3 --time 3 --client 10.0.0.2";
    double duration = 10;
    CommandLine cmd(__FILE__);
    cmd.Usage("Two guests run a program each; what the client prints is shown with its time.\n"
              "Build the image by: ns3-qemu image build --add /usr/bin/iperf3 --name iperf3");
    cmd.AddValue("image", "Name or directory of an image that has the programs", image);
    cmd.AddValue("server", "The command of host 10.0.0.2, from 0 s on", serverCommand);
    cmd.AddValue("client", "The command of host 10.0.0.1, from 1 s on", clientCommand);
    cmd.AddValue("duration", "Of the simulation, s", duration);
    cmd.Parse(argc, argv);

    NodeContainer nodes(2);
    PointToPointHelper link;
    link.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
    link.SetChannelAttribute("Delay", StringValue("5ms"));
    auto devices = link.Install(nodes);

    QemuHelper qemu(image);
    qemu.Install(nodes.Get(0))->AddAddress(devices.Get(0), "10.0.0.1/24");
    qemu.Install(nodes.Get(1))->AddAddress(devices.Get(1), "10.0.0.2/24");

    QemuApplicationHelper(serverCommand).Install(nodes.Get(1)).Start(Seconds(0));
    auto started = QemuApplicationHelper(clientCommand).Install(nodes.Get(0));
    started.Start(Seconds(1));
    auto client = DynamicCast<QemuApplication>(started.Get(0));
    client->OnOutput([](const std::string& line, int) {
        std::cout << Simulator::Now().GetSeconds() << " s: " << line << std::endl;
    });

    Simulator::Stop(Seconds(duration));
    Simulator::Run();
    const int code = client->GetExitCode();
    std::cout << "exit code " << code << std::endl;
    Simulator::Destroy();
    return code == 0 ? 0 : 1;
}
