# SPDX-License-Identifier: GPL-2.0-only
"""Disks of guests: raw files with a file system, or a partition table, or nothing at all on them.

A disk's file stays where it is: machines read it there, and never write it. What is on it is told
by its own bytes, whatever its name.
"""

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from .errors import ImageError

SECTOR = 512

# Linux names disks by a letter, and the PCI bus of a machine has 32 places.
MOST = 16

# The kernel modules that a file system needs, and those that it loads by itself when it is mounted,
# where a kernel has them.
_MODULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ext4": ("ext4", ("crc32c_generic",)),
    "xfs": ("xfs", ("crc32c_generic",)),
    "btrfs": ("btrfs", ("crc32c_generic", "xxhash_generic", "blake2b_generic", "sha256_generic")),
    "f2fs": ("f2fs", ("crc32_generic",)),
    "squashfs": ("squashfs", ()),
    "erofs": ("erofs", ()),
    "iso9660": ("isofs", ()),
    "vfat": ("vfat", ("nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8")),
}

# Those that cannot be written, whatever they are on.
READ_ONLY = ("squashfs", "erofs", "iso9660")

# Those that a root file system can be on; a partition of the firmware's is none.
_ROOTS = ("ext4", "xfs", "btrfs", "f2fs", *READ_ONLY)

# Where a file system says what it is: offset, bytes.
_SIGNATURES: dict[str, tuple[tuple[int, bytes], ...]] = {
    "squashfs": ((0, b"hsqs"),),
    "xfs": ((0, b"XFSB"),),
    "ext4": ((1024 + 0x38, b"\x53\xef"),),
    "erofs": ((1024, b"\xe2\xe1\xf5\xe0"),),
    "f2fs": ((1024, b"\x10\x20\xf5\xf2"),),
    "iso9660": ((0x8001, b"CD001"),),
    "btrfs": ((0x10040, b"_BHRfS_M"),),
    "vfat": ((54, b"FAT12   "), (54, b"FAT16   "), (82, b"FAT32   ")),
}

# Directories that the guest itself mounts.
_MOUNTED = ("/dev", "/proc", "/run", "/sys", "/tmp")


@dataclass(frozen=True)
class Disk:
    """A disk of a guest's."""

    file: str
    size: int  # bytes
    modified: int  # ns since 1970
    kind: str = ""  # of its file system
    mount: str = ""  # where that is mounted; "": nowhere
    partition: int = 0  # that has the file system; 0: the whole disk
    read_only: bool = False

    @property
    def modules(self) -> tuple[str, ...]:
        """The kernel modules that it needs, besides the disk's own driver."""
        if not self.mount:
            return ()
        overlay = ("overlay",) if self.mount == "/" and self.read_only else ()
        return (_MODULES[self.kind][0], *overlay)

    @property
    def companions(self) -> tuple[str, ...]:
        """The modules that these look for when they are used; not every kernel has them."""
        return _MODULES[self.kind][1] if self.mount else ()

    def written(self) -> int | None:
        """Return when its file system was last written, in s since 1970, by what is on it.

        None where that does not say: xfs, btrfs, f2fs and vfat.
        """
        with Path(self.file).open("rb") as file:
            start = _partitions(file).get(self.partition, 0) if self.partition else 0
            return _written(file, start, self.kind or _kind(file, start))

    def __str__(self) -> str:
        """Return what it is, for people."""
        return f"disk {self.file}" + (f" on {self.mount}" if self.mount else "")

    def lines(self) -> Iterator[str]:
        """Yield what the simulator must know of it, a line "key=value" each: see `image`."""
        yield f"disk={self.file}"
        yield f"disk-size={self.size}"
        yield f"disk-modified={self.modified}"
        if self.mount:
            yield f"disk-type={self.kind}"
            yield f"disk-mount={self.mount}"
            yield f"disk-partition={self.partition}"
            yield f"disk-read-only={int(self.read_only)}"


def is_root(path: Path) -> bool:
    """Say whether a file has a file system that can be a guest's root, or partitions."""
    try:
        with path.open("rb") as file:
            return _kind(file, 0) in _ROOTS or bool(_partitions(file))
    except OSError:
        return False


def root(path: Path) -> Disk:
    """Return a disk whose file system is to be the guest's root. Raises ImageError."""
    disk = _described(path)
    kind, partition = _find(path, _ROOTS, None)
    return replace(disk, kind=kind, mount="/", partition=partition, read_only=kind in READ_ONLY)


def of_file(
    path: Path, mount: str | None, *, writable: bool = True, partition: int | None = None
) -> Disk:
    """Return a disk, whose file system is to be mounted there, if anywhere. Raises ImageError."""
    disk = _described(path)
    if mount is None:
        return disk
    _check_mount(mount)
    kind, number = _find(path, tuple(_MODULES), partition)
    read_only = not writable or kind in READ_ONLY
    return replace(disk, kind=kind, mount=mount, partition=number, read_only=read_only)


def _described(path: Path) -> Disk:
    try:
        real = path.expanduser().resolve(strict=True)
        status = real.stat()
    except OSError as error:
        message = f"cannot use the disk {path}: {error.strerror}"
        raise ImageError(message, "Give the path of a raw disk image.") from error
    if not stat.S_ISREG(status.st_mode):
        message = f"the disk {path} is not a regular file"
        raise ImageError(message, "Copy it into one: dd if=... of=disk.raw")
    if status.st_size == 0 or status.st_size % SECTOR:
        message = f"the disk {path} has {status.st_size} bytes, not a multiple of {SECTOR}"
        advice = "Give a raw disk image: qemu-img convert -O raw makes one of another form."
        raise ImageError(message, advice)
    if not os.access(real, os.R_OK):
        message = f"cannot read the disk {path}"
        raise ImageError(message, "The user who builds the image must be able to read it.")
    if not str(real).isprintable():
        message = f"the path of the disk {path} is not a line of text"
        raise ImageError(message, "Rename it.")
    return Disk(str(real), status.st_size, status.st_mtime_ns)


def _check_mount(mount: str) -> None:
    path = PurePosixPath(mount)
    if not mount.isprintable() or not path.is_absolute() or ".." in path.parts:
        message = f"not an absolute path for the guest: {mount!r}"
        raise ImageError(message, "Say for example mount='/mnt'.")
    if str(path) == "/":
        message = "a disk cannot be mounted on / of a root file system"
        raise ImageError(message, "Say Image(rootfs=PATH) for a disk with the whole root.")
    if any(mount == own or mount.startswith(f"{own}/") for own in _MOUNTED):
        message = f"no disk can be mounted on {mount}: the guest mounts something there"
        raise ImageError(message, "Say for example mount='/mnt'.")


def _find(path: Path, kinds: tuple[str, ...], partition: int | None) -> tuple[str, int]:
    """Return type and partition of a disk's file system."""
    with path.expanduser().open("rb") as file:
        whole = _kind(file, 0)
        if whole and partition is None:
            return whole, 0
        found = {number: _kind(file, start) for number, start in _partitions(file).items()}
    usable = {number: kind for number, kind in found.items() if kind in kinds}
    if partition is not None:
        usable = {number: kind for number, kind in usable.items() if number == partition}
    if len(usable) == 1:
        ((number, kind),) = usable.items()
        return kind, number
    there = ", ".join(f"{number} ({kind or 'unknown'})" for number, kind in found.items())
    if not found:
        message = f"the disk {path} has no file system that is known"
        advice = f"Known are {', '.join(kinds)}; mke2fs -t ext4 -d DIR disk.ext4 4G makes one."
    elif usable:
        message = f"the disk {path} has several partitions with a file system: {there}"
        advice = "Say which: image.disk(..., partition=1)."
    else:
        message = f"the disk {path} has no such partition with a file system that is known"
        advice = f"It has {there}."
    raise ImageError(message, advice)


def _kind(file: BinaryIO, start: int) -> str:
    """Return the type of the file system that begins there; "" if none is known."""
    for kind, signatures in _SIGNATURES.items():
        for offset, signature in signatures:
            file.seek(start + offset)
            if file.read(len(signature)) == signature:
                return kind
    return ""


def _written(file: BinaryIO, start: int, kind: str) -> int | None:
    """Return the date in a superblock, in s since 1970.

    ext4: s_mkfs_time and s_wtime with their high bytes; squashfs: the archive's date (Linux,
    fs/squashfs/squashfs_fs.h); EROFS: build_time; ISO 9660 (ECMA-119, 8.4.27): modified.
    """

    def number(offset: int, form: str) -> int:
        file.seek(start + offset)
        data = file.read(struct.calcsize(form))
        return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else 0

    if kind == "ext4":
        block = 1024
        return max(
            number(block + low, "<I") + (number(block + high, "<B") << 32)
            for low, high in ((0x108, 0x276), (0x30, 0x274))
        )
    if kind == "squashfs":
        return number(8, "<I")
    if kind == "erofs":
        return number(1024 + 24, "<Q")
    if kind == "iso9660":
        file.seek(start + 0x8000 + 830)
        text = file.read(14).decode("ascii", errors="replace")
        try:
            moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None
        return int(moment.timestamp())
    return None


def _partitions(file: BinaryIO) -> dict[int, int]:
    """Return where partitions begin, by number: of a GPT (UEFI 2.10, 5.3), or primary ones."""
    file.seek(0)
    record = file.read(SECTOR)
    if len(record) < SECTOR or record[510:] != b"\x55\xaa":
        return {}
    header = file.read(SECTOR)
    if header[:8] == b"EFI PART":
        (first,) = struct.unpack_from("<Q", header, 72)
        count, size = struct.unpack_from("<II", header, 80)
        if not 128 <= size <= 4096 or count > 1024:
            return {}
        file.seek(first * SECTOR)
        entries = [file.read(size) for _ in range(count)]
        return {
            number: struct.unpack_from("<Q", entry, 32)[0] * SECTOR
            for number, entry in enumerate(entries, 1)
            if len(entry) == size and entry[:16] != bytes(16)
        }
    found = {}
    for number in range(1, 5):
        kind, start = struct.unpack_from("<4xB3xI", record, 446 + 16 * (number - 1))
        if kind and start:
            found[number] = start * SECTOR
    return found
