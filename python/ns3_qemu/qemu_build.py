# SPDX-License-Identifier: GPL-2.0-only
"""How QEMU is built: with static libraries, and with its first header precompiled.

Neither changes what QEMU does. With GLib and zlib linked in, the program runs on any machine whose
C library is as new as this one's, without packages, and starts without a search for libraries. And
as each file of QEMU begins with the same header, which takes longer to read than most files to
compile, the compiler reads it once for each set of options.
"""

import os
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .steps import CommandError, Step

STATIC = ("glib-2.0", "zlib")
"""What is linked in, by its name in pkg-config."""

_HEADER = Path("include/qemu/osdep.h")

# Compiled with one set of options; below it a precompiled header saves nothing.
_LEAST_FILES = 50

# Options of one file alone, with a value.
_OF_ONE_FILE = ("-MQ", "-MF", "-o", "-c")


def environment() -> dict[str, str]:
    """Return the environment for configure and ninja: nothing in it may change what is built."""
    unwanted = re.compile(r"(C|CXX|LD|CPP)FLAGS|CC|CXX|LD|PYTHON\w*|MAKE\w*|NINJA\w*|VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not unwanted.fullmatch(name)}
    return {**kept, "LC_ALL": "C.UTF-8"}


def static_libraries(step: Step, directory: Path) -> dict[str, str]:
    """Describe the static libraries to pkg-config, in a directory; return what environment it is.

    A library that has no static form is left as it is, and the log says so.
    """
    directory.mkdir()
    for name in STATIC:
        asked = ["pkg-config", "--static", "--libs", name]
        words = shlex.split(_ask(asked))
        places = [Path(_ask(["pkg-config", "--variable=libdir", name]).strip())]
        places += [Path(word.removeprefix("-L")) for word in words if word.startswith("-L")]
        libs = [_archive(word, places) for word in words if not word.startswith("-L")]
        if not any(word.endswith(".a") for word in libs):
            step.note(f"{name} has no static library: QEMU will need the shared one")
            continue
        (directory / f"{name}.pc").write_text(
            f"bindir={_ask(['pkg-config', '--variable=bindir', name]).strip()}\n"
            f"Name: {name}\nDescription: {name}, static\n"
            f"Version: {_ask(['pkg-config', '--modversion', name])}"
            f"Libs: {' '.join(libs)}\n"
            f"Cflags: {_ask(['pkg-config', '--cflags', name])}"
        )
    others = os.environ.get("PKG_CONFIG_PATH")
    return {"PKG_CONFIG_PATH": ":".join([str(directory), *([others] if others else [])])}


def _ask(command: list[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        message = f"{' '.join(command)}: {error}"
        raise CommandError(message) from error


def _archive(word: str, places: list[Path]) -> str:
    """Return the static library of an option -l, or the option. The C library stays shared."""
    name = word.removeprefix("-l")
    if name == word or name in {"m", "c", "dl", "rt", "pthread"}:
        return word
    return next((str(file) for place in places if (file := place / f"lib{name}.a").is_file()), word)


class _Command(msgspec.Struct):
    """An entry of compile_commands.json."""

    directory: str
    command: str
    file: str


def precompile(step: Step, source: Path, build: Path, env: Mapping[str, str]) -> None:
    """Precompile QEMU's first header for each set of options that many files are compiled with.

    GCC takes the one that fits, and the header itself if none does. Other compilers do without.
    """
    commands = msgspec.json.decode(
        (build / "compile_commands.json").read_bytes(), type=list[_Command]
    )
    counted = Counter(options for each in commands if (options := _options(source, each.command)))
    result = source / _HEADER.with_suffix(".h.gch")
    result.mkdir()
    # What the header includes and ninja makes.
    step.run(["ninja", "config-poison.h"], cwd=build, env=env)
    for number, (options, files) in enumerate(counted.most_common()):
        if files < _LEAST_FILES:
            break
        step.note(f"for {files} files")
        output = result / f"{number}.gch"
        step.run(
            [*options, "-x", "c-header", "-o", output, source / _HEADER], cwd=build, env=dict(env)
        )


def _options(source: Path, command: str) -> tuple[str, ...] | None:
    """Return compiler and options of a command that compiles one of QEMU's own files in C."""
    words = shlex.split(command)
    if str(source / "include") not in words:
        return None
    kept = []
    values = iter(words)
    for word in values:
        if word in _OF_ONE_FILE:
            next(values)
        # A target's own directory makes no difference to this header.
        elif word != "-MD" and not word.startswith("-I"):
            kept.append(word)
    # Where the header's own are, which are left out with the targets'.
    includes = [word for word in words if word.startswith("-I/")]
    return (*kept, *includes)
