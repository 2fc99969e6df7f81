# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: one TCP connection over one bottleneck, as data.

    sender ---- access link ---- router ---- bottleneck link ---- receiver

Both links are full-duplex point-to-point links with the same rate and delay each way. The queue of
the bottleneck towards the receiver is the scenario's; where packets queue before the access link,
its queue counts. A scenario is a TOML file, or made in Python; every quantity has its unit.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import kernel
from .errors import Ns3QemuError, ScenarioError
from .image_spec import DEFAULT_KERNEL, OPTIONS, ImageSpec, Option

NATIVE = "ns3:"
"""How the name of a host begins that runs ns-3's own stack."""

_NATIVE_TCP = ("TcpLinuxReno", "TcpNewReno", "TcpCubic", "TcpBbr", "TcpDctcp", "TcpVegas")

_TIME = re.compile(r"\d+(\.\d+)?(ns|us|ms|s|min)")
_RATE = re.compile(r"\d+(\.\d+)?[kMG]?bps")
_QUEUE = re.compile(r"[1-9]\d*p")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BYTES = re.compile(r"[1-9]\d*B")
_MEMORY = re.compile(r"[1-9]\d*MiB")

# Written like a parameter's name, or with a '-' before it, as in sysctl.d(5).
_SYSCTL = re.compile(r"-?[a-z][A-Za-z0-9_./-]*")

_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}


def time_ns(text: str) -> int:
    """Return a time in ns. "1.5ms" is 1500000."""
    match = re.fullmatch(r"([\d.]+)([a-z]+)", text)
    if match is None or not _TIME.fullmatch(text):
        raise ValueError(text)
    whole, _, fraction = match[1].partition(".")
    scale = _NS[match[2]]
    return int(whole) * scale + int(fraction.ljust(9, "0")[:9] or 0) * scale // 10**9


def rate_bps(text: str) -> int:
    """Return a rate in bit/s. "1.5Mbps" is 1500000."""
    number = re.match(r"[\d.]+", text)
    if number is None or not _RATE.fullmatch(text):
        raise ValueError(text)
    scale = {"": 0, "k": 3, "M": 6, "G": 9}[text[number.end() : -len("bps")]]
    return int(Decimal(number[0]).scaleb(scale))


def _check(key: str, text: str, pattern: re.Pattern[str], allowed: str) -> None:
    if not pattern.fullmatch(text):
        message = f"{key} = {text!r}: give {allowed}"
        raise ValueError(message)


def _check_choice(key: str, text: str | None, choices: Sequence[str]) -> None:
    if text is not None and text not in choices:
        message = f"{key} = {text!r}: there are {', '.join(choices)}"
        raise ValueError(message)


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A point-to-point link. Quantities as ns-3 writes them."""

    rate: str  # "2Mbps"
    delay: str  # "20ms"
    queue: str  # "20p": packets that wait besides the one being sent; DropTail

    def __post_init__(self) -> None:
        """Raise ValueError for what is no quantity."""
        _check("rate", self.rate, _RATE, 'a rate above 0 with its unit, as "2Mbps"')
        if not float(re.sub("[a-zA-Z]+", "", self.rate)):
            message = "rate must be above 0"
            raise ValueError(message)
        _check("delay", self.delay, _TIME, 'a time with its unit, as "20ms"')
        _check("queue", self.queue, _QUEUE, 'at least one packet, as "20p"')


class Loss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data segment to be lost as it arrives at the receiver, and its first retransmissions."""

    segment: int  # counted from 1
    count: int = 1  # the original and count - 1 retransmissions

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that count nothing."""
        if self.segment < 1 or self.count < 1:
            message = "segment and loss.count count from 1"
            raise ValueError(message)


class Tcp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TCP at both hosts."""

    congestion_control: str = "reno"
    sack: bool = True
    timestamps: bool = True
    window_scaling: bool = True
    initial_window: int | None = None  # segments; None: the kernel's own
    sysctl: dict[str, int | str] = {}  # with a '-' before it: if the kernel has it

    def __post_init__(self) -> None:
        """Raise ValueError for a window that cannot be, and for what is no kernel parameter."""
        for name in self.sysctl:
            _check("sysctl", name, _SYSCTL, "names as net.ipv4.tcp_ecn")
        if self.initial_window is not None and not 1 <= self.initial_window <= 1000:
            message = "initial_window is 1 to 1000 segments"
            raise ValueError(message)
        _check("congestion_control", self.congestion_control, _NAME, "a name as Linux has it")

    @property
    def modules(self) -> tuple[str, ...]:
        """The kernel modules that it takes, where they are not built in; a guest loads them.

        With all congestion controls, machines are started from the same image.
        """
        # Reno is a part of TCP itself.
        name = self.congestion_control
        return () if name == "reno" else (f"tcp_{name}",)

    def sysctls(self) -> dict[str, str]:
        """Return the kernel parameters that say so, in the order in which to set them."""
        return {
            "net.ipv4.tcp_congestion_control": self.congestion_control,
            "net.ipv4.tcp_sack": str(int(self.sack)),
            "net.ipv4.tcp_timestamps": str(int(self.timestamps)),
            "net.ipv4.tcp_window_scaling": str(int(self.window_scaling)),
            **{name: str(value) for name, value in self.sysctl.items()},
        }


def byte_count(text: str | None) -> int:
    """Return a number of bytes. "8192B" is 8192, nothing is 0."""
    return int((text or "0B").removesuffix("B"))


# The relay's largest read or write; what an int in setsockopt(2) holds when the kernel doubles it.
_CHUNK = 1 << 18
_BUFFER = (1 << 30) - 1

CPU_RATE_MIN, CPU_RATE_MAX = 1e6, 1e12
"""Instructions per second that a machine's CPU may execute; see `CpuRate` in the manual."""

CPUS_MAX = 8
"""CPUs that a machine may have."""

LIKES = ("nsc",)
"""What a machine can be like, by a single word."""


# How an option of an image is written that has this unit: pattern, what to give, and the number.
_UNITS: dict[str, tuple[re.Pattern[str], str, Callable[[str], int]]] = {
    "MiB": (_MEMORY, 'a size with its unit, as "96MiB"', lambda text: int(text[: -len("MiB")])),
    "ns": (_TIME, 'a time with its unit, as "16ns"', time_ns),
}


def _image_value(option: Option, text: str) -> Any:
    """Return what a key's text means to an image. Raises ValueError for what cannot be."""
    value: Any = text
    if option.unit:
        pattern, allowed, number = _UNITS[option.unit]
        _check(option.key, text, pattern, allowed)
        value = number(text)
    elif option.several:
        value = tuple(text.split())
    if not option.allows(value):
        message = f"{option.key} = {text!r}: there are {option.allowed}"
        if option.limits or option.is_valid:
            message = f"{option.key} is {option.allowed}"
        raise ValueError(message)
    return value


if TYPE_CHECKING:

    class _ImageKeys(msgspec.Struct, frozen=True):
        """A key for each option of an image that says what a machine is like; see image_spec."""

else:
    _ImageKeys = msgspec.defstruct(
        "_ImageKeys",
        [(option.key, str | None, None) for option in OPTIONS.values() if option.key],
        frozen=True,
        forbid_unknown_fields=True,
    )


class HostOptions(_ImageKeys, frozen=True, forbid_unknown_fields=True):
    """What a host's machine is like; None: as it is with `like`, or else as usual.

    Besides these there are the keys of its image.
    """

    cpu_rate: float | None = None  # 2e9 instructions per second; 0 or none: computing takes no time
    cpus: int | None = None  # 1 to 8
    queues: int | None = None  # of its NIC, 1 to cpus
    like: str | None = None  # "nsc": a machine that behaves as NSC's (with NSC's own kernel)
    tick_phase: str | None = None  # "1ns" after each ms of simulated time; else wherever it is
    tsc_step: str | None = None  # "1us"
    uptime: str | None = None  # "300s" when the simulation begins; else 20 s
    segmentation_offload: bool | None = None  # true: larger packets than the MTU within the stack
    write_size: str | None = None  # "131072B": a buffer that the sender writes, and fills anew
    send_buffer: str | None = None  # "65536B": SO_SNDBUF of the sender; else the kernel adjusts it
    read_size: str | None = None  # "8192B" for each read(2) of the receiver; else all there is
    reads_per_wake: int | None = None  # of the receiver, when data has come; else till no more

    def __post_init__(self) -> None:
        """Raise ValueError for what no machine can be."""
        for key, pattern, allowed in (
            ("tick_phase", _TIME, 'a time with its unit, as "1ns"'),
            ("tsc_step", _TIME, 'a time with its unit, as "1us"'),
            ("uptime", _TIME, 'a time with its unit, as "300s"'),
            ("write_size", _BYTES, 'bytes, as "131072B"'),
            ("send_buffer", _BYTES, 'bytes, as "65536B"'),
            ("read_size", _BYTES, 'bytes, as "8192B"'),
        ):
            text: str | None = getattr(self, key)
            if text is not None:
                _check(key, text, pattern, allowed)
        _check_choice("like", self.like, LIKES)
        if self.cpu_rate and not CPU_RATE_MIN <= self.cpu_rate <= CPU_RATE_MAX:
            message = (
                f"cpu_rate = {self.cpu_rate:g}: give 1e6 to 1e12 instructions per second, or 0"
            )
            raise ValueError(message)
        if self.cpus is not None and not 1 <= self.cpus <= CPUS_MAX:
            message = f"cpus = {self.cpus}: a machine may have 1 to {CPUS_MAX}"
            raise ValueError(message)
        if self.queues is not None and self.queues < 1:
            message = f"queues = {self.queues}: give 1, or up to as many as there are cpus"
            raise ValueError(message)
        for key, low, high in (("tick_phase", 0, 999_999), ("tsc_step", 1, 1_000_000)):
            text = getattr(self, key)
            if text is not None and not low <= time_ns(text) <= high:
                message = f"{key} is {low} to {high} ns"
                raise ValueError(message)
        for key, most in (("write_size", _CHUNK), ("read_size", _CHUNK), ("send_buffer", _BUFFER)):
            text = getattr(self, key)
            if text is not None and byte_count(text) > most:
                message = f"{key} is at most {most} bytes"
                raise ValueError(message)
        if self.reads_per_wake is not None and self.reads_per_wake < 1:
            message = "reads_per_wake counts from 1"
            raise ValueError(message)
        self.image_values()

    def image_values(self) -> dict[str, Any]:
        """Return what is said of an image, by the names of its options."""
        said = {name: getattr(self, option.key) for name, option in OPTIONS.items() if option.key}
        return {
            name: _image_value(OPTIONS[name], text)
            for name, text in said.items()
            if text is not None
        }

    def over(self, other: "HostOptions") -> "HostOptions":
        """Return these options where there are any, else those of `other`."""
        names = self.__struct_fields__
        return HostOptions(
            **{
                name: mine if (mine := getattr(self, name)) is not None else getattr(other, name)
                for name in names
            }
        )


_LIKE = {
    "nsc": msgspec.convert(
        {
            "nic": "e1000",
            "relay": "uart",
            "hpet_period": "16ns",
            "tick_phase": "1ns",
            # Its jiffies are 0 when the simulation begins; a kernel's are 300 s after its boot.
            "uptime": "300s",
            "segmentation_offload": False,
            # A tick in every ms, whatever there is to do: time is kept by counting them.
            "cmdline": "nohz=off highres=off",
            "cpu": "x86-64-v1",
            "date": "2000-01-01",
            "memory": "256MiB",
        },
        HostOptions,
    )
}


class Hosts(HostOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What runs where: a kernel ("debian:6.1"), or ns-3's own stack ("ns3:TcpLinuxReno").

    The options are for both machines, but for what the two tables say.
    """

    sender: str = DEFAULT_KERNEL
    receiver: str = DEFAULT_KERNEL
    sender_options: HostOptions = HostOptions()
    receiver_options: HostOptions = HostOptions()

    def __post_init__(self) -> None:
        """Raise ValueError for hosts that there are not."""
        super().__post_init__()
        for key in ("sender", "receiver"):
            name: str = getattr(self, key)
            native = name.removeprefix(NATIVE)
            if native != name and native not in _NATIVE_TCP:
                choice = ", ".join(NATIVE + tcp for tcp in _NATIVE_TCP)
                message = f"{key} = {name!r}: of ns-3's own there are {choice}"
                raise ValueError(message)
            if native == name:
                try:
                    kernel.check_name(name)
                except Ns3QemuError as error:
                    message = f"{key} = {name!r}: {error.message}; {error.advice}"
                    raise ValueError(message) from error

        for host in ("sender", "receiver"):
            options = self.options(host)
            if options.cpu_rate and (options.like or str(getattr(self, host)).startswith(NATIVE)):
                what = f'like = "{options.like}"' if options.like else "a stack of ns-3's own"
                message = f"cpu_rate = {options.cpu_rate:g}: {host} is {what}; give 0, or none"
                raise ValueError(message)
            is_native = str(getattr(self, host)).startswith(NATIVE)
            for key in ("cpus", "queues"):
                if is_native and getattr(options, key):
                    message = f"{key} = {getattr(options, key)}: {host} is a stack of ns-3's own"
                    raise ValueError(message)
            if (options.queues or 1) > (options.cpus or 1):
                message = f"queues = {options.queues}: {host} has {options.cpus or 1} CPUs (cpus)"
                raise ValueError(message)

    def options(self, host: str) -> HostOptions:
        """Return all options of a host, those of `like` included; `host`: sender or receiver."""
        own: HostOptions = getattr(self, f"{host}_options")
        said = own.over(self)
        return said.over(_LIKE[said.like]) if said.like else said

    def image(self, host: str) -> ImageSpec:
        """Return the image of a host's machine."""
        return ImageSpec(getattr(self, host), **self.options(host).image_values())


NEVER_IDLE = ("queue", "sender")
"""Why a narrow link is never idle: its queue never runs empty, or it is the sender's own."""


class Validation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `ns3-qemu validate` has to know of a scenario; it changes nothing in a run."""

    never_idle: str | None = None  # why the narrow link never is; None: it may be

    def __post_init__(self) -> None:
        """Raise ValueError for a reason that there is not."""
        _check_choice("never_idle", self.never_idle, NEVER_IDLE)


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run: the connection opens at `start` and is kept full until `start` + `duration`."""

    name: str
    start: str
    duration: str
    access: Link
    bottleneck: Link
    tcp: Tcp = Tcp()
    hosts: Hosts = Hosts()
    loss: Loss | None = None
    validation: Validation = Validation()

    def __post_init__(self) -> None:
        """Raise ValueError for what is no name or no time."""
        _check("name", self.name, _NAME, "letters, digits, '.', '_' and '-'")
        _check("start", self.start, _TIME, 'a time with its unit, as "1s"')
        _check("duration", self.duration, _TIME, 'a time with its unit, as "60s"')
        if not time_ns(self.duration):
            message = "duration must be above 0"
            raise ValueError(message)

    @property
    def end_ns(self) -> int:
        """Simulated time of the end."""
        return time_ns(self.start) + time_ns(self.duration)


def read(path: Path, settings: Sequence[str] = ()) -> Scenario:
    """Read a scenario file; `settings` ("tcp.sack=false") take the place of what it says.

    Raises ScenarioError, in one line that names the key and what is allowed.
    """
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path}: {error.strerror if isinstance(error, OSError) else error}"
        raise ScenarioError(message) from error
    for setting in settings:
        _set(data, setting)
    try:
        return msgspec.convert(data, Scenario)
    except msgspec.ValidationError as error:
        message = f"{path}: {_explain(error)}"
        raise ScenarioError(message) from error


def _set(data: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # "2Mbps" need not be quoted on a command line
    # The name of a kernel parameter has dots of its own.
    head, dot, tail = key.strip().partition(".sysctl.")
    path = [*head.split("."), "sysctl", tail] if dot else head.split(".")
    table = data
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            message = f"--set {setting}: {part} is not a table"
            raise ScenarioError(message)
    if not equals or not all(path):
        message = f"--set {setting}: give KEY=VALUE, as bottleneck.queue=40p"
        raise ScenarioError(message)
    table[path[-1]] = value


def _explain(error: msgspec.ValidationError) -> str:
    """Put the key before what msgspec says: "`$.access`" -> "access: ..."."""
    text = str(error)
    what, _, where = text.partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", what)
    if unknown:
        names = msgspec.structs.fields(_struct(key))
        allowed = ", ".join(field.encode_name for field in names)
        full = f"{key}.{unknown[1]}" if key else unknown[1]
        return f"{full}: there is no such key; there are {allowed}"
    missing = re.fullmatch(r"Object missing required field `(.+)`", what)
    if missing:
        full = f"{key}.{missing[1]}" if key else missing[1]
        return f"{full}: is missing"
    if what.startswith("Expected `str"):
        example = "96MiB" if key.endswith("memory") else "20ms"
        return f'{key}: give text in quotes, with its unit if it is a quantity, as "{example}"'
    if what.startswith("Expected `float"):
        return f"{key}: give a number, as 2e9"
    if what.startswith("Expected `bool`"):
        return f"{key}: give true or false"
    # What a table's own check says begins with the key's name.
    return f"{key}.{what}" if key in _TABLES else f"{key}: {what}" if key else what


_TABLES: dict[str, type[msgspec.Struct]] = {
    "access": Link,
    "bottleneck": Link,
    "tcp": Tcp,
    "hosts": Hosts,
    "hosts.sender_options": HostOptions,
    "hosts.receiver_options": HostOptions,
    "loss": Loss,
    "validation": Validation,
}


def _struct(key: str) -> type[msgspec.Struct]:
    return _TABLES.get(key, Scenario)


def base_case(kernel_name: str) -> Scenario:
    """Return the scenario of the demo.

    It is A1 of the reference measurements with ns-3 and NSC (Linux 2.6.26): see validation/.
    """
    return Scenario(
        name="A1_q20_sack",
        start="1s",
        duration="60s",
        access=Link(rate="100Mbps", delay="5ms", queue="1000p"),
        bottleneck=Link(rate="2Mbps", delay="20ms", queue="20p"),
        tcp=Tcp(
            initial_window=2,
            sysctl={
                "net.ipv4.tcp_ecn": 0,
                "net.ipv4.tcp_rmem": "4096 87380 1597440",
                "net.ipv4.tcp_wmem": "4096 16384 1597440",
                # Nothing but the connection is to be on the wire.
                "-net.ipv6.conf.all.disable_ipv6": 1,
            },
        ),
        # NSC's kernel has no large packets.
        hosts=Hosts(sender=kernel_name, receiver=kernel_name, segmentation_offload=False),
        validation=Validation(never_idle="queue"),
    )
