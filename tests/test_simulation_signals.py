# SPDX-License-Identifier: GPL-2.0-only
"""What ends a run from outside leaves whole files, and is not taken for its end."""

import signal
from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import Ended, run_script

DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# Each simulation in a process of its own, whose parent has loaded ns-3.
SCRIPT = r"""
import multiprocessing, os, resource, signal, time

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # of SIGQUIT
fork = multiprocessing.get_context("fork")


def prepare(name):
    nodes, devices = point_to_point()
    qemu = helper()
    machines = [qemu.Install(nodes.Get(i)) for i in range(2)]
    network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    there = network.Assign(devices).GetAddress(1)
    ns.PingHelper(there.ConvertTo()).Install(nodes.Get(0)).Start(ns.Seconds(0.5))
    qemu.EnablePcap(name, devices.Get(0))
    ns.Simulator.Stop(ns.Seconds(60))
    return machines


def killed_by(number):
    signal.signal(number, signal.SIG_DFL)  # also where these tests are in the background
    prepare(f"signal-{number}")
    ns3_qemu.at(50, os.kill, os.getpid(), number)
    ns3_qemu.Run()


def goes_on():
    prepare("on")
    ns3_qemu.at(20, os.kill, os.getpid(), signal.SIGINT)
    ends = []
    for _ in range(2):
        try:
            ns3_qemu.Run()
            ends.append("end")
        except KeyboardInterrupt:
            ends.append("interrupted")
        ends.append(ns.Simulator.Now().GetSeconds())
    ns.Simulator.Destroy()
    return ends


def fails_for_ever():
    (victim, _) = prepare("failed")
    ns3_qemu.at(10, lambda: os.kill(victim.GetPid(), signal.SIGKILL))
    errors = []
    for _ in range(2):
        try:
            ns3_qemu.Run()
        except ns3_qemu.VmError as error:
            errors.append(str(error))
    ns.Simulator.Destroy()
    return errors


def has_a_child():
    prepare("child")
    children = []

    def start():
        child = fork.Process(target=time.sleep, args=(100,))
        child.start()
        child.terminate()
        child.join()
        children.append(child.exitcode)

    ns3_qemu.at(1, start)
    ns.Simulator.Stop(ns.Seconds(2))
    ns3_qemu.Run()
    ns.Simulator.Destroy()
    return children


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    process = fork.Process(target=killed_by, args=(number,))
    process.start()
    process.join()
    RESULT[number.name] = process.exitcode
for function in (goes_on, fails_for_ever):
    with fork.Pool(1) as pool:
        RESULT[function.__name__] = pool.apply(function)
RESULT["has_a_child"] = has_a_child()
finish()
"""

# Python ends itself by the signal, after its own message.
INTERRUPTED = """
import os, signal
nodes, devices = point_to_point()
qemu = helper()
qemu.Install(nodes)
qemu.EnablePcap("interrupted", devices.Get(0))
network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
there = network.Assign(devices).GetAddress(1)
ns.PingHelper(there.ConvertTo()).Install(nodes.Get(0)).Start(ns.Seconds(0.5))
ns3_qemu.at(50, os.kill, os.getpid(), signal.SIGINT)
ns3_qemu.Run()
"""

# As the command line does it. The signal comes while nothing of Python runs.
HANDLED = """
import os, signal, subprocess, sys
nodes, devices = point_to_point()
helper().Install(nodes)
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
command = f"sleep 0.3; kill -TERM {os.getpid()}"
ns3_qemu.at(1, subprocess.Popen, ["sh", "-c", command])
ns.Simulator.Stop(ns.Seconds(1e6))
ns3_qemu.Run()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("signals")


@pytest.fixture(scope="module")
def ended(vm_image: Path, directory: Path) -> Ended:
    done = run_script(SCRIPT, vm_image, directory)
    assert done.status == 0, done.errors
    return done


@pytest.fixture(scope="module")
def result(ended: Ended) -> dict[str, Any]:
    return ended.result


def last_echo(directory: Path, name: str) -> float:
    """Return when the last echo was captured; dpkt raises if the file ends in a packet."""
    (file,) = directory.glob(f"{name}-*.pcap")
    with file.open("rb") as stream:
        times = [time for time, frame in dpkt.pcap.Reader(stream) if len(frame) == 98]
    assert file.stat().st_size > 8192  # more than what a stream holds back
    return times[-1]


@pytest.mark.parametrize("number", DEADLY, ids=lambda number: number.name)
def test_a_signal_ends_the_process_and_says_when(ended: Ended, number: signal.Signals):
    assert ended.result[number.name] == -number
    assert f"ns3-qemu: {number.name} ends the run after 50" in ended.errors


@pytest.mark.parametrize("number", DEADLY, ids=lambda number: number.name)
def test_what_was_captured_until_then_is_whole(
    result: dict[str, Any], directory: Path, number: signal.Signals
):
    assert result[number.name]
    assert 49.5 < last_echo(directory, f"signal-{number.value}") < 49.6


def test_an_uncaught_interrupt_leaves_whole_captures(vm_image: Path, directory: Path):
    done = run_script(INTERRUPTED, vm_image, directory)
    assert done.status == -signal.SIGINT
    assert done.errors.endswith("KeyboardInterrupt\n")
    assert 49.5 < last_echo(directory, "interrupted") < 49.6


def test_a_handler_ends_the_process_with_its_status(vm_image: Path, directory: Path):
    done = run_script(HANDLED, vm_image, directory)
    assert (done.status, done.errors) == (128 + signal.SIGTERM, "")


def test_an_interrupted_run_goes_on_to_its_end(result: dict[str, Any]):
    assert result["goes_on"] == ["interrupted", 20, "end", 60]


def test_a_run_does_not_go_on_without_a_machine_that_has_failed(result: dict[str, Any]):
    first, second = result["fails_for_ever"]
    assert "killed by signal 9" in first
    assert second == first


def test_a_child_of_the_simulation_ends_as_it_is_told(result: dict[str, Any]):
    assert result["has_a_child"] == [-signal.SIGTERM]
