# SPDX-License-Identifier: GPL-2.0-only
"""Builds self-contained wheels, one for each Python, and the source distribution, into dist/.

    usage: .venv/bin/python scripts/build_wheel.py [--no-sdist] [--ns3 TREE] [--source FILE]...
               [PYTHON ...]

A wheel has all that a machine with Debian 12 or later lacks to simulate: this package built, the
patched QEMU with its firmware, ns-3 with its Python bindings, and the C++ headers that the
bindings' interpreter reads. `pip install` of it needs no compiler. PYTHON: interpreters to build
for, which have their headers, or debian:trixie for the Python of a release of Debian, which is
fetched; without any it is the one that runs this, and trixie's. TREE: the sources of ns-3 3.44, and
FILE: those of GSL and BRITE, with which its wheel was built, for the source distribution. What is
inside is said by bundled/SOURCES.md, and checked by check_wheel.py.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import check_wheel
import debian_python
import pybind11

from ns3_qemu import apt, bundle, toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.results.files import sha256
from ns3_qemu.steps import Step, Steps

TREE = Path(__file__).resolve().parents[1]
WORK = TREE / "build" / "wheel"
DIST = TREE / "dist"

# The C++ and C libraries' headers, by Debian package. They are their own source.
HEADERS = ("libstdc++-12-dev", "libc6-dev", "linux-libc-dev", "libcrypt-dev")

# Headers of Boost that those of ns-3 include.
BOOST = ("static_assert.hpp", "config.hpp", "config", "detail/workaround.hpp")

# What is linked into QEMU and the relay, by Debian package.
LINKED = ("libglib2.0-dev", "zlib1g-dev", "libpcre2-dev", "musl-dev")

# ns-3 and what its bindings are made of, without what has a wheel of its own everywhere.
SITE = ("ns3", "cppyy", "cppyy-backend", "cppyy-cling", "CPyCppyy")

# The release of ns-3 whose wheel that is.
NS3 = "3.44"

NS3_ELSEWHERE = f"the release {NS3} of the ns-3 project, https://www.nsnam.org/releases/"


@dataclass(frozen=True)
class Enclosed:
    """Sources under GPL that Debian has not, of what is in the wheel of ns-3."""

    name: str
    elsewhere: str
    """Where they are if they are not in the source distribution."""
    sha256: str = ""
    """Of the one file that it may be, if it has a release."""

    def is_meant(self, file: Path) -> bool:
        """Say whether a file has them, by its name."""
        return file.name.lower().startswith(self.name.lower())


ENCLOSED = (
    # libgsl.so.23.1.0 is the release 2.5.
    Enclosed(
        "GSL",
        "the release 2.5 of the GNU project, https://www.gnu.org/software/gsl/",
        "0460ad7c2542caaddc6729762952d345374784100223995eb14d614861f2258d",
    ),
    Enclosed("BRITE", "the ns-3 project, https://code.nsnam.org/BRITE/"),
)

# What is inside the wheel, or builds QEMU, and is no requirement of its installation.
NOT_REQUIRED = ("meson", "pycotap", "setuptools", "wheel")


def run(*command: str | Path, **environment: str) -> None:
    """Run a command; show what it said only if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=TREE,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-3000:]}")


def say(text: str) -> None:
    """Say what is done now."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def pinned(names: tuple[str, ...]) -> list[str]:
    """Return the requirements of these names with their versions."""
    lines = (TREE / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line.partition("==")[0] in names]


def headers(target: Path) -> None:
    """Copy the C++ and C libraries' headers, in Debian's places."""
    listed = subprocess.run(
        ["dpkg-query", "-L", *HEADERS], check=True, capture_output=True, text=True
    )
    for line in listed.stdout.splitlines():
        file = Path(line)
        if line.startswith("/usr/include/") and file.is_file():
            to = target / line.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)


def licenses(target: Path, cache: Cache, qemu: toolchain.Qemu) -> None:
    """Copy what Debian's packages say of their licenses, and the licenses that are not this one."""
    target.mkdir()
    for name in ("GPL-3", "LGPL-2.1", "LGPL-3"):
        shutil.copy(Path("/usr/share/common-licenses", name), target)
    for package in (*HEADERS, *LINKED):
        shutil.copy(Path("/usr/share/doc", package, "copyright"), target / f"{package}.copyright")
    download = source_of(cache, qemu)
    for package, file in qemu.manifest.packages.items():
        run("dpkg-deb", "--extract", download / file, WORK / package)
        said = WORK / package / "usr" / "share" / "doc" / package / "copyright"
        shutil.copy(said, target / f"{package}.copyright")
        shutil.rmtree(WORK / package)


def source_of(cache: Cache, qemu: toolchain.Qemu) -> Path:
    """Return where the source of QEMU and the packages with its firmware are."""
    (download,) = cache.downloads.glob(f"qemu-{qemu.manifest.version.partition(':')[2]}")
    return download


def environment(python: Path) -> dict[str, str]:
    """Return the environment to compile for a Python in: no debugging information."""
    found = debian_python.headers(python)
    return {"CFLAGS": "-g0", "CXXFLAGS": "-g0", **({"CPATH": str(found)} if found else {})}


def site(python: Path, target: Path, cxx: Path) -> None:
    """Install ns-3 and its bindings, and precompile the interpreter's own headers."""
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"),
        *("--no-deps", "--target", target, *pinned(SITE)),
        **environment(python),
    )
    # Where pip puts headers depends on where Python is.
    (api,) = (target / "include").rglob("CPyCppyy")
    moved = api.rename(target / "CPyCppyy-headers")
    shutil.rmtree(target / "include")
    python_headers(python, target / "include" / "python")
    moved.rename(target / "include" / "python" / "CPyCppyy")
    boost(target / "ns3" / "include" / "boost")
    # Scripts, with the path of this Python.
    shutil.rmtree(target / "bin")
    for file in target.rglob("*.so*"):
        if file.is_file() and b".debug_info" in file.read_bytes():
            run("strip", "--strip-debug", file)
    backend = target / "cppyy_backend"
    (old,) = (target / "cppyy").glob("allDict.cxx.pch.*")
    # The one that came about was made from this machine's headers, for this machine's CPU.
    old.unlink()
    run(
        *("env", "-C", backend, python, "etc/dictpch/makepch.py", old, f"-I{backend / 'include'}"),
        EXTRA_CLING_ARGS=bundle.interpreter_options(cxx, native=False),
        PYTHONPATH=str(target),
    )


def python_headers(python: Path, target: Path) -> None:
    """Copy a Python's headers, which one of the bindings' includes."""
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('include'))"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    if not Path(told, "Python.h").is_file():
        sys.exit(f"FAILED: {python} has no headers (Debian: its -dev package)")
    shutil.copytree(told, target, ignore=shutil.ignore_patterns("internal"))
    # Debian has one for each architecture.
    of_architecture = Path(told).parent / "x86_64-linux-gnu" / Path(told).name / "pyconfig.h"
    if of_architecture.is_file():
        shutil.copy(of_architecture, target)


def boost(directory: Path) -> None:
    """Remove headers of Boost that the bindings do not read: half of all files."""
    kept = directory.with_name("kept")
    for name in BOOST:
        for file in directory.glob(name):
            to = kept / file.relative_to(directory)
            to.parent.mkdir(parents=True, exist_ok=True)
            file.rename(to)
    shutil.rmtree(directory)
    kept.rename(directory)


def plain() -> Path:
    """Build the package as it is installed here; return the wheel, unpacked."""
    target = WORK / "plain"
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
        # The checkout's own build may have them.
        "--config-settings=cmake.define.NS3_QEMU_TESTS=OFF",
        *("--wheel-dir", target, "."),
    )
    (packed,) = target.glob("*.whl")
    run(sys.executable, "-m", "wheel", "unpack", "--dest", target, packed)
    (unpacked,) = (path for path in target.iterdir() if path.is_dir())
    return unpacked


def for_python(python: Path, tag: str, unpacked: Path, ns3: Path) -> None:
    """Put the extension for another Python into an unpacked wheel: all else is the same for all."""
    build = WORK / "extension"
    run(
        *("cmake", "-G", "Ninja", "-S", TREE, "-B", build, "-DCMAKE_BUILD_TYPE=Release"),
        *(f"-DPython_EXECUTABLE={python}", f"-Dpybind11_DIR={pybind11.get_cmake_dir()}"),
        PYTHONPATH=str(ns3),
        **environment(python),
    )
    run("cmake", "--build", build, "--target", "_vm", **environment(python))
    (old,) = (unpacked / "ns3_qemu").glob("_vm.*.so")
    old.unlink()
    (new,) = (build / "python").glob("_vm.*.so")
    run("strip", "-o", unpacked / "ns3_qemu" / new.name, new)
    (info,) = unpacked.glob("*.dist-info")
    lines = (info / "WHEEL").read_text().splitlines()
    kept = [line for line in lines if line and not line.startswith("Tag: ")]
    (info / "WHEEL").write_text("\n".join([*kept, f"Tag: {tag}-{tag}-linux_x86_64"]) + "\n")


def finish(unpacked: Path) -> None:
    """Say in the wheel's own records what it is now."""
    (info,) = unpacked.glob("*.dist-info")
    metadata = (info / "METADATA").read_text()
    head, blank, body = metadata.partition("\n\n")
    lines = []
    for line in head.splitlines():
        name = re.match(r"Requires-Dist: ([A-Za-z0-9._-]+)(.*)", line)
        if name and name[1] == "ns3":
            # It is inside. Who has it separately has to have this version.
            lines += ["Provides-Extra: ns3", f'{line} ; extra == "ns3"']
        elif not (name and name[1] in NOT_REQUIRED):
            lines.append(line)
    (info / "METADATA").write_text("\n".join(lines) + blank + body)
    tags = (info / "WHEEL").read_text()
    (info / "WHEEL").write_text(tags.replace("-linux_x86_64", f"-{check_wheel.PLATFORM}"))


def found(name: str, cache: Cache, steps: Steps) -> Path:
    """Return the Python that the command line names."""
    kind, colon, release = name.partition(":")
    if colon and kind == "debian":
        return debian_python.ensure(cache, steps, release, TREE / "build" / "python" / release)
    if not (python := shutil.which(name)):
        sys.exit(f"FAILED: there is no {name}. Install it, or name another: make wheel PYTHONS=...")
    return Path(python)


def tag_of(python: Path) -> str:
    """Return the tag of a Python, such as cp311."""
    asked = [python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def build_wheel(
    python: Path, package: Path, cache: Cache, qemu: toolchain.Qemu, sources: str
) -> Path:
    """Build the wheel for one Python, from the package as it is built here."""
    tag = tag_of(python)
    work = WORK / tag
    # ns-3's bindings want to be below a directory of this name.
    bundled = work / "python" / "bundled"
    say(f"{tag}: ns-3 and its bindings")
    headers(bundled / "cxx")
    site(python, bundled / "site", bundled / "cxx")
    shutil.copytree(qemu.directory, bundled / "qemu" / qemu.directory.name)
    (bundled / "keyrings").mkdir()
    shutil.copy(apt.KEYRING, bundled / "keyrings")
    (bundled / "SOURCES.md").write_text(sources)
    licenses(bundled / "licenses", cache, qemu)
    unpacked = work / package.name
    shutil.copytree(package, unpacked)
    if tag != tag_of(Path(sys.executable)):
        say(f"{tag}: the extension")
        for_python(python, tag, unpacked, bundled / "site")
    bundled.rename(unpacked / "ns3_qemu" / "bundled")
    (unpacked / "ns3_qemu_bundled.pth").write_text("ns3_qemu/bundled/site\n")
    finish(unpacked)
    say(f"{tag}: packing")
    DIST.mkdir(exist_ok=True)
    run(sys.executable, "-m", "wheel", "pack", "--dest-dir", DIST, unpacked)
    shutil.rmtree(work)
    return max(DIST.glob(f"*-{tag}-{tag}-*.whl"), key=lambda file: file.stat().st_mtime)


def _fetch(step: Step, cache: Cache, steps: Steps, suite: str, package: str, where: Path) -> str:
    """Fetch a source package of the version that is here; return that."""
    source = apt.Suite(cache, steps, suite, sources=True)
    version = apt.newest(source.source_versions(package))
    source.download_source(step, package, version, where)
    return version


def ns3_sources(tree: Path) -> None:
    """End the program if a directory does not hold the sources of the ns-3 that is in the wheel."""
    file = tree / "VERSION"
    there = file.read_text().strip() if file.is_file() else "no release"
    if there != NS3:
        sys.exit(f"FAILED: {tree} has the sources of {there}, and not of ns-3 {NS3}")


def enclose(files: Sequence[Path]) -> dict[str, Path]:
    """Return which file has which of ENCLOSED; end the program if one has none."""
    found = {}
    for file in files:
        part = next((part for part in ENCLOSED if part.is_meant(file)), None)
        if part is None:
            names = " or ".join(part.name for part in ENCLOSED)
            sys.exit(f"FAILED: {file.name} is no source of {names}: its name begins with neither")
        if not file.is_file():
            sys.exit(f"FAILED: there is no file {file}")
        if part.sha256 and (found_sha256 := sha256(file)) != part.sha256:
            sys.exit(
                f"FAILED: {file} is not {part.elsewhere}: its SHA-256 is {found_sha256}, and not "
                + part.sha256
            )
        found[part.name] = file
    return found


def sources_text(version: str, qemu: str, ns3: Path | None, enclosed: Mapping[str, Path]) -> str:
    """Return what the wheel says of its sources."""
    said = {
        part.name.lower(): f"there: `sources/{enclosed[part.name].name}`"
        if part.name in enclosed
        else part.elsewhere
        for part in ENCLOSED
    }
    return (
        (TREE / "scripts" / "wheel-sources.md")
        .read_text()
        .format(
            version=version,
            qemu=qemu,
            glib=glib(),
            ns3=f"there: `sources/ns-{NS3}.tar.xz`" if ns3 else NS3_ELSEWHERE,
            **said,
        )
    )


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Have a file belong to nobody in particular."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def pack_ns3(tree: Path, where: Path) -> None:
    """Pack a tree of ns-3, without what is built there."""

    def chosen(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        top = member.name.split("/")[1:2]
        return None if top in (["build"], ["cmake-cache"], [".git"]) else _anonymous(member)

    with tarfile.open(where / f"ns-{NS3}.tar.xz", "w:xz") as archive:
        archive.add(tree, f"ns-{NS3}", filter=chosen)


def fetch_sources(cache: Cache, steps: Steps, qemu: toolchain.Qemu, where: Path) -> None:
    """Put into a directory what Debian has of the sources, under GPL or LGPL, of the wheel."""
    release = next(
        line.removeprefix("VERSION_CODENAME=")
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    with steps.step("wheel-sources", "Fetching sources for the source distribution") as step:
        for file in source_of(cache, qemu).iterdir():
            if file.suffix != ".deb" and file.name != "manifest.json":
                shutil.copy(file, where)
        seabios = _fetch(step, cache, steps, "trixie", "seabios", where)
        if f"_{seabios}_" not in qemu.manifest.packages["seabios"]:
            sys.exit(f"FAILED: Debian's source of SeaBIOS is {seabios}; the firmware is of another")
        found = _fetch(step, cache, steps, release, "glib2.0", where)
        if found != glib():
            sys.exit(f"FAILED: GLib {glib()} is linked into QEMU, but Debian's source is {found}")


def pack_sdist(sources: Path, target: Path) -> Path:
    """Build the source distribution in a directory, with files of another as its sources/."""
    from scikit_build_core.build import build_sdist

    with tempfile.TemporaryDirectory() as work:
        with contextlib.chdir(TREE):
            plain = Path(work, build_sdist(work))
        target.mkdir(exist_ok=True)
        packed = target / plain.name
        with (
            tarfile.open(plain) as old,
            tarfile.open(packed, "w:gz", compresslevel=1) as new,
        ):
            for member in old:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
            top = plain.name.removesuffix(".tar.gz")
            for file in sorted(sources.iterdir()):
                member = new.gettarinfo(file, f"{top}/sources/{file.name}")
                with file.open("rb") as content:
                    new.addfile(_anonymous(member), content)
    return packed


def glib() -> str:
    """Return the version of Debian's GLib that QEMU is linked with here."""
    asked = ["dpkg-query", "-W", "-f", "${source:Version}", "libglib2.0-dev"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(description="Build self-contained wheels and the sdist.")
    parser.add_argument("--no-sdist", action="store_true", help="wheels only")
    parser.add_argument("--ns3", type=Path, metavar="TREE", help="the sources of ns-3")
    parser.add_argument(
        "--source",
        type=Path,
        metavar="FILE",
        action="append",
        default=[],
        help="that of GSL, BRITE",
    )
    parser.add_argument("python", nargs="*", default=[sys.executable, "debian:trixie"])
    arguments = parser.parse_args()
    if arguments.ns3:
        ns3_sources(arguments.ns3)
    enclosed = enclose(arguments.source)
    cache = Cache()
    steps = Steps(cache.logs)
    pythons = [found(name, cache, steps) for name in arguments.python]
    qemu = toolchain.ensure(cache, steps)
    sources = sources_text(
        check_wheel.version(TREE), qemu.manifest.version, arguments.ns3, enclosed
    )
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    package = plain()
    wheels = [build_wheel(python, package, cache, qemu, sources) for python in pythons]
    if not arguments.no_sdist:
        with tempfile.TemporaryDirectory(dir=WORK) as where:
            fetch_sources(cache, steps, qemu, Path(where))
            if arguments.ns3:
                pack_ns3(arguments.ns3, Path(where))
            for file in enclosed.values():
                shutil.copy(file, where)
            pack_sdist(Path(where), DIST)
        lacks = [f"ns-3 {NS3} (NS3=TREE)"] if not arguments.ns3 else []
        lacks += [f"{part.name} (SOURCES=FILE)" for part in ENCLOSED if part.name not in enclosed]
        if lacks:
            say(f"the sdist is without the sources of {', '.join(lacks)}: make wheel with those")
    for wheel in wheels:
        problems = check_wheel.examine(wheel)
        print(
            "\n".join([f"{wheel.relative_to(TREE)}: {wheel.stat().st_size >> 20} MiB", *problems])
        )
        if problems:
            sys.exit(1)


if __name__ == "__main__":
    main()
