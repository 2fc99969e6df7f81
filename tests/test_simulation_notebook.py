# SPDX-License-Identifier: GPL-2.0-only
"""A notebook holds simulations one after the other, and survives what goes wrong in one."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

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
    print("ran for", ns.Simulator.Now().GetSeconds(), "s")
""",
    "simulate(1)\nns.Simulator.Destroy()",
    "ns3_qemu.at(0.2, lambda: 1 / 0)\nsimulate(1)",
    """
ns.Simulator.Destroy()
import os, signal
ns3_qemu.at(0.2, os.kill, os.getpid(), signal.SIGINT)
simulate(10)
""",
    "ns.Simulator.Destroy()\nsimulate(2)\nns.Simulator.Destroy()",
]


@pytest.fixture(scope="module")
def outputs(vm_image: Path) -> list[str]:
    """Return what stands under each cell: text, or the name of the error that ended it."""
    cells = [cell.replace("IMAGE", repr(str(vm_image))) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = NotebookClient(notebook, timeout=100, kernel_name="python3", allow_errors=True)
    # ipykernel leaves alone what C++ prints if it believes to be tested.
    client.execute(env={k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"})
    return [
        "".join(output.get("text", output.get("ename", "")) for output in cell.outputs)
        for cell in notebook.cells
    ]


def test_a_cell_shows_what_the_simulation_prints(outputs: list[str]):
    """What C++ writes is there, too: ns-3's Ping."""
    assert "1 packets transmitted, 1 received" in outputs[1]
    assert "ran for 1.0 s" in outputs[1]


def test_an_exception_in_a_callback_ends_the_cell(outputs: list[str]):
    assert outputs[2].endswith("ZeroDivisionError")


def test_an_interrupt_ends_the_cell(outputs: list[str]):
    assert outputs[3].endswith("KeyboardInterrupt")


def test_the_next_cell_simulates_as_if_nothing_had_been(outputs: list[str]):
    assert "ran for 2.0 s" in outputs[4]
