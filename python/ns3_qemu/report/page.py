# SPDX-License-Identifier: GPL-2.0-only
"""The report as one HTML file: pictures in it, no script, nothing fetched.

What guests and files say is escaped (jinja2 does so with everything), what a browser would not show
is written out, and the file's own policy forbids scripts and other places: a guest can't put
anything but text into it.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jinja2

from .. import __version__
from ..experiment import layout
from ..experiment.errors import ExperimentError
from ..results.files import replace_file
from .data import Output, Run
from .figures import MOST, Pictures, jain_over_time

_Series = TypeVar("_Series")

_ENTRIES = 500  # of the time-line that are shown


@dataclass(frozen=True, kw_only=True)
class _Plot:
    title: str
    png: str
    left_out: Sequence[str]


def write_report(directory: Path, out: Path | None = None) -> Path:
    """Write the report of a run of an experiment, and return its path.

    `out`: the file; report.html in the directory unless it is given. Raises ResultError if the
    directory has no run that has come to its end, or a file in it is damaged.
    """
    file = out or directory / layout.REPORT
    replace_file(file, page(Run(directory)).encode())
    return file


def page(run: Run) -> str:
    """Return the report: it depends on nothing but the run's files and this program's version."""
    summary, timeline = run.summary, run.timeline()
    pictures = Pictures(summary.simulated_s, timeline)
    topology, no_topology = None, ""
    try:
        topology = _base64(run.topology())
    except ExperimentError as error:
        no_topology = str(error)
    bars = summary.programs or summary.flows
    return _template().render(
        run=summary,
        title=summary.title or "Experiment",
        topology=topology,
        no_topology=no_topology,
        pictures={"timeline": _base64(pictures.timeline(summary)) if bars else None},
        timeline=timeline[:_ENTRIES],
        left_out=max(0, len(timeline) - _ENTRIES),
        plots=list(_plots(run, pictures)),
        outputs=list(_outputs(run)),
        version=__version__,
        directory=run.directory.name,
        experiment=run.experiment(),
        captures=run.captures(),
    )


def _plots(run: Run, pictures: Pictures) -> Iterator[_Plot]:
    # In one order, so that a flow has the same colour in all pictures.
    tcp_info, throughput = (_in_order(run, each) for each in (run.tcp_info(), run.throughput()))
    queues = run.queues()
    drawn: list[tuple[str, Mapping[str, Any], Callable[[Mapping[str, Any]], bytes]]] = [
        ("Throughput of each flow", throughput, pictures.throughput),
        ("Congestion window; dotted: ssthresh", tcp_info, pictures.cwnd),
        ("Round-trip time", tcp_info, pictures.srtt),
        ("Queue length", queues, pictures.queues),
        ("Drops", {name: q for name, q in queues.items() if q["drops"].any()}, pictures.drops),
    ]
    for title, series, draw in drawn:
        if series:
            yield _Plot(title=title, png=_base64(draw(series)), left_out=list(series)[MOST:])
    if len(throughput) > 1 and not jain_over_time(throughput).empty:
        picture = _base64(pictures.jain(throughput))
        yield _Plot(title="Fairness in each interval: Jain's index", png=picture, left_out=())


def _in_order(run: Run, series: Mapping[str, _Series]) -> dict[str, _Series]:
    """Return what there is of the experiment's flows, in its order, then of others."""
    names = dict.fromkeys((*(flow.name for flow in run.summary.flows), *series))
    return {name: series[name] for name in names if name in series}


def _outputs(run: Run) -> Iterator[tuple[str, Output]]:
    for program in run.summary.programs:
        for name in (program.stdout, program.stderr):
            output = run.output(name)
            if output is not None and output.text:
                yield name, output


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ns3_qemu", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    environment.filters["seconds"] = lambda t_ns: f"{t_ns // 10**9}.{t_ns % 10**9:09}"
    environment.filters["words"] = shlex.join
    return environment.get_template("page.html.jinja")


def _shown(value: object) -> object:
    """Write out what has no picture, or changes that of others: control and direction marks."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in value
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
