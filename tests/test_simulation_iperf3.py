# SPDX-License-Identifier: GPL-2.0-only
"""Debian's own iperf3, ping and curl between two guests, over each kind of link."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dpkt
import pytest

from simulation_tools import run_script

LINKS = ("point-to-point", "again", "csma", "wifi")

SCRIPT = """
SECONDS = {"tcp": 1, "udp": 1, "tcp6": 1, "udp6": 1}

def wifi():
    nodes = ns.NodeContainer(2)
    phy = ns.YansWifiPhyHelper()
    phy.SetChannel(ns.YansWifiChannelHelper.Default().Create())
    helper_ = ns.WifiHelper()
    helper_.SetStandard(ns.WIFI_STANDARD_80211g)
    helper_.SetRemoteStationManager("ns3::ConstantRateWifiManager",
        "DataMode", ns.StringValue("ErpOfdmRate54Mbps"))
    ssid = ns.SsidValue(ns.Ssid("qemu"))
    mac = ns.WifiMacHelper()
    devices = ns.NetDeviceContainer()
    mac.SetType("ns3::ApWifiMac", "Ssid", ssid)
    devices.Add(helper_.Install(phy, mac, nodes.Get(0)))
    mac.SetType("ns3::StaWifiMac", "Ssid", ssid)
    devices.Add(helper_.Install(phy, mac, nodes.Get(1)))
    mobility = ns.MobilityHelper()
    mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
    mobility.Install(nodes)
    return nodes, devices

def simulate(name, make):
    nodes, devices = make()
    qemu = helper()
    machines = [qemu.Install(nodes.Get(i)) for i in range(2)]
    for i, machine_ in enumerate(machines):
        machine_.AddAddress(devices.Get(i), f"10.0.0.{i + 1}/24")
        machine_.AddAddress(devices.Get(i), f"fd00::{i + 1}/64")
        qemu.EnablePcap(f"{name}-{i}.pcap", devices.Get(i), False, True)
    programs = {}
    def run(what, command, start, node=0):
        programs[what] = ns3_qemu.Program(nodes.Get(node), command, start=start)
    server = ns3_qemu.Program(nodes.Get(1), "iperf3 -s", stop=16)
    www = ns3_qemu.Program(nodes.Get(1), "busybox httpd -f -p 80 -h /srv", stop=16)
    run("ping", "ping -c 3 -i 0.2 10.0.0.2", 3)
    run("ping6", "ping -c 3 -i 0.2 fd00::2", 4)
    run("tcp", "iperf3 -J -t 1 -c 10.0.0.2", 5)
    run("udp", "iperf3 -J -t 1 -u -b 5M -c 10.0.0.2", 9)
    run("tcp6", "iperf3 -J -t 1 -c fd00::2", 11)
    run("udp6", "iperf3 -J -t 1 -u -b 5M -c fd00::2", 13)
    run("curl", "curl -sS -w %{http_code} http://10.0.0.2/file http://[fd00::2]/none", 15)
    ns.Simulator.Stop(ns.Seconds(17))
    ns3_qemu.Run()
    RESULT[name] = {what: {"code": program.exit_code, "output": program.output,
        "errors": program.errors} for what, program in programs.items()}
    RESULT[name]["server"] = {"code": server.exit_code, "errors": server.errors}
    RESULT[name]["www"] = {"signal": www.signal}
    ns.Simulator.Destroy()

simulate("point-to-point", lambda: point_to_point())
simulate("again", lambda: point_to_point())
simulate("csma", csma)
simulate("wifi", wifi)
finish()
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("iperf3")


@pytest.fixture(scope="module")
def result(programs_image: Path, where: Path) -> dict[str, Any]:
    done = run_script(SCRIPT, programs_image, where)
    assert done.status == 0, done.errors
    return done.result


def received(file: Path, kind: type, version: type) -> list[tuple[float, Any]]:
    """Return the segments or datagrams to iperf3's port, with when they were captured."""
    with file.open("rb") as stream:
        frames = [
            (float(time), dpkt.ethernet.Ethernet(data)) for time, data in dpkt.pcap.Reader(stream)
        ]
    packets = [(time, frame.data) for time, frame in frames if isinstance(frame.data, version)]
    return [
        (time, packet.data)
        for time, packet in packets
        if isinstance(packet.data, kind) and packet.data.dport == 5201
    ]


def connections(file: Path, version: type) -> list[list[tuple[float, int, int]]]:
    """Return (time, sequence number, length) of the data segments of each connection."""
    found: dict[int, list[tuple[float, int, int]]] = {}
    for time, segment in received(file, dpkt.tcp.TCP, version):
        if segment.data:
            found.setdefault(segment.sport, []).append((time, segment.seq, len(segment.data)))
    return list(found.values())


@pytest.mark.parametrize("link", LINKS)
def test_all_programs_end_as_they_should(result: dict[str, Any], link: str):
    ended = {what: end["code"] for what, end in result[link].items() if what not in ("www",)}
    assert ended == dict.fromkeys(ended, 0) | {"server": 1}, result[link]
    assert "the server has terminated" in result[link]["server"]["errors"]
    assert result[link]["www"]["signal"] == 15


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("what", ["ping", "ping6"])
def test_ping_is_answered(result: dict[str, Any], link: str, what: str):
    assert "3 packets transmitted, 3 received, 0% packet loss" in result[link][what]["output"]


@pytest.mark.parametrize("what", ["ping", "ping6"])
def test_ping_measures_the_links_delay(result: dict[str, Any], what: str):
    """2 * 5 ms, and twice the time that 64 bytes and headers take at 10 Mbit/s."""
    times = [
        float(part.removeprefix("time="))
        for part in result["point-to-point"][what]["output"].split()
        if part.startswith("time=")
    ]
    assert times == [10.1] * 3 or times == [10.2] * 3


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("what", "version"), [("tcp", dpkt.ip.IP), ("tcp6", dpkt.ip6.IP6)])
def test_iperf3_agrees_with_the_capture_of_a_tcp_connection(
    result: dict[str, Any], where: Path, link: str, what: str, version: type
):
    end = json.loads(result[link][what]["output"])["end"]
    segments = max(connections(where / f"{link}-1.pcap", version), key=len)
    first = min(number for _, number, _ in segments)
    # After the cookie that names the test. What is in the sender's buffer when the server has
    # counted enough does not arrive: how much that is, is up to the kernel.
    arrived = max(number + length for _, number, length in segments) - first - 37
    assert 0.99 * end["sum_received"]["bytes"] <= arrived <= 1.01 * end["sum_sent"]["bytes"]
    # What the server has read when it stops counting, from when the connection is there.
    seconds = end["sum_received"]["seconds"]
    begin = segments[0][0]
    counted = max(
        number + length for time, number, length in segments if time - begin <= seconds
    ) - (first + 37)
    assert counted * 8 / seconds == pytest.approx(end["sum_received"]["bits_per_second"], rel=0.01)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(("what", "version"), [("udp", dpkt.ip.IP), ("udp6", dpkt.ip6.IP6)])
def test_iperf3_agrees_with_the_capture_of_datagrams(
    result: dict[str, Any], where: Path, link: str, what: str, version: type
):
    end = json.loads(result[link][what]["output"])["end"]
    data = [
        (time, len(datagram.data))
        for time, datagram in received(where / f"{link}-1.pcap", dpkt.udp.UDP, version)
        if len(datagram.data) > 100  # the first one only says hello
    ]
    assert len(data) == pytest.approx(end["sum"]["packets"], rel=0.01)
    assert sum(length for _, length in data) == pytest.approx(end["sum"]["bytes"], rel=0.01)
    assert end["sum"]["lost_packets"] == 0
    rate = sum(length for _, length in data[1:]) * 8 / (data[-1][0] - data[0][0])
    assert rate == pytest.approx(end["sum"]["bits_per_second"], rel=0.01)


@pytest.mark.parametrize("link", LINKS)
def test_curl_fetches_a_file_and_is_refused_another(result: dict[str, Any], link: str):
    output = result[link]["curl"]["output"]
    assert output.startswith("hello\n" * 5000 + "200")
    assert output.endswith("404")


def test_a_run_repeated_gives_the_same_packets_and_output(result: dict[str, Any], where: Path):
    assert result["point-to-point"] == result["again"]
    for end in (0, 1):
        one, two = (
            hashlib.sha256((where / f"{link}-{end}.pcap").read_bytes()).digest()
            for link in ("point-to-point", "again")
        )
        assert one == two


def test_the_example_says_what_iperf3_measures(tmp_path: Path):
    example = Path(__file__).parent.parent / "ns3-module/examples/iperf3.py"
    done = subprocess.run(
        [sys.executable, example], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "received 9." in done.stdout
