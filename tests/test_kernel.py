# SPDX-License-Identifier: GPL-2.0-only
"""Guest kernels and their modules."""

import lzma
from pathlib import Path

import pytest

from conftest import bzimage
from ns3_qemu import kernel
from ns3_qemu.cache import Cache
from ns3_qemu.errors import KernelError
from ns3_qemu.steps import Steps

WANTED = ["virtio_pci", "virtio_net", "virtio_console"]


def test_modules_of_a_real_kernel_come_after_what_they_need(debian_kernel: kernel.Kernel) -> None:
    modules = kernel.modules(debian_kernel, WANTED)
    names = [module.name for module in modules]
    assert set(WANTED) <= set(names)
    assert {"virtio", "virtio_ring", "failover", "net_failover"} <= set(names)
    for module in modules:
        for needed in kernel.depends(module.read()):
            assert names.index(needed.replace("-", "_")) < names.index(module.name)


def test_a_driver_that_a_kernel_does_not_have_is_an_error(debian_kernel: kernel.Kernel) -> None:
    with pytest.raises(KernelError, match="has no e1000, neither as a module nor built in"):
        kernel.modules(debian_kernel, ["virtio_pci", "e1000"])


def test_what_is_built_in_is_not_loaded(debian_kernel: kernel.Kernel) -> None:
    assert kernel.modules(debian_kernel, ["8250", "unix"]) == []


def test_the_release_of_a_real_kernel_is_in_its_header(debian_kernel: kernel.Kernel) -> None:
    own = kernel.of_file(debian_kernel.bzimage)
    assert own.release == debian_kernel.release
    assert own.sha256 == debian_kernel.sha256
    assert kernel.modules(own, WANTED) == []


def test_a_kernel_of_the_users_own(cache: Cache, steps: Steps, tmp_path: Path) -> None:
    (tmp_path / "bzImage").write_bytes(bzimage("2.6.26"))
    own = kernel.ensure(cache, steps, f"file:{tmp_path}/bzImage")
    assert own.release == "2.6.26"
    assert own.modules is None


def test_with_modules_of_the_users_own(
    cache: Cache, steps: Steps, tmp_path: Path, debian_kernel: kernel.Kernel
) -> None:
    """As a kernel build installs them, packed, with a hyphen in a file name and no lists."""
    (tmp_path / "bzImage").write_bytes(bzimage("5.4.0"))
    directory = tmp_path / "modules" / "kernel"
    directory.mkdir(parents=True)
    for module in kernel.modules(debian_kernel, ["virtio_net"]):
        name = module.name.replace("_", "-")
        (directory / f"{name}.ko.xz").write_bytes(lzma.compress(module.read()))
    own = kernel.ensure(cache, steps, f"file:{tmp_path}/bzImage,modules={tmp_path}/modules")
    modules = kernel.modules(own, WANTED)
    assert [module.name for module in modules][-3:] == ["failover", "net_failover", "virtio_net"]
    assert modules[-1].read().startswith(b"\x7fELF")


def test_a_file_that_is_no_kernel_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a kernel\n" * 100)
    with pytest.raises(KernelError, match="text is not a bzImage"):
        kernel.of_file(tmp_path / "text")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"cannot read the kernel .*/none: No such file"):
        kernel.of_file(tmp_path / "none")
    (tmp_path / "bzImage").write_bytes(bzimage("6.1.0"))
    with pytest.raises(KernelError, match=r"there is no directory .*/none"):
        kernel.of_file(tmp_path / "bzImage", tmp_path / "none")


@pytest.mark.parametrize("spec", ["", "6.1", "debian:", "file:", "fedora:40"])
def test_what_does_not_name_a_kernel_is_an_error(cache: Cache, steps: Steps, spec: str) -> None:
    with pytest.raises(KernelError, match="not the name of a kernel") as caught:
        kernel.ensure(cache, steps, spec)
    assert "debian:6.1" in caught.value.advice


def test_an_unknown_series_is_an_error_that_lists_what_there_is(
    cache: Cache, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ns3_qemu.apt.Suite.binary_versions",
        lambda _self, _package: {"7.2.13-1": {"version": "7.2.13-1"}},
    )
    with pytest.raises(KernelError, match=r"there is no kernel debian:3\.1") as caught:
        kernel.ensure(cache, steps, "debian:3.1")
    for known in ("debian:5.10", "debian:6.1", "debian:6.12", "debian:7.2"):
        assert known in caught.value.advice


@pytest.mark.parametrize("name", ["debian:6.1,flavour=rt", "debian:6.1,amd64", "debian:6.1,"])
def test_a_flavour_that_there_is_not_is_refused(cache: Cache, steps: Steps, name: str) -> None:
    with pytest.raises(KernelError, match="there is no kernel") as caught:
        kernel.ensure(cache, steps, name)
    assert "debian:6.1,flavour=amd64" in caught.value.advice
    with pytest.raises(KernelError, match="there is no kernel"):
        kernel.check_name(name)


def test_flavours_are_different_kernels() -> None:
    cloud, usual = (
        kernel.find(Cache(), name) for name in ("debian:6.1", "debian:6.1,flavour=amd64")
    )
    assert cloud
    assert usual, "not there yet: run ns3-qemu setup --kernel debian:6.1,flavour=amd64"
    assert cloud.release == usual.release.replace("-amd64", "-cloud-amd64")
    assert [module.name for module in kernel.modules(usual, ["e1000"])] == ["e1000"]
    with pytest.raises(KernelError, match="has no e1000"):
        kernel.modules(cloud, ["e1000"])


def test_a_kernel_in_the_cache_needs_no_archive(steps: Steps, debian_kernel: kernel.Kernel) -> None:
    assert kernel.ensure(Cache(), steps, "debian:6.1") == debian_kernel


@pytest.mark.parametrize("late", [False, True])
def test_packages_of_either_layout_are_understood(tmp_path: Path, late: bool) -> None:
    """From 7.x on, all is below /usr/lib/modules; before, kernel and configuration are in /boot."""
    release = "9.9-cloud-amd64"
    modules = tmp_path / "root" / ("usr/lib" if late else "lib") / "modules" / release
    modules.mkdir(parents=True)
    (modules / "modules.builtin").touch()
    boot = modules if late else tmp_path / "root" / "boot"
    boot.mkdir(exist_ok=True)
    suffix = "" if late else f"-{release}"
    (boot / f"vmlinuz{suffix}").write_text("kernel")
    (boot / f"config{suffix}").write_text("config")
    result = tmp_path / "result"
    result.mkdir()
    kernel._lay_out(tmp_path / "root", release, result)
    assert (result / "bzImage").read_text() == "kernel"
    assert (result / "config").read_text() == "config"
    assert (result / "modules" / "modules.builtin").exists()
