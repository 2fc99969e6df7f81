# SPDX-License-Identifier: GPL-2.0-only
"""The process that runs jobs; its argument is the descriptor of a pipe, see `child`."""

import sys

from .child import serve

serve(int(sys.argv[1]))
