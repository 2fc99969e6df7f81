# SPDX-License-Identifier: GPL-2.0-only
"""The reference of all keys of an experiment, for the manual: `python -m` prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from . import model
from .quantities import (
    Probability,
    QueueSize,
    Rate,
    Size,
    Time,
    probability_text,
    rate_text,
    size_text,
    time_text,
)

_WIDTH = 120

# Each table, with how it begins in a file.
_TABLES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("At the top", model.Experiment),
    ("``[defaults]``", model.Defaults),
    ("``[hosts.NAME]``", model.Host),
    ("``[routers.NAME]``", model.Router),
    ("``[[hosts.NAME.programs]]``", model.Program),
    ('``[hosts.NAME.files."/PATH"]``', model.File),
    ("``[links.NAME]``", model.Link),
    ("``[links.NAME.ends.HOST]``", model.End),
    ("``queue_disc``", model.QueueDisc),
    ("``loss``", model.Loss),
    ("``[[links.NAME.trace]]``", model.Trace),
    ("``[flows.NAME]``", model.Flow),
    ("``[[events]]``", model.Event),
    ("``[record]``", model.Record),
)

_QUANTITIES: dict[Any, tuple[str, Callable[[Any], str]]] = {
    Time: ("time", time_text),
    Rate: ("rate", rate_text),
    Size: ("size", size_text),
    QueueSize: ("queue size", str),
    Probability: ("probability", probability_text),
}
_PLAIN = {str: "text", int: "number", bool: "true or false"}
_NAMED = {
    id(model.Exit): "number, list or text",
    id(model.Command): "text or list",
    id(model.Pcaps): "true, false or list",
    id(model.Attributes): "table",
    id(model.Sysctls): "table",
    id(model.Mode): "text",
}


def reference() -> str:
    """Return the text."""
    parts = []
    for title, table in _TABLES:
        lines = [title, "#" * len(title), ""]
        fields = _own_fields(table)
        if len(fields) < len(table.model_fields):
            lines += ["All keys of ``[defaults]``, and:", ""]
        for name, field in fields.items():
            lines += _entry(field.alias or name, field, table)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _own_fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields that a table does not have from the one it extends."""
    inherited: dict[str, Any] = {}
    for parent in table.__mro__[1:]:
        if issubclass(parent, model.Table):
            inherited.update(parent.model_fields)
    return {
        name: field
        for name, field in table.model_fields.items()
        if name not in inherited or inherited[name].description != field.description
    }


def _entry(key: str, field: FieldInfo, table: type[BaseModel]) -> list[str]:
    kind = _kind(_annotation(table, field, key))
    if field.is_required():
        default = "needed"
    else:
        default = _default(field.default, _annotation(table, field, key))
    head = ", ".join(word for word in (kind, default) if word)
    text = f"- ``{key}`` ({head}): {field.description}"
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _annotation(table: type[BaseModel], field: FieldInfo, key: str) -> Any:
    """Return how the model has it, which pydantic takes apart."""
    for owner in table.__mro__:
        for name, text in vars(owner).get("__annotations__", {}).items():
            own = table.model_fields.get(name)
            if own is not None and (own.alias or name) == key:
                return eval(text, vars(model)) if isinstance(text, str) else text
    return field.annotation


def _kind(annotation: Any) -> str:
    if id(annotation) in _NAMED:
        return _NAMED[id(annotation)]
    for quantity, (name, _) in _QUANTITIES.items():
        if annotation is quantity:
            return name
    options = [each for each in get_args(annotation) if each is not type(None)]
    origin = get_origin(annotation)
    if origin is dict:
        return "tables by name" if _is_table(options[-1]) else "table"
    if origin is list:
        return "list of tables" if _is_table(options[0]) else "list"
    if origin is not None and "Literal" in str(origin):
        return " or ".join(f'"{each}"' for each in options)
    if len(options) == 1 or (options and "Union" in type(annotation).__name__ + str(origin)):
        return _kind(options[0])
    if _is_table(annotation):
        return "table"
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    return _kind(options[0]) if options else "text"


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _default(value: Any, annotation: Any) -> str:
    if value is None or value in ([], {}) or isinstance(value, BaseModel):
        return ""
    for quantity, (_, shown) in _QUANTITIES.items():
        if annotation is quantity or quantity in get_args(annotation):
            return f'"{shown(value)}"'
    if annotation is model.Mode:
        return f'"{value:03o}"'
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(reference(), end="")
