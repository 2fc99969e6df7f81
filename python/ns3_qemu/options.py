# SPDX-License-Identifier: GPL-2.0-only
"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .image_spec import OPTIONS

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="In place of what the scenario says: bottleneck.queue=40p. May be given several "
        "times.",
    ),
]

PauseAt = Annotated[
    str | None,
    typer.Option(
        "--pause-at",
        metavar="TIME",
        help="Stop at this simulated time (12.5s) with a prompt, for a look at everything.",
    ),
]

Record = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE",
        help="What is changed at the prompt goes here: DIR/pause.toml unless it is given.",
    ),
]

Replay = Annotated[
    Path | None,
    typer.Option(
        "--replay",
        metavar="FILE",
        help="Repeat what was changed at the prompt of another run.",
    ),
]


def of_image(name: str) -> Any:
    """Return the command line's flag for an option of images."""
    option = OPTIONS[name]
    metavar = option.unit.upper() or (
        "|".join(option.choices) or ("PARAMETER" if option.several else "TEXT")
    )
    return typer.Option(option.flag, metavar=metavar, help=option.help)
