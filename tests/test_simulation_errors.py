# SPDX-License-Identifier: GPL-2.0-only
"""What ends a simulation early, or keeps it from beginning, is named; the next one works."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
import os, signal

def alive(pid):
    return Path(f"/proc/{pid}").exists()

def text(action):
    try:
        action()
    except Exception as error:
        return str(error)
    return "nothing was raised"

def attempt(name, prepare, progress=None):
    nodes, devices = point_to_point()
    qemu = helper()
    qemu.SetAttribute("ConsoleLog", ns.StringValue(name + ".log"))
    vm = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
    prepare(vm, nodes, devices)
    pids = []
    def on_progress(time):
        pids.append(vm.GetPid())
        if progress:
            progress(vm)
    ns.Simulator.Stop(ns.Seconds(5))
    seen = RESULT[name] = {"type": None, "text": ""}
    try:
        ns3_qemu.Run(on_progress, interval=0)
    except BaseException as error:
        seen["type"], seen["text"] = type(error).__name__, str(error)
        seen["ours"] = isinstance(error, ns3_qemu.VmError)
    seen["now"] = ns.Simulator.Now().GetNanoSeconds()
    pids.append(vm.GetPid())
    ns.Simulator.Destroy()
    seen["left"] = [pid for pid in set(pids) if pid > 0 and alive(pid)]
    seen["pids"] = len({pid for pid in pids if pid > 0})
    seen["handler"] = signal.getsignal(signal.SIGINT) is signal.default_int_handler

def nothing(vm, nodes, devices):
    pass

nodes, devices = point_to_point()
qemu = helper()
vm = qemu.Install(nodes.Get(0))
ns.InternetStackHelper().Install(nodes.Get(1))
own, foreign = devices.Get(0), devices.Get(1)
RESULT["configuration"] = {
    "no prefix": text(lambda: vm.AddAddress(own, "10.0.0.1")),
    "prefix": text(lambda: vm.AddAddress(own, "10.0.0.1/33")),
    "prefix 6": text(lambda: vm.AddAddress(own, "fd00::1/129")),
    "address": text(lambda: vm.AddAddress(own, "ten.0.0.1/24")),
    "gateway": text(lambda: vm.AddRoute("0.0.0.0/0", "next door", own)),
    "device": text(lambda: vm.AddAddress(foreign, "10.0.0.1/24")),
    "twice": text(lambda: qemu.Install(nodes.Get(0))),
    "native": text(lambda: qemu.Install(nodes.Get(1))),
    "not running": text(lambda: vm.GetSysctl("kernel.hostname")),
    "tcp info": text(lambda: qemu.EnableTcpInfo("x.csv", ns.CreateObject[ns.QemuTcpSink]())),
}
ns.Simulator.Destroy()

attempt("sysctl", lambda vm, *_: vm.SetSysctl("net.ipv4.no_such_thing", "1"))
attempt("killed", nothing, lambda vm: os.kill(vm.GetPid(), signal.SIGKILL))
attempt("interrupted", nothing, lambda vm: os.kill(os.getpid(), signal.SIGINT))
attempt("no image", lambda vm, *_: vm.SetAttribute("Image", ns.StringValue("/no/such/image")))
attempt("refused", lambda vm, _, links: vm.AddRoute("10.9.0.0/16", "10.8.0.1", links.Get(0)))
attempt("after all that", nothing)
finish()
"""

FAILED_RUNS = ("sysctl", "killed", "interrupted", "no image", "refused")


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("errors"))
    assert done.status == 0, done.errors
    return done.result


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no prefix", "'10.0.0.1' needs a prefix length, as in 10.0.1.1/24"),
        ("prefix", "'10.0.0.1/33' needs a prefix length"),
        ("prefix 6", "'fd00::1/129' needs a prefix length, as in fd00::1/64"),
        ("address", "'ten.0.0.1'"),
        ("gateway", "'next door'"),
        ("device", "the device belongs to another node"),
        ("twice", "has a virtual machine already"),
        ("native", "has ns-3's internet stack"),
        ("not running", "is not running"),
        ("tcp info", "ns3::QemuTcpSink has no TCP state to trace"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_where_it_is_made(
    result: dict[str, Any], what: str, words: str
):
    assert words in result["configuration"][what]


def test_a_sysctl_that_the_kernel_lacks_ends_the_run_at_its_beginning(result: dict[str, Any]):
    run = result["sysctl"]
    assert run["type"] == "VmError"
    assert run["now"] == 0
    assert "VM 'node" in run["text"]
    assert "net.ipv4.no_such_thing" in run["text"]
    assert "No such file or directory" in run["text"]


def test_a_route_that_the_kernel_refuses_ends_the_run_at_its_beginning(result: dict[str, Any]):
    run = result["refused"]
    assert (run["type"], run["now"]) == ("VmError", 0)
    assert "VM 'node" in run["text"]
    assert "10.9.0.0/16" in run["text"]


def test_a_machine_that_dies_ends_the_run_with_its_diagnosis(result: dict[str, Any]):
    run = result["killed"]
    assert run["type"] == "VmError"
    assert run["ours"]
    assert run["text"].startswith("VM 'node")
    assert "QEMU was killed by signal 9" in run["text"]
    assert "| ns3-qemu relay: ready" in run["text"]
    assert run["now"] < 5_000_000_000


def test_ctrl_c_ends_the_run(result: dict[str, Any]):
    run = result["interrupted"]
    assert run["type"] == "KeyboardInterrupt"
    assert run["now"] < 5_000_000_000


def test_an_image_that_does_not_exist_is_named(result: dict[str, Any]):
    run = result["no image"]
    assert run["type"] == "VmError"
    assert "/no/such/image" in run["text"]
    assert "ns3-qemu image build" in run["text"]


@pytest.mark.parametrize("run", [*FAILED_RUNS, "after all that"])
def test_no_process_is_left_after_destroy_and_ctrl_c_is_pythons_again(
    result: dict[str, Any], run: str
):
    assert result[run]["left"] == []
    assert result[run]["handler"]
    assert result[run]["pids"] == (0 if run == "no image" else 1)


def test_a_simulation_after_failed_ones_runs_to_its_end(result: dict[str, Any]):
    assert result["after all that"]["type"] is None
    assert result["after all that"]["now"] == 5_000_000_000
