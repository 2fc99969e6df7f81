# SPDX-License-Identifier: GPL-2.0-only
"""Guest kernels: Debian's own, or one of the user's.

A kernel is named by

    debian:6.1                        the newest of a series that Debian has
    debian:sid                        what a suite has
    debian:6.1,flavour=amd64          not the kernel for virtual machines, but the usual one: it is
                                      larger and has drivers for real devices, such as e1000
    file:/path/bzImage                the user's own, everything built in
    file:/path/bzImage,modules=DIR    the same with modules: DIR is its /lib/modules/<release>
"""

import gzip
import hashlib
import io
import lzma
import re
import shutil
import struct
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec
from elftools.elf.elffile import ELFFile

from . import apt, archive
from .cache import Cache, read_manifest
from .errors import KernelError
from .steps import Steps

# The series that stable suites have; the newest one changes often, it is what sid has.
_SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
_NEWEST = "sid"

# The first is the one for virtual machines: smaller, quicker to boot, with virtio and little else.
_FLAVOURS = ("cloud-amd64", "amd64")

# Where what a bzImage says of its version ends at the latest.
_BANNER_END = 0x10000 + 0x300


class Manifest(msgspec.Struct, frozen=True):
    """What a Debian kernel in the cache is: its manifest.json."""

    suite: str
    series: str
    version: str  # Debian's
    release: str  # as uname -r says
    packages: dict[str, str]  # version by name
    sha256: str  # of the bzImage
    flavour: str = _FLAVOURS[0]


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be put into an image."""

    name: str  # for people
    release: str  # as uname -r says
    bzimage: Path
    sha256: str  # of the bzImage
    modules: Path | None  # directory with the modules; None: all that it has is built in


@dataclass(frozen=True)
class Module:
    """One module, with its file's name as it is to be in the guest."""

    name: str
    file: Path

    parameters: str = ""  # that it is to be loaded with

    def read(self) -> bytes:
        """Return the module itself, unpacked: old guests cannot do that, and it is quicker here.

        Raises KernelError if it cannot be unpacked.
        """
        packed = self.file.read_bytes()
        match self.file.suffix:
            case ".xz":
                return lzma.decompress(packed)
            case ".gz":
                return gzip.decompress(packed)
            case ".zst":
                return _unpack_zstd(self.file)
            case _:
                return packed


def _unpack_zstd(file: Path) -> bytes:
    try:
        done = subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"cannot unpack the module {file}: {error}"
        raise KernelError(message, "It needs the program zstd: apt-get install zstd") from error
    return done.stdout


def ensure(cache: Cache, steps: Steps, spec: str, *, refresh: bool = False) -> Kernel:
    """Return the kernel that `spec` names, and fetch it if it is not in the cache.

    `refresh`: look whether Debian has a newer one. Raises KernelError for what there is not.
    """
    kind, _, rest = spec.partition(":")
    if kind == "debian" and rest:
        return _debian(cache, steps, rest, refresh=refresh)
    if kind == "file" and rest:
        path, comma, option = rest.partition(",modules=")
        return of_file(Path(path), Path(option) if comma else None)
    message = f"not the name of a kernel: {spec!r}"
    raise KernelError(
        message,
        "Say debian:SERIES[,flavour=amd64] (debian:6.1) or file:/path/bzImage[,modules=DIR].",
    )


def check_name(spec: str) -> None:
    """Raise KernelError if no kernel can have this name; what Debian has is not looked up."""
    kind, _, rest = spec.partition(":")
    known = {*_SUITES, *_SUITES.values(), _NEWEST}
    wanted = _flavour(rest)[0] if kind == "debian" else ""
    series = re.fullmatch(r"(\d+)\.(\d+)", wanted)
    newer = series and (int(series[1]), int(series[2])) > max(_numbers(name) for name in _SUITES)
    if kind == "debian" and (wanted in known or newer):
        return
    path = Path(rest.partition(",modules=")[0])
    if kind == "file" and path.is_file():
        return
    if kind == "file" and rest:
        message = f"there is no file {path}"
    else:
        message = f"there is no kernel {spec!r}"
    choice = ", ".join(f"debian:{name}" for name in [*_SUITES, _NEWEST])
    raise KernelError(message, f"Say {choice}, or file:/path/bzImage[,modules=DIR].")


def _numbers(series: str) -> tuple[int, ...]:
    return tuple(int(number) for number in series.split("."))


def find(cache: Cache, spec: str) -> Kernel | None:
    """Return a kernel if nothing has to be fetched for it."""
    kind, _, rest = spec.partition(":")
    if kind != "debian":
        return ensure(cache, Steps(cache.logs), spec)
    return _cached(cache, rest)


# --- Debian's -------------------------------------------------------------------------------------


def _flavour(rest: str) -> tuple[str, str]:
    """Return series or suite, and flavour, of what follows "debian:". Raises KernelError."""
    wanted, comma, option = rest.partition(",")
    flavour = option.removeprefix("flavour=") if comma else _FLAVOURS[0]
    if flavour not in _FLAVOURS or (comma and flavour == option):
        message = f"there is no kernel 'debian:{rest}'"
        choice = " and ".join(f"debian:{wanted},flavour={name}" for name in _FLAVOURS)
        raise KernelError(message, f"There are {choice}; without a flavour it is the first.")
    return wanted, flavour


def _cached(cache: Cache, rest: str) -> Kernel | None:
    wanted, flavour = _flavour(rest)
    kernels = {}
    for file in cache.kernels.glob("*/manifest.json"):
        manifest = read_manifest(file.parent, Manifest)
        if wanted in (manifest.series, manifest.suite) and flavour == manifest.flavour:
            kernels[manifest.version] = _of_directory(file.parent, manifest)
    return kernels[apt.newest(kernels)] if kernels else None


def _of_directory(directory: Path, manifest: Manifest) -> Kernel:
    return Kernel(
        f"Debian {manifest.version} ({manifest.release})",
        manifest.release,
        directory / "bzImage",
        manifest.sha256,
        directory / "modules",
    )


def _debian(cache: Cache, steps: Steps, rest: str, *, refresh: bool) -> Kernel:
    kernel = None if refresh else _cached(cache, rest)
    if kernel is None:
        kernel = _fetch(cache, steps, *_flavour(rest))
    steps.ready(f"Kernel debian:{rest}", kernel.name)
    return kernel


def _series(version: str) -> str:
    """Return 6.1 of 6.1.176-1."""
    return ".".join(version.split("-")[0].split(".")[:2])


def _fetch(cache: Cache, steps: Steps, wanted: str, flavour: str) -> Kernel:
    name = _SUITES.get(wanted, wanted if wanted in {*_SUITES.values(), _NEWEST} else _NEWEST)
    suite = archive.packages(cache, steps, name)
    package = f"linux-image-{flavour}"
    images = suite.binary_versions(package)
    if not images:
        message = f"Debian {name} has no package {package}"
        raise KernelError(message, "Is the mirror complete? Try another kernel: debian:6.1")
    version = apt.newest(images)
    series = _series(version)
    if wanted not in (series, name):
        there = ", ".join(f"debian:{known}" for known in [*_SUITES, series])
        message = f"there is no kernel debian:{wanted}"
        raise KernelError(message, f"There are {there} (Debian {name} has {version} now).")

    # What is in one package up to 6.x is in several later on: all that carry the release in their
    # names.
    image, release = _only(images[version], r"linux-image-(\d\S+)", f"{package} {version}")
    names = [image]
    depends = next(iter(suite.binary_versions(image).values()), {}).get("depends", "")
    names += re.findall(rf"linux-\w+-{re.escape(release)}(?=[ ,]|$)", depends)

    def build(result: Path, work: Path) -> None:
        title = f"Fetching the kernel {version} from Debian {name}"
        with steps.step("kernel", title, "Check the network, then start again.") as step:
            packages = dict.fromkeys(names, version)
            root = work / "root"
            for file in suite.download(step, packages, work).values():
                archive.extract(step, file, root)
            _lay_out(root, release, result)
            digest = hashlib.sha256((result / "bzImage").read_bytes()).hexdigest()
            manifest = Manifest(name, series, version, release, packages, digest, flavour)
            (result / "manifest.json").write_bytes(
                msgspec.json.format(msgspec.json.encode(manifest))
            )

    directory = cache.kernels / (version if flavour == _FLAVOURS[0] else f"{version}-{flavour}")
    cache.produce(directory, build, steps.waiting(f"Kernel {version}"))
    manifest = read_manifest(directory, Manifest)
    return _of_directory(directory, manifest)


def _only(fields: dict[str, str], pattern: str, package: str) -> tuple[str, str]:
    """Return the dependency that matches, and what its group is."""
    match = re.search(pattern, fields.get("depends", ""))
    if not match:
        message = f"cannot tell which package holds the kernel of {package}"
        raise KernelError(
            message, "Its dependencies look different from what is known; please report it."
        )
    return match[0], match[1]


def _lay_out(root: Path, release: str, result: Path) -> None:
    """Move what is needed out of the unpacked packages, whichever way they have it."""
    modules = next(
        (
            directory
            for top in ("lib", "usr/lib")
            if (directory := root / top / "modules" / release).is_dir()
        ),
        None,
    )
    places = {
        "bzImage": [root / "boot" / f"vmlinuz-{release}", modules and modules / "vmlinuz"],
        "config": [root / "boot" / f"config-{release}", modules and modules / "config"],
    }
    for name, candidates in places.items():
        file = next((file for file in candidates if file and file.is_file()), None)
        if file is None:
            message = f"the packages of {release} do not hold its {name} where it is known to be"
            raise KernelError(message)
        file.rename(result / name)
    if modules is None:
        message = f"the packages of {release} hold no modules"
        raise KernelError(message)
    shutil.move(modules, result / "modules")


# --- the user's -----------------------------------------------------------------------------------


def of_file(bzimage: Path, modules: Path | None = None) -> Kernel:
    """Return a kernel of the user's own. Raises KernelError if it is none."""
    bzimage = bzimage.expanduser().absolute()
    try:
        data = bzimage.read_bytes()
    except OSError as error:
        message = f"cannot read the kernel {bzimage}: {error.strerror}"
        advice = "Give debian:SERIES or the path of a bzImage (vmlinuz)."
        raise KernelError(message, advice) from error
    release = _release(data)
    if release is None:
        message = f"{bzimage} is not a bzImage"
        advice = (
            "Give the file arch/x86/boot/bzImage of a kernel build, or a distribution's vmlinuz."
        )
        raise KernelError(message, advice)
    if modules is not None:
        modules = modules.expanduser().absolute()
        if not modules.is_dir():
            message = f"there is no directory {modules}"
            raise KernelError(message, "Give the kernel's /lib/modules/<release>.")
    digest = hashlib.sha256(data).hexdigest()
    return Kernel(f"{bzimage.name} ({release})", release, bzimage, digest, modules)


def banner(bzimage: Path) -> str:
    """Return what a kernel says of its version: release, who made it and when."""
    with bzimage.open("rb") as file:
        return _banner(file.read(_BANNER_END)) or ""


def _banner(data: bytes) -> str | None:
    """Return what the header of a bzImage says of its version; None if it is none.

    The x86 boot protocol: a signature at 0x202, at 0x20e where the version is, less 0x200.
    """
    if len(data) < 0x210 or data[0x202:0x206] != b"HdrS":
        return None
    (offset,) = struct.unpack_from("<H", data, 0x20E)
    return data[offset + 0x200 : offset + 0x300].partition(b"\0")[0].decode(errors="replace")


def _release(data: bytes) -> str | None:
    """Return what uname -r will say; None if this is no bzImage."""
    text = _banner(data)
    return text if text is None else text.split(" ")[0] or "unknown"


# --- modules --------------------------------------------------------------------------------------


def modules(kernel: Kernel, wanted: list[str]) -> list[Module]:
    """Return the wanted modules and what they depend on, in the order in which they must be loaded.

    Each is wanted by its name or, with parameters, as "bonding max_bonds=0". What is built in is
    left out. Raises KernelError if the kernel neither has a module nor has it built in, and for
    parameters of what is built in.
    """
    if kernel.modules is None:
        for line in wanted:
            _refuse_parameters(kernel, line)
        return []
    there = files(kernel.modules)
    builtin = builtins(kernel.modules)
    parameters = {normal(name): rest for name, _, rest in (line.partition(" ") for line in wanted)}

    ordered: dict[str, Module] = {}
    under_way: list[str] = []

    def add(name: str) -> None:
        # Without the list of built-in modules, what is not a module can only be built in.
        if name in ordered or (name not in there and (builtin is None or name in builtin)):
            return
        if name not in there:
            message = f"the kernel {kernel.name} has no {name}, neither as a module nor built in"
            advice = "Choose another kernel or do without, or build the kernel with it."
            raise KernelError(message, advice)
        if name in under_way:
            message = f"modules of {kernel.name} depend on each other: {', '.join(under_way)}"
            raise KernelError(message)
        under_way.append(name)
        module = Module(name, there[name], parameters.get(name, "").strip())
        for needed in depends(module.read()):
            add(normal(needed))
        under_way.pop()
        ordered[name] = module

    for line in wanted:
        name = normal(line.partition(" ")[0])
        add(name)
        if name not in ordered:
            _refuse_parameters(kernel, line)
    return list(ordered.values())


def _refuse_parameters(kernel: Kernel, wanted: str) -> None:
    name, _, parameters = wanted.partition(" ")
    if words := parameters.split():
        message = f"{name} is built into the kernel {kernel.name}, which takes no parameters later"
        given = ", ".join(f'"{name}.{word}"' for word in words)
        raise KernelError(message, f"They go on its command line: cmdline_extra=[{given}].")


def files(directory: Path) -> dict[str, Path]:
    """Return the modules in a directory by their names."""
    return {
        normal(file.name.partition(".ko")[0]): file
        for file in sorted(directory.rglob("*.ko*"))
        if re.search(r"\.ko(\.(xz|gz|zst))?$", file.name)
    }


def builtins(directory: Path) -> set[str] | None:
    """Return the names of what is built in; None if the kernel's build does not say it."""
    listed = directory / "modules.builtin"
    if not listed.exists():
        return None
    return {normal(Path(line).stem) for line in listed.read_text().split()}


def normal(name: str) -> str:
    """Return a module's name as the kernel says it; file names may have hyphens."""
    return name.replace("-", "_")


def modinfo(module: bytes) -> dict[str, list[str]]:
    """Return what a module says of itself in its section .modinfo: values by their names."""
    said: dict[str, list[str]] = defaultdict(list)
    section = ELFFile(io.BytesIO(module)).get_section_by_name(".modinfo")
    for entry in section.data().split(b"\0") if section else []:
        name, equals, value = entry.partition(b"=")
        if equals:
            said[name.decode(errors="replace")].append(value.decode(errors="replace"))
    return said


def depends(module: bytes) -> list[str]:
    """Return the names of the modules that a module needs."""
    return [name for line in modinfo(module)["depends"] for name in line.split(",") if name]
