# SPDX-License-Identifier: GPL-2.0-only
"""The images of a selftest's machines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from .. import busybox
from ..cache import Cache
from ..errors import ImageError
from ..image import Image
from ..steps import Steps

#: where the program is in a guest
PROGRAM = "/usr/bin/ns3-qemu-selftest-guest"

_BUILT = Path(__file__).resolve().parent

# Threads that wait for each other, hash tables, an event loop, a child.
_PYTHON = """\
import asyncio, os, random, subprocess, sys, tempfile, threading, time
print(sorted({str(n) for n in range(9)}) == list("012345678"), list({"a", "b", "c", "d"}))
print(hash("a"), id(sys) % 65536, random.random(), os.urandom(8).hex(), time.time_ns())
order, lock = [], threading.Lock()
def work(name):
    for _ in range(300):
        with lock:
            order.append(name)
    time.sleep(0.001 * name)
threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
[t.start() for t in threads]; [t.join() for t in threads]
print(hash(tuple(order)), order[::97])
async def nap(n):
    await asyncio.sleep(random.random() / 100); return n
async def main():
    done = []
    for task in asyncio.as_completed([nap(n) for n in range(8)]):
        done.append(await task)
    print(done, time.monotonic_ns())
asyncio.run(main())
print(subprocess.run([sys.executable, "-c", "import os; print(os.getpid(), os.urandom(4).hex())"],
                     capture_output=True, text=True).stdout, tempfile.mkdtemp())
"""


def _program() -> Path:
    program = _BUILT / "ns3-qemu-selftest-guest"
    if not program.is_file():
        message = f"the program for guests is not in the installed package ({program})"
        raise ImageError(
            message, "Install ns3-qemu again (in a checkout: make demo); it is built with musl-gcc."
        )
    return program


def _tools() -> Image:
    image = Image()
    image.add(_program(), PROGRAM)
    cache = Cache()
    image.add(busybox.ensure(cache, Steps(cache.logs)), "/bin/busybox")
    return image


def _python() -> Image:
    image = Image()
    image.add_package("python3")
    image.write("/opt/selftest.py", _PYTHON)
    return image


def _go() -> Image:
    image = _tools()
    image.add_package("hey")
    image.write("/srv/index.html", "".join(f"{n}\n" for n in range(2000)))
    return image


#: by name: what makes one. Those of packages need Debian's mirror once.
IMAGES: dict[str, Callable[[], Image]] = {
    "plain": Image,
    "tools": _tools,
    "e1000": lambda: Image("debian:6.1,flavour=amd64", nic="e1000"),
    "uart": lambda: Image(relay="uart"),
    "python": _python,
    "go": _go,
}


def digest(directory: Path) -> str:
    """Return a hash of all that an image gives a guest; the same in all caches."""
    whole = hashlib.sha256()
    for name in ("kernel", "initramfs", "modules", "machine.conf"):
        file = directory / name
        if file.is_file():
            with file.open("rb") as stream:
                whole.update(
                    f"{name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode()
                )
    return whole.hexdigest()
