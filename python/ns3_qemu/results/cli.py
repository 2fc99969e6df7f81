# SPDX-License-Identifier: GPL-2.0-only
"""The commands `ns3-qemu diff` and `ns3-qemu report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ..errors import Ns3QemuError
from ..options import several
from .diff import FileDifference, Options, Part, differences, printable
from .dissect import RELATIVE, ignored_fields

_SAME, _DIFFERENT, _TROUBLE = 0, 1, 2  # as diff(1) has it
_WHOLE = 8  # files of a part that are shown with what is around the difference


def diff(
    first: Annotated[
        Path, typer.Argument(metavar="RUN1", help="A run's directory, or one file of a run.")
    ],
    second: Annotated[Path, typer.Argument(metavar="RUN2", help="What it is compared with.")],
    ignore: Annotated[
        list[str] | None,
        several(
            "--ignore",
            "FIELD",
            "A field of packets that may differ, by Wireshark's name (tcp.window_size_value), or "
            "all that begin so (tcp.options).",
        ),
    ] = None,
    relative: Annotated[
        bool,
        typer.Option(
            "--relative",
            help="Compare TCP's sequence numbers and timestamps relative to their connection's "
            "first, and no checksums over them: for runs whose hosts draw other numbers.",
        ),
    ] = False,
    only: Annotated[
        list[Part] | None,
        typer.Option("--only", help="Compare nothing but these; may be given several times."),
    ] = None,
    context: Annotated[
        int,
        typer.Option(
            "--context", metavar="N", min=0, help="Packets, and lines, before a difference."
        ),
    ] = 3,
) -> None:
    """Say where two runs part: the first packet that differs, then the first line of other files.

    Exit status: 0 if they are the same, 1 if they differ, 2 if they cannot be compared.
    """
    try:
        ignored = ignored_fields([*(ignore or ()), *(RELATIVE if relative else ())])
        options = Options(ignored=ignored, parts=tuple(only or Part), context=context)
        found = differences(first, second, options)
    except Ns3QemuError as error:
        error.status = _TROUBLE
        raise
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
        failure = Ns3QemuError(message)
        failure.status = _TROUBLE
        raise failure from error
    _show(found, Console(highlight=False, soft_wrap=True))
    raise typer.Exit(_DIFFERENT if found else _SAME)


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The directory of a run of an experiment.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where it goes: RUN/report.html unless given."),
    ] = None,
) -> None:
    """Write the report of an experiment: one HTML file with plots, tables, and how to repeat it."""
    from ..report import write_report  # it loads matplotlib

    typer.echo(write_report(run, out))


def _show(found: list[FileDifference], console: Console) -> None:
    shown = dict.fromkeys(Part, 0)
    for each in found:
        shown[each.part] += 1
        console.print(Text.assemble((printable(each.name), "bold"), f": {each.what}"))
        for line in each.lines if shown[each.part] <= _WHOLE else ():
            colour = {"<": "red", ">": "green"}.get(line[:1], "")
            console.print(Text(line, style=colour))
