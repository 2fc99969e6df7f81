# SPDX-License-Identifier: GPL-2.0-only
"""Machines whose computing takes time, in a simulation: when frames leave, and whose CPU it is."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

SOURCE = Path(__file__).parent / "data" / "cpu-time.c"
SECOND = 1_000_000_000
RATE = 700_000_001
ROUNDS = 20
DATAGRAM = 100 + 28 + 2  # bytes, with the headers of UDP, IP and PPP
DELAY = 100_000  # ns

NETWORK = """
ROUNDS = 20
def network(rate, parallel=False):
    nodes, devices = point_to_point("1Gbps", "100us")
    for i, address in enumerate((CLIENT, SERVER)):
        qemu = helper()
        qemu.SetAttribute("CpuRate", ns.DoubleValue(rate))
        qemu.SetAttribute("Parallel", ns.BooleanValue(parallel))
        machines.append(machine(qemu, nodes.Get(i), devices.Get(i), address))
        qemu.EnablePcap(f"host{i}.pcap", devices.Get(i), False, True)
    return nodes, devices

def now():
    return int(ns.Simulator.Now().GetNanoSeconds())

def follow(device, name):
    for source, direction in (("PhyTxBegin", "sent"), ("PhyRxEnd", "received")):
        log = RESULT.setdefault(f"{name} {direction}", [])
        ns3_qemu.trace(device, source,
            lambda packet, log=log: log.append((now(), int(packet.GetSize()))))

def exchange(nodes):
    server = ns3_qemu.Program(nodes.Get(1), ["cpu-time", "echo"], start=1)
    client = ns3_qemu.Program(nodes.Get(0), ["cpu-time", "ask", SERVER, str(ROUNDS)], start=1.1)
    sink(nodes.Get(1))
    source(nodes.Get(0), start="1.5s", limit=20_000)
    ns.Simulator.Stop(ns.Seconds(2))
    ns3_qemu.Run()
    assert client.exit_code == 0, client.errors
    RESULT["trips"] = [int(line) for line in client.output.split()]
    RESULT["instructions"] = [int(machine.GetInstructions()) for machine in machines]
    RESULT["busy"] = [int(machine.GetBusyTime().GetNanoSeconds()) for machine in machines]

machines = []
"""

FOLLOWED = f"""
nodes, devices = network({RATE})
for i, name in enumerate(("client", "server")):
    follow(devices.Get(i), name)
    log = RESULT.setdefault(name, [])
    ns3_qemu.trace(machines[i], "Compute", lambda begin, end, n, log=log:
        log.append((int(begin.GetNanoSeconds()), int(end.GetNanoSeconds()), n)))
exchange(nodes)
finish()
"""

PLAIN = """
nodes, devices = network({rate}, {parallel})
follow(devices.Get(0), "client")
exchange(nodes)
finish()
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("program") / "cpu-time"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", program, SOURCE], check=True)
    wanted = image.Image()
    wanted.add(program, to="/usr/bin/cpu-time")
    return wanted.build()


@pytest.fixture(scope="module")
def followed(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    where = tmp_path_factory.mktemp("followed")
    done = run_script(NETWORK + FOLLOWED, machine, where)
    assert done.status == 0, done.errors
    return {**done.result, "pcap": [(where / f"host{i}.pcap").read_bytes() for i in range(2)]}


def times(log: list[list[int]], size: int = DATAGRAM) -> list[int]:
    return [time for time, bytes_ in log if bytes_ == size]


def executed(log: list[list[int]], begin: int, end: int) -> int:
    """Return how many instructions a machine has executed in a time."""
    within = [part for part in log if begin <= part[0] and part[1] <= end]
    assert within[0][0] == begin
    assert within[-1][1] == end
    return sum(n for _, _, n in within)


def test_a_round_trip_is_that_of_the_links_and_of_the_instructions(followed: dict[str, Any]):
    asked, answered = times(followed["client sent"]), times(followed["client received"])
    came, left = times(followed["server received"]), times(followed["server sent"])
    assert len(asked) == len(answered) == len(came) == len(left) == ROUNDS
    link = DELAY + DATAGRAM * 8
    for i in range(ROUNDS):
        server = executed(followed["server"], came[i], left[i])
        assert came[i] - asked[i] == answered[i] - left[i] == link
        assert left[i] - came[i] == server * SECOND // RATE > 0
        assert answered[i] - asked[i] == 2 * link + server * SECOND // RATE
    for i in range(ROUNDS - 1):
        client = executed(followed["client"], answered[i], asked[i + 1])
        assert asked[i + 1] - answered[i] == client * SECOND // RATE > 0
    # What the program sees is a little more: its own instructions on both sides of that.
    seen = [trip - (b - a) for trip, a, b in zip(followed["trips"], asked, answered, strict=True)]
    assert all(0 < more < 200_000 for more in seen)


@pytest.mark.parametrize("parallel", [False, True])
def test_runs_have_the_same_bytes_whoever_looks_and_however_far_a_machine_computes_at_once(
    machine: Path, followed: dict[str, Any], tmp_path: Path, parallel: bool
):
    script = NETWORK + PLAIN.format(rate=RATE, parallel=parallel)
    done = run_script(script, machine, tmp_path)
    assert done.status == 0, done.errors
    assert [(tmp_path / f"host{i}.pcap").read_bytes() for i in range(2)] == followed["pcap"]
    assert {key: done.result[key] for key in ("trips", "instructions", "busy")} == {
        key: followed[key] for key in ("trips", "instructions", "busy")
    }


def test_a_very_fast_cpu_is_one_that_takes_no_time(machine: Path, tmp_path: Path):
    runs = []
    for name, rate in (("fast", 1e12), ("none", 0)):
        where = tmp_path / name
        where.mkdir()
        done = run_script(NETWORK + PLAIN.format(rate=rate, parallel=False), machine, where)
        assert done.status == 0, done.errors
        runs.append(done.result)
    fast, none = runs
    assert none["busy"] == [0, 0]
    assert 0 < fast["busy"][0] < 1_000_000
    for direction in ("client sent", "client received"):
        assert [size for _, size in fast[direction]] == [size for _, size in none[direction]]
        late = [a - b for (a, _), (b, _) in zip(fast[direction], none[direction], strict=True)]
        # By no more than what both machines have computed until then.
        assert all(0 <= ns <= sum(fast["busy"]) for ns in late)


SHARED = """
nodes = ns.NodeContainer(1)
qemu = helper()
qemu.SetAttribute("CpuRate", ns.DoubleValue(1e8))
vm = qemu.Install(nodes.Get(0))
programs = [ns3_qemu.Program(nodes.Get(0), ["cpu-time", "burn", "400"], start=1) for _ in range(2)]
ns.Simulator.Stop(ns.Seconds(2))
ns3_qemu.Run()
RESULT["had"] = [int(program.output) for program in programs]
RESULT["busy"] = vm.GetBusyTime().GetSeconds()
finish()
"""


def test_two_programs_share_a_cpu(machine: Path, tmp_path: Path):
    done = run_script(SHARED, machine, tmp_path)
    assert done.status == 0, done.errors
    tick = 4_000_000
    assert done.result["had"] == pytest.approx([200_000_000] * 2, abs=tick)
    assert 0.4 < done.result["busy"] < 0.45


SCENARIO = """
import rich.console
from ns3_qemu import runner, scenario

asked = scenario.read(pathlib.Path({file!r}), ["hosts.cpu_rate=5e7", "duration=2s"])
console = rich.console.Console(file=open("shown", "w"), width=200)
ran = runner.run(asked, pathlib.Path("out"), console)
RESULT["busy"] = ran.results.summary.details.run["cpu_busy"]
finish()
"""


def test_a_scenario_says_how_busy_each_cpu_was(vm_image: Path, tmp_path: Path):
    file = Path(__file__).parents[1] / "validation/scenarios/A1_q20_sack.toml"
    done = run_script("import pathlib" + SCENARIO.format(file=str(file)), vm_image, tmp_path)
    assert done.status == 0, done.errors
    for host in ("sender", "receiver"):
        shares = done.result["busy"][host]
        assert len(shares) == 3
        # Nearly idle before the connection begins.
        assert 0 < shares[0] < shares[2] < 1
    assert "CPU busy" in (tmp_path / "shown").read_text()


REFUSED = """
qemu = helper()
qemu.SetAttribute("CpuRate", ns.DoubleValue(float("{rate}")))
nodes = ns.NodeContainer(1)
qemu.Install(nodes.Get(0))
ns.Simulator.Stop(ns.Seconds(1))
try:
    ns3_qemu.Run()
except ns3_qemu.VmError as error:
    RESULT["error"] = str(error)
finish()
"""


@pytest.mark.parametrize("rate", ["-1e9", "nan", "1e13"])
def test_a_rate_that_no_cpu_has_is_refused(vm_image: Path, tmp_path: Path, rate: str):
    error = run_script(REFUSED.format(rate=rate), vm_image, tmp_path).result["error"]
    assert "CpuRate is " in error
    assert "give it 1e6 to 1e12 instructions per second, or 0 for a CPU that takes no time" in error
