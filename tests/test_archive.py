# SPDX-License-Identifier: GPL-2.0-only
"""Kernels without apt: what a mirror gives is believed as far as the archive has signed it."""

import shutil
import tarfile
from pathlib import Path

import pytest

from ns3_qemu import apt, archive, bundle, kernel, packages
from ns3_qemu.cache import Cache
from ns3_qemu.errors import AptError, StepError
from ns3_qemu.steps import Steps

DATA = Path(__file__).parent / "data" / "archive"
RELEASE = "6.1.0-1-cloud-amd64"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror of the test's own archive, on a machine that has neither apt nor dpkg."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("gpgv", "setpriv"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(apt, "KEYRING", DATA / "keyring.gpg")
    directory = tmp_path / "debian"
    shutil.copytree(DATA, directory)
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", f"file:{directory}")
    return directory


def change(file: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("python", ["of today", "of Debian 12"])
def test_a_kernel_is_fetched(
    cache: Cache, steps: Steps, mirror: Path, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if python == "of Debian 12":  # 3.11.2
        monkeypatch.delattr(tarfile, "data_filter")
    found = kernel.ensure(cache, steps, "debian:6.1")
    assert found.release == RELEASE
    assert found.bzimage.read_bytes()[0x202:0x206] == b"HdrS"
    assert found.modules
    assert {file.name for file in found.modules.iterdir()} == {
        "a-link",
        "kernel",
        "modules.builtin",
    }
    # It is there from now on, and so is the list.
    shutil.rmtree(mirror)
    assert kernel.ensure(cache, steps, "debian:6.1").sha256 == found.sha256
    assert archive.packages(cache, steps, "bookworm").binary_versions("none") == {}


@pytest.mark.parametrize(
    ("name", "kind", "target", "expected"),
    [
        ("./usr/lib/a", tarfile.SYMTYPE, "../b", False),
        ("usr/a", tarfile.REGTYPE, "", False),
        ("../a", tarfile.REGTYPE, "", True),
        ("usr/../../a", tarfile.REGTYPE, "", True),
        ("/a", tarfile.REGTYPE, "", True),
        ("usr/a", tarfile.SYMTYPE, "../../a", True),
        ("usr/a", tarfile.SYMTYPE, "/etc/passwd", True),
        ("usr/a", tarfile.LNKTYPE, "../a", True),
    ],
)
def test_what_leads_out_of_a_package_is_known(
    name: str, kind: bytes, target: str, expected: bool
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    assert archive._leads_out(member) is expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dists/bookworm/InRelease", "gpgv ended with status"),
        ("dists/bookworm/main/binary-amd64/Packages.xz", "not what the archive has signed"),
        (f"pool/main/l/linux/linux-image-{RELEASE}_6.1.5-1_amd64.deb", "not what the archive"),
    ],
)
def test_what_is_not_as_it_was_signed_is_refused(
    cache: Cache, steps: Steps, mirror: Path, name: str, message: str
) -> None:
    change(mirror / name)
    with pytest.raises(StepError, match=message):
        kernel.ensure(cache, steps, "debian:6.1")
    assert kernel.find(cache, "debian:6.1") is None


def test_what_stands_outside_the_signature_does_not_count(
    cache: Cache, steps: Steps, mirror: Path
) -> None:
    signed = mirror / "dists" / "bookworm" / "InRelease"
    signed.write_text(
        f"Codename: trixie\nSHA256:\n {'0' * 64} 1 main/binary-amd64/Packages.xz\n\n"
        + signed.read_text()
    )
    with pytest.raises(StepError) as caught:
        archive.packages(cache, steps, "trixie").binary_versions("none")
    assert "InRelease" in str(caught.value)


def test_another_suite_is_not_taken_for_the_one_that_was_asked_for(
    cache: Cache, steps: Steps, mirror: Path
) -> None:
    shutil.copytree(mirror / "dists" / "bookworm", mirror / "dists" / "trixie")
    with pytest.raises(StepError, match="the mirror gives bookworm for trixie"):
        kernel.ensure(cache, steps, "debian:6.12")


def test_keys_that_came_with_the_package_do(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "KEYRING", tmp_path / "debian-archive-keyring.gpg")
    monkeypatch.setattr(bundle, "DIRECTORY", tmp_path)
    with pytest.raises(AptError, match="keys of the Debian archive are missing"):
        archive.keyring()
    (tmp_path / "keyrings").mkdir()
    shutil.copy(mirror / "keyring.gpg", tmp_path / "keyrings" / "debian-archive-keyring.gpg")
    assert archive.keyring().parent.name == "keyrings"


@pytest.mark.usefixtures("mirror")
def test_packages_for_guests_need_apt(cache: Cache, steps: Steps) -> None:
    with pytest.raises(AptError, match="no apt") as caught:
        packages.ensure(cache, steps, "curl")
    assert "rootfs" in caught.value.advice
