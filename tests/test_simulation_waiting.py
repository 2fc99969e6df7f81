# SPDX-License-Identifier: GPL-2.0-only
"""Programs that wait in loops are late by little, though a turn takes no time."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

SOURCE = Path(__file__).parent / "data" / "spin.c"
MICROSECOND = 1_000
MILLISECOND = 1_000_000

SCRIPT = """
nodes = ns.NodeContainer(1)
helper().Install(nodes)
programs = {what: ns3_qemu.Program(nodes.Get(0), ["spin", what], start=start)
    for start, what in enumerate(("late", "late-after-long", "steps", "thread"), 1)}
ns.Simulator.Stop(ns.Seconds(5))
ns3_qemu.Run()
for what, program in programs.items():
    assert program.exit_code == 0, (what, program.errors)
    RESULT[what] = [int(line) for line in program.output.split()]
finish()
"""


@pytest.fixture(scope="module")
def waited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    where = tmp_path_factory.mktemp("waiting")
    spin = where / "spin"
    subprocess.run(["gcc", "-static", "-O1", "-pthread", "-o", spin, SOURCE], check=True)
    wanted = image.Image()
    wanted.add(spin, to="/usr/bin/spin")
    return run_script(SCRIPT, wanted.build(), where).result


def test_one_that_spins_for_20_us_is_late_by_at_most_2_us(waited: dict[str, Any]):
    assert len(waited["late"]) == 5
    assert all(0 <= late <= 2 * MICROSECOND for late in waited["late"])


def test_one_that_spins_for_long_is_late_by_a_small_part_of_it(waited: dict[str, Any]):
    (late,) = waited["late-after-long"]
    assert 0 <= late <= 50 * MILLISECOND / 64 + MICROSECOND


def test_the_clocks_first_steps_are_of_a_microsecond(waited: dict[str, Any]):
    assert waited["steps"][:64] == pytest.approx([MICROSECOND] * 64, abs=20)
    assert sum(waited["steps"]) < MILLISECOND


def test_one_that_never_reads_the_clock_gets_the_kernels_tick(waited: dict[str, Any]):
    (elapsed,) = waited["thread"]
    assert elapsed <= 20 * MILLISECOND
