# SPDX-License-Identifier: GPL-2.0-only
"""A guest's ticks beside frames: where they are, and which of two at one instant comes first."""

from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

SCRIPT = """
import cppyy

cppyy.cppdef('''
std::vector<int64_t> g_times;
std::vector<int> g_causes;

void OnTurn(ns3::VirtualMachine::TurnCause cause, uint32_t, uint64_t)
{
    g_times.push_back(ns3::Simulator::Now().GetNanoSeconds());
    g_causes.push_back(cause);
}

void SendAt(int64_t ns, ns3::Ptr<ns3::NetDevice> device)
{
    ns3::Simulator::Schedule(ns3::NanoSeconds(ns), [device]() {
        device->Send(ns3::Create<ns3::Packet>(100), device->GetBroadcast(), 0x0800);
    });
}

void Watch(ns3::Ptr<ns3::VirtualMachine> machine)
{
    machine->TraceConnectWithoutContext("Turn", ns3::MakeCallback(&OnTurn));
}
''')

nodes, devices = point_to_point("1Gbps", "5ms")
qemu = helper()
qemu.SetAttribute("TickPhase", ns.TimeValue(ns.NanoSeconds(0)))
vm = machine(qemu, nodes.Get(0), devices.Get(0), CLIENT)
vm.SetSysctl("-net.ipv4.no_such_thing", "1")
vm.SetSysctl("-net.ipv4.tcp_sack", "0")
# 102 bytes on the link take 816 ns: they arrive at full milliseconds.
for ms in range(100, 108):
    cppyy.gbl.SendAt(ms * 1000000 - 5000000 - 816, devices.Get(1))
cppyy.gbl.Watch(vm)
ns.Simulator.Stop(ns.MilliSeconds(300))
ns3_qemu.Run()
RESULT["turns"] = list(zip(cppyy.gbl.g_times, cppyy.gbl.g_causes))
RESULT["timer"], RESULT["frame"] = int(vm.TIMER), int(vm.FRAME)
RESULT["skipped"] = [str(name) for name in vm.GetSkippedSysctls()]
RESULT["sack"] = str(vm.GetSysctl("net.ipv4.tcp_sack"))
RESULT["uptime"] = vm.GetUptime().GetNanoSeconds() - ns.Simulator.Now().GetNanoSeconds()
ns.Simulator.Destroy()
finish()
"""

MS = 1_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        directory = image.Image(cmdline_extra=("nohz=off", "highres=off")).build()
    ended = run_script(SCRIPT, directory, tmp_path_factory.mktemp("ticks"))
    assert ended.status == 0, ended.errors
    return ended.result


def test_a_guest_ticks_at_full_milliseconds(run: dict[str, Any]) -> None:
    ticks = [time for time, cause in run["turns"] if cause == run["timer"]]
    at_full = [time for time in ticks if time % MS == 0]
    assert len(at_full) >= 74  # every 4 ms
    assert len(ticks) - len(at_full) <= 2  # a device of the machine may have a timer, too


def test_a_frame_comes_before_a_tick_at_the_same_instant(run: dict[str, Any]) -> None:
    both = []
    for ms in range(100, 108):
        causes = [cause for time, cause in run["turns"] if time == ms * MS]
        assert run["frame"] in causes
        if run["timer"] in causes:
            both.append(causes)
    assert both == [[run["frame"], run["timer"]]] * 2


def test_the_uptime_is_larger_by_less_than_a_millisecond(run: dict[str, Any]) -> None:
    assert 0 <= run["uptime"] - 20_000 * MS < MS


def test_a_parameter_that_need_not_be_there_is_left_out_if_it_is_not(run: dict[str, Any]) -> None:
    assert run["skipped"] == ["net.ipv4.no_such_thing"]
    assert run["sack"] == "0"
