# SPDX-License-Identifier: GPL-2.0-only
"""Dates and process ids differ from guest to guest, for programs that seed from them."""

from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

SCRIPT = """
def programs(run, **spreads):
    ns.RngSeedManager.SetRun(run)
    nodes = ns.NodeContainer(3)
    qemu = helper()
    for name, value in spreads.items():
        qemu.SetAttribute(name, value)
    qemu.Install(nodes)
    vms = [nodes.Get(i).GetObject[ns.VirtualMachine]() for i in range(3)]
    started = [
        ns3_qemu.Program(nodes.Get(i), ["busybox", "sh", "-c", "echo $$"], start=1)
        for i in range(3)
    ]
    ns.Simulator.Stop(ns.Seconds(2))
    ns3_qemu.Run()
    told = {
        "pids": [int(program.output) for program in started],
        "dates": [vm.GetRealtime().GetNanoSeconds() - 2_000_000_000 for vm in vms],
        "uptimes": [vm.GetUptime().GetNanoSeconds() for vm in vms],
    }
    ns.Simulator.Destroy()
    return told

exact = {"EpochSpread": ns.TimeValue(ns.Time(0)), "PidSpread": ns.UintegerValue(0)}
RESULT["usual"] = programs(1)
RESULT["again"] = programs(1)
RESULT["other"] = programs(2)
RESULT["exact"] = programs(1, **exact)
finish()
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    wanted = image.Image()
    wanted.add("/bin/busybox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        done = run_script(SCRIPT, Path(wanted.build()), tmp_path_factory.mktemp("seeds"))
    assert done.status == 0, done.errors
    return done.result


def test_dates_and_pids_differ_from_guest_to_guest(result: dict[str, Any]):
    usual = result["usual"]
    assert len(set(usual["pids"])) == 3
    # Also to the microsecond, which is what many programs look at.
    assert len({date // 1000 for date in usual["dates"]}) == 3


def test_dates_are_ahead_by_less_than_a_millisecond(result: dict[str, Any]):
    (epoch,) = set(result["exact"]["dates"])
    assert all(0 <= date - epoch < 1_000_000 for date in result["usual"]["dates"])


def test_uptimes_stay_exact(result: dict[str, Any]):
    assert result["usual"]["uptimes"] == [22_000_000_000] * 3


def test_the_same_run_has_the_same_and_another_has_others(result: dict[str, Any]):
    assert result["again"] == result["usual"]
    for what in ("dates", "pids"):
        assert not set(result["other"][what]) & set(result["usual"][what])


def test_without_spread_all_guests_are_the_same(result: dict[str, Any]):
    assert len(set(result["exact"]["pids"])) == 1
    assert len(set(result["exact"]["dates"])) == 1
