# SPDX-License-Identifier: GPL-2.0-only
"""Options that several commands have."""

from typing import Annotated

import typer

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="In place of what the scenario says: bottleneck.queue=40p. May be given several "
        "times.",
    ),
]
