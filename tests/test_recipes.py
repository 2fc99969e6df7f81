# SPDX-License-Identifier: GPL-2.0-only
"""An image that was built of the same words and files is found again without reading them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu import recipes
from ns3_qemu.cache import Cache

WORDS = ["exec", "debian:6.1"]


class Builder:
    """Reads a file and lists a directory, and makes an image of them."""

    def __init__(self, cache: Cache, source: Path) -> None:
        self.image = cache.images / "image"
        self.builds = 0
        self._source = source

    def __call__(self) -> Path:
        self.builds += 1
        self.image.mkdir(parents=True, exist_ok=True)
        for name in sorted(os.listdir(self._source)):  # noqa: PTH208 - as os.walk does
            (self._source / name).read_bytes()
        return self.image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("one")
    return directory


@pytest.fixture
def builder(cache: Cache, source: Path) -> Builder:
    return Builder(cache, source)


def test_the_same_again_is_not_built_again(cache: Cache, builder: Builder) -> None:
    assert recipes.ensure(cache, WORDS, builder) == builder.image
    assert recipes.ensure(cache, WORDS, builder) == builder.image
    assert builder.builds == 1
    recipes.ensure(cache, [*WORDS, "--add"], builder)
    assert builder.builds == 2


def _write(source: Path, _image: Path) -> None:
    (source / "file").write_text("two")
    os.utime(source / "file", ns=(0, 1))


def _add(source: Path, _image: Path) -> None:
    (source / "new").write_text("")


def _remove(source: Path, _image: Path) -> None:
    (source / "file").unlink()


def _prune(_source: Path, image: Path) -> None:
    image.rmdir()


def _upgrade(_source: Path, _image: Path) -> None:
    own = Path(recipes.__file__)
    os.utime(own, ns=(own.stat().st_atime_ns, own.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [_write, _add, _remove, _upgrade])
def test_whatever_was_read_and_changes_has_it_built_again(
    cache: Cache, builder: Builder, source: Path, change: Callable[[Path, Path], None]
) -> None:
    recipes.ensure(cache, WORDS, builder)
    change(source, builder.image)
    recipes.ensure(cache, WORDS, builder)
    assert builder.builds == 2


def test_an_image_that_has_gone_is_built_again(
    cache: Cache, builder: Builder, source: Path
) -> None:
    recipes.ensure(cache, WORDS, builder)
    (builder.image / "used").unlink(missing_ok=True)
    _prune(source, builder.image)
    recipes.ensure(cache, WORDS, builder)
    assert builder.builds == 2


def test_a_recipe_that_cannot_be_read_is_written_anew(cache: Cache, builder: Builder) -> None:
    recipes.ensure(cache, WORDS, builder)
    (recipe,) = cache.recipes.iterdir()
    recipe.write_text("{")
    recipes.ensure(cache, WORDS, builder)
    recipes.ensure(cache, WORDS, builder)
    assert builder.builds == 2
