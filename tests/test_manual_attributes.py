# SPDX-License-Identifier: GPL-2.0-only
"""The attributes that the manual (qemu.rst) lists are those of the code, with their defaults.

Its section "Attributes" has a form: a paragraph of type names, as in ``ns3::QemuTcpSink``, begins a
type or several, and ``Name`` (type, default) quotes an attribute of theirs.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

MANUAL = Path(__file__).parents[1] / "ns3-module" / "doc" / "qemu.rst"

SCRIPT = """
KINDS = {
    "AddressValue": lambda check: "Address",
    "BooleanValue": lambda check: "bool",
    "DataRateValue": lambda check: "DataRate",
    "DoubleValue": lambda check: "double",
    "ObjectPtrContainerValue": lambda check: "list",
    "StringValue": lambda check: "string",
    "TimeValue": lambda check: "Time",
    "TypeIdValue": lambda check: "TypeId",
    "UintegerValue": lambda check: check.split("_t")[0],
}
for i in range(ns.TypeId.GetRegisteredN()):
    type_ = ns.TypeId.GetRegistered(i)
    if str(type_.GetGroupName()) != "Qemu":
        continue
    for k in range(type_.GetAttributeN()):
        attribute = type_.GetAttribute(k)
        value = str(attribute.checker.GetValueTypeName()).removeprefix("ns3::")
        kind = KINDS[value](str(attribute.checker.GetUnderlyingTypeInformation()))
        default = attribute.originalInitialValue
        RESULT.setdefault(str(type_.GetName()), {})[str(attribute.name)] = [
            kind,
            # A time's text has too few digits.
            str(default.__deref__().Get().GetNanoSeconds()) if kind == "Time"
            else str(default.SerializeToString(attribute.checker)),
        ]
finish()
"""

_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}


def _as_code(kind: str, text: str) -> str:
    """Return a default that the manual quotes as the code has it."""
    if kind == "Time":
        number, unit = text.split(" ")
        return str(int(number) * _NS[unit])
    if kind == "string":
        quoted = re.fullmatch('"(.*)"', text)
        assert quoted, f"a string needs quotation marks: {text}"
        return quoted[1]
    if kind.startswith("uint"):
        return text.replace(",", "")
    return "" if text == "unset" else text


def _quoted() -> dict[str, dict[str, list[str]]]:
    text = MANUAL.read_text()
    (section,) = re.findall(r"^Attributes\n=+\n(.*?)^\w+\n=+$", text, re.MULTILINE | re.DOTALL)
    quoted: dict[str, dict[str, list[str]]] = {}
    types: list[str] = []
    for paragraph in section.split("\n\n"):
        if paragraph.startswith("``ns3::"):
            names = paragraph.partition(", besides ")[0]
            types = re.findall(r"``(ns3::\w+)``", names)
            continue
        for name, kind, default in re.findall(
            r"``(\w+)``\s\((string|Time|TypeId|DataRate|bool|double|list|Address|uint\d+)(?:,\s([^)]+))?\)",
            paragraph,
        ):
            for type_ in types:
                seen = quoted.setdefault(type_, {})
                assert name not in seen, f"{type_}::{name} is there twice"
                seen[name] = [kind, _as_code(kind, default)]
    return quoted


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, Path("no-image"), tmp_path_factory.mktemp("attributes"))
    assert done.status == 0, done.errors
    return done.result


def test_the_manual_has_all_attributes_and_no_others(declared: dict[str, Any]):
    quoted = {type_: sorted(attributes) for type_, attributes in _quoted().items()}
    assert quoted == {type_: sorted(attributes) for type_, attributes in declared.items()}


def test_types_and_defaults_in_the_manual_are_those_of_the_code(declared: dict[str, Any]):
    quoted = _quoted()
    wrong = {
        f"{type_}::{name}": {"code": attribute, "manual": quoted[type_][name]}
        for type_, attributes in declared.items()
        for name, attribute in attributes.items()
        if quoted.get(type_, {}).get(name, attribute) != attribute
    }
    assert wrong == {}
