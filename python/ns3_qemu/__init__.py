# SPDX-License-Identifier: GPL-2.0-only
"""Unmodified Linux kernels as nodes of an ns-3 simulation."""

from importlib.metadata import version

__version__ = version("ns3-qemu")

__all__ = ["__version__"]
