# SPDX-License-Identifier: GPL-2.0-only
"""Builds self-contained wheels, one for each Python, and the source distribution, into dist/.

    usage: .venv/bin/python scripts/build_wheel.py [--no-sdist] [PYTHON ...]

A wheel has all that a machine with Debian 12 or later lacks to simulate: this package built, the
patched QEMU with its firmware, ns-3 with its Python bindings, and the C++ headers that the
bindings' interpreter reads. `pip install` of it needs no compiler. PYTHON: interpreters to build
for, which have pip; without any it is the one that runs this. What is inside is said by
bundled/SOURCES.md, and checked by check_wheel.py.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import check_wheel
import pybind11

from ns3_qemu import apt, bundle, toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Step, Steps

TREE = Path(__file__).resolve().parents[1]
WORK = TREE / "build" / "wheel"
DIST = TREE / "dist"

# The C++ and C libraries' headers, by Debian package. They are their own source.
HEADERS = ("libstdc++-12-dev", "libc6-dev", "linux-libc-dev", "libcrypt-dev")

# ns-3 and what its bindings are made of, without what has a wheel of its own everywhere.
SITE = ("ns3", "cppyy", "cppyy-backend", "cppyy-cling", "CPyCppyy")

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


def site(python: Path, target: Path, cxx: Path) -> None:
    """Install ns-3 and its bindings, and precompile the interpreter's own headers."""
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
    run(*pip, "--target", target, *pinned(SITE))
    backend = target / "cppyy_backend"
    (old,) = (target / "cppyy").glob("allDict.cxx.pch.*")
    # The one that came about was made from this machine's headers, for this machine's CPU.
    old.unlink()
    run(
        *("env", "-C", backend, python, "etc/dictpch/makepch.py", old, f"-I{backend / 'include'}"),
        EXTRA_CLING_ARGS=bundle.interpreter_options(cxx, native=False),
        PYTHONPATH=str(target),
    )


def plain() -> Path:
    """Build the package as it is installed here; return the wheel, unpacked."""
    target = WORK / "plain"
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
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
    )
    run("cmake", "--build", build, "--target", "_vm")
    (old,) = (unpacked / "ns3_qemu").glob("_vm.*.so")
    old.unlink()
    (new,) = (build / "python").glob("_vm.*.so")
    run("strip", "-o", unpacked / "ns3_qemu" / new.name, new)
    (info,) = unpacked.glob("*.dist-info")
    lines = (info / "WHEEL").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("Tag: ")]
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
    # Programs of the tests, which are not here.
    shutil.rmtree(unpacked / "ns3_qemu" / "tests", ignore_errors=True)


def tag_of(python: Path) -> str:
    """Return the tag of a Python, such as cp311."""
    asked = [python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def build_wheel(python: Path, package: Path, qemu: toolchain.Qemu, sources: str) -> Path:
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


def build_sdist(cache: Cache, steps: Steps, qemu: toolchain.Qemu) -> None:
    """Build the source distribution, with the sources of what is in the wheel under GPL or LGPL."""
    from scikit_build_core.build import build_sdist as build

    where = WORK / "sources"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    release = next(
        line.removeprefix("VERSION_CODENAME=")
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    with steps.step("wheel-sources", "Fetching sources for the source distribution") as step:
        (download,) = cache.downloads.glob(f"qemu-{qemu.manifest.version.partition(':')[2]}")
        for file in download.iterdir():
            if file.suffix != ".deb" and file.name != "manifest.json":
                shutil.copy(file, where)
        _fetch(step, cache, steps, "trixie", "seabios", where)
        found = _fetch(step, cache, steps, release, "glib2.0", where)
        if found != glib():
            sys.exit(f"FAILED: GLib {glib()} is linked into QEMU, but Debian's source is {found}")
    os.chdir(TREE)
    plain = WORK / build(str(WORK))
    DIST.mkdir(exist_ok=True)
    with (
        tarfile.open(plain) as old,
        tarfile.open(DIST / plain.name, "w:gz", compresslevel=1) as new,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        top = plain.name.removesuffix(".tar.gz")
        for file in sorted(where.iterdir()):
            member = new.gettarinfo(file, f"{top}/sources/{file.name}")
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            with file.open("rb") as content:
                new.addfile(member, content)
    plain.unlink()
    shutil.rmtree(where)


def glib() -> str:
    """Return the version of Debian's GLib that QEMU is linked with here."""
    asked = ["dpkg-query", "-W", "-f", "${source:Version}", "libglib2.0-dev"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(description="Build self-contained wheels and the sdist.")
    parser.add_argument("--no-sdist", action="store_true", help="wheels only")
    parser.add_argument("python", nargs="*", type=Path, default=[Path(sys.executable)])
    arguments = parser.parse_args()
    cache = Cache()
    steps = Steps(cache.logs)
    qemu = toolchain.ensure(cache, steps)
    template = TREE / "scripts" / "wheel-sources.md"
    sources = template.read_text().format(
        version=check_wheel.version(TREE), qemu=qemu.manifest.version, glib=glib()
    )
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    package = plain()
    wheels = [build_wheel(python, package, qemu, sources) for python in arguments.python]
    if not arguments.no_sdist:
        build_sdist(cache, steps, qemu)
    for wheel in wheels:
        problems = check_wheel.examine(wheel)
        print(
            "\n".join([f"{wheel.relative_to(TREE)}: {wheel.stat().st_size >> 20} MiB", *problems])
        )
        if problems:
            sys.exit(1)


if __name__ == "__main__":
    main()
