# SPDX-License-Identifier: GPL-2.0-only
"""Says what is wrong with a self-contained wheel: missing parts and libraries, symbols too new.

    usage: .venv/bin/python scripts/check_wheel.py WHEEL

That a wheel of platform manylinux_2_36 runs where the C library is 2.36 or newer (PEP 600) is seen
from what its programs and libraries want of others: which libraries, and which versions of symbols.
"""

import io
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

PLATFORM = "manylinux_2_36_x86_64"

# Debian 12's: glibc, and libstdc++ of gcc 12.
NEWEST = {"GLIBC": (2, 36), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GCC": (12, 0, 0)}

# Libraries that every Debian has, even the smallest (PEP 600's list, as far as it is wanted).
OF_THE_SYSTEM = frozenset(
    {
        *("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1"),
        *("libpthread.so.0", "libutil.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"),
    }
)

PARTS = (
    r"ns3_qemu/_vm\.cpython-3\d+-x86_64-linux-gnu\.so",
    r"ns3_qemu/lib/libqemu-module\.so",
    r"ns3_qemu/relay/ns3-qemu-relay",
    r"ns3_qemu/bundled/SOURCES\.md",
    r"ns3_qemu/bundled/licenses/LGPL-2\.1",
    r"ns3_qemu/bundled/qemu/[0-9a-f]{16}/bin/qemu-system-x86_64",
    r"ns3_qemu/bundled/qemu/[0-9a-f]{16}/firmware/bios-256k\.bin",
    r"ns3_qemu/bundled/site/ns3/lib64/libns3\.44-core\.so",
    r"ns3_qemu/bundled/site/ns3/include/boost/static_assert\.hpp",
    r"ns3_qemu/bundled/site/libcppyy\.cpython-3\d+-x86_64-linux-gnu\.so",
    r"ns3_qemu/bundled/site/cppyy_backend/lib/libcppyy_backend\.so",
    r"ns3_qemu/bundled/site/cppyy/allDict\.cxx\.pch\..+",
    r"ns3_qemu/bundled/site/include/python/CPyCppyy/API\.h",
    r"ns3_qemu/bundled/site/include/python/Python\.h",
    r"ns3_qemu/bundled/cxx/usr/include/c\+\+/\d+/vector",
    r"ns3_qemu_bundled\.pth",
    r"ns3_qemu-.+\.dist-info/licenses/LICENSE",
)

_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)")


def version(tree: Path) -> str:
    """Return the version of the package in a checkout."""
    project = tomllib.loads((tree / "pyproject.toml").read_text())
    return str(project["project"]["version"])


def needs(data: bytes) -> tuple[list[str], list[str]] | None:
    """Return the libraries and the versions of symbols that a program wants; None if it is none."""
    if data[:4] != b"\x7fELF":
        return None
    try:
        elf = ELFFile(io.BytesIO(data))
        libraries, versions = [], []
        for section in elf.iter_sections():
            if isinstance(section, DynamicSection):
                libraries += [
                    tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"
                ]
            elif isinstance(section, GNUVerNeedSection):
                for _, wanted in section.iter_versions():
                    versions += [each.name for each in wanted]
    except ELFError:
        return None
    return libraries, versions


def too_new(wanted: str) -> bool:
    """Return whether a version of a symbol, such as GLIBC_2.38, is newer than may be."""
    match = _VERSION.fullmatch(wanted)
    if not match:
        return False
    return tuple(map(int, match[2].split("."))) > NEWEST[match[1]]


def examine(wheel: Path) -> list[str]:
    """Return all that is wrong with a wheel, a line each."""
    with zipfile.ZipFile(wheel) as archive:
        return list(_examine(wheel, archive))


def _examine(wheel: Path, archive: zipfile.ZipFile) -> Iterator[str]:
    if not wheel.name.endswith(f"-{PLATFORM}.whl"):
        yield f"{wheel.name}: is not for the platform {PLATFORM}"
    names = archive.namelist()
    for part in PARTS:
        if not any(re.fullmatch(part, name) for name in names):
            yield f"{wheel.name}: has no {part}"
    inside = {PurePosixPath(name).name for name in names}
    for name in names:
        if not (wanted := needs(archive.read(name))):
            continue
        for library in wanted[0]:
            if library not in OF_THE_SYSTEM | inside:
                yield f"{name}: wants {library}, which is not in the wheel"
        for symbol in sorted(set(wanted[1])):
            if too_new(symbol):
                yield f"{name}: wants {symbol}"
    metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    for line in archive.read(metadata).decode().splitlines():
        if re.match(r"Requires-Dist: (ns3|cppyy)\b(?!.*extra)", line):
            yield f"{metadata}: {line}: has to be built where it is installed"


if __name__ == "__main__":
    found = examine(Path(sys.argv[1]))
    print("\n".join(found) or "nothing is wrong")
    sys.exit(bool(found))
