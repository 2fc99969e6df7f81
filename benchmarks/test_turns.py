# SPDX-License-Identifier: GPL-2.0-only
"""What a turn costs, for who works on it: `.venv/bin/python -m pytest benchmarks`.

The figures are those of `ns3-qemu bench --only turns`, on whatever CPUs this process may use. With
--benchmark-autosave and --benchmark-compare they are compared with those of another day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from ns3_qemu._vm import Vm
from ns3_qemu.bench import turns

#: turns in a round; a round's time is that of all of them
TURNS = 1_000


@pytest.fixture(scope="module")
def vm() -> Iterator[Vm]:
    with turns.machine() as machine:
        yield machine


@pytest.mark.parametrize("kind", get_args(turns.Kind))
def test_a_thousand_turns(benchmark: Any, vm: Vm, kind: turns.Kind) -> None:
    benchmark.pedantic(turns.take_turns, args=(vm, kind, TURNS), rounds=10, warmup_rounds=2)
    benchmark.extra_info["turns"] = TURNS


def test_an_idle_second(benchmark: Any, vm: Vm) -> None:
    def second() -> None:
        vm.run_until(vm.time + 1_000_000_000)

    benchmark.pedantic(second, rounds=200, warmup_rounds=10)
