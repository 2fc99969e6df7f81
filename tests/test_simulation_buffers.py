# SPDX-License-Identifier: GPL-2.0-only
"""Buffers of sockets that are larger than a guest's memory, as ns-3's examples ask for them."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

# As in ns-3's tcp-validation; Linux doubles it, and a guest has 96 MiB.
LARGE = 32_768_000

SCRIPT = f"""
for name in ("SndBufSize", "RcvBufSize"):
    ns.Config.SetDefault("ns3::TcpSocket::" + name, ns.UintegerValue({LARGE}))
nodes, devices = point_to_point("10Mbps", "5ms")
qemu = ns3_qemu.QemuHelper(directory=IMAGE)
qemu.Install(nodes)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), 80).ConvertTo()
bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", there)
bulk.SetAttribute("MaxBytes", ns.UintegerValue(0))
bulk.Install(nodes.Get(0)).Start(ns.Seconds(0.1))
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(1)).Get(0)
ns.Simulator.Stop(ns.Seconds(0.3))
ns3_qemu.Run()
RESULT["received"] = sink.GetTotalRx()
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def run(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("buffers"))
    assert done.status == 0, done.errors
    return done


def test_a_sender_that_fills_its_buffer_does_not_take_the_guests_memory(run: Any) -> None:
    assert run.result["received"] > 100_000
    assert "short of memory" not in run.errors


def test_what_a_guest_has_no_memory_for_is_told_once_for_each(run: Any) -> None:
    told = [line for line in run.errors.splitlines() if "has no memory for" in line]
    assert len(told) == 2
    assert f"of {LARGE} bytes" in told[0]
    assert "memory_mib" in told[0]
