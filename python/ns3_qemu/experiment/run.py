# SPDX-License-Identifier: GPL-2.0-only
"""Runs an experiment, and leaves its directory (`layout`)."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from .. import simulation
from . import layout, outcome, reading
from .build import Builder
from .check import check_attributes
from .errors import ExperimentError, TimeLimitError
from .model import Experiment


def run_experiment(
    experiment: str | Path | Experiment,
    out: str | Path,
    settings: Sequence[str] = (),
    *,
    inputs: Path | None = None,
    progress: Callable[[float], object] | None = None,
    time_limit: float | None = None,
) -> Path:
    """Run an experiment, a file or one that has been read, and return the directory `out`.

    What an earlier run has left there is removed. Nothing is printed. Runs may follow each other in
    one process, and are the same as in one each. `settings`: as for --set. `inputs`: where the
    relative paths of one that has been read begin. `progress` gets the simulated time in seconds.
    `time_limit`: seconds of wall time, besides those for images.

    A run whose programs end otherwise than expected is a run: its summary says so.

    Raises ExperimentError for what cannot be run, TimeLimitError, and VmError if a machine fails.
    """
    if isinstance(experiment, Experiment):
        if settings:
            table = reading.as_said(experiment)
            experiment = reading.parse(table, settings)
        wanted, base = experiment, inputs or Path.cwd()
    else:
        path = Path(experiment)
        wanted, base = reading.read(path, settings), path.parent
        _check_apart(path, Path(out))
    directory = Path(out).absolute()
    _clear(directory)
    wanted = _take_inputs(wanted, directory, base.absolute())
    text = reading.to_toml(wanted)
    (directory / layout.EXPERIMENT).write_text(layout.MARK + text)
    _simulate(wanted, directory, progress, time_limit)
    return directory


def _check_apart(file: Path, directory: Path) -> None:
    """Raise an error if the results would take the place of the experiment itself."""
    if file.resolve() == (directory / layout.EXPERIMENT).resolve():
        message = f"{directory}: the experiment is the one that this directory's run has left"
        raise ExperimentError(message, "Give another directory with --out.")


def _clear(directory: Path) -> None:
    """Make the directory; remove what an earlier run has left, and nothing else."""
    names = (*layout.DIRECTORIES, layout.INPUTS)
    files = (*layout.FILES, layout.REPORT)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        found = [name for name in (*names, *files) if os.path.lexists(directory / name)]
        if found and not _is_left_by_a_run(directory):
            message = f"{directory} has {found[0]}, and is no directory of an experiment's run"
            raise ExperimentError(message, "Give another directory with --out.")
        for name in files:
            (directory / name).unlink(missing_ok=True)
        for name in names:
            shutil.rmtree(directory / name, ignore_errors=True)
        (directory / layout.EXPERIMENT).write_text(layout.MARK)
    except OSError as error:
        message = f"{directory}: {error.strerror}"
        raise ExperimentError(message, "Give another directory with --out.") from error


def _is_left_by_a_run(directory: Path) -> bool:
    try:
        with (directory / layout.EXPERIMENT).open(errors="replace") as file:
            return file.readline() == layout.MARK
    except FileNotFoundError:
        return False


def _take_inputs(experiment: Experiment, directory: Path, base: Path) -> Experiment:
    """Copy the traces of links into the directory, so that its experiment can be run again."""
    table = reading.as_said(experiment)
    for link_name, link in table.get("links", {}).items():
        for i, trace in enumerate(link.get("trace", ())):
            source = base / trace["file"]
            target = f"{layout.INPUTS}/{link_name}-{i}{source.suffix}"
            (directory / layout.INPUTS).mkdir(exist_ok=True)
            try:
                shutil.copyfile(source, directory / target)
            except OSError as error:
                message = f"links.{link_name}.trace.{i}.file: {source}: {error.strerror}"
                raise ExperimentError(message) from error
            trace["file"] = target
    for kind in ("hosts", "routers"):
        for node in (*table.get(kind, {}).values(), table.get("defaults", {})):
            if "add" in node:
                node["add"] = [str(base / each) for each in node["add"]]
    return reading.parse(table)


def library() -> Any:
    """Return what a builder makes a simulation with. Loads ns-3."""
    from .. import callbacks
    from . import faults, images, programs, recording, timeline, traces

    return SimpleNamespace(
        ns=simulation.load(),
        ns3_qemu=SimpleNamespace(QemuHelper=simulation.QemuHelper, at=callbacks.at),
        faults=faults,
        images=images,
        programs=programs,
        recording=recording,
        timeline=timeline,
        traces=traces,
        named=lambda value, _name: value,
    )


@contextmanager
def built(experiment: Experiment, directory: Path) -> Iterator[Builder]:
    """Make an experiment's simulation in the directory of its run.

    It is gone afterwards, and its files are whole; of directories there are those with files.

    Raises ExperimentError for what cannot be run, and VmError if a file could not be written.
    """
    ns = simulation.load()
    check_attributes(experiment)
    builder = Builder(experiment, library(), str(directory), directory)
    try:
        builder.build()
        yield builder
    finally:
        try:
            _close(builder)
        finally:
            simulation.destroy()
            # What applications write into is whole when they are gone.
            builder.sources.clear()
            # For the next simulation of this process, which may not be an experiment.
            ns.Names.Clear()
            if experiment.ns3_defaults:
                ns.Config.Reset()
    for name in layout.DIRECTORIES:
        if not any((directory / name).iterdir()):
            (directory / name).rmdir()


def _simulate(
    experiment: Experiment,
    directory: Path,
    progress: Callable[[float], object] | None,
    time_limit: float | None,
) -> None:
    with built(experiment, directory) as builder:
        simulation.Run(_watched(builder, progress, time_limit))
        summary = outcome.summarise(builder)
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    (directory / layout.SUMMARY).write_bytes(text + b"\n")


def _watched(
    builder: Builder, progress: Callable[[float], object] | None, time_limit: float | None
) -> Callable[[float], object]:
    """Return what is called while the simulation goes on: who looks is to see how far it is."""
    end = math.inf if time_limit is None else time.monotonic() + time_limit

    def watch(simulated: float) -> None:
        builder.flush()
        if time.monotonic() > end:
            message = f"the run has taken {time_limit:g} s, and is at {simulated:.3f} s"
            raise TimeLimitError(message, "Give it more with --time-limit, or a shorter duration.")
        if progress is not None:
            progress(simulated)

    return watch


def _close(builder: Builder) -> None:
    """Let all files be whole, also those of a run that has failed."""
    everything = [
        builder.timeline,
        *builder.tables,
        *builder.flow_infos.values(),
        *builder.queues.values(),
        *(program for programs in builder.programs.values() for program in programs),
    ]
    for each in everything:
        if each is not None:
            each.close()
