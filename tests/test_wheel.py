# SPDX-License-Identifier: GPL-2.0-only
"""Self-contained wheels: what goes into one runs on any Debian from 12 on; what would not is found.

`make wheel` builds real ones, which takes minutes, and examines each in the same way.
"""

import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import ns3_qemu
from ns3_qemu import bundle, image, toolchain
from ns3_qemu.cache import Cache

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "scripts"))

import build_wheel  # noqa: E402
import check_wheel  # noqa: E402

PACKAGE = Path(ns3_qemu.__file__).parent


def wants(file: Path) -> tuple[set[str], list[str]]:
    """Return the libraries that a program wants, and which of its symbols are too new."""
    found = check_wheel.needs(file.read_bytes())
    assert found
    return set(found[0]), [each for each in found[1] if check_wheel.too_new(each)]


def test_qemu_needs_nothing_but_the_c_library() -> None:
    qemu = toolchain.find(Cache())
    assert qemu
    assert wants(qemu.executable) == ({"libc.so.6", "libm.so.6"}, [])


def test_the_package_needs_ns3_and_the_system() -> None:
    (extension,) = PACKAGE.glob("_vm.*.so")
    assert wants(extension)[0] <= check_wheel.OF_THE_SYSTEM
    module, too_new = wants(PACKAGE / "lib" / "libqemu-module.so")
    others = module - check_wheel.OF_THE_SYSTEM
    assert others
    assert all(library.startswith("libns3.44-") for library in others)
    assert too_new == []
    assert wants(image.relay_path()) == (set(), [])


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("GLIBC_2.36", False),
        ("GLIBC_2.4", False),
        ("GLIBC_2.38", True),
        ("GLIBCXX_3.4.31", True),
        ("CXXABI_1.3.13", False),
        ("GLIBC_PRIVATE", False),
        ("OPENSSL_3.0.0", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, expected: bool) -> None:
    assert check_wheel.too_new(version) is expected


def test_a_wheel_that_is_not_whole_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "ns3_qemu-1-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(PACKAGE / "lib" / "libqemu-module.so", "ns3_qemu/lib/libqemu-module.so")
        archive.writestr("ns3_qemu-1.dist-info/METADATA", "Requires-Dist: ns3==3.44.post0\n")
    found = "\n".join(check_wheel.examine(file))
    assert "is not for the platform manylinux_2_36_x86_64" in found
    assert "has no ns3_qemu/relay/ns3-qemu-relay" in found
    assert "libqemu-module.so: wants libns3.44-core.so, which is not in the wheel" in found
    assert "Requires-Dist: ns3==3.44.post0: has to be built where it is installed" in found


def test_what_is_inside_is_not_required(tmp_path: Path) -> None:
    info = tmp_path / "ns3_qemu-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Name: ns3-qemu\nRequires-Dist: dpkt>=1\nRequires-Dist: meson<2\nRequires-Dist: ns3==3\n"
        "Requires-Dist: mypy==2 ; extra == 'dev'\n\nRequires-Dist: in the description\n"
    )
    (info / "WHEEL").write_text("Tag: cp311-cp311-linux_x86_64\n")
    build_wheel.finish(tmp_path)
    lines = (info / "METADATA").read_text().splitlines()
    assert lines[1:4] == [
        "Requires-Dist: dpkt>=1",
        "Provides-Extra: ns3",
        'Requires-Dist: ns3==3 ; extra == "ns3"',
    ]
    assert lines[-1] == "Requires-Dist: in the description"
    assert (info / "WHEEL").read_text() == "Tag: cp311-cp311-manylinux_2_36_x86_64\n"


def test_what_is_inside_is_pinned() -> None:
    names = {line.partition("==")[0] for line in build_wheel.pinned(build_wheel.SITE)}
    assert names == set(build_wheel.SITE)
    assert build_wheel.pinned(("ns3",)) == [f"ns3=={metadata.version('ns3')}"]


def test_the_interpreter_reads_the_headers_that_came_along(tmp_path: Path) -> None:
    (tmp_path / "usr" / "include" / "c++" / "12").mkdir(parents=True)
    options = bundle.interpreter_options(tmp_path).split()
    # The machine's compiler is not asked where its own are.
    assert {"-nostdinc++", "-nostdlibinc"} <= set(options)
    assert f"-isystem{tmp_path}/usr/include/c++/12" in options
    assert "-march=native" not in bundle.interpreter_options(tmp_path, native=False)
