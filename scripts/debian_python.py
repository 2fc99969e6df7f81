# SPDX-License-Identifier: GPL-2.0-only
"""The Python of another release of Debian, to build for: fetched from there, and run here.

It runs with the C library of its own release, by which it is started; what is compiled for it, with
its headers, is compiled by this machine's compiler, and needs no newer C library than that has.
Nothing is installed.
"""

import re
import shutil
from pathlib import Path

from ns3_qemu import apt, archive
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Steps

_LIBRARIES = Path("usr", "lib", "x86_64-linux-gnu")

_START = (
    "#!/bin/sh\n"
    'exec env PYTHONHOME={root}/usr {root}/{libraries}/ld-linux-x86-64.so.2 --argv0 "$0"'
    ' --library-path {root}/{libraries} {root}/usr/bin/{name} "$@"\n'
)


def headers(python: Path) -> Path | None:
    """Return where headers of such a Python look for others of theirs; None if it is another."""
    directory = python.parent / "root" / "usr" / "include"
    return directory if directory.is_dir() else None


def ensure(cache: Cache, steps: Steps, release: str, directory: Path) -> Path:
    """Return a release's Python, which is put into a directory if it is not there.

    Raises StepError (which step, its log, what to do) or AptError.
    """
    if found := list(directory.glob("python3.*")):
        return found[0]
    suite = apt.Suite(cache, steps, release)
    suite.refresh()
    default = suite.binary_versions("python3")
    depends = default[apt.newest(default)]["depends"]
    name = next(iter(re.findall(r"\bpython3\.\d+", depends)))
    wanted = {name: "", f"lib{name}-dev": ""}
    for package in wanted:
        wanted[package] = apt.newest(suite.binary_versions(package))
    packages = suite.installation(wanted)
    # Of headers, only its own: the others are this machine's.
    chosen = {
        package: version
        for package, version in packages.items()
        if package in wanted or not package.endswith("-dev")
    }
    shutil.rmtree(directory, ignore_errors=True)
    root = directory / "root"
    root.mkdir(parents=True)
    with steps.step("debian-python", f"Fetching {name} of Debian {release}") as step:
        for file in suite.download(step, chosen, directory).values():
            archive.extract(step, file, root)
            file.unlink()
    start = directory / name
    part = directory / "start"
    part.write_text(_START.format(root=root, libraries=_LIBRARIES, name=name))
    part.chmod(0o755)
    part.rename(start)
    return start
