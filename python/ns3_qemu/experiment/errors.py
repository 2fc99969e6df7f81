# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with an experiment."""

from ..errors import Ns3QemuError

TIME_LIMIT = 124
"""Status of a run that took longer than --time-limit, as timeout(1) has it."""


class ExperimentError(Ns3QemuError):
    """An experiment says something that cannot be run: one line, which begins with the key."""


class TimeLimitError(Ns3QemuError):
    """A run took more wall time than it may."""

    status = TIME_LIMIT
