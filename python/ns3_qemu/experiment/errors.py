# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with an experiment."""

import difflib
from collections.abc import Sequence

from ..errors import Ns3QemuError

TIME_LIMIT = 124
"""Status of a run that took longer than --time-limit, as timeout(1) has it."""


class ExperimentError(Ns3QemuError):
    """An experiment says something that cannot be run: one line, which begins with the key."""


class TimeLimitError(Ns3QemuError):
    """A run took more wall time than it may."""

    status = TIME_LIMIT


def did_you_mean(word: str, choices: Sequence[str]) -> str:
    """Return the end of a message that names the nearest choice, or "" if none is near."""
    near = difflib.get_close_matches(word, choices, 1)
    return f"; do you mean {near[0]}?" if near else ""


def nearest(word: str, choices: Sequence[str]) -> str:
    """Return the end of a message that names the nearest choice, or all of them."""
    return did_you_mean(word, choices) or f"; there are {', '.join(choices)}"
