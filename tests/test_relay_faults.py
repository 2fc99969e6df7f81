# SPDX-License-Identifier: GPL-2.0-only
"""The relay where a write takes nothing and says so for ever: it must not try for ever.

It is a machine's first process, at a real-time priority: nothing else would ever run again.
"""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import relay_peer
from relay_peer import (
    FILE_CREATE,
    PROCESS_INPUT,
    SOURCE,
    WRITABLE,
    Ready,
    RelayProcess,
    StreamEnd,
)
from relay_tools import joined_to_us, with_errno

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH = 4242
"""The write that takes nothing, in bytes."""


def that_writes_nothing(binary: Path, length: int) -> RelayProcess:
    tool = str(Path(__file__).parent / "write_nothing.py")
    peer = RelayProcess(binary, prefix=(sys.executable, tool, str(length)))
    peer.hello()
    return peer


@pytest.fixture
def relay(relay_binary: Path) -> Iterator[RelayProcess]:
    peer = that_writes_nothing(relay_binary, LENGTH)
    try:
        yield peer
        assert peer.end() == (0, "")
    finally:
        peer.process.kill()
        peer.process.wait()


def test_file_that_takes_nothing_is_eio(relay: RelayProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with_errno(errno.EIO, relay.put, str(file), bytes(LENGTH), 0, FILE_CREATE)
    relay.put(str(file), bytes(LENGTH + 1), 0, FILE_CREATE)
    assert file.stat().st_size == LENGTH + 1


def test_program_that_takes_nothing_is_eio(relay: RelayProcess) -> None:
    program = relay.start("cat", flags=PROCESS_INPUT, environment={"PATH": "/usr/bin:/bin"})
    with_errno(errno.EIO, relay.write, program, bytes(LENGTH))
    assert relay.write(program, b"some") == 4
    relay.write(program, b"")
    assert relay.until_exit(program)[0] == b"some"


def test_stream_whose_socket_takes_nothing_ends_with_eio(relay: RelayProcess) -> None:
    handle, ours = joined_to_us(relay)
    with ours:
        relay.stream(handle, SOURCE, chunk=LENGTH)
        assert relay.event() == StreamEnd(handle, errno.EIO, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        source = relay.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
        relay.connect(source, *sink.getsockname())
        while relay.event() != Ready(source, WRITABLE, 0):
            pass
        relay.stream(source, SOURCE, chunk=LENGTH)
        while (event := relay.event()) != StreamEnd(source, errno.EIO, 0, 0):
            assert isinstance(event, Ready)


def test_port_that_takes_nothing_ends_the_relay(relay_binary: Path) -> None:
    reply = relay_peer.HEADER.size + len(b"Linux")
    peer = that_writes_nothing(relay_binary, reply)
    try:
        peer.send_bytes(peer.frame(relay_peer.SYSCTL_GET, b"kernel.ostype")[1])
        assert peer.at_end()
        assert peer.end() == (1, "ns3-qemu relay: FATAL: the relay port takes nothing\n")
    finally:
        peer.process.kill()
        peer.process.wait()
