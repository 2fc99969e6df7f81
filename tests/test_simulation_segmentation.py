# SPDX-License-Identifier: GPL-2.0-only
"""Segmentation in the guest's stack: large packets inside, frames of the MTU's size on the link."""

from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import run_script

# A network in which nothing is lost and no window is full.
SCRIPT = """
IFLA_GSO_MAX_SEGS = 40
RTM_GETLINK = 18
for name, offload in ("usual", None), ("off", False):
    nodes, devices = point_to_point("100Mbps", "1ms")
    vms = []
    for i, address in enumerate((CLIENT, SERVER)):
        qemu = helper()
        if offload is not None:
            qemu.SetAttribute("SegmentationOffload", ns.BooleanValue(offload))
        vms.append(machine(qemu, nodes.Get(i), devices.Get(i), address))
    helper().EnablePcap(f"{name}.pcap", devices.Get(0), False, True)
    received = sink(nodes.Get(1))
    source(nodes.Get(0), limit=1_000_000)
    ns.Simulator.Stop(ns.Seconds(3))
    ns3_qemu.Run()
    index = struct.pack("=BxHiII", 0, 0, 2, 0, 0)
    link = attributes(netlink(vms[0], 0, RTM_GETLINK, 1, index)[16:])
    RESULT[name] = {
        "segments": struct.unpack("=I", link[IFLA_GSO_MAX_SEGS])[0],
        "received": received.GetTotalRx(),
    }
    ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("segmentation")


@pytest.fixture(scope="module")
def result(vm_image: Path, directory: Path) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, directory)
    assert done.status == 0, done.errors
    return done.result


def frames(path: Path) -> list[int]:
    with path.open("rb") as file:
        return [len(frame) for _, frame in dpkt.pcap.Reader(file)]


def test_the_stack_builds_large_packets_unless_told_otherwise(result: dict[str, Any]):
    assert result["usual"]["segments"] == 65535
    assert result["off"]["segments"] == 1


@pytest.mark.parametrize("name", ["usual", "off"])
def test_frames_on_the_link_are_no_larger_than_the_mtu(
    name: str, result: dict[str, Any], directory: Path
):
    assert result[name]["received"] == 1_000_000
    lengths = frames(directory / f"{name}.pcap")
    assert max(lengths) == 14 + 1500
    # 1448 bytes of payload each.
    assert lengths.count(1514) == 1_000_000 // 1448
