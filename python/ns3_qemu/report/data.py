# SPDX-License-Identifier: GPL-2.0-only
"""A run's directory, read for its report.

Guests write into it: what they have written is text to be shown, of any length and content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pandas as pd

from ..experiment import layout
from ..experiment.plot import write_topology
from ..experiment.reading import read
from ..results import ResultError
from ..results.files import sha256

_OUTPUT = 4000  # bytes of a program's output that are shown, its last ones


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a program wrote, or its end."""

    text: str
    left_out: int
    """Bytes before it."""


class Run:
    """The directory of an experiment that has come to its end."""

    def __init__(self, directory: Path) -> None:
        """Read its summary.

        Raises ResultError if it is no such directory.
        """
        self.directory = directory
        file = directory / layout.SUMMARY
        advice = "Give the directory of a run of `ns3-qemu experiment` that has come to its end."
        if not file.is_file() or not (directory / layout.EXPERIMENT).is_file():
            message = f"{directory}: there is no run of an experiment ({layout.SUMMARY} is missing)"
            raise ResultError(message, advice)
        try:
            self.summary = layout.read_summary(directory)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"{file}: no summary of an experiment: {error}"
            raise ResultError(message, advice) from None
        if self.summary.schema != layout.SCHEMA:
            message = f"{file}: its form is {self.summary.schema}, and {layout.SCHEMA} is read here"
            raise ResultError(message, "Run the experiment again.")

    def experiment(self) -> str:
        """Return the experiment as it was run."""
        return (self.directory / layout.EXPERIMENT).read_text()

    def timeline(self) -> list[layout.TimelineEntry]:
        """Return what happened, by time."""
        if not (self.directory / layout.TIMELINE).is_file():
            return []
        try:
            return layout.read_timeline(self.directory)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"{self.directory / layout.TIMELINE}: no time-line: {error}"
            raise ResultError(message) from None

    def tcp_info(self) -> dict[str, pd.DataFrame]:
        """Return the samples of each TCP connection that has been followed, by its name."""
        return {
            str(name): flow
            for _, table in self._tables(layout.TCP_INFO, layout.TCP_INFO_COLUMNS)
            for name, flow in table.groupby("flow", sort=True)
        }

    def queues(self) -> dict[str, pd.DataFrame]:
        """Return the samples of each queue, by LINK-HOST."""
        return dict(self._tables(layout.QUEUES, layout.QUEUE_COLUMNS))

    def throughput(self) -> dict[str, pd.DataFrame]:
        """Return what has arrived of each flow."""
        file = self.directory / layout.THROUGHPUT
        if not file.is_file():
            return {}
        table = _table(file, layout.THROUGHPUT_COLUMNS)
        return {str(name): flow for name, flow in table.groupby("flow", sort=True)}

    def topology(self) -> bytes:
        """Return a picture of the topology.

        Raises ExperimentError if the experiment is none that this version knows.
        """
        with TemporaryDirectory() as work:
            file = Path(work) / "topology.png"
            write_topology(read(self.directory / layout.EXPERIMENT), file)
            return file.read_bytes()

    def output(self, name: str) -> Output | None:
        """Return what a program wrote into a file of the run, or None if there is none."""
        file = self.directory / name
        inside = file.resolve().is_relative_to(self.directory.resolve())
        if not inside or not file.is_file():
            return None
        with file.open("rb") as opened:
            size = opened.seek(0, 2)
            opened.seek(max(0, size - _OUTPUT))
            return Output(
                text=opened.read().decode(errors="backslashreplace"),
                left_out=max(0, size - _OUTPUT),
            )

    def captures(self) -> dict[str, str]:
        """Return the SHA-256 of each capture."""
        files = sorted((self.directory / layout.PCAP).glob("*.pcap"))
        return {file.name: sha256(file) for file in files}

    def _tables(self, directory: str, columns: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
        for file in sorted((self.directory / directory).glob("*.csv")):
            yield file.stem, _table(file, columns)


def _table(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(file, dtype={"flow": "str"})
        numbers = [column for column in columns if column != "flow"]
        table[numbers] = table[numbers].astype("float64")
    except (ValueError, TypeError, KeyError) as error:
        message = f"{file}: no table of {', '.join(columns)}: {error}"
        raise ResultError(message) from None
    return table
