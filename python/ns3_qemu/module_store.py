# SPDX-License-Identifier: GPL-2.0-only
"""All modules of a kernel in one file, from which guests load those that they need.

A machine shows the file to its guest as the memory of a PCI device (sim-store), which takes
nothing of the guest's own: it is read when the guest's modprobe (relay/modprobe.c) looks for a
module, and all machines share it. Little-endian:

    0       "ns3-qemu modules", then the version (u32), 4 bytes of 0, and as u64 each: where the
            index is, its length, where in it the patterns begin
    64      the modules, unpacked, each at a multiple of 64
    index   lines of text: a letter, a blank, a module's name, and what is said of it
    ...     zeros up to a power of two

    m NAME OFFSET LENGTH NEEDED...  a module, and what must be loaded before it, in this order
    b NAME                          it is built in
    s NAME pre: ... post: ...       what is to be loaded before and after it if it can be
    a NAME ALIAS                    it is asked for by this name, too
    p NAME PATTERN                  the same with wildcards, as of devices; these come last

Names have '_' where files have '-', and so have aliases, but not within brackets.
"""

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from .cache import Cache, read_manifest
from .kernel import Kernel, Module, builtins, files, modinfo, normal
from .steps import Steps

_VERSION = 1
_HEADER = struct.Struct("<16sIIQQQ16x")
_ALIGNMENT = 64
_LEAST = 2**20  # bytes

_NAME_MAX = 63  # bytes


class _Manifest(msgspec.Struct, frozen=True):
    """What a store in the cache is: its manifest.json."""

    kernel: str
    release: str
    sha256: str


@dataclass(frozen=True)
class Store:
    """A store that is ready to be put into an image."""

    file: Path
    sha256: str

    @property
    def size(self) -> int:
        """Its size in bytes, a power of two."""
        return self.file.stat().st_size


def ensure(cache: Cache, steps: Steps, kernel: Kernel) -> Store | None:
    """Return a kernel's store, made if it is missing; None for a kernel without modules."""
    if kernel.modules is None or not files(kernel.modules):
        return None
    final = cache.modules / _key(kernel.modules)

    def build(result: Path, _work: Path) -> None:
        with steps.step("modules", f"Reading the modules of {kernel.name}"):
            with (result / "store").open("wb") as file:
                write(kernel, file)
            digest = hashlib.sha256((result / "store").read_bytes()).hexdigest()
            manifest = _Manifest(kernel.name, kernel.release, digest)
            (result / "manifest.json").write_bytes(
                msgspec.json.format(msgspec.json.encode(manifest))
            )

    cache.produce(final, build, steps.waiting("Kernel modules"))
    return _of(final)


def find(cache: Cache, kernel: Kernel) -> Store | None:
    """Return a kernel's store if it has been made."""
    if kernel.modules is None:
        return None
    final = cache.modules / _key(kernel.modules)
    return _of(final) if final.is_dir() else None


def _of(directory: Path) -> Store:
    manifest = read_manifest(directory, _Manifest)
    return Store(directory / "store", manifest.sha256)


def _key(directory: Path) -> str:
    """Name a store by the files that it is made from, as make(1) knows them."""
    whole = hashlib.sha256(f"{_VERSION}\n".encode())
    for file in [*files(directory).values(), *sorted(directory.glob("modules.builtin*"))]:
        status = file.stat()
        name = file.relative_to(directory)
        whole.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return whole.hexdigest()[:16]


def write(kernel: Kernel, file: BinaryIO) -> None:
    """Write the store of a kernel that has modules into an empty file."""
    assert kernel.modules is not None
    index = _Index()
    file.write(bytes(_HEADER.size))
    for name, path in files(kernel.modules).items():
        if len(name.encode()) > _NAME_MAX:
            continue  # no kernel takes it
        data = Module(name, path).read()
        file.write(bytes(-file.tell() % _ALIGNMENT))
        index.add(name, file.tell(), data)
        file.write(data)
    index.add_builtin(kernel.modules)
    text, patterns = index.text()
    offset = file.tell()
    file.write(text)
    size = max(_LEAST, 1 << (file.tell() - 1).bit_length())
    file.truncate(size)
    file.seek(0)
    header = _HEADER.pack(b"ns3-qemu modules", _VERSION, 0, offset, len(text), patterns)
    file.write(header)


class _Index:
    """What is said of the modules."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._needs: dict[str, list[str]] = {}
        self._builtin: set[str] = set()
        self._lines: set[str] = set()  # about soft dependencies and aliases
        self._patterns: set[str] = set()

    def add(self, name: str, offset: int, data: bytes) -> None:
        """Add a module that is in the store."""
        said = modinfo(data)
        self._places[name] = (offset, len(data))
        self._needs[name] = [normal(word) for line in said["depends"] for word in _split(line)]
        self._say(name, said["alias"], said["softdep"])

    def add_builtin(self, directory: Path) -> None:
        """Add what is built in, as far as the kernel's build says so."""
        self._builtin |= builtins(directory) or set()
        described = directory / "modules.builtin.modinfo"
        lines = described.read_bytes().decode(errors="replace") if described.exists() else ""
        for line in lines.split("\0"):
            if match := re.fullmatch(r"([^.=]+)\.alias=(.*)", line):
                self._say(normal(match[1]), [match[2]], [])

    def _say(self, name: str, aliases: list[str], companions: list[str]) -> None:
        for alias in map(_plain, aliases):
            if not alias.isprintable():
                continue
            if re.search(r"[*?[]", alias):
                self._patterns.add(f"p {name} {alias}")
            else:
                self._lines.add(f"a {name} {alias}")
        if companions:
            self._lines.add(f"s {name} {' '.join(companions)}")

    def text(self) -> tuple[bytes, int]:
        """Return all lines, and where the patterns begin."""
        modules = [
            " ".join(["m", name, *map(str, place), *self._ordered(name)])
            for name, place in sorted(self._places.items())
        ]
        builtin = [f"b {name}" for name in sorted(self._builtin - self._places.keys())]
        first = _lines([*modules, *builtin, *sorted(self._lines)])
        return first + _lines(sorted(self._patterns)), len(first)

    def _ordered(self, name: str) -> Iterator[str]:
        """Yield all that a module needs, also by way of others, in the order of loading."""
        done: set[str] = {name}

        def visit(module: str) -> Iterator[str]:
            for needed in self._needs.get(module, []):
                if needed not in done:
                    done.add(needed)
                    yield from visit(needed)
                    yield needed

        yield from visit(name)


def _split(words: str) -> list[str]:
    return [word for word in words.split(",") if word]


def _plain(alias: str) -> str:
    """Return an alias as names are compared."""
    return "".join(
        part if part.startswith("[") else part.replace("-", "_")
        for part in re.split(r"(\[[^]]*\])", alias)
    )


def _lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
