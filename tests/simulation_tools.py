# SPDX-License-Identifier: GPL-2.0-only
"""Runs scripts with ns-3: each in a process of its own, since one can hold one simulator."""

import json
import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
# Before a test changes it: scripts get theirs when they begin.
ENVIRONMENT = dict(os.environ)


@dataclass(frozen=True)
class Ended:
    status: int
    result: dict[str, Any]
    errors: str


class _Server:
    """A process of simulation_server, for the tests of this process. It ends with its input."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, TESTS / "simulation_server.py"],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str, arguments: list[str], directory: Path) -> tuple[int, str, str]:
        """Return exit status, output and errors of a script."""
        assert self._process.stdin
        assert self._process.stdout
        with ExitStack() as stack:
            files = [
                stack.enter_context(open(os.memfd_create(name), "r+b"))  # noqa: PTH123
                for name in ("output", "errors")
            ]
            paths = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in files]
            order = {
                "script": script,
                "arguments": arguments,
                "directory": str(directory),
                "environment": dict(os.environ),
                "outputs": paths,
            }
            try:
                print(json.dumps(order), file=self._process.stdin, flush=True)
                status = json.loads(self._process.stdout.readline())
            except BaseException:  # a test that takes too long: the script ends with the server
                self.end()
                raise
            output, errors = (file.read().decode() for file in files)
            return status, output, errors

    def end(self) -> None:
        self._process.kill()
        _server.cache_clear()


@cache
def _server() -> _Server:
    return _Server()


def run_script(script: str, image: Path, directory: Path) -> Ended:
    """Run a script that begins where simulation_script ends, in an empty directory."""
    whole = "from simulation_script import *\n" + textwrap.dedent(script)
    status, output, errors = _server().run(whole, [str(image)], directory)
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    result = json.loads(lines[-1].removeprefix("RESULT ")) if lines else {}
    return Ended(status, result, errors)


def run_file(file: Path, arguments: list[str], directory: Path) -> tuple[int, str, str]:
    """Run a script that stands alone; return its exit status, output and errors."""
    return _server().run(file.read_text(), arguments, directory)


def run_program(name: str, image: Path, directory: Path) -> dict[str, str]:
    """Run one of the module's C++ simulations, and return the "name=value" lines that it prints."""
    program = str(files("ns3_qemu") / "tests" / name)
    done = subprocess.run(
        [program, str(image)], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())
