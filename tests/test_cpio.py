# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs archive, read back by a reader that was written from the format's description."""

import os
import stat
from dataclasses import dataclass

import pytest

from ns3_qemu import cpio


@dataclass
class Member:
    mode: int
    owner: tuple[int, int]
    mtime: int
    device: tuple[int, int]
    data: bytes


def read(archive: bytes) -> dict[str, Member]:
    members: dict[str, Member] = {}
    offset = 0
    while True:
        assert archive[offset : offset + 6] == b"070701"
        numbers = [int(archive[offset + 6 + 8 * i : offset + 14 + 8 * i], 16) for i in range(13)]
        _, mode, uid, gid, _, mtime, size, _, _, major, minor, name_size, _ = numbers
        name = archive[offset + 110 : offset + 110 + name_size]
        assert name.endswith(b"\0")
        start = (offset + 110 + name_size + 3) & ~3
        offset = (start + size + 3) & ~3
        if name == b"TRAILER!!!\0":
            assert offset == len(archive)
            return members
        data = archive[start : start + size]
        members[name[:-1].decode()] = Member(mode, (uid, gid), mtime, (major, minor), data)


ENTRIES = [
    cpio.file("/init", b"\x7fELF and more", 0o755),
    cpio.file("/etc/ns3-qemu/modules", b"/lib/modules/virtio.ko\n"),
    cpio.directory("/tmp", 0o1777),
    cpio.symlink("/bin/sh", "/init"),
    cpio.character_device("/dev/console", 5, 1),
]


def test_what_goes_in_comes_out() -> None:
    members = read(cpio.archive(ENTRIES))
    assert members["init"].data == b"\x7fELF and more"
    assert members["init"].mode == stat.S_IFREG | 0o755
    assert members["tmp"].mode == stat.S_IFDIR | 0o1777
    assert members["bin/sh"].data == b"/init"
    assert stat.S_ISLNK(members["bin/sh"].mode)
    assert stat.S_ISCHR(members["dev/console"].mode)
    assert members["dev/console"].device == (5, 1)


def test_everything_is_roots_and_of_1970() -> None:
    for member in read(cpio.archive(ENTRIES)).values():
        assert member.owner == (0, 0)
        assert member.mtime == 0


def test_parents_are_there_and_come_first() -> None:
    names = list(read(cpio.archive(ENTRIES)))
    for name in names:
        parent = os.path.dirname(name)  # noqa: PTH120
        assert not parent or names.index(parent) < names.index(name)
    assert "etc/ns3-qemu" in names


def test_the_same_entries_give_the_same_bytes() -> None:
    assert cpio.archive(ENTRIES) == cpio.archive(reversed(ENTRIES))


@pytest.mark.parametrize("size", range(5))
def test_contents_of_any_size_keep_the_alignment(size: int) -> None:
    members = read(cpio.archive([cpio.file("/a", b"x" * size), cpio.file("/b", b"y")]))
    assert members["a"].data == b"x" * size
    assert members["b"].data == b"y"


@pytest.mark.parametrize("path", ["relative", "/", "/a/../b", "/a/", "/a//b", ""])
def test_a_path_that_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        cpio.archive([cpio.file(path, b"")])


def test_two_entries_for_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="two entries"):
        cpio.archive([cpio.file("/a", b"1"), cpio.file("/a", b"2")])
