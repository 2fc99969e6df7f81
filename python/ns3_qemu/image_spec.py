# SPDX-License-Identifier: GPL-2.0-only
"""What an image can be told to be: each option's name, type, default, check and help text, once.

Images are built by it (`image`). Scripts give the options to `image.Image` by name, the command
line has flags for them, and scenario files have keys for those that say what a machine is like.
"""

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from . import cpu as cpus
from . import dates
from .errors import ImageError

DEFAULT_KERNEL = "debian:6.1"

# The NICs that QEMU is built with, and the driver each needs.
NICS = {"virtio-net-pci": "virtio_net", "e1000": "e1000"}

# What the relay can speak over: a virtio-serial port, or a 16550 for kernels without virtio.
RELAY_PORTS = ("virtio", "uart")


@dataclass(frozen=True)
class Option:
    """What there is to say of an option besides its name, type and default."""

    noun: str  # as errors call it
    help: str
    flag: str = ""  # on the command line
    key: str = ""  # in a scenario's table [hosts]; "": it is not said there, or by other keys
    choices: tuple[str, ...] = ()  # what there is; (): any text
    limits: tuple[int, int] | None = None  # of a number
    unit: str = ""  # of a number, as a text has it
    hint: str = ""  # which number to give
    several: bool = False  # it is a list
    is_valid: Callable[[str], bool] | None = None  # of a text; None: any that is one line
    example: str = ""  # of such a text

    @property
    def allowed(self) -> str:
        """What may be given."""
        if self.limits:
            low, high = self.limits
            return f"{low} to {high} {self.unit}"
        return self.example or ", ".join(self.choices)

    def allows(self, value: Any) -> bool:
        """Say whether an image can have it so."""
        if self.limits:
            low, high = self.limits
            return isinstance(value, int) and low <= value <= high
        if self.several:
            return isinstance(value, tuple) and all(_is_text(word) for word in value)
        if self.choices:
            return value in self.choices
        return _is_text(value) and (self.is_valid is None or self.is_valid(value))

    def check(self, value: Any) -> None:
        """Raise ImageError, which says what may be given, unless an image can have it so."""
        if self.allows(value):
            return
        if self.limits:
            message = f"{self.noun} cannot be {value} {self.unit}"
            raise ImageError(message, f"Give {self.allowed}{self.hint}.")
        if self.choices:
            message = f"there is no {self.noun} {value!r}"
            raise ImageError(message, f"There are {self.allowed}.")
        if self.is_valid:
            message = f"not a {self.noun}: {value!r}"
            raise ImageError(message, f"Give it as {self.example}.")
        if self.several and not isinstance(value, tuple):
            message = f"not a list of {self.noun}s: {value!r}"
            raise ImageError(message, f"Give a list, as [{value!r}].")
        words = value if self.several else (value,)
        wrong = next(word for word in words if not _is_text(word))
        message = f"not a {self.noun}: {wrong!r}"
        raise ImageError(message, "Give it as text, in one line.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


@dataclass(frozen=True)
class ImageSpec:
    """What an image is to be, but for the files that a user adds."""

    kernel: Annotated[
        str,
        Option(
            "kernel's name",
            "debian:SERIES, or file:/path/bzImage[,modules=DIR] for one of your own.",
        ),
    ] = DEFAULT_KERNEL
    _: dataclasses.KW_ONLY
    memory_mib: Annotated[
        int | None,
        Option(
            "the memory of a machine",
            "Memory of a machine; as much as its files need, at least 96, unless it is given.",
            flag="--memory",
            key="memory",
            limits=(16, 16384),
            unit="MiB",
            hint="; current kernels need 96",
        ),
    ] = None
    cmdline_extra: Annotated[
        Sequence[str],
        Option(
            "kernel parameter",
            "A kernel parameter, after the usual ones, which it overrides; may be given several "
            "times.",
            flag="--append",
            key="cmdline",
            several=True,
        ),
    ] = ()
    nic: Annotated[
        str,
        Option(
            "NIC",
            f"What NICs a machine has: {' or '.join(NICS)}.",
            flag="--nic",
            key="nic",
            choices=tuple(NICS),
        ),
    ] = "virtio-net-pci"
    extra_modules: Annotated[
        Sequence[str],
        Option(
            "kernel module",
            "A kernel module to be loaded at boot, as tcp_bbr, or with parameters, as "
            "'bonding max_bonds=0'. Usually a guest loads those that it needs.",
            several=True,
        ),
    ] = ()
    # Kernels convert HPET ticks of a power of two to times and back without rounding. Old ones, as
    # 2.6.26, divide by 0 with 1 ns.
    hpet_period_ns: Annotated[
        int,
        Option(
            "the period of an HPET",
            "Of the guest's clock: 1 to 100, in ns. Kernels as old as 2.6.26 need 16.",
            flag="--hpet-period",
            key="hpet_period",
            limits=(1, 100),
            unit="ns",
            hint="; a power of two, to be exact, and 16 for kernels as old as 2.6.26",
        ),
    ] = 1
    relay: Annotated[
        str,
        Option(
            "port of the relay",
            f"What the relay speaks over: {' or '.join(RELAY_PORTS)} (a 16550, for kernels without "
            "virtio).",
            flag="--relay",
            key="relay",
            choices=RELAY_PORTS,
        ),
    ] = "virtio"
    # What QEMU has is known only when there is one; see `cpu.check`.
    cpu: Annotated[
        str,
        Option(
            "CPU",
            f"What programs may be built for: {', '.join(cpus.LEVELS)}, or one of QEMU's CPU "
            f"models. Usually {cpus.DEFAULT}.",
            flag="--cpu",
            key="cpu",
        ),
    ] = cpus.DEFAULT
    date: Annotated[
        str | None,
        Option(
            "date",
            "The guests' date when a simulation begins, as 2026-11-27T12:00:00 (UTC). Usually when "
            "the kernel was made, from when the newest certificate among the files is valid, or "
            "when a disk was written.",
            flag="--date",
            key="date",
            is_valid=dates.is_date,
            example="2026-11-27 or 2026-11-27T12:00:00, from 2000 on",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Take lists for tuples."""
        for field in dataclasses.fields(self):
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))

    def check(self) -> None:
        """Raise ImageError for values that cannot work."""
        for field in dataclasses.fields(ImageSpec):
            value = getattr(self, field.name)
            if value != field.default:
                OPTIONS[field.name].check(value)


def _options() -> dict[str, Option]:
    hints = typing.get_type_hints(ImageSpec, include_extras=True)
    return {
        field.name: next(
            word for word in hints[field.name].__metadata__ if isinstance(word, Option)
        )
        for field in dataclasses.fields(ImageSpec)
    }


OPTIONS: Mapping[str, Option] = MappingProxyType(_options())
"""All options by name."""
