# SPDX-License-Identifier: GPL-2.0-only
"""Programs, files and network settings of a machine, from a script."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
import cppyy
from ns3_qemu import guest

cppyy.cppdef('''
namespace script
{
using namespace ns3;

std::vector<std::string> log;

void Tell(const std::string& what)
{
    log.push_back(std::to_string(Simulator::Now().GetMilliSeconds()) + " ms: " + what);
}

void Output(int stream, const std::string& text)
{
    Tell("output " + std::to_string(stream) + " " + text);
}

void Exit(int code, int signal)
{
    Tell("exit " + std::to_string(code) + " " + std::to_string(signal));
}

uint32_t Start(Ptr<VirtualMachine> vm, std::vector<std::string> arguments, bool input)
{
    ns3qemu::GuestProgram program;
    program.arguments = arguments;
    program.input = input;
    try
    {
        return vm->StartProcess(program, MakeCallback(&Output), MakeCallback(&Exit));
    }
    catch (const ns3qemu::GuestError& error)
    {
        Tell("errno " + std::to_string(error.GetErrno()));
        return 0;
    }
}

void Programs(Ptr<VirtualMachine> vm)
{
    Start(vm, {"/opt/tool", "sleep", "1500"}, false);
    const uint32_t copying = Start(vm, {"/opt/tool", "copy"}, true);
    vm->WriteProcess(copying, "input");
    vm->CloseProcessInput(copying);
    Start(vm, {"/no/such/program"}, false);
    const uint32_t sleeping = Start(vm, {"/opt/tool", "sleep", "100000"}, false);
    Simulator::Schedule(Seconds(2), &VirtualMachine::SignalProcess, vm, sleeping, 15);
    const uint32_t unwatched = Start(vm, {"/opt/tool", "sleep", "100"}, false);
    vm->UnwatchProcess(unwatched);
}

void Schedule(Ptr<VirtualMachine> vm)
{
    Simulator::Schedule(Seconds(1), &Programs, vm);
}
}
''')

nodes, devices = point_to_point()
qemu = helper()
vm = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
native(nodes.Get(1), devices.Get(1), SERVER)
vm.WriteFile("/opt/tool", Path("tool").read_bytes(), 0o755)
vm.AddAddress(devices.Get(0), "fd00::1/64")
vm.DeleteAddress(devices.Get(0), "fd00::1/64")
vm.AddRoute("10.9.0.0/16", SERVER, devices.Get(0), 7)
vm.AddRoute("10.8.0.0/16", SERVER, devices.Get(0))
vm.DeleteRoute("10.8.0.0/16", SERVER, devices.Get(0))
cppyy.gbl.script.Schedule(vm)
ns.Simulator.Stop(ns.Seconds(10))
ns3_qemu.Run()

RESULT["log"] = [str(bytes(line), "utf-8") for line in cppyy.gbl.script.log]
name = guest.interfaces(vm)[1].name
RESULT["addresses"] = [address.address for address in guest.addresses(vm)]
RESULT["routes"] = {route.destination: dict(route.attributes) for route in guest.routes(vm)}
guest.set_qdisc(vm, name, "pfifo", limit=12)
RESULT["qdiscs"] = {q.interface: [q.kind, dict(q.options)] for q in guest.qdiscs(vm)}
try:
    guest.set_qdisc(vm, name, "no_such")
except OSError as error:
    RESULT["refusal"] = [error.errno, str(error), error.__notes__]
interface = struct.pack("=I", guest.interfaces(vm)[1].index)
on_link = struct.pack("=8BI", 2, 16, 0, 0, 254, 4, 253, 1, 0)
netlink(vm, 0, 24, 0x401, on_link + attribute(1, bytes([10, 7, 0, 0])) + attribute(4, interface))
RESULT["made"] = [route.destination for route in guest.routes(vm)]
vm.DeleteRoute("10.7.0.0/16", "", devices.Get(0))
RESULT["left"] = [route.destination for route in guest.routes(vm)]
try:
    vm.DeleteRoute("10.7.0.0/16", "", devices.Get(0))
except Exception as error:
    RESULT["nothing left"] = str(error)
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def result(
    vm_image: Path, guest_tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("simulation")
    (directory / "tool").write_bytes(guest_tool.read_bytes())
    ended = run_script(SCRIPT, vm_image, directory)
    assert ended.status == 0, ended.errors
    return ended.result


def test_programs_are_told_of_at_their_simulated_times(result: dict[str, Any]):
    assert result["log"] == [
        "1000 ms: output 1 input",
        "1000 ms: exit 0 0",
        "1000 ms: errno 2",
        "2500 ms: output 1 slept\n",
        "2500 ms: exit 0 0",
        "3000 ms: exit 0 15",
    ]


def test_addresses_and_routes_are_taken_away(result: dict[str, Any]):
    assert "10.0.0.1/24" in result["addresses"]
    assert "fd00::1/64" not in result["addresses"]
    assert result["routes"]["10.9.0.0/16"] == {"initcwnd": 7}
    assert "10.8.0.0/16" not in result["routes"]


def test_a_route_that_the_guest_has_made_itself_is_deleted(result: dict[str, Any]):
    assert set(result["made"]) - set(result["left"]) == {"10.7.0.0/16"}
    assert "deleting the route 10.7.0.0/16: No such process" in result["nothing left"]


def test_qdiscs_are_set_and_refusals_told(result: dict[str, Any]):
    assert ["pfifo", {"limit": 12}] in result["qdiscs"].values()
    number, text, notes = result["refusal"]
    assert number == 2
    assert "a netlink request: No such file" in text
    assert "no qdisc no_such" in notes[0]
