# SPDX-License-Identifier: GPL-2.0-only
"""The report of an experiment: one HTML file with all that people look at first.

| module | duty |
| --- | --- |
| data | a run's directory, read |
| figures | pictures |
| page | the file |
"""

from .page import write_report

__all__ = ["write_report"]
