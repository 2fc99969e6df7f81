# SPDX-License-Identifier: GPL-2.0-only
"""A guest kernel's symbols as a file for gdb, from what the running kernel says of itself.

Debian's kernels come without symbols, and lie at addresses that are drawn at boot. Both are in the
guest's /proc/kallsyms, with those of its modules.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .copies import Copy
from .errors import VmError

__all__ = ["Symbol", "parse", "symbols", "write_elf"]

# Of elf(5).
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_EXEC, _X86_64 = 2, 62
_SYMTAB, _STRTAB, _NOBITS = 2, 3, 8
_WRITE, _ALLOC, _EXECINSTR = 1, 2, 4
_NOTYPE, _OBJECT, _FUNC = 0, 1, 2
_ABSOLUTE = 0xFFF1

_CODE = "tTwW"


@dataclass(frozen=True)
class Symbol:
    """A name in the kernel."""

    name: str
    address: int
    kind: str
    """As in nm(1): t or T for code, d or D, b or B, r or R for data, ..."""
    module: str
    """"" for the kernel itself."""


def parse(text: str) -> list[Symbol]:
    """Read /proc/kallsyms. Raises ValueError for what is none."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3:
            message = f"this is no line of /proc/kallsyms: {line!r}"
            raise ValueError(message)
        module = words[3].strip("[]") if len(words) > 3 else ""
        found.append(Symbol(words[2], int(words[0], 16), words[1], module))
    return found


def _sections(symbols: Iterable[Symbol]) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield what gdb is told of memory: name, flags, beginning and end."""
    found = list(symbols)
    kernel = {symbol.name: symbol.address for symbol in found if not symbol.module}
    begin, code, end = (kernel.get(name, 0) for name in ("_text", "_etext", "_end"))
    if 0 < begin < code < end:
        yield b".text", _ALLOC | _EXECINSTR, begin, code
        yield b".data", _ALLOC | _WRITE, code, end
    modules = [symbol.address for symbol in found if symbol.module and symbol.address]
    if modules:
        # gdb takes what is in no section for no code.
        yield b".modules", _ALLOC | _EXECINSTR, min(modules), max(modules) + 4096


def write_elf(symbols: Iterable[Symbol], path: Path) -> None:
    """Write a file that has symbols and no contents: gdb reads code and data from the machine."""
    found = list(symbols)
    sections = list(_sections(found))
    strings = bytearray(b"\0")
    table = bytearray(_SYMBOL.size)
    for symbol in found:
        index = _ABSOLUTE
        for number, (_, _, begin, end) in enumerate(sections, start=1):
            if begin <= symbol.address < end and symbol.kind not in "aA":
                index = number
        kind = _NOTYPE if index == _ABSOLUTE else _FUNC if symbol.kind in _CODE else _OBJECT
        # All are global: of several of one name gdb then takes one, and says so of a breakpoint.
        table += _SYMBOL.pack(len(strings), 1 << 4 | kind, 0, index, symbol.address, 0)
        strings += symbol.name.encode() + b"\0"
    names = b"\0" + b"".join(name + b"\0" for name, *_ in sections) + b".symtab\0.strtab\0.names\0"

    content = bytearray(_ELF_HEADER.size)
    headers = [_SECTION.pack(*[0] * 10)]
    for name, flags, begin, end in sections:
        headers.append(
            _SECTION.pack(names.index(name), _NOBITS, flags, begin, 0, end - begin, 0, 0, 16, 0)
        )
    strtab = len(headers) + 1
    for name, kind, data, link, info, size in (
        (b".symtab", _SYMTAB, bytes(table), strtab, 1, _SYMBOL.size),
        (b".strtab", _STRTAB, bytes(strings), 0, 0, 0),
        (b".names", _STRTAB, names, 0, 0, 0),
    ):
        content += bytes(-len(content) % 8)
        headers.append(
            _SECTION.pack(
                names.index(name), kind, 0, 0, len(content), len(data), link, info, 8, size
            )
        )
        content += data
    content += bytes(-len(content) % 8)
    header = _ELF_HEADER.pack(
        _IDENT, _EXEC, _X86_64, 1, 0, 0, len(content), 0, _ELF_HEADER.size, 0, 0,
        _SECTION.size, len(headers), len(headers) - 1,
    )  # fmt: skip
    content[: len(header)] = header
    path.write_bytes(content + b"".join(headers))


def symbols(machine: Any, path: str | Path, *, copy: Copy | None = None) -> Path:
    """Write the symbols of a running guest's kernel and modules into a file for gdb.

    They are read in a copy of the machine, so nothing changes: `copy`, if one is there already.

    Raises VmError if there can be no copy, or the kernel has no symbols (CONFIG_KALLSYMS).
    """
    path = Path(path)
    try:
        if copy is None:
            with Copy(machine) as own:
                text = own.read_file("/proc/kallsyms")
        else:
            text = copy.read_file("/proc/kallsyms")
    except OSError as error:
        message = f"VM '{machine.GetName()}': its kernel does not tell its symbols: {error}"
        raise VmError(message, "A kernel of your own needs CONFIG_KALLSYMS.") from error
    found = parse(text.decode())
    if not any(symbol.address for symbol in found):
        message = f"VM '{machine.GetName()}': its kernel hides its addresses"
        raise VmError(message, "Set its sysctl kernel.kptr_restrict to 0.")
    write_elf(found, path)
    return path
