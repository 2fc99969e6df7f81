# SPDX-License-Identifier: GPL-2.0-only
"""Writes initramfs archives: the "newc" form of cpio that Linux unpacks at boot.

The same entries always give the same bytes: sorted by path, dated 1970. It needs no root: device
nodes and owners are only entries in the archive.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One file system object. `path` is absolute, as the guest sees it."""

    path: str
    mode: int  # type and permissions, as in st_mode
    data: bytes = b""  # contents, or target of a symbolic link
    device: tuple[int, int] = (0, 0)  # major, minor
    owner: tuple[int, int] = (0, 0)  # user, group

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def file(path: str, data: bytes, permissions: int = 0o644) -> Entry:
    """Return a regular file."""
    return Entry(path, stat.S_IFREG | permissions, data)


def directory(path: str, permissions: int = 0o755) -> Entry:
    """Return a directory."""
    return Entry(path, stat.S_IFDIR | permissions)


def symlink(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))


def character_device(path: str, major: int, minor: int, permissions: int = 0o600) -> Entry:
    """Return a character device node."""
    return Entry(path, stat.S_IFCHR | permissions, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive in one piece; see `blocks`."""
    return b"".join(blocks(entries))


def blocks(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the archive piece by piece. Missing parent directories are added.

    Raises ValueError if two entries have one path, or a path is not absolute and plain.
    """
    by_path: dict[str, Entry] = {}
    for entry in entries:
        path = PurePosixPath(entry.path)
        if (
            not path.is_absolute()
            or ".." in path.parts
            or str(path) != entry.path
            or str(path) == "/"
        ):
            message = f"not an absolute path of a file: {entry.path!r}"
            raise ValueError(message)
        if entry.path in by_path:
            message = f"two entries for {entry.path}"
            raise ValueError(message)
        by_path[entry.path] = entry
    for entry_path in list(by_path):
        for parent in PurePosixPath(entry_path).parents:
            if str(parent) != "/":
                by_path.setdefault(str(parent), directory(str(parent)))

    # A parent sorts before what is in it, as the kernel needs it.
    for inode, name in enumerate(sorted(by_path, key=os.fsencode), start=1):
        yield _record(by_path[name], inode)
    yield _record(Entry(f"/{_TRAILER}", 0), 0)


def _record(entry: Entry, inode: int) -> bytes:
    name = os.fsencode(entry.path.removeprefix("/")) + b"\0"
    major, minor = entry.device
    user, group = entry.owner
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # inode, mode, uid, gid, links, mtime, size, device (2), device node (2), name size, checksum
    size = len(entry.data)
    numbers = (inode, entry.mode, user, group, links, 0, size, 0, 0, major, minor, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
