# SPDX-License-Identifier: GPL-2.0-only
"""What guests do while they are measured: a small program (python/bench-guest) and its image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import image
from ..errors import ImageError

if TYPE_CHECKING:
    from .._vm import VmImage

#: where the program is in a guest
PROGRAM = "/usr/bin/ns3-qemu-bench-guest"

_BUILT = Path(__file__).resolve().parent / "ns3-qemu-bench-guest"


def program_path() -> Path:
    """Return the program for guests. Raises ImageError if the package lacks it."""
    if not _BUILT.is_file():
        message = f"the load for guests is not in the installed package ({_BUILT})"
        raise ImageError(
            message, "Install ns3-qemu again (in a checkout: make demo); it is built with musl-gcc."
        )
    return _BUILT


def wanted_image() -> image.Image:
    """Return the usual image (debian:6.1, 96 MiB) with the program in it."""
    wanted = image.Image(memory_mib=96)
    wanted.add(program_path(), PROGRAM)
    return wanted


def machine(directory: Path) -> VmImage:
    """Return what an image says of its machines."""
    from .._vm import read_image

    return read_image(str(directory))
