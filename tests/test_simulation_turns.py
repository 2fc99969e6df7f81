# SPDX-License-Identifier: GPL-2.0-only
"""What is told of a turn: also of one whose request the guest refuses, and of the first."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
import cppyy

cppyy.cppdef('''
namespace script
{
using namespace ns3;

std::vector<std::string> log;
uint32_t program = 0;
bool asking = false;
uint64_t first = 0; // instructions of the first turn
uint64_t total = 0; // and all of the machine by then

void Tell(const std::string& what)
{
    log.push_back(std::to_string(Simulator::Now().GetMilliSeconds()) + " ms: " + what);
}

struct Listener : VirtualMachine::TurnListener
{
    void OnTurn(VirtualMachine::TurnCause cause, uint32_t) override
    {
        if (asking)
        {
            Tell("listener " + std::to_string(cause));
        }
    }

    bool IsAsking() const override
    {
        return false;
    }
};

Listener listener;

void Turn(Ptr<VirtualMachine> vm, VirtualMachine::TurnCause cause, uint32_t, uint64_t instructions)
{
    if (total == 0)
    {
        first = instructions;
        total = vm->GetInstructions();
    }
    if (asking)
    {
        Tell("turn " + std::to_string(cause) + (instructions > 0 ? "" : " of nothing"));
    }
}

void Output(int stream, const std::string& text)
{
    Tell("output " + text);
}

void Start(Ptr<VirtualMachine> vm)
{
    ns3qemu::GuestProgram copy;
    copy.arguments = {"/opt/tool", "copy"};
    copy.input = true;
    program = vm->StartProcess(copy, MakeCallback(&Output), {});
}

/* The program's answer comes while the guest refuses what else is asked for. */
void Ask(Ptr<VirtualMachine> vm)
{
    asking = true;
    try
    {
        vm->Request([](ns3qemu::RelayClient& relay) {
            relay.WriteProcess(program, reinterpret_cast<const uint8_t*>("answer"), 6);
            relay.GetSysctl("no.such.thing");
        });
    }
    catch (const ns3qemu::GuestError& error)
    {
        Tell("errno " + std::to_string(error.GetErrno()));
    }
    asking = false;
}

void Prepare(Ptr<VirtualMachine> vm)
{
    vm->AddListener(&listener);
    vm->TraceConnectWithoutContext("Turn", MakeBoundCallback(&Turn, vm));
    Simulator::Schedule(Seconds(1), &Start, vm);
    Simulator::Schedule(Seconds(2), &Ask, vm);
}
}
''')

nodes, devices = point_to_point()
vm = machine(helper(), nodes.Get(0), devices.Get(0), CLIENT)
vm.WriteFile("/opt/tool", Path("tool").read_bytes(), 0o755)
cppyy.gbl.script.Prepare(vm)
ns.Simulator.Stop(ns.Seconds(4))
ns3_qemu.Run()
RESULT["log"] = [str(bytes(line), "utf-8") for line in cppyy.gbl.script.log]
RESULT["first"] = int(cppyy.gbl.script.first)
RESULT["total"] = int(cppyy.gbl.script.total)
vm.RemoveListener(cppyy.gbl.script.listener)
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def result(
    vm_image: Path, guest_tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("turns")
    (directory / "tool").write_bytes(guest_tool.read_bytes())
    ended = run_script(SCRIPT, vm_image, directory)
    assert ended.status == 0, ended.errors
    return ended.result


def test_a_refused_request_is_a_turn_whose_events_are_told_before_the_refusal(
    result: dict[str, Any],
):
    assert result["log"] == [
        "2000 ms: output answer",
        "2000 ms: listener 2",
        "2000 ms: turn 2",
        "2000 ms: errno 2",
    ]


def test_the_first_turn_counts_no_instructions_from_before_the_simulation(result: dict[str, Any]):
    assert 0 < result["first"] < result["total"]
