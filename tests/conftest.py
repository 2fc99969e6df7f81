# SPDX-License-Identifier: GPL-2.0-only
"""What several tests share. No test reaches the network: the set-up has fetched all before."""

import io
import struct
from pathlib import Path

import pytest
from rich.console import Console

from ns3_qemu import kernel
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Steps


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to fetch a package fail at once."""
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def screen() -> io.StringIO:
    """What a user sees of the steps."""
    return io.StringIO()


@pytest.fixture
def steps(cache: Cache, screen: io.StringIO) -> Steps:
    return Steps(cache.logs, Console(file=screen, highlight=False), verbose=True)


@pytest.fixture
def debian_kernel() -> kernel.Kernel:
    """Debian's 6.1, as the set-up has fetched it."""
    found = kernel.find(Cache(), "debian:6.1")
    assert found, "not there yet: run ns3-qemu setup"
    return found


def bzimage(release: str, filling: bytes = b"") -> bytes:
    """Return the least that looks like a kernel: a boot header and its version."""
    header = bytearray(0x300)
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x20E, 0x100)
    return bytes(header) + f"{release} (builder) #1\0".encode() + filling
