# SPDX-License-Identifier: GPL-2.0-only
"""Addresses, names of interfaces, /etc/hosts and routes of an experiment: all before ns-3."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

import networkx as nx

from .errors import ExperimentError
from .model import Experiment

_PREFIX = 24  # of a link's network, if it is not said


@dataclass(frozen=True)
class Interface:
    """A node's end of a link."""

    node: str
    link: str
    name: str
    """eth0, eth1, ... in the order of the links."""
    address: str
    prefix: int

    @property
    def with_prefix(self) -> str:
        """As "10.0.0.1/24"."""
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True)
class Route:
    """A route of a node."""

    network: str
    """With its prefix."""
    gateway: str
    interface: Interface


@dataclass
class Plan:
    """Who has which address, and which routes."""

    experiment: Experiment
    networks: dict[str, str] = field(default_factory=dict)
    """By link."""
    interfaces: dict[tuple[str, str], Interface] = field(default_factory=dict)
    """By node and link."""

    def of(self, node: str) -> list[Interface]:
        """Return a node's interfaces, eth0 first."""
        return [each for (name, _), each in self.interfaces.items() if name == node]

    def address(self, node: str) -> str:
        """Return the address that a node's name stands for: its first."""
        return self.of(node)[0].address

    def hosts_file(self, node: str) -> str:
        """Return a machine's /etc/hosts: all others, and itself."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
        for name in self.experiment.all_nodes:
            for i, each in enumerate(self.of(name)):
                names = [name] if i == 0 else []
                lines.append(f"{each.address} {' '.join([*names, f'{name}-{each.link}'])}")
        if not self.of(node):
            lines.append(f"127.0.1.1 {node}")
        return "\n".join(lines) + "\n"

    def routes(self, node: str) -> list[Route]:
        """Return a node's routes to networks that are not its own, by shortest paths.

        Hosts do not forward. Of equally short ones, the path is taken that the file names first.
        One router for everything is a default route.
        """
        own = {each.link for each in self.of(node)}
        found = []
        for link, network in self.networks.items():
            if link in own:
                continue
            gateway = self._gateway(node, link)
            if gateway is not None:
                found.append(Route(network, gateway[0].address, gateway[1]))
        ways = {(route.gateway, route.interface) for route in found}
        if len(ways) == 1 and node in self.experiment.hosts:
            return [Route("0.0.0.0/0", *ways.pop())]
        return found

    def default_route(self, node: str) -> Route | None:
        """Return the default route of a host that has one link with one router."""
        interfaces = self.of(node)
        if len(interfaces) != 1 or node in self.experiment.routers:
            return None
        link = interfaces[0].link
        routers = [n for n in self.experiment.links[link].between if n in self.experiment.routers]
        if len(routers) != 1:
            return None
        return Route("0.0.0.0/0", self.interfaces[routers[0], link].address, interfaces[0])

    def _gateway(self, node: str, link: str) -> tuple[Interface, Interface] | None:
        """Return the next hop on the way to a link, and the interface to it."""
        graph = nx.DiGraph()
        for name, each in self.experiment.links.items():
            for end in each.between:
                # A node leads onto a link if it is the one that sends, or forwards.
                if end == node or end in self.experiment.routers:
                    graph.add_edge(("node", end), ("link", name), weight=each.cost)
                graph.add_edge(("link", name), ("node", end), weight=0)
        try:
            path = nx.dijkstra_path(graph, ("node", node), ("link", link))
        except nx.NetworkXNoPath:
            return None
        first, hop = path[1][1], path[2][1]
        return self.interfaces[hop, first], self.interfaces[node, first]


def plan(experiment: Experiment) -> Plan:
    """Give each node its addresses. Raises ExperimentError for what is twice, or does not fit."""
    result = Plan(experiment)
    said = {name: link.network for name, link in experiment.links.items() if link.network}
    free = _free_networks(experiment.network, list(said.values()))
    for name in experiment.links:
        text = said.get(name) or next(free, None)
        if text is None:
            message = f"network: {experiment.network} has no room for the network of links.{name}"
            raise ExperimentError(message)
        network = ipaddress.IPv4Network(text)
        for other, there in result.networks.items():
            if network.overlaps(ipaddress.IPv4Network(there)):
                message = f"links.{name}.network: {network} overlaps that of links.{other}, {there}"
                raise ExperimentError(message)
        result.networks[name] = str(network)
        _give_addresses(result, name, network)
    return result


def _free_networks(whole: str, taken: list[str]) -> Iterator[str]:
    pool = ipaddress.IPv4Network(whole)
    others = [ipaddress.IPv4Network(each) for each in taken]
    for network in pool.subnets(new_prefix=max(_PREFIX, pool.prefixlen)):
        if not any(network.overlaps(other) for other in others):
            yield str(network)


def _give_addresses(result: Plan, name: str, network: ipaddress.IPv4Network) -> None:
    link = result.experiment.links[name]
    for node, text in link.addresses.items():
        address = ipaddress.IPv4Address(text)
        place = f"links.{name}.addresses.{node}"
        if address not in network:
            message = f"{place}: {address} is not in {network}"
            raise ExperimentError(message)
        if address in (network.network_address, network.broadcast_address):
            message = f"{place}: {address} is no host's in {network}"
            raise ExperimentError(message)
        if list(link.addresses.values()).count(text) > 1:
            message = f"{place}: {address} is there twice"
            raise ExperimentError(message)
    left = (str(each) for each in network.hosts() if str(each) not in link.addresses.values())
    for node in link.between:
        address_text = link.addresses.get(node) or next(left, None)
        if address_text is None:
            message = f"links.{name}.between: {network} has no address left for {node}"
            raise ExperimentError(message)
        result.interfaces[node, name] = Interface(
            node, name, f"eth{len(result.of(node))}", address_text, network.prefixlen
        )
