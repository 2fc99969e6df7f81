# SPDX-License-Identifier: GPL-2.0-only
"""What a QEMU may do, and what one gets that a guest has taken over."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu._vm import Vm, VmError, VmImage

ROOT = Path(__file__).parents[1]
SOURCES = (
    ROOT / "tests/data/escape.c",
    ROOT / "qemu-patches/src/system/sim-sandbox.c",
)
INCLUDES = (ROOT / "qemu-patches/src/include", ROOT / "ns3-module/vm")
NOBODY = 65534

Attempt = Callable[..., str]


def landlock() -> int:
    """Return the version of the kernel's Landlock, or less than 1."""
    import ctypes

    return int(ctypes.CDLL(None).syscall(444, None, 0, 1))


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("escape") / "qemu"
    includes = [f"-I{path}" for path in INCLUDES]
    subprocess.run(["gcc", "-O1", "-Wall", *includes, "-o", program, *SOURCES], check=True)
    program.parent.chmod(0o755)
    return program


@pytest.fixture
def attempt(double: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Give a function that has the double try something, and returns what becomes of it."""
    tmp_path.chmod(0o755)
    file = tmp_path / "file"
    file.write_text("content")
    file.chmod(0o666)
    monkeypatch.setenv("NEW_FILE", str(tmp_path / "new"))

    def try_it(what: str, *, filtered: bool = True, sandbox: bool = True) -> str:
        mode = "filtered" if filtered else "open"
        vm = Vm(VmImage([str(double), what, str(file), mode]), name="taken", sandbox=sandbox)
        with pytest.raises(VmError) as failed:
            vm.finish_boot()
        assert file.read_text() == "content" or not sandbox
        return str(failed.value)

    return try_it


@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("connect by TCP", "41 (socket)"),
        ("connect to a socket", "41 (socket)"),
        ("execute a shell", "59 (execve)"),
        ("execute memory", "319 (memfd_create)"),
        ("fork", "57 (fork)"),
        ("clone", "56 (clone)"),
        ("make a thread", "56 (clone)"),
        ("trace the simulator", "101 (ptrace)"),
        ("kill the simulator", "62 (kill)"),
        ("kill its thread", "234 (tgkill)"),
        ("read the simulator", "310 (process_vm_readv)"),
        ("mount", "165 (mount)"),
        ("unshare", "272 (unshare)"),
        ("enter a namespace", "308 (setns)"),
        ("become root", "105 (setuid)"),
        ("make code", "9 (mmap)"),
        ("turn data into code", "10 (mprotect)"),
        ("use io_uring", "425 (io_uring_setup)"),
        ("load a BPF program", "321 (bpf)"),
        ("another filter", "317 (seccomp)"),
        ("catch the signal", "13 (rt_sigaction)"),
        ("raise a limit", "302 (prlimit64)"),
        ("x32", str(0x40000000 + 39)),
    ],
)
def test_a_forbidden_system_call_ends_qemu_and_is_named(attempt: Attempt, what: str, call: str):
    assert attempt(what).startswith(
        f"VM 'taken' failed while it booted: QEMU made system call {call}, "
        "which its sandbox does not allow. "
    )


def test_a_thread_that_was_made_before_may_begin(attempt: Attempt):
    assert "exited with status 3:\nit is done" in attempt("a thread's first steps")


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("read a file", "EACCES"),
        ("write a file", "EACCES"),
        ("make a file", "EACCES"),
        ("remove a file", "EACCES"),
        ("its own memory", "EACCES"),
        ("clone3", "ENOSYS"),
    ],
)
def test_some_attempts_just_fail(attempt: Attempt, what: str, error: str):
    assert f"exited with status 3:\nit fails: {error}" in attempt(what)


def test_endless_output_is_lost(attempt: Attempt):
    assert "exited with status 4" in attempt("endless output")  # EFBIG


def test_a_system_call_of_another_architecture_kills_qemu(attempt: Attempt):
    assert "was killed by signal 31 (Bad system call)" in attempt("32-bit calls")


@pytest.mark.skipif(landlock() < 6, reason="needs Landlock of Linux 6.12")
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("write a file", "EACCES"),
        ("make a file", "EACCES"),
        ("remove a file", "EACCES"),
        ("connect by TCP", "EACCES"),
        ("kill the simulator", "EPERM"),
        ("trace the simulator", "EPERM"),
        ("read the simulator", "EPERM"),
    ],
)
def test_without_a_filter_landlock_is_left(attempt: Attempt, what: str, error: str):
    assert f"it fails: {error}" in attempt(what, filtered=False)


@pytest.mark.parametrize("what", ["read a file", "write a file", "make a file", "unshare"])
def test_without_a_sandbox_there_is_none(attempt: Attempt, what: str):
    assert "it is done" in attempt(what, filtered=False, sandbox=False)


def test_a_host_without_filters_is_told_of_once(double: Path):
    code = (
        "from ns3_qemu._vm import Vm, VmError, VmImage\n"
        f"image = VmImage([{str(double)!r}, 'unshare', '/dev/null', 'open'])\n"
        "for _ in range(2):\n"
        "    try: Vm(image).finish_boot()\n"
        "    except VmError: pass\n"
    )
    run = subprocess.run(
        [os.sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert run.stderr.count("This host has no filters of system calls (seccomp)") == 1


# --- a real one -----------------------------------------------------------------------------------


def status(path: Path) -> dict[str, str]:
    lines = (path / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def limits(path: Path) -> dict[str, str]:
    lines = (path / "limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[0] for line in lines}


@pytest.mark.parametrize("fork", [False, True], ids=["started", "forked"])
def test_a_machine_has_what_turns_need_and_no_more(boot: Callable[..., Vm], *, fork: bool):
    vm = boot(fork=fork)
    process = Path(f"/proc/{vm.pid}")
    threads = [status(path) for path in (process / "task").iterdir()]
    assert len(threads) >= (2 if fork else 3)
    for thread in threads:
        assert thread["Seccomp"] == "2"
        assert thread["NoNewPrivs"] == "1"
        assert int(thread["CapEff"], 16) == int(thread["CapPrm"], 16) == 0
        if os.geteuid() == 0:
            assert set(thread["Uid"].split()) == set(thread["Gid"].split()) == {str(NOBODY)}
            assert thread["Groups"] == ""
    assert limits(process)["Max core file size"] == "0"
    assert limits(process)["Max processes"] == "0"
    assert limits(process)["Max file size"] == str(1 << 20)


@pytest.mark.parametrize("fork", [False, True], ids=["started", "forked"])
def test_a_machine_holds_only_files_of_its_image_and_what_is_its_own(
    boot: Callable[..., Vm], *, fork: bool
):
    vm = boot(fork=fork)
    for entry in Path(f"/proc/{vm.pid}/fd").iterdir():
        target = str(entry.readlink())
        if re.match(r"/memfd:|anon_inode:|/dev/null$", target):
            continue
        flags = int(
            re.search(
                r"^flags:\s+(\d+)$",
                (Path(f"/proc/{vm.pid}/fdinfo") / entry.name).read_text(),
                re.MULTILINE,
            )[1],
            8,
        )
        assert stat.S_ISREG(entry.stat().st_mode), target
        assert flags & os.O_ACCMODE == os.O_RDONLY, target


def test_a_machine_can_be_saved_and_end_in_its_sandbox(vm_machine: VmImage, tmp_path: Path):
    vm = Vm(vm_machine, snapshots=str(tmp_path / "snapshots"))
    vm.finish_boot()
    assert status(Path(f"/proc/{vm.pid}"))["Seccomp"] == "2"
    vm.run_until(1_000_000_000)
    vm.end()
    assert vm.exit == "exited with status 0"
