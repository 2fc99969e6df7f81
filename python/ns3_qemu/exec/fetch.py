# SPDX-License-Identifier: GPL-2.0-only
"""Files of a guest, brought back when a command has ended: as a tar file that the guest makes.

What the guest says is not trusted: nothing gets a place but below the name that was asked for.
"""

import io
import tarfile
from pathlib import Path, PurePosixPath

from . import toolbox
from .errors import ExecError


def name_of(path: str) -> str:
    """Return the name that a file or directory of the guest gets here. Raises ExecError."""
    name = PurePosixPath(path).name
    if not name or name == "..":
        message = f"not the path of a file or directory in the guest: {path!r}"
        raise ExecError(message, "Give for example --get /tmp/trace.pcap.")
    return name


def command(path: str) -> list[str]:
    """Return what has a guest write a tar file to its standard output."""
    pure = PurePosixPath(toolbox.DIRECTORY, path)
    return [toolbox.BUSYBOX, "tar", "-c", "-f", "-", "-C", str(pure.parent), pure.name]


def unpack(path: str, archive: bytes) -> dict[str, bytes]:
    """Return the regular files in a guest's tar file, by relative path."""
    top = name_of(path)
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            for member in members:
                place = PurePosixPath(member.name)
                if place.parts[:1] != (top,) or ".." in place.parts:
                    message = f"the guest names a place outside of {top}: {member.name!r}"
                    raise ExecError(message)
                if stream := members.extractfile(member) if member.isreg() else None:
                    files[str(place)] = stream.read()
    except tarfile.TarError as error:
        message = f"what the guest gives is not a tar file: {error}"
        raise ExecError(message) from error
    return files


def write(files: dict[str, bytes], directory: Path) -> None:
    """Write files below a directory, which is made if need be."""
    for path, data in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
