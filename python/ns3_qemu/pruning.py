# SPDX-License-Identifier: GPL-2.0-only
"""Which images may go: those that have not been used for longest, when all take too much room.

An image's room is mostly that of its saved machines, some 100 MB for each number of NICs.
"""

import contextlib
import os
import time
from pathlib import Path

from . import names
from .cache import Cache
from .errors import ImageError

_LIMIT = "NS3_QEMU_IMAGES_GIB"
_DEFAULT_LIMIT_GIB = 10.0

# Whose time is that of an image's last use.
_MARK = "used"

# A simulation that has asked for an image may start machines from it for so long, in seconds.
_SPARED = 3600.0


def limit_gib() -> float:
    """Return how much room images may take, in GiB: NS3_QEMU_IMAGES_GIB, or 10.

    Raises ImageError if that variable is no such number.
    """
    text = os.environ.get(_LIMIT, "")
    try:
        limit = float(text) if text else _DEFAULT_LIMIT_GIB
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        message = f"{_LIMIT} is {text!r}, which is no number of GiB"
        raise ImageError(message, "Give a number, as in NS3_QEMU_IMAGES_GIB=20, or unset it.")
    return limit


def mark_used(directory: Path) -> None:
    """Note that an image is used now."""
    with contextlib.suppress(OSError):  # somebody else's, then, who prunes it or not
        (directory / _MARK).touch()


def room(directory: Path) -> int:
    """Return how much room an image takes on the disk for itself, in bytes."""
    files = (file.lstat() for file in directory.rglob("*") if not file.is_dir())
    return sum(file.st_blocks * 512 for file in files if file.st_nlink == 1)


def prune(cache: Cache, limit_gib: float) -> list[Path]:
    """Remove images until the others take no more than `limit_gib`; return those that have gone.

    The one that has not been used for longest goes first. What has been used within the last hour
    stays in any case.
    """
    images = {file.parent: _last_use(file) for file in cache.images.glob("*/manifest.json")}
    rooms = {directory: room(directory) for directory in images}
    total = sum(rooms.values())
    removed = []
    for directory in sorted(images, key=lambda image: (images[image], image.name)):
        if total <= limit_gib * 2**30 or images[directory] > time.time() - _SPARED:
            break
        with contextlib.suppress(FileNotFoundError):  # somebody else has been quicker
            cache.remove(directory)
        total -= rooms[directory]
        removed.append(directory)
    names.forget_lost(cache)
    return removed


def _last_use(manifest: Path) -> float:
    mark = manifest.parent / _MARK
    return (mark if mark.exists() else manifest).stat().st_mtime
