# SPDX-License-Identifier: GPL-2.0-only
"""Frames that come faster than a timed machine takes them: its NIC loses what its ring has no room
for, as a real one does. What is run is the example.
"""

import runpy
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

EXAMPLE = Path(__file__).parents[1] / "ns3-module/examples/receive-overload.py"
UNTIL = 0.4

SCRIPT = """
import runpy

example = runpy.run_path({example!r})
counts = dict(came=0, taken=0, lost=0)

def count(device, source, name):
    def count_one(_packet):
        counts[name] += 1
    ns3_qemu.trace(device, source, count_one)

def watch(nic):
    RESULT["missed"] = nic
    count(nic.GetJoinedDevice(), "MacRx", "came")
    count(nic, "MacRx", "taken")
    count(nic, "PhyRxDrop", "lost")

point = example["receive"]({load}, {kernel!r}, str(IMAGE), until={until}, watch=watch)
missed = int(RESULT["missed"].GetRxMissed())
RESULT.update(point, **counts, missed=missed)
finish()
"""


@pytest.fixture(scope="module")
def machine() -> Path:
    made: Path = runpy.run_path(str(EXAMPLE))["make_image"]()
    return made


@pytest.fixture(scope="module")
def run(machine: Path, tmp_path_factory: pytest.TempPathFactory):
    def run(load: float, kernel: str) -> dict[str, Any]:
        script = SCRIPT.format(example=str(EXAMPLE), load=load, kernel=kernel, until=UNTIL)
        done = run_script(script, machine, tmp_path_factory.mktemp("overload"))
        assert done.status == 0, done.errors
        return done.result

    return run


def test_a_host_that_keeps_up_loses_nothing(run):
    point = run(2e3, "other")
    assert point["got"] == pytest.approx(2e3, rel=0.02)
    assert point["missed"] == point["lost"] == point["lost at the socket"] == 0
    assert 0 < point["busy"] < 1


def test_a_host_in_overload_loses_frames_at_its_nic_and_its_program_has_a_share(run):
    point = run(6e4, "other")
    assert point["busy"] == pytest.approx(1, abs=0.001)
    assert point["lost"] > 0
    # Each frame is in the ring, or lost, and known as that.
    assert point["came"] == point["taken"] + point["lost"]
    assert point["missed"] == point["lost"]
    # Polls have taken all that they may, and ksoftirqd does what is left, as a thread among others.
    assert point["time_squeeze"] > 0
    assert 0.2 < point["thread"] < 0.9
    assert point["got"] > 1e3


def test_a_host_that_always_receives_first_does_nothing_else(run):
    point = run(6e4, "fifo")
    assert point["thread"] > 0.95
    assert point["got"] < 100


E1000 = """
nodes, devices = point_to_point("100Mbps", "1ms")
qemu = helper()
qemu.SetAttribute("CpuRate", ns.DoubleValue(1e7))
vm = qemu.Install(nodes.Get(1))
vm.AddAddress(devices.Get(1), "10.0.0.2/24")
nic = vm.GetNic(devices.Get(1))
ns.InternetStackHelper().Install(nodes.Get(0))
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
addresses.Assign(ns.NetDeviceContainer(devices.Get(0)))
sender = ns.UdpClientHelper(ns.InetSocketAddress(ns.Ipv4Address("10.0.0.2"), 9).ConvertTo())
sender.SetAttribute("Interval", ns.TimeValue(ns.MicroSeconds(200)))
sender.SetAttribute("MaxPackets", ns.UintegerValue(3000))
sender.Install(nodes.Get(0)).Start(ns.Seconds(1))
counted = []

def look():
    of_guest = vm.ReadFile("/sys/class/net/eth0/statistics/rx_missed_errors")
    counted.append((int(nic.GetRxMissed()), int(str(of_guest))))

for when in (4.5, 9):
    ns3_qemu.at(when, look)
ns.Simulator.Stop(ns.Seconds(9.1))
ns3_qemu.Run()
RESULT.update(counted=counted)
finish()
"""


def test_an_e1000_counts_in_the_guest_what_it_has_lost(tmp_path: Path):
    """Its driver reads the NIC's counters each 2 s, and adds them up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        built = image.Image("debian:6.1,flavour=amd64", nic="e1000").build()
    done = run_script(E1000, built, tmp_path)
    assert done.status == 0, done.errors
    (missed, of_guest), later = done.result["counted"]
    assert missed > 1000
    assert of_guest == missed
    assert later == [missed, missed]
