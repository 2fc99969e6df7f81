# SPDX-License-Identifier: GPL-2.0-only
"""A full device queue, without and with back-pressure: who drops."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SENT = 400

SCRIPT = """
from ns3_qemu import guest

SENT = 400
nodes = ns.NodeContainer()
nodes.Create(2)
mobility = ns.MobilityHelper()
mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
mobility.Install(nodes)
ppp = ns.PointToPointHelper()
ppp.SetDeviceAttribute("DataRate", ns.StringValue("10Mbps"))
ppp.SetChannelAttribute("Delay", ns.StringValue("5ms"))
ppp.SetQueue("ns3::DropTailQueue", "MaxSize", ns.QueueSizeValue(ns.QueueSize("5p")))
cable = ppp.Install(nodes)
ns.Config.SetDefault("ns3::WifiMacQueue::MaxSize", ns.QueueSizeValue(ns.QueueSize("5p")))
phy = ns.YansWifiPhyHelper()
phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
mac = ns.WifiMacHelper()
mac.SetType("ns3::AdhocWifiMac")
wifi = ns.WifiHelper()
wifi.SetStandard(ns.WIFI_STANDARD_80211b)
wifi.SetRemoteStationManager(
    "ns3::ConstantRateWifiManager", "DataMode", ns.StringValue("DsssRate2Mbps"))
radio = wifi.Install(phy, mac, nodes)

ns.InternetStackHelper().Install(nodes.Get(1))
addresses = ns.Ipv4AddressHelper()
for network, devices in ((0, cable), (1, radio)):
    base = ns.Ipv4Address(f"10.0.{network}.0")
    addresses.SetBase(base, ns.Ipv4Mask("255.255.255.0"), ns.Ipv4Address("0.0.0.2"))
    addresses.Assign(ns.NetDeviceContainer(devices.Get(1)))
vm = helper().Install(nodes.Get(0))
vm.AddAddress(cable.Get(0), "10.0.0.1/24")
vm.AddAddress(radio.Get(0), "10.0.1.1/24")
nics = [vm.GetNic(cable.Get(0)), vm.GetNic(radio.Get(0))]
for nic in nics:
    nic.SetAttribute("TxRing", ns.UintegerValue(32))
server = ns.UdpServerHelper(PORT).Install(nodes.Get(1)).Get(0)

def run_for(seconds):
    ns.Simulator.Stop(ns.Seconds(seconds))
    ns3_qemu.Run()

def drops(network):
    (queue,) = (one for one in guest.qdiscs(vm) if one.interface == f"eth{network}")
    return queue.drops

def measure(name, network):
    '''Send more than the link can take, 16 Mbit/s for 0.2 s.'''
    received, dropped = server.GetReceived(), drops(network)
    client = ns.UdpClientHelper(ns.Address(ns.Ipv4Address(f"10.0.{network}.2").ConvertTo()), PORT)
    client.SetAttribute("MaxPackets", ns.UintegerValue(SENT))
    client.SetAttribute("Interval", ns.TimeValue(ns.MicroSeconds(500)))
    client.SetAttribute("PacketSize", ns.UintegerValue(1000))
    client.Install(nodes.Get(0))
    run_for(4)
    RESULT[name] = {
        "received": server.GetReceived() - received,
        "guest": drops(network) - dropped,
    }

for network in (0, 1):
    run_for(1)
    guest.set_qdisc(vm, f"eth{network}", "pfifo", limit=10)
for name, pressure in (("off", False), ("on", True)):
    for nic in nics:
        nic.SetAttribute("BackPressure", ns.BooleanValue(pressure))
    measure(f"cable, {name}", 0)
    measure(f"radio, {name}", 1)
finish()
"""


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("pressure"))
    assert done.status == 0, done.errors
    return done.result


@pytest.mark.parametrize("where", ["cable", "radio"])
def test_without_back_pressure_the_guest_drops_nothing_and_the_device_does(
    result: dict[str, Any], where: str
):
    off = result[f"{where}, off"]
    assert off["guest"] == 0
    assert off["received"] < SENT


@pytest.mark.parametrize("where", ["cable", "radio"])
def test_with_back_pressure_the_guests_queueing_discipline_drops_and_the_device_nothing(
    result: dict[str, Any], where: str
):
    on = result[f"{where}, on"]
    assert on["guest"] > 0
    assert on["received"] + on["guest"] == SENT
