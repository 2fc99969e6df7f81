# SPDX-License-Identifier: GPL-2.0-only
"""Functions at simulated times and as trace sinks, and what becomes of their exceptions."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
import traceback
nodes, devices = point_to_point("10Mbps", "5ms")
helper().Install(nodes)
addresses = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = ns.InetSocketAddress(addresses.Assign(devices).GetAddress(1), 5000).ConvertTo()
bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", there)
bulk.SetAttribute("MaxBytes", ns.UintegerValue(100_000))
bulk.Install(nodes.Get(0)).Start(ns.Seconds(1))
sink = ns.PacketSinkHelper("ns3::TcpSocketFactory", there).Install(nodes.Get(1)).Get(0)


def now():
    return ns.Simulator.Now().GetSeconds()


windows, states, received, calls = [], [], [], []
SOCKET = "/NodeList/0/$ns3::TcpL4Protocol/SocketList/*"


def follow():
    ns3_qemu.trace(SOCKET, "CongestionWindow", lambda *values: windows.append(values))
    ns3_qemu.trace(SOCKET + "/", "CongState", lambda path, old, new: states.append((old, new)))
    ns3_qemu.trace(SOCKET, "RTT", lambda path, old, new: calls.append(new))


ns3_qemu.trace(sink, "Rx", lambda packet, sender: received.append((packet, sender)))
ns3_qemu.at(1.001, follow)
said = []
ns3_qemu.at("1002ms", lambda *values: said.append((now(), *values)), 1, "two")
cancelled = ns3_qemu.at(ns.Seconds(1.1), said.append, "cancelled")
ns3_qemu.at(1.05, cancelled.cancel)


def fail():
    raise KeyError("on purpose")


def fail_when_told(packet):
    if len(RESULT["ends"]) == 1:
        raise RuntimeError("in a sink")


ns3_qemu.at(1.06, fail)
ns3_qemu.at(1.06, said.append, "after")
ns3_qemu.at(1.07, lambda: ns3_qemu.trace(devices.Get(0), "MacTx", fail_when_told))
ns.Simulator.Stop(ns.Seconds(3))
RESULT["ends"] = []
for _ in range(3):
    try:
        ns3_qemu.Run()
        RESULT["ends"].append(["", now()])
    except (KeyError, RuntimeError):
        RESULT["ends"].append([traceback.format_exc(), now()])
RESULT["said"] = said
RESULT["windows"] = windows
RESULT["states"] = states
RESULT["rtt"] = [call.GetSeconds() for call in calls]
RESULT["received"] = [sum(packet.GetSize() for packet, _ in received), sink.GetTotalRx()]
sender = ns.InetSocketAddress.ConvertFrom(received[0][1])
RESULT["sender"] = str(sender.GetIpv4())


def refusal(function, *values):
    try:
        function(*values)
    except ValueError as error:
        return str(error)


RESULT["refused"] = [
    refusal(ns3_qemu.at, 0.5, print),
    refusal(ns3_qemu.at, "soon", print),
    refusal(ns3_qemu.trace, sink, "Nothing", print),
    refusal(ns3_qemu.trace, "/NodeList/7", "MacTx", print),
]
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("callbacks"))
    assert done.status == 0, done.errors
    return done.result


def test_a_function_is_called_at_its_time(result: dict[str, Any]):
    assert result["said"] == [[1.002, 1, "two"], "after"]


def test_a_sink_by_path_gets_the_path_and_the_values(result: dict[str, Any]):
    paths = {path for path, _, _ in result["windows"]}
    assert paths == {"/NodeList/0/$ns3::TcpL4Protocol/SocketList/0/CongestionWindow"}
    values = [(old, new) for _, old, new in result["windows"]]
    assert len(values) > 10
    assert all(before[1] == after[0] for before, after in pairwise(values))
    assert all(0.009 < rtt < 1 for rtt in result["rtt"])


def test_a_sink_of_an_object_gets_what_may_be_kept(result: dict[str, Any]):
    received, total = result["received"]
    assert received == total == 100_000
    assert result["sender"] == "10.0.0.1"


def test_an_exception_ends_the_run_with_its_traceback(result: dict[str, Any]):
    (first, at_first), (second, at_second), _ = result["ends"]
    assert "KeyError: 'on purpose'" in first
    assert "in fail" in first
    assert at_first == 1.06
    assert "RuntimeError: in a sink" in second
    assert "in fail_when_told" in second
    assert 1.07 < at_second < 1.2


def test_a_run_that_has_been_stopped_goes_on(result: dict[str, Any]):
    assert result["ends"][2][1] == 3


def test_what_cannot_be_is_told(result: dict[str, Any]):
    over, no_time, no_source, no_match = result["refused"]
    assert "is over" in over
    assert "'soon'" in no_time
    assert "RxWithAddresses" in no_source
    assert "ns3_qemu.at" in no_match
