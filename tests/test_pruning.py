# SPDX-License-Identifier: GPL-2.0-only
"""Images that have not been used for long go when all take too much room."""

import os
import time
from pathlib import Path

import pytest

from ns3_qemu import names, pruning
from ns3_qemu.cache import Cache
from ns3_qemu.errors import ImageError

HOUR = 3600
SIZE = 1 << 20
GIB = 1 << 30


@pytest.fixture
def images(cache: Cache) -> dict[str, Path]:
    """Images of a MiB each, by how many hours ago they were used."""
    made = {}
    for name, hours in (("c", 30), ("a", 20), ("b", 10), ("new", 0)):
        directory = cache.images / name
        (directory / "snapshots" / "1").mkdir(parents=True)
        (directory / "manifest.json").write_text("{}")
        (directory / "snapshots" / "1" / "ram").write_bytes(b"x" * SIZE)
        pruning.mark_used(directory)
        used = time.time() - hours * HOUR
        os.utime(directory / "used", (used, used))
        made[name] = directory
    return made


def left(images: dict[str, Path]) -> set[str]:
    return {name for name, directory in images.items() if directory.exists()}


def test_nothing_goes_while_there_is_room(cache: Cache, images: dict[str, Path]):
    assert pruning.prune(cache, 1) == []
    assert left(images) == {"a", "b", "c", "new"}


def test_the_one_that_has_not_been_used_for_longest_goes_first(
    cache: Cache, images: dict[str, Path]
):
    room = pruning.room(images["a"])
    assert room >= SIZE
    assert pruning.prune(cache, (3 * room + room // 2) / GIB) == [images["c"]]
    assert pruning.prune(cache, (2 * room + room // 2) / GIB) == [images["a"]]
    assert left(images) == {"b", "new"}


def test_an_image_that_is_in_use_stays(cache: Cache, images: dict[str, Path]):
    pruning.prune(cache, 0)
    assert left(images) == {"new"}


def test_with_an_image_its_name_goes(cache: Cache, images: dict[str, Path]):
    for name, directory in images.items():
        names.record(cache, name, directory, 4, None)
    pruning.prune(cache, 0)
    assert {file.name for file in cache.names.iterdir()} == {"new"}


def test_a_use_counts_from_then_on(cache: Cache, images: dict[str, Path]):
    pruning.mark_used(images["c"])
    pruning.prune(cache, 0)
    assert left(images) == {"c", "new"}


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("NS3_QEMU_IMAGES_GIB", text)
    with pytest.raises(ImageError, match="NS3_QEMU_IMAGES_GIB"):
        pruning.limit_gib()


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NS3_QEMU_IMAGES_GIB", "2.5")
    assert pruning.limit_gib() == 2.5
