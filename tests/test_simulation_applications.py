# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's own applications run unchanged on machines, in C++ and in Python."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_program, run_script

# Who sends to whom.
PAIRS = ("vm to vm", "vm to native", "native to vm")

# The same network in Python, and what differs most from C++: helpers, and reading the results.
SCRIPT = """
nodes = ns.NodeContainer()
nodes.Create(3)
csma = ns.CsmaHelper()
csma.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
csma.SetChannelAttribute("Delay", ns.StringValue("500us"))
devices = csma.Install(nodes)
qemu = helper()
for i in range(2):
    machine(qemu, nodes.Get(i), devices.Get(i), f"10.0.0.{i + 1}")
native(nodes.Get(2), devices.Get(2), "10.0.0.3")

def at(node, port):
    return ns.InetSocketAddress(ns.Ipv4Address(f"10.0.0.{node + 1}"), port).ConvertTo()

sinks, servers, pages, pings = {}, {}, {}, {}
port = 1000
for source, target in ((0, 1), (0, 2), (2, 1)):
    name = " to ".join("native" if node == 2 else "vm" for node in (source, target))
    def begin(applications, time):
        applications.Start(ns.Seconds(time))
        applications.Stop(ns.Seconds(30))
    for protocol in ("Tcp", "Udp"):
        factory = f"ns3::{protocol}SocketFactory"
        port += 1
        sink_ = ns.PacketSinkHelper(factory, at(target, port)).Install(nodes.Get(target))
        sinks[f"OnOff {protocol} {name}"] = sink_.Get(0)
        onoff = ns.OnOffHelper(factory, at(target, port))
        onoff.SetConstantRate(ns.DataRate("400kbps"), 500)
        onoff.SetAttribute("MaxBytes", ns.UintegerValue(50_000))
        begin(onoff.Install(nodes.Get(source)), 2)
    port += 1
    sink_ = ns.PacketSinkHelper("ns3::TcpSocketFactory", at(target, port))
    sinks[f"BulkSend {name}"] = sink_.Install(nodes.Get(target)).Get(0)
    bulk = ns.BulkSendHelper("ns3::TcpSocketFactory", at(target, port))
    bulk.SetAttribute("MaxBytes", ns.UintegerValue(300_000))
    begin(bulk.Install(nodes.Get(source)), 5)
    port += 1
    ns.UdpEchoServerHelper(port).Install(nodes.Get(target))
    echo = ns.UdpEchoClientHelper(at(target, port))
    echo.SetAttribute("MaxPackets", ns.UintegerValue(3))
    begin(echo.Install(nodes.Get(source)), 2)
    for kind in ("UdpClient", "UdpTraceClient"):
        port += 1
        servers[f"{kind} {name}"] = ns.UdpServerHelper(port).Install(nodes.Get(target)).Get(0)
        client = getattr(ns, kind + "Helper")(at(target, port))
        if kind == "UdpClient":
            client.SetAttribute("MaxPackets", ns.UintegerValue(20))
            client.SetAttribute("Interval", ns.TimeValue(ns.MilliSeconds(10)))
        sending = client.Install(nodes.Get(source))
        sending.Start(ns.Seconds(3))
        sending.Stop(ns.Seconds(4))
    ping = ns.PingHelper(ns.Ipv4Address(f"10.0.0.{target + 1}").ConvertTo())
    ping.SetAttribute("Count", ns.UintegerValue(2))
    begin(ping.Install(nodes.Get(source)), 0.5)
ns.Simulator.Stop(ns.Seconds(30))
ns3_qemu.Run()
RESULT["sinks"] = {name: sink_.GetTotalRx() for name, sink_ in sinks.items()}
RESULT["servers"] = {name: [s.GetReceived(), s.GetLost()] for name, s in servers.items()}
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def counts(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the C++ program has counted."""
    where = tmp_path_factory.mktemp("applications")
    done = run_program("qemu-socket-applications", vm_image, where)
    return {name: int(value) for name, value in done.items()}


@pytest.fixture(scope="module")
def script(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script has counted."""
    done = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("script"))
    assert done.status == 0, done.errors
    return done.result


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("BulkSend", 1_000_000),
        ("OnOff Tcp", 50_000),
        ("OnOff Udp", 50_000),
        ("UdpEcho", 10),
        ("UdpEcho bytes", 10_000),
        ("UdpClient", 20),
        ("UdpClient lost", 0),
        ("UdpTraceClient lost", 0),
        ("Ping", 3),
    ],
)
def test_all_of_it_arrives(counts: dict[str, int], what: str, expected: int, pair: str):
    application, _, rest = what.partition(" ")
    names = (f"{what} {pair}", f"{application} {pair} {rest}")
    assert [counts[name] for name in names if name in counts] == [expected]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_video_trace_and_web_pages_are_sent(counts: dict[str, int], pair: str):
    assert counts[f"UdpTraceClient {pair}"] > 50
    assert counts[f"Http {pair}"] >= 1  # how many is a matter of chance
    assert counts[f"Http {pair} bytes"] > 10_000


@pytest.mark.parametrize("pair", PAIRS)
def test_a_ping_takes_two_delays_and_its_frames(counts: dict[str, int], pair: str):
    # 2 x 500 us and 2 x 8 us; nothing for what the guests execute.
    assert 1000 < counts[f"Ping {pair} us"] < 1100


@pytest.mark.parametrize("pair", PAIRS)
def test_the_same_applications_run_from_python(script: dict[str, Any], pair: str):
    sinks, servers = script["sinks"], script["servers"]
    assert sinks[f"BulkSend {pair}"] == 300_000
    assert sinks[f"OnOff Tcp {pair}"] == sinks[f"OnOff Udp {pair}"] == 50_000
    assert servers[f"UdpClient {pair}"] == [20, 0]
    assert servers[f"UdpTraceClient {pair}"][0] > 20
    assert servers[f"UdpTraceClient {pair}"][1] == 0
