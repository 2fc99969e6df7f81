# SPDX-License-Identifier: GPL-2.0-only
"""Images: addressed by what went into them, startable without Python."""

import hashlib
import itertools
import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conftest import bzimage
from ns3_qemu import image, kernel, toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.errors import ImageError
from ns3_qemu.image import ImageSpec
from ns3_qemu.steps import Steps
from test_cpio import read


class Parts:
    """What images are made of here: a relay, a kernel and a QEMU that only look like it."""

    def __init__(self, directory: Path) -> None:
        self.relay = directory / "relay"
        self.relay.write_bytes(b"a relay")
        self.bzimage = directory / "bzImage"
        self.bzimage.write_bytes(bzimage("6.1.0"))
        self.qemu = self.version("1:10.0.1")

    @property
    def spec(self) -> ImageSpec:
        return ImageSpec(f"file:{self.bzimage}")

    @staticmethod
    def version(version: str, directory: str = "/qemu") -> toolchain.Qemu:
        manifest = toolchain.Manifest(version, {}, "", ())
        return toolchain.Qemu(Path(directory), manifest)


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    parts = Parts(tmp_path)
    monkeypatch.setattr(image, "relay_path", lambda: parts.relay)
    monkeypatch.setattr(toolchain, "ensure", lambda *_args, **_options: parts.qemu)
    monkeypatch.setattr(toolchain, "find", lambda _cache: parts.qemu)
    return parts


def test_an_image_has_all_that_a_machine_needs(cache: Cache, steps: Steps, parts: Parts) -> None:
    directory = image.ensure_spec(cache, steps, parts.spec)
    assert directory.parent == cache.images
    assert {file.name for file in directory.iterdir()} == {
        "initramfs",
        "kernel",
        "manifest.json",
        "used",
        "nic-model",
        "qemu.args",
    }
    assert (directory / "nic-model").read_text() == "virtio-net-pci\n"
    assert (directory / "kernel").read_bytes() == parts.bzimage.read_bytes()
    members = read((directory / "initramfs").read_bytes())
    assert members["init"].data == b"a relay"
    assert members["init"].mode & 0o111
    assert members["dev/console"].device == (5, 1)
    assert {"dev", "etc", "proc", "root", "run", "sys", "tmp"} <= set(members)
    assert members["etc/ns3-qemu/modules"].data == b""


def test_the_modules_are_listed_in_load_order(
    cache: Cache, steps: Steps, parts: Parts, debian_kernel: kernel.Kernel
) -> None:
    spec = ImageSpec(f"file:{debian_kernel.bzimage},modules={debian_kernel.modules}")
    members = read((image.ensure_spec(cache, steps, spec) / "initramfs").read_bytes())
    listed = members["etc/ns3-qemu/modules"].data.decode().splitlines()
    wanted = kernel.modules(debian_kernel, ["virtio_pci", "virtio_net", "virtio_console"])
    assert [Path(path).stem for path in listed] == [module.name for module in wanted]
    for path, module in zip(listed, wanted, strict=True):
        assert members[path.removeprefix("/")].data == module.read()
    assert parts.relay.exists()


def test_the_command_starts_the_machine_of_this_image(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    spec = msgspec.structs.replace(parts.spec, memory_mib=128, cmdline_extra=("nohz=off",))
    directory = image.ensure_spec(cache, steps, spec)
    command = (directory / "qemu.args").read_text().splitlines()
    assert command[0] == "/qemu/bin/qemu-system-x86_64"
    options = dict(itertools.pairwise(command))
    assert options["-kernel"] == str(directory / "kernel")
    assert options["-initrd"] == str(directory / "initramfs")
    assert options["-m"] == "128"
    assert options["-append"].split()[-1] == "nohz=off"
    assert "clock=vm" in options["-rtc"]


def test_a_kernel_without_virtio_gets_an_image_without(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    spec = msgspec.structs.replace(parts.spec, nic="e1000", relay="uart", hpet_period_ns=16)
    directory = image.ensure_spec(cache, steps, spec)
    text = (directory / "qemu.args").read_text()
    assert "virtio-" not in text
    assert (directory / "nic-model").read_text() == "e1000\n"
    # The relay's is the second UART, and the kernel is told so.
    assert "isa-serial,chardev=console,index=0\n" in text
    assert "isa-serial,chardev=relay,index=1\n" in text
    words = dict(itertools.pairwise(text.splitlines()))["-append"].split()
    assert {"ns3_qemu.port=ttyS1", "console=ttyS0"} <= set(words)
    assert any(word.startswith("e1000.InterruptThrottleRate=0,") for word in words)
    assert "hpet.period-ns=16" in text
    # Neither modules nor anything that devtmpfs would bring.
    members = read((directory / "initramfs").read_bytes())
    assert members["etc/ns3-qemu/modules"].data == b""
    assert {"dev/console", "dev/null", "init"} <= set(members)


def test_a_driver_that_is_a_module_gets_its_parameter_there(
    cache: Cache, steps: Steps, parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "e1000.ko"
    file.write_bytes(b"a driver")
    monkeypatch.setattr(kernel, "modules", lambda *_: [kernel.Module("e1000", file)])
    directory = image.ensure_spec(cache, steps, msgspec.structs.replace(parts.spec, nic="e1000"))
    listed = read((directory / "initramfs").read_bytes())["etc/ns3-qemu/modules"].data
    assert re.fullmatch(rb"/lib/modules/e1000.ko InterruptThrottleRate=0(,0){31}\n", listed)


def test_an_image_is_built_once(cache: Cache, steps: Steps, parts: Parts) -> None:
    first = image.ensure_spec(cache, steps, parts.spec)
    before = os.stat(first / "initramfs")  # noqa: PTH116
    assert image.find(cache, parts.spec) == first
    assert image.ensure_spec(cache, steps, parts.spec) == first
    assert os.stat(first / "initramfs") == before  # noqa: PTH116


def test_an_image_that_would_have_to_be_built_is_not_found(cache: Cache, parts: Parts) -> None:
    assert image.find(cache, parts.spec) is None


@pytest.mark.parametrize(
    "change",
    [
        {"memory_mib": 128},
        {"cmdline_extra": ("quiet",)},
        {"nic": "e1000"},
        {"relay": "uart"},
        {"hpet_period_ns": 16},
        "kernel",
        "relay",
        "qemu version",
        "qemu path",
    ],
    ids=str,
)
def test_each_ingredient_makes_another_image(
    cache: Cache, steps: Steps, parts: Parts, change: dict[str, Any] | str
) -> None:
    before = image.ensure_spec(cache, steps, parts.spec)
    spec = parts.spec
    if isinstance(change, dict):
        spec = msgspec.structs.replace(spec, **change)
    elif change == "kernel":
        parts.bzimage.write_bytes(bzimage("6.1.0", b"patched"))
    elif change == "relay":
        parts.relay.write_bytes(b"another relay")
    elif change == "qemu version":
        parts.qemu = parts.version("1:10.0.2")
    else:
        parts.qemu = parts.version("1:10.0.1", "/another")
    after = image.ensure_spec(cache, steps, spec)
    assert after != before
    assert before.is_dir()


@pytest.mark.parametrize("change", ["path", "mode", "bytes"])
def test_each_property_of_an_added_file_makes_another_image(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path, change: str
) -> None:
    (tmp_path / "data").write_bytes(b"one")
    (tmp_path / "data").chmod(0o644)

    def build(place: str = "/srv/data") -> Path:
        wanted = image.Image(parts.spec.kernel)
        wanted.add(tmp_path / "data", to=place)
        return wanted.build_in(cache, steps)

    plain = image.ensure_spec(cache, steps, parts.spec)
    before = build()
    assert before == build()
    assert before != plain
    if change == "mode":
        (tmp_path / "data").chmod(0o600)
    elif change == "bytes":
        (tmp_path / "data").write_bytes(b"two")
    after = build("/srv/other" if change == "path" else "/srv/data")
    assert after != before
    members = read((after / "initramfs").read_bytes())
    assert members["init"].data == b"a relay"
    assert ("srv/other" in members) == (change == "path")


def test_an_image_says_what_was_added(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    (tmp_path / "data").write_bytes(b"one")
    wanted = image.Image(parts.spec.kernel)
    wanted.add(tmp_path / "data", to="/srv/data")
    directory = wanted.build_in(cache, steps)
    manifest = image.images(cache)[directory]
    assert manifest.added == (f"{tmp_path}/data as /srv/data",)
    assert manifest.files["/srv/data"] == f"100644 0:0 {hashlib.sha256(b'one').hexdigest()}"


def test_memory_that_added_files_do_not_fit_into_is_an_error(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(20 * 2**20))
    wanted = image.Image(parts.spec.kernel, memory_mib=96)
    wanted.add(tmp_path / "large", to="/large")
    with pytest.raises(ImageError, match="96 MiB of memory are too little") as caught:
        wanted.build_in(cache, steps)
    needed = int(caught.value.advice.split()[1])
    wanted.memory_mib = needed
    assert wanted.build_in(cache, steps).is_dir()


def test_the_same_ingredients_make_the_same_bytes(
    steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    one, two = (
        image.ensure_spec(Cache(tmp_path / name), steps, parts.spec) for name in ("one", "two")
    )
    assert one.name == two.name
    assert (one / "initramfs").read_bytes() == (two / "initramfs").read_bytes()
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ImageSpec(nic="rtl8139"), "no NIC 'rtl8139'"),
        (ImageSpec(memory_mib=4), "4 MiB"),
        (ImageSpec(relay="parallel"), "'parallel'"),
        (ImageSpec(hpet_period_ns=101), "101 ns"),
        (ImageSpec(cmdline_extra=("a\nb",)), "not a kernel parameter"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    cache: Cache, steps: Steps, spec: ImageSpec, message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        image.ensure_spec(cache, steps, spec)


def test_an_image_can_be_removed_by_how_its_name_begins(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    directory = image.ensure_spec(cache, steps, parts.spec)
    assert list(image.images(cache)) == [directory]
    with pytest.raises(ImageError, match="no image 'xyz'"):
        image.remove(cache, "xyz")
    with pytest.raises(ImageError, match="no image ''"):
        image.remove(cache, "")
    image.remove(cache, directory.name[:4])
    assert image.images(cache) == {}


def test_the_package_has_the_relay() -> None:
    relay = image.relay_path().read_bytes()
    assert relay.startswith(b"\x7fELF")
    assert b"/lib64/ld-linux" not in relay, "the relay must be static"
