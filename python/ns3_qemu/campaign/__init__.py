# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns: an experiment run for each point of its [matrix], on all cores or a cluster.

| module | duty |
| --- | --- |
| matrix | what the points are |
| job | one run: what it depends on, whether it is there |
| child | a process that runs jobs, each in a fork |
| engine | all jobs, on Dask's workers |
| table | the results as one table |
| figures | the comparison |
| cli | what `ns3-qemu experiment` does with a matrix |
"""

from .engine import Campaign, Outcome
from .matrix import Point, points

__all__ = ["Campaign", "Outcome", "Point", "points"]
