# SPDX-License-Identifier: GPL-2.0-only
"""An experiment as a script for ns-3: the builder's own calls, written down instead of made."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .build import Builder
from .model import Experiment

_HEAD = '''\
"""{title}

Written by `ns3-qemu experiment --script`. Run it with the Python that ns3-qemu is installed in.
"""

import ns3_qemu
from ns3_qemu.experiment import faults, images, programs, recording, timeline, traces

ns = ns3_qemu.load()

'''
_TAIL = "\nns3_qemu.Run()\nns.Simulator.Destroy()\n"

# What a script begins with, and no variable may be called.
_TAKEN = ("faults", "images", "ns", "ns3_qemu", "programs", "recording", "timeline", "traces")


@dataclass(eq=False)
class _Call:
    """A call: a line of the script, or a part of one."""

    text: str  # with a {n} for each argument that is the value of another call
    parts: list[_Call]
    name: str = ""
    uses: list[_Call] = field(default_factory=list)
    inline: bool = False


class _Value:
    """What a builder is given for a value: it knows how to write it."""

    def __init__(self, writer: _Writer, text: str, parts: list[_Call]) -> None:
        self._writer, self._text, self._parts = writer, text, parts

    def __getattr__(self, name: str) -> _Value:
        return _Value(self._writer, f"{self._text}.{name}", self._parts)

    def __getitem__(self, item: Any) -> _Value:
        text, parts = self._writer.write(item, len(self._parts))
        return _Value(self._writer, f"{self._text}[{text}]", [*self._parts, *parts])

    def __call__(self, *arguments: Any, **options: Any) -> _Value:
        return self._writer.call(self, arguments, options)

    def __iter__(self) -> Any:
        message = "a builder asks nothing of what it makes"
        raise TypeError(message)

    __bool__ = __len__ = __iter__


class _Writer:
    """A builder's library that writes a script."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._names = set(_TAKEN)
        for name in _TAKEN:
            setattr(self, name, _Value(self, name, []))

    def named(self, value: Any, name: str) -> Any:
        """Choose a variable's name."""
        call = value._parts[0]
        if not call.name:
            call.name = self._free(name)
        return value

    def _free(self, name: str) -> str:
        plain = re.sub(r"\W", "_", name)
        number, chosen = 1, plain
        while chosen in self._names or keyword.iskeyword(chosen):
            number += 1
            chosen = f"{plain}_{number}"
        self._names.add(chosen)
        return chosen

    def call(self, called: _Value, arguments: Any, options: Mapping[str, Any]) -> _Value:
        """Note a call; return what stands for its value."""
        text, parts = called._text, list(called._parts)
        words = []
        for key, argument in [*((None, each) for each in arguments), *options.items()]:
            written, more = self.write(argument, len(parts))
            parts += more
            words.append(f"{key}={written}" if key else written)
        call = _Call(f"{text}({', '.join(words)})", parts)
        for part in parts:
            part.uses.append(call)
        self._calls.append(call)
        return _Value(self, "{0}", [call])

    def write(self, value: Any, offset: int) -> tuple[str, list[_Call]]:
        """Return how a value is written, with places from `offset` on for those of calls."""
        if isinstance(value, _Value):
            text, parts = value._text, value._parts
            return re.sub(r"(?<!\{)\{(\d+)\}", lambda m: f"{{{int(m[1]) + offset}}}", text), parts
        if isinstance(value, Mapping):
            pairs: list[str] = []
            found: list[_Call] = []
            for key, each in value.items():
                text, parts = self.write(each, offset + len(found))
                pairs.append(f"{_literal(key)}: {text}")
                found += parts
            return "{{" + ", ".join(pairs) + "}}", found
        if isinstance(value, list | tuple):
            words = []
            found = []
            for each in value:
                text, parts = self.write(each, offset + len(found))
                words.append(text)
                found += parts
            return f"[{', '.join(words)}]", found
        return _literal(value), []

    def text(self) -> str:
        """Return the lines."""
        for i, call in reversed([*enumerate(self._calls)]):
            # What is used once, in what comes next, need not have a name.
            call.inline = (
                not call.name
                and len(call.uses) == 1
                and all(c.inline or c is call.uses[0] for c in self._between(i, call.uses[0]))
            )
        lines = []
        for call in self._calls:
            if call.inline:
                continue
            if call.uses and not call.name:
                call.name = self._free("value")
            lines.append(f"{call.name} = {_shown(call)}" if call.uses else _shown(call))
        return "\n".join(lines) + "\n"

    def _between(self, i: int, last: _Call) -> list[_Call]:
        """Return the calls from one to another; those of values come just before their use."""
        return (
            self._calls[i + 1 : self._calls.index(last, i + 1) + 1]
            if not _is_value(self._calls[i])
            else []
        )


def _is_value(call: _Call) -> bool:
    """Say whether a call only makes a value, so that it matters not when."""
    return bool(
        re.match(r"ns\.(\w*Value|Time|Ipv4Address|Ipv4Mask|QueueSize|Ssid|Vector)\(", call.text)
    )


def _literal(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    return repr(value).replace("{", "{{").replace("}", "}}")


def _shown(call: _Call) -> str:
    parts = [_shown(part) if part.inline else part.name for part in call.parts]
    return call.text.format(*parts)


def write_script(experiment: Experiment, out: str, inputs: Path) -> str:
    """Return the script that does what the experiment says, and records it in `out`."""
    writer: Any = _Writer()
    Builder(experiment, writer, out, inputs.absolute()).build()
    title = (experiment.title or "An experiment").replace("\\", "").replace('"""', "")
    text: str = writer.text()
    return _HEAD.format(title=title) + text + _TAIL
