# SPDX-License-Identifier: GPL-2.0-only
"""Becomes a program whose write(2) of exactly so many bytes writes none of them and returns 0.

    python write_nothing.py BYTES PROGRAM ARGUMENT...

That is what a driver may do; the kernel has seccomp(2) to imitate it.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06
ALLOW, RETURN_0 = 0x7FFF0000, 0x00050000
NUMBER, THIRD_ARGUMENT = 0, 32  # in struct seccomp_data
WRITE = {"x86_64": 1, "aarch64": 64}


def main() -> None:
    length, *program = sys.argv[1:]
    steps = [
        (LOAD, 0, 0, NUMBER),
        (EQUALS, 0, 3, WRITE[os.uname().machine]),
        (LOAD, 0, 0, THIRD_ARGUMENT),
        (EQUALS, 0, 1, int(length)),
        (RETURN, 0, 0, RETURN_0),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    filters = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for option in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0),
    ):
        if libc.prctl(*option) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    os.execv(program[0], program)


main()
