# SPDX-License-Identifier: GPL-2.0-only
"""The end of a machine."""

from collections.abc import Callable

from ns3_qemu._vm import Vm


def test_a_machine_ends_in_order_when_it_is_told_to(boot: Callable[..., Vm]):
    vm = boot()
    vm.run_until(1_000_000_000)
    assert vm.exit == "is running"
    vm.end()
    # Not killed after a grace period.
    assert vm.exit == "exited with status 0"
