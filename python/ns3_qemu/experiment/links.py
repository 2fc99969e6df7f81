# SPDX-License-Identifier: GPL-2.0-only
"""The links of an experiment, in ns-3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .model import End, Link, Loss, QueueDisc
from .quantities import ns3_rate, ns3_time

if TYPE_CHECKING:
    from .build import Builder

PPP_HEADER, ETHERNET_HEADER = 2, 14

_DROP_TAIL = "ns3::DropTailQueue<Packet>"
_QUEUE, _QUEUE_BEHIND_DISC = "100p", "2p"
_APART = 5.0  # m, from an access point


def queue_disc(link: Link, node: str) -> QueueDisc | None:
    """Return the queue disc of an end."""
    return _end(link, node).queue_disc or link.queue_disc


def loss(link: Link, node: str) -> Loss | None:
    """Return what is lost as it arrives at an end."""
    return _end(link, node).loss or link.loss


def queue_size(link: Link, node: str) -> str:
    """Return the size of an end's queue, as ns-3 writes it."""
    said = _end(link, node).queue or link.queue
    return said or (_QUEUE_BEHIND_DISC if queue_disc(link, node) else _QUEUE)


def link_header(link: Link) -> int:
    """Return how many bytes a device has before the IP header."""
    return PPP_HEADER if link.type == "point-to-point" else ETHERNET_HEADER


def _end(link: Link, node: str) -> End:
    return link.ends.get(node) or End()


class LinkBuilder:
    """Makes a link's devices, and keeps the helper that has made them."""

    def __init__(self, builder: Builder, name: str, link: Link) -> None:
        self._b, self._name, self.link = builder, name, link
        self.helper: Any = None

    def make(self) -> None:
        """Make the devices."""
        make = {
            "point-to-point": self._point_to_point,
            "csma": self._csma,
            "wifi": self._wifi,
        }[self.link.type]
        devices = self._b.named(make(), f"{self._name}_devices")
        for i, node in enumerate(self.link.between):
            device = self._b.named(devices.Get(i), f"{node}_{self._name}")
            self._b.devices[node, self._name] = device
            if self.link.type != "wifi":
                self._set_up(node, device)

    def _set_up(self, node: str, device: Any) -> None:
        ns = self._b.ns
        rate = _end(self.link, node).rate
        if rate is not None:
            device.SetAttribute("DataRate", ns.StringValue(ns3_rate(rate)))
        device.GetQueue().SetMaxSize(ns.QueueSize(queue_size(self.link, node)))
        if self.link.mtu is not None:
            device.SetMtu(self.link.mtu)

    def _has_discs(self) -> bool:
        return any(queue_disc(self.link, node) for node in self.link.between)

    def _cabled(self, helper: Any, set_rate: str) -> Any:
        """Give a helper of cables the link's rate, delay and queues."""
        ns, link = self._b.ns, self.link
        self.helper = helper = self._b.named(helper, f"{self._name}_helper")
        getattr(helper, set_rate)("DataRate", ns.StringValue(ns3_rate(link.rate or 0)))
        helper.SetChannelAttribute("Delay", ns.StringValue(ns3_time(link.delay or 0)))
        helper.SetQueue(_DROP_TAIL)
        if not self._has_discs():
            # With flow control a full queue makes the layer above drop, where nothing counts it.
            helper.DisableFlowControl()
        return helper

    def _point_to_point(self) -> Any:
        helper = self._cabled(self._b.ns.PointToPointHelper(), "SetDeviceAttribute")
        left, right = (self._b.nodes[node] for node in self.link.between)
        return helper.Install(left, right)

    def _csma(self) -> Any:
        helper = self._cabled(self._b.ns.CsmaHelper(), "SetChannelAttribute")
        return helper.Install(self._container(self.link.between))

    def _container(self, names: list[str]) -> Any:
        container = self._b.named(self._b.ns.NodeContainer(), f"{self._name}_nodes")
        for name in names:
            container.Add(self._b.nodes[name])
        return container

    def _wifi(self) -> Any:
        ns, link, b = self._b.ns, self.link, self._b
        channel = b.named(ns.YansWifiChannelHelper.Default(), f"{self._name}_channel")
        self.helper = phy = b.named(ns.YansWifiPhyHelper(), f"{self._name}_helper")
        phy.SetChannel(channel.Create())
        wifi = b.named(ns.WifiHelper(), f"{self._name}_wifi")
        wifi.SetStandard(getattr(ns, f"WIFI_STANDARD_{link.standard}"))
        wifi.SetRemoteStationManager(f"ns3::{link.rate_control}WifiManager")
        mac = b.named(ns.WifiMacHelper(), f"{self._name}_mac")
        ssid = b.named(ns.SsidValue(ns.Ssid(self._name[:32])), f"{self._name}_ssid")
        mac.SetType("ns3::ApWifiMac", "Ssid", ssid)
        devices = b.named(
            ns.NetDeviceContainer(wifi.Install(phy, mac, b.nodes[link.between[0]])),
            f"{self._name}_devices",
        )
        mac.SetType("ns3::StaWifiMac", "Ssid", ssid)
        for name in link.between[1:]:
            devices.Add(wifi.Install(phy, mac, b.nodes[name]))
        places = b.named(ns.CreateObject[ns.ListPositionAllocator](), f"{self._name}_places")
        for i, name in enumerate(link.between):
            x, y = link.positions.get(name, (_APART if i else 0.0, 0.0))
            places.Add(ns.Vector(x, y, 0.0))
        mobility = b.named(ns.MobilityHelper(), f"{self._name}_mobility")
        mobility.SetPositionAllocator(places)
        mobility.SetMobilityModel("ns3::ConstantPositionMobilityModel")
        for name in link.between:
            mobility.Install(b.nodes[name])
        return devices


def make_loss(builder: Builder, wanted: Loss, header: int, hint: str) -> Any:
    """Return an error model of ns-3."""
    ns = builder.ns
    if wanted.segment is not None:
        model = builder.named(ns.CreateObject[ns.TcpSegmentErrorModel](), hint)
        model.SetAttribute("Segment", ns.UintegerValue(wanted.segment))
        model.SetAttribute("Count", ns.UintegerValue(wanted.count))
        model.SetAttribute("LinkHeader", ns.UintegerValue(header))
    elif wanted.type is not None:
        factory = builder.named(ns.ObjectFactory(wanted.type), f"{hint}_factory")
        for name, value in wanted.attributes.items():
            factory.Set(name, ns.StringValue(value))
        model = builder.named(factory.Create[ns.ErrorModel](), hint)
    else:
        model = builder.named(ns.CreateObject[ns.RateErrorModel](), hint)
        model.SetAttribute("ErrorUnit", ns.StringValue("ERROR_UNIT_PACKET"))
        model.SetAttribute("ErrorRate", ns.DoubleValue(wanted.probability or 0.0))
    return model
