# SPDX-License-Identifier: GPL-2.0-only
"""A guest has the limits of a host of a usual size, whatever memory it has itself."""

import re
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

# A small machine and one that really has 2 GiB, both as a host of 2 GiB; and a small one as usual.
LIMITS = """
import os
turns = []
NAMES = [
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.tcp_mem", "net.ipv4.udp_mem",
    "net.ipv4.tcp_max_orphans", "net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.inet_peer_threshold", "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_expect_max", "kernel.threads-max", "user.max_net_namespaces",
    "user.max_user_namespaces", "fs.file-max", "fs.inotify.max_user_watches",
    "fs.fanotify.max_user_marks", "net.sctp.sctp_mem", "net.sctp.sctp_rmem", "net.sctp.sctp_wmem",
]
for name, directory, memory in [
    ("large", os.environ["LARGE_IMAGE"], 0),
    ("derived", IMAGE, 2 << 30),
    ("usual", IMAGE, None),
    ("own", IMAGE, 0),
]:
    node = ns.CreateObject[ns.Node]()
    qemu = ns3_qemu.QemuHelper(directory=directory)
    if memory is not None:
        qemu.SetAttribute("HostMemory", ns.UintegerValue(memory))
    vm = qemu.Install(node)
    if name == "usual":
        vm.SetSysctl("net.ipv4.tcp_wmem", "4096 16384 1000000")
    ns3_qemu.Program(node, "modprobe -a nf_conntrack sctp", start=0.5)
    if name == "usual":
        ns3_qemu.at(ns.NanoSeconds(1), lambda vm=vm: turns.append(int(vm.GetTurns())))
    RESULT[name] = lambda vm=vm: {key: str(vm.GetSysctl(key)).split() for key in NAMES}
ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()
RESULT.update({name: read() for name, read in RESULT.items()})
RESULT["turns"] = turns
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def limits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        patch.setenv("LARGE_IMAGE", str(image.Image(memory_mib=2048).build()))
        done = run_script(LIMITS, image.Image().build(), tmp_path_factory.mktemp("limits"))
    assert done.status == 0, done.errors
    return done.result


def test_a_small_guest_has_the_limits_that_a_kernel_derives_from_real_memory(limits: Any):
    derived, large = limits["derived"], limits["large"]
    assert (
        derived["net.ipv4.tcp_rmem"] == large["net.ipv4.tcp_rmem"] == ["4096", "131072", "6291456"]
    )
    assert derived.keys() == large.keys()
    for name, values in large.items():
        assert [int(value) for value in derived[name]] == pytest.approx(
            # SCTP computes when it is loaded: what the initramfs took is free by then.
            [int(value) for value in values],
            rel=0.01 if "sctp" in name else 0.005,
        ), name


def test_a_guest_is_a_host_of_8_gib_unless_told_otherwise(limits: Any):
    usual = limits["usual"]
    assert usual["net.ipv4.tcp_rmem"] == ["4096", "131072", "6291456"]
    assert usual["net.ipv4.tcp_max_orphans"] == ["32768"]
    # Of modules that are loaded later.
    assert usual["net.netfilter.nf_conntrack_max"] == ["262144"]
    assert usual["net.sctp.sctp_rmem"] == ["4096", "865500", "4194304"]


def test_what_a_script_says_has_the_last_word(limits: Any):
    assert limits["usual"]["net.ipv4.tcp_wmem"] == ["4096", "16384", "1000000"]


def test_with_0_its_own_memory_counts(limits: Any):
    assert 131072 < int(limits["own"]["net.ipv4.tcp_rmem"][2]) < 1_000_000
    assert int(limits["own"]["kernel.threads-max"][0]) < 1000


def test_all_of_it_takes_a_machine_few_turns(limits: Any):
    assert limits["turns"] <= [10]  # there are some 60 requests


def test_less_memory_than_any_host_has_is_refused(vm_image: Path, tmp_path: Path):
    done = run_script(
        """
        qemu = helper()
        qemu.SetAttribute("HostMemory", ns.UintegerValue(8192))  # MiB
        qemu.Install(ns.CreateObject[ns.Node]())
        ns3_qemu.Run()
        """,
        vm_image,
        tmp_path,
    )
    assert "VM 'node0': HostMemory is 8192 bytes; give the host at least 64 MiB" in done.errors


LONG_LINK = """
nodes = ns.NodeContainer(2)
link = ns.PointToPointHelper()
link.SetDeviceAttribute("DataRate", ns.StringValue(RATE))
link.SetChannelAttribute("Delay", ns.StringValue(DELAY))
link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue("4000p"))
devices = link.Install(nodes)
for i, address in enumerate((CLIENT, SERVER)):
    machine(helper(), nodes.Get(i), devices.Get(i), address)
received = sink(nodes.Get(1))
source(nodes.Get(0), start="0.1s")
total = []
for stop in STOPS:
    ns.Simulator.Stop(ns.Seconds(stop) - ns.Simulator.Now())
    ns3_qemu.Run()
    total.append(received.GetTotalRx())
parts = zip(STOPS, STOPS[1:], total, total[1:])
RESULT["mbps"] = [(after - before) * 8e-6 / (end - begin) for begin, end, before, after in parts]
limits = nodes.Get(1).GetObject[ns.VirtualMachine]().GetSysctl("net.ipv4.tcp_rmem")
RESULT["buffer"] = int(str(limits).split()[2])
ns.Simulator.Destroy()
finish()
"""


def long_link(
    rate: str, delay: str, stops: tuple[float, ...], vm_image: Path, directory: Path
) -> dict[str, Any]:
    """Return what one connection carries between times, in Mbit/s, and the receiver's buffer."""
    values = f"RATE, DELAY, STOPS = {rate!r}, {delay!r}, {stops!r}\n"
    done = run_script(values + LONG_LINK, vm_image, directory)
    assert done.status == 0, done.errors
    return done.result


def test_one_connection_fills_a_long_fast_link(vm_image: Path, tmp_path: Path):
    """1 Gbit/s and 20 ms there and back: 2.5 MB are on their way, and the buffers hold more.

    A packet of 1500 bytes takes 1502 on this link and carries 1448 of payload.
    """
    result = long_link("1Gbps", "10ms", (0.5, 0.6), vm_image, tmp_path)
    assert result["mbps"][0] == pytest.approx(1000 * 1448 / 1502, abs=1)


def test_a_satellite_link_begins_as_the_manual_says(vm_image: Path, tmp_path: Path):
    """50 Mbit/s and 600 ms there and back.

    Slow start doubles the window each round trip, from 10 segments on, until the receiver's
    buffer is the limit: 3 of 6 MiB, which are 41.9 Mbit/s.
    """
    result = long_link("50Mbps", "300ms", (2, 4, 6), vm_image, tmp_path)
    manual = (Path(__file__).parent.parent / "ns3-module/doc/qemu.rst").read_text()
    rows = [rf"^{row} +\S+ +(\S+) +\S+$" for row in (r"2 to 4 \(slow start\)", "4 to 6")]
    told = [float(re.findall(row, manual, re.MULTILINE)[0]) for row in rows]  # of 6.1
    assert result["mbps"] == pytest.approx(told, abs=0.05)
    assert result["buffer"] / 2 * 8 / 0.6 == pytest.approx(41.9e6, abs=0.05e6)


def test_a_guest_that_is_out_of_memory_is_named_once(tmp_path: Path):
    wanted = image.Image(memory_mib=96)
    wanted.add("/bin/busybox")
    done = run_script(
        """
        node = ns.CreateObject[ns.Node]()
        qemu = helper()
        qemu.SetAttribute("Name", ns.StringValue("small"))
        qemu.Install(node)
        for start in (1, 2):
            # Keeps all that it reads, which has no line ends.
            ns3_qemu.Program(node, "busybox tail /dev/zero", start=start)
        ns.Simulator.Stop(ns.Seconds(5))
        ns3_qemu.Run()
        ns.Simulator.Destroy()
        """,
        wanted.build(),
        tmp_path,
    )
    assert done.status == 0, done.errors
    assert done.errors.count("VM 'small' is short of memory at simulated time 1.") == 1
    assert done.errors.count("short of memory") == 1
    assert "It has 96 MiB: give its image more" in done.errors
    assert "Out of memory: Killed process" in done.errors
