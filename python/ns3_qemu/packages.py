# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages for guests: a package, and what it depends on, from this machine's own mirror.

What is there to set a machine up, to start it or to keep it in order has no use in a guest, whose
first process is the relay: such packages, and what only they need, stay out (`_NOT_FOR_GUESTS`). So
do documentation and translations. Recommended packages are not taken.
"""

import io
import os
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from . import apt, keystore
from .cache import Cache, read_manifest
from .errors import ImageError
from .maintainer import Deeds
from .steps import Steps

_NOT_FOR_GUESTS = frozenset(
    {
        *("adduser", "apt", "base-passwd", "debconf", "dpkg", "lsb-base", "passwd", "ucf"),
        *("usrmerge", "usr-is-merged"),
        *("init", "init-system-helpers", "initscripts", "openrc", "runit-helper", "sysv-rc"),
        *("systemd", "systemd-sysv", "sysvinit-core", "sysvinit-utils", "udev"),
        *("anacron", "cron", "cron-daemon-common", "logrotate", "systemd-cron"),
    }
)

# What each host has, and programs take for granted: the locale C.UTF-8 and getent, names of
# services and protocols, certificates of authorities. Nothing of what these depend on is needed.
_COMPANIONS = ("libc-bin", "netbase", "ca-certificates")

# What a library opens when it runs, and no package says: each Debian has it.
_OPENED = {"libpam0g": ("libpam-modules", "libpam-runtime")}

_NOT_FILES = re.compile(
    r"/usr/share/(doc|doc-base|man|info|locale|lintian|bug|reportbug|bash-completion|zsh|fish"
    r"|applications|icons|pixmaps|menu|initramfs-tools)/"
    r"|(/usr)?/lib/systemd/|/etc/(init\.d|cron\.[a-z]+|logrotate\.d|default)/"
)

_AUTHORITIES = "/usr/share/ca-certificates/"
_PAM = "/usr/share/pam/common-"
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_KEYSTORE = "/etc/ssl/certs/java/cacerts"

# What scripts run whose effect is had otherwise, or is none that a guest would notice: bytecode and
# caches are made again, or done without.
_DONE = re.compile(
    r"(update-ca-certificates|pam-auth-update|ldconfig|py3?(compile|clean)|fc-cache"
    r"|update-(mime|desktop)\S*|gio-querymodules|glib-compile-schemas|systemctl|deb-\S+|dpkg-\S+"
    r"|systemd-\S+|runit-helper|[gs]etcap|python3\S*|perl)"
)
_PROGRAMS = re.compile(r"(/usr)?(/local)?/s?bin/([^/]+)")

# In the name of a directory, as in the names of apt's files.
_COLON = "%3a"


class _Manifest(msgspec.Struct, frozen=True):
    """What is in a directory of the cache: its manifest.json."""

    suite: str
    name: str
    packages: dict[str, str]  # version by name
    files: dict[str, str]  # file by name


@dataclass
class Contents:
    """What packages bring: members of their archives, in the order in which they are unpacked."""

    members: list[tuple[str, tarfile.TarInfo, bytes]] = field(default_factory=list)
    """With the name of the package that each is from."""
    versions: dict[str, str] = field(default_factory=dict)
    """By name of a package."""
    wanted: str = ""
    """The package of which a user has named a version."""
    deeds: Deeds = field(default_factory=Deeds)
    not_run: dict[str, list[str]] = field(default_factory=dict)
    """Programs that a package's own script would have run, by the package's name."""


def ensure(
    cache: Cache,
    steps: Steps,
    name: str,
    version: str | None = None,
    *,
    suite: str | None = None,
    refresh: bool = False,
) -> list[Path]:
    """Return the files of a package and of what it depends on; fetch them if they are missing.

    `suite`: this machine's own release of Debian, unless another is named. With `refresh`, look
    whether Debian has newer versions, of what it depends on, too. Raises a Ns3QemuError that says
    what to do.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
        message = f"not the name of a Debian package: {name!r}"
        raise ImageError(message, "Say for example 'frr', or name=version.")
    suite = suite or _own_suite()
    found = {
        file.parent.name.partition("_")[2].replace(_COLON, ":"): file.parent
        for file in (cache.packages / suite).glob(f"{name}_*/manifest.json")
    }
    if version is None and found and not refresh:
        version = apt.newest(found)
    directory = found.get(version or "")
    if directory is None or refresh:
        directory = _fetch(cache, steps, suite, name, version)
    manifest = _manifest(directory)
    steps.ready(f"Package {name}", f"{manifest.packages[name]} and {len(manifest.files) - 1} more")
    return [directory / file for file in manifest.files.values()]


def _own_suite() -> str:
    """Return the name of this machine's release of Debian."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") == "debian" and (name := release.get("VERSION_CODENAME")):
        return name
    message = "this machine's release of Debian is not known (/etc/os-release)"
    raise ImageError(message, "Name one: add_package(name, suite='bookworm').")


def _fetch(cache: Cache, steps: Steps, suite_name: str, name: str, version: str | None) -> Path:
    components = _components()
    suite = apt.Suite(cache, steps, suite_name, components=components)
    versions = suite.binary_versions(name)
    if not versions or (version and version not in versions):
        wanted = f"{name} {version}" if versions else name
        message = f"Debian {suite_name} has no package {wanted}"
        there = f"There is {', '.join(versions)}." if versions else _advice(components)
        raise ImageError(message, f"{there} Other programs: image.add(path).")
    version = version or apt.newest(versions)
    directory = cache.packages / suite_name / f"{name}_{version.replace(':', _COLON)}"
    packages = _needed(suite, name, version)
    if directory.is_dir() and _manifest(directory).packages != packages:
        cache.remove(directory)

    def build(result: Path, _work: Path) -> None:
        title = f"Fetching {name} {version} from Debian {suite_name}"
        with steps.step("package", title, "Check the network, then start again.") as step:
            files = suite.download(step, packages, result)
            named = {each: files[each].name for each in packages}
            manifest = _Manifest(suite_name, name, packages, named)
            (result / "manifest.json").write_bytes(
                msgspec.json.format(msgspec.json.encode(manifest))
            )

    return cache.produce(directory, build, steps.waiting(f"Package {name}"))


def _manifest(directory: Path) -> _Manifest:
    return read_manifest(directory, _Manifest)


def _needed(suite: apt.Suite, name: str, version: str) -> dict[str, str]:
    """Return a package and what it depends on: version by name, in the order of installation."""
    others = [*_COMPANIONS, *(each for names in _OPENED.values() for each in names)]
    chosen = suite.installation({name: version}, [c for c in others if c != name])
    needed = _reachable(name, suite.fields(chosen))
    return {each: v for each, v in chosen.items() if each in needed}


def _components() -> tuple[str, ...]:
    """Return the parts of the archive to take packages from: those that this machine uses."""
    if os.environ.get("NS3_QEMU_DEBIAN_MIRROR"):
        return ("main",)
    return apt.own_components(apt.machine_sources())


def _advice(components: tuple[str, ...]) -> str:
    parts = ", ".join(components)
    return f"Looked at: {parts}, the parts of Debian that this machine's apt sources have."


def _reachable(name: str, packages: dict[str, dict[str, str]]) -> set[str]:
    """Return what a package needs, of those that apt has chosen (name: fields)."""
    providers: dict[str, list[str]] = {}
    for package, fields in packages.items():
        for provided in [package, *_names(fields.get("provides", ""))]:
            providers.setdefault(provided, []).append(package)
    seen: set[str] = set()
    pending = [name]
    while pending:
        package = pending.pop()
        if package in seen:
            continue
        seen.add(package)
        pending += [each for each in _OPENED.get(package, ()) if each in packages]
        fields = packages[package]
        for field_ in ("pre-depends", "depends"):
            for other in _names(fields.get(field_, "")):
                pending += [
                    each
                    for each in providers.get(other, ())
                    if each not in {*_NOT_FOR_GUESTS, *_COMPANIONS, *seen}
                ]
    return seen | {companion for companion in _COMPANIONS if companion in packages}


def _names(relations: str) -> Iterator[str]:
    """Yield the names in a field such as "libc6 (>= 2.36), cron | anacron"."""
    for relation in re.split(r"[,|]", relations):
        if match := re.match(r"\s*([a-z0-9][a-z0-9+.-]*)", relation):
            yield match[1]


def read(files: Iterable[Path]) -> Contents:
    """Return what these packages bring. Raises ImageError for a file that is no package."""
    contents = Contents()
    made: dict[str, bytes] = {}
    authorities: dict[str, bytes] = {}
    run: dict[str, set[str]] = {}
    programs: set[str] = set()
    for file in files:
        name, essential = "", False
        before = contents.deeds.programs
        contents.deeds.programs = set()
        for member, data in _members(file, "--ctrl-tarfile"):
            part = member.name.lstrip("./")
            if part in ("preinst", "postinst"):
                contents.deeds.read_script(data.decode(errors="replace"))
            elif part == "control":
                said = next(apt.parse_deb822(data.decode(errors="replace")), {})
                name, essential = said.get("package", ""), said.get("essential") == "yes"
                contents.versions[name] = said.get("version", "")
        run[name], contents.deeds.programs = contents.deeds.programs, before
        for member, data in _members(file, "--fsys-tarfile"):
            path = f"/{member.name.removeprefix('.').strip('/')}"
            _read_declarations(contents.deeds, path, data)
            if not essential and not member.isdir() and (match := _PROGRAMS.fullmatch(path)):
                programs |= {path, match[3]}
            if path.startswith(_AUTHORITIES) and path.endswith(".crt"):
                made[_BUNDLE] = made.get(_BUNDLE, b"") + data.rstrip(b"\n") + b"\n"
                authorities[path.rpartition("/")[2]] = data
            elif path.startswith(_PAM) and "." not in path:
                made[f"/etc/pam.d/common-{path.removeprefix(_PAM)}"] = _pam(data)
            if path != "/" and not _NOT_FILES.match(f"{path}/"):
                contents.members.append((name, member, data))
    for name, words in run.items():
        names = {word.rpartition("/")[2] for word in words & programs}
        if wanting := sorted(each for each in names if not _DONE.fullmatch(each)):
            contents.not_run[name] = wanting
    if "ca-certificates-java" in contents.versions:
        made[_KEYSTORE] = keystore.of_certificates(authorities)
    for path, data in made.items():
        member = tarfile.TarInfo(f".{path}")
        member.size = len(data)
        contents.members.append(("", member, data))
    return contents


def outdated(given: Sequence[Contents]) -> list[set[str]]:
    """Return which packages of each of these are left out, since others have a newer version.

    Of a package, a machine has one version: programs run with libraries newer than their own. The
    one that a user has named counts more.
    """
    versions: dict[str, set[str]] = {}
    for contents in given:
        for name, version in contents.versions.items():
            versions.setdefault(name, set()).add(version)
    best = {name: apt.newest(there) for name, there in versions.items() if len(there) > 1}
    best |= {each.wanted: each.versions[each.wanted] for each in given if each.wanted}
    return [
        {name for name, version in each.versions.items() if best.get(name, version) != version}
        for each in given
    ]


def _pam(template: bytes) -> bytes:
    """Return what pam-auth-update makes of a template where there are Unix's own users only."""

    def module(match: re.Match[bytes]) -> bytes:
        kind, part = match[1], match[2]
        if part == b"additional":
            return kind + b" required pam_unix.so" if kind == b"session" else b""
        if kind == b"session":
            return b"session [default=1] pam_permit.so"
        return kind + b" [success=1 new_authtok_reqd=done default=ignore] pam_unix.so"

    pattern = rb"^\$(auth|account|password|session)(?:_nonint)?_(primary|additional)$"
    return re.sub(pattern, module, template, flags=re.MULTILINE)


def _read_declarations(deeds: Deeds, path: str, data: bytes) -> None:
    if not path.endswith((".conf", ".service")):
        return
    text = data.decode(errors="replace")
    if re.fullmatch(r"/usr/lib/sysusers\.d/[^/]+\.conf", path):
        deeds.read_sysusers(text)
    elif re.fullmatch(r"/usr/lib/tmpfiles\.d/[^/]+\.conf", path):
        deeds.read_tmpfiles(text)
    elif re.fullmatch(r"(/usr)?/lib/systemd/system/[^/@]+\.service", path):
        deeds.read_unit(text)


def _members(file: Path, part: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    unpacked = subprocess.run(["dpkg-deb", part, file], capture_output=True, check=False)
    if unpacked.returncode != 0:
        message = f"{file} is not a Debian package: {unpacked.stderr.decode().strip()}"
        raise ImageError(message, "Fetch it again: remove it from the cache.")
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            yield member, stream.read() if stream else b""
