# SPDX-License-Identifier: GPL-2.0-only
"""File systems that take no more: one sentence says which, and nothing half-made is kept."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ns3_qemu.cache import Cache
from ns3_qemu.errors import CacheError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a tmpfs with these options."""
    with ExitStack() as ends:

        def mount(options: str) -> Path:
            place = tmp_path / "mounted"
            place.mkdir()
            command = ["mount", "-t", "tmpfs", "-o", options, "none", place]
            if subprocess.run(command, check=False).returncode != 0:
                pytest.skip("this machine lets nobody mount")
            ends.callback(subprocess.run, ["umount", "--lazy", place], check=True)
            return place

        yield mount


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)


def write_much(result: Path, _work: Path) -> None:
    (result / "file").write_bytes(bytes(1 << 20))


def test_a_cache_without_room_keeps_nothing(mount: Callable[..., Path]):
    cache = Cache(mount("size=64k"))
    with pytest.raises(CacheError, match=r"cannot write to the cache: .*No space left") as failed:
        cache.produce(cache.images / "image", write_much)
    assert "image prune" in failed.value.advice
    assert not cache.images.exists()
    assert [*(cache.root / "work").iterdir()] == []


def test_a_cache_that_is_read_only_gives_what_it_has(mount: Callable[..., Path]):
    cache = Cache(mount("size=4m"))
    made = cache.produce(cache.images / "image", write_much)
    remount(cache.root, "ro")
    assert cache.produce(made, write_much) == made
    with pytest.raises(CacheError, match=r"cannot write.*Read-only file system") as failed:
        cache.produce(cache.images / "another", write_much)
    assert "NS3_QEMU_HOME" in failed.value.advice


RECORDS = """
import sys
from ns3_qemu import simulation
capture = open(sys.argv[1], "wb", buffering=0)
simulation._check_room()
try:
    while True:
        capture.write(bytes(4096))
except OSError:
    pass
simulation._check_room()
"""


def test_a_run_that_has_filled_its_file_system_says_so(mount: Callable[..., Path]):
    file = mount("size=1m") / "ns3s-own.pcap"
    done = subprocess.run(
        [sys.executable, "-c", RECORDS, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the file system of {file} is full: what this run has recorded" in done.stderr


def test_a_command_says_it_without_a_traceback(mount: Callable[..., Path]):
    home = mount("size=1m")
    remount(home, "ro")
    done = subprocess.run(
        [sys.executable, "-m", "ns3_qemu", "image", "build"],
        env={**os.environ, "NS3_QEMU_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
