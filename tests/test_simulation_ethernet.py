# SPDX-License-Identifier: GPL-2.0-only
"""What real Ethernet NICs do: every frame that fits the wire, every address, and a link's speed."""

from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

# Two hosts on three cables and a line. The bridges over the first two cables would be a loop
# without STP, whose frames have a length instead of a type; all else is on the third cable.
SCRIPT = r"""
nodes = ns.NodeContainer(2)
segment = ns.CsmaHelper()
segment.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
cables = [segment.Install(nodes) for _ in range(3)]
slow = ns.PointToPointHelper()
slow.SetDeviceAttribute("DataRate", ns.StringValue("7Mbps"))
line = slow.Install(nodes)
trunk = slow.Install(nodes)
qemu = helper()
programs = {}


def run(name, node, script, start):
    command = ["/bin/sh", "-c", script]
    programs[name] = ns3_qemu.Program(nodes.Get(node), command, start=start, required=False)


def ping(name, to, size, start):
    run(name, 0, f"ping -c 1 -W 1 -M do -s {size} {to}", start)


for i in range(2):
    vm = qemu.Install(nodes.Get(i))
    for cable in cables:
        vm.GetNic(cable.Get(i))
    vm.AddAddress(cables[2].Get(i), f"10.0.0.{i + 1}/24")
    vm.AddAddress(line.Get(i), f"10.0.9.{i + 1}/24")
    vm.GetNic(trunk.Get(i)).SetAttribute("EthernetFrames", ns.BooleanValue(True))
    vm.AddAddress(trunk.Get(i), f"10.0.20.{i + 1}/24")
    vm.SetSysctl("net.ipv4.conf.all.arp_ignore", "1")
    run(f"bridge {i}", i, '''ip link add br0 type bridge stp_state 1
        for port in eth0 eth1; do ip link set $port master br0; ip link set $port up; done
        ip link set br0 up''', 1)
    run(f"states {i}", i, "cat /sys/class/net/eth[01]/brport/state", 34)
    run(f"vlan {i}", i, f'''ip link add link eth2 name eth2.10 type vlan id 10
        ip addr add 10.0.10.{i + 1}/24 dev eth2.10; ip link set eth2.10 up''', 1)
ping("untagged", "10.0.0.2", 1472, 2)
ping("tagged", "10.0.10.2", 1472, 3)
run("macvlan", 1, '''ip link add mv0 link eth2 type macvlan mode bridge
    ip addr add 10.0.1.2/24 dev mv0; ip link set mv0 up''', 4)
run("its peer", 0, "ip addr add 10.0.1.1/24 dev eth2", 4)
ping("to a macvlan", "10.0.1.2", 56, 5)
run("other address", 1, "ip link set eth2 address 02:00:00:00:12:34", 6)
run("forget", 0, "ip neigh flush dev eth2", 6)
ping("to another address", "10.0.0.2", 56, 7)
for i in range(2):
    run(f"trunk {i}", i, f'''ip link add link eth4 name eth4.7 type vlan id 7
        ip addr add 10.0.21.{i + 1}/24 dev eth4.7; ip link set eth4.7 up
        ip link add link eth2.10 name eth2.10.20 type vlan id 20
        ip addr add 10.0.22.{i + 1}/24 dev eth2.10.20; ip link set eth2.10.20 up''', 1)
wire = []
ns3_qemu.trace(trunk.Get(0), "PhyTxEnd", lambda packet: wire.append(packet.GetSize()))
ping("over the trunk", "10.0.20.2", 100, 3.5)
ping("tagged over the trunk", "10.0.21.2", 1472, 3.6)
ping("two tags", "10.0.22.2", 1464, 3.7)
ping("two tags beside a full MTU", "10.0.22.2", 1472, 3.8)
ping("over the line", "10.0.9.2", 56, 8)
run("arp over the line", 0, "ip link set eth3 arp on; ping -c 1 -W 1 10.0.9.3; true", 9)
speeds = "cat /sys/class/net/eth[23]/speed /sys/class/net/eth[23]/duplex"
run("speeds", 0, speeds, 2)
ns.Simulator.Stop(ns.Seconds(10))
ns3_qemu.Run()
line.Get(0).SetAttribute("DataRate", ns.StringValue("2500Mbps"))
run("new speeds", 0, speeds, 1)
ns.Simulator.Stop(ns.Seconds(25))
ns3_qemu.Run()
for name, program in programs.items():
    RESULT[name] = [program.exit_code, program.output.split()]
nic = nodes.Get(0).GetObject[ns.VirtualMachine]().GetNic(line.Get(0))
RESULT["wire"] = wire
RESULT["unsent"] = {str(reason): int(count) for reason, count in nic.GetUnsent()}
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Any:
    wanted = image.Image()
    for program in ("/bin/sh", "/usr/sbin/ip", "/usr/bin/ping", "/usr/bin/cat"):
        wanted.add(program)
    ended = run_script(SCRIPT, wanted.build(), tmp_path_factory.mktemp("simulation"))
    assert ended.status == 0, ended.errors
    return ended


@pytest.fixture(scope="module")
def result(ended: Any) -> dict[str, Any]:
    return ended.result


def test_bridges_hear_each_other_and_break_the_loop(result: dict[str, Any]):
    """IEEE 802.1D: of two ways between two bridges one port is blocked (4), three forward (3)."""
    states = result["states 0"][1] + result["states 1"][1]
    assert sorted(states) == ["3", "3", "3", "4"]


@pytest.mark.parametrize("name", ["untagged", "tagged", "tagged over the trunk", "two tags"])
def test_a_vlan_has_the_mtu_of_its_parent(result: dict[str, Any], name: str):
    assert result[name][0] == 0


@pytest.mark.parametrize("name", ["to a macvlan", "to another address", "over the line"])
def test_a_nic_hears_what_its_guest_gives_itself(result: dict[str, Any], name: str):
    assert result[name][0] == 0


def test_a_nic_says_its_links_speed_and_follows_it(result: dict[str, Any]):
    assert result["speeds"][1] == ["100", "7", "full", "full"]
    assert result["new speeds"][1] == ["100", "2500", "full", "full"]


def test_what_a_link_cannot_carry_is_counted_and_told_once(ended: Any):
    reason = "the EtherType 0x0806 is none for PPP"
    assert ended.result["unsent"][reason] >= 2
    told = [line for line in ended.errors.splitlines() if reason in line]
    assert len(told) == 1
    assert "use a CSMA link" in told[0]


def test_a_line_of_ethernet_frames_carries_arp(result: dict[str, Any]):
    """Each frame is as long on the line as on Ethernet, without FCS: header 14, ARP 28, tag 4."""
    assert result["over the trunk"][0] == 0
    assert 14 + 28 in result["wire"]
    assert 14 + 20 + 8 + 100 in result["wire"]
    assert 14 + 4 + 1500 in result["wire"]


def test_two_tags_beside_a_full_mtu_are_beyond_a_driver_and_told_once(ended: Any):
    assert ended.result["two tags beside a full MTU"][0] == 1
    told = [line for line in ended.errors.splitlines() if "driver's buffers" in line]
    assert len(told) == 1
    assert "an MTU of 1504" in told[0]
