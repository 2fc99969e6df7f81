# SPDX-License-Identifier: GPL-2.0-only
"""The results of a campaign as one tidy table: a row for each figure of each run.

| column | meaning |
| --- | --- |
| (the matrix's keys) | the run's value of each |
| figure | what was measured |
| of | of which flow, HOST/PROGRAM, or LINK-HOST of a queue; "" of the whole run |
| unit | the figure's |
| value | a number; none where a run has no such |

Rows are in the matrix's order. Nothing in it depends on when, or beside what, a run was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from ..experiment import layout
from ..report.data import Run
from ..results.files import replace_file
from .job import Job

CSV, PARQUET = "results.csv", "results.parquet"
FIGURE_COLUMNS = ("figure", "of", "unit", "value")

_Row = tuple[str, str, str, float | None]


def table(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return the results of jobs, all of which are there."""
    rows = [
        (*job.values.values(), *row)
        for job in sorted(jobs, key=lambda job: job.number)
        for row in _figures(Run(Path(job.directory)))
    ]
    keys = list(jobs[0].values) if jobs else []
    made = pd.DataFrame(rows, columns=[*keys, *FIGURE_COLUMNS])
    for key in keys:
        # A key with values of several types, as 1 and "auto", is a text.
        if made[key].dtype == object:
            made[key] = made[key].astype("str")
    return made.astype({"figure": "str", "of": "str", "unit": "str", "value": "float64"})


def write(directory: Path, made: pd.DataFrame) -> None:
    """Write a table as CSV and as Parquet; equal tables are equal files."""
    import fastparquet

    csv = made.to_csv(index=False, lineterminator="\n").encode()
    replace_file(directory / CSV, csv)
    with TemporaryDirectory(dir=directory) as work:
        file = Path(work) / PARQUET
        fastparquet.write(str(file), made, write_index=False)
        replace_file(directory / PARQUET, file.read_bytes())


def _figures(run: Run) -> Iterator[_Row]:
    summary = run.summary
    yield "passed", "", "", float(summary.verdict == "passed")
    yield "simulated time", "", "s", summary.simulated_s
    if summary.flows:
        yield "Jain's index", "", "", summary.jain_index
    tcp_info = run.tcp_info()
    for flow in summary.flows:
        yield "goodput", flow.name, "bit/s", flow.goodput_bps
        yield "delivered", flow.name, "byte", flow.bytes
        yield "duration", flow.name, "s", round(flow.end_s - flow.start_s, 9)
        yield "retransmissions", flow.name, "segment", flow.retransmissions
        if flow.name in tcp_info:
            srtt = _mean(tcp_info[flow.name], "srtt_us", flow.end_s)
            yield "srtt, mean", flow.name, "ms", None if srtt is None else round(srtt / 1e3, 6)
    for queue in summary.queues:
        name = f"{queue.link}-{queue.host}"
        yield "drops", name, "packet", queue.dropped_packets
        if queue.mean_packets is not None:  # it has been sampled
            yield "queue, mean", name, "packet", queue.mean_packets
            yield "queue, longest", name, "packet", queue.max_packets
    yield from _of_programs(summary.programs)


def _of_programs(programs: Sequence[layout.ProgramSummary]) -> Iterator[_Row]:
    for program in programs:
        name = f"{program.host}/{program.index}-{program.name}"
        yield "exit code", name, "", program.exit_code
        yield "ended", name, "s", program.exit_s


def _mean(samples: pd.DataFrame, column: str, end_s: float) -> float | None:
    """Return the mean over time of what holds from each sample to the next, the last to the end.

    Samples without a value, or with 0, are before the first measurement.
    """
    known = samples[(samples[column] > 0) & (samples["time_s"] <= end_s)]
    lasts = np.diff(np.append(known["time_s"].to_numpy(), end_s))
    if not lasts.sum() > 0:
        return None
    return float(np.average(known[column].to_numpy(), weights=lasts))
