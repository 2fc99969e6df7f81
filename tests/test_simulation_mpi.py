# SPDX-License-Identifier: GPL-2.0-only
"""Distributed simulations: two ranks of MPI on this machine, in Debian's tree of ns-3."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from process_tools import watched

pytestmark = pytest.mark.timeout(300, func_only=True)  # the tree may have to be built before

MODULE = Path(__file__).parent.parent / "ns3-module"
MPIEXEC = [
    *("mpiexec", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none"),
    *("--mca", "mpi_yield_when_idle", "1", "-n", "2"),
]
ENDED = 20_000  # ms: what is killed is gone by then


@pytest.fixture(scope="module")
def example(ns3_tree: Path) -> Path:
    """The example that is built with the module."""
    (program,) = (ns3_tree / "build/contrib/qemu/examples").glob("ns3*-qemu-two-ranks-*")
    return program


@pytest.fixture(scope="module")
def cases(
    ns3_tree: Path, vm_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The test's own program, built as a user would against a tree, with an image to run."""
    program = tmp_path_factory.mktemp("mpi") / "distributed-cases"
    libraries = ns3_tree / "build/lib"
    subprocess.run(
        [
            *("mpicxx", "-std=c++17", "-Wall", "-Werror", "-DNS3_MPI", "-o", program),
            MODULE / "test/distributed-cases.cc",
            *(f"-isystem{ns3_tree / 'build/include'}", f"-L{libraries}", f"-Wl,-rpath,{libraries}"),
            *(f"-l:{file.name}" for file in sorted(libraries.glob("libns3*.so"))),
        ],
        check=True,
    )
    return program, f"--image={vm_image}"


@contextmanager
def ranks(*command: str | Path, directory: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a program as two ranks. All of it ends with this."""
    with subprocess.Popen(
        # A rank that is killed leaves its memory behind: where the test's other files are.
        [*MPIEXEC, "--mca", "btl_vader_backing_directory", directory, *command, "--ranks=2"],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # it ends its ranks, and they their machines


def run(*command: str | Path, directory: Path) -> str:
    """Run a program, in one process, and return what it prints."""
    directory.mkdir()
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run_ranks(*command: str | Path, directory: Path) -> str:
    """Run a program in two ranks, and return what it prints."""
    directory.mkdir()
    with ranks(*command, directory=directory) as process:
        output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    return output


def failed(*command: str | Path, directory: Path) -> str:
    """Return what a program says that ends with an error in a rank."""
    with ranks(*command, directory=directory) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "terminate called" not in errors
    return errors


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_the_example_has_the_captures_of_one_process(
    example: Path, vm_image: Path, tmp_path: Path
) -> None:
    command = (example, f"--image={vm_image}", "--duration=1", "--pcap=true")
    received = [
        sorted(re.findall(r"node \d received [1-9]\d+ bytes", text))
        for text in (
            run(*command, directory=tmp_path / "one"),
            run_ranks(*command, "--parallel=true", directory=tmp_path / "two"),
        )
    ]
    assert len(received[0]) == 2
    assert received[0] == received[1]
    captures = contents(tmp_path / "one")
    assert len(captures) == 4
    assert all(len(capture) > 10_000 for capture in captures.values())
    assert captures == contents(tmp_path / "two")


@pytest.fixture(scope="module")
def one_process(
    cases: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("one") / "files"
    run(*cases, "--case=same", directory=directory)
    return contents(directory)


@pytest.mark.parametrize(
    "options", [(), ("--parallel=true",), ("--parallel=true", "--nullmsg=true")]
)
def test_all_files_are_those_of_one_process(
    options: tuple[str, ...], cases: tuple[Path, str], one_process: dict[str, bytes], tmp_path: Path
) -> None:
    """Over links between ranks of three delays, with applications in all ranks."""
    directory = tmp_path / "files"
    command = (*cases, "--case=same", *options)
    output = run_ranks(*command, directory=directory)
    assert len(one_process) == 43
    assert contents(directory) == one_process
    ahead = {name: int(n) for name, n in re.findall(r"(node\d) ahead (\d+)", output)}
    assert len(ahead) == 6
    # Those that are not at the shortest link between the ranks, nor at one of Ethernet frames.
    assert {name for name, n in ahead.items() if n} == (
        {"node0", "node2", "node4", "node5"} if options else set()
    )


@pytest.mark.parametrize("options", [(), ("--nullmsg=true",)])
def test_what_is_said_once(
    options: tuple[str, ...], cases: tuple[Path, str], tmp_path: Path
) -> None:
    command = (*cases, "--case=said", *options)
    with ranks(*command, directory=tmp_path) as process:
        assert process.stderr
        assert process.stdout
        lines = [process.stderr.readline() for _ in range(3)]
        process.terminate()
        output = process.stdout.read()
    said = "".join(sorted(lines))
    assert re.search(r"On rank 0, at 1\d\.\d+ s, nothing is left to happen .* needs Simul", said)
    assert re.search(r"On rank 1, at 1\d\.\d+ s, nothing is left to happen .* needs Simul", said)
    tie = r"VM 'node2', NICs 0 and 1: at 0\.1\d{8} s a frame arrives at each, and one of them comes"
    assert re.search(tie, said)
    assert (
        output.count("rank 0: VM 'node2': node 2 is simulated by rank 1, and this is rank 0") == 3
    )
    assert "no error" not in output


def test_a_link_of_another_type_between_ranks(cases: tuple[Path, str], tmp_path: Path) -> None:
    said = failed(*cases, "--case=other-link", directory=tmp_path)
    assert "joined by point-to-point links alone" in said
    assert "This one is a ns3::SimpleChannel\n" in said


def test_an_application_of_ns3s_own_stack_in_all_ranks(
    cases: tuple[Path, str], tmp_path: Path
) -> None:
    said = failed(*cases, "--case=stray", directory=tmp_path)
    assert "ns3-qemu: node 1 is simulated by rank 1, and this is rank 0, but here it sends" in said


def test_a_kernels_panic_ends_all_ranks(cases: tuple[Path, str], tmp_path: Path) -> None:
    said = failed(*cases, "--case=panic", directory=tmp_path)
    assert "ns3-qemu: VM 'node1' failed at simulated time 0.2" in said
    assert "the guest's kernel has panicked" in said


RANK, MACHINE = 0, 1


@pytest.mark.parametrize(
    ("victim", "number", "diagnosis"),
    [
        (MACHINE, signal.SIGKILL, r"VM 'node1' failed at .*: QEMU was killed by signal 9"),
        (RANK, signal.SIGKILL, r"process rank 1 .*exited on signal 9"),
        (RANK, signal.SIGINT, r"ns3-qemu: rank 1: SIGINT ends the run after"),
    ],
)
def test_a_rank_that_ends_ends_all_of_them(
    victim: int, number: int, diagnosis: str, cases: tuple[Path, str], tmp_path: Path
) -> None:
    command = (*cases, "--case=endless")
    with ranks(*command, directory=tmp_path) as process, ExitStack() as stack:
        assert process.stdout
        assert process.stderr
        lines = sorted(process.stdout.readline() for _ in range(2))
        pids = [
            (int(match[1]), int(match[2]))
            for line in lines
            if (match := re.fullmatch(r"rank \d: pids (\d+) (\d+)\n", line))
        ]
        assert len(pids) == 2
        have_ended = [stack.enter_context(watched(pid)) for pair in pids for pid in pair]
        os.kill(pids[1][victim], number)
        errors = process.stderr.read()
        assert process.wait() != 0
        assert re.search(diagnosis, errors)
        assert all(has_ended(ENDED) for has_ended in have_ended)
