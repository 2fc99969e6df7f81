# SPDX-License-Identifier: GPL-2.0-only
"""Packages of any Debian suite, through apt, without touching the machine's own configuration.

Each suite gets an apt configuration of its own in the cache: its sources list, package lists and
state. The mirror is the one that the machine itself uses, and so are proxies, credentials and the
like; signatures are checked against the Debian keyring that is installed.
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .cache import Cache
from .errors import AptError
from .steps import CommandError, Step, Steps

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Names that suites of the Debian archive have; other archives made for Debian use other names, or
# these with a suffix of their own.
_SUITE = re.compile(
    r"(buster|bullseye|bookworm|trixie|forky|duke|sid|(old){0,2}stable|testing|unstable)"
    r"(-updates|-proposed-updates|-backports(-sloppy)?)?"
)

# The parts of the archive, of which Debian itself is the first.
_COMPONENTS = ("main", "contrib", "non-free", "non-free-firmware")

# What of the machine's apt configuration describes its way to the network (and how strict it is
# about the age of a mirror; signatures are checked in any case).
_NETWORK_SETTINGS = re.compile(
    r"Acquire::(http|https|ftp|mirror|Proxy|Retries|ForceIPv[46]|Check-Valid-Until|Check-Date"
    r"|Max-ValidTime|Min-ValidTime)\b.*",
    re.IGNORECASE,
)

# What apt says of a mirror that nobody brings up to date.
_EXPIRED = re.compile(r"Release file .* is expired")

# Package lists older than this are fetched again when something new is wanted, in seconds.
_LISTS_MAX_AGE = 24 * 3600


@dataclass(frozen=True)
class Source:
    """One entry of apt's sources."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)  # names in lower case


def parse_deb822(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a control file; names of fields are in lower case."""
    stanza: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, name = {}, ""
        elif line[0].isspace():
            if name:
                stanza[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanza[name] = value.strip()


def parse_sources(text: str) -> list[Source]:
    """Read a `*.sources` file (deb822)."""
    sources = []
    for stanza in parse_deb822(text):
        if stanza.get("enabled", "yes").lower() in {
            "no",
            "false",
            "0",
            "off",
            "without",
            "disable",
        }:
            continue
        if not {"deb", "deb-src"} & set(stanza.get("types", "").split()):
            continue
        sources += [
            Source(
                uri,
                tuple(stanza.get("suites", "").split()),
                tuple(stanza.get("components", "").split()),
                stanza,
            )
            for uri in stanza.get("uris", "").split()
        ]
    return sources


def parse_list(text: str) -> list[Source]:
    """Read a `*.list` file (one line an entry)."""
    sources = []
    pattern = re.compile(
        r"deb(?:-src)?\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<rest>.+)"
    )
    for line in text.splitlines():
        match = pattern.fullmatch(line.partition("#")[0].strip())
        if match:
            suite, *components = match["rest"].split()
            words = [word.partition("=") for word in (match["options"] or "").split()]
            options = {name.lower(): value for name, _, value in words}
            sources.append(Source(match["uri"], (suite,), tuple(components), options))
    return sources


def machine_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Return the machine's own sources, in apt's order."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    sources = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            if file.suffix == ".list":
                sources += parse_list(file.read_text(errors="replace"))
            elif file.suffix == ".sources":
                sources += parse_sources(file.read_text(errors="replace"))
    return sources


def mirror(sources: Iterable[Source]) -> str:
    """Return the URI from which the machine gets Debian itself.

    Raises AptError if no source looks like the Debian archive.
    """
    return _archive(sources).uri


def own_components(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the parts of the Debian archive that the machine itself takes packages from.

    Raises AptError as `mirror`.
    """
    taken = _archive(sources).components
    return tuple(part for part in _COMPONENTS if part in taken)


def _archive(sources: Iterable[Source]) -> Source:

    def rank(source: Source) -> int:
        """Other archives name their own key; among the rest, `.../debian` is the customary path."""
        key = source.options.get("signed-by", "")
        foreign = bool(key) and "debian-archive" not in key
        return 2 * foreign + (not source.uri.rstrip("/").endswith("debian"))

    candidates = [
        source
        for source in sources
        if "main" in source.components
        and any(_SUITE.fullmatch(suite) for suite in source.suites)
        and not source.uri.startswith("cdrom:")
        and not re.search(r"security", source.uri.rstrip("/").rpartition("/")[2])
    ]
    if not candidates:
        message = "none of this machine's apt sources is the Debian archive"
        advice = (
            "Add Debian's main archive to /etc/apt/sources.list.d, or name a mirror in the "
            "environment: NS3_QEMU_DEBIAN_MIRROR=http://.../debian"
        )
        raise AptError(message, advice)
    return min(candidates, key=rank)


def newest(versions: Iterable[str]) -> str:
    """Return the newest of some Debian versions, of which there must be one."""
    return max(versions, key=_order)


def _order(version: str) -> tuple[object, ...]:
    """Return what orders Debian versions (deb-version(7)): epoch, upstream's version, revision."""
    epoch, colon, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (int(epoch) if colon else 0, _parts(upstream), _parts(revision))


def _parts(text: str) -> list[tuple[list[int], int]]:
    """Return words and numbers by turns. Of a word, `~` comes before its end, then letters."""

    def rank(letter: str) -> int:
        return -1 if letter == "~" else ord(letter) + (0 if letter.isalpha() else 256)

    end = ([0], 0)
    found = re.findall(r"(\D*)(\d*)", text)
    parts = [([*map(rank, word), 0], int(number or 0)) for word, number in found]
    while parts and parts[-1] == end:
        parts.pop()
    return [*parts, end]


class Suite:
    """The packages of one suite."""

    def __init__(
        self,
        cache: Cache,
        steps: Steps,
        name: str,
        *,
        sources: bool = False,
        components: Sequence[str] = _COMPONENTS[:1],
    ) -> None:
        """Fetch the lists of source packages too only if `sources` is set."""
        self.name = name
        self._cache = cache
        self._steps = steps
        self._sources = sources
        self._components = components
        self._directory = cache.apt / "+".join(
            [f"{name}-src" if sources else name, *components[1:]]
        )
        self._updated = self._directory / "updated"
        self._config = self._directory / "apt.conf"
        self._refreshed = False

    def refresh(self, *, force: bool = False) -> None:
        """Fetch the package lists if they are older than a day."""
        with self._lock():
            self._configure()
            with contextlib.suppress(FileNotFoundError):
                age = time.time() - self._updated.stat().st_mtime
                if not force and 0 <= age < _LISTS_MAX_AGE:
                    return
            advice = (
                "Check the network, and that this machine's own apt works (apt-get update). "
                "Another mirror can be named in the environment: "
                "NS3_QEMU_DEBIAN_MIRROR=http://.../debian"
            )
            title = f"Fetching the package lists of Debian {self.name}"
            with self._steps.step(f"apt-{self._directory.name}", title, advice) as step:
                self._run(step, "apt-get", "-o", "APT::Update::Error-Mode=any", "update")
            self._updated.touch()
            self._refreshed = True

    def binary_versions(self, package: str) -> dict[str, dict[str, str]]:
        """Return the fields of a binary package, by version; empty if there is none."""
        return self._versions("show", package)

    def source_versions(self, package: str) -> dict[str, dict[str, str]]:
        """Return the fields of a source package, by version; empty if there is none."""
        return self._versions("showsrc", "--only-source", package)

    def package_names(self, prefix: str) -> list[str]:
        """Return the names of all packages that begin so."""
        return self._query("pkgnames", prefix).split()

    def installation(self, wanted: Mapping[str, str], others: Iterable[str] = ()) -> dict[str, str]:
        """Return what apt would install on an empty machine: version by name, in its order.

        `wanted`: versions by name; `others`: more packages, as far as there are such. Raises
        AptError if they cannot be together.
        """
        known = [name for name in others if self.binary_versions(name)]
        packages = [*(f"{name}={version}" for name, version in wanted.items()), *known]
        command = ["apt-get", "install", "--simulate", "--no-install-recommends", *packages]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=self._environment()
        )
        if done.returncode != 0:
            message = f"apt cannot install {' '.join(wanted)}: {done.stderr.strip()}"
            there = " ".join(self._components)
            raise AptError(message, f"Has Debian {self.name} all that it depends on, in {there}?")
        return dict(re.findall(r"^Inst (\S+) \((\S+) ", done.stdout, re.MULTILINE))

    def fields(self, packages: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return the fields of binary packages (name: version), by name."""
        wanted = [f"{name}={version}" for name, version in packages.items()]
        stanzas = parse_deb822(self._query("show", "--no-all-versions", *wanted))
        return {stanza["package"]: stanza for stanza in stanzas}

    def download(self, step: Step, packages: Mapping[str, str], directory: Path) -> dict[str, Path]:
        """Fetch binary packages (name: version) into a directory; return name: file."""
        wanted = [f"{name}={version}" for name, version in packages.items()]
        self._fetch(step, directory, "apt-get", "download", *wanted)
        files = {}
        for name in packages:
            (files[name],) = directory.glob(f"{name}_*.deb")
        return files

    def download_source(self, step: Step, package: str, version: str, directory: Path) -> Path:
        """Fetch a source package into a directory; return its .dsc."""
        self._fetch(
            step,
            directory,
            "apt-get",
            "source",
            "--only-source",
            "--download-only",
            f"{package}={version}",
        )
        (dsc,) = directory.glob(f"{package}_*.dsc")
        return dsc

    # --- below here: how apt is called ------------------------------------------------------------

    def _lock(self) -> contextlib.AbstractContextManager[None]:
        title = f"Package lists of Debian {self.name}"
        return self._cache.lock(f"apt-{self._directory.name}", self._steps.waiting(title))

    def _configure(self) -> None:
        """Write the suite's apt configuration."""
        for part in ("lists/partial", "state", "cache/archives/partial", "etc"):
            (self._directory / part).mkdir(parents=True, exist_ok=True)
        status = self._directory / "state" / "status"
        if not status.exists():
            status.touch()
        if not shutil.which("apt-get"):
            message = "this machine has no apt, through which packages are fetched"
            advice = (
                "Kernels are fetched without it. Give programs by their files, or a whole root "
                "file system (rootfs); on Debian: apt-get itself"
            )
            raise AptError(message, advice)
        if not KEYRING.exists():
            message = f"the keys of the Debian archive are missing: {KEYRING}"
            raise AptError(message, "Install them: apt-get install debian-archive-keyring")
        uri = os.environ.get("NS3_QEMU_DEBIAN_MIRROR") or mirror(machine_sources())
        types = ["deb", "deb-src"] if self._sources else ["deb"]
        parts = " ".join(self._components)
        listed = "".join(
            f"{type_} [signed-by={KEYRING}] {uri} {self.name} {parts}\n" for type_ in types
        )
        sources_list = self._directory / "sources.list"
        if not sources_list.exists() or sources_list.read_text() != listed:
            self._updated.unlink(missing_ok=True)
            sources_list.write_text(listed)
        directory = self._directory
        self._config.write_text(
            f"""\
Dir::Etc "{directory}/etc";
Dir::Etc::sourcelist "{directory}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::main "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::netrc "/etc/apt/auth.conf";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
Dir::State "{directory}/state";
Dir::State::lists "{directory}/lists";
Dir::State::status "{directory}/state/status";
Dir::Cache "{directory}/cache";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "3";
"""
            + self._network_settings()
        )

    @staticmethod
    def _network_settings() -> str:
        """Return what the machine's own configuration says about the network."""
        dump = subprocess.run(
            ["apt-config", "dump", "Acquire"], check=True, capture_output=True, text=True
        ).stdout
        lines = [line for line in dump.splitlines() if _NETWORK_SETTINGS.fullmatch(line)]
        return "".join(f"{line}\n" for line in lines)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "APT_CONFIG": str(self._config), "LC_ALL": "C.UTF-8"}

    def _run(self, step: Step, *command: str, cwd: Path | None = None) -> None:
        """Run apt-get, with its own account of how far it is as the step's progress."""
        expired = False

        def on_line(line: str) -> bool:
            nonlocal expired
            expired = expired or _EXPIRED.search(line) is not None
            # dlstatus:<number>:<percent>:<what>
            kind, *fields = line.split(":", 3)
            if kind == "dlstatus" and len(fields) == 3:
                with contextlib.suppress(ValueError):
                    step.progress(float(fields[1]) / 100)
                return True
            return False

        name, *arguments = command
        full = [name, "--quiet", "-o", "APT::Status-Fd=1", *arguments]
        try:
            step.run(full, cwd=cwd, env=self._environment(), on_line=on_line)
        except CommandError:
            if not expired:
                raise
            message = f"the mirror's package lists of Debian {self.name} have expired"
            advice = (
                "Name one that is up to date: NS3_QEMU_DEBIAN_MIRROR=http://.../debian. For one"
                " that is to stay as it was on some day, a file in /etc/apt/apt.conf.d has to say"
                ' Acquire::Check-Valid-Until "false";'
            )
            raise AptError(message, advice) from None

    def _fetch(self, step: Step, directory: Path, *command: str) -> None:
        """Run a downloading command; with fresh lists again if files have gone from the mirror."""
        try:
            self._run(step, *command, cwd=directory)
        except CommandError:
            if self._refreshed:
                raise
            step.note("Trying again with fresh package lists.")
            self._run(step, "apt-get", "-o", "APT::Update::Error-Mode=any", "update")
            self._refreshed = True
            self._run(step, *command, cwd=directory)

    def _query(self, *arguments: str) -> str:
        self.refresh()
        result = subprocess.run(
            ["apt-cache", *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self._environment(),
        )
        # A package that does not exist is an error to apt-cache, and an empty answer here.
        return result.stdout

    def _versions(self, *arguments: str) -> dict[str, dict[str, str]]:
        answer = self._query(*arguments)
        if not answer and not self._refreshed:
            self.refresh(force=True)
            answer = self._query(*arguments)
        return {stanza["version"]: stanza for stanza in parse_deb822(answer)}
