# SPDX-License-Identifier: GPL-2.0-only
"""Shows that a run is a function of its inputs: `ns3-qemu selftest --reproducibility`.

Kinds of runs (`configurations`) are run again and again, each time in other circumstances
(`circumstances`: a loaded machine, another date, another CPU ...), and all that they write is
compared byte for byte (`suite`).
"""
