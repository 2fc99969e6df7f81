# SPDX-License-Identifier: GPL-2.0-only
"""What each guest of `exec` has besides what was asked for: a shell, and the usual small programs.

They are busybox's, behind all others in PATH. Busybox's programs that start others, its shell among
them, prefer busybox's own to those in PATH: with them `timeout 5 ip route` would not run the ip of
the package iproute2. So these are this machine's own, as far as it has them, or are left out.
"""

import os
from pathlib import Path

from .. import busybox
from ..cache import Cache
from ..image import Image
from ..overlay import PATH
from ..steps import Steps

BUSYBOX = "/bin/busybox"
APPLETS = "/opt/busybox"

_SHELL = "/bin/sh"

# What starts other programs: of this machine's, small ones that need little but the C library.
_STARTERS = (
    *("chroot", "find", "flock", "nice", "nohup", "nsenter", "setsid", "taskset", "time"),
    *("timeout", "unshare", "xargs"),
)
# Of busybox's alone, or of a kind that needs a whole package.
_OTHER_STARTERS = (
    *("ash", "chpst", "envdir", "envuidgid", "hush", "ionice", "linux32", "linux64", "openvt"),
    *("run-parts", "script", "setarch", "setuidgid", "sh", "softlimit", "start-stop-daemon"),
    *("su", "watch"),
)

# A node for a module that is loaded when it is opened, as each Debian has it (kmod static-nodes).
_TUN = "[ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200; }"

STARTERS = (*_STARTERS, *_OTHER_STARTERS)
"""What of busybox's is left out: it starts other programs."""

INSTALL = (
    f"{BUSYBOX} mkdir -p {APPLETS} && {BUSYBOX} --install -s {APPLETS} && cd {APPLETS} && "
    f"{BUSYBOX} rm -f {' '.join(STARTERS)} && {_TUN}"
)
"""Makes busybox's programs known, in a guest."""

ENVIRONMENT = (
    f"PATH={':'.join(PATH)}:{APPLETS}",
    "HOME=/root",
    "LOGNAME=root",
    f"SHELL={_SHELL}",
    "TERM=linux",
    "USER=root",
)
"""What root has who has logged in."""

DIRECTORY = "/root"


def add(image: Image, cache: Cache, steps: Steps, *, whole: bool) -> None:
    """Add them to an image to be, where it has none of the same names.

    `whole`: it has a root file system of its own, with other libraries than this machine's, so that
    it gets busybox alone.
    """
    image.add(busybox.ensure(cache, steps), to=BUSYBOX)
    if whole:
        return
    if not image.has(_SHELL):
        image.add(_SHELL)
    for name in _STARTERS:
        places = [f"{directory}/{name}" for directory in PATH]
        own = next((place for place in places if os.access(place, os.X_OK)), None)
        if own and not any(image.has(place) for place in places):
            _add_if_whole(image, own)


def _add_if_whole(image: Image, program: str) -> None:
    if Path(program).resolve().name != "busybox":
        image.add(program)
