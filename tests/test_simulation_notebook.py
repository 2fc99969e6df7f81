# SPDX-License-Identifier: GPL-2.0-only
"""A notebook holds simulations one after the other, and survives what goes wrong in one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

PATIENCE = 100  # s of wall time

CELLS = [
    """
import ns3_qemu
ns = ns3_qemu.load()

def simulate(seconds):
    nodes = ns.NodeContainer(2)
    devices = ns.PointToPointHelper().Install(nodes)
    ns3_qemu.QemuHelper(directory=IMAGE).Install(nodes)
    network = ns.Ipv4AddressHelper(ns.Ipv4Address("10.0.0.0"), ns.Ipv4Mask("255.255.255.0"))
    ping = ns.PingHelper(network.Assign(devices).GetAddress(1).ConvertTo())
    ping.SetAttribute("Count", ns.UintegerValue(1))
    ping.Install(nodes.Get(0)).Start(ns.Seconds(0.1))
    ns.Simulator.Stop(ns.Seconds(seconds))
    ns3_qemu.Run()
    return ns.Simulator.Now().GetSeconds()
""",
    "simulate(1)",
    "ns.Simulator.Destroy()\nns3_qemu.at(0.2, lambda: 1 / 0)\nsimulate(1)",
    """
ns.Simulator.Destroy()
import os, signal
ns3_qemu.at(0.2, os.kill, os.getpid(), signal.SIGINT)
simulate(10)
""",
    "ns.Simulator.Destroy()\nsimulate(2)",
]


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    # ipykernel leaves alone what C++ prints if it believes to be tested.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def outcomes(kernel: BlockingKernelClient, vm_image: Path) -> list[str]:
    """Return what each cell came to: its value, or the name of the error that ended it."""

    def outcome(cell: str) -> str:
        code = cell.replace("IMAGE", repr(str(vm_image)))
        reply: dict[str, Any] = kernel.execute(
            code,
            user_expressions={"value": "_"},
            stop_on_error=False,  # or the cell after one that fails is perhaps aborted
            reply=True,
            timeout=PATIENCE,
        )["content"]
        if reply["status"] == "error":
            return str(reply["ename"])
        return str(reply["user_expressions"]["value"].get("data", {}).get("text/plain"))

    return [outcome(cell) for cell in CELLS]


@pytest.mark.usefixtures("outcomes")
def test_the_notebook_shows_what_the_simulation_prints(kernel: BlockingKernelClient):
    """What C++ writes is there, too: ns-3's Ping. It comes when it comes, by another thread."""
    shown = ""
    while "1 packets transmitted, 1 received" not in shown:
        message = kernel.get_iopub_msg(timeout=PATIENCE)
        shown += message["content"].get("text", "")


def test_a_cell_has_the_simulation_s_result(outcomes: list[str]):
    assert outcomes[1] == "1.0"


def test_an_exception_in_a_callback_ends_the_cell(outcomes: list[str]):
    assert outcomes[2] == "ZeroDivisionError"


def test_an_interrupt_ends_the_cell(outcomes: list[str]):
    assert outcomes[3] == "KeyboardInterrupt"


def test_the_next_cell_simulates_as_if_nothing_had_been(outcomes: list[str]):
    assert outcomes[4] == "2.0"
