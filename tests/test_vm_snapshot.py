# SPDX-License-Identifier: GPL-2.0-only
"""Machines that start from a saved one."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu._vm import Vm, VmError, VmImage
from process_tools import watched
from vm_tools import (
    GUEST_MAC,
    IPV4,
    MILLISECOND,
    SECOND,
    UPTIME,
    arp_request,
    echo_request,
    of_type,
    other_machine,
)

FILES = {"checked", "console", "manifest", "ram", "relay", "state"}
# What is known of machines that start from it, as soon as there have been some.
LEARNT = {"blocks-2"}


def start(machine: VmImage, store: Path, **configuration: Any) -> Vm:
    vm = Vm(machine, snapshots=str(store), **{"nics": [GUEST_MAC], **configuration})
    vm.finish_boot()
    return vm


def saved(store: Path) -> list[Path]:
    """Return the snapshots in a store; nothing half-made may lie about."""
    directories = sorted(entry for entry in store.iterdir() if entry.is_dir())
    for directory in directories:
        assert {file.name for file in directory.iterdir()} - LEARNT == FILES
    return directories


def life(vm: Vm) -> dict[str, Any]:
    """Return what can be seen of a machine that lives for a while."""
    relay = vm.relay
    relay.set_link(0, up=True)
    relay.add_address(0, "10.0.0.1/24")
    for number in range(20):
        vm.queue_frame(0, arp_request("10.0.0.1", "10.0.0.2"))
        vm.queue_frame(0, echo_request("10.0.0.1", "10.0.0.2", number))
        vm.run(vm.time, timers=False)
        vm.run_until(vm.time + 123 * MILLISECOND)
    return {
        "frames": vm.take_frames(),
        "random": relay.sysctl("kernel.random.uuid"),
        "memory": relay.read_file("/proc/vmstat"),
        "turns": vm.turns,
        "deadline": vm.deadline,
        "clock": relay.clock(),
    }


@pytest.fixture(scope="module")
def snapshot(vm_machine: VmImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of a machine with one NIC, which one of another identity has had made."""
    store = tmp_path_factory.mktemp("store")
    start(vm_machine, store, nics=["02:00:00:00:07:07"], name="first", seed=7).end()
    (directory,) = saved(store)
    return directory


@pytest.fixture(scope="module")
def store(snapshot: Path) -> Path:
    return snapshot.parent


@pytest.fixture(scope="module")
def lives(vm_machine: VmImage, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Lives of machines: two with a snapshot of their own, made for them; others from one."""
    fresh = tmp_path_factory.mktemp("fresh")
    result = {}
    for name, place, seed in (
        ("made", fresh, 1),
        ("cached", fresh, 1),
        ("made for another", store, 1),
        ("another seed", store, 2),
    ):
        vm = start(vm_machine, place, seed=seed)
        result[name] = life(vm)
        vm.end()
    return result


def test_a_machine_is_the_same_whether_its_snapshot_is_new_or_not(lives: dict[str, Any]):
    assert lives["cached"] == lives["made"]


def test_who_had_the_snapshot_made_leaves_no_trace_in_it(lives: dict[str, Any]):
    assert lives["made for another"] == lives["made"]


def test_machines_of_one_snapshot_do_not_share_random_numbers(lives: dict[str, Any]):
    assert lives["another seed"]["random"] != lives["made"]["random"]


def test_the_restored_machine_answers(lives: dict[str, Any]):
    assert len(of_type(lives["cached"]["frames"], IPV4)) == 20


def test_a_restored_machine_has_its_own_name_addresses_and_clocks(vm_machine: VmImage, store: Path):
    vm = start(vm_machine, store, nics=["02:00:00:00:00:2a"], name="second")
    assert vm.relay.sysctl("kernel.hostname") == "second"
    assert vm.relay.link(0)[3] == bytes.fromhex("02000000002a")
    assert vm.relay.clock()[1] == UPTIME
    vm.run_until(3 * SECOND)
    assert vm.relay.clock()[1] == UPTIME + 3 * SECOND
    vm.end()


def test_machines_of_one_snapshot_share_its_memory_and_cannot_change_it(
    vm_machine: VmImage, snapshot: Path
):
    before = (snapshot / "ram").stat().st_mtime_ns
    vm = start(vm_machine, snapshot.parent)
    mapped = [
        line.split()
        for line in Path(f"/proc/{vm.pid}/maps").read_text().splitlines()
        if line.endswith(str(snapshot / "ram"))
    ]
    assert [fields[1] for fields in mapped] == ["rw-p"]
    life(vm)
    vm.end()
    assert (snapshot / "ram").stat().st_mtime_ns == before


def test_the_console_shows_how_the_saved_machine_had_booted(
    vm_machine: VmImage, store: Path, tmp_path: Path
):
    log = tmp_path / "console.log"
    vm = start(vm_machine, store, console_log=str(log))
    vm.end()
    assert "ns3-qemu relay: ready" in log.read_text()


def test_machines_with_another_number_of_nics_have_another_snapshot(
    vm_machine: VmImage, store: Path
):
    before = saved(store)
    vm = start(vm_machine, store, nics=[GUEST_MAC, "02:00:00:00:00:03"])
    assert vm.relay.link(1)[3] == bytes.fromhex("020000000003")
    vm.end()
    assert len(saved(store)) == len(before) + 1


@pytest.mark.parametrize("name", ["state", "relay", "ram", "manifest"])
def test_a_damaged_snapshot_is_made_again(vm_machine: VmImage, snapshot: Path, name: str):
    whole = (snapshot / name).stat().st_size
    os.truncate(snapshot / name, whole // 2)
    vm = start(vm_machine, snapshot.parent)
    vm.end()
    assert (snapshot / name).stat().st_size == whole


def test_a_bit_that_has_flipped_in_its_memory_is_noticed(
    vm_machine: VmImage, snapshot: Path, capfd: pytest.CaptureFixture[str]
):
    memory = snapshot / "ram"
    with memory.open("r+b") as file:
        file.seek(20 << 20)
        (byte,) = file.read(1)
        file.seek(20 << 20)
        file.write(bytes([byte ^ 1]))
    start(vm_machine, snapshot.parent).end()
    assert f"The saved machine in {snapshot} is not as it was saved" in capfd.readouterr().err
    whole = memory.stat().st_ino
    start(vm_machine, snapshot.parent).end()
    assert memory.stat().st_ino == whole


def test_a_memory_file_that_becomes_shorter_in_a_run_is_named(vm_machine: VmImage, snapshot: Path):
    vm = start(vm_machine, snapshot.parent)
    os.truncate(snapshot / "ram", 0)
    with pytest.raises(VmError, match=r"signal 7 \(Bus error\): a file .* has become shorter"):
        vm.run_until(60 * SECOND)
    start(vm_machine, snapshot.parent).end()  # from another, which has been made


def test_zeros_of_its_memory_take_no_room(snapshot: Path):
    memory = (snapshot / "ram").stat()
    assert memory.st_blocks * 512 < memory.st_size * 9 // 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_file_system_without_room_is_named(vm_machine: VmImage, tmp_path: Path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=32M", "none", tmp_path]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(VmError, match=r"cannot write .*ram: No space left on device"):
            start(vm_machine, tmp_path)
        assert saved(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


SCRIPT = """
import pathlib, sys
from ns3_qemu._vm import Vm, read_image
vm = Vm(read_image(sys.argv[2]), nics=["02:00:00:00:00:01"], snapshots=sys.argv[1])
print("started", flush=True)
vm.finish_boot()
print("inodes", *[entry.stat().st_ino for entry in pathlib.Path(sys.argv[1]).glob("*")])
vm.end()
"""


def other_simulation(image: Path, store: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store), str(image)], stdout=subprocess.PIPE, text=True
    )


def test_of_two_that_need_a_snapshot_at_once_one_makes_it(vm_image: Path, tmp_path: Path):
    both = [other_simulation(vm_image, tmp_path) for _ in range(2)]
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == outputs[1]  # the very same files
    assert len(saved(tmp_path)) == 1


def test_who_is_killed_while_making_a_snapshot_leaves_nothing_that_hinders(
    vm_image: Path, vm_machine: VmImage, tmp_path: Path
):
    killed = other_simulation(vm_image, tmp_path)
    assert killed.stdout
    killed.stdout.readline()
    half_made = wait_for(tmp_path, ".*.new/ram")
    (qemu,) = wait_for_children(killed.pid)
    with watched(qemu) as has_ended:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert has_ended(20_000)
    killed.stdout.close()
    assert half_made.exists()
    vm = start(vm_machine, tmp_path)
    vm.end()
    assert len(saved(tmp_path)) == 1


def wait_for(directory: Path, pattern: str) -> Path:
    """Return the file as soon as it is there."""
    for _ in range(100_000):
        if found := next(iter(directory.glob(pattern)), None):
            return found
        os.sched_yield()
    message = f"no {pattern}"
    raise AssertionError(message)


def wait_for_children(pid: int) -> list[int]:
    """Return them as soon as there are any: files are made before QEMU is started."""
    for _ in range(100_000):
        if found := children(pid):
            return found
        os.sched_yield()
    message = f"process {pid} has started nothing"
    raise AssertionError(message)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_store_that_cannot_be_written_is_named(vm_machine: VmImage, tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(VmError, match=r"cannot make .*file/store: Not a directory.*Snapshot"):
        start(vm_machine, file / "store")


def test_a_machine_that_does_not_boot_leaves_no_snapshot(vm_machine: VmImage, tmp_path: Path):
    parameters = vm_machine.boot[vm_machine.boot.index("-append") + 1]
    hopeless = other_machine(vm_machine, boot={"-append": f"{parameters} rdinit=/none"})
    with pytest.raises(VmError, match="while it booted"):
        start(hopeless, tmp_path)
    assert saved(tmp_path) == []
