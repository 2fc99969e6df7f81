# SPDX-License-Identifier: GPL-2.0-only
"""The demo: two real Linux kernels talk TCP through ns-3, in simulated time."""

from pathlib import Path

from rich.console import Console

from . import runner
from .image_spec import DEFAULT_KERNEL
from .kernel import check_name
from .scenario import base_case


def run(out: Path, kernel: str = DEFAULT_KERNEL) -> None:
    """Run the base case and write its results into the directory `out`.

    Raises KernelError if there is no such kernel.
    """
    check_name(kernel)
    runner.run(base_case(kernel), out, Console(highlight=False))
