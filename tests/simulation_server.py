# SPDX-License-Identifier: GPL-2.0-only
"""Runs scripts, each in a process of its own, forked from this one, which has loaded ns-3.

Loading takes as long as a short simulation. A line of JSON says what to run, one answers how it
has ended, as `subprocess` says it.
"""

import ctypes
import json
import os
import signal
import sys
import types
from pathlib import Path
from typing import Any

import ns3_qemu

PR_SET_PDEATHSIG = 1


def begin(order: dict[str, Any]) -> types.ModuleType:
    """Make this process one that has just started with `python -c`; return its main module."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    inputs = os.open(os.devnull, os.O_RDONLY)
    outputs = [os.open(path, os.O_WRONLY | os.O_APPEND) for path in order["outputs"]]
    for number, descriptor in enumerate((inputs, *outputs)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = ["-c", *order["arguments"]]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    return main


def next_script() -> tuple[types.ModuleType, str]:
    """Return in a new process for each order; end with the last."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            return begin(order), order["script"]
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
    sys.exit()


ns3_qemu.load()
sys.path.insert(0, str(Path(__file__).parent))
main, script = next_script()
exec(compile(script, "<string>", "exec"), main.__dict__)
