# SPDX-License-Identifier: GPL-2.0-only
"""What goes wrong around a run: it is told, in one sentence, and the run ends or goes on."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SOURCE = Path(__file__).parent / "data" / "misdeeds.c"

# Each simulation in a process of its own, whose parent has loaded ns-3.
SCRIPT = r"""
import multiprocessing, os, resource, signal
from ns3_qemu import simulation

fork = multiprocessing.get_context("fork")


def said(run):
    try:
        run()
    except BaseException as error:
        return [type(error).__name__, str(error), ns.Simulator.Now().GetSeconds()]
    return ["", "", ns.Simulator.Now().GetSeconds()]


def one_machine(**attributes):
    nodes, devices = point_to_point()
    qemu = helper()
    for name, value in attributes.items():
        qemu.SetAttribute(name, value)
    vm = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
    native(nodes.Get(1), devices.Get(1), SERVER)
    ns.Simulator.Stop(ns.Seconds(5))
    return qemu, vm, nodes, devices


def waited_for():
    "QEMU is stopped in its turn; who is told of progress lets it go on."
    _, vm, nodes, _ = one_machine()
    turns = set()

    def on_progress(time):
        if turn := simulation.turn():
            turns.add((turn, time))
            os.kill(vm.GetPid(), signal.SIGCONT)

    ns3_qemu.at(1, lambda: os.kill(vm.GetPid(), signal.SIGSTOP))
    return [said(lambda: ns3_qemu.Run(on_progress, interval=0)), sorted(turns)]


def no_delay():
    "Two machines on a cable without any, and what never ends on it."
    nodes = ns.NodeContainer()
    nodes.Create(2)
    devices = ns.SimpleNetDeviceHelper().Install(nodes)
    qemu = helper()
    qemu.SetAttribute("TurnsAtOnce", ns.UintegerValue(300))
    for i, address in enumerate((CLIENT, SERVER)):
        vm = machine(qemu, nodes.Get(i), devices.Get(i), address)
        vm.WriteFile("/misdeeds", Path("misdeeds").read_bytes(), 0o755)
    ns3_qemu.Program(nodes.Get(1), ["/misdeeds", "play"])
    ns3_qemu.Program(nodes.Get(0), ["/misdeeds", "play", SERVER], start=1)
    ns.Simulator.Stop(ns.Seconds(5))
    return said(ns3_qemu.Run)


def full_console():
    "A file cannot grow: as on a file system that is full."
    _, vm, nodes, _ = one_machine(ConsoleLog=ns.StringValue("console.log"))
    ns3_qemu.at(0.5, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50)))
    ns3_qemu.Program(nodes.Get(0), ["/misdeeds", "complain"], start=1)
    vm.WriteFile("/misdeeds", Path("misdeeds").read_bytes(), 0o755)
    return said(ns3_qemu.Run)


def full_capture():
    qemu, vm, nodes, devices = one_machine()
    qemu.EnablePcap("capture.pcap", devices.Get(0), False, True)
    ns.PingHelper(ns.Ipv4Address(SERVER).ConvertTo()).Install(nodes.Get(0))
    ns3_qemu.at(0.5, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)))
    ran = said(ns3_qemu.Run)
    return [ran, said(simulation.destroy)]


def interrupted_at_boot():
    "Ctrl-C, as soon as there is a QEMU."
    one_machine(Snapshot=ns.BooleanValue(False))
    main = os.getpid()
    if os.fork() == 0:
        children = Path(f"/proc/{main}/task/{main}/children")
        while not any(
            b"qemu-system" in Path(f"/proc/{child}/cmdline").read_bytes()
            for child in children.read_text().split()
        ):
            os.sched_yield()
        os.kill(main, signal.SIGINT)
        os._exit(0)
    ran = said(ns3_qemu.Run)
    ns.Simulator.Destroy()
    return ran


def unwritable():
    qemu, vm, nodes, devices = one_machine()
    return said(lambda: qemu.EnablePcap("no/such/directory", devices.Get(0), False, True))


def descriptors():
    one_machine()
    number = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    return said(ns3_qemu.Run)


def few_descriptors():
    "Fewer than the machines need, until somebody raises the limit, who may."
    qemu = helper()
    for _ in range(3):
        nodes, devices = point_to_point()
        for i, address in enumerate((CLIENT, SERVER)):
            machine(qemu, nodes.Get(i), devices.Get(i), address)
    ns.Simulator.Stop(ns.NanoSeconds(1))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (number + 8, most))
    return [said(ns3_qemu.Run), resource.getrlimit(resource.RLIMIT_NOFILE)[1] == most]


for function in (
    no_delay, waited_for, full_console, full_capture,
    interrupted_at_boot, unwritable, descriptors, few_descriptors,
):
    with fork.Pool(1) as pool:
        RESULT[function.__name__] = pool.apply(function)
finish()
"""


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("faults")
    program = directory / "misdeeds"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", program, SOURCE], check=True)
    done = run_script(SCRIPT, vm_image, directory)
    assert done.status == 0, done.errors
    return done.result


def test_frames_that_go_round_without_a_delay_end_the_run(result: dict[str, Any]):
    kind, text, now = result["no_delay"]
    assert (kind, now) == ("VmError", 1)
    assert "it has had 300 turns at this one simulated time, the last with 1 frame(s)" in text
    assert "TurnsAtOnce" in text


def test_progress_tells_which_machine_keeps_its_turn(result: dict[str, Any]):
    ran, turns = result["waited_for"]
    assert ran == ["", "", 5]
    ((name, time), *_) = turns
    assert name == "node0"
    assert time >= 1


def test_a_console_log_that_does_not_grow_ends_the_run(result: dict[str, Any]):
    kind, text, now = result["full_console"]
    assert (kind, now) == ("VmError", 1)
    assert "cannot write the console log 'console.log': File too large" in text


def test_a_capture_that_does_not_grow_is_told_at_the_latest_at_the_end(result: dict[str, Any]):
    _, (kind, text, _) = result["full_capture"]
    assert kind == "VmError"
    assert "cannot write the capture 'capture.pcap': File too large" in text


def test_ctrl_c_while_machines_boot_is_ctrl_c(result: dict[str, Any]):
    assert result["interrupted_at_boot"] == ["KeyboardInterrupt", "", 0]


def test_a_capture_that_cannot_be_made_is_named(result: dict[str, Any]):
    _, text, _ = result["unwritable"]
    assert "cannot write the capture 'no/such/directory': No such file or directory" in text


def test_a_machine_for_which_there_is_no_descriptor_is_named(result: dict[str, Any]):
    kind, text, now = result["descriptors"]
    assert (kind, now) == ("VmError", 0)
    assert "VM 'node0'" in text
    assert "Too many open files; raise `ulimit -n`" in text


def test_the_limit_of_descriptors_is_raised_for_machines_as_far_as_it_may_be(
    result: dict[str, Any],
):
    ran, still_most = result["few_descriptors"]
    assert ran[0] == "", ran
    assert still_most
