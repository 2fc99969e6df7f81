# SPDX-License-Identifier: GPL-2.0-only
"""Interfaces, addresses, routes, neighbours and qdiscs, over a relay's sockets.

The kernel is this machine's, in a network namespace of its own; iproute2 says what is so.
"""

from __future__ import annotations

import errno
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ns3_qemu import guest
from ns3_qemu.guest import Address, Neighbour, Route

if TYPE_CHECKING:
    from relay_peer import RelayProcess


@dataclass
class Machine:
    """What stands for a machine: a relay with a socket of netlink's."""

    process: RelayProcess

    @property
    def relay(self) -> Machine:
        return self

    def netlink(self, protocol: int, request: bytes) -> bytes:
        return self.process.netlink(request, protocol)

    def run(self, *command: str) -> str:
        enter = ["nsenter", "-t", str(self.process.process.pid), "-n"]
        done = subprocess.run([*enter, *command], capture_output=True, check=True, text=True)
        return done.stdout


@pytest.fixture
def machine(networked: RelayProcess) -> Machine:
    networked.link_set(0, up=True, address=bytes.fromhex("020000000001"), mtu=1400)
    networked.address_add(0, "10.1.2.3/24")
    networked.address_add(0, "fd00::3/64")
    return Machine(networked)


def qdisc_of(machine: Machine, name: str) -> guest.Qdisc:
    return next(qdisc for qdisc in guest.qdiscs(machine) if qdisc.interface == name)


def test_interfaces(machine: Machine):
    lo, *others = guest.interfaces(machine)
    assert (lo.index, lo.name, lo.up, lo.mtu) == (1, "lo", True, 65536)
    probe = next(interface for interface in others if interface.name == "probe0")
    assert (probe.up, probe.mtu, probe.address) == (True, 1400, "02:00:00:00:00:01")
    assert probe.queue_length == 1000


def test_addresses(machine: Machine):
    found = guest.addresses(machine)
    for address in (
        Address("lo", "127.0.0.1/8", "host"),
        Address("lo", "::1/128", "host"),
        Address("probe0", "10.1.2.3/24", "global"),
        Address("probe0", "fd00::3/64", "global"),
    ):
        assert address in found


def test_routes(machine: Machine):
    attributes = ("initcwnd", "4", "mtu", "1200", "congctl", "reno")
    static = ("proto", "static")
    machine.run("ip", "route", "add", "10.9.0.0/16", "via", "10.1.2.1", *static, *attributes)
    machine.run(
        "ip", "route", "add", "default", "via", "fd00::1", "metric", "128", *static, "quickack", "1"
    )
    found = guest.routes(machine)
    assert Route("10.1.2.0/24", None, "probe0", 0, "kernel", {}) in found
    metrics = {"initcwnd": 4, "mtu": 1200, "cc_algo": "reno"}
    assert Route("10.9.0.0/16", "10.1.2.1", "probe0", 0, "static", metrics) in found
    default = Route("::/0", "fd00::1", "probe0", 128, "static", {"quickack": 1})
    assert default in found


def test_neighbours(machine: Machine):
    guest.add_neighbour(machine, "probe0", "10.1.2.9", "02:00:00:00:00:09")
    guest.add_neighbour(machine, "probe0", "fd00::9", "02:00:00:00:00:09")
    known = guest.neighbours(machine)
    for address in ("10.1.2.9", "fd00::9"):
        assert Neighbour("probe0", address, "02:00:00:00:00:09", "permanent") in known
        assert "PERMANENT" in machine.run("ip", "neigh", "show", address)


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("pfifo", {"limit": 77}, "limit 77p"),
        ("bfifo", {"limit": 5000}, "limit 5000b"),
        ("fq_codel", {"limit": 100, "flows": 8, "ecn": 0}, "limit 100p flows 8"),
        ("fq", {"plimit": 500, "flow_plimit": 50}, "limit 500p flow_limit 50p"),
    ],
)
def test_qdisc_is_set(machine: Machine, kind: str, options: dict[str, int], shown: str):
    try:
        guest.set_qdisc(machine, "probe0", kind, **options)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        pytest.skip(f"this machine's kernel has no {kind}")
    told = machine.run("tc", "qdisc", "show", "dev", "probe0", "root")
    assert told.startswith(f"qdisc {kind} ")
    assert shown in told
    qdisc = qdisc_of(machine, "probe0")
    assert (qdisc.kind, qdisc.parent) == (kind, None)
    assert options.items() <= dict(qdisc.options).items()
    guest.delete_qdisc(machine, "probe0")
    assert qdisc_of(machine, "probe0").kind != kind


def test_qdisc_counts(machine: Machine):
    # Or its reports of groups, a second later, may be counted, too.
    machine.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/probe0/disable_ipv6")
    guest.set_qdisc(machine, "probe0", "pfifo", limit=10)
    guest.add_neighbour(machine, "probe0", "10.1.2.9", "02:00:00:00:00:09")
    before = qdisc_of(machine, "probe0")
    handle = machine.process.open_socket(2, 2)
    for _ in range(3):
        machine.process.send(handle, bytes(100), to=("10.1.2.9", 9))
    after = qdisc_of(machine, "probe0")
    assert after.packets - before.packets == 3
    assert after.bytes - before.bytes == 3 * (14 + 20 + 8 + 100)


def test_qdisc_that_the_kernel_does_not_have(machine: Machine):
    with pytest.raises(OSError, match="2") as raised:
        guest.set_qdisc(machine, "probe0", "no_such")
    assert raised.value.errno == errno.ENOENT
    assert "no qdisc no_such" in raised.value.__notes__[0]


def test_unknown_options_and_names_say_what_there_is(machine: Machine):
    with pytest.raises(ValueError, match="pfifo has no option target: it takes limit"):
        guest.set_qdisc(machine, "probe0", "pfifo", target=3)
    with pytest.raises(ValueError, match="no interface 'eth7'; it has lo, "):
        guest.set_qdisc(machine, "eth7", "pfifo")


def test_queue_length(machine: Machine):
    guest.set_queue_length(machine, "probe0", 33)
    assert "qlen 33" in machine.run("ip", "link", "show", "probe0")
