# SPDX-License-Identifier: GPL-2.0-only
"""A guest's interfaces, addresses, routes, neighbours and queueing disciplines.

Each function takes a machine that runs, an `ns.VirtualMachine` of a simulation or a `_vm.Vm`, and
speaks rtnetlink with its kernel, in the machine's simulated time: none takes any. What the kernel
refuses is an OSError with the kernel's errno.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import nla, rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import plugins, tcmsg

__all__ = [
    "Address",
    "Interface",
    "Neighbour",
    "Qdisc",
    "Route",
    "add_neighbour",
    "addresses",
    "delete_qdisc",
    "interfaces",
    "neighbours",
    "qdiscs",
    "routes",
    "set_qdisc",
    "set_queue_length",
]

_NETLINK_ROUTE = 0
_REPLACE, _CREATE, _DUMP = 0x100, 0x400, 0x300  # of a request
_IFF_UP = 0x1
TABLES = {"main": 254, "default": 253}
"""Tables of routes by name (rtnetlink(7)): ns-3's global routing is in "default"."""

_ROOT = 0xFFFFFFFF
_SCOPES = {0: "global", 253: "link", 254: "host"}
_PERMANENT = 0x80
_STATES = {
    0x01: "incomplete",
    0x02: "reachable",
    0x04: "stale",
    0x08: "delay",
    0x10: "probe",
    0x20: "failed",
    0x40: "noarp",
    _PERMANENT: "permanent",
}
_PROTOCOLS = {number: name for name, number in rtnl.rt_proto.items() if isinstance(name, str)}


class _Fq:
    """What pyroute2 does not know of the qdisc fq."""

    class options(nla):  # type: ignore[misc]  # noqa: N801 - as pyroute2 looks for it
        nla_map = (
            ("TCA_FQ_UNSPEC", "none"),
            ("TCA_FQ_PLIMIT", "uint32"),
            ("TCA_FQ_FLOW_PLIMIT", "uint32"),
            ("TCA_FQ_QUANTUM", "uint32"),
            ("TCA_FQ_INITIAL_QUANTUM", "uint32"),
            ("TCA_FQ_RATE_ENABLE", "uint32"),
            ("TCA_FQ_FLOW_DEFAULT_RATE", "uint32"),
            ("TCA_FQ_FLOW_MAX_RATE", "uint32"),
            ("TCA_FQ_BUCKETS_LOG", "uint32"),
            ("TCA_FQ_FLOW_REFILL_DELAY", "uint32"),
            ("TCA_FQ_ORPHAN_MASK", "uint32"),
            ("TCA_FQ_LOW_RATE_THRESHOLD", "uint32"),
            ("TCA_FQ_CE_THRESHOLD", "uint32"),
            ("TCA_FQ_TIMER_SLACK", "uint32"),
            ("TCA_FQ_HORIZON", "uint32"),
            ("TCA_FQ_HORIZON_DROP", "uint8"),
        )


# Those whose options `set_qdisc` takes; pyroute2 knows more to read them.
_LIMITS = ("pfifo", "bfifo")
_NESTED = {"fq": _Fq.options, "fq_codel": plugins["fq_codel"].options}
plugins.setdefault("fq", _Fq)
plugins.setdefault("bfifo", plugins["pfifo"])


@dataclass(frozen=True)
class Interface:
    """A network interface."""

    index: int
    name: str
    up: bool
    mtu: int
    """Bytes."""
    address: str
    """MAC address, or ""."""
    queue_length: int
    """Packets, of a queueing discipline that takes its limit from here."""
    qdisc: str


@dataclass(frozen=True)
class Address:
    """An address of an interface."""

    interface: str
    address: str
    """With its prefix, "10.0.0.1/24"."""
    scope: str
    """global, link or host."""


@dataclass(frozen=True)
class Route:
    """A route."""

    destination: str
    """With its prefix, "10.0.0.0/8"; "0.0.0.0/0" and "::/0" are the default routes."""
    gateway: str | None
    interface: str | None
    metric: int
    protocol: str
    """Who made it: "kernel", "static", "boot", ..."""
    attributes: Mapping[str, int | str]
    """By their names in ip(8): initcwnd, initrwnd, quickack, mtu, advmss, rto_min (ms), ..."""


@dataclass(frozen=True)
class Neighbour:
    """What is known of a neighbour on a link."""

    interface: str
    address: str
    mac: str | None
    state: str
    """reachable, stale, permanent, failed, ..."""


@dataclass(frozen=True)
class Qdisc:
    """A queueing discipline of an interface."""

    interface: str
    kind: str
    handle: int
    parent: int | None
    """The handle of its class; None for the root."""
    options: Mapping[str, int | str]
    """By their names in the kernel, in lower case: limit, target, flows, ..."""
    bytes: int
    packets: int
    drops: int
    backlog: int
    """Bytes that wait now."""
    queued: int
    """Packets that wait now."""


def interfaces(guest: Any) -> list[Interface]:
    """Return the network interfaces, in the order of their indices."""
    found = [
        Interface(
            index=message["index"],
            name=message.get_attr("IFLA_IFNAME"),
            up=bool(message["flags"] & _IFF_UP),
            mtu=message.get_attr("IFLA_MTU"),
            address=message.get_attr("IFLA_ADDRESS") or "",
            queue_length=message.get_attr("IFLA_TXQLEN"),
            qdisc=message.get_attr("IFLA_QDISC"),
        )
        for message in _dump(guest, rtnl.RTM_GETLINK, ifinfmsg())
    ]
    return sorted(found, key=lambda interface: interface.index)


def addresses(guest: Any) -> list[Address]:
    """Return the addresses of all interfaces."""
    names = _names(guest)
    return [
        Address(
            interface=names[message["index"]],
            address=f"{_local(message)}/{message['prefixlen']}",
            scope=_SCOPES.get(message["scope"], str(message["scope"])),
        )
        for message in _dump(guest, rtnl.RTM_GETADDR, ifaddrmsg())
    ]


def routes(guest: Any, table: str = "main") -> list[Route]:
    """Return the routes of a table, one of TABLES; IPv4 first."""
    names = _names(guest)
    found = []
    for family, anything in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        request = rtmsg()
        request["family"] = family
        for message in _dump(guest, rtnl.RTM_GETROUTE, request):
            if message.get_attr("RTA_TABLE") != TABLES[table]:
                continue
            destination = message.get_attr("RTA_DST") or anything
            found.append(
                Route(
                    destination=f"{destination}/{message['dst_len']}",
                    gateway=message.get_attr("RTA_GATEWAY"),
                    interface=names.get(message.get_attr("RTA_OIF")),
                    metric=message.get_attr("RTA_PRIORITY") or 0,
                    protocol=_PROTOCOLS.get(message["proto"], str(message["proto"])),
                    attributes=_options(message.get_attr("RTA_METRICS"), "RTAX_"),
                )
            )
    return found


def neighbours(guest: Any) -> list[Neighbour]:
    """Return what is known of neighbours' MAC addresses (ARP, IPv6 neighbour discovery)."""
    names = _names(guest)
    return [
        Neighbour(
            interface=names[message["ifindex"]],
            address=message.get_attr("NDA_DST"),
            mac=message.get_attr("NDA_LLADDR"),
            state=_STATES.get(message["state"], str(message["state"])),
        )
        for message in _dump(guest, rtnl.RTM_GETNEIGH, ndmsg())
        if message["family"] in (socket.AF_INET, socket.AF_INET6)
    ]


def add_neighbour(guest: Any, interface: str, address: str, mac: str) -> None:
    """Make a neighbour's MAC address known for good: it is never asked for again."""
    version = ipaddress.ip_address(address).version
    message = ndmsg()
    message["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
    message["ifindex"] = _index(guest, interface)
    message["state"] = _PERMANENT
    message["attrs"] = [("NDA_DST", address), ("NDA_LLADDR", mac)]
    _request(guest, rtnl.RTM_NEWNEIGH, message, _CREATE | _REPLACE)


def set_queue_length(guest: Any, interface: str, packets: int) -> None:
    """Set an interface's transmit queue length, which pfifo takes as its limit."""
    message = ifinfmsg()
    message["index"] = _index(guest, interface)
    message["attrs"] = [("IFLA_TXQLEN", packets)]
    _request(guest, rtnl.RTM_SETLINK, message, 0)


def qdiscs(guest: Any) -> list[Qdisc]:
    """Return the queueing disciplines of all interfaces, with what they have counted."""
    names = _names(guest)
    found = []
    for message in _dump(guest, rtnl.RTM_GETQDISC, tcmsg()):
        kind = message.get_attr("TCA_KIND")
        stats = message.get_attr("TCA_STATS") or {}
        parent = message["parent"]
        found.append(
            Qdisc(
                interface=names[message["index"]],
                kind=kind,
                handle=message["handle"],
                parent=None if parent == _ROOT else parent,
                options=_options(message.get_attr("TCA_OPTIONS"), f"TCA_{kind.upper()}_"),
                bytes=stats.get("bytes", 0),
                packets=stats.get("packets", 0),
                drops=stats.get("drop", 0),
                backlog=stats.get("backlog", 0),
                queued=stats.get("qlen", 0),
            )
        )
    return found


def set_qdisc(guest: Any, interface: str, kind: str, **options: int) -> None:
    """Give an interface another queueing discipline at its root, instead of the one it has.

    `kind` and `options`, by their names in the kernel:

    - pfifo, bfifo: limit (packets; bytes)
    - fq: plimit, flow_plimit (packets), quantum, initial_quantum (bytes), flow_max_rate (bytes/s),
      rate_enable (0, 1), buckets_log, flow_refill_delay, ce_threshold, horizon (us), and others
    - fq_codel: limit (packets), flows, quantum (bytes), target, interval, ce_threshold (us),
      ecn (0, 1), drop_batch_size, memory_limit (bytes)
    - any other one without options

    The kernel must have it, built in or as a module.
    """
    message = tcmsg()
    message["index"] = _index(guest, interface)
    message["parent"] = _ROOT
    message["handle"] = 0
    message["attrs"] = [("TCA_KIND", kind)]
    if options:
        message["attrs"].append(("TCA_OPTIONS", _encode_options(kind, options)))
    try:
        _request(guest, rtnl.RTM_NEWQDISC, message, _CREATE | _REPLACE)
    except OSError as error:
        if error.errno == errno.ENOENT:
            error.add_note(f"the kernel has no qdisc {kind}, neither built in nor as a module")
        raise


def delete_qdisc(guest: Any, interface: str) -> None:
    """Give an interface its kernel's default queueing discipline again."""
    message = tcmsg()
    message["index"] = _index(guest, interface)
    message["parent"] = _ROOT
    _request(guest, rtnl.RTM_DELQDISC, message, 0)


# --- netlink


def _pass(guest: Any, request: bytes) -> bytes:
    """Take a request to the guest's kernel and bring back its answer."""
    relay = getattr(guest, "relay", None)
    if relay is not None:
        answer: bytes = relay.netlink(_NETLINK_ROUTE, request)
        return answer
    import cppyy  # loaded already: the machine is a C++ object

    try:
        return bytes(guest.Netlink(_NETLINK_ROUTE, request))
    except cppyy.gbl.ns3qemu.GuestError as error:
        raise OSError(error.GetErrno(), str(error.what())) from None


def _request(guest: Any, kind: int, message: Any, flags: int) -> list[Any]:
    message["header"]["type"] = kind
    message["header"]["flags"] = flags
    message.encode()
    return list(MarshalRtnl().parse(_pass(guest, bytes(message.data))))


def _dump(guest: Any, kind: int, message: Any) -> list[Any]:
    return _request(guest, kind, message, _DUMP)


def _names(guest: Any) -> dict[int, str]:
    return {interface.index: interface.name for interface in interfaces(guest)}


def _index(guest: Any, name: str) -> int:
    found = interfaces(guest)
    for interface in found:
        if interface.name == name:
            return interface.index
    names = ", ".join(interface.name for interface in found)
    message = f"the guest has no interface {name!r}; it has {names}"
    raise ValueError(message)


def _options(value: Any, prefix: str) -> dict[str, int | str]:
    """Return the numbers and names in an attribute that has fields or attributes of its own."""
    if not isinstance(value, dict):
        return {}  # not known to pyroute2
    pairs = [*value.items(), *value.get("attrs", ())]
    return {
        name.removeprefix(prefix).lower(): content
        for name, content in pairs
        if isinstance(content, int | str)
    }


def _encode_options(kind: str, options: Mapping[str, int]) -> dict[str, Any]:
    if kind in _LIMITS:
        known = ["limit"]
    elif kind in _NESTED:
        prefix = f"TCA_{kind.upper()}_"
        known = [name.removeprefix(prefix).lower() for name, _ in _NESTED[kind].nla_map[1:]]
    else:
        known = []
    unknown = [name for name in options if name not in known]
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it is set without options here"
        message = f"the qdisc {kind} has no option {unknown[0]}: {takes}"
        raise ValueError(message)
    if kind in _LIMITS:
        return dict(options)
    return {"attrs": [(f"{prefix}{name.upper()}", value) for name, value in options.items()]}


def _local(message: Any) -> str:
    """Return an interface's own address: of a link to one peer there are two."""
    return str(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
