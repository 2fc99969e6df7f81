# SPDX-License-Identifier: GPL-2.0-only
"""Whether a kernel of one's own has what a guest needs, and what sets it apart from NSC's.

What is asked for is known by the kernel's configuration. A kernel may still lack what no option
says; but one that lacks what is asked for here does not get to where it could tell.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from . import kernel_config
from .kernel import Kernel
from .kernel_config import Config

#: the kernel whose packets NSC has
NSC_RELEASE = "2.6.26"


class State(StrEnum):
    """What is found of one thing that is asked for."""

    OK = "ok"
    MISSING = "missing"  # a guest needs it
    LACKS = "without"  # a guest does without, but something is not to be had
    DIFFERS = "differs"  # from NSC's


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    part: str  # "guest", "nic = e1000", "like = nsc", ...
    asked: str  # CONFIG_HZ=1000
    state: State
    found: str  # what the configuration has
    why: str  # what it is for


@dataclass(frozen=True)
class _Need:
    """Options, one of which is to be there; or, without any, a release."""

    options: tuple[str, ...]
    why: str
    value: str = ""  # what it is to be; "": y, or m where there are modules; "n": not set
    least: int = 0  # of a number
    since: tuple[int, ...] = (0,)  # kernels before this have no such option
    release: tuple[int, ...] = ()  # the first that will do


def _all(why: str, *names: str) -> list[_Need]:
    return [_Need((name,), why) for name in names]


_GUEST = [
    _Need(("X86_64", "64BIT"), "guests are x86-64"),
    _Need(("BLK_DEV_INITRD",), "the relay, its first process, is in an initramfs"),
    _Need(("BINFMT_ELF",), "the relay is an ELF program"),
    *_all("what the HPET is found by, and NICs", "ACPI", "PCI"),
    _Need(("HPET_TIMER",), "the clock that shows simulated time exactly"),
    *_all("what it is there for", "NET", "INET"),
    *_all("the relay looks for devices and parameters there", "PROC_FS", "SYSFS"),
    _Need(("SYSCTL", "PROC_SYSCTL"), "kernel parameters"),
    _Need(("EPOLL",), "the relay waits by it"),
    _Need(("SERIAL_8250",), "the console, and a relay that speaks over a 16550"),
    _Need(("SERIAL_8250_CONSOLE",), "messages of a guest that panics"),
]

# NIC -> what its driver is.
_NICS = {
    "virtio-net-pci": _all("virtio's NIC", "VIRTIO_PCI", "VIRTIO_NET"),
    "e1000": _all("Intel's NIC", "E1000"),
}

_RELAYS = {
    "virtio": [
        *_all("a virtio-serial port", "VIRTIO_PCI", "VIRTIO_CONSOLE"),
        _Need((), "its ports have names", release=(2, 6, 35)),
    ],
    "uart": [_Need(("SERIAL_8250_NR_UARTS",), "a second 16550, beside the console", least=2)],
}

_ADVISED = [
    _Need(("IPV6",), "IPv6"),
    _Need(("UNIX",), "programs that speak over sockets of the machine"),
    _Need(("PACKET",), "programs that capture: tcpdump, DHCP clients"),
    _Need(("FUTEX",), "programs with threads"),
    _Need(("TMPFS",), "room in /tmp and /run"),
    _Need(("DEVTMPFS",), "device nodes beside the usual ones", since=(2, 6, 32)),
    _Need(("NET_SCHED",), "queueing disciplines (TrafficControlHelper)"),
    _Need(("HIGH_RES_TIMERS",), "timers that are more exact than a tick"),
    _Need(
        ("NO_HZ", "NO_HZ_IDLE", "NO_HZ_FULL"), "few turns: without it there is one for each tick"
    ),
    _Need(("PROC_CHILDREN",), "a run without Simulator::Stop ends by itself", since=(4, 2)),
]

_SK_BUFF = "sizeof(struct sk_buff), so the truesize of a packet, so the window"
_HEADER = "MAX_HEADER, so the room that is made for headers, so the truesize of a packet"

_NSC = [
    _Need(("HZ",), "NSC's ticks are 1 ms", value="1000"),
    _Need(
        ("X86_L1_CACHE_SHIFT",),
        "packets' room is rounded to it: their truesize, so the window",
        value="5",
    ),
    *[
        _Need((name,), _SK_BUFF, value="n")
        for name in (
            "NF_CONNTRACK",
            "BRIDGE_NETFILTER",
            "NET_CLS_ACT",
            "NET_DMA",
            "NETWORK_SECMARK",
            "NETDEVICES_MULTIQUEUE",
        )
    ],
    *[
        _Need((name,), _HEADER, value="n")
        for name in (
            *("NET_IPIP", "NET_IPGRE", "IPV6_SIT", "IPV6_TUNNEL"),
            *("WLAN", "WLAN_80211", "MAC80211_MESH", "AX25", "TR"),
        )
    ],
    _Need(("IPV6",), "its autoconfiguration would be on the wire", value="n"),
    _Need(("TCP_CONG_CUBIC",), "scenarios with CUBIC", value="y"),
]


@dataclass(frozen=True)
class Report:
    """What is known of a kernel."""

    release: str
    config: Config
    findings: tuple[Finding, ...]

    @property
    def _parts_missing(self) -> set[str]:
        return {finding.part for finding in self.findings if finding.state is State.MISSING}

    @property
    def usable(self) -> bool:
        """Whether it has what a guest needs, one NIC and one port for the relay included."""
        complete = "guest" not in self._parts_missing
        return complete and bool(self._there("nic", _NICS) and self._there("relay", _RELAYS))

    @property
    def like_nsc(self) -> bool:
        """Whether nothing is known by which its packets would differ from NSC's."""
        bad = {finding.part for finding in self.findings if finding.state is not State.OK}
        return self.usable and not bad & {"like = nsc", "nic = e1000", "relay = uart"}

    @property
    def verdict(self) -> str:
        """What comes of it, in a line."""
        nics, ports = self._there("nic", _NICS), self._there("relay", _RELAYS)
        if not self.usable:
            return "It cannot run in a guest: something that is missing is needed."
        nsc = "equals NSC's, as far as is known" if self.like_nsc else "differs from NSC's"
        return f"It runs with nic = {nics}, relay = {ports}, and {nsc}."

    def _there(self, key: str, names: Iterable[str]) -> str:
        return " or ".join(name for name in names if f"{key} = {name}" not in self._parts_missing)


def check(kernel: Kernel, config: Path | None = None) -> Report:
    """Hold a kernel's configuration against what is needed.

    `config`: the file that has it; else it is looked for in the kernel and beside it. Raises
    KernelError if there is none.
    """
    known = (
        kernel_config.of_file(config)
        if config
        else kernel_config.find(kernel.bzimage, kernel.release)
    )
    return Report(kernel.release, known, tuple(_findings(kernel, known)))


def _findings(kernel: Kernel, config: Config) -> Iterator[Finding]:
    version = _version(kernel.release)
    if config.version and _version(config.version)[:2] != version[:2]:
        # Of a configuration for another kernel nothing can be said of this one.
        yield Finding(
            "guest",
            f"a configuration of Linux {_dotted(version[:2])}",
            State.MISSING,
            f"one of Linux {config.version}",
            "what follows is about another kernel",
        )
    modules = kernel.modules is not None
    parts = [("guest", _GUEST, State.MISSING)]
    parts += [(f"nic = {name}", needs, State.MISSING) for name, needs in _NICS.items()]
    parts += [(f"relay = {name}", needs, State.MISSING) for name, needs in _RELAYS.items()]
    parts.append(("programs, times", _ADVISED, State.LACKS))
    for part, needs, bad in parts:
        for need in needs:
            if need.since <= version:
                yield _look(part, need, config, version, bad, modules=modules)
    yield Finding(
        "like = nsc",
        f"Linux {NSC_RELEASE}",
        State.OK if version[:3] == _version(NSC_RELEASE) else State.DIFFERS,
        kernel.release,
        "the kernel that NSC has",
    )
    for need in _NSC:
        yield _look("like = nsc", need, config, version, State.DIFFERS, modules=False)


def _look(
    part: str,
    need: _Need,
    config: Config,
    version: tuple[int, ...],
    bad: State,
    *,
    modules: bool,
) -> Finding:
    if need.release:
        state = State.OK if version >= need.release else bad
        return Finding(part, f"Linux {_dotted(need.release)}", state, _dotted(version), need.why)
    values = {option: config.get(option) for option in need.options}
    # The first that is there speaks for all.
    option = next((name for name, value in values.items() if value != "n"), need.options[0])
    value = values[option]
    found = f"CONFIG_{option}={value}" if value != "n" else "not set"
    asked = f"CONFIG_{' or '.join(need.options)}"
    if need.value == "n":
        good, asked = value == "n", f"no {asked}"
    elif need.value:
        good, asked = value == need.value, f"{asked}={need.value}"
    elif need.least:
        good, asked = value.isdigit() and int(value) >= need.least, f"{asked} >= {need.least}"
    else:
        good = value == "y" or (value == "m" and modules)
        if value == "m" and not modules:
            found += ", but no modules are given"
    return Finding(part, asked, State.OK if good else bad, found, need.why)


def _version(release: str) -> tuple[int, ...]:
    """Return (6, 1, 0) of 6.1.0-50-cloud-amd64."""
    numbers: list[int] = []
    for word in release.partition("-")[0].split("."):
        digits = word[: len(word) - len(word.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
