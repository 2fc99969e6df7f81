# SPDX-License-Identifier: GPL-2.0-only
"""Whether ns-3 has what an experiment names of it: ns-3 itself would end the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import nearest
from ..simulated_time import to_time
from ..simulation import load
from .errors import ExperimentError
from .model import Experiment, Link, Loss, QueueDisc

_MACHINE = "ns3::VirtualMachine"


def check_attributes(experiment: Experiment) -> None:
    """Raise ExperimentError, which begins with the key, for what ns-3 has not."""
    for name, value in experiment.ns3_defaults.items():
        kind, _, attribute = name.rpartition("::")
        if not load().LookupByNameFailSafe(kind)[0]:
            message = f"ns3_defaults.{name}: ns-3 has no {kind}"
            raise ExperimentError(message)
        _check("ns3_defaults", kind, {attribute: value})
    _check("defaults.attributes", _MACHINE, experiment.defaults.attributes)
    for kind, nodes in (("hosts", experiment.hosts), ("routers", experiment.routers)):
        for name, node in nodes.items():
            _check(f"{kind}.{name}.attributes", _MACHINE, node.attributes)
    for name, link in experiment.links.items():
        _check_link(f"links.{name}", link)


def _check_link(place: str, link: Link) -> None:
    for key, disc, loss in (
        ("", link.queue_disc, link.loss),
        *((f"ends.{name}.", end.queue_disc, end.loss) for name, end in link.ends.items()),
    ):
        if disc is not None:
            _check_disc(f"{place}.{key}queue_disc", disc)
        if loss is not None and loss.type is not None:
            _check_loss(f"{place}.{key}loss", loss)
    if link.type == "wifi":
        ns = load()
        if not hasattr(ns, f"WIFI_STANDARD_{link.standard}"):
            message = f"{place}.standard: ns-3 has no WIFI_STANDARD_{link.standard}"
            raise ExperimentError(message)
        manager = f"ns3::{link.rate_control}WifiManager"
        _type(f"{place}.rate_control", manager, "ns3::WifiRemoteStationManager")


def _check_disc(place: str, disc: QueueDisc) -> None:
    name = f"ns3::{disc.type}QueueDisc"
    _type(f"{place}.type", name, "ns3::QueueDisc")
    _check(f"{place}.attributes", name, disc.attributes)


def _check_loss(place: str, loss: Loss) -> None:
    _type(f"{place}.type", loss.type or "", "ns3::ErrorModel")
    _check(f"{place}.attributes", loss.type or "", loss.attributes)


def _type(place: str, name: str, parent: str) -> None:
    """Raise an error unless ns-3 has this type, and it is one of these."""
    ns = load()
    found = ns.LookupByNameFailSafe(name)
    wanted = ns.TypeId.LookupByName(parent)
    if not found[0] or not found[1].IsChildOf(wanted) or not found[1].HasConstructor():
        hint = nearest(name, sorted(_children(ns, wanted)))
        message = f"{place}: ns-3 has no {name}{hint}"
        raise ExperimentError(message)


def _children(ns: Any, parent: Any) -> list[str]:
    registered = (ns.TypeId.GetRegistered(i) for i in range(int(ns.TypeId.GetRegisteredN())))
    return [str(t.GetName()) for t in registered if t.IsChildOf(parent) and t.HasConstructor()]


def _check(place: str, type_name: str, values: Mapping[str, str]) -> None:
    ns = load()
    if not values:
        return
    attributes: dict[str, Any] = {}
    kind = ns.TypeId.LookupByName(type_name)
    while True:
        for i in range(int(kind.GetAttributeN())):
            attribute = kind.GetAttribute(i)
            attributes.setdefault(str(attribute.name), attribute)
        if not kind.HasParent():
            break
        kind = kind.GetParent()
    for name, text in values.items():
        if name not in attributes:
            hint = nearest(name, sorted(attributes))
            message = f"{place}.{name}: {type_name} has no such attribute{hint}"
            raise ExperimentError(message)
        checker = attributes[name].checker
        kind_of_value = str(checker.GetValueTypeName()).removeprefix("ns3::").removesuffix("Value")
        if not _is_value(checker, kind_of_value, text):
            limits = str(checker.GetUnderlyingTypeInformation())
            message = f"{place}.{name}: {text!r} is no {kind_of_value} {limits}".rstrip()
            raise ExperimentError(message)


def _is_value(checker: Any, kind: str, text: str) -> bool:
    if kind == "Time":  # of which ns-3 ends the process if it cannot read one
        try:
            to_time(text)
        except ValueError:
            return False
    return bool(checker.CreateValidValue(load().StringValue(text)))
