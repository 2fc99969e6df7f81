# SPDX-License-Identifier: GPL-2.0-only
"""A NIC that segments and checks for its host: the wire must not show it, the host's CPU must."""

import subprocess
from pathlib import Path
from typing import Any

import dpkt
import pytest

from ns3_qemu import image
from simulation_tools import run_script

DATA = Path(__file__).parent / "data"

# IPv4 through a router that marks (ECN), and IPv6 over a link that is slower than its sender.
SCRIPT = """
def join(rate, delay, one, other, room="10000p"):
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue(rate))
    link.SetChannelAttribute("Delay", ns.StringValue(delay))
    link.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", ns.StringValue(room))
    return link.Install(one, other)

def host(node, device, address, offloads):
    vm = helper().Install(node)
    vm.GetNic(device).SetAttribute("Offloads", ns.BooleanValue(offloads))
    vm.AddAddress(device, address)
    vm.SetSysctl("net.ipv4.tcp_ecn", "1")
    return vm

def routed(offloads):
    nodes = ns.NodeContainer(3)
    first = join("1Gbps", "1ms", nodes.Get(0), nodes.Get(1))
    second = join("20Mbps", "5ms", nodes.Get(1), nodes.Get(2), "5p")
    vms = [host(nodes.Get(0), first.Get(0), "10.0.1.1/24", offloads),
           host(nodes.Get(2), second.Get(1), "10.0.2.1/24", offloads)]
    vms[0].AddRoute("10.0.2.0/24", "10.0.1.2", first.Get(0))
    vms[1].AddRoute("10.0.1.0/24", "10.0.2.2", second.Get(1))
    ns.InternetStackHelper().Install(nodes.Get(1))
    disc = ns.TrafficControlHelper()
    disc.SetRootQueueDisc("ns3::FqCoDelQueueDisc", "UseEcn", ns.BooleanValue(True),
                          "CeThreshold", ns.TimeValue(ns.MilliSeconds(1)))
    disc.Install(second.Get(0))
    for i, device in enumerate((first.Get(1), second.Get(0)), 1):
        ipv4 = nodes.Get(1).GetObject[ns.Ipv4]()
        number = ipv4.AddInterface(device)
        mask = ns.Ipv4Mask("255.255.255.0")
        ipv4.AddAddress(number, ns.Ipv4InterfaceAddress(ns.Ipv4Address(f"10.0.{i}.2"), mask))
        ipv4.SetUp(number)
    return nodes, [first.Get(0), second.Get(1)], vms

def direct(offloads):
    nodes = ns.NodeContainer(2)
    link = join("50Mbps", "1ms", nodes.Get(0), nodes.Get(1))
    vms = [host(nodes.Get(i), link.Get(i), f"fd00::{i + 1}/64", offloads) for i in range(2)]
    return nodes, [link.Get(0), link.Get(1)], vms

def transfer(sender, receiver, address):
    to = ns.Inet6SocketAddress(ns.Ipv6Address(address), PORT) if ":" in address else (
        ns.InetSocketAddress(ns.Ipv4Address(address), PORT))
    received = ns.CreateObject[ns.QemuTcpSink]()
    received.SetAttribute("Local", ns.AddressValue(to.ConvertTo()))
    receiver.AddApplication(received)
    sent = ns.CreateObject[ns.QemuTcpSource]()
    sent.SetAttribute("Remote", ns.AddressValue(to.ConvertTo()))
    sent.SetAttribute("MaxBytes", ns.UintegerValue(1_500_000))
    sent.SetStartTime(ns.Seconds(0.5))
    sender.AddApplication(sent)
    return received

for name, offloads in (("off", False), ("on", True)):
    networks = {"v4": routed(offloads), "v6": direct(offloads)}
    sinks, features = {}, ns3_qemu.Program(networks["v4"][0].Get(0), "offloads", start=0.1)
    for family, (nodes, devices, vms) in networks.items():
        address = "10.0.2.1" if family == "v4" else "fd00::2"
        sinks[family] = transfer(nodes.Get(0), nodes.Get(nodes.GetN() - 1), address)
        for end, device in zip(("sender", "receiver"), devices):
            helper().EnablePcap(f"{name}-{family}-{end}.pcap", device, False, True)
    seen = {}
    def note(which, networks=networks, seen=seen):
        for family, (_, _, vms) in networks.items():
            seen[f"{family} {which}"] = [int(vm.GetInstructions()) for vm in vms]
    ns3_qemu.at(0.45, lambda: note("before"))
    ns3_qemu.at(1.9, lambda: note("after"))
    ns.Simulator.Stop(ns.Seconds(2))
    ns3_qemu.Run()
    RESULT[name] = {
        **seen,
        "features": dict(line.split() for line in features.output.splitlines()),
        "received": {family: int(sink.GetTotalRx()) for family, sink in sinks.items()},
    }
    ns.Simulator.Destroy()
finish()
"""


def compile_to(directory: Path, name: str) -> Path:
    program = directory / name
    source = DATA / f"{name}.c"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", program, source], check=True)
    return program


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = image.Image()
    directory = tmp_path_factory.mktemp("program")
    for name in ("offloads", "raw-virtio-net"):
        wanted.add(compile_to(directory, name), to=f"/usr/bin/{name}")
    return wanted.build()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offloads")


@pytest.fixture(scope="module")
def result(machine: Path, directory: Path) -> dict[str, Any]:
    done = run_script(SCRIPT, machine, directory)
    assert done.status == 0, done.errors
    return done.result


def packets(path: Path) -> list[dpkt.ethernet.Ethernet]:
    with path.open("rb") as file:
        return [dpkt.ethernet.Ethernet(frame) for _, frame in dpkt.pcap.Reader(file)]


def connection(path: Path) -> list[tuple[object, ...]]:
    """Return a connection's frames, without what is random in it or follows from that."""
    first: dict[int, dpkt.ip.IP | dpkt.ip6.IP6] = {}  # by source port: the SYNs
    seen = []
    with path.open("rb") as file:
        for time, raw in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(raw).data
            tcp = ip.data
            if not isinstance(tcp, dpkt.tcp.TCP):
                continue
            own = first.setdefault(tcp.sport, ip)
            peer = first.get(tcp.dport)
            seen.append(
                (
                    *(time, len(raw), tcp.sport == 5001, tcp.flags, tcp.win, tcp.data),
                    (tcp.seq - own.data.seq) % 2**32,
                    (tcp.ack - peer.data.seq) % 2**32 if peer else 0,
                    # An id counts up from what the SYN of a client had; a server's has 0.
                    (ip.tos, ip.df, ip.ttl, (ip.id - own.id) % 2**16 if tcp.sport != 5001 else 0)
                    if isinstance(ip, dpkt.ip.IP)
                    else (ip.fc, ip.hlim, ip.plen),
                )
            )
    return seen


def test_the_guest_sees_what_its_nic_does(result: dict[str, Any]):
    assert result["off"]["features"] == {"tso": "0", "gro": "1", "tx": "1", "rx": "1"}
    assert result["on"]["features"] == {"tso": "1", "gro": "1", "tx": "1", "rx": "1"}


@pytest.mark.parametrize("family", ["v4", "v6"])
@pytest.mark.parametrize("end", ["sender", "receiver"])
def test_the_frames_are_those_that_the_kernel_would_have_made_itself(
    result: dict[str, Any], directory: Path, family: str, end: str
):
    on, off = (connection(directory / f"{name}-{family}-{end}.pcap") for name in ("on", "off"))
    assert on == off
    assert result["on"]["received"][family] == 1_500_000


@pytest.mark.usefixtures("result")
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_each_frame_is_whole(directory: Path, family: str):
    """As dpkt makes it, whose checksums are its own."""
    path, data, flags = directory / f"on-{family}-sender.pcap", {}, []
    for frame in packets(path):
        raw, ip = bytes(frame), frame.data
        if not isinstance(ip.data, dpkt.tcp.TCP) or (ip.data.sport, len(ip.data.data)) == (0, 0):
            continue
        ip.data.sum = 0
        if family == "v4":
            ip.sum = 0
        assert bytes(frame) == raw
        if ip.data.data:
            data.setdefault(ip.data.seq, bytes(ip.data.data))
            flags.append(ip.data.flags)
    first = min(data)
    stream = b"".join(data[seq] for seq in sorted(data))
    assert len(stream) == max(data) + len(data[max(data)]) - first >= 1_500_000
    if family == "v4":
        # The router has marked some, and it is said once for each window (RFC 3168).
        assert 0 < sum(bool(flag & dpkt.tcp.TH_CWR) for flag in flags) < 50


def test_both_hosts_do_less(result: dict[str, Any]):
    def executed(name: str, family: str, end: int) -> int:
        return result[name][f"{family} after"][end] - result[name][f"{family} before"][end]

    for family in ("v4", "v6"):
        for end, most in ((0, 0.95), (1, 1)):
            assert executed("on", family, end) < most * executed("off", family, end)


RETARDED = """
nodes, devices = point_to_point("20Mbps", "1ms")
vms = []
for i, address in enumerate((CLIENT, SERVER)):
    vm = helper().Install(nodes.Get(i))
    nic = vm.GetNic(devices.Get(i))
    nic.SetAttribute("Offloads", ns.BooleanValue(True))
    nic.SetAttribute("BackPressure", ns.BooleanValue(True))
    nic.SetAttribute("RxUsecs", ns.UintegerValue(5000))
    nic.SetAttribute("RxFrames", ns.UintegerValue({frames}))
    vm.AddAddress(devices.Get(i), address + "/24")
    vms.append(vm)
devices.Get(0).GetQueue().SetMaxSize(ns.QueueSize("5p"))
drops = [0]
def dropped(_packet):
    drops[0] += 1
ns3_qemu.trace(devices.Get(0), "MacTxDrop", dropped)
received = sink(nodes.Get(1))
source(nodes.Get(0), start="0.5s", limit=1_000_000)
helper().EnablePcap("sender.pcap", devices.Get(0), False, True)
helper().EnablePcap("receiver.pcap", devices.Get(1), False, True)
ns.Simulator.Stop(ns.Seconds(2))
ns3_qemu.Run()
RESULT.update(drops=drops[0], received=int(received.GetTotalRx()))
finish()
"""


def acknowledgments(path: Path) -> list[int]:
    inner = [frame.data.data for frame in packets(path)]
    return [tcp.ack for tcp in inner if isinstance(tcp, dpkt.tcp.TCP) and tcp.sport == 5001]


@pytest.mark.parametrize("frames", [0, 4])
def test_segments_wait_for_room_and_interrupts_for_frames(
    machine: Path, tmp_path: Path, frames: int
):
    done = run_script(RETARDED.format(frames=frames), machine, tmp_path)
    assert done.status == 0, done.errors
    assert done.result == {"drops": 0, "received": 1_000_000}
    with (tmp_path / "sender.pcap").open("rb") as file:
        sent = [(time, len(frame)) for time, frame in dpkt.pcap.Reader(file)]
    # Five wait at the link, so frames leave as it sends them: 1502 bytes in 600.8 us.
    large = [float(time) for time, length in sent if length == 1514]
    assert (large[400] - large[300]) / 100 == pytest.approx(600.8e-6, rel=0.05)
    # GRO makes one of what comes at once, which has one acknowledgment: of the first frame and
    # what comes within 5 ms of it, or of 4.
    acks = acknowledgments(tmp_path / "receiver.pcap")
    assert (acks[-5] - acks[-25]) / 20 / 1448 == pytest.approx(frames or 9, abs=0.5)


HOSTILE = """
nodes, devices = point_to_point()
vm = helper().Install(nodes.Get(0))
nic = vm.GetNic(devices.Get(0))
vm.AddAddress(devices.Get(0), CLIENT + "/24")
refused = []
ns3_qemu.trace(nic, "MacTxDrop", lambda packet: refused.append(int(packet.GetSize())))
program = ns3_qemu.Program(nodes.Get(0), ["raw-virtio-net", "GLCN"], start=1)
ns.Simulator.Stop(ns.Seconds(2))
ns3_qemu.Run()
RESULT.update(code=program.exit_code, refused=refused,
              unsent=[int(reason.second) for reason in nic.GetUnsent()])
finish()
"""


def test_what_makes_no_sense_to_a_nic_is_dropped_counted_and_told_once(
    machine: Path, tmp_path: Path
):
    done = run_script(HOSTILE, machine, tmp_path)
    assert done.status == 0, done.errors
    assert done.result["code"] == 0
    assert done.result["refused"] == [60] * 4
    assert done.result["unsent"] == [4]
    assert done.errors.count("its NIC cannot segment it") == 1
