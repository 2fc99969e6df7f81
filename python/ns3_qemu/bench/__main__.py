# SPDX-License-Identifier: GPL-2.0-only
"""Runs one case: `python -m ns3_qemu.bench turns.cost '{"kind": "empty"}'`."""

import sys

from .cases import main

sys.exit(main(sys.argv[1:]))
