# SPDX-License-Identifier: GPL-2.0-only
"""A machine of a simulation whose relay is on a UART."""

from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

# Of a file that takes several replies, and more bytes than the guest may read its clock in a turn.
LENGTH = 150_000

SCRIPT = f"""
nodes, devices = point_to_point()
vm = machine(helper(), nodes.Get(0), devices.Get(0), CLIENT)
data = "".join(chr(32 + i % 91) for i in range({LENGTH}))


def compare():
    before = vm.GetUptime().GetNanoSeconds()
    vm.WriteFile("/tmp/data", data)
    RESULT["same"] = str(vm.ReadFile("/tmp/data")) == data
    RESULT["took"] = vm.GetUptime().GetNanoSeconds() - before


ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()
compare()
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    wanted = image.Image(relay="uart").build()
    ended = run_script(SCRIPT, wanted, tmp_path_factory.mktemp("simulation"))
    assert ended.status == 0, ended.errors
    return ended.result


def test_a_uart_relays_long_replies_are_whole_and_take_no_time(result: dict[str, Any]):
    assert result == {"same": True, "took": 0}
