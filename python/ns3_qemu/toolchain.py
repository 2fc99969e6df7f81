# SPDX-License-Identifier: GPL-2.0-only
"""The patched QEMU: Debian's signed source package, Debian's patches, ours, a minimal build.

What is built depends on the Debian version of the source, on everything in qemu-patches/ and on the
options below; the hash over these names the result. A version that is in the cache is used until
`ensure(refresh=True)` asks the archive for a newer one, so that a warm start needs no network.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from . import apt, bundle, qemu_build
from .cache import Cache, read_manifest
from .errors import ToolchainError
from .steps import CommandError, Step, Steps

# QEMU's hooks are patches against this series.
_SUITE = "trixie"
_SERIES = "10.0"

# The device set of this name is in qemu-patches/src/configs/devices/.
_OPTIONS = (
    "--disable-download",
    "--target-list=x86_64-softmmu",
    "--without-default-features",
    "--without-default-devices",
    "--with-devices-x86_64=ns3-qemu",
    "--enable-system",
    "--enable-tcg",
    "--disable-docs",
    "--disable-tools",
    "--disable-guest-agent",
    "--disable-install-blobs",
    "--disable-werror",
    # The program is stripped.
    "--disable-debug-info",
    # What a machine's construction took is given back: half of what a VM would have of its own.
    "--enable-malloc-trim",
    # Its data need no relocation, so VMs share what they do not write. VMs run at fixed addresses
    # anyway. Configure leaves out what the linker must be told.
    "--disable-pie",
    "--extra-ldflags=-no-pie",
)

# File: (binary package, its path there). Debian's source has no firmware blobs.
_FIRMWARE = {
    "bios-256k.bin": ("seabios", "usr/share/seabios/bios-256k.bin"),
    "linuxboot_dma.bin": ("qemu-system-data", "usr/share/qemu/linuxboot_dma.bin"),
    "kvmvapic.bin": ("qemu-system-data", "usr/share/qemu/kvmvapic.bin"),
}


class _Download(msgspec.Struct, frozen=True):
    """downloads/qemu-<version>/manifest.json."""

    version: str
    dsc: str
    packages: dict[str, str]  # name: file name


class Manifest(msgspec.Struct, frozen=True):
    """What a QEMU in the cache was made from: its manifest.json."""

    version: str  # Debian's, of the source package
    packages: dict[str, str]  # that the firmware is from: file name by name
    patches: str  # hash over qemu-patches and the wire's header
    options: tuple[str, ...]


@dataclass(frozen=True)
class Qemu:
    """A QEMU that is ready to be run."""

    directory: Path
    manifest: Manifest

    @property
    def executable(self) -> Path:
        """The program."""
        return self.directory / "bin" / "qemu-system-x86_64"

    @property
    def firmware(self) -> Path:
        """The directory for QEMU's option -L."""
        return self.directory / "firmware"


@dataclass(frozen=True)
class Patches:
    """Our changes to QEMU: a quilt series, whole new files, and the wire that both ends share."""

    directory: Path
    wire: Path

    @classmethod
    def find(cls) -> "Patches":
        """Find them in the installed package or, from a checkout, in the source tree."""
        package = Path(__file__).resolve().parent
        installed = package / "qemu-patches"
        if installed.is_dir():
            return cls(installed, installed / "sim-link.h")
        tree = package.parents[1]
        if (tree / "qemu-patches").is_dir():
            return cls(tree / "qemu-patches", tree / "ns3-module" / "vm" / "sim-link.h")
        message = f"the patches for QEMU are not in the installed package ({installed})"
        raise ToolchainError(
            message, "Install ns3-qemu again: pip install --force-reinstall ns3-qemu"
        )

    def series(self) -> list[Path]:
        """Return the patches in the order in which they apply."""
        series = self.directory / "series"
        if not series.exists():
            return []
        lines = (line.partition("#")[0].strip() for line in series.read_text().splitlines())
        return [self.directory / line.split()[0] for line in lines if line]

    def new_files(self) -> Iterator[tuple[Path, Path]]:
        """Yield each new file and its path in QEMU's source tree."""
        source = self.directory / "src"
        for file in sorted(source.rglob("*")):
            if file.is_file():
                yield file, file.relative_to(source)
        yield self.wire, Path("include/system/sim-link-protocol.h")

    def digest(self) -> str:
        """Return a hash over all that changes QEMU."""
        whole = hashlib.sha256()
        for patch in self.series():
            whole.update(f"patch {patch.name} {_sha256(patch)}\n".encode())
        for file, path in self.new_files():
            whole.update(f"file {path} {_sha256(file)}\n".encode())
        return whole.hexdigest()


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        message = f"a file that QEMU is built from is missing: {file}"
        raise ToolchainError(message, "Is the checkout or the installed package whole?") from error


def _key(version: str, digest: str) -> str:
    """Name a QEMU by what goes into it."""
    text = "\n".join(("2", version, digest, *_OPTIONS, *qemu_build.STATIC))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def find(cache: Cache, patches: Patches | None = None) -> Qemu | None:
    """Return the newest QEMU that is built with the present patches, or with these.

    It may be in the cache, or have come with the installed package.
    """
    digest = (patches or Patches.find()).digest()
    manifests = {}
    for file in (*cache.qemu.glob("*/manifest.json"), *bundle.QEMU.glob("*/manifest.json")):
        manifest = read_manifest(file.parent, Manifest)
        if file.parent.name == _key(manifest.version, digest):
            manifests[manifest.version] = Qemu(file.parent, manifest)
    return manifests[apt.newest(manifests)] if manifests else None


def ensure(
    cache: Cache, steps: Steps, *, refresh: bool = False, patches: Patches | None = None
) -> Qemu:
    """Return the patched QEMU, and build it if it is not in the cache. `patches`: other ones.

    Raises StepError (which step, its log, what to do) or ToolchainError.
    """
    patches = patches or Patches.find()
    qemu = None if refresh else find(cache, patches)
    if qemu is None:
        download = _ensure_download(cache, steps, refresh=refresh)
        manifest = read_manifest(download, _Download)
        directory = cache.qemu / _key(manifest.version, patches.digest())
        cache.produce(
            directory,
            lambda result, work: _build(result, work, download, manifest, patches, steps),
            steps.waiting("QEMU"),
        )
        qemu = Qemu(directory, read_manifest(directory, Manifest))
    steps.ready(f"QEMU {qemu.manifest.version}", qemu.directory)
    return qemu


def _ensure_download(cache: Cache, steps: Steps, *, refresh: bool) -> Path:
    """Return the directory with source and firmware packages."""
    if not refresh:
        present = {}
        for file in cache.downloads.glob("qemu-*/manifest.json"):
            manifest = read_manifest(file.parent, _Download)
            present[manifest.version] = file.parent
        if present:
            return present[apt.newest(present)]

    suite = apt.Suite(cache, steps, _SUITE, sources=True)
    versions = [
        v for v in suite.source_versions("qemu") if re.match(rf"(\d+:)?{re.escape(_SERIES)}\b", v)
    ]
    if not versions:
        message = (
            f"Debian {_SUITE} has no QEMU of the series {_SERIES}, on which the patches are based"
        )
        raise ToolchainError(message, "A newer ns3-qemu may have patches for a newer QEMU.")
    version = apt.newest(versions)

    def fetch(result: Path, _work: Path) -> None:
        title = f"Fetching QEMU {version} from Debian {_SUITE}"
        with steps.step("qemu-download", title, "Check the network, then start again.") as step:
            packages = {
                "qemu-system-data": version,
                "seabios": apt.newest(suite.binary_versions("seabios")),
            }
            dsc = suite.download_source(step, "qemu", version, result)
            files = suite.download(step, packages, result)
        manifest = _Download(version, dsc.name, {name: file.name for name, file in files.items()})
        (result / "manifest.json").write_bytes(msgspec.json.encode(manifest))

    directory = cache.downloads / f"qemu-{version.partition(':')[2] or version}"
    return cache.produce(directory, fetch, steps.waiting("QEMU's source"))


def _build(
    result: Path, work: Path, download: Path, manifest: _Download, patches: Patches, steps: Steps
) -> None:
    source, build = work / "source", work / "build"
    version = manifest.version

    with steps.step("qemu-unpack", f"Unpacking QEMU {version} with Debian's patches") as step:
        step.run(["dpkg-source", "--extract", download / manifest.dsc, source], cwd=work)

    with steps.step("qemu-patch", "Patching QEMU for simulated time") as step:
        _patch(step, source, patches, version)

    with steps.step("qemu-configure", "Configuring QEMU") as step:
        build.mkdir()
        python = f"--python={sys.executable}"
        env = qemu_build.environment() | qemu_build.static_libraries(step, work / "pkgconfig")
        step.run([source / "configure", python, *_OPTIONS], cwd=build, env=env)
        qemu_build.precompile(step, source, build, env)

    advice = (
        "An error in a file of qemu-patches/ is ours: report it. Otherwise, look at the compiler."
    )
    with steps.step("qemu-build", "Building QEMU, some minutes", advice) as step:

        def on_line(line: str) -> None:
            if match := re.match(r"\[(\d+)/(\d+)\] (.*)", line):
                detail = match[3].rpartition("/")[2]
                step.progress(int(match[1]) / int(match[2]), detail)

        executable = result / "bin" / "qemu-system-x86_64"
        executable.parent.mkdir()
        # Only what is needed, and gently: a machine where one simulates has other things to do.
        step.run(["nice", "ninja", executable.name], cwd=build, env=env, on_line=on_line)
        step.run(["strip", "-o", executable, build / executable.name])

        for name, (package, path) in _FIRMWARE.items():
            unpacked = work / package
            if not unpacked.exists():
                step.run(["dpkg-deb", "--extract", download / manifest.packages[package], unpacked])
            (result / "firmware").mkdir(exist_ok=True)
            shutil.copyfile(unpacked / path, result / "firmware" / name)

        if problem := check(executable):
            raise CommandError(problem)

    made = Manifest(version, manifest.packages, patches.digest(), _OPTIONS)
    (result / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(made)))


def _patch(step: Step, source: Path, patches: Patches, version: str) -> None:
    series = patches.series()
    for number, patch in enumerate(series):
        step.progress(number / len(series), patch.name)
        try:
            # A patch whose surroundings have changed needs a look by a human: no fuzz.
            step.run(
                ["patch", "--strip=1", "--forward", "--batch", "--fuzz=0", f"--input={patch}"],
                cwd=source,
            )
        except CommandError as error:
            message = f"{patch.name} does not apply to QEMU {version}"
            raise ToolchainError(
                message, "A newer ns3-qemu may have patches for this version."
            ) from error
    for file, path in patches.new_files():
        step.note(f"new file {path}")
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, source / path)


def check(executable: Path) -> str:
    """Say what is wrong with a QEMU, or nothing if it runs and has the sim-link object."""
    for arguments, wanted in (
        (["-version"], "QEMU emulator version"),
        (["-object", "help"], "sim-link"),
    ):
        try:
            answer = subprocess.run(
                [executable, *arguments], check=False, capture_output=True, text=True, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{executable} does not run: {error}"
        if answer.returncode != 0:
            last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
            return (
                f"{executable} {' '.join(arguments)} ends with status {answer.returncode}: {last}"
            )
        if wanted not in answer.stdout:
            return f"{executable} {' '.join(arguments)} does not mention {wanted}"
    return ""
