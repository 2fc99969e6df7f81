# SPDX-License-Identifier: GPL-2.0-only
"""Stops processes at random moments, and lets them go on."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

# s
_STOP, _BREAK = 0.03, 0.05


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []


class Stops:
    """Stops a run's simulator and its machines, one at a time, as long as it is open."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._disturb)
        self.count = 0

    def __enter__(self) -> Stops:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _disturb(self) -> None:
        chance = random.SystemRandom()
        while not self._over.wait(chance.uniform(0, _BREAK)):
            self._stop(chance.choice([self._pid, *_children(self._pid)]), chance.uniform(0, _STOP))

    def _stop(self, pid: int, seconds: float) -> None:
        """Stop a process for a while, by a descriptor: its number may be another's by then."""
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it has just ended
            return
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGSTOP)
            self.count += 1
            self._over.wait(seconds)
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
