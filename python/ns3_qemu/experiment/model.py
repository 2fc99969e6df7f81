# SPDX-License-Identifier: GPL-2.0-only
"""What an experiment can say: each key with its type, default, unit and purpose."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, LiteralString, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .. import kernel as kernels
from ..errors import ImageError, Ns3QemuError
from ..image_spec import DEFAULT_KERNEL, OPTIONS
from .quantities import Probability, QueueSize, Rate, Size, Time

NS3 = "ns3"
"""The kernel of a host or router that has ns-3's own stack."""

# As names of hosts may be (RFC 1123), and not beginning as a number does. One has to be a name of
# an interface's file, too.
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LINUX_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SYSCTL = re.compile(r"-?[a-z][A-Za-z0-9_./-]*")
_ATTRIBUTE = re.compile(r"[A-Z][A-Za-z0-9]*")
_WHOLE_ATTRIBUTE = re.compile(r"ns3::[A-Za-z0-9:<>]+::[A-Z][A-Za-z0-9]*")

MiB = 1 << 20

# The relay's largest read or write; what an int in setsockopt(2) holds when the kernel doubles it.
_CHUNK = 1 << 18
_BUFFER = (1 << 30) - 1


def refuse(place: str, message: str) -> NoReturn:
    """Raise the error that says what is wrong at a key below the table that is being checked."""
    context = {"place": place, "message": message}
    kind: LiteralString = "refused"
    raise PydanticCustomError(kind, "{message}", context) from None


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        message = f"{text!r} is no name: give lower-case letters, digits, '-' and '_'"
        raise ValueError(message)
    return text


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        message = f"{path!r}: give a path in the guest that begins with /"
        raise ValueError(message)
    return path


def _kernel(name: str) -> str:
    if name == NS3:
        return name
    try:
        kernels.check_name(name)
    except Ns3QemuError as error:
        message = f"{error.message}; {error.advice}".replace("\n", " ")
        raise ValueError(message) from error
    return name


def _exit(value: Any) -> list[int] | str:
    if value in ("any", "running") and isinstance(value, str):
        return str(value)
    codes = value if isinstance(value, list) else [value]
    if codes and all(
        isinstance(c, int) and not isinstance(c, bool) and 0 <= c < 256 for c in codes
    ):
        return codes
    message = 'give an exit code (0 to 255), a list of them, "any", or "running"'
    raise ValueError(message)


def _attributes(values: Any) -> dict[str, str]:
    """Return attributes of ns-3 as texts, which ns-3 reads for all types."""
    return _texts(values, _ATTRIBUTE, '{ Uptime = "60s" }')


def _whole_attributes(values: Any) -> dict[str, str]:
    """Return attributes with their types, as texts."""
    return _texts(values, _WHOLE_ATTRIBUTE, '{ "ns3::TcpSocket::SegmentSize" = 1448 }')


def _texts(values: Any, pattern: re.Pattern[str], example: str) -> dict[str, str]:
    if not isinstance(values, dict):
        message = f"give a table of attributes, as {example}"
        raise ValueError(message)
    texts = {}
    for name, value in values.items():
        if not pattern.fullmatch(name):
            message = f"{name!r} is no name of an attribute: give them as {example}"
            raise ValueError(message)
        if isinstance(value, bool):
            texts[name] = str(value).lower()
        elif isinstance(value, str | int | float):
            texts[name] = str(value)
        else:
            message = f"{name}: give a text, a number, true or false"
            raise ValueError(message)
    return texts


def _sysctls(values: Any) -> dict[str, str]:
    if not isinstance(values, dict):
        message = 'give a table, as { "net.ipv4.tcp_ecn" = 1 }'
        raise ValueError(message)
    flat: dict[str, str] = {}

    def add(prefix: str, table: dict[str, Any]) -> None:
        # TOML takes a name without quotes, net.ipv4.tcp_ecn, for tables in tables.
        for key, value in table.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict):
                add(f"{name}.", value)
            elif not _SYSCTL.fullmatch(name):
                message = f"{name!r} is no kernel parameter: give a name as net.ipv4.tcp_ecn"
                raise ValueError(message)
            elif isinstance(value, bool) or not isinstance(value, str | int):
                message = f"{name}: give a number or a text"
                raise ValueError(message)
            else:
                flat[name] = str(value)

    add("", values)
    return flat


def _command(value: Any) -> list[str] | str:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        message = 'give a command as a text, or a list of words, as ["ping", "-c", "3", "b"]'
        raise ValueError(message)
    if not words[0].strip() or any("\0" in word for word in words):
        message = "the command is empty"
        raise ValueError(message)
    return value  # type: ignore[no-any-return]


def _pcaps(value: Any) -> bool | list[str]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        message = "give true, false, or a list of names"
        raise ValueError(message)
    return value


def _network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        message = f'{text!r}: give an IPv4 network with its prefix, as "10.0.0.0/24"'
        raise ValueError(message) from None
    if network.prefixlen > 30:
        message = f"{text!r} has no room for two addresses"
        raise ValueError(message)
    return str(network)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        message = f'{text!r}: give an IPv4 address, as "10.0.0.1"'
        raise ValueError(message) from None


def _mode(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
        return int(value, 8)
    message = f'{value!r}: give permissions in octal digits, as "755"'
    raise ValueError(message)


def _distance(value: Any) -> float:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(m|km)", value) if isinstance(value, str) else None
    if match is None:
        message = f'{value!r}: give a distance with its unit, as "20 m"'
        raise ValueError(message)
    return float(match[1]) * (1000 if match[2] == "km" else 1)


Name = Annotated[str, AfterValidator(_name)]
Kernel = Annotated[str, AfterValidator(_kernel)]
GuestPath = Annotated[str, AfterValidator(_absolute)]
Attributes = Annotated[dict[str, str], BeforeValidator(_attributes)]
WholeAttributes = Annotated[dict[str, str], BeforeValidator(_whole_attributes)]
Sysctls = Annotated[dict[str, str], BeforeValidator(_sysctls)]
Command = Annotated[Any, BeforeValidator(_command)]
Exit = Annotated[Any, BeforeValidator(_exit)]
Pcaps = Annotated[Any, BeforeValidator(_pcaps)]
Network = Annotated[str, AfterValidator(_network)]
Address = Annotated[str, AfterValidator(_address)]
Mode = Annotated[int, BeforeValidator(_mode), PlainSerializer(lambda mode: f"{mode:03o}")]
Distance = Annotated[
    float, BeforeValidator(_distance), PlainSerializer(lambda metres: f"{metres:g} m")
]
Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


class Table(BaseModel):
    """A table of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class File(Table):
    """A file of a guest."""

    text: str | None = Field(None, description="What is in it.")
    source: str | None = Field(
        None,
        alias="from",
        description="Or the file of this machine, a text, that it is a copy of; relative to the "
        "experiment.",
    )
    mode: Mode = Field(0o644, description="Its permissions, in octal.")

    @model_validator(mode="after")
    def _one_content(self) -> File:
        if (self.text is None) == (self.source is None):
            refuse("text", "give either text or from")
        return self


class Program(Table):
    """A program that a host runs."""

    command: Command = Field(
        description="A list of the program and its arguments, or one text that is split as a shell "
        "does, without variables and redirections."
    )
    name: str | None = Field(
        None, description="In names of files and results; the program's own unless it is given."
    )
    start: Time = Field(0, description="When it starts.")
    stop: Time | None = Field(None, description="When it gets stop_signal.")
    exit: Exit | None = Field(
        None,
        description='Expected exit code (128 + n if signal n ended it), a list of them, "any", or '
        '"running": it still runs at the end. If it is not given, it may be stopped or run until '
        "the end, and has to end with 0 if it ends by itself.",
    )
    environment: dict[str, str] = Field({}, description="Variables besides PATH and HOME.")
    directory: GuestPath = Field("/", description="The guest's directory that it starts in.")
    input: str = Field("", description="What it reads.")
    stop_signal: Annotated[int, Field(ge=1, le=64)] = Field(
        15, description="Number of a signal; 15 is SIGTERM, 2 SIGINT, 9 SIGKILL."
    )
    kill_delay: Time = Field(5 * 10**9, description="How long after stop it gets SIGKILL.")

    @model_validator(mode="after")
    def _stops_later(self) -> Program:
        if self.stop is not None and self.stop <= self.start:
            refuse("stop", "is not after start")
        return self

    @property
    def label(self) -> str:
        """What it is called in results."""
        words = self.command.split() if isinstance(self.command, str) else self.command
        return self.name or words[0].rpartition("/")[2]


class Defaults(Table):
    """What hosts, and routers with a kernel, have unless they say otherwise."""

    kernel: Kernel | None = Field(
        None, description=f'As for --kernel: "debian:6.12", "file:/path/bzImage"; {DEFAULT_KERNEL}.'
    )
    packages: list[str] = Field([], description="Debian packages, NAME or NAME=VERSION.")
    add: list[str] = Field(
        [],
        description="Programs and files of this machine, PATH or PATH=PLACE; relative to the "
        "experiment.",
    )
    memory: Size | None = Field(
        None, description="Of the machine; as much as its files need unless it is given."
    )
    cmdline: list[str] = Field([], description="Kernel parameters.")
    nic: str = Field("virtio-net-pci", description="virtio-net-pci or e1000.")
    relay: str = Field(
        "virtio", description="Over what the guest is asked: virtio, or uart for old kernels."
    )
    hpet_period: Time = Field(
        1, description="Of the guest's clock, 1 ns to 100 ns; kernels as old as 2.6.26 need 16 ns."
    )
    tools: bool = Field(
        True, description="Whether there are a shell, busybox's small programs and /etc/hosts."
    )
    cpu: str | None = Field(None, description="What programs may be built for, as x86-64-v2.")
    date: str | None = Field(None, description='When the simulation begins, "2026-11-27T12:00:00".')
    sysctls: Sysctls = Field(
        {}, description="Kernel parameters; one with a - before its name is set if it is there."
    )
    files: dict[GuestPath, File] = Field(
        {}, description="By their paths in the guest; a text, or a table."
    )
    attributes: Attributes = Field({}, description="Of its ns3::VirtualMachine.")
    initial_window: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Segments (initcwnd of its routes); the kernel's own unless it is given."
    )

    @model_validator(mode="before")
    @classmethod
    def _files_as_tables(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("files"), dict):
            files = {
                path: {"text": content} if isinstance(content, str) else content
                for path, content in values["files"].items()
            }
            return {**values, "files": files}
        return values

    @model_validator(mode="after")
    def _image_can_be(self) -> Defaults:
        for key in ("nic", "date", "cpu", "relay", "hpet_period"):
            value = getattr(self, key)
            try:
                if value is not None:
                    OPTIONS["hpet_period_ns" if key == "hpet_period" else key].check(value)
            except ImageError as error:
                refuse(key, f"{error.message}. {error.advice}")
        low, high = OPTIONS["memory_mib"].limits or (0, 0)
        if self.memory is not None and (self.memory % MiB or not low <= self.memory // MiB <= high):
            refuse("memory", f"give {low} to {high} MiB, in whole MiB")
        for name in ("Name", "Image", "ConsoleLog"):
            if name in self.attributes:
                refuse(f"attributes.{name}", "is the experiment's own to set")
        return self


class Host(Defaults):
    """A host: a machine with a Linux kernel, or one with ns-3's own stack."""

    kernel: Kernel | None = Field(
        None,
        description=f'As for --kernel: "debian:6.12", "file:/path/bzImage"; {DEFAULT_KERNEL}. '
        '"ns3": ns-3\'s own stack, which has none of the other keys.',
    )
    programs: list[Program] = Field([], description="What it runs.")

    @model_validator(mode="after")
    def _native_has_nothing(self) -> Host:
        if self.kernel == NS3:
            # in the model's order: a set's would make it another message in each process
            for key in type(self).model_fields:
                if key in self.model_fields_set and key != "kernel":
                    refuse(key, "there is none with ns-3's own stack; give it a kernel")
        return self


class Router(Host):
    """A router: ns-3's own stack, or a machine with a Linux kernel, which forwards."""

    kernel: Kernel | None = Field(
        NS3, description='"ns3": ns-3\'s own stack, which has none of the other keys; or a kernel.'
    )


class QueueDisc(Table):
    """A queueing discipline: ns-3's own on its routers, its counterpart in Linux on machines."""

    type: str = Field(description='As ns-3 names it, "FqCoDel" for ns3::FqCoDelQueueDisc.')
    attributes: Attributes = Field({}, description="Of the queue disc.")


class Loss(Table):
    """What is lost on a link: packets at random, one TCP segment, or what a model of ns-3 says."""

    probability: Probability | None = Field(None, description="Of each packet, independently.")
    segment: Positive | None = Field(
        None, description="Which TCP segment with data is lost, counted from 1 as they arrive."
    )
    count: Positive = Field(1, description="How often segment is lost: with 2 its repetition, too.")
    type: str | None = Field(None, description="An error model of ns-3, ns3::BurstErrorModel.")
    attributes: Attributes = Field({}, description="Of the error model.")

    @model_validator(mode="after")
    def _one_kind(self) -> Loss:
        said = [key for key in ("probability", "segment", "type") if getattr(self, key) is not None]
        if len(said) != 1:
            refuse(said[1] if said else "", "give one of probability, segment, type")
        if self.attributes and self.type is None:
            refuse("attributes", "go with type")
        return self


class Trace(Table):
    """How the rate or delay of a point-to-point link changes, from a file."""

    file: str = Field(description="Relative to the experiment.")
    format: Literal["csv", "mahimahi"] = Field(
        "csv",
        description="csv: columns time_s and rate_bps, rate_mbps or delay_ms, a step each line. "
        "mahimahi: each line is the ms at which 1504 bytes may leave (mm-link).",
    )
    sender: Name | None = Field(
        None, alias="from", description="The end that sends so; both, unless it is given."
    )
    repeat: bool = Field(True, description="Whether it begins again at its end.")


class End(Table):
    """What is different at one end of a link: what it sends, and what it loses as it arrives."""

    rate: Rate | None = Field(None, description="At which it sends (point-to-point).")
    queue: QueueSize | None = Field(None, description="Of what waits there to be sent.")
    queue_disc: QueueDisc | None = Field(None, description="Of what waits there to be sent.")
    loss: Loss | None = Field(None, description="Of what arrives there.")


class Link(Table):
    """A link of two or more hosts and routers."""

    type: Literal["point-to-point", "csma", "wifi"] = Field(
        "point-to-point", description="point-to-point (two ends), csma (Ethernet segment) or wifi."
    )
    between: list[Name] = Field(
        description="Hosts and routers; with wifi the first is the access point."
    )
    rate: Rate | None = Field(
        None, description="Of each direction, or of the segment; not with wifi. Needed otherwise."
    )
    delay: Time | None = Field(None, description="One way; not with wifi. Needed otherwise.")
    queue: QueueSize | None = Field(
        None, description="Of each device: 100 packets unless it is given, 2 behind a queue_disc."
    )
    queue_disc: QueueDisc | None = Field(None, description="In front of each device.")
    loss: Loss | None = Field(None, description="Of what arrives at each end.")
    mtu: Size | None = Field(None, description="1500 B unless it is given.")
    network: Network | None = Field(None, description="Its IPv4 network; else one of network.")
    addresses: dict[Name, Address] = Field(
        {}, description="Of hosts and routers on it; else those that come next."
    )
    cost: Positive = Field(1, description="For routing.")
    ends: dict[Name, End] = Field({}, description="What is different at one end, by its name.")
    trace: list[Trace] = Field([], description="How rate or delay change (point-to-point).")
    ethernet: bool = Field(
        False, description="Whole Ethernet frames between two machines (point-to-point): ARP, VLAN."
    )
    standard: str = Field(
        "80211n", description="Of wifi, what ns-3 has after WIFI_STANDARD: as WIFI_STANDARD_80211n."
    )
    rate_control: str = Field(
        "Ideal", description="Of wifi: Ideal, MinstrelHt, ... (ns3::IdealWifiManager)."
    )
    positions: dict[Name, list[Distance]] = Field(
        {}, description='Of wifi: [x, y] of each, ["20 m", "0 m"]; else 5 m from the access point.'
    )

    @model_validator(mode="after")
    def _fits_type(self) -> Link:
        if len(self.between) < 2:
            refuse("between", "a link joins two or more")
        for name in self.between:
            if self.between.count(name) > 1:
                refuse("between", f"{name} is there twice")
        if self.type == "point-to-point" and len(self.between) != 2:
            refuse("between", 'a point-to-point link joins two; type = "csma" joins more')
        for key in ("addresses", "ends", "positions"):
            for name in getattr(self, key):
                if name not in self.between:
                    refuse(f"{key}.{name}", f"{name} is not on this link")
        said = self.model_fields_set
        for key in ("rate", "delay"):
            if (getattr(self, key) is None) != (self.type == "wifi"):
                what = "wifi has none" if self.type == "wifi" else "is missing"
                refuse(key, what)
        for key in ("standard", "rate_control", "positions"):
            default = type(self).model_fields[key].default
            if self.type != "wifi" and key in said and getattr(self, key) != default:
                refuse(key, 'goes with type = "wifi"')
        for key in ("trace", "ethernet"):
            if getattr(self, key) and self.type != "point-to-point":
                refuse(key, 'goes with type = "point-to-point"')
        for key in ("loss", "queue_disc", "mtu"):
            if getattr(self, key) is not None and self.type == "wifi":
                refuse(key, "wifi has none of its own here")
        for name, end in self.ends.items():
            if end.rate is not None and self.type != "point-to-point":
                refuse(f"ends.{name}.rate", 'goes with type = "point-to-point"')
            for key in ("queue_disc", "loss"):
                if getattr(end, key) is not None and self.type == "wifi":
                    refuse(f"ends.{name}.{key}", "wifi has none of its own here")
        for i, trace in enumerate(self.trace):
            if trace.sender is not None and trace.sender not in self.between:
                refuse(f"trace.{i}.from", f"{trace.sender} is not on this link")
        for name, place in self.positions.items():
            if len(place) != 2:
                refuse(f"positions.{name}", "give two distances, x and y")
        return self


class Flow(Table):
    """A TCP connection that is kept full, made and read by the kernels at its ends."""

    sender: Name = Field(alias="from", description="A host.")
    receiver: Name = Field(alias="to", description="A host.")
    start: Time = Field(0, description="When it connects.")
    stop: Time | None = Field(None, description="When it ends; else with the experiment.")
    size: Size | None = Field(None, description="Payload; as much as goes unless it is given.")
    congestion_control: str | None = Field(
        None, description="The socket's; the sysctl decides unless it is given."
    )
    protocol: Literal["tcp", "mptcp"] = Field("tcp", description="tcp or mptcp.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="The receiver's; from 5001 on unless it is given."
    )
    write_size: Size | None = Field(
        None, description="A buffer that the sender writes, and fills anew; else as much as goes."
    )
    send_buffer: Size | None = Field(
        None, description="SO_SNDBUF of the sender; the kernel adjusts it unless it is given."
    )
    read_size: Size | None = Field(
        None, description="Of each read(2) of the receiver; all there is unless it is given."
    )
    reads_per_wake: Positive | None = Field(
        None, description="Of the receiver, when data has come; till no more unless it is given."
    )

    @model_validator(mode="after")
    def _can_be(self) -> Flow:
        if self.stop is not None and self.stop <= self.start:
            refuse("stop", "is not after start")
        if self.sender == self.receiver:
            refuse("to", "is the sender itself")
        for key, most in (("write_size", _CHUNK), ("read_size", _CHUNK), ("send_buffer", _BUFFER)):
            if (getattr(self, key) or 0) > most:
                refuse(key, f"is at most {most} B")
        name = self.congestion_control
        if name is not None and not _LINUX_NAME.fullmatch(name):
            refuse("congestion_control", f"{name!r}: give a name as Linux has it")
        return self


# What each event needs, and what else it takes.
_EVENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "link-down": (("link",), ("host", "silent")),
    "link-up": (("link",), ("host", "silent")),
    "crash": (("host",), ()),
    "restart": (("host",), ()),
    "partition": (("groups",), ()),
    "heal": ((), ()),
    "change": (("link",), ("rate", "delay", "host")),
    "sysctl": (("host", "sysctls"), ()),
}


class Event(Table):
    """Something that happens at a certain time."""

    at: Time = Field(description="When.")
    do: str = Field(
        description="link-down, link-up (of link; with host only that one's cable), crash, restart "
        "(of host), partition (of groups), heal (ends it), change (rate or delay of link; with "
        "host what that end sends), sysctl (of host)."
    )
    link: Name | None = Field(None, description="Which link.")
    host: Name | None = Field(None, description="Which host or router.")
    groups: list[list[Name]] = Field([], description="Hosts that reach each other only in a group.")
    silent: bool = Field(
        False, description="Whether machines keep their carrier while a link loses everything."
    )
    rate: Rate | None = Field(None, description="The new rate (point-to-point).")
    delay: Time | None = Field(None, description="The new delay, of both directions.")
    sysctls: Sysctls = Field({}, description="Kernel parameters and their new values.")

    @model_validator(mode="after")
    def _says_what(self) -> Event:
        if self.do not in _EVENTS:
            refuse("do", f"there is no event {self.do!r}; there are {', '.join(_EVENTS)}")
        needed, taken = _EVENTS[self.do]
        for key in ("link", "host", "groups", "silent", "rate", "delay", "sysctls"):
            said = bool(getattr(self, key)) or (key == "delay" and self.delay is not None)
            if key in needed and not said:
                refuse(key, f"is missing: {self.do} needs it")
            if said and key not in (*needed, *taken):
                refuse(key, f"{self.do} takes none")
        if self.do == "change" and self.rate is None and self.delay is None:
            refuse("rate", "is missing: give a rate, a delay, or both")
        if self.do == "change" and self.host and self.delay is not None:
            refuse("delay", "is that of both directions: leave host out")
        if self.groups:
            names = [name for group in self.groups for name in group]
            if len(self.groups) < 2 or not all(self.groups):
                refuse("groups", "give two groups or more")
            for name in names:
                if names.count(name) > 1:
                    refuse("groups", f"{name} is there twice")
        return self


class Record(Table):
    """What is recorded, besides what always is: programs' output, flows, consoles, a time-line."""

    pcaps: Pcaps = Field(
        True, description="Of all hosts and routers with a kernel; or which hosts and routers."
    )
    tcp_info: bool = Field(True, description="struct tcp_info of flows, at each change.")
    sockets: Time | None = Field(
        None, description="How often tcp_info of all other TCP sockets is sampled; else it is not."
    )
    queues: Time | None = Field(
        None, description="How often queues are sampled; drops are counted in any case."
    )
    throughput: Time = Field(
        10**9, description='Of flows, over what intervals; "0 s": it is not recorded.'
    )
    drops: bool = Field(
        False, description="Captures of what devices' queues drop, and of what is lost on links."
    )
    cpu: Time | None = Field(
        None, description="Over what intervals the load of machines with a CpuRate is written."
    )
    routes: list[Time] = Field([], description="When machines' routes are written down.")

    @model_validator(mode="after")
    def _intervals(self) -> Record:
        for key in ("sockets", "queues", "cpu"):
            if getattr(self, key) == 0:
                refuse(key, "an interval is above 0")
        return self


class Experiment(Table):
    """An experiment."""

    title: str = Field("", description="For people.")
    duration: Time = Field(description="Simulated time.")
    seed: Annotated[int, Field(ge=1, lt=2**32)] = Field(1, description="RngSeed of ns-3.")
    run: Annotated[int, Field(ge=1, lt=2**63)] = Field(1, description="RngRun of ns-3.")
    network: Network = Field("10.0.0.0/16", description="Links get a /24 of it each.")
    routing: Literal["static", "global", "none"] = Field(
        "static",
        description="static: shortest paths by cost, as routes in the main tables. global: ns-3's "
        "global routing, which takes hosts for routers: they forward, too. none: for routing "
        "daemons; hosts with one router have a default route.",
    )
    ipv6: bool = Field(False, description="Whether machines have IPv6: link-local addresses.")
    defaults: Defaults = Field(Defaults(), description="For all machines.")
    ns3_defaults: WholeAttributes = Field(
        {},
        description="Attributes that ns-3's own objects have unless they are told otherwise: "
        '"ns3::TcpL4Protocol::SocketType" = "ns3::TcpCubic".',
    )
    hosts: dict[Name, Host] = Field(description="By name.")
    routers: dict[Name, Router] = Field({}, description="By name.")
    order: list[Name] = Field(
        [],
        description="In which hosts and routers get their ids, from which follows what kernels "
        "draw; hosts, then routers, unless it is given.",
    )
    links: dict[Name, Link] = Field({}, description="By name; eth0, eth1, ... are in this order.")
    flows: dict[Name, Flow] = Field({}, description="TCP connections, by name.")
    events: list[Event] = Field([], description="What happens meanwhile.")
    record: Record = Field(Record(), description="What is recorded.")
    matrix: dict[str, Any] = Field(
        {}, description="Keys and their values: a run for each combination (results.rst)."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Experiment:
        if not self.duration:
            refuse("duration", "is above 0")
        if not self.hosts:
            refuse("hosts", "there are none")
        if self.order and sorted(self.order) != sorted([*self.hosts, *self.routers]):
            refuse("order", f"give all of {', '.join([*self.hosts, *self.routers])}, each once")
        if self.defaults.kernel == NS3:
            refuse("defaults.kernel", "hosts have a Linux kernel")
        for name in self.routers:
            if name in self.hosts:
                refuse(f"routers.{name}", f"there is a host {name}, too")
        for link_name, link in self.links.items():
            for name in link.between:
                self._check_node(f"links.{link_name}.between", name)
            if link.ethernet and any(self.is_native(name) for name in link.between):
                refuse(f"links.{link_name}.ethernet", "needs a machine at both ends")
        for name in (*self.hosts, *self.routers):
            if (
                not any(name in link.between for link in self.links.values())
                and len(self.all_nodes) > 1
            ):
                kind = "hosts" if name in self.hosts else "routers"
                refuse(f"{kind}.{name}", "is on no link")
        self._check_flows()
        for i, event in enumerate(self.events):
            self._check_event(f"events.{i}", event)
        for name in self.record.pcaps if isinstance(self.record.pcaps, list) else ():
            self._check_node("record.pcaps", name)
        for where, time in self._times():
            if time >= self.duration:
                refuse(where, "is not before the end (duration)")
        return self

    def _check_node(self, place: str, name: str) -> None:
        if name not in self.all_nodes:
            refuse(place, f"there is no {name}; there are {', '.join(self.all_nodes)}")

    def _check_flows(self) -> None:
        for flow_name, flow in self.flows.items():
            for key, name in (("from", flow.sender), ("to", flow.receiver)):
                place = f"flows.{flow_name}.{key}"
                self._check_node(place, name)
                if self.is_native(name):
                    self._check_native_flow(f"flows.{flow_name}", key, name, flow)

    def _check_native_flow(self, place: str, end: str, name: str, flow: Flow) -> None:
        keys = {
            "from": ("congestion_control", "write_size", "send_buffer"),
            "to": ("read_size", "reads_per_wake"),
        }[end]
        for key in keys:
            if getattr(flow, key) is not None:
                refuse(f"{place}.{key}", f"{name} has ns-3's own stack: see ns3_defaults")
        if flow.protocol != "tcp":
            refuse(f"{place}.protocol", f"{name} has ns-3's own stack, which has none")

    def _check_event(self, place: str, event: Event) -> None:
        if event.host is not None:
            self._check_node(f"{place}.host", event.host)
        for name in (name for group in event.groups for name in group):
            if name not in self.hosts:
                there = ", ".join(self.hosts)
                refuse(f"{place}.groups", f"there is no host {name}; there are {there}")
        if event.link is not None:
            link = self.links.get(event.link)
            if link is None:
                there = ", ".join(self.links)
                refuse(f"{place}.link", f"there is no link {event.link}; there are {there}")
            if event.host is not None and event.host not in link.between:
                refuse(f"{place}.host", f"{event.host} is not on {event.link}")
            if event.do == "change" and link.type != "point-to-point":
                refuse(f"{place}.link", f"{event.link} is no point-to-point link")
            if link.type == "wifi" and event.silent:
                refuse(f"{place}.silent", "Wi-Fi has a carrier or none")
            if link.type == "wifi" and event.do != "change":
                for name in [event.host] if event.host else link.between[1:]:
                    if self.is_native(name):
                        refuse(f"{place}.link", f"{name} has no cable: it is ns-3's own")
        elif event.do in ("crash", "restart", "sysctl") and self.is_native(event.host or ""):
            refuse(f"{place}.host", f"{event.host} has ns-3's own stack")
        if event.do == "crash":
            self._check_crash(place, event)
        if event.do == "partition" and any(link.type == "wifi" for link in self.links.values()):
            refuse(f"{place}.do", "a partition cannot cut Wi-Fi")

    def _check_crash(self, place: str, crash: Event) -> None:
        name = crash.host
        for flow_name, flow in self.flows.items():
            if name in (flow.sender, flow.receiver):
                refuse(f"{place}.host", f"{name} has an end of the flow {flow_name}")
        back = min(
            (
                e.at
                for e in self.events
                if e.do == "restart" and e.host == name and e.at >= crash.at
            ),
            default=self.duration,
        )
        for program in self.all_nodes[name or ""].programs:
            if crash.at <= program.start < back:
                refuse(f"{place}.at", f"{name} is down when {program.label} is to start")

    def _times(self) -> Iterator[tuple[str, int]]:
        for kind, nodes in (("hosts", self.hosts), ("routers", self.routers)):
            for name, node in nodes.items():
                for i, program in enumerate(node.programs):
                    yield f"{kind}.{name}.programs.{i}.start", program.start
        for name, flow in self.flows.items():
            yield f"flows.{name}.start", flow.start
        for i, event in enumerate(self.events):
            yield f"events.{i}.at", event.at
        for i, time in enumerate(self.record.routes):
            yield f"record.routes.{i}", time

    @property
    def all_nodes(self) -> dict[str, Host]:
        """Hosts, then routers, unless `order` says otherwise."""
        nodes = {**self.hosts, **self.routers}
        return {name: nodes[name] for name in self.order or nodes}

    def is_native(self, name: str) -> bool:
        """Say whether it has ns-3's own stack."""
        node = self.routers.get(name) or self.hosts.get(name)
        return node is not None and node.kernel == NS3

    def machine(self, name: str) -> Host:
        """Return what a machine is like, the defaults included."""
        node = self.all_nodes[name]
        said = {key: getattr(node, key) for key in node.model_fields_set}
        values = {key: getattr(self.defaults, key) for key in Defaults.model_fields}
        for key in ("packages", "add", "cmdline"):
            said[key] = [*values[key], *said.get(key, [])]
        for key in ("sysctls", "files", "attributes"):
            said[key] = {**values[key], **said.get(key, {})}
        whole = {**values, **said}
        whole["kernel"] = whole["kernel"] or DEFAULT_KERNEL
        return Host.model_construct(**{"programs": [], **whole})
