# SPDX-License-Identifier: GPL-2.0-only
"""How tests wait for a process's end."""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How long anything may take that happens at once, in ms; a limit for defects, not a measurement.
PATIENCE_MS = 20_000


@contextmanager
def watched(pid: int) -> Iterator[Callable[[int], bool]]:
    """Give a function that says whether a process has ended, after so many ms at most.

    It holds on to the very process, whoever gets its number afterwards.
    """
    fd = os.pidfd_open(pid)

    def has_ended(timeout: int = 0) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(timeout))

    try:
        yield has_ended
    finally:
        os.close(fd)
