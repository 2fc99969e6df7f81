# SPDX-License-Identifier: GPL-2.0-only
"""Images have names by which C++ programs find them."""

import re
from pathlib import Path

import pytest

from ns3_qemu import image, names
from ns3_qemu.cache import Cache
from ns3_qemu.errors import ImageError
from ns3_qemu.image_spec import ImageSpec

HEADER = Path(__file__).parent.parent / "ns3-module/vm/image-name.h"


def read(cache: Cache, name: str) -> dict[str, str]:
    lines = names.file_of(cache, name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_module_knows_the_layout_of_todays_images() -> None:
    said = re.search(r"IMAGE_FORMAT = (\d+)", HEADER.read_text())
    assert said
    assert int(said[1]) == image._FORMAT


def test_an_image_that_is_nothing_but_a_kernel_has_its_name(vm_image: Path) -> None:
    assert read(Cache(), "debian:6.1") == {
        "directory": str(vm_image),
        "format": str(image._FORMAT),
    }


def test_options_and_files_take_the_kernels_name_away() -> None:
    with_file = image.Image("debian:6.1")
    with_file.write("/etc/motd", "hello")
    assert image._bare_name(with_file) is None
    assert image._bare_name(ImageSpec("debian:6.1", cpu="x86-64-v3")) is None
    assert image._bare_name(ImageSpec("debian:6.1")) == "debian:6.1"


def test_a_name_means_what_it_was_given_last(cache: Cache, tmp_path: Path) -> None:
    kernel = tmp_path / "bzImage"
    kernel.write_text("a kernel")
    name = f"file:{kernel}"
    names.record(cache, name, tmp_path / "first", 3, kernel)
    names.record(cache, name, tmp_path / "second", 3, kernel)
    assert read(cache, name) == {
        "directory": str(tmp_path / "second"),
        "format": "3",
        "kernel": str(kernel),
        "kernel-mtime-ns": str(kernel.stat().st_mtime_ns),
    }
    assert names.file_of(cache, name).parent == cache.names
    assert len(list(cache.names.iterdir())) == 1


@pytest.mark.parametrize("name", ["", "a/b", "debian:6.1", "-x", "two words", "x" * 101])
def test_a_name_that_would_be_something_else_is_refused(name: str) -> None:
    with pytest.raises(ImageError, match="not a name for an image"):
        names.check(name)
