# SPDX-License-Identifier: GPL-2.0-only
"""Errors that a user can do something about.

Each says what was wrong (`str(error)`) and what to do (`error.advice`). The command line prints
both and ends with status 1; a script sees an ordinary exception.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path


class Ns3QemuError(Exception):
    """Base of all errors that this package raises on purpose."""

    status = 1
    """What the command line ends with."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice

    def __str__(self) -> str:
        message = str(self.args[0])
        return f"{message}\n{self.advice}" if self.advice else message

    @property
    def message(self) -> str:
        """What was wrong, without the advice."""
        return str(self.args[0])


class StepError(Ns3QemuError):
    """A step of the set-up failed; its output is in a log file."""

    def __init__(
        self, title: str, cause: str, log: Path, last_lines: Sequence[str], advice: str = ""
    ) -> None:
        tail = "".join(f"\n  | {line}" for line in last_lines)
        shown = f"\nThe last lines of {log}:{tail}" if last_lines else f"\nIts log is {log}"
        super().__init__(f"{title}: {cause}{shown}", advice)
        self.title = title
        self.cause = cause
        self.log = log


class CacheError(Ns3QemuError):
    """The cache cannot be written, or what is in it is damaged."""


class AptError(Ns3QemuError):
    """The machine's package sources do not give what is needed."""


class ToolchainError(Ns3QemuError):
    """QEMU cannot be built from what is there."""


class BindingsError(Ns3QemuError):
    """ns-3's Python bindings cannot be loaded from where they are."""


class KernelError(Ns3QemuError):
    """There is no such kernel, or it cannot be used."""


class ImageError(Ns3QemuError):
    """There is no such image, or it cannot be built."""


class VmError(Ns3QemuError):
    """A virtual machine could not start, or failed during a simulation.

    The text says why, with the guest's last console lines.
    """


class MonitorError(Ns3QemuError):
    """A machine's monitor does not answer, or is asked for what it does not do."""


class ScenarioError(Ns3QemuError):
    """A scenario says something that cannot be simulated."""


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """Return the end of a message that names the nearest choice, or "" if none is near."""
    near = difflib.get_close_matches(word, choices, 1)
    return f"; do you mean {near[0]}?" if near else ""


def nearest(word: str, choices: Sequence[str]) -> str:
    """Return the end of a message that names the nearest choice, or all of them."""
    return did_you_mean(word, choices) or f"; there are {', '.join(choices)}"
