# SPDX-License-Identifier: GPL-2.0-only
"""`python -m ns3_qemu`: the command `ns3-qemu`."""

from .cli import main

main()
