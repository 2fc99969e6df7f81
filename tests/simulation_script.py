# SPDX-License-Identifier: GPL-2.0-only
"""What the scripts of test_simulation_* are made of. Runs in a process of its own, with ns-3."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import ns3_qemu

ns = ns3_qemu.load()

IMAGE = Path(sys.argv[1])
RESULT: dict[str, Any] = {}
SERVER = "10.0.0.2"
CLIENT = "10.0.0.1"
PORT = 5001


def helper() -> Any:
    return ns3_qemu.QemuHelper(directory=IMAGE)


def point_to_point(rate: str = "10Mbps", delay: str = "5ms") -> tuple[Any, Any]:
    """Return two nodes, joined, and their devices."""
    nodes = ns.NodeContainer()
    nodes.Create(2)
    link = ns.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns.StringValue(rate))
    link.SetChannelAttribute("Delay", ns.StringValue(delay))
    return nodes, link.Install(nodes)


def csma() -> tuple[Any, Any]:
    nodes = ns.NodeContainer()
    nodes.Create(2)
    segment = ns.CsmaHelper()
    segment.SetChannelAttribute("DataRate", ns.StringValue("100Mbps"))
    segment.SetChannelAttribute("Delay", ns.StringValue("6560ns"))
    return nodes, segment.Install(nodes)


def machine(qemu: Any, node: Any, device: Any, address: str) -> Any:
    made = qemu.Install(node)
    made.AddAddress(device, f"{address}/24")
    return made


def native(node: Any, device: Any, address: str) -> None:
    ns.InternetStackHelper().Install(node)
    helper_ = ns.Ipv4AddressHelper()
    mask = ns.Ipv4Mask("255.255.255.0")
    base = ns.Ipv4Address("0.0.0." + address.rpartition(".")[2])
    helper_.SetBase(ns.Ipv4Address("10.0.0.0"), mask, base)
    helper_.Assign(ns.NetDeviceContainer(device))


def endpoint(address: str) -> Any:
    return ns.InetSocketAddress(ns.Ipv4Address(address), PORT).ConvertTo()


def source(node: Any, *, start: str = "1s", limit: int = 0) -> Any:
    application = ns.CreateObject[ns.QemuTcpSource]()
    application.SetAttribute("Remote", ns.AddressValue(endpoint(SERVER)))
    application.SetAttribute("MaxBytes", ns.UintegerValue(limit))
    application.SetStartTime(ns.Time(start))
    node.AddApplication(application)
    return application


def sink(node: Any) -> Any:
    application = ns.CreateObject[ns.QemuTcpSink]()
    application.SetAttribute("Local", ns.AddressValue(endpoint("0.0.0.0")))
    node.AddApplication(application)
    return application


def attribute(kind: int, data: bytes) -> bytes:
    """Return an attribute of a netlink message."""
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Take attributes of a netlink message apart."""
    found = {}
    while data:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def netlink(machine: Any, protocol: int, kind: int, flags: int, payload: bytes) -> bytes:
    """Send the guest's kernel a netlink message; return the payload of the first that answers it.

    Flags: 1 request, 4 acknowledge, 0x100 replace, 0x400 create.
    """
    message = struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload
    return bytes(machine.Netlink(protocol, message))[16:]


def finish() -> None:
    """Hand the results over."""
    print("RESULT " + json.dumps(RESULT), flush=True)
