# SPDX-License-Identifier: GPL-2.0-only
"""Runs scripts with ns-3: each in a process of its own, since one can hold one simulator."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Ended:
    status: int
    result: dict[str, Any]
    errors: str


def run_script(script: str, image: Path, directory: Path) -> Ended:
    """Run a script that begins where simulation_script ends, in an empty directory."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from simulation_script import *\n" + textwrap.dedent(script),
            str(image),
        ],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    result = json.loads(lines[-1].removeprefix("RESULT ")) if lines else {}
    return Ended(done.returncode, result, done.stderr)


def run_program(name: str, image: Path, directory: Path) -> dict[str, str]:
    """Run one of the module's C++ simulations, and return the "name=value" lines that it prints."""
    program = str(files("ns3_qemu") / "tests" / name)
    done = subprocess.run(
        [program, str(image)], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())
