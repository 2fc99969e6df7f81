# SPDX-License-Identifier: GPL-2.0-only
"""Packages of a Debian suite where there is no apt: fetched by HTTP, checked as apt does.

The mirror's InRelease is signed with keys of the Debian archive, and gpgv checks that; it has the
hash of the package list, and that has the hash of each package. Nothing is taken that is not in
this chain. What needs packages that depend on each other needs apt itself.
"""

import hashlib
import io
import lzma
import os
import posixpath
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

from . import apt, bundle
from .cache import Cache
from .errors import AptError
from .steps import CommandError, Step, Steps

_LIST = "main/binary-amd64/Packages.xz"

# In seconds: how long a mirror may keep silent, and how old a package list may be.
_TIMEOUT = 60
_MAX_AGE = 24 * 3600

# More than any InRelease has, in bytes; of the rest the signed size is known.
_MAX_RELEASE = 4 << 20


class Packages(Protocol):
    """What the kernel's package is fetched from; `apt.Suite` is one, too."""

    def binary_versions(self, package: str) -> dict[str, dict[str, str]]:
        """Return the fields of a binary package, by version; empty if there is none."""

    def download(self, step: Step, packages: Mapping[str, str], directory: Path) -> dict[str, Path]:
        """Fetch binary packages (name: version) into a directory; return name: file."""


def packages(cache: Cache, steps: Steps, suite: str) -> Packages:
    """Return the packages of a suite: through apt where there is one."""
    return apt.Suite(cache, steps, suite) if shutil.which("apt-get") else Suite(cache, steps, suite)


def extract(step: Step, package: Path, root: Path) -> None:
    """Unpack a binary package into a directory, with dpkg where there is one."""
    if shutil.which("dpkg-deb"):
        step.run(["dpkg-deb", "--extract", package, root])
        return
    step.note(f"unpacking {package}")
    with tarfile.open(fileobj=io.BytesIO(_data(package))) as content:
        # Nothing that leads out of the directory.
        if hasattr(tarfile, "data_filter"):
            content.extractall(root, filter="data")
            return
        # Python before 3.11.4, as in Debian 12.
        for member in content:
            if _leads_out(member):
                message = f"{package.name} has {member.name}, which leads out of it"
                raise CommandError(message)
            content.extract(member, root)


def _leads_out(member: tarfile.TarInfo) -> bool:
    """Say whether a member of an archive is, or points, outside the archive's directory."""
    names = [member.name]
    if member.issym():
        names.append(posixpath.join(posixpath.dirname(member.name), member.linkname))
    elif member.islnk():
        names.append(member.linkname)
    outside = any(posixpath.normpath(name).split("/")[0] in ("", "..") for name in names)
    return outside or ".." in member.name.split("/")


def _data(package: Path) -> bytes:
    """Return the tar archive in a package, which is an ar archive (deb(5))."""
    whole = package.read_bytes()
    place = 8
    if whole[:place] != b"!<arch>\n":
        message = f"{package.name} is no Debian package"
        raise CommandError(message)
    while place + 60 <= len(whole):
        name, size = whole[place : place + 16], whole[place + 48 : place + 58]
        place += 60
        length = int(size)
        if name.startswith(b"data.tar"):
            return whole[place : place + length]
        place += length + length % 2
    message = f"{package.name} has no files"
    raise CommandError(message)


class Suite:
    """The packages of one suite, of Debian's own part (main)."""

    def __init__(self, cache: Cache, steps: Steps, name: str) -> None:
        self._cache = cache
        self._steps = steps
        self._name = name
        self._directory = cache.apt / f"{name}-http"
        self._list = self._directory / "Packages.xz"

    def binary_versions(self, package: str) -> dict[str, dict[str, str]]:
        """Return the fields of a binary package, by version; empty if there is none."""
        self._refresh()
        return {stanza["version"]: stanza for stanza in self._stanzas(package)}

    def download(self, step: Step, packages: Mapping[str, str], directory: Path) -> dict[str, Path]:
        """Fetch binary packages (name: version) into a directory; return name: file."""
        files = {}
        for number, (name, version) in enumerate(packages.items()):
            fields = self.binary_versions(name).get(version)
            if fields is None:
                message = f"Debian {self._name} has no {name} {version}"
                raise CommandError(message)
            path = fields["filename"]
            step.progress(number / len(packages), name)
            data = self._get(step, path, int(fields["size"]), fields["sha256"])
            files[name] = directory / PurePosixPath(path).name
            files[name].write_bytes(data)
        return files

    def _stanzas(self, package: str) -> Iterator[dict[str, str]]:
        text = lzma.decompress(self._list.read_bytes()).decode(errors="replace")
        wanted = f"Package: {package}\n"
        for block in text.split("\n\n"):
            if block.lstrip("\n").startswith(wanted):
                yield from apt.parse_deb822(block)

    def _refresh(self) -> None:
        title = f"Package list of Debian {self._name}"
        with self._cache.lock(f"apt-{self._directory.name}", self._steps.waiting(title)):
            if self._list.exists() and 0 <= time.time() - self._list.stat().st_mtime < _MAX_AGE:
                return
            self._directory.mkdir(parents=True, exist_ok=True)
            advice = (
                "Check the network and the mirror. Another one can be named in the environment: "
                "NS3_QEMU_DEBIAN_MIRROR=http://.../debian"
            )
            title = f"Fetching the package list of Debian {self._name}, without apt"
            with self._steps.step(f"apt-{self._directory.name}", title, advice) as step:
                size, digest = self._signed(step)
                path = f"dists/{self._name}/{_LIST}"
                part = self._list.with_suffix(".part")
                part.write_bytes(self._get(step, path, size, digest))
                part.replace(self._list)

    def _signed(self, step: Step) -> tuple[int, str]:
        """Return size and SHA-256 of the package list, as the archive has signed it."""
        release = self._directory / "InRelease"
        release.write_bytes(self._fetch(step, f"dists/{self._name}/InRelease", _MAX_RELEASE))
        signed = self._directory / "Release"
        signed.unlink(missing_ok=True)
        # Only what gpgv gives is signed: there may be more in the file.
        step.run(["gpgv", "--keyring", keyring(), "--output", signed, release])
        fields = next(apt.parse_deb822(signed.read_text()), {})
        if self._name not in (fields.get("codename"), fields.get("suite")):
            message = f"the mirror gives {fields.get('codename')} for {self._name}"
            raise CommandError(message)
        until = fields.get("valid-until")
        if until and parsedate_to_datetime(until) < datetime.now(UTC):
            message = f"what the mirror has of {self._name} was good until {until}"
            raise CommandError(message)
        for line in fields.get("sha256", "").splitlines():
            words = line.split()
            if len(words) == 3 and words[2] == _LIST:
                return int(words[1]), words[0]
        message = f"the archive's signed file does not name {_LIST}"
        raise CommandError(message)

    def _get(self, step: Step, path: str, size: int, digest: str) -> bytes:
        """Fetch a file whose size and SHA-256 are known."""
        data = self._fetch(step, path, size)
        if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
            message = f"{path} is not what the archive has signed"
            raise CommandError(message)
        return data

    def _fetch(self, step: Step, path: str, most: int) -> bytes:
        """Fetch a file of the mirror, of no more than so many bytes."""
        uri = os.environ.get("NS3_QEMU_DEBIAN_MIRROR") or apt.mirror(apt.machine_sources())
        address = f"{uri.rstrip('/')}/{path}"
        if not address.startswith(("http:", "https:", "file:")):
            message = f"a mirror of this kind is known to apt only: {uri}"
            raise CommandError(message)
        step.note(f"fetching {address}")
        parts, got = [], 0
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:
                while part := answer.read(1 << 20):
                    parts.append(part)
                    got += len(part)
                    if got > most:
                        break
        except (urllib.error.URLError, OSError) as error:
            message = f"cannot fetch {address}: {error}"
            raise CommandError(message) from error
        if got > most:
            message = f"{address} is larger than {most} bytes"
            raise CommandError(message)
        return b"".join(parts)


def keyring() -> Path:
    """Return the keys of the Debian archive: the machine's, or those that came with the package.

    Raises AptError if there are none.
    """
    for file in (apt.KEYRING, bundle.DIRECTORY / "keyrings" / apt.KEYRING.name):
        if file.exists():
            return file
    message = f"the keys of the Debian archive are missing: {apt.KEYRING}"
    raise AptError(message, "Install the package that has them: debian-archive-keyring")
