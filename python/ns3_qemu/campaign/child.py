# SPDX-License-Identifier: GPL-2.0-only
"""A process that has loaded ns-3 and runs jobs, each in a fork: loading takes as long as a run.

It reads a job a line from its standard input, and answers each with a line. If the process that
has started it ends, however it ends, it is killed, its run with it, and the run's machines with
that.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import tomllib
import traceback
from pathlib import Path
from typing import BinaryIO

import msgspec

from ..errors import Ns3QemuError
from .job import Job, versions

_PR_SET_PDEATHSIG = 1
_LINES = 15  # of a log that an error shows


class Answer(msgspec.Struct, frozen=True):
    """How a job has ended."""

    error: str
    """What has failed; "" if nothing has."""


class Child:
    """The process, as who has started it sees it."""

    def __init__(self) -> None:
        self._closing = threading.Lock()
        life, self._life = os.pipe()
        try:
            # In a session of its own: on Ctrl-C it is this process that decides.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __package__, str(life)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(life,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self._life)
            raise
        finally:
            os.close(life)

    def run(self, job: Job) -> str:
        """Run a job, and return what has failed, or ""."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(msgspec.json.encode(job) + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):  # it has ended
            answer = b""
        if not answer:
            return f"the process that runs it has ended ({self.end()})"
        return msgspec.json.decode(answer, type=Answer).error

    @property
    def is_alive(self) -> bool:
        """Whether it can take another job."""
        return self._process.poll() is None

    def end(self) -> int:
        """End it, and what it runs."""
        self._process.kill()
        status = self._process.wait()
        with self._closing:
            if self._life >= 0:
                os.close(self._life)
                self._life = -1
        return status


def _die_with_parent(life: int) -> None:
    """Have the kernel kill this process when a pipe is closed at its other end.

    That is not PR_SET_PDEATHSIG's work: it is for the end of the thread that has started this
    process, and Dask ends threads.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:
        sys.exit()  # it has been closed before


def _fork(job: Job) -> str:
    """Run a job in a process of its own, and return what has failed."""
    log = job.log
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid == 0:
        _run(job, log)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="backslashreplace").splitlines()[-_LINES:]
    if code == 0:
        log.unlink()
        return ""
    cause = "\n".join(said) or "it says nothing"
    return cause if code == 1 else f"it has ended with status {code}: {cause}"


def _run(job: Job, log: Path) -> None:
    """Be the run's process: end with 0, or say in the log why not."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    status = 1
    try:
        if os.getppid() != parent:
            os._exit(1)
        for number, name in ((0, os.devnull), (1, str(log)), (2, str(log))):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            if number == 1:
                flags |= os.O_TRUNC
            opened = os.open(name, flags, 0o666)
            os.dup2(opened, number)
            os.close(opened)
        _simulate(job)
        status = 0
    except Ns3QemuError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or ''}: {error.strerror}", file=sys.stderr)
    except BaseException:  # noqa: BLE001 - a defect, which is shown as one
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _simulate(job: Job) -> None:
    from ..experiment import reading
    from ..experiment.run import run_experiment

    if job.versions != versions():
        message = "this worker has another version of ns3-qemu, or of QEMU"
        raise Ns3QemuError(message, "Install the same everywhere: results would not be the same.")
    experiment = reading.parse(tomllib.loads(job.toml))
    job.begin()
    run_experiment(experiment, job.directory, inputs=Path(job.inputs), time_limit=job.time_limit)
    job.end()


def _answer(jobs: BinaryIO, answers: BinaryIO) -> None:
    from .. import simulation
    from ..experiment import run as _  # noqa: F401 - what every fork needs

    simulation.load()
    for line in jobs:
        answer = Answer(_fork(msgspec.json.decode(line, type=Job)))
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def serve(life: int) -> None:
    """Be this process until there are no more jobs. `life`: it is closed when the other ends."""
    _die_with_parent(life)
    # What ns-3 or a library prints is no answer.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        _answer(sys.stdin.buffer, answers)
