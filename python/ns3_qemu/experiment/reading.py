# SPDX-License-Identifier: GPL-2.0-only
"""Reads experiments, and writes them as they were run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import tomli_w
from pydantic import BaseModel, ValidationError

from ..errors import did_you_mean, nearest
from .addresses import plan
from .errors import ExperimentError
from .model import Experiment, Link


def read(path: Path, settings: Sequence[str] = ()) -> Experiment:
    """Read an experiment; `settings` ("links.a.rate=2 Mbit/s") take the place of what it says.

    Raises ExperimentError, one line that begins with the file and the key.
    """
    table = read_table(path)
    _take_files(table, path)
    return parse(table, settings, where=str(path))


def _take_files(table: dict[str, Any], path: Path) -> None:
    """Put the text of files that are copies into the experiment."""
    nodes = {"defaults": table.get("defaults")}
    for kind in ("hosts", "routers"):
        for name, node in _items(table.get(kind)):
            nodes[f"{kind}.{name}"] = node
    for place, node in nodes.items():
        for name, file in _items(node.get("files") if isinstance(node, dict) else None):
            if not isinstance(file, dict) or not isinstance(file.get("from"), str):
                continue
            if "text" in file:
                continue  # which is an error
            source = path.parent / file.pop("from")
            try:
                file["text"] = source.read_text()
            except (OSError, UnicodeDecodeError) as error:
                cause = error.strerror if isinstance(error, OSError) else "is no text"
                message = f"{path}: {place}.files.{name}.from: {source}: {cause}"
                raise ExperimentError(message) from error


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def read_table(path: Path) -> dict[str, Any]:
    """Read an experiment as TOML has it, unchecked."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        message = f"{path}: {cause}"
        raise ExperimentError(message) from error


def parse(table: Mapping[str, Any], settings: Sequence[str] = (), *, where: str = "") -> Experiment:
    """Check an experiment; `where`: what errors begin with."""
    data = _copied(table)
    for setting in settings:
        _set(data, setting)
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        begin = f"{where}: " if where else ""
        message = begin + _explain(error)
        raise ExperimentError(message) from None


def as_said(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as a table that has what has been said, and no defaults."""
    return experiment.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)


def resolved(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as a table with all its defaults and addresses; it means the same."""
    addresses = plan(experiment)
    options: dict[str, Any] = {"mode": "json", "by_alias": True, "exclude_none": True}
    table = experiment.model_dump(**options)
    table.pop("matrix", None)
    table.pop("defaults", None)
    for kind in ("hosts", "routers"):
        for name in table[kind]:
            if experiment.is_native(name):
                table[kind][name] = {"kernel": table[kind][name]["kernel"]}
            else:
                table[kind][name] = experiment.machine(name).model_dump(**options)
    for name, link in table["links"].items():
        link["network"] = addresses.networks[name]
        link["addresses"] = {
            node: addresses.interfaces[node, name].address for node in link["between"]
        }
        if link["type"] != "wifi":
            for key in ("standard", "rate_control", "positions"):
                link.pop(key, None)
        # Always in the same order, whatever has been said.
        table["links"][name] = {key: link[key] for key in keys_of(Link) if key in link}
    _drop_empty(table)
    return table


def to_toml(experiment: Experiment) -> str:
    """Return the text of `resolved`."""
    return tomli_w.dumps(resolved(experiment), multiline_strings=True)


def _drop_empty(table: dict[str, Any]) -> None:
    """Leave out empty tables and lists, which are the defaults."""
    for key, value in list(table.items()):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _drop_empty(each)
        if value in ({}, []):
            del table[key]


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(each) for each in value]
    return value


def _set(data: dict[str, Any], setting: str) -> None:
    """Carry out one --set."""
    key, equals, text = setting.partition("=")
    # The name of a kernel parameter has dots of its own; so has a file's.
    head, inner, tail = _opaque(key.strip())
    path = [*head.split("."), *([inner, tail] if inner else [])]
    if not equals or not all(path):
        message = f"--set {setting}: give KEY=VALUE, as links.access.rate=10 Mbit/s"
        raise ExperimentError(message)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # "2 Mbit/s" need not be quoted on a command line
    here: Any = data
    for i, part in enumerate(path):
        place = ".".join(path[: i + 1])
        if isinstance(here, list):
            if not re.fullmatch(r"\d+", part) or int(part) >= len(here):
                message = f"--set {setting}: {place}: there are {len(here)}, counted from 0"
                raise ExperimentError(message)
            index: Any = int(part)
        elif isinstance(here, dict):
            index = part
        else:
            message = f"--set {setting}: {'.'.join(path[:i])} is no table"
            raise ExperimentError(message)
        if i == len(path) - 1:
            here[index] = value
        else:
            here = here[index] if isinstance(here, list) else here.setdefault(index, {})


def _opaque(key: str) -> tuple[str, str, str]:
    for inner in ("sysctls", "files"):
        head, dot, tail = key.partition(f".{inner}.")
        if dot:
            return head, inner, tail
    return key, "", ""


# --- what is wrong, in one line


def _explain(error: ValidationError) -> str:
    """Return one error, with the place of the key before it."""
    errors = error.errors(include_url=False)
    # A key that is misspelt explains one that is missing.
    found = next((each for each in errors if each["type"] == "extra_forbidden"), errors[0])
    context = found.get("ctx", {})
    place = _place(found["loc"], context.get("place", ""))
    kind = found["type"]
    if kind == "extra_forbidden":
        *table, word = found["loc"]
        return f"{place}: there is no such key{nearest(str(word), _keys(table))}"
    if kind == "missing":
        return f"{place}: is missing"
    text = str(context.get("message") or context.get("error") or "")
    if not text:
        text = _plain(kind, context, found["msg"], found.get("input"))
    line = " ".join(text.split())
    return f"{place}: {line}" if place else line


def _place(location: Sequence[int | str], below: str) -> str:
    parts = [str(part) for part in location if part != "[key]"]
    return ".".join([*parts, *([below] if below else [])])


_EXPECTED = {
    "string_type": "give a text in quotes",
    "int_type": "give a whole number",
    "int_from_float": "give a whole number",
    "bool_type": "give true or false",
    "dict_type": "give a table",
    "model_type": "give a table",
    "list_type": "give a list, in brackets",
    "model_attributes_type": "give a table",
}


def _plain(kind: str, context: Mapping[str, Any], message: str, value: Any) -> str:
    """Say in this project's words what pydantic says."""
    shown = repr(value) if isinstance(value, str | int | float | bool) else ""
    if kind in _EXPECTED:
        return f"{shown}: {_EXPECTED[kind]}" if shown else _EXPECTED[kind]
    if kind == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        near = did_you_mean(str(value), choices.split(", "))
        return f"{value!r}: there are {choices}{near}"
    limits = {"greater_than_equal": "ge", "less_than_equal": "le", "less_than": "lt"}
    if kind in limits:
        words = {"ge": "at least", "le": "at most", "lt": "below"}
        return f"{value!r}: give {words[limits[kind]]} {context[limits[kind]]}"
    return message


def _keys(location: Sequence[int | str]) -> list[str]:
    """Return the keys of the table at a place."""
    kind: Any = Experiment
    for part in location:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = next(
                field for name, field in kind.model_fields.items() if (field.alias or name) == part
            )
            kind = field.annotation
        else:
            # Of a table by names, or of a list: what is in it.
            kind = get_args(kind)[-1]
        kind = _model_in(kind)
    return keys_of(kind)


def _model_in(kind: Any) -> Any:
    """Return the model that an optional type or a union has."""
    for each in get_args(kind):
        if isinstance(each, type) and issubclass(each, BaseModel) and not _is_container(kind):
            return each
    return kind


def _is_container(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (dict, list)


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of a table, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]
