# SPDX-License-Identifier: GPL-2.0-only
"""Machines with disks: what they read, what they write, and how long that takes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from ns3_qemu._vm import Vm, VmError, read_image
from vm_tools import MILLISECOND, SECOND

MIB = 2**20
DATA = bytes(range(256)) * 16 * 1024  # 4 MiB

# 64 KiB in one request: 2 ms, and 524,288 bits at 100 Mbit/s.
LATENCY, RATE, LENGTH, TAKES = 2 * MILLISECOND, 100_000_000, 65536, 2 * MILLISECOND + 5_242_880


def make_ext4(path: Path, tree: Path, size: int) -> Path:
    path.write_bytes(b"")
    os.truncate(path, size)
    subprocess.run(
        ["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, "-U", "clear", path], check=True
    )
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="module")
def data_disk(directory: Path) -> Path:
    """64 MiB that hold a file; a guest's usual memory would not."""
    tree = directory / "data"
    tree.mkdir()
    (tree / "file").write_bytes(DATA)
    return make_ext4(directory / "data.ext4", tree, 64 * MIB)


@pytest.fixture(scope="module")
def make_image(guest_tool: Path) -> Callable[..., Path]:
    def build(wanted: image.Image) -> Path:
        wanted.add(guest_tool, to="/bin/tool")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
            return wanted.build()

    return build


@pytest.fixture(scope="module")
def data_image(data_disk: Path, make_image: Callable[..., Path]) -> Path:
    wanted = image.Image()
    wanted.add("/usr/bin/busybox", to="/bin/busybox")
    wanted.disk(data_disk, "/mnt")
    return make_image(wanted)


@pytest.fixture(scope="module")
def start(boot: Callable[..., Vm]) -> Callable[..., Vm]:
    def start(directory: Path, **configuration: Any) -> Vm:
        configuration.setdefault("snapshots", str(directory / "snapshots"))
        return boot(read_image(str(directory)), **configuration)

    return start


def run(vm: Vm, *words: str, ms: int = 1000) -> tuple[int, str]:
    """Run a program for so long; return exit code and output."""
    vm.relay.start_process(list(words), environment=["PATH=/bin"])
    vm.run_until(vm.time + ms * MILLISECOND)
    ((_, code, _),) = vm.take_exits()
    return code, b"".join(data for _, _, data in vm.take_output()).decode()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_disk_is_read_at_once_and_written_by_nobody_else(
    data_image: Path, data_disk: Path, start: Callable[..., Vm]
):
    before = digest(data_disk)
    one, other = start(data_image, name="one"), start(data_image, name="other")
    assert one.relay.read_file("/mnt/file") == DATA
    assert run(one, "tool", "direct", "/mnt/file", str(MIB)) == (0, "0\n")
    assert run(one, "busybox", "cp", "/mnt/file", "/mnt/copy") == (0, "")
    assert run(one, "busybox", "sync") == (0, "")
    assert run(one, "busybox", "sh", "-c", "echo 3 > /proc/sys/vm/drop_caches")[0] == 0
    assert one.relay.read_file("/mnt/copy") == DATA
    assert run(other, "busybox", "ls", "/mnt")[1].split() == ["file", "lost+found"]
    assert digest(data_disk) == before


def lives(vm: Vm) -> dict[str, Any]:
    """Return what can be seen of a machine that reads and writes its disk."""
    script = "cp /mnt/file /mnt/copy; sync; md5sum /mnt/copy; cat /proc/diskstats; ls -l /mnt"
    seen = run(vm, "busybox", "sh", "-c", script, ms=10_000)
    return {
        "seen": seen,
        "interrupts": vm.relay.read_file("/proc/interrupts"),
        "turns": vm.turns,
        "instructions": vm.instructions,
        "console": vm.take_console(),
    }


def test_a_run_is_the_same_on_a_machine_with_other_things_to_do(
    data_image: Path, data_disk: Path, start: Callable[..., Vm]
):
    timing = {"disk_latency": 100_000, "disk_rate": 1_000_000_000}
    first = lives(start(data_image, **timing))
    # Out of the page cache, so that it is the host's disk that is read; and beside a load.
    with data_disk.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as load:
        second = lives(start(data_image, **timing))
        load.kill()
    assert hashlib.md5(DATA).hexdigest() in first["seen"][1]
    assert first == second


def test_a_request_takes_its_latency_and_its_data_their_time(
    data_image: Path, start: Callable[..., Vm]
):
    vm = start(data_image, disk_latency=LATENCY, disk_rate=RATE)
    assert run(vm, "tool", "direct", "/mnt/file", str(LENGTH)) == (0, f"{TAKES}\n")
    # One after the other: two that begin together end one and two of these times later.
    both = f"tool direct /mnt/file {LENGTH} & tool direct /mnt/file {LENGTH}; wait"
    code, output = run(vm, "busybox", "sh", "-c", both)
    assert (code, sorted(map(int, output.split()))) == (0, [TAKES, 2 * TAKES])
    # What the simulation itself asks for takes no time, though the disk has to be read for it.
    assert run(vm, "busybox", "sh", "-c", "echo 3 > /proc/sys/vm/drop_caches")[0] == 0
    now = vm.time
    assert vm.relay.read_file("/mnt/file") == DATA
    assert vm.time == now


def test_a_disk_that_is_mounted_read_only_is_not_written(
    data_disk: Path, make_image: Callable[..., Path], start: Callable[..., Vm]
):
    wanted = image.Image()
    wanted.add("/usr/bin/busybox", to="/bin/busybox")
    wanted.disk(data_disk, "/mnt", writable=False)
    vm = start(make_image(wanted))
    code, output = run(vm, "busybox", "touch", "/mnt/new")
    assert code == 1
    assert "Read-only file system" in output


def test_what_is_written_is_kept_where_that_is_asked_for(
    data_image: Path, data_disk: Path, start: Callable[..., Vm], tmp_path: Path
):
    vm = start(data_image, name="keeper", keep_disks=str(tmp_path), disk_latency=LATENCY)
    before = digest(data_disk)
    vm.relay.write_file("/mnt/news", b"news")
    assert list(tmp_path.iterdir()) == [tmp_path / "keeper-vda.part"]
    vm.keep_disks()
    assert list(tmp_path.iterdir()) == [tmp_path / "keeper-vda"]
    debugfs = ["/sbin/debugfs", "-R", "cat /news", tmp_path / "keeper-vda"]
    assert subprocess.run(debugfs, check=True, capture_output=True).stdout == b"news"
    check = ["/sbin/e2fsck", "-fn", tmp_path / "keeper-vda"]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    assert digest(data_disk) == before


def test_nothing_is_kept_of_a_machine_that_ends_otherwise(
    data_image: Path, start: Callable[..., Vm], tmp_path: Path
):
    vm = start(data_image, name="loser", keep_disks=str(tmp_path))
    vm.relay.write_file("/mnt/news", b"news")
    vm.end()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_has_changed_since_the_image_was_built_is_refused(
    data_disk: Path, make_image: Callable[..., Path], start: Callable[..., Vm], tmp_path: Path
):
    copy = Path(shutil.copy(data_disk, tmp_path / "copy.ext4"))
    wanted = image.Image()
    wanted.disk(copy)
    built = make_image(wanted)
    os.utime(copy, ns=(1, 1))
    with pytest.raises(VmError, match=r"copy\.ext4 has changed since the image was built"):
        start(built)
    copy.unlink()
    with pytest.raises(VmError, match=r"copy\.ext4: No such file"):
        start(built)


def test_what_cannot_be_mounted_is_told_with_the_kernels_reason(
    make_image: Callable[..., Path], start: Callable[..., Vm], tmp_path: Path
):
    broken = tmp_path / "broken"
    broken.write_bytes(bytes(1024 + 56) + b"\x53\xef" + bytes(MIB - 1024 - 58))
    wanted = image.Image()
    wanted.disk(broken, "/mnt")
    with pytest.raises(
        VmError, match=r"(?s)\(ext4\) of its disk .*broken cannot be mounted.*EXT4-fs"
    ):
        start(make_image(wanted))


# --- a root file system on a disk -----------------------------------------------------------------


@pytest.fixture(scope="module")
def root_tree(directory: Path) -> Path:
    """A small distribution: a shell, and a file that is larger than a guest's memory."""
    tree = directory / "root"
    for name in ("usr/bin", "etc", "root", "proc"):
        (tree / name).mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "sbin").symlink_to("usr/bin")
    shutil.copy("/usr/bin/busybox", tree / "usr/bin/busybox")
    for name in ("sh", "cat", "ls", "mount", "stat", "touch", "free", "ip"):
        (tree / "usr/bin" / name).symlink_to("busybox")
    (tree / "etc/os-release").write_text("ID=own\n")
    (tree / "etc/hosts").write_text("1.2.3.4 own\n")
    (tree / "large").write_bytes(DATA * 40)
    return tree


@pytest.fixture(scope="module")
def root_disk(root_tree: Path) -> Path:
    return make_ext4(root_tree.with_suffix(".ext4"), root_tree, 256 * MIB)


@pytest.fixture(scope="module")
def squashed(root_tree: Path) -> Path:
    path = root_tree.with_suffix(".squashfs")
    packing = ["mksquashfs", root_tree, path, "-all-root", "-no-progress", "-quiet"]
    subprocess.run(packing, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.mark.parametrize("kind", ["root_disk", "squashed"])
def test_a_root_file_system_may_be_on_a_disk(
    kind: str,
    make_image: Callable[..., Path],
    start: Callable[..., Vm],
    request: pytest.FixtureRequest,
):
    disk = request.getfixturevalue(kind)
    wanted = image.Image(rootfs=disk, memory_mib=96)
    wanted.write("/etc/added", "added\n", 0o600)
    wanted.write("/bin/os-release", "beside the shell\n")
    before = digest(disk)
    vm = start(make_image(wanted))
    assert run(vm, "cat", "/etc/os-release", "/etc/hosts") == (0, "ID=own\n1.2.3.4 own\n")
    assert run(vm, "stat", "-c", "%a %u %s", "/etc/added", "/usr/bin/os-release", "/large") == (
        0,
        f"600 0 6\n644 0 17\n644 0 {len(DATA) * 40}\n",
    )
    # The machine's own file systems are there, and what is written is.
    assert run(vm, "sh", "-c", "echo x > /root/new && cat /root/new /proc/1/comm")[1] == "x\ninit\n"
    assert run(vm, "ls", "-d", "/dev/null", "/dev/vda", "/sys/kernel", "/tmp", "/run")[0] == 0
    # The disk's distribution knows nothing of this kernel's modules, which come nevertheless.
    assert run(vm, "ip", "link", "add", "d1", "type", "dummy") == (0, "")
    assert run(vm, "/sbin/modprobe", "ifb")[0] == 0
    assert run(vm, "ls", "-d", "/sys/class/net/d1", "/sys/module/ifb")[0] == 0
    assert digest(disk) == before


def test_a_root_that_is_never_written_cannot_be_kept(
    squashed: Path, make_image: Callable[..., Path], start: Callable[..., Vm], tmp_path: Path
):
    built = make_image(image.Image(rootfs=squashed))
    with pytest.raises(VmError, match="squashfs, which is never written"):
        start(built, keep_disks=str(tmp_path))


def test_a_machine_that_boots_itself_has_its_disks_too(root_disk: Path, make_image, start):
    vm = start(make_image(image.Image(rootfs=root_disk)), snapshots="")
    assert run(vm, "cat", "/etc/os-release") == (0, "ID=own\n")
    vm.run_until(vm.time + 10 * SECOND)
