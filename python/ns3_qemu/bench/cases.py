# SPDX-License-Identifier: GPL-2.0-only
"""Runs each measurement in a process of its own, so that nothing of one carries over to another."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..errors import Ns3QemuError

_PACKAGE = __package__


class CaseError(Ns3QemuError):
    """A measurement could not be made."""


class NotPossibleError(Ns3QemuError):
    """A measurement cannot be made on this machine; the message is the reason."""


class _Answer(msgspec.Struct):
    result: Any = None
    error: str = ""
    """What hinders the measurement, for a figure's `reason`."""


def call(name: str, arguments: Mapping[str, Any]) -> Any:
    """Run the case `name` (module.function) in a new process; return its result.

    Raises CaseError if it fails. On any other exception, as Ctrl-C, the process has ended, too.
    """
    command = [sys.executable, "-m", _PACKAGE, name, msgspec.json.encode(arguments).decode()]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, errors = process.communicate()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.DecodeError:
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), "no message")
        message = f"{name} ended with status {process.returncode}: {last.strip()}"
        advice = f"Run it alone: {' '.join(command[:4])} '{command[4]}'"
        raise CaseError(message, advice) from None
    if answer.error:
        raise CaseError(answer.error)
    return answer.result


def main(arguments: Sequence[str]) -> int:
    """Run a case in this process and print its result as JSON."""
    name, text = arguments
    # What libraries print goes to standard error: the output is the result and nothing else.
    output = os.dup(1)
    os.dup2(2, 1)
    module, _, function = name.partition(".")
    case = getattr(importlib.import_module(f"{_PACKAGE}.{module}"), function)
    try:
        answer = _Answer(result=case(**msgspec.json.decode(text)))
    except KeyboardInterrupt:
        return 130
    except Ns3QemuError as error:
        answer = _Answer(error=error.message)
    with os.fdopen(output, "wb") as file:
        file.write(msgspec.json.encode(answer) + b"\n")
    return 0
