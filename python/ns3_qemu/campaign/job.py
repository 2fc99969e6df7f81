# SPDX-License-Identifier: GPL-2.0-only
"""One run of a campaign: all that its result depends on, and whether that result is there."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from .. import __version__, toolchain
from ..cache import Cache
from ..experiment import images, layout, reading
from ..experiment.model import Experiment
from ..results.files import replace_file
from .matrix import Point, Value

MARKER = "campaign.json"
"""In a run's directory: it is written when the run is whole."""


class Marker(msgspec.Struct, frozen=True):
    """What a run was made from."""

    key: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is to be made; it can be sent to another process."""

    number: int
    name: str
    values: dict[str, Value]
    toml: str
    """The experiment, with the point's values."""
    inputs: str
    """Directory where its relative paths begin."""
    directory: str
    key: str
    """Hash over all that decides the result."""
    versions: str
    """Hash over what runs it."""
    time_limit: float | None = None

    @property
    def is_there(self) -> bool:
        """Whether its directory has the whole result of this very run."""
        directory = Path(self.directory)
        try:
            marker = msgspec.json.decode((directory / MARKER).read_bytes(), type=Marker)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return False
        return marker.key == self.key and (directory / layout.SUMMARY).is_file()

    @property
    def log(self) -> Path:
        """What a run that has failed says; it is not there otherwise."""
        return Path(f"{self.directory}.log")

    def begin(self) -> None:
        """Let its directory be of no whole run."""
        (Path(self.directory) / MARKER).unlink(missing_ok=True)

    def end(self) -> None:
        """Let its directory be of a whole run."""
        replace_file(Path(self.directory) / MARKER, msgspec.json.encode(Marker(self.key)) + b"\n")


def job(
    table: dict[str, Any],
    point: Point,
    file: Path,
    out: Path,
    time_limit: float | None = None,
    *,
    quiet: bool = True,
) -> Job:
    """Return the job of a point; build the images that it needs. `table`: the experiment's.

    Unless it is `quiet`, what is fetched and built is said.

    Raises ExperimentError for a value that the experiment can't have.
    """
    where = f"{file}: matrix, run {point.number}"
    experiment = reading.parse(table, point.settings, where=where)
    inputs = file.parent.absolute()
    toml = reading.to_toml(experiment)
    decides = [
        toml,
        _images(experiment, inputs, quiet=quiet),
        _traces(experiment, inputs),
        versions(),
    ]
    return Job(
        number=point.number,
        name=point.name,
        values=dict(point.values),
        toml=toml,
        inputs=str(inputs),
        directory=str(out.absolute() / "runs" / point.name),
        key=hashlib.sha256(msgspec.json.encode(decides)).hexdigest(),
        versions=versions(),
        time_limit=time_limit,
    )


def _images(experiment: Experiment, inputs: Path, *, quiet: bool) -> dict[str, str]:
    """Return the images' names, which say what is in them; build those that are not there."""
    return {
        name: _image(
            machine.kernel or "", msgspec.json.encode(images.options(machine, inputs)), quiet=quiet
        )
        for name in experiment.all_nodes
        if not experiment.is_native(name)
        for machine in [experiment.machine(name)]
    }


@cache
def _image(kernel: str, options: bytes, *, quiet: bool) -> str:
    return images.image(kernel, quiet=quiet, **msgspec.json.decode(options)).name


def _traces(experiment: Experiment, inputs: Path) -> list[str]:
    files = [inputs / trace.file for link in experiment.links.values() for trace in link.trace]
    return [
        hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "" for file in files
    ]


@cache
def versions() -> str:
    """Return a hash over what else decides: this package with its module, and QEMU."""
    whole = hashlib.sha256(__version__.encode())
    package = Path(__file__).resolve().parents[1]
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.h"), *package.rglob("*.so")]):
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    qemu = toolchain.find(Cache())
    if qemu is not None:
        whole.update(msgspec.json.encode(qemu.manifest))
    return whole.hexdigest()
