# SPDX-License-Identifier: GPL-2.0-only
"""Self-contained wheels: what goes into one runs on any Debian from 12 on; what would not is found.

`make wheel` builds real ones, which takes minutes, and examines each in the same way; `make
wheel-check` installs them where there is no compiler.
"""

import os
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import ns3_qemu
from ns3_qemu import bundle, image, toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Steps

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "scripts"))

import build_wheel  # noqa: E402
import check_wheel  # noqa: E402
import debian_python  # noqa: E402

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


def test_pythons_headers_come_along(tmp_path: Path) -> None:
    build_wheel.python_headers(Path(sys.executable), tmp_path / "python")
    assert (tmp_path / "python" / "Python.h").is_file()
    # The one of the architecture, not one that includes it.
    assert "x86_64-linux-gnu/python" not in (tmp_path / "python" / "pyconfig.h").read_text()


def test_what_is_inside_is_pinned() -> None:
    names = {line.partition("==")[0] for line in build_wheel.pinned(build_wheel.SITE)}
    assert names == set(build_wheel.SITE)
    assert build_wheel.pinned(("ns3",)) == [f"ns3=={metadata.version('ns3')}"]


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a wheel carries, as far as its directories go."""
    (tmp_path / "cxx" / "usr" / "include" / "c++" / "12").mkdir(parents=True)
    (tmp_path / "site" / "include" / "python").mkdir(parents=True)
    monkeypatch.setattr(bundle, "DIRECTORY", tmp_path)
    monkeypatch.setattr(bundle, "SITE", tmp_path / "site")
    monkeypatch.setattr(os, "environ", {})
    return tmp_path


def test_the_interpreter_reads_the_headers_that_came_along(bundled: Path) -> None:
    bundle.activate()
    options = os.environ["EXTRA_CLING_ARGS"].split()
    # The machine's compiler is not asked where its own are.
    assert {"-nostdinc++", "-nostdlibinc", "-march=native"} <= set(options)
    assert f"-isystem{bundled}/cxx/usr/include/c++/12" in options
    # It takes the first word with "std" in it for the version of C++.
    assert next(option for option in options if "std" in option) == "-std=c++20"
    # Its own precompiled headers are as old as pip has made them.
    assert os.environ["CLING_REBUILD_PCH"] == "0"
    assert os.environ["CPPYY_API_PATH"] == f"{bundled}/site/include/python"
    # Those of the wheel are precompiled for any machine.
    assert "-march=native" not in bundle.interpreter_options(bundled / "cxx", native=False)


@pytest.mark.usefixtures("bundled")
def test_options_of_the_user_count_more() -> None:
    os.environ["EXTRA_CLING_ARGS"] = "-O0"
    bundle.activate()
    assert os.environ["EXTRA_CLING_ARGS"] == "-O0"


def test_the_source_distribution_has_the_sources_of_what_is_in_the_wheel(tmp_path: Path) -> None:
    tree, sources = tmp_path / "tree", tmp_path / "sources"
    for directory in (tree / "build", sources):
        directory.mkdir(parents=True)
    (tree / "VERSION").write_text("3.44\n")
    (tree / "build" / "libns3.so").write_text("built")
    build_wheel.ns3_sources(tree)
    build_wheel.pack_ns3(tree, sources)
    with tarfile.open(sources / "ns-3.44.tar.xz") as archive:
        assert archive.getnames() == ["ns-3.44", "ns-3.44/VERSION"]
    (sources / "qemu_1.dsc").write_text("Source: qemu\n")
    packed = build_wheel.pack_sdist(sources, tmp_path / "dist")
    top = packed.name.removesuffix(".tar.gz")
    with tarfile.open(packed) as archive:
        names = set(archive.getnames())
        users = {member.uname for member in archive if "/sources/" in member.name}
    # All that the wheel is built from and by.
    for part in (
        *("LICENSE", "CMakeLists.txt", "pyproject.toml", "requirements.txt", "Makefile"),
        *(
            "qemu-patches/series",
            "relay/main.c",
            "ns3-module/vm/sim-link.h",
            "python/ns3_qemu/cli.py",
        ),
        *("scripts/build_wheel.py", "scripts/bootstrap", "python/ns3_qemu/cli.py"),
        *("sources/qemu_1.dsc", "sources/ns-3.44.tar.xz"),
    ):
        assert f"{top}/{part}" in names
    assert users == {"root"}
    assert not any("/dist/" in name or "/build/" in name for name in names)


def test_sources_of_another_ns3_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"has the sources of no release, and not of ns-3 3\.44"):
        build_wheel.ns3_sources(tmp_path)
    (tmp_path / "VERSION").write_text("3.43\n")
    with pytest.raises(SystemExit, match=r"sources of 3\.43"):
        build_wheel.ns3_sources(tmp_path)


def test_a_python_that_is_not_there_is_named(cache: Cache, steps: Steps) -> None:
    assert build_wheel.found(sys.executable, cache, steps) == Path(sys.executable)
    with pytest.raises(SystemExit, match=r"there is no python2\.0"):
        build_wheel.found("python2.0", cache, steps)


def test_a_python_that_was_fetched_is_taken_again(
    cache: Cache, steps: Steps, tmp_path: Path
) -> None:
    start = tmp_path / "python3.13"
    start.touch()
    assert debian_python.ensure(cache, steps, "trixie", tmp_path) == start
    assert "CPATH" not in build_wheel.environment(start)
    (tmp_path / "root" / "usr" / "include").mkdir(parents=True)
    assert build_wheel.environment(start)["CPATH"] == f"{tmp_path}/root/usr/include"


def test_the_sources_are_named_for_every_part(tmp_path: Path) -> None:
    text = build_wheel.sources_text("1", "10", None, {})
    for part in ("QEMU 10", "SeaBIOS", "GLib", "ns-3 3.44", "cppyy", "libstdc++", "GSL 2.5"):
        assert part in text
    assert text.count("https://") == 3  # ns-3, GSL, BRITE
    enclosed = {"GSL": tmp_path / "gsl-2.5.tar.gz", "BRITE": tmp_path / "BRITE.tar.gz"}
    text = build_wheel.sources_text("1", "10", tmp_path, enclosed)
    for file in ("ns-3.44.tar.xz", "gsl-2.5.tar.gz", "BRITE.tar.gz"):
        assert f"there: `sources/{file}`" in text
    assert "https://" not in text
    assert f"ns3=={build_wheel.NS3}" in build_wheel.pinned(("ns3",))[0]


def test_the_release_of_gsl_is_the_one_that_is_in_the_wheel_of_ns3() -> None:
    import ns3

    (library,) = (Path(ns3.__path__[0]) / "lib64").glob("libgsl-*")
    assert library.name.endswith(".so.23.1.0")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "gsl-2.7.tar.gz",
            r"is not the release 2\.5 of the GNU project, .* its SHA-256 is e3b0c442",
        ),
        ("brite", "there is no file"),
        ("click.tar.gz", "click.tar.gz is no source of GSL or BRITE: its name begins with neither"),
    ],
)
def test_sources_of_something_else_are_refused(tmp_path: Path, name: str, error: str) -> None:
    if "." in name:
        (tmp_path / name).touch()
    with pytest.raises(SystemExit, match=error):
        build_wheel.enclose([tmp_path / name])


def test_enclosed_sources_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "BRITE-2.1.tar.gz").touch()
    found = build_wheel.enclose([tmp_path / "BRITE-2.1.tar.gz"])
    assert found == {"BRITE": tmp_path / "BRITE-2.1.tar.gz"}
