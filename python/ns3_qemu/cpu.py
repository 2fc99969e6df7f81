# SPDX-License-Identifier: GPL-2.0-only
"""The CPU of a machine: a level of x86-64, or one of QEMU's models. All are emulated.

So none of this machine's own CPU is seen in a guest. The levels are those of the x86-64 psABI, for
which compilers and distributions build (-march=x86-64-v2).
"""

import subprocess
from pathlib import Path

from .errors import ImageError

# qemu64 is the least that x86-64 was: level 1, with SSE3, CMPXCHG16B and LAHF of level 2.
_LEVEL_2 = ("ssse3", "sse4.1", "sse4.2", "popcnt")
# XSAVEOPT is not of the level, but real CPUs with AVX2 have it, and Linux 6.1 hangs without it when
# it boots.
_LEVEL_3 = ("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave", "xsaveopt")
LEVELS: dict[str, tuple[str, ...]] = {
    "x86-64-v1": (),
    "x86-64-v2": _LEVEL_2,
    "x86-64-v3": (*_LEVEL_2, *_LEVEL_3),
}
"""What QEMU's qemu64 gets in addition, by level."""

DEFAULT = "x86-64-v2"

# A guest asks for RDRAND when it boots; what it gets comes from QEMU's -seed. qemu64 and older
# models have none.
_RANDOM = "+rdrand"


def argument(name: str) -> str:
    """Return the argument of QEMU's option -cpu."""
    features = LEVELS.get(name)
    if features is None:
        return f"{name},{_RANDOM}"
    return ",".join(("qemu64", _RANDOM, *(f"+{feature}" for feature in features)))


def check(name: str, qemu: Path) -> None:
    """Raise ImageError unless this QEMU has such a CPU."""
    if name in LEVELS:
        return
    asked = subprocess.run([qemu, "-cpu", "help"], capture_output=True, text=True, check=False)
    models = asked.stdout.partition("Recognized CPUID flags")[0].splitlines()
    if name in {line.split()[0] for line in models if line.startswith("  ")}:
        return
    message = f"there is no CPU {name!r}"
    advice = (
        f"There are {', '.join(LEVELS)} (AVX-512, and so x86-64-v4, cannot be emulated) and the "
        f"models that {qemu} -cpu help says."
    )
    raise ImageError(message, advice)
