# SPDX-License-Identifier: GPL-2.0-only
"""Unmodified Linux kernels as nodes of an ns-3 simulation.

In a script::

    from ns import ns
    import ns3_qemu

    qemu = ns3_qemu.QemuHelper("debian:6.1")
    machine = qemu.Install(node)

`Image` describes machines that have programs, and `Program` runs one of them. `Run` runs the
simulation, `at` calls a function at a simulated time, and `trace` follows a trace source of ns-3.
`pause_at` stops the simulation for a look; `copy`, `monitor` and `symbols` look into a machine.
The module `ns3_qemu.guest` shows and sets what a running machine has. What needs ns-3 is loaded
when first used, with ns-3 and the C++ module: from then on `ns.QemuTcpSource`, `ns.VirtualMachine`
and the rest of the module are there, too.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from . import bundle
from .errors import VmError

if TYPE_CHECKING:
    from .callbacks import Event as Event
    from .callbacks import at as at
    from .callbacks import trace as trace
    from .copies import copy as copy
    from .image import Image as Image
    from .kernel_symbols import symbols as symbols
    from .pause import pause_at as pause_at
    from .pause import replay as replay
    from .program import Program as Program
    from .qemu_monitor import monitor as monitor
    from .simulation import QemuHelper as QemuHelper
    from .simulation import Run as Run
    from .simulation import load as load

__version__ = version("ns3-qemu")

# Before ns-3's bindings are loaded, by whomever.
bundle.activate()

__all__ = [
    "Event",
    "Image",
    "Program",
    "QemuHelper",
    "Run",
    "VmError",
    "__version__",
    "at",
    "copy",
    "load",
    "monitor",
    "pause_at",
    "replay",
    "symbols",
    "trace",
]

# ns-3 takes seconds to load, and the set-up works without it.
_MODULES = {
    "Event": "callbacks",
    "at": "callbacks",
    "trace": "callbacks",
    "copy": "copies",
    "Image": "image",
    "monitor": "qemu_monitor",
    "pause_at": "pause",
    "replay": "pause",
    "symbols": "kernel_symbols",
    "Program": "program",
    "QemuHelper": "simulation",
    "Run": "simulation",
    "load": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
