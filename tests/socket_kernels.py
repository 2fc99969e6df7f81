# SPDX-License-Identifier: GPL-2.0-only
"""One interface to the sockets of three kernels, so that one test can be made of each.

Plain: this machine's, by Python's own sockets. Relayed: this machine's, through the relay run as an
ordinary program. Guest: a virtual machine's, through its relay. No call blocks, and every error is
an OSError with the kernel's errno.
"""

from __future__ import annotations

import contextlib
import select
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relay_peer import ERROR, HANGUP, READABLE, WRITABLE, Ready, RelayPeer

if TYPE_CHECKING:
    from ns3_qemu._vm import Vm

Endpoint = tuple[str, int]
SECOND = 1_000_000_000


@dataclass(frozen=True)
class Data:
    """What one receive has brought."""

    data: bytes
    sender: Endpoint | None
    flags: int


class Kernel(ABC):
    """The calls of POSIX, and what poll(2) tells."""

    routes: bool
    """Whether it has routes to other machines."""

    @abstractmethod
    def socket(self, family: int, kind: int, protocol: int = 0) -> Any: ...

    @abstractmethod
    def bind(self, handle: Any, address: str, port: int = 0) -> None: ...

    @abstractmethod
    def listen(self, handle: Any, backlog: int = 16) -> None: ...

    @abstractmethod
    def accept(self, handle: Any) -> tuple[Any, Endpoint]: ...

    @abstractmethod
    def connect(self, handle: Any, address: str, port: int) -> None: ...

    @abstractmethod
    def send(self, handle: Any, data: bytes, flags: int = 0, to: Endpoint | None = None) -> int: ...

    @abstractmethod
    def receive(self, handle: Any, length: int = 65536, flags: int = 0) -> Data: ...

    @abstractmethod
    def setsockopt(self, handle: Any, level: int, name: int, value: bytes) -> None: ...

    @abstractmethod
    def getsockopt(self, handle: Any, level: int, name: int, length: int = 4) -> bytes: ...

    @abstractmethod
    def getsockname(self, handle: Any) -> Endpoint: ...

    @abstractmethod
    @abstractmethod
    def shutdown(self, handle: Any, how: int) -> None: ...

    @abstractmethod
    def close(self, handle: Any) -> None: ...

    @abstractmethod
    def wait(self, handle: Any, conditions: int) -> int:
        """Wait until one of these holds, or an error or a hang-up; return what does."""

    @abstractmethod
    def holds(self, handle: Any, conditions: int) -> int:
        """Return which of these hold now, and whether there is an error or a hang-up."""

    @abstractmethod
    def connected(self, handle: Any) -> int:
        """Wait for the end of a connect; 0 or its errno."""


class Plain(Kernel):
    routes = True

    _POLL = ((READABLE, select.POLLIN), (WRITABLE, select.POLLOUT))
    _TOLD = (
        (READABLE, select.POLLIN),
        (WRITABLE, select.POLLOUT),
        (ERROR, select.POLLERR),
        (HANGUP, select.POLLHUP | select.POLLRDHUP),
    )

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def bind(self, handle: socket.socket, address: str, port: int = 0) -> None:
        handle.bind((address, port))

    def listen(self, handle: socket.socket, backlog: int = 16) -> None:
        handle.listen(backlog)

    def accept(self, handle: socket.socket) -> tuple[socket.socket, Endpoint]:
        made, peer = handle.accept()
        made.setblocking(False)
        return made, peer[:2]

    def connect(self, handle: socket.socket, address: str, port: int) -> None:
        with contextlib.suppress(BlockingIOError):  # it is under way
            handle.connect((address, port))

    def send(
        self, handle: socket.socket, data: bytes, flags: int = 0, to: Endpoint | None = None
    ) -> int:
        flags |= socket.MSG_NOSIGNAL
        return handle.sendto(data, flags, to) if to else handle.send(data, flags)

    def receive(self, handle: socket.socket, length: int = 65536, flags: int = 0) -> Data:
        data, _, told, sender = handle.recvmsg(length, 0, flags)
        return Data(data, sender[:2] if sender else None, told)

    def setsockopt(self, handle: socket.socket, level: int, name: int, value: bytes) -> None:
        handle.setsockopt(level, name, value)

    def getsockopt(self, handle: socket.socket, level: int, name: int, length: int = 4) -> bytes:
        return handle.getsockopt(level, name, length)

    def getsockname(self, handle: socket.socket) -> Endpoint:
        return handle.getsockname()[:2]

    def shutdown(self, handle: socket.socket, how: int) -> None:
        handle.shutdown(how)

    def close(self, handle: socket.socket) -> None:
        handle.close()

    def _poll(self, handle: socket.socket, conditions: int, timeout: int) -> int:
        poll = select.poll()
        wanted = sum(bit for condition, bit in self._POLL if conditions & condition)
        poll.register(handle, wanted | select.POLLRDHUP)
        events = sum(event for _, event in poll.poll(timeout))
        return sum(condition for condition, bits in self._TOLD if events & bits)

    def wait(self, handle: socket.socket, conditions: int) -> int:
        told = self._poll(handle, conditions, 20_000)
        assert told, "nothing has become of it"
        return told

    def holds(self, handle: socket.socket, conditions: int) -> int:
        return self._poll(handle, conditions, 0)

    def connected(self, handle: socket.socket) -> int:
        self._poll(handle, WRITABLE, 20_000)
        return handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


class _Told(Kernel):
    """A kernel behind a relay, which tells of readiness by events."""

    routes = False

    def __init__(self, relay: Any) -> None:
        self._relay = relay
        self._pending: list[Ready] = []

    @abstractmethod
    def _take(self, wait: bool) -> list[Ready]:
        """Return the events that have come; with `wait`, one at least."""

    def socket(self, family: int, kind: int, protocol: int = 0) -> int:
        return self._relay.socket(family, kind, protocol)

    def bind(self, handle: int, address: str, port: int = 0) -> None:
        self._relay.bind(handle, address, port)

    def listen(self, handle: int, backlog: int = 16) -> None:
        self._relay.listen(handle, backlog)

    def accept(self, handle: int) -> tuple[int, Endpoint]:
        return self._relay.accept(handle)

    def connect(self, handle: int, address: str, port: int) -> None:
        self._relay.connect(handle, address, port)

    def send(self, handle: int, data: bytes, flags: int = 0, to: Endpoint | None = None) -> int:
        return self._relay.send(handle, data, flags, to)

    def receive(self, handle: int, length: int = 65536, flags: int = 0) -> Data:
        received = self._relay.receive(handle, length, flags)
        return Data(received.data, received.sender, received.flags)

    def setsockopt(self, handle: int, level: int, name: int, value: bytes) -> None:
        self._relay.setsockopt(handle, level, name, value)

    def getsockopt(self, handle: int, level: int, name: int, length: int = 4) -> bytes:
        return self._relay.getsockopt(handle, level, name, length)

    def getsockname(self, handle: int) -> Endpoint:
        return self._relay.getsockname(handle)

    def shutdown(self, handle: int, how: int) -> None:
        self._relay.shutdown(handle, how)

    def close(self, handle: int) -> None:
        self._relay.close(handle)

    def _events_of(self, handle: int, wait: bool) -> list[Ready]:
        self._pending += self._take(wait=False)
        while wait and all(event.handle != handle for event in self._pending):
            self._pending += self._take(wait=True)
        events = [event for event in self._pending if event.handle == handle]
        self._pending = [event for event in self._pending if event.handle != handle]
        return events

    def _told(self, handle: int, conditions: int, wait: bool) -> int:
        told = 0
        while True:
            for event in self._events_of(handle, wait):
                told |= event.conditions
            if not wait or told & (conditions | ERROR | HANGUP):
                return told

    def wait(self, handle: int, conditions: int) -> int:
        self._relay.watch(handle, conditions)
        told = self._told(handle, conditions, wait=True)
        self._relay.watch(handle, 0)
        return told

    def holds(self, handle: int, conditions: int) -> int:
        self._events_of(handle, wait=False)  # what was so before
        self._relay.watch(handle, conditions)
        told = self._told(handle, conditions, wait=False)
        self._relay.watch(handle, 0)
        return told

    def connected(self, handle: int) -> int:
        while True:
            for event in self._events_of(handle, wait=True):
                if event.conditions & ERROR:
                    return event.error
                if event.conditions & WRITABLE:
                    return 0


class _PeerCalls:
    """The calls by their names in POSIX."""

    def __init__(self, peer: RelayPeer) -> None:
        self._peer = peer
        self.socket = peer.open_socket
        self.receive = peer.receive_from
        self.getsockname = peer.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name)


class Relayed(_Told):
    def __init__(self, peer: RelayPeer) -> None:
        super().__init__(_PeerCalls(peer))
        self._peer = peer

    def _take(self, wait: bool) -> list[Ready]:
        if wait:
            self._peer.events.append(self._peer.event())
        else:
            self._peer.no_event()
        events = [event for event in self._peer.events if isinstance(event, Ready)]
        self._peer.events.clear()
        return events


class Guest(_Told):
    def __init__(self, vm: Vm) -> None:
        super().__init__(vm.relay)
        self._vm = vm

    def _take(self, wait: bool) -> list[Ready]:
        vm = self._vm
        vm.run(vm.time)
        limit = vm.time + 20 * SECOND
        while wait and not (events := vm.take_ready()):
            assert vm.deadline < limit, "nothing has become of it"
            vm.run(vm.deadline)
        if not wait:
            events = vm.take_ready()
        return [Ready(*event) for event in events]
