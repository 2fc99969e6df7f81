# SPDX-License-Identifier: GPL-2.0-only
"""The command `ns3-qemu`."""

import errno
import signal
import sys
import types
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from . import __version__, doctor, headers, image, kernel, kernel_check, packages, pruning
from .cache import Cache
from .errors import Ns3QemuError
from .image_spec import DEFAULT_KERNEL, ImageSpec
from .options import (
    Add,
    Disk,
    Kernel,
    Modules,
    Package,
    PauseAt,
    Quiet,
    Record,
    Replay,
    Rootfs,
    Settings,
    add_disks,
    add_files,
    kernel_spec,
    of_image,
)
from .scenario import LIKES
from .steps import Steps


class _Group(TyperGroup):
    """Shows errors that a user can do something about as one block of text, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Ns3QemuError as error:
            if ctx.params.get("debug"):
                raise
            _show_error(error.message, error.advice)
            raise typer.Exit(error.status) from error
        except OSError as error:
            # A file that cannot be read or written; anything else is a defect, and shown as one.
            if ctx.params.get("debug") or error.errno == errno.EPIPE or not error.strerror:
                raise
            where = f"{error.filename}: " if error.filename else ""
            _show_error(f"{where}{error.strerror}", _ADVICE.get(error.errno or 0, ""))
            raise typer.Exit(1) from error
        except MemoryError as error:
            _show_error("there is no memory for more", "Is `ulimit -v` set?")
            raise typer.Exit(1) from error


_ADVICE = {
    errno.EMFILE: "Raise `ulimit -n`.",
    errno.ENFILE: "This host has too many open files.",
    errno.ENOMEM: "There is no memory for more: is `ulimit -v` set?",
    errno.EAGAIN: "There are too many processes: raise `ulimit -u`.",
    errno.ENOSPC: "Make room on its file system.",
    errno.EFBIG: "Raise `ulimit -f`.",
}


def _show_error(message: str, advice: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("\n[bold red]error:[/] ", end="")
    console.print(message, markup=False)
    if advice:
        console.print(f"What to do: {advice}", markup=False)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Unmodified Linux kernels as nodes of an ns-3 simulation.",
)
images = typer.Typer(no_args_is_help=True, help="Images: what machines are started from.")
app.add_typer(images, name="image")
kernels = typer.Typer(no_args_is_help=True, help="Kernels: what guests run.")
app.add_typer(kernels, name="kernel")

_Refresh = Annotated[
    bool, typer.Option("--refresh", help="Look whether Debian has newer versions, and take them.")
]


def _print_table(table: Table) -> None:
    """Print a table: within the terminal's width, or a line for each row where there is none."""
    Console(highlight=False, width=None if sys.stdout.isatty() else 1000).print(table)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ns3-qemu {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say the version and end."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error arose.")
    ] = False,
) -> None:
    del debug  # _Group looks at it


@app.command()
def setup(
    kernel: Kernel = DEFAULT_KERNEL,
    modules: Modules = None,
    package: Package = None,
    refresh: _Refresh = False,
) -> None:
    """Fetch and build what a simulation needs: QEMU, a kernel, an image; packages for others."""
    cache = Cache()
    steps = Steps(cache.logs, verbose=True)
    image.ensure_spec(cache, steps, ImageSpec(kernel_spec(kernel, modules)), refresh=refresh)
    headers.ensure(cache, steps)
    for each in package or ():
        name, _, version = each.partition("=")
        packages.ensure(cache, steps, name, version or None, refresh=refresh)


@app.command("doctor")
def _doctor(kernel: Kernel = DEFAULT_KERNEL, modules: Modules = None) -> None:
    """Say which parts are there, and what to do about those that are not."""
    table = Table("part", "", "what is there", "what to do", box=None, pad_edge=False)
    complete = True
    for finding in doctor.examine(Cache(), ImageSpec(kernel_spec(kernel, modules))):
        state = "[green]ok[/]" if finding.ok else "[red]missing[/]"
        table.add_row(finding.part, state, finding.detail, finding.advice)
        complete = complete and finding.ok
    _print_table(table)
    if not complete:
        raise typer.Exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")] = Path(
        "out/demo"
    ),
    kernel: Kernel = DEFAULT_KERNEL,
    modules: Modules = None,
    pause_at: PauseAt = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Two Linux kernels talk TCP through ns-3."""
    from . import demo as run  # it loads ns-3, which takes seconds

    run.run(out, kernel_spec(kernel, modules), _plan(out, pause_at, record, replay))


def _plan(out: Path, pause_at: str | None, record: Path | None, replay: Path | None) -> Any:
    """Return when a simulation is to stop, or None."""
    if pause_at and replay:
        message = "--pause-at and --replay exclude each other"
        raise typer.BadParameter(message)
    if not pause_at and not replay:
        if record:
            message = "--record goes with --pause-at"
            raise typer.BadParameter(message)
        return None
    from . import pause
    from .simulated_time import to_time

    if replay:
        return pause.Plan(stops=pause.read(replay))
    try:
        time = to_time(pause_at)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--pause-at") from None
    return pause.Plan(time=time, record=record or out / "pause.toml", directory=out)


@app.command("shell")
def _shell(
    kernel: Kernel = DEFAULT_KERNEL,
    modules: Modules = None,
    add: Add = None,
    package: Package = None,
    rootfs: Rootfs = None,
    disk: Disk = None,
    memory: Annotated[int | None, of_image("memory_mib")] = ImageSpec.memory_mib,
    cpu: Annotated[str, of_image("cpu")] = ImageSpec.cpu,
) -> None:
    """Boot a kernel and give its shell. Its time follows the wall clock; Ctrl-] ends it.

    Without a terminal, the shell reads its commands from standard input.
    """
    from . import shell

    wanted = image.Image(kernel_spec(kernel, modules), rootfs=rootfs, memory_mib=memory, cpu=cpu)
    add_disks(wanted, disk)
    raise typer.Exit(shell.run(wanted, add_files(wanted, add, package)))


@app.command()
def scenario(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A scenario: a TOML file.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the results go.")],
    sender: Annotated[
        str | None, typer.Option("--sender", metavar="KERNEL", help="In place of hosts.sender.")
    ] = None,
    receiver: Annotated[
        str | None, typer.Option("--receiver", metavar="KERNEL", help="In place of hosts.receiver.")
    ] = None,
    settings: Settings = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="DIR",
            help="Compare packet by packet with the sender_packets.csv of another run.",
        ),
    ] = None,
    quiet: Quiet = False,
    pause_at: PauseAt = None,
    record: Record = None,
    replay: Replay = None,
) -> None:
    """Run a scenario: one TCP connection over one bottleneck."""
    from . import runner
    from .results import compare
    from .results.files import read_packets
    from .scenario import read

    changes = [
        f"hosts.{key}={msgspec.json.encode(value).decode()}"
        for key, value in (("sender", sender), ("receiver", receiver))
        if value is not None
    ]
    wanted = read(file, [*(settings or ()), *changes])
    packets = read_packets(_packet_file(reference)) if reference else None
    console = Console(highlight=False, quiet=quiet)
    run = runner.run(wanted, out, console, _plan(out, pause_at, record, replay))
    if packets is not None:
        console.print(compare(run.results.sender.packets, packets).describe())


def _packet_file(reference: Path) -> Path:
    """Return the packet list in a run's directory."""
    from .results import ResultError

    for suffix in (".csv.gz", ".csv.xz", ".csv"):
        if (file := reference / f"sender_packets{suffix}").is_file():
            return file
    message = f"{reference} has no packet list"
    raise ResultError(message, "Give the directory of a run: it has sender_packets.csv.gz.")


@images.command()
def build(
    kernel: Kernel = DEFAULT_KERNEL,
    modules: Modules = None,
    memory: Annotated[int | None, of_image("memory_mib")] = ImageSpec.memory_mib,
    nic: Annotated[str, of_image("nic")] = ImageSpec.nic,
    relay: Annotated[str, of_image("relay")] = ImageSpec.relay,
    hpet_period: Annotated[int, of_image("hpet_period_ns")] = ImageSpec.hpet_period_ns,
    cpu: Annotated[str, of_image("cpu")] = ImageSpec.cpu,
    date: Annotated[str | None, of_image("date")] = ImageSpec.date,
    append: Annotated[list[str] | None, of_image("cmdline_extra")] = None,
    add: Add = None,
    package: Package = None,
    rootfs: Rootfs = None,
    disk: Disk = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help='By what C++ programs find the image: QemuHelper("NAME"). One that has nothing '
            'but a kernel they find by that: QemuHelper("debian:6.1").',
        ),
    ] = None,
    refresh: _Refresh = False,
) -> None:
    """Build an image, with all that it needs, and print its directory."""
    cache = Cache()
    wanted = image.Image(
        kernel_spec(kernel, modules),
        rootfs=rootfs,
        memory_mib=memory,
        cmdline_extra=append or (),
        nic=nic,
        hpet_period_ns=hpet_period,
        relay=relay,
        cpu=cpu,
        date=date,
    )
    add_files(wanted, add, package, refresh=refresh)
    add_disks(wanted, disk)
    typer.echo(wanted.build_in(cache, Steps(cache.logs), refresh=refresh, name=name))


@images.command("list")
def list_() -> None:
    """Say which images there are."""
    columns = (
        "image",
        "MB on disk",
        "kernel",
        "MiB",
        "NIC",
        "relay",
        "HPET",
        "CPU",
        "date",
        "QEMU",
        "parameters",
        "added",
    )
    table = Table(*columns, box=None, pad_edge=False)
    for directory, manifest in image.images(Cache()).items():
        spec = manifest.spec
        table.add_row(
            directory.name,
            f"{pruning.room(directory) / 1e6:.0f}",
            manifest.kernel_name,
            str(spec.memory_mib),
            spec.nic,
            spec.relay,
            f"{spec.hpet_period_ns} ns",
            spec.cpu,
            spec.date or "",
            manifest.qemu_version,
            " ".join(spec.cmdline_extra),
            ", ".join(manifest.added),
        )
    _print_table(table)


@images.command()
def remove(name: Annotated[str, typer.Argument(help="The image, or how its name begins.")]) -> None:
    """Remove an image."""
    typer.echo(f"removed {image.remove(Cache(), name)}")


@images.command()
def prune(
    to: Annotated[
        float | None,
        typer.Option(
            "--to",
            metavar="GIB",
            min=0,
            help="How much room images may take: NS3_QEMU_IMAGES_GIB or 10, unless it is given.",
        ),
    ] = None,
) -> None:
    """Remove images that have not been used for longest; not those of the last hour.

    This also happens whenever a new image is built.
    """
    for directory in pruning.prune(Cache(), pruning.limit_gib() if to is None else to):
        typer.echo(f"removed {directory}")


@kernels.callback()
def _kernels() -> None:
    """Keep `check` a word of its own."""


@kernels.command("check")
def _check(
    name: Annotated[
        str, typer.Argument(metavar="KERNEL", help="A bzImage of your own, or as for --kernel.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Its configuration; else the one that it carries (IKCONFIG), or one beside it.",
        ),
    ] = None,
    modules: Modules = None,
    like: Annotated[
        str | None,
        typer.Option("--like", metavar="nsc", help="What it must not differ from, either."),
    ] = None,
) -> None:
    """Say whether a kernel has what a guest needs, and how it differs from NSC's."""
    if like not in (None, *LIKES):
        message = f"there is {', '.join(LIKES)}"
        raise typer.BadParameter(message, param_hint="--like")
    cache = Cache()
    found = kernel.ensure(cache, Steps(cache.logs), kernel_spec(name, modules))
    report = kernel_check.check(found, config)
    typer.echo(f"Linux {report.release}, configuration: {report.config.source}")
    table = Table("for", "", "asked for", "found", "why", box=None, pad_edge=False)
    colours = {"missing": "red", "differs": "yellow", "without": "yellow", "ok": "green"}
    for finding in report.findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        table.add_row(finding.part, state, finding.asked, finding.found, finding.why)
    _print_table(table)
    typer.echo(report.verdict)
    if not (report.like_nsc if like else report.usable):
        raise typer.Exit(1)


def _end(number: int, _frame: types.FrameType | None) -> None:
    """End as on Ctrl-C: remove half-made directories, end processes that were started."""
    raise SystemExit(128 + number)


def whole(wanted: str = "") -> typer.Typer:
    """Return the command line with all commands, or at least with the one that is wanted.

    Each loads what takes a while, which the others do without; validation and measurements take a
    second.
    """
    if wanted not in ("setup", "doctor", "image", "kernel"):
        from .exec.cli import exec_

        # What follows the command's name is the command's.
        app.command("exec", context_settings={"allow_interspersed_args": False})(exec_)
    if wanted not in ("setup", "doctor", "image", "kernel", "exec"):
        from .bench.cli import bench
        from .experiment.cli import experiment
        from .results.cli import diff, report
        from .selftest.cli import selftest
        from .validation.cli import validate

        app.command()(bench)
        app.command()(diff)
        app.command()(experiment)
        app.command()(report)
        app.command()(selftest)
        app.command()(validate)
    return app


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    whole(sys.argv[1] if sys.argv[1:] else "")()
