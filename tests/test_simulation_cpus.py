# SPDX-License-Identifier: GPL-2.0-only
"""Machines with several CPUs and queues in a simulation: an iperf3 of Debian's on each CPU."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

CPUS = 4
RATE = 40_000_000
SECOND = 1_000_000_000

SCRIPT = f"""
def simulate(name, parallel, rate):
    nodes, devices = point_to_point("{RATE // 1_000_000}Mbps", "2ms")
    qemu = helper()
    qemu.SetAttribute("Cpus", ns.UintegerValue({CPUS}))
    qemu.SetAttribute("Queues", ns.UintegerValue({CPUS}))
    qemu.SetAttribute("CpuRate", ns.DoubleValue(rate))
    qemu.SetAttribute("Parallel", ns.BooleanValue(parallel))
    machines = []
    for i, address in enumerate((CLIENT, SERVER)):
        machines.append(machine(qemu, nodes.Get(i), devices.Get(i), address))
        machines[i].GetNic(devices.Get(i)).SetAttribute("BackPressure", ns.BooleanValue(True))
        qemu.EnablePcap(f"{{name}}-{{i}}.pcap", devices.Get(i), False, True)
    heard = []
    ns3_qemu.trace(machines[1], "CpuCompute",
        lambda cpu, begin, end, n: heard.append((cpu, n)))
    on = [f"busybox taskset {{1 << cpu:x}} iperf3 -p {{5201 + cpu}}" for cpu in range({CPUS})]
    servers = [ns3_qemu.Program(nodes.Get(1), f"{{each}} -s -1", stop=1.8) for each in on]
    clients = [ns3_qemu.Program(nodes.Get(0), f"{{each}} -J -t 1 -c {{SERVER}}", start=0.3)
        for each in on]
    shown = [ns3_qemu.Program(nodes.Get(i), "busybox cat /proc/interrupts", start=1.7)
        for i in range(2)]
    ns.Simulator.Stop(ns.Seconds(2))
    ns3_qemu.Run()
    RESULT[name] = {{"codes": [client.exit_code for client in clients],
        "outputs": [client.output for client in clients],
        "servers": [server.output for server in servers],
        "interrupts": [program.output for program in shown],
        "busy": [[int(each.GetCpuBusyTime(cpu).GetNanoSeconds()) for cpu in range({CPUS})]
                 for each in machines], "heard": heard,
        "instructions": [int(each.GetInstructions()) for each in machines]}}
    ns.Simulator.Destroy()

simulate("first", False, 0)
simulate("again", True, 0)
simulate("timed", False, 1e9)
simulate("timed-again", True, 1e9)
finish()
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cpus")


@pytest.fixture(scope="module")
def result(programs_image: Path, where: Path) -> dict[str, Any]:
    done = run_script(SCRIPT, programs_image, where)
    assert done.status == 0, done.errors
    return done.result


@pytest.mark.parametrize("name", ["first", "timed"])
def test_four_connections_share_the_link(result: dict[str, Any], name: str):
    assert result[name]["codes"] == [0] * CPUS, result[name]["outputs"]
    ends = [json.loads(output)["end"] for output in result[name]["outputs"]]
    rates = [end["sum_received"]["bits_per_second"] for end in ends]
    assert all(rate > RATE / CPUS / 4 for rate in rates), rates
    assert 0.7 * RATE < sum(rates) < 1.1 * RATE


def interrupts(text: str, kind: str) -> list[int]:
    """Return how many interrupts each of a NIC's queues has had."""
    return [
        sum(int(word) for word in line.split()[1 : 1 + CPUS])
        for line in text.splitlines()
        if f"-{kind}." in line
    ]


@pytest.mark.parametrize("name", ["first", "timed"])
def test_all_queues_carry_traffic(result: dict[str, Any], name: str):
    for text in result[name]["interrupts"]:
        received = interrupts(text, "input")
        assert len(received) == CPUS
        assert all(count > 50 for count in received), received


def test_it_is_told_how_busy_each_cpu_was(result: dict[str, Any]):
    assert result["first"]["busy"] == [[0] * CPUS] * 2
    assert not result["first"]["heard"]
    timed = result["timed"]
    for cpu, busy in enumerate(timed["busy"][1]):
        assert 0 < busy < 2 * SECOND
        assert busy == sum(n for of, n in timed["heard"] if of == cpu)  # 1 ns each
    assert sum(timed["busy"][1]) < timed["instructions"][1]


@pytest.mark.parametrize("name", ["first", "timed"])
def test_it_is_the_same_to_the_byte_again_and_with_parallel_turns(
    result: dict[str, Any], where: Path, name: str
):
    again = {"first": "again", "timed": "timed-again"}[name]
    assert result[name] == result[again]
    for end in range(2):
        captures = [(where / f"{each}-{end}.pcap").read_bytes() for each in (name, again)]
        assert len(captures[0]) > RATE // 8 // 2
        assert len({hashlib.sha256(each).digest() for each in captures}) == 1
