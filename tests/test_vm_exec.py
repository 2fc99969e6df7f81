# SPDX-License-Identifier: GPL-2.0-only
"""`ns3-qemu exec`, as a user runs it: one command, in real guests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ns3_qemu import kernel

DATA = Path(__file__).parent / "data"
COMMAND = [str(Path(sys.executable).parent / "ns3-qemu"), "exec"]

# All but the last use this image, which is made once.
FILES = ["--add", "/etc/hostname"]

DRILL = os.environ.get("NS3_QEMU_PACKETDRILL") or shutil.which("packetdrill")


def run(
    *words: str | Path, given: str = "", files: list[str] = FILES, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *files, *words],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_input_output_errors_and_status_pass_through() -> None:
    given = "a\nb\n" * 50_000
    done = run("--", "sh", "-c", "cat; echo oops >&2; exit 3", given=given)
    assert (done.returncode, done.stderr) == (3, "oops\n")
    assert done.stdout == given


def test_it_is_where_and_who_a_root_is_who_has_logged_in() -> None:
    script = "pwd; id -un; uname -n; cat /etc/hostname; ping -c 1 127.0.0.1 >/dev/null && env"
    done = run("--", "sh", "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    place, user, name, own, *variables = done.stdout.splitlines()
    assert (place, user, name) == ("/root", "root", "guest")
    assert own == Path("/etc/hostname").read_text().strip()
    assert {"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "TERM=linux"} < {*variables}
    assert any(each.startswith("PATH=/usr/local/sbin:/usr/local/bin:") for each in variables)


def test_waiting_is_skipped_and_a_limit_is_one_of_simulated_time() -> None:
    script = "cut -d ' ' -f 1 /proc/uptime; sleep 3000; cut -d ' ' -f 1 /proc/uptime; sleep 3000"
    done = run("--time-limit", "1.5h", "--", "sh", "-c", script)
    first, second = map(float, done.stdout.split())
    assert second - first == pytest.approx(3000, abs=0.02)
    assert done.returncode == 124
    assert done.stderr == (
        "ns3-qemu: the command was ended at its time limit, 5400 s of simulated time "
        "(--time-limit)\n"
    )


@pytest.mark.parametrize(
    ("command", "status", "line"),
    [
        (["nosuch", "-x"], 127, r"ns3-qemu: nosuch: not found in the guest \(.*\)\n"),
        (["/etc/hostname"], 126, r"ns3-qemu: /etc/hostname: cannot be executed in the guest: .*\n"),
        (["sh", "-c", "kill -TERM $$"], 128 + 15, ""),
    ],
)
def test_what_cannot_be_run_or_is_killed_ends_as_in_a_shell(
    command: list[str], status: int, line: str
) -> None:
    done = run("--", *command)
    assert (done.returncode, done.stdout) == (status, "")
    assert re.fullmatch(line, done.stderr)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kernel", "/no/such/bzImage"], "cannot read the kernel /no/such/bzImage"),
        (["--add", "/no/such/file"], "there is no /no/such/file"),
        (["--package", "Not/A"], "not the name of a Debian package: 'Not/A'"),
    ],
)
def test_a_machine_that_cannot_be_had_is_not_the_commands_failure(
    words: list[str], message: str
) -> None:
    done = run(*words, "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"error: {message}" in done.stderr


def test_nor_is_a_kernel_that_panics(tmp_path: Path) -> None:
    script = "echo before; sleep 1; echo c >/proc/sysrq-trigger"
    done = run("--out", tmp_path, "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (125, "before\n")
    assert done.stderr.startswith("ns3-qemu: VM 'guest' failed at simulated time 1.00")
    assert "sysrq" in (tmp_path / "console.log").read_text()


def test_a_failed_test_and_a_fault_of_the_kernel_are_told(tmp_path: Path) -> None:
    script = "printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; echo '<4>WARNING: made up' >/dev/kmsg"
    done = run("--out", tmp_path, "--", "sh", "-c", script)
    assert done.returncode == 1
    fault, tests = done.stderr.splitlines()
    assert fault == (
        "ns3-qemu: the guest's kernel has complained: WARNING: made up (--out keeps its console)"
    )
    assert tests == "ns3-qemu: tests: 1 passed, 1 failed; b"
    assert b"WARNING: made up" in (tmp_path / "console.log").read_bytes()
    assert (tmp_path / "stdout.log").read_text() == done.stdout


def test_each_run_is_the_same_and_files_come_back(tmp_path: Path) -> None:
    script = (
        "mkdir -p d/e; od -An -N8 -tx8 /dev/urandom | tee d/e/random; date +%s; ln -s /x d/link"
    )
    words = ("--get", "d", "--", "sh", "-c", script)
    done = run("--repeat", "2", *words, cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(
        r"ns3-qemu: 2 runs, the same output, byte by byte; exit status 0 after [\d.]+ s\n",
        done.stderr,
    )
    random = done.stdout.splitlines()[0]
    assert (tmp_path / "d/e/random").read_text() == random + "\n"
    assert [each.name for each in tmp_path.rglob("*")] == ["d", "e", "random"]
    assert run("--seed", "2", *words, cwd=tmp_path).stdout.splitlines()[0] != random


def test_several_kernels_are_compared(debian_kernel: kernel.Kernel, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copyfile(debian_kernel.bzimage, own)
    words = ("--kernel", "6.1", "--kernel", f"file:{own},modules={debian_kernel.modules}")
    out = tmp_path / "out"
    done = run(*words, "--out", out, "--get", "nosuch", "--", "uname", "-r")
    release = debian_kernel.release
    assert done.stdout == f"{release}\n"
    assert done.returncode == 1
    assert done.stderr.count("nosuch cannot be brought back: tar: nosuch: No such file") == 2
    assert f"6.1  {'':{len(words[3]) - 3}}Linux {release}: exit status 1" in done.stderr
    assert done.stderr.endswith(": the same output as 6.1\n")
    assert (out / "6.1/stdout.log").read_bytes() == (out / "own/stdout.log").read_bytes()


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what a network of namespaces needs."""
    tool = tmp_path_factory.mktemp("guest") / "two-hosts"
    source = DATA / "two-hosts.c"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", tool, source], check=True)
    script = DATA / "two-paths.sh"
    places = [f"{tool}=/usr/bin/two-hosts", f"{script}=/usr/bin/two-paths"]
    return ["--package", "iproute2", *(word for place in places for word in ("--add", place))]


def test_namespaces_netem_and_mptcp_over_two_paths(two_hosts: list[str]) -> None:
    one = run("--", "two-paths", "1", files=two_hosts)
    two = run("--", "two-paths", "2", files=two_hosts)
    assert (one.returncode, one.stderr, two.returncode, two.stderr) == (0, "", 0, "")
    *trips, alone = one.stdout.splitlines()
    # 10 ms each way; 43 bytes and then 71 at 10 Mbit/s.
    assert trips == [str(20_000_000 + (43 + 71) * 800)] * 5
    assert two.stdout.splitlines()[:-1] == trips
    took = [
        re.fullmatch(r"2000000 bytes in (\d+) ns", line)
        for line in (alone, two.stdout.splitlines()[-1])
    ]
    seconds = [int(match[1]) / 1e9 for match in took if match]
    # 2 MB and 66 or more bytes of headers with each 1448 at 10 Mbit/s, and slow start.
    assert 1.67 < seconds[0] < 1.8
    assert 0.84 < seconds[1] < 1.1


@pytest.mark.skipif(not DRILL, reason="there is no packetdrill here (NS3_QEMU_PACKETDRILL)")
def test_packetdrills_verdicts() -> None:
    files = ["--package", "iproute2", "--add", f"{DRILL}=/usr/bin/packetdrill"]
    files += ["--add", f"{DATA / 'packetdrill'}=/opt/scripts"]
    done = run("--", "sh", "/opt/scripts/run", files=files)
    assert done.stderr == "ns3-qemu: tests: 5 passed, 0 failed\n"
    assert done.returncode == 0
    names = [line.partition(" - ")[2] for line in done.stdout.splitlines() if " - " in line]
    assert names == sorted(each.stem for each in (DATA / "packetdrill").glob("*.pkt"))
