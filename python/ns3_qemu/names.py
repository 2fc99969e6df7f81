# SPDX-License-Identifier: GPL-2.0-only
"""Names of images, so that a C++ program finds an image without Python.

`names/` of the cache has a file for each name, with lines "key=value":

    directory        of the image
    format           its layout; a program that does not know it refuses the image
    kernel           of the user's own: its file, and
    kernel-mtime-ns  when that was changed last: it is another kernel now, if this differs

An image that has nothing but a kernel has the kernel's name; others have a name if they were given
one. A name means the image that was built last under it: a newer version of the package does not
change that, but `ns3-qemu image build` does. With the image the name goes. `vm/image-name.cc`
reads this.
"""

import contextlib
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

from .cache import Cache
from .errors import ImageError

_PLAIN = ":,=+"
_LONGEST = 255  # of a file's name


def check(name: str) -> None:
    """Raise ImageError unless an image can have this name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
        message = f"not a name for an image: {name!r}"
        raise ImageError(message, "Give up to 100 letters, digits, '-', '_', '+' and '.'.")


def file_of(cache: Cache, name: str) -> Path:
    """Return the file that a name has."""
    return cache.names / quote(name, safe=_PLAIN)


def record(
    cache: Cache, name: str, directory: Path, image_format: int, kernel: Path | None
) -> None:
    """Let this name mean the image in this directory. `kernel`: of the user's own."""
    file = file_of(cache, name)
    if len(os.fsencode(file.name)) > _LONGEST:
        return  # a path so long that no program can name it
    values = {"directory": str(directory), "format": str(image_format)}
    if kernel is not None:
        values |= {"kernel": str(kernel), "kernel-mtime-ns": str(kernel.stat().st_mtime_ns)}
    if any("\n" in value for value in values.values()):
        return  # no more than a program's argument can such a path be a line
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    if file.is_file() and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(text)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(file)


def forget_lost(cache: Cache) -> None:
    """Take their names from images that are gone: whoever looks for one is told how to build it."""
    for file in cache.names.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # somebody else has been quicker
            said = dict(line.partition("=")[::2] for line in file.read_text().splitlines())
            if "directory" in said and not Path(said["directory"]).exists():
                file.unlink()
