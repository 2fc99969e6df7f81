# SPDX-License-Identifier: GPL-2.0-only
"""What a turn takes, counted: held against regressions, because it depends on no host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ns3_qemu._vm import Vm
from ns3_qemu.bench import counts, instructions, loads
from ns3_qemu.bench.counts import UNSTEADY
from ns3_qemu.bench.instructions import Profile
from ns3_qemu.errors import VmError
from vm_tools import SECOND

TURNS = 1_000

REFERENCE = Path(__file__).parent / "data" / "instructions.json"

#: of the instructions by which a turn may grow, on the reference's kernel and on another
SAME_KERNEL, OTHER_KERNEL = 0.02, 0.1


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kernel: str
    instructions: dict[str, float]


def measure() -> dict[str, Profile]:
    return instructions.measure(count=TURNS, simulated_s=100)


@pytest.fixture(scope="module")
def profiles() -> dict[str, Profile]:
    return measure()


NAMES = instructions.NAMES


def steady(profiles: dict[str, Profile]) -> dict[str, Profile]:
    """Leave out the counts that hang on the size of QEMU's TLB, which it chooses by the host's
    clock."""
    none = dict.fromkeys(UNSTEADY, 0)
    return {
        name: msgspec.structs.replace(
            profile, totals=msgspec.structs.replace(profile.totals, **none)
        )
        for name, profile in profiles.items()
    }


def test_counts_are_the_same_each_time(profiles: dict[str, Profile]):
    assert steady(measure()) == steady(profiles)


@pytest.mark.parametrize("name", NAMES)
def test_a_turn_takes_no_more_than_it_did(profiles: dict[str, Profile], name: str):
    reference = msgspec.json.decode(REFERENCE.read_bytes(), type=Reference)
    profile = profiles[name]
    now, then = profile.of_each("instructions"), reference.instructions[name]
    same = profile.kernel == reference.kernel
    room = SAME_KERNEL if same else OTHER_KERNEL
    kernel = "" if same else f" (of {profile.kernel}; they were of {reference.kernel})"
    advice = (
        "Compare `ns3-qemu bench --only instructions` with that of the commit before: the tables "
        f"say in which function. If it must be so, say why in the commit, and set "
        f'"{name}": {now:.1f} in {REFERENCE.name}'
    )
    # Also not much fewer: what has become quicker is to stay so.
    assert then * (1 - room) <= now <= then * (1 + room), (
        f"{name}: {now:,.1f} instructions{kernel}, and not {then:,.1f}. {advice}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_all_instructions_are_found_in_blocks(profiles: dict[str, Profile], name: str):
    profile = profiles[name]
    found = sum(profile.symbols.values())
    # A block that is left in its midst, by a page fault or for a device, is counted as a whole.
    assert found == pytest.approx(profile.instructions, rel=0.01)
    assert "(unknown)" not in profile.symbols


def test_the_kernels_functions_are_known_by_name(profiles: dict[str, Profile]):
    assert profiles["ICMP echo"].symbols["icmp_rcv"] >= TURNS
    assert counts.PROGRAMS not in profiles["ICMP echo"].symbols
    assert profiles["UDP echo by a program"].symbols[counts.PROGRAMS] > TURNS
    sender, receiver = (profiles[name].symbols for name in instructions.TCP)
    assert sender["tcp_ack"] > TURNS / 10
    assert receiver["tcp_rcv_established"] > TURNS / 10


def test_what_tcg_does_is_counted(profiles: dict[str, Profile]):
    icmp = profiles["ICMP echo"]
    # The frame's, and now and then the timer's.
    assert TURNS <= icmp.totals.interrupts <= icmp.totals.exits
    # Nearly all look-ups are answered in translated code.
    assert icmp.totals.jumps > 100 * TURNS
    assert icmp.totals.asked < 0.04 * icmp.totals.jumps
    assert icmp.turns == TURNS
    # A machine that is warm translates nothing.
    assert icmp.totals.translated < 100


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


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Vm, Path]]:
    directory = loads.wanted_image().build()
    file = tmp_path_factory.mktemp("counts") / "counts"

    def life(*, counted: bool, **configuration: Any) -> tuple[Vm, Path]:
        vm = Vm(
            loads.machine(directory),
            nics=["02:00:00:00:00:01"],
            snapshots=str(directory / "snapshots"),
            counts=str(file) if counted else "",
            **configuration,
        )
        vm.finish_boot()
        return vm, file

    return life


def test_counting_changes_nothing(life: Callable[..., tuple[Vm, Path]]):
    """A machine that is counted does the same at the same instruction."""

    def instructions_of(*, counted: bool) -> tuple[int, Any]:
        vm, _ = life(counted=counted)
        try:
            begin = vm.instructions
            vm.relay.set_link(0, up=True)
            vm.run_until(3 * SECOND)
            return vm.instructions - begin, vm.take_frames()
        finally:
            vm.end()

    assert instructions_of(counted=True) == instructions_of(counted=False)


def test_who_counts_is_in_the_sandbox_and_has_no_copies(life: Callable[..., tuple[Vm, Path]]):
    vm, file = life(counted=True, copies=True)
    try:
        status = Path(f"/proc/{vm.pid}/status").read_text()
        assert "Seccomp:\t2" in status
        # Nothing but the memory is left of the file.
        links = [str(link.readlink()) for link in Path(f"/proc/{vm.pid}/fd").iterdir()]
        assert str(file) not in links
        with pytest.raises(VmError, match="is counted"):
            vm.copy(vm.time)
    finally:
        vm.end()


def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path):
    directory = loads.wanted_image().build()
    vm = Vm(loads.machine(directory), counts=str(tmp_path / "none" / "counts"))
    with pytest.raises(VmError, match=r"cannot open .*none/counts: No such file"):
        vm.finish_boot()
