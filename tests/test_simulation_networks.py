# SPDX-License-Identifier: GPL-2.0-only
"""Machines and native nodes in one network; several simulations, one after another."""

import csv
from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import run_script
from vm_tools import EPOCH, SECOND, epoch

LIMIT = 300_000

# A machine sends to a native node.
TO_NATIVE = """
nodes, devices = point_to_point()
qemu = helper()
vm = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
native(nodes.Get(1), devices.Get(1), SERVER)
sending = source(nodes.Get(0), limit=300_000)
receiving = ns.PacketSinkHelper("ns3::TcpSocketFactory", endpoint("0.0.0.0")).Install(nodes.Get(1))
qemu.EnableTcpInfo("tcp-info.csv", sending)
qemu.EnablePcap("vm", devices.Get(0), False)
ns.PointToPointHelper().EnablePcap("ppp", devices.Get(0), False)
pids, progress = [], []
ns.Simulator.Stop(ns.Seconds(20))
ns3_qemu.Run(lambda t: (progress.append(t), pids.append(vm.GetPid())), interval=0)
RESULT["to native"] = {
    "received": receiving.Get(0).GetTotalRx(), "errno": sending.GetErrno(),
    "cwnd": sending.GetTcpInfo().cwnd, "files": sorted(os.listdir(".")),
    "progress": progress, "pid": pids[0], "alive": alive(pids[0]),
    "realtime": vm.GetRealtime().GetNanoSeconds(), "uptime": vm.GetUptime().GetNanoSeconds(),
    "now": ns.Simulator.Now().GetNanoSeconds(), "proc": str(vm.ReadFile("/proc/uptime")),
}
ns.Simulator.Destroy()
RESULT["to native"]["alive after"] = alive(pids[0])
"""

# A native node sends to a machine, over Ethernet, where they have to find each other by ARP.
FROM_NATIVE = """
nodes, devices = csma()
qemu = helper()
qemu.SetAttribute("Epoch", ns.TimeValue(ns.Seconds(1_000_000_000)))
vm = machine(qemu, nodes.Get(1), devices.Get(1), SERVER)
native(nodes.Get(0), devices.Get(0), CLIENT)
receiving = sink(nodes.Get(1))
bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", endpoint(SERVER))
bulk.SetAttribute("MaxBytes", ns.UintegerValue(300_000))
bulk.Install(nodes.Get(0)).Start(ns.Seconds(1))
qemu.EnablePcap("csma", devices.Get(1), False)
pids = []
ns.Simulator.Stop(ns.Seconds(20))
ns3_qemu.Run(lambda t: pids.append(vm.GetPid()))
RESULT["from native"] = {
    "received": receiving.GetTotalRx(), "connections": receiving.GetNConnections(),
    "alive": alive(pids[0]), "realtime": vm.GetRealtime().GetNanoSeconds(),
}
ns.Simulator.Destroy()
RESULT["from native"]["alive after"] = alive(pids[0])
"""

# Two machines, and a gap in which nothing happens.
GAP = """
nodes, devices = point_to_point()
qemu = helper()
vms = [machine(qemu, nodes.Get(i), devices.Get(i), address)
       for i, address in enumerate((CLIENT, SERVER))]
sending, receiving = source(nodes.Get(0), start="1000.123456789s", limit=50_000), sink(nodes.Get(1))
ns.Simulator.Stop(ns.Time("1010.987654321s"))
ns3_qemu.Run()
RESULT["gap"] = {
    "received": receiving.GetTotalRx(), "now": ns.Simulator.Now().GetNanoSeconds(),
    "clocks": [[vm.GetRealtime().GetNanoSeconds(), vm.GetUptime().GetNanoSeconds()] for vm in vms],
    "names": [str(vm.GetSysctl("kernel.hostname")) for vm in vms],
    "uuids": [str(vm.GetSysctl("kernel.random.uuid")) for vm in vms],
    "turns": [vm.GetTurns() for vm in vms],
    "devices": [nodes.Get(0).GetDevice(0).GetMtu(), vms[0].GetNNics()],
}
ns.Simulator.Destroy()
"""

HEAD = """
import os

# The dates are compared with what they are exactly.
ns.Config.SetDefault("ns3::VirtualMachine::EpochSpread", ns.TimeValue(ns.Time(0)))

def alive(pid):
    return Path(f"/proc/{pid}").exists()
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@pytest.fixture(scope="module")
def result(vm_image: Path, where: Path) -> dict[str, Any]:
    """Of three simulations in one process."""
    done = run_script(HEAD + TO_NATIVE + FROM_NATIVE + GAP + "finish()\n", vm_image, where)
    assert done.status == 0, done.errors
    return done.result


def frames(file: Path) -> list[tuple[float, bytes]]:
    with file.open("rb") as stream:
        return list(dpkt.pcap.Reader(stream))


def test_a_machine_sends_to_a_native_node(result: dict[str, Any]):
    assert result["to native"]["received"] == LIMIT
    assert result["to native"]["errno"] == 0


def test_a_native_node_sends_to_a_machine(result: dict[str, Any]):
    assert result["from native"]["received"] == LIMIT
    assert result["from native"]["connections"] == 1


def test_machines_run_until_the_simulation_is_destroyed(result: dict[str, Any]):
    for name in ("to native", "from native"):
        assert result[name]["alive"]
        assert not result[name]["alive after"]


def test_the_guests_clocks_show_simulated_time_at_the_end(result: dict[str, Any], vm_image: Path):
    end = result["to native"]
    assert epoch(vm_image) > EPOCH
    assert end["now"] == 20_000_000_000
    assert end["realtime"] == epoch(vm_image) + end["now"]
    assert end["uptime"] == 20_000_000_000 + end["now"]
    assert end["proc"].startswith("40.00 ")


def test_a_script_may_say_another_date(result: dict[str, Any]):
    assert result["from native"]["realtime"] == 1_000_000_020 * SECOND


def test_clocks_are_exact_after_a_gap_of_1000_s(result: dict[str, Any], vm_image: Path):
    end = result["gap"]
    assert end["now"] == 1_010_987_654_321
    expected = [epoch(vm_image) + end["now"], 20_000_000_000 + end["now"]]
    assert end["clocks"] == [expected, expected]
    assert end["received"] == 50_000


def test_machines_of_one_simulation_have_their_own_names_and_random_numbers(
    result: dict[str, Any],
):
    assert result["gap"]["names"] == ["node0", "node1"]
    assert len(set(result["gap"]["uuids"])) == 2


def test_an_idle_machine_costs_few_turns_for_each_simulated_second(result: dict[str, Any]):
    assert max(result["gap"]["turns"]) < 30 * 1011


def test_progress_is_reported_with_simulated_time_that_only_grows(result: dict[str, Any]):
    progress = result["to native"]["progress"]
    assert len(progress) > 100
    assert progress == sorted(progress)
    assert progress[-1] <= 20


def test_captures_and_tcp_info_are_named_as_ns_3_names_them(result: dict[str, Any]):
    assert {"vm-0-0.pcap", "ppp-0-0.pcap", "tcp-info.csv"} <= set(result["to native"]["files"])


def test_tcp_info_is_written_on_every_change(result: dict[str, Any], where: Path):
    rows = list(csv.DictReader((where / "tcp-info.csv").open()))
    assert list(rows[0]) == ["t", "cwnd_seg", "ssthresh_seg", "srtt_ms"]
    times = [float(row["t"]) for row in rows]
    # From when the connection is established, one round trip after the application's start.
    assert 1.0 < times[0] < 1.1
    assert times == sorted(times)
    assert int(rows[-1]["cwnd_seg"]) == result["to native"]["cwnd"]
    assert len({row["cwnd_seg"] for row in rows}) > 5


def test_a_machines_packets_are_as_long_on_the_link_as_a_native_nodes(
    result: dict[str, Any], where: Path
):
    """2 bytes of PPP before the very packet that the guest's stack gave to its NIC."""
    assert result
    inside, outside = frames(where / "vm-0-0.pcap"), frames(where / "ppp-0-0.pcap")
    packets = [dpkt.ethernet.Ethernet(frame) for _, frame in inside]
    ipv4 = [bytes(frame)[14 : 14 + frame.data.len] for frame in packets if frame.type == 0x0800]
    framed = [frame for _, frame in outside if frame[:2] == b"\x00\x21"]
    assert len(ipv4) > LIMIT // 1448
    assert sorted(b"\x00\x21" + packet for packet in ipv4) == sorted(framed)


def test_a_machine_sends_no_arp_on_a_point_to_point_link(result: dict[str, Any], where: Path):
    assert result
    assert not [f for _, f in frames(where / "vm-0-0.pcap") if f[12:14] == b"\x08\x06"]


def test_a_machine_resolves_addresses_by_arp_on_ethernet(result: dict[str, Any], where: Path):
    assert result
    arps = [
        dpkt.ethernet.Ethernet(frame).data.op
        for _, frame in frames(where / "csma-1-0.pcap")
        if frame[12:14] == b"\x08\x06"
    ]
    assert {dpkt.arp.ARP_OP_REQUEST, dpkt.arp.ARP_OP_REPLY} <= set(arps)
