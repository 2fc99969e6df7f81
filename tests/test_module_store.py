# SPDX-License-Identifier: GPL-2.0-only
"""All modules of a kernel in one file."""

import gzip
import hashlib
import lzma
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import bzimage
from ns3_qemu import image, kernel, module_store
from ns3_qemu.cache import Cache
from ns3_qemu.errors import KernelError
from ns3_qemu.steps import Steps

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "virtio_net": lzma.compress,
    "net_failover": gzip.compress,
    "failover": lambda data: data,
}


@pytest.fixture
def own(tmp_path: Path, debian_kernel: kernel.Kernel) -> kernel.Kernel:
    """A kernel with a few real modules, packed in several ways, and what is built in."""
    assert debian_kernel.modules
    directory = tmp_path / "modules"
    (directory / "kernel").mkdir(parents=True)
    for module in kernel.modules(debian_kernel, ["virtio_net", "sch_cake", "libcrc32c"]):
        packer = PACKERS.get(module.name, lzma.compress)
        suffix = {lzma.compress: ".xz", gzip.compress: ".gz"}.get(packer, "")
        name = module.name.replace("_", "-")
        (directory / "kernel" / f"{name}.ko{suffix}").write_bytes(packer(module.read()))
    for name in ("modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(debian_kernel.modules / name, directory)
    (tmp_path / "bzImage").write_bytes(bzimage("6.1.0"))
    return kernel.of_file(tmp_path / "bzImage", directory)


def lines(data: bytes) -> tuple[list[str], list[str]]:
    """Return a store's lines, and those of them that are patterns."""
    magic, version, _, index, length, patterns = struct.unpack_from("<16sIIQQQ", data)
    assert (magic, version) == (b"ns3-qemu modules", 1)
    text = data[index : index + length]
    return text.decode().splitlines(), text[patterns:].decode().splitlines()


def test_a_store_has_each_module_whole_and_says_what_it_needs(
    cache: Cache, steps: Steps, own: kernel.Kernel, debian_kernel: kernel.Kernel
):
    store = module_store.ensure(cache, steps, own)
    assert store
    data = store.file.read_bytes()
    assert len(data) == store.size == 2 ** (store.size.bit_length() - 1)
    assert store.sha256 == hashlib.sha256(data).hexdigest()
    index, patterns = lines(data)
    said = {words[1]: words[2:] for words in map(str.split, index) if words[0] == "m"}
    real = {module.name: module for module in kernel.modules(debian_kernel, list(said))}
    assert {"virtio_net", "net_failover", "failover", "sch_cake", "libcrc32c"} <= said.keys()
    for name, (offset, length, *_) in said.items():
        assert data[int(offset) : int(offset) + int(length)] == real[name].read()
    needed = [module.name for module in kernel.modules(debian_kernel, ["virtio_net"])]
    assert [*said["virtio_net"][2:], "virtio_net"] == needed
    assert {"b sch_fq_codel", "a ipv6 net_pf_10"} <= set(index)
    assert "s libcrc32c pre: crc32c" in index
    # A device's, with wildcards; those come last.
    assert "p virtio_net virtio:d00000001v*" in patterns
    assert {line[0] for line in patterns} == {"p"}


def test_it_is_made_once_and_anew_when_a_module_has_changed(
    cache: Cache, steps: Steps, own: kernel.Kernel
):
    assert own.modules
    assert module_store.find(cache, own) is None
    first = module_store.ensure(cache, steps, own)
    assert first == module_store.find(cache, own) == module_store.ensure(cache, steps, own)
    (own.modules / "kernel" / "failover.ko").unlink()
    assert module_store.find(cache, own) is None
    second = module_store.ensure(cache, steps, own)
    assert second
    assert second != first


def test_a_kernel_without_modules_has_none(cache: Cache, steps: Steps, own: kernel.Kernel):
    assert module_store.ensure(cache, steps, kernel.of_file(own.bzimage)) is None


def test_parameters_go_with_a_module(own: kernel.Kernel):
    wanted = kernel.modules(own, ["virtio-net csum=0 gso=0"])
    given = {module.name: module.parameters for module in wanted}
    assert given.pop("virtio_net") == "csum=0 gso=0"
    assert set(given.values()) == {""}


@pytest.mark.parametrize("modules", [True, False])
def test_what_is_built_in_takes_its_parameters_from_the_command_line(
    own: kernel.Kernel, *, modules: bool
):
    guest = own if modules else kernel.of_file(own.bzimage)
    with pytest.raises(KernelError, match="unix is built into the kernel") as caught:
        kernel.modules(guest, ["unix a=1 b=2"])
    assert 'cmdline_extra=["unix.a=1", "unix.b=2"]' in caught.value.advice


def test_a_module_that_nothing_here_can_unpack_is_an_error(own: kernel.Kernel):
    assert own.modules
    (own.modules / "kernel" / "other.ko.zst").write_bytes(b"not packed by zstd")
    with pytest.raises(KernelError, match=r"cannot unpack the module .*other\.ko\.zst") as caught:
        kernel.Module("other", own.modules / "kernel" / "other.ko.zst").read()
    assert "zstd" in caught.value.advice


def modprobe_of(wanted: image.Image, release: str) -> list[bytes]:
    """Return what is at /sbin/modprobe in an image."""
    entries = image.own_entries(wanted.overlay, b"relay", [], release)
    return [
        entry.data for entry in entries if entry.path in ("/sbin/modprobe", "/usr/sbin/modprobe")
    ]


def test_modprobe_is_the_images_own_unless_the_user_has_the_modules_too():
    wanted = image.Image()
    assert modprobe_of(wanted, "6.1.0") == [b"/init"]
    wanted.add("/bin/busybox")
    wanted.link("/sbin/modprobe", "/bin/busybox")
    assert modprobe_of(wanted, "6.1.0") == [b"/init"]
    wanted.write("/lib/modules/6.1.0/modules.dep", "")
    assert modprobe_of(wanted, "6.1.0") == [b"/bin/busybox"]
    assert modprobe_of(wanted, "6.12.0") == [b"/init"]
