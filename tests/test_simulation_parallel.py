# SPDX-License-Identifier: GPL-2.0-only
"""Parallel turns: machines go ahead of the simulation, and every byte is that of one by one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import Ended, run_script

# What all scripts begin with. The same network is run once with PARALLEL and once without.
HEAD = """
import os
import signal
import subprocess
import cppyy

cppyy.cppdef('''
#include "ns3/core-module.h"
void CallAt(double t, std::function<void()> f)
{
    ns3::Simulator::Schedule(ns3::Seconds(t), [f]() { f(); });
}

void CallOn(uint32_t node, double t, std::function<void()> f)
{
    ns3::Simulator::ScheduleWithContext(node, ns3::Seconds(t), [f]() { f(); });
}

std::string g_windows;

void OnWindow(uint32_t, uint32_t window)
{
    g_windows += std::to_string(ns3::Simulator::Now().GetNanoSeconds()) + ":" +
                 std::to_string(window) + " ";
}

void WatchWindow(ns3::Ptr<ns3::QemuTcpSource> source)
{
    source->TraceConnectWithoutContext("CongestionWindow", ns3::MakeCallback(&OnWindow));
}
''')
RESULT["ahead"] = {}
KEPT = []

def at(time, action):
    KEPT.append(action)
    cppyy.gbl.CallAt(time, action)

def on(node, time, action):
    KEPT.append(action)
    cppyy.gbl.CallOn(node.GetId(), time, action)

class Network:
    def __init__(self, name):
        self.name = name
        self.qemu = helper()
        self.qemu.SetAttribute("Parallel", ns.BooleanValue(PARALLEL))
        self.vms, self.told, self.ran = [], [], False
        self.ppp, self.ethernet = ns.PointToPointHelper(), ns.CsmaHelper()
        self.addresses = ns.Ipv4AddressHelper()
        self.addresses.SetBase(ns.Ipv4Address("10.1.0.0"), ns.Ipv4Mask("255.255.255.0"))

    def vm(self):
        node = ns.CreateObject[ns.Node]()
        self.vms.append(self.qemu.Install(node))
        return node

    def native(self):
        node = ns.CreateObject[ns.Node]()
        stack = ns.InternetStackHelper()
        stack.SetIpv6StackInstall(False)
        stack.Install(node)
        return node

    def link(self, left, right, rate="10Mbps", delay="5ms", queue="50p"):
        '''Return devices and addresses.'''
        self.ppp.SetDeviceAttribute("DataRate", ns.StringValue(rate))
        self.ppp.SetChannelAttribute("Delay", ns.StringValue(delay))
        self.ppp.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(queue))
        return self.address(self.ppp.Install(left, right))

    def address(self, devices):
        interfaces = self.addresses.Assign(devices)
        self.addresses.NewNetwork()
        return ([devices.Get(i) for i in range(2)], [interfaces.GetAddress(i) for i in range(2)])

    def bulk(self, source, sink, address, port=PORT, start=0.1, limit=0):
        to = ns.InetSocketAddress(address, port).ConvertTo()
        sending, receiving = ns.CreateObject[ns.QemuTcpSource](), ns.CreateObject[ns.QemuTcpSink]()
        sending.SetAttribute("Remote", ns.AddressValue(to))
        sending.SetAttribute("MaxBytes", ns.UintegerValue(limit))
        sending.SetStartTime(ns.Seconds(start))
        any_ = ns.InetSocketAddress(ns.Ipv4Address("0.0.0.0"), port).ConvertTo()
        receiving.SetAttribute("Local", ns.AddressValue(any_))
        source.AddApplication(sending)
        sink.AddApplication(receiving)
        self.told.append(receiving.GetTotalRx)
        return sending

    def run(self, seconds):
        if not self.ran:
            self.ran = True
            self.ppp.EnablePcapAll(self.name + "-ppp")
            self.ethernet.EnablePcapAll(self.name + "-csma")
        ns.Simulator.Stop(ns.Seconds(seconds))
        ns3_qemu.Run()

    def end(self):
        RESULT[self.name] = {
            "turns": [vm.GetTurns() for vm in self.vms],
            "instructions": [vm.GetInstructions() for vm in self.vms],
            "told": [tell() for tell in self.told],
        }
        RESULT["ahead"][self.name] = [vm.GetTurnsAhead() for vm in self.vms]
        # What is asked comes after the counters, which it changes.
        RESULT[self.name]["snmp"] = [str(vm.ReadFile("/proc/net/snmp")) for vm in self.vms]
        RESULT[self.name]["uptime"] = [vm.GetUptime().GetNanoSeconds() for vm in self.vms]
        ns.Simulator.Destroy()
"""

# Transfers over links of all sorts of networks.
LINKS = """
net = Network("pair")
a, b = net.vm(), net.vm()
_, (to_a, to_b) = net.link(a, b)
net.bulk(a, b, to_b)
net.bulk(b, a, to_a, port=PORT + 1, start=0.2)
net.run(1)
net.end()

net = Network("bottleneck")
a, router, b = net.vm(), net.native(), net.vm()
net.link(a, router, "100Mbps", "2ms")
_, (_, to_b) = net.link(router, b, "4Mbps", "10ms", "8p")
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
net.bulk(a, b, to_b)
net.run(1.5)
net.end()

net = Network("router")
a, router, b = net.vm(), net.vm(), net.vm()
net.vms[1].SetSysctl("net.ipv4.ip_forward", "1")
net.link(a, router, "20Mbps", "3ms")
_, (_, to_b) = net.link(router, b, "10Mbps", "3ms", "10p")
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
net.bulk(a, b, to_b)
net.run(1)
net.end()

net = Network("star")
hub, leaves = net.native(), [net.vm() for _ in range(4)]
at_leaf = [net.link(leaf, hub, "10Mbps", "4ms")[1][0] for leaf in leaves]
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
net.bulk(leaves[0], leaves[1], at_leaf[1])
net.bulk(leaves[2], leaves[3], at_leaf[3])
net.bulk(leaves[3], leaves[0], at_leaf[0], port=PORT + 1)
net.run(1)
net.end()
finish()
"""

# What happens beside the transfers.
EVENTS = """
net = Network("errors")
a, b = net.vm(), net.vm()
(_, device), (_, to_b) = net.link(a, b)
model = ns.CreateObject[ns.RateErrorModel]()
model.SetAttribute("ErrorUnit", ns.StringValue("ERROR_UNIT_PACKET"))
model.SetAttribute("ErrorRate", ns.DoubleValue(0.02))
model.AssignStreams(1)
device.SetAttribute("ReceiveErrorModel", ns.PointerValue(model))
net.bulk(a, b, to_b)
net.run(1.5)
net.end()

net = Network("back-pressure")
a, b = net.vm(), net.vm()
(device, _), (_, to_b) = net.link(a, b, queue="5p")
net.vms[0].GetNic(device).SetAttribute("BackPressure", ns.BooleanValue(True))
net.bulk(a, b, to_b)
net.run(1)
net.end()

net = Network("ethernet")
a, b, far = net.vm(), net.vm(), net.native()
net.link(a, b)
both = ns.NodeContainer()
both.Add(b)
both.Add(far)
_, (to_b, _) = net.address(net.ethernet.Install(both))
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
net.bulk(a, b, to_b)
echo = ns.UdpEchoServerHelper(7)
echo.Install(b)
client = ns.UdpEchoClientHelper(ns.InetSocketAddress(to_b, 7).ConvertTo())
client.SetAttribute("Interval", ns.TimeValue(ns.MilliSeconds(20)))
client.Install(far).Start(ns.Seconds(0.1))
net.run(1)
net.end()

# Nobody but the script: the link becomes longer, shorter, quicker, and is cut and mended.
net = Network("changes")
a, b = net.vm(), net.vm()
devices, (to_a, to_b) = net.link(a, b)
channel = devices[0].GetChannel()
net.bulk(a, b, to_b)
net.bulk(b, a, to_a, port=PORT + 1)
at(0.4, lambda: channel.SetAttribute("Delay", ns.StringValue("12ms")))
at(0.6, lambda: channel.SetAttribute("Delay", ns.StringValue("1ms")))
at(0.8, lambda: devices[0].SetAttribute("DataRate", ns.StringValue("1Gbps")))
at(0.8, lambda: channel.SetAttribute("Delay", ns.StringValue("0ms")))
at(0.85, lambda: channel.SetAttribute("Delay", ns.StringValue("2ms")))
nic = net.vms[1].GetNic(devices[1])
at(0.9, lambda: nic.SetAttribute("Connected", ns.BooleanValue(False)))
at(1.0, lambda: nic.SetAttribute("Connected", ns.BooleanValue(True)))
net.run(1.6)
net.end()

# The script looks into the machines while they are at work, and between two runs.
net = Network("samples")
a, b = net.vm(), net.vm()
_, (_, to_b) = net.link(a, b)
net.bulk(a, b, to_b)
samples = []
def sample():
    now = ns.Simulator.Now().GetNanoSeconds()
    samples.append((now, [str(vm.GetSysctl("net.ipv4.tcp_mem")) for vm in net.vms],
        [str(vm.ReadFile("/proc/net/sockstat")) for vm in net.vms],
        [vm.GetTurns() for vm in net.vms]))
def every():
    sample()
    at(0.01, every)
at(0.3, every)
net.run(0.6)
sample()
net.vms[1].SetSysctl("net.ipv4.tcp_adv_win_scale", "2")
net.run(0.4)
sample()
net.end()
RESULT["samples"]["samples"] = samples

net = Network("one of two")
a, b = net.vm(), net.vm()
net.vms[0].SetAttribute("Parallel", ns.BooleanValue(False))
_, (_, to_b) = net.link(a, b)
net.bulk(a, b, to_b)
net.run(1)
net.end()

# Echo requests arrive at the very time of a guest's ticks: 86 bytes take 688 ns.
net = Network("ticks")
net.qemu.SetAttribute("TickPhase", ns.TimeValue(ns.NanoSeconds(0)))
a, b = net.vm(), net.native()
_, (to_a, _) = net.link(a, b, "1Gbps", "5ms")
ping = ns.PingHelper(to_a.ConvertTo())
ping.SetAttribute("Interval", ns.TimeValue(ns.MilliSeconds(1)))
ping.SetAttribute("Count", ns.UintegerValue(300))
ping.SetAttribute("VerboseMode", ns.StringValue("Silent"))
ping.Install(b).Start(ns.NanoSeconds(100_000_000 - 5_000_000 - 688))
net.run(0.5)
net.end()
finish()
"""

# Applications, programs, and what reads a connection's state after each turn.
APPLICATIONS = """
net = Network("traces")
a, b = net.vm(), net.vm()
_, (_, to_b) = net.link(a, b, queue="25p")
net.qemu.EnableTcpInfo("traces-tcp-info.csv", net.bulk(a, b, to_b))
cppyy.gbl.WatchWindow(net.bulk(a, b, to_b, port=PORT + 1, start=0.2))
net.run(1)
net.end()
RESULT["traces"]["windows"] = str(cppyy.gbl.g_windows)

net = Network("sockets")
a, b, c = net.vm(), net.vm(), net.native()
_, (_, to_b) = net.link(a, b)
_, (_, to_c) = net.link(b, c)
ns.Ipv4GlobalRoutingHelper.PopulateRoutingTables()
net.vms[1].SetSysctl("net.ipv4.ip_forward", "1")
port = 1000
for source, target, address in ((a, b, to_b), (a, c, to_c), (c, b, to_b), (b, c, to_c)):
    def started(applications):
        applications.Start(ns.Seconds(0.1))
        applications.Stop(ns.Seconds(0.9))
    for protocol in ("Tcp", "Udp"):
        port += 1
        where = ns.InetSocketAddress(address, port).ConvertTo()
        factory = f"ns3::{protocol}SocketFactory"
        net.told.append(
            ns.PacketSinkHelper(factory, where).Install(target).Get(0).GetTotalRx)
        onoff = ns.OnOffHelper(factory, where)
        onoff.SetConstantRate(ns.DataRate("500kbps"), 500)
        started(onoff.Install(source))
    port += 1
    where = ns.InetSocketAddress(address, port).ConvertTo()
    ns.UdpEchoServerHelper(port).Install(target)
    echo = ns.UdpEchoClientHelper(where)
    echo.SetAttribute("Interval", ns.TimeValue(ns.MilliSeconds(30)))
    echo.SetAttribute("MaxPackets", ns.UintegerValue(20))
    started(echo.Install(source))
net.run(1)
net.end()

net = Network("programs")
a, b = net.vm(), net.vm()
_, (_, to_b) = net.link(a, b)
net.bulk(a, b, to_b)
lines = []
for node, command in (
    (a, ["ping", "-c", "5", "-i", "0.1", str(to_b)]),
    (b, ["sh", "-c", "for i in 1 2 3 4 5 6; do usleep 30000; cat /proc/uptime; done"]),
):
    program = ns3_qemu.Program(node, command, start=0.15)
    program.on_output(
        lambda line, stream: lines.append((ns.Simulator.Now().GetNanoSeconds(), line)))
    KEPT.append(program)
net.run(1)
net.end()
RESULT["programs"]["lines"] = lines
finish()
"""

# The same on one CPU, beside something that wants it, too.
ONE_CPU = """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
load = subprocess.Popen([sys.executable, "-c", "while True: pass"])
import atexit
atexit.register(load.kill)
"""

# A machine that ends while it is ahead; one that is touched while it is.
FAILURES = """
def attempt(name, prepare):
    net = Network(name)
    a, b = net.vm(), net.vm()
    (device, _), (_, to_b) = net.link(a, b, delay="200ms")
    net.device = device
    KEPT.append(ns3_qemu.Program(a, ["sh", "-c", "while :; do usleep 2000; done"], start=0.1))
    prepare(net, a, b, to_b)
    seen = RESULT[name] = {"text": ""}
    pids = []
    at(0.05, lambda: pids.extend(vm.GetPid() for vm in net.vms))
    try:
        net.run(1)
    except ns3_qemu.VmError as error:
        seen["text"] = str(error)
    seen["now"] = ns.Simulator.Now().GetNanoSeconds()
    RESULT["ahead"][name] = [vm.GetTurnsAhead() for vm in net.vms]
    ns.Simulator.Destroy()
    seen["left"] = [pid for pid in pids if Path(f"/proc/{pid}").exists()]

def ends(command):
    def prepare(net, a, b, to_b):
        KEPT.append(ns3_qemu.Program(
            a, ["sh", "-c", "usleep 300000; " + command], start=0.1, required=False))
        net.bulk(a, b, to_b, limit=20_000)
    return prepare

def touched(net, a, b, to_b):
    on(b, 0.5, lambda: net.vms[0].GetSysctl("kernel.hostname"))

def plugged(net, a, b, to_b):
    nic = net.vms[0].GetNic(net.device)
    on(b, 0.5, lambda: nic.SetAttribute("Connected", ns.BooleanValue(False)))

attempt("panic", ends("echo c > /proc/sysrq-trigger"))
attempt("poweroff", ends("poweroff -f"))
attempt("reboot", ends("reboot -f"))
if PARALLEL:
    attempt("touched", touched)
    attempt("plugged", plugged)
attempt("nothing", lambda *_: None)
finish()
"""


@pytest.fixture(scope="module")
def busybox_image() -> Path:
    """An image with busybox, and each of its programs that is wanted here by its name."""
    wanted = image.Image()
    wanted.add("/bin/busybox")
    for name in ["sh", "cat", "usleep", "ping", "poweroff", "reboot", "mount"]:
        wanted.link(f"/bin/{name}", "busybox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return wanted.build()


class Run:
    """A script's run: what it has said, and what its files are."""

    def __init__(self, script: str, image_: Path, where: Path, *, parallel: bool) -> None:
        head = f"PARALLEL = {parallel}\n" + HEAD
        self.ended: Ended = run_script(head + script, image_, where)
        assert self.ended.status == 0, self.ended.errors
        self.ahead: dict[str, list[int]] = self.ended.result.pop("ahead")
        self.result: dict[str, Any] = self.ended.result
        self.files = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(where.iterdir())
        }

    def of(self, name: str) -> tuple[Any, dict[str, str]]:
        """Return all there is of one network."""
        files = {file: hash_ for file, hash_ in self.files.items() if file.startswith(f"{name}-")}
        return self.result[name], files


@pytest.fixture(scope="module")
def both(
    busybox_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Run, Run]]:
    """Run a script serially and with parallel turns, once for all tests."""
    runs: dict[str, tuple[Run, Run]] = {}

    def run(name: str, script: str) -> tuple[Run, Run]:
        if name not in runs:
            serial, parallel = (
                Run(script, busybox_image, tmp_path_factory.mktemp(name), parallel=wanted)
                for wanted in (False, True)
            )
            runs[name] = serial, parallel
        return runs[name]

    return run


@pytest.mark.parametrize(
    ("name", "script", "network"),
    [
        *(("links", LINKS, network) for network in ("pair", "bottleneck", "router", "star")),
        *(
            ("events", EVENTS, network)
            for network in (
                "errors",
                "back-pressure",
                "ethernet",
                "changes",
                "samples",
                "one of two",
                "ticks",
            )
        ),
        *(("applications", APPLICATIONS, network) for network in ("traces", "sockets", "programs")),
    ],
    ids=lambda value: value if "\n" not in value else "",
)
def test_every_byte_is_that_of_turns_one_by_one(
    both: Callable[[str, str], tuple[Run, Run]], name: str, script: str, network: str
):
    serial, parallel = both(name, script)
    result, files = serial.of(network)
    assert len(files) >= 2
    assert all(told > 0 for told in result["told"])
    assert parallel.of(network) == (result, files)
    assert not any(serial.ahead[network])


# With back-pressure, with a device that is no end of a point-to-point link, and without Parallel,
# a machine has its turns one by one.
ONE_BY_ONE = {"back-pressure": {0}, "ethernet": {1}, "one of two": {0}}


@pytest.mark.parametrize(
    ("name", "script"),
    [("links", LINKS), ("events", EVENTS), ("applications", APPLICATIONS)],
    ids=lambda value: value if "\n" not in value else "",
)
def test_machines_really_go_ahead(
    both: Callable[[str, str], tuple[Run, Run]], name: str, script: str
):
    _, parallel = both(name, script)
    for network, ahead in parallel.ahead.items():
        for number, turns in enumerate(ahead):
            expected = number not in ONE_BY_ONE.get(network, ())
            assert (turns > 0) == expected, (network, ahead)


def test_a_row_of_turns_is_had_where_the_link_is_long(
    both: Callable[[str, str], tuple[Run, Run]],
):
    _, parallel = both("links", LINKS)
    for network in ("pair", "router", "star"):
        turns = parallel.result[network]["turns"]
        assert sum(parallel.ahead[network]) > sum(turns) / 2, (parallel.ahead[network], turns)


def test_one_busy_cpu_changes_nothing(
    both: Callable[[str, str], tuple[Run, Run]], busybox_image: Path, tmp_path: Path
):
    serial, _ = both("links", LINKS)
    beside = Run(ONE_CPU + LINKS, busybox_image, tmp_path, parallel=True)
    assert (beside.result, beside.files) == (serial.result, serial.files)
    assert all(all(ahead) for ahead in beside.ahead.values())


# --- what fails -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("panic", "the guest's kernel has panicked: Kernel panic - not syncing: sysrq triggered"),
        ("poweroff", "the guest has switched itself off"),
        ("reboot", "the guest has rebooted"),
    ],
)
def test_a_guest_that_ends_in_a_row_of_turns_gives_the_error_of_turns_one_by_one(
    both: Callable[[str, str], tuple[Run, Run]], network: str, words: str
):
    serial, parallel = both("failures", FAILURES)
    failed = serial.result[network]
    assert words in failed["text"]
    assert 400_000_000 <= failed["now"] < 500_000_000
    assert parallel.result[network] == failed
    assert parallel.ahead[network][0] > 50


@pytest.mark.parametrize("network", ["touched", "plugged"])
def test_a_machine_that_another_nodes_event_touches_says_what_is_allowed(
    both: Callable[[str, str], tuple[Run, Run]], network: str
):
    _, parallel = both("failures", FAILURES)
    failed = parallel.result[network]
    assert failed["text"].startswith("VM 'node0' failed at simulated time 0.500000000 s: ")
    assert "may be touched by events of its own node and of none" in failed["text"]
    assert failed["now"] == 500_000_000


def test_a_failure_leaves_no_process_and_the_next_simulation_goes_ahead(
    both: Callable[[str, str], tuple[Run, Run]],
):
    _, parallel = both("failures", FAILURES)
    assert [run["left"] for run in parallel.result.values()] == [[]] * 6
    assert parallel.result["nothing"]["text"] == ""
    assert parallel.ahead["nothing"][0] > 50
