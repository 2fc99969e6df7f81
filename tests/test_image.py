# SPDX-License-Identifier: GPL-2.0-only
"""Images: addressed by what went into them, startable without Python."""

import hashlib
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import bzimage
from ns3_qemu import cpu, dates, image, kernel, toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.errors import ImageError, StepError
from ns3_qemu.image_spec import ImageSpec
from ns3_qemu.packages import Contents
from ns3_qemu.steps import Steps
from test_cpio import read
from test_dates import CERTIFICATE


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


def machine(directory: Path) -> dict[str, str]:
    """Return what an image's machine.conf says."""
    lines = (directory / "machine.conf").read_text().splitlines()
    return dict(line.split("=") for line in lines)


def test_an_image_has_all_that_a_machine_needs(cache: Cache, steps: Steps, parts: Parts) -> None:
    directory = image.ensure_spec(cache, steps, parts.spec)
    assert directory.parent == cache.images
    assert {file.name for file in directory.iterdir()} == {
        "initramfs",
        "kernel",
        "manifest.json",
        "used",
        "boot.args",
        "machine.conf",
        "qemu.args",
    }
    assert machine(directory) == {
        "memory-mib": "96",
        "nic-model": "virtio-net-pci",
        "relay-port": "virtio",
        "epoch": str(dates.OLDEST),
    }
    assert (directory / "kernel").read_bytes() == parts.bzimage.read_bytes()
    members = read((directory / "initramfs").read_bytes())
    assert members["init"].data == b"a relay"
    assert members["init"].mode & 0o111
    assert members["sbin/modprobe"].data == b"/init"
    assert members["dev/console"].device == (5, 1)
    assert {"dev", "etc", "proc", "root", "run", "sys", "tmp"} <= set(members)
    assert members["etc/ns3-qemu/modules"].data == b""


def test_a_kernel_that_is_not_what_was_fetched_is_refused(
    cache: Cache, steps: Steps, parts: Parts, debian_kernel: kernel.Kernel, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    content = bytearray(debian_kernel.bzimage.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        kernel_of_cache = replace(debian_kernel, bzimage=damaged)
        patch.setattr(kernel, "ensure", lambda *_args, **_options: kernel_of_cache)
        with pytest.raises(StepError, match="has changed since it was fetched") as failed:
            image.ensure_spec(cache, steps, parts.spec)
    assert f"Remove {tmp_path}" in failed.value.advice
    assert not cache.images.exists() or not any(cache.images.iterdir())


def test_what_packages_would_have_run_is_said_once(
    cache: Cache, steps: Steps, parts: Parts, screen: io.StringIO
) -> None:
    wanted = image.Image(parts.spec.kernel)
    wanted.overlay.add_packages(Contents(not_run={"tool": ["make-key", "make-data"]}), "tool")
    for _ in range(2):
        image.ensure_spec(cache, steps, wanted)
    assert screen.getvalue().count("tool: its installation on Debian also runs make-key, make") == 1


def test_the_modules_are_listed_in_load_order(
    cache: Cache, steps: Steps, parts: Parts, debian_kernel: kernel.Kernel
) -> None:
    spec = ImageSpec(f"file:{debian_kernel.bzimage},modules={debian_kernel.modules}")
    members = read((image.ensure_spec(cache, steps, spec) / "initramfs").read_bytes())
    listed = members["etc/ns3-qemu/modules"].data.decode().splitlines()
    drivers = ["virtio_pci", "virtio_net", "virtio_console"]
    wanted = kernel.modules(debian_kernel, drivers)
    assert [Path(path).stem for path in listed] == [module.name for module in wanted]
    for path, module in zip(listed, wanted, strict=True):
        assert members[path.removeprefix("/")].data == module.read()
    assert parts.relay.exists()


def test_the_command_starts_the_machine_of_this_image(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    spec = replace(parts.spec, memory_mib=128, cmdline_extra=("nohz=off",))
    directory = image.ensure_spec(cache, steps, spec)
    command = (directory / "qemu.args").read_text().splitlines()
    assert command[0] == "/qemu/bin/qemu-system-x86_64"
    assert "clock=vm" in dict(itertools.pairwise(command))["-rtc"]
    boot = dict(itertools.pairwise((directory / "boot.args").read_text().splitlines()))
    assert boot["-kernel"] == str(directory / "kernel")
    assert boot["-initrd"] == str(directory / "initramfs")
    assert boot["-append"].split()[-1] == "nohz=off"
    assert machine(directory)["memory-mib"] == "128"


def test_a_kernel_without_virtio_gets_an_image_without(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    spec = replace(parts.spec, nic="e1000", relay="uart", hpet_period_ns=16)
    directory = image.ensure_spec(cache, steps, spec)
    text = (directory / "qemu.args").read_text()
    assert "virtio-" not in text
    said = {"memory-mib": "96", "nic-model": "e1000", "relay-port": "uart"}
    assert said.items() <= machine(directory).items()
    # The relay's is the second UART, and the kernel is told so.
    assert "isa-serial,chardev=console,index=0\n" in text
    assert "isa-serial,chardev=relay,index=1\n" in text
    boot = (directory / "boot.args").read_text().splitlines()
    words = dict(itertools.pairwise(boot))["-append"].split()
    assert {"ns3_qemu.port=ttyS1", "console=ttyS0"} <= set(words)
    assert any(word.startswith("e1000.InterruptThrottleRate=0,") for word in words)
    assert "hpet.period-ns=16" in text
    # Neither modules nor anything that devtmpfs would bring.
    members = read((directory / "initramfs").read_bytes())
    assert members["etc/ns3-qemu/modules"].data == b""
    assert {"dev/console", "dev/null", "init"} <= set(members)


def test_a_module_is_listed_with_its_parameters(
    cache: Cache, steps: Steps, parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "bonding.ko"
    file.write_bytes(b"a driver")
    module = kernel.Module("bonding", file, "max_bonds=0 miimon=100")
    monkeypatch.setattr(kernel, "modules", lambda *_: [module])
    members = read((image.ensure_spec(cache, steps, parts.spec) / "initramfs").read_bytes())
    listed = members["etc/ns3-qemu/modules"].data
    assert listed == b"/lib/modules/bonding.ko max_bonds=0 miimon=100\n"


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
        {"cpu": "x86-64-v3"},
        {"date": "2026-11-27"},
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
        spec = replace(spec, **change)
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


# --- the date, the CPU ----------------------------------------------------------------------------


def test_the_guests_date_is_the_kernels_unless_a_file_or_disk_says_more_or_the_user(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    parts.bzimage.write_bytes(bzimage("6.1.0 (me@here) #1 SMP Debian 6.1.0-1 (2026-07-02)"))

    disk = parts.bzimage.with_name("disk.squashfs")
    disk.write_bytes(b"hsqs" + bytes(4) + (1_790_000_000).to_bytes(4, "little") + bytes(500))

    def epoch(date: str | None = None, disks: tuple[Path, ...] = (), **files: str) -> int:
        wanted = image.Image(parts.spec.kernel, date=date)
        for file in disks:
            wanted.disk(file)
        for name, text in files.items():
            wanted.write(f"/etc/{name}", text)
        return int(machine(wanted.build_in(cache, steps))["epoch"])

    assert epoch() == epoch(motd="hello") == dates.parse("2026-07-02")
    assert epoch(pem=CERTIFICATE.decode()) == dates.parse("2026-11-28")
    assert epoch(disks=(disk,)) == dates.parse("2026-09-22")
    assert epoch("2027-01-01", pem=CERTIFICATE.decode()) == dates.parse("2027-01-01")


def test_a_cpu_that_qemu_does_not_have_is_an_error(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    models = r"Available CPUs:\n  Haswell-v1  Intel\n\nRecognized CPUID flags:\n  avx"
    qemu.write_text(f'#!/bin/sh\n[ "$*" = "-cpu help" ] && printf "{models}\\n"\n')
    qemu.chmod(0o755)
    for name in (*cpu.LEVELS, "Haswell-v1"):
        cpu.check(name, qemu)
    for name in ("x86-64-v4", "avx", "qemu64,+avx", "Available"):
        with pytest.raises(ImageError, match=re.escape(f"there is no CPU '{name}'")) as caught:
            cpu.check(name, qemu)
        assert "x86-64-v3" in caught.value.advice


# --- one content, one image -----------------------------------------------------------------------


def tree(directory: Path, data: str = "the same") -> Path:
    """Make a directory with all kinds of names in it."""
    directory.mkdir(parents=True, mode=0o755)
    for name in ("b", "a", "ü", "sub"):
        place = directory / name
        if name == "sub":
            place.mkdir()
            place /= "c"
        place.write_text(data)
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return directory


def of_tree(parts: Parts, directory: Path) -> image.Image:
    wanted = image.Image(parts.spec.kernel)
    wanted.add(directory, to="/srv")
    wanted.write("/etc/motd", "hello")
    return wanted


def built(cache: Cache, steps: Steps, wanted: image.Image) -> tuple[str, bytes]:
    """Return an image's name and its initramfs."""
    directory = wanted.build_in(cache, steps)
    return directory.name, (directory / "initramfs").read_bytes()


def test_two_directories_of_the_same_content_make_one_image_and_of_another_two(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "elsewhere" / "two")
    other = tree(tmp_path / "other", "something else")
    first = of_tree(parts, one).build_in(cache, steps)
    assert of_tree(parts, two).build_in(cache, steps) == first
    assert of_tree(parts, other).build_in(cache, steps) != first
    # Where it came from is told all the same.
    assert image.images(cache)[first].added == (f"{one} as /srv",)
    assert len(image.images(cache)) == 2


def _by_another_kernel_file(parts: Parts, top: Path) -> image.Image:
    copy = top.parent / "elsewhere" / "vmlinuz"
    copy.parent.mkdir()
    shutil.copyfile(parts.bzimage, copy)
    parts.bzimage = copy
    return of_tree(parts, top)


def _at_other_times(parts: Parts, top: Path) -> image.Image:
    for path in top.rglob("*"):
        os.utime(path, (1, 1))
    return of_tree(parts, top)


def _read_in_another_order(parts: Parts, top: Path) -> image.Image:
    walk = os.walk

    def backwards(*arguments: Any, **options: Any) -> Any:
        for directory, names, files in walk(*arguments, **options):
            names.sort(reverse=True)
            yield directory, names, sorted(files, reverse=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "walk", backwards)
        return of_tree(parts, top)


def _added_in_another_order(parts: Parts, top: Path) -> image.Image:
    wanted = image.Image(parts.spec.kernel)
    wanted.write("/etc/motd", "hello")
    wanted.add(top, to="/srv")
    return wanted


def _file_by_file(parts: Parts, top: Path) -> image.Image:
    wanted = image.Image(parts.spec.kernel)
    for path in top.rglob("*"):
        if path.is_file():
            wanted.write(f"/srv/{path.relative_to(top)}", path.read_text())
    wanted.write("/etc/motd", "hello")
    return wanted


def _as_a_root_file_system(parts: Parts, top: Path) -> image.Image:
    root = top.parent / "root"
    shutil.copytree(top, root / "srv")
    root.chmod(0o700)
    wanted = image.Image(parts.spec.kernel, rootfs=root)
    wanted.write("/etc/motd", "hello")
    return wanted


@pytest.mark.parametrize(
    "again",
    [
        _by_another_kernel_file,
        _at_other_times,
        _read_in_another_order,
        _added_in_another_order,
        _file_by_file,
        _as_a_root_file_system,
    ],
    ids=lambda function: function.__name__.strip("_"),
)
def test_what_is_the_same_in_the_guest_is_the_same_image(
    cache: Cache,
    steps: Steps,
    parts: Parts,
    tmp_path: Path,
    again: Callable[[Parts, Path], image.Image],
) -> None:
    top = tree(tmp_path / "top")
    first = built(cache, steps, of_tree(parts, top))
    assert built(Cache(tmp_path / "other"), steps, again(parts, top)) == first


def test_options_that_mean_the_same_make_the_same_image(
    cache: Cache, steps: Steps, parts: Parts
) -> None:
    one = replace(parts.spec, cmdline_extra=("quiet", "nohz=off"), memory_mib=96)
    two = replace(parts.spec, cmdline_extra=["quiet nohz=off"])
    assert image.ensure_spec(cache, steps, one) == image.ensure_spec(cache, steps, two)


def test_the_umask_is_not_in_an_image(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    top = tree(tmp_path / "top")
    first = built(cache, steps, of_tree(parts, top))
    before = os.umask(0o077)
    try:
        second = built(Cache(tmp_path / "other"), steps, of_tree(parts, top))
    finally:
        os.umask(before)
    assert second == first


OVERLAY = r"""
import hashlib, sys
from ns3_qemu import cpio
from ns3_qemu.overlay import Overlay, digests
overlay = Overlay()
overlay.add(sys.argv[1], to="/srv/\u00fc")
overlay.write("/srv/\u20ac", "as a script says it")
overlay.link("/srv/link", "/srv/\u20ac")
root = Overlay()
root.add_rootfs(sys.argv[2])
for one in (overlay, root):
    entries = one.entries([])
    print(ascii(digests(entries)), hashlib.sha256(cpio.archive(entries)).hexdigest())
"""


def test_the_locale_is_not_in_an_image(tmp_path: Path) -> None:
    top = tree(tmp_path / "top")
    subprocess.run(
        ["tar", "--format=posix", "-cf", tmp_path / "root.tar", "-C", tmp_path, "top"], check=True
    )

    def run(**environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", OVERLAY, top, tmp_path / "root.tar"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    usual = run(LC_ALL="C.UTF-8")
    assert "/srv/\\u20ac" in usual
    # ASCII, without Python's own way around it.
    assert run(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0") == usual


def test_a_cache_that_is_reached_by_a_link_is_the_same(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    first = image.ensure_spec(cache, steps, parts.spec)
    (tmp_path / "link").symlink_to(cache.root)
    assert image.ensure_spec(Cache(tmp_path / "link"), steps, parts.spec) == first


def test_directories_that_differ_only_in_the_guest_make_two_images(
    cache: Cache, steps: Steps, parts: Parts, tmp_path: Path
) -> None:
    """/root, which is there anyway, is root's alone unless its mode is said."""
    (tmp_path / "top" / "root").mkdir(parents=True)
    (tmp_path / "top" / "root").chmod(0o755)
    said = image.Image(parts.spec.kernel, rootfs=tmp_path / "top")
    implied = image.Image(parts.spec.kernel)
    for wanted in (said, implied):
        wanted.write("/root/x", "x")
    modes = {
        directory: read((directory / "initramfs").read_bytes())["root"].mode & 0o777
        for directory in (said.build_in(cache, steps), implied.build_in(cache, steps))
    }
    assert list(modes.values()) == [0o755, 0o700]


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
    wanted = image.Image(parts.spec.kernel, memory_mib=needed)
    wanted.add(tmp_path / "large", to="/large")
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
        (ImageSpec(cmdline_extra="nohz=off"), "not a list of kernel parameters: 'nohz=off'"),
        (ImageSpec(extra_modules=["tcp_bbr", ""]), "not a kernel module: ''"),
        (ImageSpec(memory_mib="96"), "cannot be 96 MiB"),  # type: ignore[arg-type]
        (ImageSpec(date="today"), "not a date: 'today'"),
        (ImageSpec(cpu=""), "not a CPU: ''"),
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
