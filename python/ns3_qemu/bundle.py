# SPDX-License-Identifier: GPL-2.0-only
"""What a self-contained wheel carries besides this package (`make wheel`).

    bundled/qemu/<hash>/   the patched QEMU with its firmware, as in the cache
    bundled/site/          ns-3 with its Python bindings and their interpreter; a .pth file has
                           Python look there, after what is installed
    bundled/cxx/           the headers of the C++ and C libraries, for the interpreter: the machine
                           need have no compiler
    bundled/keyrings/      the keys of the Debian archive, where the machine has none

A package that was built where it is installed has none of this.
"""

import os
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent / "bundled"
QEMU = DIRECTORY / "qemu"
SITE = DIRECTORY / "site"

OPTIONS_VARIABLE = "EXTRA_CLING_ARGS"
"""From this variable the interpreter takes options."""

# Where the bindings' interpreter looks for a header of theirs.
_API_VARIABLE = "CPPYY_API_PATH"

# Whether it precompiles its headers anew when it takes them for outdated. It goes by the files'
# times, which pip sets.
_REBUILD_VARIABLE = "CLING_REBUILD_PCH"


def interpreter_options(headers: Path, *, native: bool = True) -> str:
    """Return the interpreter's options with headers of one's own, in Debian's places.

    `native`: for this machine's CPU, as is usual, and not for any.
    """
    usr = headers / "usr" / "include"
    (version,) = (directory.name for directory in (usr / "c++").iterdir())
    architecture = usr / "x86_64-linux-gnu"
    places = (
        usr / "c++" / version,
        architecture / "c++" / version,
        usr / "c++" / version / "backward",
        architecture,
        usr,
    )
    # ns-3's headers are C++20, which must be said before the word "std" is in another option.
    # Without the last two options it asks the machine's compiler where headers are.
    words = ["-std=c++20", "-O2", *(["-march=native"] if native else [])]
    words += ["-nostdinc++", "-nostdlibinc"]
    return " " + " ".join([*words, *(f"-isystem{place}" for place in places)])


def activate() -> None:
    """Tell the interpreter of ns-3's bindings, here and in child processes, where its headers are.

    What the user says in the environment counts more.
    """
    if (headers := DIRECTORY / "cxx").is_dir():
        os.environ.setdefault(OPTIONS_VARIABLE, interpreter_options(headers))
        os.environ.setdefault(_REBUILD_VARIABLE, "0")
    if (api := SITE / "include" / "python").is_dir():
        os.environ.setdefault(_API_VARIABLE, str(api))
