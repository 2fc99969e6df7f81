# SPDX-License-Identifier: GPL-2.0-only
"""Unmodified Linux kernels as nodes of an ns-3 simulation.

In a script::

    from ns import ns
    import ns3_qemu

    qemu = ns3_qemu.QemuHelper("debian:6.1")
    machine = qemu.Install(node)

`Image` describes machines that have programs, and `Program` runs one of them. What needs ns-3 is
loaded when first used, with ns-3 and the C++ module: from then on `ns.QemuTcpSource`,
`ns.VirtualMachine` and the rest of the module are there, too.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .errors import VmError

if TYPE_CHECKING:
    from .image import Image as Image
    from .program import Program as Program

__version__ = version("ns3-qemu")

__all__ = ["Image", "Program", "QemuHelper", "Run", "VmError", "__version__", "load"]

_SIMULATION = frozenset({"QemuHelper", "Run", "load"})


def __getattr__(name: str) -> Any:
    # ns-3 takes seconds to load, and the set-up works without it.
    if name == "Image":
        from .image import Image

        return Image
    if name == "Program":
        from .program import Program

        return Program
    if name in _SIMULATION:
        from . import simulation

        return getattr(simulation, name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
