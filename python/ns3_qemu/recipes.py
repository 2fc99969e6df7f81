# SPDX-License-Identifier: GPL-2.0-only
"""Which image came of what a command line said, so that the same words find it again at once.

To read packages and files anew takes seconds. `recipes/` of the cache has a file for each order of
words, with the image's directory and what was read on the way to it: all that Python opened and
listed, each with its time of change. If one of these has changed since, or is gone, the image is
put together anew, and is the same one if its content is.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from . import pruning
from .cache import Cache

# What is written all the time, and no image depends on.
_UNSTEADY = ("/proc/", "/sys/", "/dev/", "/run/")

_Stamp = tuple[int, ...]


class _Recipe(msgspec.Struct, frozen=True):
    directory: str
    inputs: dict[str, _Stamp | None]  # by path; None: it was not there


def ensure(cache: Cache, words: Sequence[str], build: Callable[[], Path]) -> Path:
    """Return the directory of the image that `words` mean; call `build` unless it is known.

    `words`: all that decides what `build` does, besides the files that it reads.
    """
    file = (
        cache.recipes / hashlib.sha256(msgspec.json.encode([*words, str(Path.cwd())])).hexdigest()
    )
    with contextlib.suppress(OSError, UnicodeDecodeError, msgspec.DecodeError):
        recipe = msgspec.json.decode(file.read_bytes(), type=_Recipe)
        directory = Path(recipe.directory)
        if directory.is_dir() and all(_stamp(p) == s for p, s in recipe.inputs.items()):
            pruning.mark_used(directory)
            return directory
    # Another version of this package may build it in another way.
    inputs = {str(own): _stamp(own) for own in Path(__file__).parent.rglob("*.py")}
    unsteady = (*_UNSTEADY, *(f"{each}/" for each in cache.unsteady))
    with _watched(inputs, unsteady):
        directory = build()
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_bytes(msgspec.json.encode(_Recipe(str(directory), inputs)))
    new.replace(file)
    return directory


def _stamp(path: str | Path) -> _Stamp | None:
    """Return what changes when a file's content, or a directory's list of names, does."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class _Watch:
    """Notes what is opened and listed. Python keeps a hook for ever, so there is one."""

    def __init__(self) -> None:
        self._inputs: dict[str, _Stamp | None] | None = None
        self._unsteady: tuple[str, ...] = ()
        self._hooked = False

    def begin(self, inputs: dict[str, _Stamp | None], unsteady: tuple[str, ...]) -> None:
        self._inputs, self._unsteady = inputs, unsteady
        if not self._hooked:
            self._hooked = True
            sys.addaudithook(self._note)

    def end(self) -> None:
        self._inputs = None

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if self._inputs is None or event not in ("open", "os.listdir", "os.scandir"):
            return
        if event == "open" and (not isinstance(args[2], int) or args[2] & os.O_ACCMODE):
            return  # it is written
        if not isinstance(args[0], str | bytes | os.PathLike):
            return  # a descriptor
        path = str(Path(os.fsdecode(args[0])).absolute())
        if not f"{path}/".startswith(self._unsteady) and path not in self._inputs:
            self._inputs[path] = _stamp(path)


_watch = _Watch()


@contextlib.contextmanager
def _watched(inputs: dict[str, _Stamp | None], unsteady: tuple[str, ...]) -> Iterator[None]:
    _watch.begin(inputs, unsteady)
    try:
        yield
    finally:
        _watch.end()
