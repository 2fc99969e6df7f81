# SPDX-License-Identifier: GPL-2.0-only
"""Options that several commands have."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from . import image
from .image_spec import OPTIONS

KERNEL = "debian:SERIES or SERIES alone (6.12), or the path of a bzImage of your own."


def several(flag: str, metavar: str, text: str) -> Any:
    """Return a flag that may be given several times, which its help says."""
    return typer.Option(flag, metavar=metavar, help=f"{text} May be given several times.")


def settings(example: str) -> Any:
    """Return the flag --set; `example`: what may be given to it."""
    return several("--set", "KEY=VALUE", f"In place of what the file says: {example}.")


Settings = Annotated[list[str] | None, settings("bottleneck.queue=40p")]

Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        min=1,
        help="How many runs go side by side; one for each CPU unless it is given.",
    ),
]

Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]

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

Kernel = Annotated[
    str,
    typer.Option(
        "--kernel",
        metavar="KERNEL",
        help=KERNEL,
    ),
]

Modules = Annotated[
    Path | None,
    typer.Option(
        "--modules",
        metavar="DIR",
        help="With a bzImage: its /lib/modules/RELEASE, if it has modules.",
    ),
]

Add = Annotated[
    list[str] | None,
    several(
        "--add",
        "PATH[=PLACE]",
        "A program with the libraries it needs, another file, or a directory, at the same path in "
        "the guest unless another is given.",
    ),
]

Package = Annotated[
    list[str] | None,
    several(
        "--package",
        "NAME[=VERSION]",
        "A Debian package and what it depends on, from this machine's mirror.",
    ),
]

Rootfs = Annotated[
    Path | None,
    typer.Option(
        "--rootfs",
        metavar="PATH",
        help="A directory, tar file or raw disk that is to be the guest's root file system.",
    ),
]

Disk = Annotated[
    list[str] | None,
    several(
        "--disk",
        "PATH[=PLACE]",
        "A raw disk, /dev/vda, /dev/vdb ..., which machines read where it is and never write; its "
        "file system is mounted at PLACE, if that is given.",
    ),
]


def of_image(name: str) -> Any:
    """Return the command line's flag for an option of images."""
    option = OPTIONS[name]
    metavar = option.unit.upper() or (
        "|".join(option.choices) or ("PARAMETER" if option.several else "TEXT")
    )
    return typer.Option(option.flag, metavar=metavar, help=option.help)


def placed(path: str) -> tuple[str, str | None]:
    """Take PATH[=PLACE] apart."""
    name, _, place = path.partition("=")
    if Path(path).expanduser().exists():  # a file's own name may have an equals sign
        return path, None
    return name, place or None


def add_disks(wanted: image.Image, paths: list[str] | None) -> None:
    """Add what --disk names."""
    for path in paths or ():
        wanted.disk(*placed(path))


def add_files(
    wanted: image.Image,
    paths: list[str] | None,
    packages: list[str] | None = None,
    *,
    refresh: bool = False,
) -> list[str]:
    """Add what --add and --package name; return where the former is in the guest."""
    places = []
    for package in packages or ():
        name, _, version = package.partition("=")
        wanted.add_package(name, version or None, refresh=refresh)
    for path in paths or ():
        name, place = placed(path)
        wanted.add(name, place)
        places.append(place or str(Path(name).expanduser().absolute()))
    return places


def kernel_spec(kernel: str, modules: Path | None) -> str:
    """Return the name of a kernel as ns3_qemu.kernel wants it."""
    if re.fullmatch(r"\d+\.\d+", kernel) and not Path(kernel).exists():
        kernel = f"debian:{kernel}"
    if kernel.startswith(("debian:", "file:")):
        if modules is not None:
            message = "--modules goes with a bzImage only"
            raise typer.BadParameter(message)
        return kernel
    path = Path(kernel).expanduser().absolute()
    return f"file:{path}" + (f",modules={modules.expanduser().absolute()}" if modules else "")
