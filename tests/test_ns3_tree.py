# SPDX-License-Identifier: GPL-2.0-only
"""The module in a tree of ns-3: what scripts/test-ns3 says, and the same results as with the wheel.

Those of ns-3's own form, the module's suites and examples, are run there by `make test` before.
"""

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "test-ns3"


def refused(*arguments: str | Path) -> str:
    """Return what the script says of a tree that it does not take."""
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    return done.stderr


def test_no_path() -> None:
    assert "make test-ns3 NS3=TREE" in refused("")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "ns") == f"FAILED: there is no directory {tmp_path}/ns\n"


def test_the_directory_around_a_tree(tmp_path: Path) -> None:
    tree = tmp_path / "ns-3.99"
    tree.mkdir()
    (tree / "test.py").touch()
    assert refused(tmp_path).endswith(f"neither 'ns3' nor 'waf'\n  Did you mean {tree}?\n")


def test_a_tree_without_a_module_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "ns3").touch()
    for name in ("core", "network", "internet", "applications", "traffic-control"):
        (tmp_path / "src" / name).mkdir(parents=True)
    assert refused(tmp_path).endswith("in its src there is no bridge point-to-point csma\n")


@pytest.mark.timeout(3600)  # for the tree, where that is not built yet
@pytest.mark.parametrize(
    "command", ["either-stack --pcap --size=1000000", "tcp-bottleneck --duration=3"]
)
def test_the_same_packets_as_with_the_wheel(
    command: str, ns3_tree: Path, vm_image: Path, tmp_path: Path
) -> None:
    assert vm_image.is_dir()
    name, *arguments = command.split()
    (there,) = (ns3_tree / "build/contrib/qemu/examples").glob(f"ns3*-qemu-{name}-*")
    here = Path(str(files("ns3_qemu"))) / "tests" / f"qemu-{name}"
    found = []
    for program in (there, here):
        directory = tmp_path / program.parent.name
        directory.mkdir()
        done = subprocess.run(
            [program, *arguments], cwd=directory, capture_output=True, text=True, check=True
        )
        captures = {file.name: file.read_bytes() for file in directory.glob("*.pcap")}
        assert len(captures) == 2
        found.append((done.stdout, captures))
    assert found[0] == found[1]


@pytest.mark.timeout(3600)
def test_the_manuals_program_is_built_there(ns3_tree: Path, vm_image: Path, tmp_path: Path) -> None:
    assert vm_image.is_dir()
    (program,) = (ns3_tree / "build/scratch").glob("ns3*-two-kernels-*")
    done = subprocess.run([program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert " has sent " in done.stdout
