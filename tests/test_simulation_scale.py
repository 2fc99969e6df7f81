# SPDX-License-Identifier: GPL-2.0-only
"""Many machines in one simulation: each is itself, and whatever ends it, nothing is left behind."""

import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dpkt
import pytest

from ns3_qemu.cache import Cache
from process_tools import watched
from simulation_tools import Ended, run_script

# Looks for what others may leave in the cache as well, and 64 machines want the memory.
pytestmark = pytest.mark.alone

PAIRS = 32
BYTES = 100_000
MARK = "NS3_QEMU_TEST_MARK"

# All pairs have the same addresses: what differs between machines, does so by their seeds.
PAIRS_SCRIPT = """
import os, signal

PAIRS, BYTES = {pairs}, {bytes}
qemu = helper()
machines, sources, sinks = [], [], []
for i in range(PAIRS):
    nodes, devices = point_to_point()
    for j, address in enumerate((CLIENT, SERVER)):
        machines.append(machine(qemu, nodes.Get(j), devices.Get(j), address))
        qemu.EnablePcap(f"{{i}}-{{j}}.pcap", devices.Get(j), False, True)
    sources.append(source(nodes.Get(0), start="100ms", limit=BYTES + i))
    sinks.append(sink(nodes.Get(1)))
ns.Simulator.Stop(ns.Seconds(1))
running = []
def progress(time):
    if time > 0.15 and not running:
        running.extend(machine.GetPid() for machine in machines)
        {interference}
"""
WHOLE_RUN = """
ns3_qemu.Run(progress, interval=0)
RESULT["running"] = running
RESULT["names"] = [str(machine.GetSysctl("kernel.hostname")) for machine in machines]
RESULT["received"] = [sink.GetTotalRx() for sink in sinks]
ns.Simulator.Destroy()
finish()
"""
INTERRUPTED_RUN = """
try:
    ns3_qemu.Run(progress, interval=0)
except KeyboardInterrupt:
    RESULT["interrupted"] = ns.Simulator.Now().GetSeconds()
RESULT["running"] = running
ns.Simulator.Destroy()
finish()
"""
KILLED_RUN = """
ns3_qemu.Run(progress, interval=0)
"""


def processes(mark: str) -> list[int]:
    """Return all processes that have the mark in their environment."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
        except OSError:
            continue  # it has ended, or is not ours
        if f"{MARK}={mark}".encode() in environment.split(b"\0"):
            found.append(int(directory.name))
    return found


@dataclass
class Watch:
    """What a simulation may leave behind: where it is looked for, and what was there before."""

    image: Path
    temporary: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    before: set[str] = field(default_factory=set)

    def files(self) -> set[str]:
        """Return what is in the directories that simulations of others may write to as well."""
        names = ("ns3", "qemu", "sim-link", "vm-")
        shared = [
            path for path in Path("/dev/shm").iterdir() if any(name in path.name for name in names)
        ]
        kept = [*(self.image / "snapshots").glob("*"), *(self.image / "snapshots").glob("*/*")]
        return {str(path) for path in (*shared, *kept, *(Cache().root / "work").glob("*"))}

    def left(self) -> list[str]:
        """Return the files that are there and were not before."""
        return [*sorted(self.files() - self.before), *map(str, self.temporary.iterdir())]


@pytest.fixture(scope="module")
def watch(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Have simulations started with a mark, and a temporary directory of their own.

    The image's saved machine has been made before, and its list of code.
    """
    from ns3_qemu._vm import Vm, read_image

    vm = Vm(
        read_image(str(vm_image)),
        nics=["02:00:00:00:00:01"],
        snapshots=str(vm_image / "snapshots"),
        warm_after=0,
    )
    vm.finish_boot()
    vm.end()
    watch = Watch(vm_image, tmp_path_factory.mktemp("temporary"))
    watch.before = watch.files()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, watch.mark)
        patch.setenv("TMPDIR", str(watch.temporary))
        yield watch


def run(
    how: str, watch: Watch, directory: Path, interference: str = "", pairs: int = PAIRS
) -> Ended:
    script = PAIRS_SCRIPT.format(pairs=pairs, bytes=BYTES, interference=interference or "pass")
    return run_script(script + how, watch.image, directory)


# --- a run to its end -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """What a capture at one end of a connection says."""

    address: bytes  # of the NIC
    port: int
    sequence: int  # the first
    data: bytes  # that the client has sent


def payload(segments: dict[int, bytes]) -> bytes:
    """Put a stream together of segments by their offset; they may overlap, but not differ."""
    stream = bytearray()
    for offset, data in sorted(segments.items()):
        assert offset <= len(stream)
        known = len(stream) - offset
        assert stream[offset : offset + len(data)] == data[:known]
        stream += data[known:]
    return bytes(stream)


def read(capture: Path, end: int) -> Side:
    address, port, sequence, first = b"", 0, 0, 0
    segments: dict[int, bytes] = {}
    with capture.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            ethernet = dpkt.ethernet.Ethernet(frame)
            packet = ethernet.data
            if not isinstance(packet, dpkt.ip.IP):
                continue
            from_client = packet.src[-1] == 1
            mine = from_client == (end == 0)
            tcp = packet.data
            if mine:
                address = ethernet.src
            if tcp.flags & dpkt.tcp.TH_SYN:
                if mine:
                    port, sequence = tcp.sport, tcp.seq
                if from_client:
                    first = tcp.seq
            elif from_client and tcp.data:
                segments[(tcp.seq - first - 1) % 2**32] = tcp.data
    return Side(address, port, sequence, payload(segments))


@dataclass(frozen=True)
class Whole:
    result: dict[str, Any]
    sides: list[tuple[Side, Side]]
    files: set[str]
    processes: list[int]
    left: list[str]


@pytest.fixture(scope="module")
def whole(watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    directory = tmp_path_factory.mktemp("scale")
    done = run(WHOLE_RUN, watch, directory)
    assert done.status == 0, done.errors
    left, running = watch.left(), processes(watch.mark)
    sides = [
        (read(directory / f"{i}-0.pcap", 0), read(directory / f"{i}-1.pcap", 1))
        for i in range(PAIRS)
    ]
    files = {path.name for path in directory.iterdir()}
    return Whole(done.result, sides, files, running, left)


def test_each_of_many_transfers_arrives(whole: Whole):
    assert whole.result["received"] == [BYTES + i for i in range(PAIRS)]


def test_both_captures_of_each_transfer_have_its_very_bytes(whole: Whole):
    sent = bytes(range(251)) * (BYTES // 251 + 2)
    for i, sides in enumerate(whole.sides):
        assert [side.data == sent[: BYTES + i] for side in sides] == [True, True], i


def test_no_two_of_many_machines_are_the_same(whole: Whole):
    both = [side for sides in whole.sides for side in sides]
    assert len(set(whole.result["running"])) == 2 * PAIRS
    assert len(set(whole.result["names"])) == 2 * PAIRS
    assert len({side.address for side in both}) == 2 * PAIRS
    assert len({side.sequence for side in both}) == 2 * PAIRS
    # Chosen at random of some 28,000: two may be the same.
    assert len({client.port for client, _ in whole.sides}) > PAIRS - 5


def test_a_run_of_many_machines_leaves_its_captures_and_nothing_else(whole: Whole):
    assert whole.files == {f"{i}-{j}.pcap" for i in range(PAIRS) for j in range(2)}
    assert whole.processes == []
    assert whole.left == []


# --- what the simulator does for each -------------------------------------------------------------

# One pair transfers, the others are idle. How often the simulator looks at a machine is in its log.
IDLE_SCRIPT = """
IDLE = {idle}
qemu = helper()
qemu.SetAttribute("Parallel", ns.BooleanValue(True))
machines = []
for i in range(1 + IDLE):
    nodes, devices = point_to_point()
    for j, address in enumerate((CLIENT, SERVER)):
        machines.append(machine(qemu, nodes.Get(j), devices.Get(j), address))
    if i == 0:
        source(nodes.Get(0), start="100ms", limit=300000)
        sink(nodes.Get(1))
for component in ("ParallelTurns", "VirtualMachine"):
    ns.LogComponentEnable(component, ns.LOG_LEVEL_FUNCTION)
ns.Simulator.Stop(ns.Seconds(0.5))
ns3_qemu.Run()
for component in ("ParallelTurns", "VirtualMachine"):
    ns.LogComponentDisable(component, ns.LOG_LEVEL_FUNCTION)
RESULT["turns"] = sum(machine.GetTurns() for machine in machines)
RESULT["ahead"] = sum(machine.GetTurnsAhead() for machine in machines)
ns.Simulator.Destroy()
finish()
"""


@dataclass(frozen=True)
class Looks:
    """How often the simulator has looked at machines."""

    for_each_turn: float  # whether they can go ahead
    for_each_start: float


def looks(idle: int, image: Path, directory: Path) -> Looks:
    done = run_script(IDLE_SCRIPT.format(idle=idle), image, directory)
    assert done.status == 0, done.errors
    assert done.result["ahead"] > 0
    ahead = done.errors.count("ParallelTurns:FindNext(")
    starts = sum(done.errors.count(f"VirtualMachine:{name}Machine(") for name in STARTS)
    return Looks(ahead / done.result["turns"], starts / (2 + 2 * idle))


STARTS = ("Start", "Prepare", "Boot")


def test_what_is_looked_at_for_a_turn_does_not_grow_with_the_machines(
    vm_image: Path, tmp_path: Path
):
    alone, among_many = (looks(idle, vm_image, tmp_path) for idle in (0, 10))
    assert 0 < among_many.for_each_turn < 1.3 * alone.for_each_turn
    assert among_many.for_each_start == alone.for_each_start


# --- ends in its midst ----------------------------------------------------------------------------


def test_ctrl_c_in_the_midst_of_many_machines_leaves_nothing(watch: Watch, tmp_path: Path):
    done = run(INTERRUPTED_RUN, watch, tmp_path, "os.kill(os.getpid(), signal.SIGINT)", pairs=8)
    assert done.status == 0, done.errors
    assert 0.15 < done.result["interrupted"] < 1
    assert len(set(done.result["running"])) == 16
    assert processes(watch.mark) == []
    assert watch.left() == []


def test_when_the_simulator_is_killed_all_its_machines_end(watch: Watch, tmp_path: Path):
    tell_and_die = (
        'print("RESULT " + json.dumps({"running": running}), flush=True);'
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = run(KILLED_RUN, watch, tmp_path, tell_and_die)
    assert done.status == -signal.SIGKILL, done.errors
    assert len(set(done.result["running"])) == 2 * PAIRS
    for pid in processes(watch.mark):
        try:
            with watched(pid) as has_ended:
                assert has_ended(20_000)
        except ProcessLookupError:
            pass  # it has ended meanwhile
    assert processes(watch.mark) == []
    assert watch.left() == []
