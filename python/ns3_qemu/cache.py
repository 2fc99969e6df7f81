# SPDX-License-Identifier: GPL-2.0-only
"""The directory in which everything that was fetched or built is kept.

Layout, below `$NS3_QEMU_HOME`, or else `$XDG_CACHE_HOME/ns3-qemu`, or else `~/.cache/ns3-qemu`:

    apt/<suite>/         package lists of one Debian suite and apt's configuration for it
    downloads/<what>/    files as they came from the archive
    qemu/<hash>/         a patched QEMU with its firmware
    kernels/<version>/   an unpacked Debian kernel
    modules/<hash>/      all modules of a kernel in one file
    programs/<package>/  a program for guests
    packages/<suite>/<package>/  a Debian package for guests, with what it depends on
    images/<hash>/       a machine that can be started: kernel, initramfs, QEMU command
    headers/<hash>/      ns-3's headers, precompiled for its Python bindings
    names/<name>         which image a name means, see `names`
    recipes/<hash>       which image a command line means, see `recipes`
    logs/                the output of each step's last run
    locks/, work/        see below

A directory under its final name is whole and never changes: it is made in `work/` (the same file
system) and renamed. Who makes it holds its lock (flock), so two processes may want the same thing
at once, and what a killed one left in `work/` is removed by the next.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec

from .errors import CacheError

_T = TypeVar("_T")

# What a file system says that takes no more, whatever is to be written.
_REFUSALS = {
    errno.ENOSPC: "Make room on its file system: `ns3-qemu image prune` removes old images.",
    errno.EDQUOT: "Make room: `ns3-qemu image prune` removes old images.",
    errno.EFBIG: "Raise `ulimit -f`.",
    errno.EROFS: "",
    errno.EACCES: "",
    errno.EPERM: "",
    errno.ENOTDIR: "",
    errno.EMFILE: "Raise `ulimit -n`.",
}
_ELSEWHERE = "Set NS3_QEMU_HOME to a directory that can be written, or make this one so."


def default_root() -> Path:
    """Return where the cache is, by the environment."""
    if home := os.environ.get("NS3_QEMU_HOME"):
        return Path(home).absolute()
    # The XDG specification says that a relative path there is to be ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = xdg if xdg.is_absolute() else Path.home() / ".cache"
    return base / "ns3-qemu"


def read_manifest(directory: Path, kind: type[_T]) -> _T:
    """Return what a directory of the cache was made from: its manifest.json.

    Raises CacheError if that is damaged.
    """
    file = directory / "manifest.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        message = f"{file} cannot be read: {error}"
        raise CacheError(message, f"Have it made anew: rm -r {directory}") from error


class Cache:
    """One cache directory. Directories come into being when something is put into them."""

    def __init__(self, root: Path | None = None) -> None:
        # Images have its path in them: however it is reached, it is the same cache.
        self.root = (root or default_root()).resolve()
        self.apt = self.root / "apt"
        self.downloads = self.root / "downloads"
        self.qemu = self.root / "qemu"
        self.kernels = self.root / "kernels"
        self.modules = self.root / "modules"
        self.programs = self.root / "programs"
        self.packages = self.root / "packages"
        self.images = self.root / "images"
        self.headers = self.root / "headers"
        self.names = self.root / "names"
        self.recipes = self.root / "recipes"
        self.logs = self.root / "logs"
        self._locks = self.root / "locks"
        self._work = self.root / "work"
        # What is written whenever something is done, and of no consequence to what is made.
        self.unsteady = (
            *(self.images, self.names, self.recipes, self.logs),
            *(self._locks, self._work),
        )

    @contextlib.contextmanager
    def lock(self, name: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock `name`; `on_wait` is called once if another process has it.

        The operating system gives a lock back when its process ends, however it ends.
        """
        with self._open_lock(name) as file:
            if not self._take(file):
                if on_wait:
                    on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def produce(
        self,
        final: Path,
        build: Callable[[Path, Path], None],
        on_wait: Callable[[], None] | None = None,
    ) -> Path:
        """Return the directory `final`; if it is missing, let `build` fill a new one, then rename.

        `build` gets two empty directories: the first becomes `final`, the second is thrown away. If
        it raises, nothing is left, under no name.
        """
        if final.is_dir():
            return final
        name = "-".join(final.relative_to(self.root).parts)
        self._sweep()
        with self.lock(name, on_wait):
            if final.is_dir():  # made by the process that had the lock before
                return final
            with self._scratch(name) as directory:
                result, work = directory / "result", directory / "work"
                result.mkdir()
                work.mkdir()
                build(result, work)
                final.parent.mkdir(parents=True, exist_ok=True)
                result.rename(final)
        return final

    def remove(self, final: Path) -> None:
        """Remove a directory; at no time is a part of it seen under its name."""
        with self.lock("removed"), self._scratch("removed") as directory:
            final.rename(directory / final.name)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Say it in one sentence if the cache cannot be written."""
        try:
            yield
        except OSError as error:
            advice = _REFUSALS.get(error.errno or 0)
            if advice is None:
                raise
            where = error.filename or self.root
            message = f"cannot write to the cache: {where}: {error.strerror}"
            raise CacheError(message, advice or _ELSEWHERE) from error

    @contextlib.contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        """Give an empty directory to who holds the lock `name`."""
        with self._writing():
            self._work.mkdir(parents=True, exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix=f"{name}@", dir=self._work))
        try:
            with self._writing():
                yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed processes left: directories whose lock nobody holds."""
        for left_over in self._work.glob("*@*"):
            with self._open_lock(left_over.name.partition("@")[0]) as file:
                if self._take(file):
                    shutil.rmtree(left_over, ignore_errors=True)

    def _open_lock(self, name: str) -> TextIO:
        with self._writing():
            self._locks.mkdir(parents=True, exist_ok=True)
            return (self._locks / name).open("w")

    @staticmethod
    def _take(file: TextIO) -> bool:
        """Take a lock if nobody holds it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
