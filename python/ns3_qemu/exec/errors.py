# SPDX-License-Identifier: GPL-2.0-only
"""The error of `ns3-qemu exec`, and what it ends with where the command did not run to its end."""

from ..errors import Ns3QemuError

FAILED = 125
"""As env(1) and timeout(1) have it: it is not the command that has failed."""


class ExecError(Ns3QemuError):
    """A command cannot be run, or not to its end, or what it has left cannot be had."""

    status = FAILED
