# SPDX-License-Identifier: GPL-2.0-only
"""The demo: two real Linux kernels talk TCP through ns-3, in simulated time."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from . import runner
from .image_spec import DEFAULT_KERNEL
from .kernel import check_name
from .scenario import base_case

if TYPE_CHECKING:
    from .pause import Plan


def run(out: Path, kernel: str = DEFAULT_KERNEL, pause: "Plan | None" = None) -> None:
    """Run the base case and write its results into the directory `out`.

    `pause`: when it is to stop.

    Raises KernelError if there is no such kernel.
    """
    check_name(kernel)
    runner.run(base_case(kernel), out, Console(highlight=False), pause)
