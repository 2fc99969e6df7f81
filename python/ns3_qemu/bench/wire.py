# SPDX-License-Identifier: GPL-2.0-only
"""Whose turn it is, of machines that send frames to each other."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import VmError

if TYPE_CHECKING:
    from .._vm import Vm


class Flight:
    """Frames on their way to machines, the first to arrive first; of those at once, as sent."""

    def __init__(self) -> None:
        """Let no frame be under way."""
        self._frames: list[tuple[int, int, int, bytes]] = []
        self._order = itertools.count()

    def add(self, arrival: int, end: int, frame: bytes) -> None:
        """Have a frame arrive at a machine at this simulated time, in ns."""
        heapq.heappush(self._frames, (arrival, next(self._order), end, frame))

    def take_turn(self, ends: Sequence[Vm], limit: int) -> int:
        """Let the machine have a turn whose frame or timer is next; return its number.

        Raises VmError if nothing comes before the simulated time `limit`, in ns.
        """
        arrival = self._frames[0][0] if self._frames else limit
        deadlines = [vm.deadline for vm in ends]
        now = min(arrival, *deadlines)
        if now >= limit:
            message = f"nothing has come of it until {limit} ns"
            raise VmError(message)
        if now == arrival:
            _, _, end, frame = heapq.heappop(self._frames)
            ends[end].queue_frame(0, frame)
            ends[end].run(now, timers=False)
        else:
            end = deadlines.index(now)
            ends[end].run(now)
        return end
