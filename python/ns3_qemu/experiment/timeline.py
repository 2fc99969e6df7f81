# SPDX-License-Identifier: GPL-2.0-only
"""The time-line: what happened when, as it happens."""

from __future__ import annotations

import weakref
from pathlib import Path

import msgspec

from ..simulation import load
from .layout import TimelineEntry


class Timeline:
    """Writes timeline.jsonl, a line for each entry."""

    def __init__(self, path: str | Path) -> None:
        """Begin the file anew."""
        self._file = Path(path).open("wb")  # noqa: SIM115 - as long as the simulation
        weakref.finalize(self, self._file.close)  # of a script, at its end

    def note(
        self, host: str, kind: str, text: str, **fields: str | int | float | bool | None
    ) -> None:
        """Write what happens now."""
        entry = TimelineEntry(time_ns=now_ns(), host=host, kind=kind, text=text, fields=fields)
        self._file.write(msgspec.json.encode(entry) + b"\n")

    def flush(self) -> None:
        """Let what has been noted be in the file."""
        self._file.flush()

    def close(self) -> None:
        """Let all be in the file."""
        self._file.close()


def now_ns() -> int:
    """Return the simulated time."""
    return int(load().Simulator.Now().GetNanoSeconds())
