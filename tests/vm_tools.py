# SPDX-License-Identifier: GPL-2.0-only
"""What the tests that drive real machines share: frames, a wire between two."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dpkt

from ns3_qemu._vm import READABLE, SOURCE, VERIFY, WRITABLE, Vm, VmImage
from ns3_qemu.bench.wire import Flight

EPOCH = 946_684_800_000_000_000
UPTIME = 20_000_000_000
SECOND = 1_000_000_000
MILLISECOND = 1_000_000

GUEST_MAC = "02:00:00:00:00:01"
GUEST = bytes.fromhex(GUEST_MAC.replace(":", ""))
PEER = bytes.fromhex("020000000002")
BROADCAST = b"\xff" * 6

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD


def epoch(image: Path) -> int:
    """Return an image's date, in ns since 1970."""
    lines = (image / "machine.conf").read_text().splitlines()
    return int(dict(line.split("=") for line in lines)["epoch"]) * SECOND


def traces(vm: Vm) -> dict[str, object]:
    """Return what is left in a machine, and told of it, by which two lives can be compared."""
    return {
        "random": vm.relay.sysctl("kernel.random.uuid"),
        "interrupts": vm.relay.read_file("/proc/interrupts"),
        "memory": vm.relay.read_file("/proc/vmstat"),
        "turns": vm.turns,
        "instructions": vm.instructions,
        "deadline": vm.deadline,
        "clock": vm.relay.clock(),
    }


def other_machine(
    machine: VmImage, *extra: str, boot: dict[str, str] | None = None, nic_model: str = ""
) -> VmImage:
    """Return a machine with more options of QEMU, other values of those to boot, or other NICs."""
    options = list(machine.boot)
    for option, value in (boot or {}).items():
        options[options.index(option) + 1] = value
    return VmImage(
        [*machine.command, *extra],
        boot=options,
        memory_mib=machine.memory_mib,
        nic_model=nic_model or machine.nic_model,
        relay_port=machine.relay_port,
    )


# --- frames ---------------------------------------------------------------------------------------


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def ethernet(kind: int, payload: dpkt.Packet | bytes, to: bytes = GUEST) -> bytes:
    return to + PEER + kind.to_bytes(2, "big") + bytes(payload)


def arp_request(asked: str, asking: str) -> bytes:
    query = dpkt.arp.ARP(op=1, sha=PEER, spa=ip(asking), tha=bytes(6), tpa=ip(asked))
    return ethernet(ARP, query, BROADCAST)


def echo_request(to: str, source: str, number: int, size: int = 56) -> bytes:
    echo = dpkt.icmp.ICMP.Echo(id=0x1234, seq=number, data=_pattern(number, size))
    packet = dpkt.ip.IP(
        src=ip(source), dst=ip(to), p=1, ttl=64, data=dpkt.icmp.ICMP(type=8, data=echo)
    )
    return ethernet(IPV4, packet)


def neighbour_solicitation(asked: str, asking: str) -> bytes:
    target = ip(asked)
    group = ip("ff02::1:ff00:0")[:13] + target[13:]
    body = bytes(4) + target + b"\x01\x01" + PEER
    return ethernet(IPV6, _icmp6(135, body, ip(asking), group, 255), b"\x33\x33" + group[12:])


def echo6_request(to: str, source: str, number: int, size: int = 56) -> bytes:
    body = b"\x12\x34" + number.to_bytes(2, "big") + _pattern(number, size)
    return ethernet(IPV6, _icmp6(128, body, ip(source), ip(to), 64))


def _icmp6(kind: int, body: bytes, source: bytes, to: bytes, hop_limit: int) -> dpkt.ip6.IP6:
    packet = dpkt.ip6.IP6(src=source, dst=to, nxt=58, hlim=hop_limit, plen=4 + len(body))
    message = bytes([kind, 0, 0, 0]) + body
    sum_ = dpkt.in_cksum(pseudo_header(source, to, len(message)) + message)
    packet.data = message[:2] + sum_.to_bytes(2, "big") + body
    packet.extension_hdrs = {}
    return packet


def pseudo_header(source: bytes, to: bytes, length: int, protocol: int = 58) -> bytes:
    return source + to + length.to_bytes(4, "big") + bytes([0, 0, 0, protocol])


def _pattern(number: int, size: int) -> bytes:
    return bytes((number + i) % 256 for i in range(size))


def of_type(frames: list[tuple[int, bytes]], kind: int) -> list[dpkt.ethernet.Ethernet]:
    """Return the frames of one EtherType."""
    wanted = kind.to_bytes(2, "big")
    return [dpkt.ethernet.Ethernet(frame) for _, frame in frames if frame[12:14] == wanted]


# --- two machines on a wire -----------------------------------------------------------------------


@dataclass
class Wire:
    """Two machines back to back: whatever one sends reaches the other a while later."""

    ends: tuple[Vm, Vm]
    delay: int = MILLISECOND
    drop_every: int = 0
    """Every so many-th frame is lost; 0: none."""
    log: list[tuple[int, int, bytes]] = field(default_factory=list)
    """(time, from which end, frame), in the order in which they were sent."""
    dropped: int = 0

    def __post_init__(self) -> None:
        self._flight = Flight()

    def run(self, until: Callable[[], bool], limit: int, react: Callable[[int], None]) -> None:
        """Let both machines go on until a condition holds; `react` gets the end that had a turn.

        Fails if the condition does not hold at the simulated time `limit`.
        """
        for end in (0, 1):
            self._collect(end)
        while not until():
            end = self._flight.take_turn(self.ends, limit)
            react(end)
            self._collect(end)

    def _collect(self, end: int) -> None:
        now = self.ends[end].time
        for _, frame in self.ends[end].take_frames():
            self.log.append((now, end, frame))
            if self.drop_every and len(self.log) % self.drop_every == 0:
                self.dropped += 1
                continue
            self._flight.add(now + self.delay, 1 - end, frame)


def transfer(wire: Wire, address: str, port: int, length: int, limit: int) -> tuple[int, int, int]:
    """Send bytes from end 0 to end 1, which checks them; return what it says of their end.

    That is (errno, bytes, wrong bytes).
    """
    source, sink = wire.ends
    now = max(source.time, sink.time)
    for vm in wire.ends:
        vm.run_until(now)
        vm.take_ready()
    listening = sink.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    sink.relay.bind(listening, address, port)
    sink.relay.listen(listening)
    sink.relay.watch(listening, READABLE)
    sending = source.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    source.relay.watch(sending, WRITABLE)
    source.relay.connect(sending, address, port)
    ends: list[tuple[int, int, int, int]] = []
    connected = False

    def react(end: int) -> None:
        nonlocal connected
        for handle, conditions, errno in wire.ends[end].take_ready():
            assert errno == 0
            if handle == listening and conditions & READABLE:
                connection, _ = sink.relay.accept(listening)
                sink.relay.stream(connection, VERIFY, length)
            elif end == 0 and handle == sending and conditions & WRITABLE and not connected:
                connected = True
                source.relay.stream(sending, SOURCE, length)
        if end == 1:
            ends.extend(sink.take_stream_ends())

    wire.run(lambda: bool(ends), now + limit, react)
    return ends[0][1:]
