# SPDX-License-Identifier: GPL-2.0-only
"""Runs all jobs of a campaign on Dask's workers: here, one for each core, or of a given scheduler.

Dask (https://distributed.dask.org) hands jobs out, also on a cluster, and gives those of a worker
that is lost to another. A worker here is a thread with a process of its own (`child`): a simulation
keeps its interpreter, and Dask's own threads must go on.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from ..errors import Ns3QemuError
from .child import Child
from .job import Job

_children: dict[int, Child] = {}  # by thread
_spare: list[Child] = []  # those that no thread has taken yet
_lock = threading.Lock()
_ended: set[str] = set()  # campaigns; a worker of a cluster may have many


@dataclass(frozen=True)
class Outcome:
    """How a job has ended."""

    job: Job
    error: str
    """What has failed; "" if it has a result."""
    was_there: bool = False
    """Whether the result is that of an earlier campaign."""


class Campaign:
    """The jobs of a campaign."""

    def __init__(self, jobs: Sequence[Job], workers: int, scheduler: str | None = None) -> None:
        """Take jobs. `workers`: how many run side by side here; `scheduler`: a Dask's address."""
        self.jobs, self._workers, self._scheduler = jobs, workers, scheduler

    def run(self) -> Iterator[Outcome]:
        """Run what is not there yet; yield each job's outcome as it has ended.

        A run that fails is an outcome like others. Whatever ends this ends the runs.
        """
        waiting = []
        for job in self.jobs:
            if job.is_there:
                # It may have been ended between its last step and this one.
                job.log.unlink(missing_ok=True)
                yield Outcome(job, "", was_there=True)
            else:
                waiting.append(job)
        if waiting:
            yield from self._run(waiting)

    def _run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        name = uuid.uuid4().hex
        try:
            if not self._scheduler:
                # They load ns-3 while this process loads Dask.
                with _lock:
                    _spare.extend(Child() for _ in range(min(self._workers, len(jobs))))
            yield from self._run_all(jobs, name)
        finally:
            end_children(name)

    def _run_all(self, jobs: Sequence[Job], name: str) -> Iterator[Outcome]:
        dask = _dask()
        with self._client() as client:
            futures = {
                client.submit(
                    work, msgspec.json.encode(job), name, pure=False, priority=-job.number
                ): job
                for job in jobs
            }
            try:
                for future in dask.as_completed(list(futures)):
                    failure = future.exception()
                    error = future.result() if failure is None else _lost(failure)
                    yield Outcome(futures[future], error)
            finally:
                client.cancel(list(futures), force=True)
                # Of this process first: its threads wait for them.
                end_children(name)
                if self._scheduler:
                    client.run(end_children, name, on_error="ignore")

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        # What it says of lost connections and late answers is no user's business here.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if self._scheduler:
            try:
                client = _dask().Client(self._scheduler, timeout="10s")
            except (OSError, ValueError) as error:
                message = f"no Dask scheduler answers at {self._scheduler}: {error}"
                raise Ns3QemuError(message, "Start one: dask scheduler") from error
            with client:
                yield client
            return
        # Threads of this process: what needs a process of its own has one.
        with (
            TemporaryDirectory(prefix="ns3-qemu-dask-") as scratch,
            warnings.catch_warnings(),
            # Its scheduler, too, makes a directory.
            importlib.import_module("dask").config.set({"temporary-directory": scratch}),
        ):
            warnings.filterwarnings("ignore", "Creating scratch directories")  # on a busy machine
            with self._cluster(scratch) as cluster, _dask().Client(cluster) as client:
                yield client

    def _cluster(self, scratch: str) -> Any:
        return _dask().LocalCluster(
            n_workers=self._workers,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            # Its pages, for this machine only, at any free port.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            local_directory=scratch,
        )


def _dask() -> Any:
    """Return Dask's module, which has no types, and takes a second to load."""
    return importlib.import_module("distributed")


def _lost(failure: BaseException) -> str:
    return f"Dask: {type(failure).__name__}: {failure}"


def work(encoded: bytes, campaign: str = "") -> str:
    """Run a job of a campaign in the process of this thread; return what has failed."""
    job = msgspec.json.decode(encoded, type=Job)
    with _lock:
        if campaign in _ended:
            return "the campaign has ended"
        child = _children.get(threading.get_ident())
        if child is None or not child.is_alive:
            child = _children[threading.get_ident()] = _spare.pop() if _spare else Child()
    return child.run(job)


def end_children(campaign: str) -> None:
    """End the processes that run jobs in this one, and let there be no more for a campaign."""
    with _lock:
        _ended.add(campaign)
        for child in (*_children.values(), *_spare):
            child.end()
        _children.clear()
        _spare.clear()
