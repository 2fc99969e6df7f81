# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel was built with: its configuration, from the kernel itself or from a file.

A kernel that was built with CONFIG_IKCONFIG carries its configuration, packed, in its own packed
image (kernel/configs.c). All others have it in a file: `.config` of the build, `config-RELEASE`
beside a distribution's `vmlinuz-RELEASE`.
"""

import bz2
import gzip
import lzma
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import KernelError

# Where a kernel's own configuration is in it, packed by gzip (kernel/configs.c).
_BEGIN, _END = b"IKCFG_ST", b"IKCFG_ED"

# The x86 boot protocol: sectors of the setup, version, place and length of the packed kernel.
_SETUP_SECTS, _VERSION, _PAYLOAD = 0x1F1, 0x206, 0x248
_SECTOR = 512
_WITH_PAYLOAD = 0x208  # from Linux 2.6.26 on

# What no configuration is larger than, so that a file of another kind is no riddle.
_MOST = 8 << 20

_LINE = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)
_NOT_SET = re.compile(r"^# CONFIG_\w+ is not set$", re.MULTILINE)
_HEADER = re.compile(r"^# (?:Linux/\S+|Linux kernel version:) (\d+\.\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Config:
    """The options of a kernel."""

    source: str  # where it was found, for people
    version: str  # of the kernel that it is for, as its header has it; "" if it does not say
    options: Mapping[str, str]  # without CONFIG_; "y", "m", a number, or a text without quotes

    def get(self, option: str) -> str:
        """Return an option's value, "n" if it is not set."""
        return self.options.get(option, "n")


def of_text(text: str, source: str) -> Config:
    """Return the configuration that a text is. Raises KernelError if it is none."""
    options = {name: value.strip('"') for name, value in _LINE.findall(text)}
    if not options or not (_NOT_SET.search(text) or _HEADER.search(text)):
        message = f"{source} is no kernel configuration"
        raise KernelError(message, "Give the .config of the kernel's build, or its config-RELEASE.")
    header = _HEADER.search(text)
    return Config(source, header[1] if header else "", options)


def of_file(path: Path) -> Config:
    """Return the configuration in a file, which gzip may have packed (/proc/config.gz)."""
    try:
        data = path.expanduser().read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        message = f"cannot read the configuration {path}: {error}"
        raise KernelError(message, "Give the .config of the kernel's build.") from error
    return of_text(data[:_MOST].decode(errors="replace"), str(path))


def find(bzimage: Path, release: str) -> Config:
    """Return a kernel's configuration: its own, or that of the file that belongs to it.

    Raises KernelError if there is neither.
    """
    text, why = _own(bzimage.read_bytes())
    if text is not None:
        return of_text(text, f"{bzimage} (IKCONFIG)")
    for file in _beside(bzimage, release):
        if file.is_file():
            return of_file(file)
    message = f"{bzimage} {why}, and there is no configuration beside it"
    raise KernelError(message, "Give it: --config FILE, the .config of the kernel's build.")


def _beside(bzimage: Path, release: str) -> list[Path]:
    """Return where a kernel's configuration is looked for."""
    files = [bzimage.parent / name for name in (f"config-{release}", "config", ".config")]
    if bzimage.parts[-4:-2] == ("arch", "x86") and bzimage.parent.name == "boot":
        files.append(bzimage.parents[3] / ".config")
    return files


def _own(bzimage: bytes) -> tuple[str | None, str]:
    """Return the configuration in a bzImage; if there is none, why."""
    payload = _payload(bzimage)
    name, unpack = next(
        ((name, unpack) for magic, name, unpack in _PACKERS if payload.startswith(magic)),
        ("", None),
    )
    if unpack is None:
        return None, "holds a kernel that is packed in an unknown way"
    data = unpack(payload)
    if data is None:
        return None, f"cannot be unpacked here without the program {name}"
    begin = data.find(_BEGIN)
    end = data.find(_END, begin)
    if begin < 0 or end < 0:
        return None, "does not carry its configuration (CONFIG_IKCONFIG)"
    try:
        packed = data[begin + len(_BEGIN) : end]
        return zlib.decompressobj(wbits=31).decompress(packed, _MOST).decode(), ""
    except (zlib.error, UnicodeDecodeError):
        return None, "carries a configuration that cannot be read"


def _payload(bzimage: bytes) -> bytes:
    """Return the packed kernel in a bzImage."""
    if len(bzimage) < _PAYLOAD + 8:
        return b""
    (version,) = struct.unpack_from("<H", bzimage, _VERSION)
    if version < _WITH_PAYLOAD:
        # Where it begins is not said; gzip was the only packer.
        begin = bzimage.find(b"\x1f\x8b\x08\0")
        return bzimage[begin:] if begin >= 0 else b""
    offset, length = struct.unpack_from("<II", bzimage, _PAYLOAD)
    # No sectors stand for four, as on the oldest kernels.
    begin = ((bzimage[_SETUP_SECTS] or 4) + 1) * _SECTOR + offset
    return bzimage[begin : begin + length]


# --- unpacking; behind the packed kernel there may be its size, which is left alone ---------------


def _with(new: Callable[[], object]) -> Callable[[bytes], bytes | None]:
    def unpack(data: bytes) -> bytes | None:
        try:
            return new().decompress(data)  # type: ignore[attr-defined,no-any-return]
        except (zlib.error, lzma.LZMAError, OSError, EOFError):
            return b""

    return unpack


def _by_program(name: str) -> Callable[[bytes], bytes | None]:
    def unpack(data: bytes) -> bytes | None:
        if shutil.which(name) is None:
            return None
        # It says that there is something behind the end.
        command = [name, "--decompress", "--stdout"]
        return subprocess.run(command, check=False, input=data, capture_output=True).stdout

    return unpack


_PACKERS: tuple[tuple[bytes, str, Callable[[bytes], bytes | None]], ...] = (
    (b"\x1f\x8b", "gzip", _with(lambda: zlib.decompressobj(wbits=31))),
    (b"BZh", "bzip2", _with(bz2.BZ2Decompressor)),
    (b"\xfd7zXZ\0", "xz", _with(lzma.LZMADecompressor)),
    (b"\x5d\0\0", "lzma", _with(lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE))),
    (b"\x28\xb5\x2f\xfd", "zstd", _by_program("zstd")),
    (b"\x02\x21\x4c\x18", "lz4", _by_program("lz4")),
    (b"\x89LZO\0", "lzop", _by_program("lzop")),
)
