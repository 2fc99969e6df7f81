# SPDX-License-Identifier: GPL-2.0-only
"""The simulator's end of the relay protocol (relay-protocol.h), for tests.

It is written from the protocol's definition alone, and on purpose shares nothing with the
simulator's own end of it: the two must not agree on a mistake.
"""

from __future__ import annotations

import importlib.resources
import ipaddress
import os
import socket
import struct
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path

HELLO = 0x01
CLOCK_GET, CLOCK_SET, RNG_SEED, SYSCTL_GET, SYSCTL_SET, FILE_GET, FILE_PUT = range(0x10, 0x17)
LINK_GET, LINK_SET, ADDRESS_ADD, ADDRESS_DELETE = range(0x20, 0x24)
FILE_CREATE, FILE_TRUNCATE, FILE_PARENTS = 1, 2, 4
SOCKET, BIND, LISTEN, ACCEPT, CONNECT, SETSOCKOPT = range(0x30, 0x36)
GETSOCKOPT, GETSOCKNAME, SHUTDOWN, CLOSE, WATCH = range(0x36, 0x3B)
SEND, RECEIVE, IOCTL = range(0x3B, 0x3E)
STREAM, STREAM_STAT = 0x48, 0x49
PROCESS_START, PROCESS_WRITE, PROCESS_SIGNAL = range(0x50, 0x53)
EVENT_READY, EVENT_STREAM, EVENT_OUTPUT, EVENT_EXIT, EVENT_INPUT = range(0x80, 0x85)

READABLE, WRITABLE, ERROR, HANGUP = 1, 2, 4, 8
SOURCE, SINK, VERIFY = 1, 2, 3
PROCESS_INPUT, PROCESS_MERGE = 1, 2
HAS_LOCAL, HAS_TOS, HAS_TTL = 1, 2, 4
LINK_UP, LINK_ARP, LINK_MTU, LINK_ADDRESS, LINK_GSO, LINK_SPEED = (1 << bit for bit in range(6))
NLMSG_ERROR, NLMSG_DONE = 2, 3

BODY_MAX = 69632
HEADER = struct.Struct("<IHHIi")
SOCKET_ADDRESS = struct.Struct("<IHHI16s")
RECEIVED = struct.Struct("<28sIIII16sBBxx")


def relay_path() -> Path:
    """Where the installed package has its relay, or another is; an error if it has none."""
    if "NS3_QEMU_RELAY" in os.environ:  # of scripts/sanitize
        return Path(os.environ["NS3_QEMU_RELAY"])
    path = Path(str(importlib.resources.files("ns3_qemu"))) / "relay" / "ns3-qemu-relay"
    if not path.is_file():
        message = f"{path} is missing: the package is not installed whole (pip install .)"
        raise FileNotFoundError(message)
    return path


@dataclass(frozen=True)
class Message:
    type: int
    id: int
    status: int
    body: bytes


@dataclass(frozen=True)
class Ready:
    handle: int
    conditions: int
    error: int


@dataclass(frozen=True)
class StreamEnd:
    handle: int
    error: int
    bytes: int
    wrong: int


@dataclass(frozen=True)
class Output:
    process: int
    stream: int
    data: bytes


@dataclass(frozen=True)
class Exit:
    process: int
    code: int
    signal: int


@dataclass(frozen=True)
class Input:
    process: int


Event = Ready | StreamEnd | Output | Exit | Input


@dataclass(frozen=True)
class Received:
    data: bytes
    sender: tuple[str, int] | None
    flags: int
    length: int
    local: str | None
    interface: int
    tos: int | None
    ttl: int | None


class RelayError(OSError):
    """The errno that a request was answered with."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "the relay's answer")


class RelayPeer:
    """Speaks with one relay over a connected stream socket."""

    def __init__(self, connection: socket.socket, timeout: float = 20) -> None:
        self._connection = connection
        self._connection.settimeout(timeout)
        self._received = b""
        self._last_id = 0
        self.events: deque[Event] = deque()

    def hello(self) -> tuple[int, int, str]:
        """Version, number of NICs, the kernel's release."""
        message = self.receive()
        assert (message.type, message.id, message.status) == (HELLO, 0, 0)
        version, nics = struct.unpack_from("<II", message.body)
        return version, nics, message.body[8:].decode()

    # --- messages

    def send_bytes(self, data: bytes) -> None:
        self._connection.sendall(data)

    def frame(self, kind: int, body: bytes = b"") -> tuple[int, bytes]:
        """Bring a request into its form on the wire, with a new id."""
        self._last_id += 1
        return self._last_id, HEADER.pack(len(body), kind, 0, self._last_id, 0) + body

    def receive(self) -> Message:
        """Wait for the next message, whatever it is."""
        header = self._take(HEADER.size)
        length, kind, _, number, status = HEADER.unpack(header)
        return Message(kind, number, status, self._take(length))

    def at_end(self) -> bool:
        """Whether the relay has closed its end; waits for that or for data."""
        return not self._received and not self._connection.recv(1, socket.MSG_PEEK)

    def request(self, kind: int, body: bytes = b"") -> bytes:
        """Make a request, keep the events before its reply, and return the reply's body."""
        number, data = self.frame(kind, body)
        self.send_bytes(data)
        while (message := self.receive()).id == 0:
            self.events.append(self._event(message))
        assert (message.type, message.id) == (kind, number)
        if message.status:
            assert message.body == b""
            raise RelayError(message.status)
        return message.body

    def event(self) -> Event:
        """Wait for the next event."""
        if self.events:
            return self.events.popleft()
        return self._event(self.receive())

    def no_event(self) -> bool:
        """Whether nothing has been told up to now: events do not overtake a later reply."""
        self.request(CLOCK_GET)
        self.request(CLOCK_GET)
        return not self.events

    def _take(self, length: int) -> bytes:
        while len(self._received) < length:
            got = self._connection.recv(1 << 20)
            if not got:
                raise EOFError
            self._received += got
        taken, self._received = self._received[:length], self._received[length:]
        return taken

    @staticmethod
    def _event(message: Message) -> Event:
        assert (message.id, message.status) == (0, 0)
        if message.type == EVENT_READY:
            return Ready(*struct.unpack("<IIi", message.body))
        if message.type == EVENT_OUTPUT:
            return Output(*struct.unpack_from("<II", message.body), message.body[8:])
        if message.type == EVENT_EXIT:
            return Exit(*struct.unpack("<III", message.body))
        if message.type == EVENT_INPUT:
            return Input(*struct.unpack("<I", message.body))
        assert message.type == EVENT_STREAM
        return StreamEnd(*struct.unpack("<IiQQ", message.body))

    # --- the machine

    def sysctl(self, name: str) -> str:
        return self.request(SYSCTL_GET, name.encode()).decode()

    def sysctl_set(self, name: str, value: str) -> None:
        self.request(SYSCTL_SET, struct.pack("<I", len(name)) + name.encode() + value.encode())

    def file(self, path: str, offset: int = 0) -> bytes:
        return self.request(FILE_GET, struct.pack("<Q", offset) + path.encode())

    def put(
        self, path: str, data: bytes, offset: int = 0, flags: int = 0, mode: int = 0o644
    ) -> None:
        head = struct.pack("<QIII4x", offset, flags, mode, len(path))
        self.request(FILE_PUT, head + path.encode() + data)

    # --- interfaces

    def link(self, nic: int) -> tuple[int, int, int, bytes, str]:
        """Interface index, flags, MTU, hardware address, name."""
        body = self.request(LINK_GET, struct.pack("<I", nic))
        index, flags, mtu, address = struct.unpack_from("<III6s", body)
        return index, flags, mtu, address, body[20:].decode()

    def link_set(
        self,
        nic: int,
        *,
        up: bool | None = None,
        arp: bool | None = None,
        mtu: int | None = None,
        address: bytes | None = None,
        gso_max_segments: int | None = None,
        speed: int | None = None,
    ) -> None:
        values = {
            LINK_UP: up,
            LINK_ARP: arp,
            LINK_MTU: mtu,
            LINK_ADDRESS: address,
            LINK_GSO: gso_max_segments,
            LINK_SPEED: speed,
        }
        which = sum(bit for bit, value in values.items() if value is not None)
        self.request(
            LINK_SET,
            struct.pack(
                "<IIIIIBB2x6s2x",
                nic,
                which,
                mtu or 0,
                gso_max_segments or 0,
                speed or 0,
                bool(up),
                bool(arp),
                address or b"",
            ),
        )

    def _address_change(self, kind: int, nic: int, address: str) -> None:
        interface = ipaddress.ip_interface(address)
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        prefix = interface.network.prefixlen
        self.request(kind, struct.pack("<IBB2x16s", nic, family, prefix, interface.ip.packed))

    def address_add(self, nic: int, address: str) -> None:
        self._address_change(ADDRESS_ADD, nic, address)

    def address_delete(self, nic: int, address: str) -> None:
        self._address_change(ADDRESS_DELETE, nic, address)

    # --- sockets

    def open_socket(self, domain: int, kind: int, protocol: int = 0) -> int:
        body = self.request(SOCKET, struct.pack("<III", domain, kind, protocol))
        return struct.unpack("<I", body)[0]

    @staticmethod
    def _endpoint(handle: int, address: str, port: int) -> bytes:
        ip = ipaddress.ip_address(address)
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        return SOCKET_ADDRESS.pack(handle, family, port, 0, ip.packed)

    def _with_address(self, kind: int, handle: int, address: str, port: int) -> None:
        self.request(kind, self._endpoint(handle, address, port))

    def bind(self, handle: int, address: str, port: int = 0) -> None:
        self._with_address(BIND, handle, address, port)

    def connect(self, handle: int, address: str, port: int) -> None:
        self._with_address(CONNECT, handle, address, port)

    def listen(self, handle: int, backlog: int = 16) -> None:
        self.request(LISTEN, struct.pack("<II", handle, backlog))

    def accept(self, handle: int) -> tuple[int, tuple[str, int]]:
        """Return the new handle and its peer."""
        new, address = self._address(self.request(ACCEPT, struct.pack("<I", handle)))
        return new, address

    def name(self, handle: int) -> tuple[str, int]:
        return self._address(self.request(GETSOCKNAME, struct.pack("<I", handle)))[1]

    @staticmethod
    def _address(body: bytes) -> tuple[int, tuple[str, int]]:
        handle, family, port, _, address = SOCKET_ADDRESS.unpack(body)
        size = 4 if family == socket.AF_INET else 16
        return handle, (str(ipaddress.ip_address(address[:size])), port)

    def getsockopt(self, handle: int, level: int, name: int, length: int = 4) -> bytes:
        return self.request(GETSOCKOPT, struct.pack("<IiiI", handle, level, name, length))

    def setsockopt(self, handle: int, level: int, name: int, value: bytes) -> None:
        body = struct.pack("<IiiI", handle, level, name, len(value)) + value
        self.request(SETSOCKOPT, body)

    def shutdown(self, handle: int, how: int = socket.SHUT_WR) -> None:
        self.request(SHUTDOWN, struct.pack("<II", handle, how))

    def close(self, handle: int) -> None:
        self.request(CLOSE, struct.pack("<I", handle))

    def send(
        self, handle: int, data: bytes, flags: int = 0, to: tuple[str, int] | None = None
    ) -> int:
        """Return how many bytes the kernel took."""
        nowhere = SOCKET_ADDRESS.pack(handle, 0, 0, 0, b"")
        target = self._endpoint(handle, *to) if to else nowhere
        body = self.request(SEND, target + struct.pack("<I", flags) + data)
        return struct.unpack("<I", body)[0]

    def receive_from(self, handle: int, length: int = BODY_MAX, flags: int = 0) -> Received:
        body = self.request(RECEIVE, struct.pack("<III", handle, flags, length))
        sender, flags, length, has, interface, local, tos, ttl = RECEIVED.unpack_from(body)
        returned, family = struct.unpack_from("<IH", sender)
        assert returned == handle
        size = 4 if family == socket.AF_INET else 16
        return Received(
            data=body[RECEIVED.size :],
            sender=self._address(sender)[1] if family else None,
            flags=flags,
            length=length,
            local=str(ipaddress.ip_address(local[:size])) if has & HAS_LOCAL else None,
            interface=interface,
            tos=tos if has & HAS_TOS else None,
            ttl=ttl if has & HAS_TTL else None,
        )

    def ioctl(self, handle: int, request: int, argument: bytes) -> bytes:
        return self.request(IOCTL, struct.pack("<II", handle, request) + argument)

    def watch(self, handle: int, conditions: int) -> None:
        self.request(WATCH, struct.pack("<II", handle, conditions))

    def stream(
        self, handle: int, direction: int, length: int = 0, chunk: int = 0, per_wake: int = 0
    ) -> None:
        body = struct.pack("<IIQII", handle, direction, length, chunk, per_wake)
        self.request(STREAM, body)

    def stream_stat(self, handle: int) -> tuple[int, int]:
        """Bytes so far, and how many of them differ from the pattern."""
        return struct.unpack("<QQ", self.request(STREAM_STAT, struct.pack("<I", handle)))

    def netlink(self, message: bytes, protocol: int = 0) -> bytes:
        """Ask the kernel by a socket of netlink's; the messages of its whole answer."""
        length, kind, flags = struct.unpack_from("<IHH", message)
        acknowledged = 0x5
        header = struct.pack("<IHHII", length, kind, flags | acknowledged, 1, 0)
        handle = self.open_socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        answer = b""
        try:
            self.send(handle, header + message[16:])
            while True:
                part = self.receive_from(handle, 65536).data
                while part:
                    length, kind, _, number = struct.unpack_from("<IHHI", part)
                    assert number == 1
                    if kind in (NLMSG_ERROR, NLMSG_DONE):
                        error = struct.unpack_from("<i", part, 16)[0]
                        if error:
                            raise RelayError(-error)
                        return answer
                    length = (length + 3) & ~3
                    answer += part[:length]
                    part = part[length:]
        finally:
            self.close(handle)

    # --- programs

    def start(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        directory: str = "",
        flags: int = 0,
    ) -> int:
        """Start a program; return its number."""
        variables = [f"{name}={value}" for name, value in (environment or {}).items()]
        head = struct.pack("<III", flags, len(arguments), len(variables))
        texts = b"".join(text.encode() + b"\0" for text in (directory, *arguments, *variables))
        return struct.unpack("<I", self.request(PROCESS_START, head + texts))[0]

    def write(self, process: int, data: bytes) -> int:
        """Return how much the program's input took; without data, it has its end."""
        body = self.request(PROCESS_WRITE, struct.pack("<I", process) + data)
        return struct.unpack("<I", body)[0]

    def signal(self, process: int, number: int) -> None:
        self.request(PROCESS_SIGNAL, struct.pack("<II", process, number))

    def until_exit(self, process: int) -> tuple[bytes, bytes, Exit]:
        """Wait for a program's end; its standard output and error. Other events are dropped."""
        written = {1: b"", 2: b""}
        while not isinstance(event := self.event(), Exit) or event.process != process:
            if isinstance(event, Output) and event.process == process:
                written[event.stream] += event.data
        return written[1], written[2], event


class RelayProcess(RelayPeer):
    """A relay that runs as an ordinary program on this machine's kernel."""

    def __init__(self, binary: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*prefix, str(binary), "--fd", str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        super().__init__(ours)

    def end(self) -> tuple[int, str]:
        """Close the connection; exit status and what was printed."""
        self._connection.close()
        _, printed = self.process.communicate(timeout=20)
        return self.process.returncode, printed.decode()
