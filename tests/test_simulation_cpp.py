# SPDX-License-Identifier: GPL-2.0-only
"""C++ programs: the examples, the one of the manual, and how they end when something is wrong."""

import os
import re
import subprocess
import textwrap
from importlib.resources import files
from pathlib import Path

import dpkt
import pytest

from ns3_qemu import image
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Steps

MODULE = Path(__file__).parent.parent / "ns3-module"
PACKAGE = Path(str(files("ns3_qemu")))
LISTED = dict(
    re.findall(
        r"^qemu_example\((\S+?)(?: (.*))?\)$",
        (MODULE / "examples/CMakeLists.txt").read_text(),
        re.MULTILINE,
    )
)
HERE = [name for name, modules in LISTED.items() if modules != "mpi"]  # with the wheel


def run(
    name: str, directory: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PACKAGE / "tests" / f"qemu-{name}", *arguments],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def said(pattern: str, done: subprocess.CompletedProcess[str]) -> re.Match[str]:
    """Return what a program has printed, and that it ended well."""
    assert (done.returncode, done.stderr) == (0, "")
    match = re.search(pattern, done.stdout)
    assert match, done.stdout
    return match


def test_each_example_is_built_and_run_by_the_trees_tests() -> None:
    assert sorted(LISTED) == sorted(file.stem for file in (MODULE / "examples").glob("*.cc"))
    run_there = (MODULE / "test/examples-to-run.py").read_text()
    assert set(re.findall(r'"qemu-([\w-]+)', run_there)) == set(LISTED)


@pytest.mark.parametrize("name", HERE)
def test_an_example_explains_its_options(name: str, tmp_path: Path) -> None:
    done = run(name, tmp_path, "--help")
    assert done.returncode == 0
    assert "--image" in done.stdout or "--stack" in done.stdout


def test_bottleneck(vm_image: Path, tmp_path: Path) -> None:
    assert vm_image.is_dir()  # it is found by its kernel's name
    goodput = said(r", (\S+) Mbit/s, cwnd \d+", run("tcp-bottleneck", tmp_path, "--duration=3"))
    assert 1.5 < float(goodput[1]) <= 2 * 1448 / 1502
    for file in tmp_path.glob("*.pcap"):
        with file.open("rb") as stream:
            assert sum(1 for _ in dpkt.pcap.Reader(stream)) > 300
    assert len(list(tmp_path.glob("*.pcap"))) == 2


@pytest.mark.parametrize("stack", ["ns3", "debian:6.1"])
def test_either_stack(stack: str, vm_image: Path, tmp_path: Path) -> None:
    assert vm_image.is_dir()
    done = run("either-stack", tmp_path, f"--stack={stack}", "--size=1000000")
    goodput = said(r"received 1000000 bytes, goodput (\S+) Mbit/s", done)
    assert 7 < float(goodput[1]) <= 10 * 1448 / 1502


def test_kernels_one_after_another(vm_image: Path, tmp_path: Path) -> None:
    images = f"--images=debian:6.1,{vm_image}"
    done = run("kernel-comparison", tmp_path, images, "--duration=2")
    said(r"kernel +Mbit/s", done)
    first, second = done.stdout.splitlines()[1:]
    assert first == second  # two simulations of the same in one process
    assert first.startswith("6.1.")


def test_fairness(tmp_path: Path) -> None:
    with_bbr = str(image.Image("debian:6.1", extra_modules=["tcp_bbr"]).build())
    done = run("bbr-vs-cubic-fairness", tmp_path, f"--image={with_bbr}", "--duration=4")
    found = said(r"bbr (\S+) Mbit/s\ncubic (\S+) Mbit/s\nfairness (\S+)\n", done)
    bbr, cubic, fairness = map(float, found.groups())
    assert 8 < bbr + cubic < 10
    assert fairness == pytest.approx((bbr + cubic) ** 2 / (2 * (bbr**2 + cubic**2)), rel=1e-3)


def test_router(vm_image: Path, tmp_path: Path) -> None:
    assert vm_image.is_dir()
    said(r"10 of 10 datagrams .* Linux 6\.1\.", run("vm-router", tmp_path, "--packets=10"))


def test_station(vm_image: Path, tmp_path: Path) -> None:
    assert vm_image.is_dir()
    said(r"received 100000 bytes", run("wifi-station", tmp_path, "--size=100000"))


def test_program_in_an_image_with_a_name_of_its_own(tmp_path: Path) -> None:
    wanted = image.Image("debian:6.1")
    wanted.add("/usr/bin/iperf3")
    cache = Cache()
    wanted.build_in(cache, Steps(cache.logs), name="test-iperf3")
    done = run("program-in-guest", tmp_path, "--image=test-iperf3", "--duration=6")
    said(r"(?s)4\.\d+ s: .*sender.*exit code 0", done)


def test_an_error_that_is_not_caught_is_a_line_and_a_status(tmp_path: Path) -> None:
    done = run("vm-router", tmp_path, NS3_QEMU_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"ns3-qemu: there is no image 'debian:6.1' in {tmp_path}. This builds it:\n\n"
        "    ns3-qemu image build --kernel 'debian:6.1'\n\n"
        "The program ns3-qemu comes with the Python package of that name.\n"
    )


def test_a_simulator_that_the_wheel_has_not(tmp_path: Path) -> None:
    choice = "SimulatorImplementationType=ns3::DistributedSimulatorImpl"
    done = run("vm-router", tmp_path, NS_GLOBAL_VALUE=choice)
    assert done.returncode == 1
    assert "ns3-qemu: this ns-3 has no simulator 'ns3::DistributedSimulatorImpl'" in done.stderr
    assert "terminate called" not in done.stderr


def test_the_manuals_program(vm_image: Path, tmp_path: Path) -> None:
    """It is built as a user would against the wheel."""
    assert vm_image.is_dir()
    manual = (MODULE / "doc/qemu.rst").read_text()
    found = re.search(
        r"\.\. sourcecode:: cpp\n\n((?:  .*\n|\n)+)", manual[manual.index("a whole program") :]
    )
    assert found
    program = textwrap.dedent(found[1]).strip() + "\n"
    assert len(program.splitlines()) <= 65
    (tmp_path / "two-kernels.cc").write_text(program)
    wheel = PACKAGE.parent / "ns3"
    libraries = [PACKAGE / "lib", wheel / "lib64"]
    subprocess.run(
        [
            *("g++", "-std=c++20", "-Wall", "-Werror", "-o", "two-kernels", "two-kernels.cc"),
            *(f"-isystem{directory / 'include'}" for directory in (PACKAGE, wheel)),
            *(f"-L{directory}" for directory in libraries),
            f"-Wl,-rpath,{':'.join(map(str, libraries))}",
            "-lqemu-module",
            *(
                f"-l:{file.name}"
                for file in sorted((wheel / "lib64").glob("libns3*.so"))
                if re.search(r"-(core|network|internet|point-to-point)(-\w+)?\.so$", file.name)
            ),
        ],
        cwd=tmp_path,
        check=True,
    )
    done = subprocess.run(
        [tmp_path / "two-kernels"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    said(r"Linux 6\.1\.\S+ has sent [1-9]\d{6} bytes", done)
    assert (tmp_path / "tcp-info.csv").stat().st_size > 1000
    assert len(list(tmp_path.glob("two-kernels-*.pcap"))) == 2
