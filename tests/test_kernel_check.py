# SPDX-License-Identifier: GPL-2.0-only
"""What is said of a kernel of one's own before it is tried."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from conftest import bzimage
from ns3_qemu import cli, kernel, kernel_check, kernel_config
from ns3_qemu.cache import Cache
from ns3_qemu.errors import KernelError
from ns3_qemu.kernel_check import Report, State

# What a 2.6.26 that is to be NSC's is built with, as the documentation says.
NSC = """\
#
# Linux kernel version: 2.6.26
#
CONFIG_X86_64=y
CONFIG_X86_L1_CACHE_SHIFT=5
CONFIG_HZ=1000
CONFIG_BLK_DEV_INITRD=y
CONFIG_BINFMT_ELF=y
CONFIG_ACPI=y
CONFIG_PCI=y
CONFIG_HPET_TIMER=y
CONFIG_NET=y
CONFIG_INET=y
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
CONFIG_SYSCTL=y
CONFIG_EPOLL=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_SERIAL_8250_NR_UARTS=4
CONFIG_E1000=y
CONFIG_TCP_CONG_CUBIC=y
CONFIG_DEFAULT_TCP_CONG="cubic"
# CONFIG_IPV6 is not set
"""


def own(
    directory: Path, config: str, release: str = "2.6.26", *, modules: bool = False
) -> kernel.Kernel:
    """Return a kernel with a configuration beside it, as a build leaves it."""
    (directory / "bzImage").write_bytes(bzimage(release))
    (directory / ".config").write_text(config)
    return kernel.of_file(directory / "bzImage", directory if modules else None)


def states(report: Report, part: str) -> dict[str, State]:
    return {finding.asked: finding.state for finding in report.findings if finding.part == part}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["kernel", "check", *arguments])


# --- kernels of Debian's --------------------------------------------------------------------------


def test_debians_kernels_run_on_what_they_have_drivers_for(debian_kernel: kernel.Kernel) -> None:
    cloud = kernel_check.check(debian_kernel)
    assert cloud.usable
    assert not cloud.like_nsc
    assert cloud.verdict.startswith("It runs with nic = virtio-net-pci, relay = virtio or uart,")
    assert states(cloud, "nic = e1000") == {"CONFIG_E1000": State.MISSING}
    assert states(cloud, "like = nsc")["CONFIG_HZ=1000"] is State.DIFFERS
    usual = kernel.find(Cache(), "debian:6.1,flavour=amd64")
    assert usual
    assert "nic = virtio-net-pci or e1000" in kernel_check.check(usual).verdict


def test_without_its_modules_debians_kernel_has_no_nic(debian_kernel: kernel.Kernel) -> None:
    report = kernel_check.check(kernel.of_file(debian_kernel.bzimage))
    assert not report.usable
    found = [f.found for f in report.findings if f.asked == "CONFIG_VIRTIO_NET"]
    assert found == ["CONFIG_VIRTIO_NET=m, but no modules are given"]


@pytest.mark.parametrize("option", ["BLK_DEV_INITRD", "HPET_TIMER", "EPOLL", "SERIAL_8250"])
def test_what_is_missing_is_named_and_the_status_says_so(
    debian_kernel: kernel.Kernel, tmp_path: Path, option: str
) -> None:
    text = (debian_kernel.bzimage.parent / "config").read_text()
    edited = tmp_path / "config"
    edited.write_text(text.replace(f"CONFIG_{option}=y", f"# CONFIG_{option} is not set"))
    result = run(
        str(debian_kernel.bzimage),
        *("--modules", str(debian_kernel.modules)),
        *("--config", str(edited)),
    )
    assert result.exit_code == 1
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith("guest ")]
    (line,) = (line for line in lines if line[1] == "missing")
    assert line[2:5] == [f"CONFIG_{option}", "not", "set"]
    assert "It cannot run in a guest" in result.stdout


def test_debians_kernel_passes_and_differs_from_nscs(debian_kernel: kernel.Kernel) -> None:
    arguments = [str(debian_kernel.bzimage), "--modules", str(debian_kernel.modules)]
    assert run(*arguments).exit_code == 0
    result = run(*arguments, "--like", "nsc")
    assert result.exit_code == 1
    assert "differs from NSC's" in result.stdout


# --- NSC's ----------------------------------------------------------------------------------------


def test_a_kernel_like_nscs_is_known(tmp_path: Path) -> None:
    report = kernel_check.check(own(tmp_path, NSC))
    assert report.like_nsc, [f for f in report.findings if f.state is not State.OK]
    assert report.verdict == (
        "It runs with nic = e1000, relay = uart, and equals NSC's, as far as is known."
    )
    result = run(str(tmp_path / "bzImage"), "--like", "nsc")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HZ=1000", "HZ=250"),
        ("SHIFT=5", "SHIFT=6"),
        ("# CONFIG_IPV6 is not set", "CONFIG_IPV6=y"),
        ("# CONFIG_IPV6 is not set", "CONFIG_NF_CONNTRACK=m"),
        ("# CONFIG_IPV6 is not set", "CONFIG_NET_IPIP=y"),
        ("# CONFIG_IPV6 is not set", "CONFIG_WLAN_80211=y"),
        ("E1000=y", "E1000=m"),
        ("NR_UARTS=4", "NR_UARTS=1"),
        ("CUBIC=y", "CUBIC=m"),
    ],
)
def test_one_option_sets_it_apart(tmp_path: Path, old: str, new: str) -> None:
    assert not kernel_check.check(own(tmp_path, NSC.replace(old, new))).like_nsc


def test_another_release_is_not_nscs(tmp_path: Path) -> None:
    config = NSC.replace("version: 2.6.26", "version: 2.6.27")
    report = kernel_check.check(own(tmp_path, config, "2.6.27"))
    assert report.usable
    assert not report.like_nsc


def test_virtio_ports_without_names_are_no_port_for_the_relay(tmp_path: Path) -> None:
    virtio = "".join(f"CONFIG_VIRTIO_{name}=y\n" for name in ("PCI", "NET", "CONSOLE"))
    report = kernel_check.check(own(tmp_path, NSC + virtio))
    assert "nic = virtio-net-pci or e1000, relay = uart," in report.verdict


def test_a_configuration_of_another_kernel_is_not_believed(tmp_path: Path) -> None:
    report = kernel_check.check(own(tmp_path, NSC, "6.1.192"))
    assert not report.usable
    assert report.findings[0].found == "one of Linux 2.6.26"


# --- where the configuration is -------------------------------------------------------------------


def carrying(config: str, pack: Callable[[bytes], bytes], *, size: bool) -> bytes:
    """Return a bzImage with a packed kernel in it that carries its configuration."""
    core = b"\x7fELF" + bytes(5000) + b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED"
    packed = pack(core + bytes(5000)) + (struct.pack("<I", len(core)) if size else b"")
    head = bytearray(bzimage("2.6.26").ljust(5 * 512, b"\0"))
    head[0x1F1] = 4
    struct.pack_into("<H", head, 0x206, 0x208)
    struct.pack_into("<II", head, 0x248, 300, len(packed))
    return bytes(head) + bytes(300) + packed + bytes(100)


@pytest.mark.parametrize(
    ("pack", "size"),
    [
        (gzip.compress, False),
        (bz2.compress, True),
        (lzma.compress, True),
        (lambda data: lzma.compress(data, lzma.FORMAT_ALONE), True),
    ],
    ids=["gzip", "bzip2", "xz", "lzma"],
)
def test_a_kernels_own_configuration_is_found(
    tmp_path: Path, pack: Callable[[bytes], bytes], size: bool
) -> None:
    (tmp_path / "bzImage").write_bytes(carrying(NSC, pack, size=size))
    found = kernel_config.find(tmp_path / "bzImage", "2.6.26")
    assert found.source.endswith("bzImage (IKCONFIG)")
    assert found.version == "2.6.26"
    assert found.get("DEFAULT_TCP_CONG") == "cubic"
    assert found.get("IPV6") == "n"


def test_a_real_kernel_that_carries_none_is_unpacked_and_says_so(
    debian_kernel: kernel.Kernel, tmp_path: Path
) -> None:
    (tmp_path / "vmlinuz").write_bytes(debian_kernel.bzimage.read_bytes())
    with pytest.raises(KernelError, match=r"does not carry its configuration \(CONFIG_IKCONFIG\)"):
        kernel_config.find(tmp_path / "vmlinuz", debian_kernel.release)


@pytest.mark.parametrize("name", ["config-2.6.26", "config", ".config"])
def test_it_may_be_beside_the_kernel(tmp_path: Path, name: str) -> None:
    (tmp_path / "bzImage").write_bytes(bzimage("2.6.26"))
    (tmp_path / name).write_text(NSC)
    assert kernel_config.find(tmp_path / "bzImage", "2.6.26").source.endswith(name)


def test_it_may_be_in_the_tree_of_the_build(tmp_path: Path) -> None:
    boot = tmp_path / "arch" / "x86" / "boot"
    boot.mkdir(parents=True)
    (boot / "bzImage").write_bytes(bzimage("2.6.26"))
    (tmp_path / ".config").write_text(NSC)
    assert kernel_config.find(boot / "bzImage", "2.6.26").version == "2.6.26"


def test_it_may_be_packed_as_proc_has_it(tmp_path: Path) -> None:
    (tmp_path / "config.gz").write_bytes(gzip.compress(NSC.encode()))
    assert kernel_config.of_file(tmp_path / "config.gz").get("HZ") == "1000"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"CONFIG_HZ\n", "is no kernel configuration"),
        (b"HZ=1000\n", "is no kernel configuration"),
        (b"\x1f\x8bgarbage", "cannot read the configuration"),
        (None, "cannot read the configuration"),
    ],
)
def test_what_is_no_configuration_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(KernelError, match=message):
        kernel_config.of_file(tmp_path / "file")
