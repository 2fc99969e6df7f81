# SPDX-License-Identifier: GPL-2.0-only
"""Looks at every part that a simulation needs, and says what to do about those that are missing."""

import ctypes
import importlib
import importlib.util
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import archive, bindings, bundle, headers, image, kernel, toolchain
from .cache import Cache
from .errors import Ns3QemuError
from .image_spec import ImageSpec

# Tools of the machine: Debian package by program.
TOOLS = {"setpriv": "util-linux"}

# Where there is no apt, which checks signatures by itself.
_WITHOUT_APT = {"gpgv": "gpgv"}

# Tools and libraries (Debian package by name in pkg-config) that QEMU and this package are built
# with, where they have not come built.
BUILD_TOOLS = {
    "apt-get": "apt",
    "cmake": "cmake",
    "dpkg-source": "dpkg-dev",
    "g++": "g++",
    "make": "make",
    "musl-gcc": "musl-tools",
    "ninja": "ninja-build",
    "patch": "patch",
    "pkg-config": "pkg-config",
    "strip": "binutils",
}
LIBRARIES = {"glib-2.0": "libglib2.0-dev", "zlib": "zlib1g-dev"}

_SETUP = "ns3-qemu setup"
_INSTALL = "pip install --force-reinstall ns3-qemu (in a checkout: make demo)"


@dataclass(frozen=True)
class Finding:
    """What was seen of one part."""

    part: str
    ok: bool
    detail: str  # what is there, or what is wrong
    advice: str = ""  # what to do about it


def examine(cache: Cache, spec: ImageSpec) -> Iterator[Finding]:
    """Yield a finding for each part, from the machine up to the image."""
    built = bundle.QEMU.is_dir()
    tools = TOOLS if shutil.which("apt-get") else TOOLS | _WITHOUT_APT
    yield _tools(tools if built else tools | BUILD_TOOLS)
    if not built:
        yield _libraries()
    yield _keyring()
    yield _wheel()
    yield _extension()
    yield _module()
    yield _seen("relay", image.relay_path, _INSTALL)
    yield _qemu(cache)
    yield _seen(f"kernel {spec.kernel}", lambda: _or_none(kernel.find(cache, spec.kernel)), _SETUP)
    yield _seen("image", lambda: image.find(cache, spec), _SETUP)
    yield _seen("ns-3's headers", lambda: headers.find(cache), _SETUP)


def _or_none(found: kernel.Kernel | None) -> str | None:
    return found.name if found else None


def _seen(part: str, look: Callable[[], object | None], advice: str) -> Finding:
    """Return whether something was found, and what."""
    try:
        found = look()
    except Ns3QemuError as error:
        return Finding(part, False, error.message, error.advice or advice)
    if found is None:
        return Finding(part, False, "not there yet", advice)
    return Finding(part, True, str(found))


def _tools(wanted: Mapping[str, str]) -> Finding:
    missing = {tool: package for tool, package in wanted.items() if not shutil.which(tool)}
    if missing:
        return _install("tools", ", ".join(missing), missing.values())
    if "g++" not in wanted:
        return Finding("tools", True, ", ".join(wanted))
    version = subprocess.run(
        ["g++", "-dumpfullversion"], check=False, capture_output=True, text=True
    )
    return Finding("tools", True, f"g++ {version.stdout.strip()}, {len(wanted) - 1} more")


def _libraries() -> Finding:
    def there(name: str) -> bool:
        try:
            return subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0
        except FileNotFoundError:
            return False

    missing = {name: package for name, package in LIBRARIES.items() if not there(name)}
    if missing:
        return _install("libraries", ", ".join(missing), missing.values())
    return Finding("libraries", True, ", ".join(LIBRARIES))


def _install(part: str, missing: str, packages: object) -> Finding:
    names = " ".join(sorted(set(packages)))  # type: ignore[call-overload]
    return Finding(part, False, f"missing: {missing}", f"apt-get install {names}")


def _keyring() -> Finding:
    return _seen("Debian's keys", archive.keyring, "apt-get install debian-archive-keyring")


def _wheel() -> Finding:
    def look() -> str:
        bindings.require()
        return f"wheel {bindings.required_version()}"

    return _seen("ns-3", look, _INSTALL)


def _extension() -> Finding:
    part = "C++ extension"
    try:
        module = importlib.import_module("ns3_qemu._vm")
    except ImportError as error:
        return Finding(part, False, str(error), _INSTALL)
    return Finding(part, True, Path(module.__file__ or "").name)


def _module() -> Finding:
    part = "ns-3 module"
    library = Path(__file__).resolve().parent / "lib" / "libqemu-module.so"
    if not library.is_file():
        return Finding(part, False, f"missing: {library}", _INSTALL)
    try:
        # It finds ns-3's libraries by itself or not at all; ns-3's bindings take seconds to load.
        ctypes.CDLL(str(library))
    except OSError as error:
        return Finding(part, False, str(error), _INSTALL)
    return Finding(part, True, library.name)


def _qemu(cache: Cache) -> Finding:
    try:
        qemu = toolchain.find(cache)
    except Ns3QemuError as error:
        return Finding("QEMU", False, error.message, error.advice)
    if qemu is None:
        return Finding("QEMU", False, "not there yet", _SETUP)
    if problem := toolchain.check(qemu.executable):
        return Finding("QEMU", False, problem, f"rm -r {qemu.directory}; {_SETUP}")
    return Finding("QEMU", True, f"{qemu.manifest.version} in {qemu.directory}")
