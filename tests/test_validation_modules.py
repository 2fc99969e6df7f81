# SPDX-License-Identifier: GPL-2.0-only
"""Congestion controls that Debian's kernels have as modules."""

import pytest

from ns3_qemu import kernel
from ns3_qemu.errors import KernelError
from ns3_qemu.scenario import Tcp


@pytest.mark.parametrize("name", ["cubic", "bbr", "vegas", "dctcp"])
def test_a_congestion_control_is_a_module_or_built_in(debian_kernel, name):
    modules = kernel.modules(debian_kernel, list(Tcp(congestion_control=name).modules))
    assert [m.name for m in modules] == ([] if name == "cubic" else [f"tcp_{name}"])


def test_reno_needs_no_module():
    assert Tcp().modules == ()


def test_what_a_kernel_does_not_have_is_an_error(debian_kernel):
    with pytest.raises(KernelError, match="has no tcp_quick, neither as a module nor built in"):
        kernel.modules(debian_kernel, list(Tcp(congestion_control="quick").modules))
