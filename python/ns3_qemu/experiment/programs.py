# SPDX-License-Identifier: GPL-2.0-only
"""Programs of an experiment: their output goes to files, and they may start again."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from ..program import OUT, Program
from ..simulated_time import to_time
from ..simulation import load
from .images import ENVIRONMENT
from .timeline import Timeline, now_ns


class HostProgram:
    """A program of a host, from its start to its end; also when its host crashes meanwhile."""

    def __init__(
        self,
        node: Any,
        command: str | Sequence[str],
        *,
        host: str,
        output: str,
        timeline: Timeline,
        name: str = "",
        start: str = "0s",
        **options: Any,
    ) -> None:
        """Let a program run on a node.

        `output`: the path of its output without ".stdout" and ".stderr". The other arguments are
        those of `ns3_qemu.Program`, times as texts.
        """
        self._node, self._command = node, command
        self._host, self._timeline, self._options = host, timeline, options
        self.name = name or output.rpartition("/")[2]
        self._files: dict[int, IO[str]] = {}
        for stream, suffix in ((OUT, "stdout"), (OUT + 1, "stderr")):
            path = Path(f"{output}.{suffix}")
            self._files[stream] = path.open("w", encoding="utf-8", newline="\n")
            weakref.finalize(self, self._files[stream].close)  # of a script, at its end
        self.exit_code: int | None = None
        self.exit_ns: int | None = None
        self.crashed = False
        self._program = self._begin(start, options.get("stop"))

    def _begin(self, start: str | float, stop: Any) -> Program:
        options = {**self._options, "stop": stop}
        options["environment"] = {**ENVIRONMENT, **options.get("environment", {})}
        program = Program(self._node, self._command, start=start, **options)
        program.on_output(self._on_output)
        program.on_exit(self._on_exit)
        return program

    def _on_output(self, line: str, stream: int) -> None:
        if self.crashed:
            return  # what it says of connections that are gone, before it is killed
        self._files[stream].write(f"{line}\n")
        kind = "output" if stream == OUT else "error-output"
        self._timeline.note(self._host, kind, line, program=self.name)

    def _on_exit(self, code: int, signal: int) -> None:
        self.exit_code, self.exit_ns = 128 + signal if signal else code, now_ns()
        text = f"{self.name} ends with {self.exit_code}"
        fields: dict[str, str | int | None]
        fields = {"program": self.name, "exit_code": self.exit_code, "signal": signal}
        self._timeline.note(self._host, "program-exit", text, **fields)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._program.running

    def crash(self) -> None:
        """Note that the host is about to end it."""
        self.crashed = self.crashed or self.running

    def restart(self) -> None:
        """Start it again, now, if the crash has ended it and its time is not over."""
        if not self.crashed:
            return
        stop = self._options.get("stop")
        remaining = None if stop is None else to_time(stop) - load().Simulator.Now()
        if remaining is not None and not remaining.IsStrictlyPositive():
            return
        self.crashed = False
        self.exit_code = self.exit_ns = None
        self._program = self._begin(0, remaining)

    def flush(self) -> None:
        """Let the output so far be in the files."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Let all output be in the files."""
        for file in self._files.values():
            file.close()
