# SPDX-License-Identifier: GPL-2.0-only
"""Analysis of TCP runs: captures and samples in; tables, key figures and figures out.

| module | duty |
| --- | --- |
| capture | TCP headers of a pcap file |
| tcp | a connection's packet list |
| goodput | what arrived at the receiver |
| summary | key figures |
| compare | packet lists against each other |
| files | result files, read and written |
| dissect | every field of any packet |
| diff | where two runs part |
| plots, tables | for the eye |
| run | all of it for the directory of a run |
"""

from .compare import Comparison, Difference, compare
from .errors import CaptureError, ResultError
from .plots import CwndTrace, cwnd_figure, write_cwnd_figure
from .run import RunResults, analyse, write_results
from .summary import Measurements, Summary, summarise
from .tables import RunReport, run_table

__all__ = [
    "CaptureError",
    "Comparison",
    "CwndTrace",
    "Difference",
    "Measurements",
    "ResultError",
    "RunReport",
    "RunResults",
    "Summary",
    "analyse",
    "compare",
    "cwnd_figure",
    "run_table",
    "summarise",
    "write_cwnd_figure",
    "write_results",
]
