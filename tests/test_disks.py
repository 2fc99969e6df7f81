# SPDX-License-Identifier: GPL-2.0-only
"""Disks before there is a machine: what is on them, what an image says of them, what is refused."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest

from ns3_qemu import disks, image, options
from ns3_qemu.errors import ImageError

MIB = 2**20


def make(path: Path, tree: Path | None = None, size: int = 4 * MIB) -> Path:
    """Make an ext4 of a directory's files."""
    path.write_bytes(b"")
    os.truncate(path, size)
    source = ["-d", str(tree)] if tree else []
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", *source, path], check=True)
    return path


@pytest.fixture
def ext4(tmp_path: Path) -> Path:
    return make(tmp_path / "disk.raw")


def with_signature(path: Path, offset: int, signature: bytes) -> Path:
    path.write_bytes(bytes(offset) + signature + bytes(-(offset + len(signature)) % 512))
    return path


@pytest.mark.parametrize(
    ("kind", "offset", "signature"),
    [
        ("squashfs", 0, b"hsqs"),
        ("xfs", 0, b"XFSB"),
        ("btrfs", 65536 + 64, b"_BHRfS_M"),
        ("iso9660", 16 * 2048 + 1, b"CD001"),
        ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
        ("vfat", 82, b"FAT32   "),
    ],
)
def test_a_file_system_is_told_by_its_signature(
    tmp_path: Path, kind: str, offset: int, signature: bytes
):
    path = with_signature(tmp_path / "disk", offset, signature)
    assert disks.of_file(path, "/mnt").kind == kind


def test_so_is_a_real_one(ext4: Path):
    disk = disks.of_file(ext4, "/mnt")
    assert (disk.kind, disk.partition, disk.size) == ("ext4", 0, 4 * MIB)


def test_a_disk_says_when_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("E2FSPROGS_FAKE_TIME", "1790000000")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    disk = make(tmp_path / "disk")
    squashed = tmp_path / "squashed"
    subprocess.run(
        ["mksquashfs", tmp_path, squashed, "-quiet", "-no-progress", "-e", "squashed"],
        check=True,
        capture_output=True,
    )
    assert disks.of_file(disk, "/mnt").written() == 1_790_000_000
    assert disks.root(squashed).written() == 1_790_000_000


def test_a_cd_and_an_erofs_say_so_too(tmp_path: Path):
    cd = bytearray(34 * 1024)
    cd[0x8001:0x8006] = b"CD001"
    cd[0x8000 + 830 : 0x8000 + 844] = b"20260921141320"
    (tmp_path / "cd").write_bytes(cd)
    erofs = bytearray(2048)
    erofs[1024:1028] = b"\xe2\xe1\xf5\xe0"
    struct.pack_into("<Q", erofs, 1048, 1_790_000_000)
    (tmp_path / "erofs").write_bytes(erofs)
    assert disks.of_file(tmp_path / "cd", "/mnt").written() == 1_790_000_000
    assert disks.of_file(tmp_path / "erofs", "/mnt").written() == 1_790_000_000


def test_disks_of_the_command_line_are_mounted_where_it_says(ext4: Path, tmp_path: Path):
    other = with_signature(tmp_path / "a=b", 0, b"nothing")
    wanted = image.Image()
    options.add_disks(wanted, [f"{ext4}=/srv", str(other)])
    assert [(disk.file, disk.mount) for disk in wanted.disks] == [
        (str(ext4), "/srv"),
        (str(other), ""),
    ]


def test_what_says_nothing_of_a_date_has_none(tmp_path: Path):
    xfs = with_signature(tmp_path / "xfs", 0, b"XFSB")
    assert disks.of_file(xfs, "/mnt").written() is None
    assert disks.of_file(with_signature(tmp_path / "bare", 0, b"nothing"), None).written() is None


def partitioned(tmp_path: Path, ext4: Path, *, gpt: bool, both: bool = False) -> Path:
    """Return a disk whose second partition is an ext4; so is the third if `both`."""
    disk = bytearray(12 * MIB)
    starts = {1: 64, 2: MIB // 512, 3: 6 * MIB // 512}
    disk[510:512] = b"\x55\xaa"
    for number, start in starts.items():
        if gpt:
            struct.pack_into(
                "<16s16sQQ", disk, 1024 + 128 * number - 128, b"k" * 16, b"u" * 16, start, 0
            )
        else:
            struct.pack_into("<4xB3xII", disk, 446 + 16 * number - 16, 0x83, start, 8)
    if gpt:
        struct.pack_into("<8s64xQII", disk, 512, b"EFI PART", 2, 128, 128)
    for start in [starts[2], *([starts[3]] if both else [])]:
        disk[start * 512 : start * 512 + 4 * MIB] = ext4.read_bytes()
    path = tmp_path / "partitioned"
    path.write_bytes(disk)
    return path


@pytest.mark.parametrize("gpt", [True, False])
def test_the_one_partition_with_a_file_system_is_found(tmp_path: Path, ext4: Path, gpt: bool):
    disk = disks.root(partitioned(tmp_path, ext4, gpt=gpt))
    assert (disk.kind, disk.partition, disk.mount) == ("ext4", 2, "/")


def test_of_several_one_must_be_said(tmp_path: Path, ext4: Path):
    path = partitioned(tmp_path, ext4, gpt=True, both=True)
    with pytest.raises(ImageError, match=r"several partitions .*2 \(ext4\), 3 \(ext4\)"):
        disks.of_file(path, "/mnt")
    assert disks.of_file(path, "/mnt", partition=3).partition == 3
    with pytest.raises(ImageError, match="no such partition"):
        disks.of_file(path, "/mnt", partition=1)


def test_what_cannot_be_a_disk_is_refused(tmp_path: Path, ext4: Path):
    wanted = image.Image()
    odd = tmp_path / "odd"
    odd.write_bytes(bytes(1000))
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(1024))
    for path, mount, message in (
        (tmp_path / "nothing", "/mnt", "No such file"),
        (tmp_path, "/mnt", "not a regular file"),
        (odd, None, "1000 bytes, not a multiple of 512"),
        (blank, "/mnt", "no file system that is known"),
        (ext4, "mnt", "not an absolute path"),
        (ext4, "/", "cannot be mounted on /"),
        (ext4, "/proc/x", "the guest mounts something there"),
    ):
        with pytest.raises(ImageError, match=message):
            wanted.disk(path, mount)
    assert wanted.disk(blank) == "/dev/vda"
    assert wanted.disk(ext4, "/mnt") == "/dev/vdb"
    with pytest.raises(ImageError, match="two disks are to be mounted on /mnt"):
        wanted.disk(ext4, "/mnt")


def test_an_image_belongs_to_a_disk_as_it_is(ext4: Path):
    def built() -> Path:
        wanted = image.Image()
        wanted.disk(ext4, "/mnt", writable=False)
        return wanted.build()

    first = built()
    assert built() == first
    lines = (first / "machine.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("disk")] == [
        f"disk={ext4}",
        f"disk-size={4 * MIB}",
        f"disk-modified={ext4.stat().st_mtime_ns}",
        "disk-type=ext4",
        "disk-mount=/mnt",
        "disk-partition=0",
        "disk-read-only=1",
    ]
    # Its contents are not in the image, and its modules are.
    assert b"lost+found" not in (first / "initramfs").read_bytes()
    modules = json.loads((first / "manifest.json").read_text())["modules"]
    assert "virtio_blk" in modules
    ext4.touch()
    assert built() != first


def test_a_file_system_brings_its_modules(tmp_path: Path):
    wanted = image.Image(rootfs=with_signature(tmp_path / "disk", 0, b"hsqs"))
    modules = json.loads((wanted.build() / "manifest.json").read_text())["modules"]
    assert {"virtio_blk", "squashfs", "overlay"} <= set(modules)


def test_files_beside_a_root_on_a_disk_leave_its_distribution_alone(ext4: Path):
    wanted = image.Image(rootfs=ext4)
    wanted.add("/bin/bash", to="/opt/bash")
    wanted.write("/etc/hostname", "x\n")
    names = {entry.path for entry in wanted.overlay.entries_beside([])}
    assert "/etc/ns3-qemu/added/opt/bash" in names
    assert "/etc/ns3-qemu/added/etc/hostname" in names
    libraries = {name for name in names if name.endswith("/libc.so.6")}
    assert len(libraries) == 1
    assert libraries.pop().startswith("/etc/ns3-qemu/added-if-missing/")
    outside = {name for name in names if not name.startswith("/etc")}
    assert outside == set()
    assert not any(name.endswith("/added/bin") for name in names)


def test_a_message_about_too_large_files_names_disks(tmp_path: Path):
    wanted = image.Image(memory_mib=96)
    large = tmp_path / "large"
    large.write_bytes(bytes(32 * MIB))
    wanted.add(large, to="/large")
    with pytest.raises(ImageError) as raised:
        wanted.build()
    assert "image.disk(" in raised.value.advice
