# SPDX-License-Identifier: GPL-2.0-only
"""What a turn takes, counted: held against regressions, because it depends on no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ns3_qemu.bench import cases, counts, loads
from ns3_qemu.bench.instructions import Profile
from vm_tools import SECOND

TURNS = 500


def echo(kind: str) -> Profile:
    answer = cases.call("instructions.echo", {"kind": kind, "count": TURNS})
    return msgspec.convert(answer, Profile)


@pytest.fixture(scope="module")
def icmp() -> Profile:
    return echo("icmp")


@pytest.fixture(scope="module")
def profiles(icmp: Profile) -> dict[str, Profile]:
    sender, receiver = msgspec.convert(
        cases.call("instructions.tcp", {"count": TURNS}), list[Profile]
    )
    return {"icmp": icmp, "udp": echo("udp"), "sender": sender, "receiver": receiver}


def test_counts_are_the_same_each_time(icmp: Profile):
    assert echo("icmp") == icmp


@pytest.mark.parametrize("name", ["icmp", "udp", "sender", "receiver"])
def test_all_instructions_are_found_in_blocks(profiles: dict[str, Profile], name: str):
    profile = profiles[name]
    found = sum(profile.symbols.values())
    # A block that is left in its midst, by a page fault or for a device, is counted as a whole.
    assert found == pytest.approx(profile.instructions, rel=0.01)
    assert "(unknown)" not in profile.symbols


# Instructions, look-ups of a block, and walks through page tables for one turn, with some room: a
# Linux 6.1 of Debian may change a little.
@pytest.mark.parametrize(
    ("name", "executed", "jumps", "fills"),
    [
        ("icmp", 8_500, 600, 2),
        ("udp", 17_000, 1_200, 6),
        ("sender", 22_000, 1_600, 8),
        ("receiver", 22_000, 1_600, 8),
    ],
)
def test_a_turn_takes_no_more_than_it_did(
    profiles: dict[str, Profile], name: str, executed: float, jumps: float, fills: float
):
    profile = profiles[name]
    assert 1_000 < profile.per_turn("instructions") < executed
    assert 100 < profile.per_turn("jumps") < jumps
    assert profile.per_turn("fills") < fills
    # Nearly all of them are answered in translated code.
    assert profile.totals.asked < 0.03 * profile.totals.jumps
    assert profile.totals.missed <= profile.totals.asked + profile.totals.exits


def test_the_kernels_functions_are_known_by_name(profiles: dict[str, Profile]):
    assert profiles["icmp"].symbols["icmp_rcv"] >= TURNS
    assert counts.PROGRAMS not in profiles["icmp"].symbols
    assert profiles["udp"].symbols[counts.PROGRAMS] > TURNS
    assert profiles["sender"].symbols["tcp_ack"] > TURNS / 10
    assert profiles["receiver"].symbols["tcp_rcv_established"] > TURNS / 10


def test_blocks_are_divided_among_symbols():
    symbols = counts.kernel_symbols.parse(
        "ffffffff81000000 T first\nffffffff81000100 t second\nffffffff81000180 d data\n"
    )
    blocks = [(0xFFFFFFFF810000FF, 3), (0xFFFFFFFF81000100, 5), (0x400000, 7), (1 << 63, 2)]
    assert counts.by_symbol(blocks, symbols) == {
        "(programs)": 7,
        "second": 5,
        "first": 3,
        "(unknown)": 2,
    }


@pytest.mark.parametrize("data", [b"", bytes(127), bytes(200)])
def test_what_are_no_counts_is_refused(tmp_path: Path, data: bytes):
    file = tmp_path / "counts"
    file.write_bytes(data)
    with pytest.raises(counts.CountsError, match="counts"):
        counts.read(file)


def test_counting_changes_nothing(tmp_path: Path):
    """A machine that is counted does the same at the same instruction."""

    def instructions_of(*, counted: bool) -> tuple[int, Any]:
        from ns3_qemu._vm import Vm

        directory = loads.wanted_image().build()
        vm = Vm(
            counts.machine(directory) if counted else loads.machine(directory),
            nics=["02:00:00:00:00:01"],
            snapshots=str(directory / "snapshots"),
            sandbox=not counted,
        )
        try:
            if counted:
                counts.start(vm, tmp_path)
            vm.finish_boot()
            begin = vm.instructions
            vm.relay.set_link(0, up=True)
            vm.run_until(3 * SECOND)
            return vm.instructions - begin, vm.take_frames()
        finally:
            vm.end()

    assert instructions_of(counted=True) == instructions_of(counted=False)
