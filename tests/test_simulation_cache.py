# SPDX-License-Identifier: GPL-2.0-only
"""Simulations and the image they run: how it came into the cache does not show in their packets."""

import os
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from ns3_qemu.cache import Cache

TESTS = Path(__file__).parent

# Who builds the image says so, and goes on when it gets a line.
SCRIPT = """
import sys
from ns3_qemu import image
from ns3_qemu.cache import Cache

def produce(self, final, build, on_wait=None, produce=Cache.produce):
    def told(result, work):
        print("BUILDING", flush=True)
        sys.stdin.readline()
        build(result, work)
    return produce(self, final, told, on_wait)

Cache.produce = produce
sys.argv[1:] = [str(image.Image().build())]
from simulation_script import *

nodes, devices = point_to_point()
qemu = helper()
for i, address in enumerate((CLIENT, SERVER)):
    machine(qemu, nodes.Get(i), devices.Get(i), address)
    qemu.EnablePcap(f"{i}.pcap", devices.Get(i), False, True)
source(nodes.Get(0), start="100ms", limit=100_000)
receiving = sink(nodes.Get(1))
ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()
RESULT["received"] = receiving.GetTotalRx()
ns.Simulator.Destroy()
finish()
"""
BUILDING = "BUILDING\n"
WAITING = "Image: another process is at it, waiting"


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    errors: str
    captures: list[str]


class Simulation:
    """A simulation in a process and a directory of its own."""

    def __init__(self, home: Path, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(TESTS), "NS3_QEMU_HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> Ended:
        """Let it go on, and wait for its end."""
        output, errors = self.process.communicate("\n")
        captures = [
            sha256((self._directory / f"{i}.pcap").read_bytes()).hexdigest() for i in range(2)
        ]
        return Ended(self.process.returncode, output, errors, captures)


@dataclass(frozen=True)
class Three:
    """Two simulations at once with a cache that lacks their image, and a later one."""

    builds: Ended
    waits: Ended
    later: Ended
    home: Path


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Three:
    directory = tmp_path_factory.mktemp("cache")
    home = directory / "home"
    home.mkdir()
    for name in ("qemu", "kernels", "modules", "headers", "downloads"):
        (home / name).symlink_to(Cache().root / name)
    first = Simulation(home, directory / "first")
    assert first.process.stdout
    assert first.process.stdout.readline() == BUILDING
    second = Simulation(home, directory / "second")
    assert second.process.stderr
    while WAITING not in (line := second.process.stderr.readline()):
        assert line, "it has ended without waiting"
    # Its own request for a line is not read; it may end before or after the first.
    assert first.process.stdin
    first.process.stdin.write("\n")
    first.process.stdin.flush()
    waits = second.end()
    builds = first.end()
    return Three(builds, waits, Simulation(home, directory / "later").end(), home)


def test_of_two_simulations_that_need_an_image_at_once_one_builds_it_and_both_run(three: Three):
    assert [three.builds.status, three.waits.status] == [0, 0], three.waits.errors
    assert "Building the image" in three.builds.errors
    assert "Building" not in three.waits.errors
    assert BUILDING not in three.waits.output
    assert '"received": 100000' in three.builds.output
    assert three.waits.output == three.builds.output
    (image,) = (three.home / "images").iterdir()
    (saved,) = (path for path in (image / "snapshots").iterdir() if path.name[0] != ".")
    assert (saved / "manifest").exists()
    assert list((three.home / "work").iterdir()) == []


def test_packets_do_not_depend_on_whether_an_image_is_new_or_not(three: Three):
    assert three.later.status == 0, three.later.errors
    assert BUILDING not in three.later.output
    assert three.builds.captures == three.waits.captures == three.later.captures
