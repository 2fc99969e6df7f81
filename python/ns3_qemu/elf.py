# SPDX-License-Identifier: GPL-2.0-only
"""What a program needs besides itself, as its file says: its interpreter, its shared libraries.

Nothing is executed: the search is the dynamic loader's own (ld.so(8)), done on the files.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from .errors import ImageError

_MAGIC = b"\x7fELF"

# Where Debian's loader looks in the end, and those of other systems.
_DEFAULT_DIRECTORIES = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)

# musl's loader is its C library, whatever part of it a program asks for.
_MUSL_OWN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.")
_MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")

# What glibc opens when a program runs, without its file saying so: names of hosts and users (up to
# 2.33), and what ends a thread.
_GLIBC_OPENS = ("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1")


@dataclass(frozen=True)
class Elf:
    """What matters here of an executable or a shared library."""

    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


@dataclass(frozen=True)
class Library:
    """A shared library that a program needs: where it is, and where it is to be in the guest."""

    host: str
    guest: str
    listed: bool = False  # found in a directory that only the loader's own list names


def inspect(data: bytes, path: str) -> Elf | None:
    """Return what an ELF file says, or None if it is none.

    Raises ImageError for one that cannot run on a 64-bit PC, and for a broken one.
    """
    if not data.startswith(_MAGIC):
        return None
    try:
        elf = ELFFile(io.BytesIO(data))
        machine = elf.get_machine_arch()
        if elf.elfclass != 64 or elf.header["e_machine"] != "EM_X86_64":
            message = f"{path} is for {machine} ({elf.elfclass} bit)"
            raise ImageError(message, "Guests are x86-64 machines: take its build for amd64.")
        return _read(elf)
    except (ELFError, UnicodeDecodeError, ValueError, KeyError, AttributeError) as error:
        message = f"{path} is a broken ELF file: {error}"
        raise ImageError(message, "Is it whole? Fetch or build it again.") from error


def _read(elf: ELFFile) -> Elf:
    interpreter: str | None = None
    needed: list[str] = []
    paths: dict[str, tuple[str, ...]] = {"DT_RPATH": (), "DT_RUNPATH": ()}
    segments: Iterator[Any] = elf.iter_segments()
    for segment in segments:
        kind = segment.header["p_type"]
        if kind == "PT_INTERP":
            interpreter = segment.get_interp_name()
        elif kind == "PT_DYNAMIC":
            for tag in segment.iter_tags():
                name = tag.entry.d_tag
                if name == "DT_NEEDED":
                    needed.append(tag.needed)
                elif name in paths:
                    text = tag.rpath if name == "DT_RPATH" else tag.runpath
                    paths[name] = tuple(part for part in text.split(":") if part)
    return Elf(interpreter, tuple(needed), paths["DT_RPATH"], paths["DT_RUNPATH"])


@dataclass(frozen=True)
class _Object:
    """A file that the loader has loaded, on behalf of another (the program: of none)."""

    elf: Elf
    host: str
    guest: str
    loader: "_Object | None" = None

    def directories(self) -> Iterator[tuple[str, str]]:
        """Yield (directory here, directory in the guest) as this object itself names them."""
        if self.elf.runpath:
            yield from self._expand(self.elf.runpath)
            return
        loaded: _Object | None = self
        while loaded:
            if not loaded.elf.runpath:
                yield from loaded._expand(loaded.elf.rpath)
            loaded = loaded.loader

    def _expand(self, entries: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for entry in entries:
            for library in ("lib/x86_64-linux-gnu", "lib64", "lib") if "LIB" in entry else ("",):
                here, there = (
                    _substitute(entry, str(Path(path).parent), library)
                    for path in (self.host, self.guest)
                )
                if here.startswith("/"):
                    yield here, there


def _substitute(entry: str, origin: str, library: str) -> str:
    for name, value in (("ORIGIN", origin), ("LIB", library), ("PLATFORM", "x86_64")):
        entry = entry.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return entry


@dataclass
class Loader:
    """Finds libraries as the dynamic loader of this machine would."""

    root: Path = field(default_factory=lambda: Path("/"))

    def libraries(
        self, elf: Elf, host: str, guest: str, *, complete: bool = True
    ) -> dict[str, Library]:
        """Return all libraries that a program (or a library) needs, by name.

        `host`: its path here, symbolic links resolved; `guest`: its path in the guest. Raises
        ImageError if one is missing, unless `complete` is false.
        """
        musl = "ld-musl" in (elf.interpreter or "")
        found: dict[str, Library] = {}
        queue = [_Object(elf, host, guest)]
        for loaded in queue:  # breadth first, as it loads them
            for name in loaded.elf.needed:
                if name in found or (musl and name.startswith(_MUSL_OWN)):
                    continue
                self._take(name, loaded, found, queue, musl=musl, required=complete)
        if any(name.startswith("libc.so.") for name in found):
            for name in _GLIBC_OPENS:
                if name not in found:
                    self._take(name, queue[0], found, queue, musl=musl, required=False)
        return found

    def _take(
        self,
        name: str,
        loaded: _Object,
        found: dict[str, Library],
        queue: list[_Object],
        *,
        musl: bool,
        required: bool,
    ) -> None:
        library = self._find(name, loaded, musl=musl)
        if library is None:
            if required:
                program = queue[0].host
                by = "" if loaded is queue[0] else f" (through {loaded.host})"
                message = f"{program} needs the library {name}{by}, which is not on this machine"
                advice = "Install the package that has it, or take a statically linked program."
                raise ImageError(message, advice)
            return
        found[name] = library
        elf = inspect(Path(library.host).read_bytes(), library.host)
        if elf:
            queue.append(_Object(elf, library.host, library.guest, loaded))

    def _find(self, name: str, loaded: _Object, *, musl: bool) -> Library | None:
        if "/" in name:
            return Library(name, name) if self._fits(name) else None
        for here, there in loaded.directories():
            if self._fits(f"{here}/{name}"):
                return Library(f"{here}/{name}", f"{there}/{name}")
        defaults = self._musl_directories() if musl else _DEFAULT_DIRECTORIES
        listed = () if musl else self._listed_directories()
        # A directory that the loader knows anyway needs no list.
        for directory in (*(d for d in listed if d not in defaults), *defaults):
            path = f"{directory}/{name}"
            if self._fits(path):
                return Library(path, path, listed=directory not in defaults)
        return None

    @staticmethod
    def _fits(path: str) -> bool:
        """Say whether a file is a library for this kind of machine; the loader skips others."""
        try:
            with Path(path).open("rb") as file:
                header = file.read(20)
        except OSError:
            return False
        return header.startswith(_MAGIC + b"\x02\x01") and header[18:20] == b"\x3e\x00"

    def _musl_directories(self) -> tuple[str, ...]:
        try:
            text = os.fsdecode((self.root / "etc/ld-musl-x86_64.path").read_bytes())
        except OSError:
            return _MUSL_DIRECTORIES
        return tuple(part for part in text.replace(":", "\n").split("\n") if part)

    def _listed_directories(self) -> tuple[str, ...]:
        return _read_list(self.root / "etc/ld.so.conf", self.root)


@cache
def _read_list(file: Path, root: Path, depth: int = 0) -> tuple[str, ...]:
    """Return the directories of an ld.so.conf, with what it includes."""
    try:
        text = os.fsdecode(file.read_bytes())
    except OSError:
        return ()
    directories: list[str] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < 8:
            for pattern in words[1:]:
                base = root if pattern.startswith("/") else file.parent
                for included in sorted(base.glob(pattern.removeprefix("/"))):
                    directories += _read_list(included, root, depth + 1)
        elif words[:1] not in (["include"], ["hwcap"]):
            directories += [word for word in words if word.startswith("/")]
    return tuple(dict.fromkeys(directories))
