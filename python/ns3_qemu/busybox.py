# SPDX-License-Identifier: GPL-2.0-only
"""A shell and the usual small programs for a guest, in one static file: Debian's busybox-static.

This machine's own is taken if it is installed; otherwise the package is fetched into the cache.
"""

from pathlib import Path

from . import apt
from .cache import Cache
from .elf import inspect
from .errors import AptError
from .steps import Steps

_INSTALLED = Path("/bin/busybox")
_SUITE = "bookworm"
_PACKAGE = "busybox-static"

# In the name of a directory, as in the names of apt's files.
_COLON = "%3a"


def ensure(cache: Cache, steps: Steps) -> Path:
    """Return a static busybox. Raises a Ns3QemuError if there is none and none can be fetched."""
    if _is_static(_INSTALLED):
        return _INSTALLED
    fetched = {
        file.parent.name.removeprefix(f"{_PACKAGE}_").replace(_COLON, ":"): file
        for file in cache.programs.glob(f"{_PACKAGE}_*/busybox")
    }
    return fetched[apt.newest(fetched)] if fetched else _fetch(cache, steps)


def _is_static(file: Path) -> bool:
    """Say whether a program needs nothing else."""
    try:
        elf = inspect(file.read_bytes(), str(file))
    except OSError:
        return False
    return elf is not None and elf.interpreter is None and not elf.needed


def _fetch(cache: Cache, steps: Steps) -> Path:
    suite = apt.Suite(cache, steps, _SUITE)
    versions = suite.binary_versions(_PACKAGE)
    if not versions:
        message = f"Debian {_SUITE} has no package {_PACKAGE}"
        raise AptError(message, f"Is the mirror complete? Or: apt-get install {_PACKAGE}")
    version = apt.newest(versions)

    def build(result: Path, work: Path) -> None:
        title = f"Fetching {_PACKAGE} {version} from Debian {_SUITE}"
        with steps.step("busybox", title, "Check the network, then start again.") as step:
            (file,) = suite.download(step, {_PACKAGE: version}, work).values()
            step.run(["dpkg-deb", "--extract", file, work / "root"])
            found = next(
                path
                for path in (work / "root/bin/busybox", work / "root/usr/bin/busybox")
                if path.is_file()
            )
            found.rename(result / "busybox")

    name = f"{_PACKAGE}_{version.replace(':', _COLON)}"
    return cache.produce(cache.programs / name, build, steps.waiting(_PACKAGE)) / "busybox"
