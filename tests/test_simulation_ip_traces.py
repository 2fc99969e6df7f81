# SPDX-License-Identifier: GPL-2.0-only
"""EnableAsciiIpv4 and EnablePcapIpv4 of QemuHelper, as InternetStackHelper has them."""

from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import run_script

SCRIPT = """
import cppyy

nodes, devices = point_to_point("10Mbps", "5ms")
stacks = helper(), ns.InternetStackHelper()
for node, stack in zip((nodes.Get(0), nodes.Get(1)), stacks):
    stack.Install(node)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), 9).ConvertTo()
qemu = stacks[0]
qemu.EnableAsciiIpv4All(ns.AsciiTraceHelper().CreateFileStream("all.tr"))
qemu.EnableAsciiIpv4("own", 0, 1, False)
qemu.EnablePcapIpv4("ip", nodes.Get(0).GetObject[ns.Ipv4](), 1, False)
RESULT["streams"] = qemu.AssignStreams(nodes, 5)
ns.UdpEchoServerHelper(9).Install(nodes.Get(1)).Start(ns.Seconds(0))
client = ns.UdpEchoClientHelper(there)
client.SetAttribute("MaxPackets", ns.UintegerValue(1))
client.SetAttribute("PacketSize", ns.UintegerValue(1000))
client.Install(nodes.Get(0)).Start(ns.Seconds(1))
ns.Simulator.Stop(ns.Seconds(2))
ns3_qemu.Run()
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def run(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("traces")
    done = run_script(SCRIPT, vm_image, place)
    assert done.status == 0, done.errors
    return place, done.result


def echo(lines: str) -> list[tuple[str, ...]]:
    """Return what is before the packet, of those that belong to the echo."""
    return [tuple(line.split()[:3]) for line in lines.splitlines() if "length: 1008" in line]


def test_one_stream_has_machines_and_native_nodes_with_their_contexts(run: Any) -> None:
    place, _ = run
    seen = echo((place / "all.tr").read_text())
    guest = "/NodeList/0/$ns3::Ipv4L3Protocol/"
    assert [line for line in seen if line[2].startswith(guest)] == [
        ("t", "1", f"{guest}Tx(1)"),
        ("r", "1.01166", f"{guest}Rx(1)"),
    ]
    native = "/NodeList/1/$ns3::Ipv4L3Protocol/"
    assert [line[0] for line in seen if line[2].startswith(native)] == ["r", "t"]


def test_a_file_of_one_interface_has_no_contexts(run: Any) -> None:
    place, _ = run
    (file,) = place.glob("own-*.tr")
    assert [line[0] for line in echo(file.read_text())] == ["t", "r"]
    assert "NodeList" not in file.read_text()


def test_a_capture_begins_with_the_ip_header(run: Any) -> None:
    place, result = run
    (file,) = place.glob("ip-*.pcap")
    with file.open("rb") as opened:
        packets = [dpkt.ip.IP(data) for _, data in dpkt.pcap.Reader(opened) if data[0] >> 4 == 4]
    assert [len(p.data.data) for p in packets if isinstance(p.data, dpkt.udp.UDP)] == [1000, 1000]
    assert result["streams"] == 0
