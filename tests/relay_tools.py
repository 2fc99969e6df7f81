# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the relay program share."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest

from relay_peer import READABLE, WRITABLE, Ready, RelayError, RelayProcess

if TYPE_CHECKING:
    from collections.abc import Callable


def with_errno(number: int, call: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(RelayError) as raised:
        call(*arguments)
    assert errno.errorcode[raised.value.errno] == errno.errorcode[number]


def connected(
    relay: RelayProcess, family: int = socket.AF_INET, address: str = "127.0.0.1"
) -> tuple[int, int]:
    """Return two handles joined by TCP: the one that has connected, the one that was accepted."""
    listener = relay.open_socket(family, socket.SOCK_STREAM)
    relay.bind(listener, address)
    relay.listen(listener)
    relay.watch(listener, READABLE)
    client = relay.open_socket(family, socket.SOCK_STREAM)
    relay.connect(client, *relay.name(listener))
    ready = sorted((relay.event(), relay.event()), key=lambda event: event.handle)
    assert ready == [Ready(listener, READABLE, 0), Ready(client, WRITABLE, 0)]
    server, peer = relay.accept(listener)
    assert peer == relay.name(client)
    relay.close(listener)
    return client, server


def joined_to_us(relay: RelayProcess) -> tuple[int, socket.socket]:
    """Return a handle and the socket here that it is joined to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handle = relay.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        relay.connect(handle, *listener.getsockname())
        assert relay.event() == Ready(handle, WRITABLE, 0)
        ours = listener.accept()[0]
    ours.settimeout(20)
    return handle, ours


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]
