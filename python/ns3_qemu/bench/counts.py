# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU has counted: instructions by block, look-ups of blocks, refills of the TLB.

The file is written by a machine's QEMU (`counts` of `Vm`; qemu-patches/src/include/exec/
tcg-counts.h) while the machine has a turn, and read in between.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from .. import kernel_symbols
from ..errors import Ns3QemuError

_FORMAT = 0x31746E756F436354
_HEADER = struct.Struct("<16Q")
#: address, executions, instructions
_BLOCK_WORDS = 3
#: user space ends below that
_KERNEL = 1 << 63

#: what programs of the guest execute, its relay among them, in place of a symbol of the kernel
PROGRAMS = "(programs)"
_UNKNOWN = "(unknown)"


class CountsError(Ns3QemuError):
    """There are no counts, or they are not whole."""


#: Those of Totals that may differ a little from one measurement to the next: QEMU chooses the size
#: of its TLB by the host's clock. A page of code that is not in the TLB has its jumps looked up.
UNSTEADY = ("asked", "missed", "slow", "fills")


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was done, but for instructions."""

    translated: int
    """Blocks of code."""
    jumps: int
    """Look-ups of the next block in translated code: returns, indirect and far-away jumps."""
    asked: int
    """Those that translated code could not answer and left to QEMU."""
    missed: int
    """Look-ups that the jump cache could not answer."""
    exits: int
    """From translated code to QEMU's loop."""
    interrupts: int
    """That the CPU has taken."""
    slow: int
    """Accesses to memory that translated code could not do by its TLB: to devices, across pages,
    or because an entry was missing."""
    fills: int
    """Walks through the guest's page tables for an entry of the TLB."""
    flushes: int
    """Of the jump cache."""

    def __sub__(self, other: Totals) -> Totals:
        names = self.__struct_fields__
        return Totals(**{name: getattr(self, name) - getattr(other, name) for name in names})


@dataclass(frozen=True)
class Counts:
    """All counts at a time."""

    totals: Totals
    blocks: Sequence[int]
    """For each block its address, its executions and its instructions."""

    def since(self, before: Counts) -> Iterable[tuple[int, int]]:
        """Yield the address of each block and how many instructions it has executed since then."""
        for at in range(0, len(self.blocks), _BLOCK_WORDS):
            address, executions, instructions = self.blocks[at : at + _BLOCK_WORDS]
            if at < len(before.blocks):
                executions -= before.blocks[at + 1]
            if executions:
                yield address, executions * instructions


def read(file: Path) -> Counts:
    """Read what has been counted. Raises CountsError."""
    data = file.read_bytes()
    advice = "Only a QEMU that is built from the same sources can be read."
    if len(data) < _HEADER.size:
        message = f"{file}: QEMU has counted nothing"
        raise CountsError(message, advice)
    form, blocks, lost, *totals = _HEADER.unpack_from(data)
    end = _HEADER.size + blocks * _BLOCK_WORDS * 8
    if form != _FORMAT or end > len(data):
        message = f"{file}: these are no counts, or in another format"
        raise CountsError(message, advice)
    if lost:
        message = f"{file}: the guest has more code than there is room for ({blocks:,} blocks)"
        raise CountsError(message, "Count over less.")
    names = Totals.__struct_fields__
    return Counts(
        Totals(**dict(zip(names, (blocks, *totals), strict=False))),
        array("Q", data[_HEADER.size : end]),
    )


def by_symbol(
    blocks: Iterable[tuple[int, int]], symbols: Iterable[kernel_symbols.Symbol]
) -> dict[str, int]:
    """Return how many instructions each of the kernel's symbols has executed, most first.

    `blocks`: addresses and instructions.
    """
    code = sorted((symbol.address, symbol.name) for symbol in symbols if symbol.kind in "tTwW")
    addresses = [address for address, _ in code]
    found: Counter[str] = Counter()
    for address, instructions in blocks:
        at = bisect.bisect_right(addresses, address) - 1
        if address < _KERNEL:
            found[PROGRAMS] += instructions
        else:
            found[code[at][1] if at >= 0 else _UNKNOWN] += instructions
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
