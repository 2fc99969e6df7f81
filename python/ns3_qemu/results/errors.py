# SPDX-License-Identifier: GPL-2.0-only
"""Errors of the analysis."""

from ns3_qemu.errors import Ns3QemuError


class CaptureError(Ns3QemuError):
    """A capture that can't be analysed: no pcap, damaged, or of a kind that is not supported."""


class ResultError(Ns3QemuError):
    """A file of results that is not what it should be."""
