# SPDX-License-Identifier: GPL-2.0-only
"""The patched QEMU, as far as it can be seen without building it."""

import shutil
from pathlib import Path

import pytest

from ns3_qemu import toolchain
from ns3_qemu.cache import Cache
from ns3_qemu.errors import StepError, ToolchainError
from ns3_qemu.steps import Steps
from ns3_qemu.toolchain import Patches


@pytest.fixture
def patches(tmp_path: Path) -> Patches:
    """A series of two patches and one new file."""
    directory = tmp_path / "qemu-patches"
    (directory / "src" / "system").mkdir(parents=True)
    (directory / "src" / "system" / "new.c").write_text("int new;\n")
    (directory / "series").write_text("# a comment\none.patch\n\ntwo.patch -p1 # why\n")
    for name, old, new in (("one", "first", "second"), ("two", "second", "third")):
        (directory / f"{name}.patch").write_text(
            f"Say {new}\n\n--- a/file.c\n+++ b/file.c\n@@ -1 +1 @@\n-{old}\n+{new}\n"
        )
    wire = tmp_path / "sim-link.h"
    wire.write_text("/* the wire */\n")
    return Patches(directory, wire)


def test_the_series_is_in_order(patches: Patches) -> None:
    assert [patch.name for patch in patches.series()] == ["one.patch", "two.patch"]


def test_no_series_is_no_patches(patches: Patches) -> None:
    (patches.directory / "series").unlink()
    assert patches.series() == []


def test_patches_and_new_files_are_put_into_the_source(
    patches: Patches, steps: Steps, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file.c").write_text("first\n")
    with steps.step("patch", "Patching") as step:
        toolchain._patch(step, source, patches, "10.0")
    assert (source / "file.c").read_text() == "third\n"
    assert (source / "system" / "new.c").read_text() == "int new;\n"
    wire = source / "include" / "system" / "sim-link-protocol.h"
    assert wire.read_text() == "/* the wire */\n"


def test_a_patch_that_does_not_apply_is_named(
    patches: Patches, steps: Steps, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file.c").write_text("first\n")
    text = (patches.directory / "two.patch").read_text()
    (patches.directory / "two.patch").write_text(text.replace("-second", "-something else"))
    with (
        pytest.raises(StepError, match=r"two\.patch does not apply to QEMU 10\.0\.99"),
        steps.step("patch", "Patching") as step,
    ):
        toolchain._patch(step, source, patches, "10.0.99")


def test_whatever_changes_qemu_changes_its_hash(patches: Patches, tmp_path: Path) -> None:
    def changed(change: str) -> str:
        copy = tmp_path / change
        shutil.copytree(patches.directory, copy / "qemu-patches")
        shutil.copy(patches.wire, copy)
        if change == "patch":
            (copy / "qemu-patches" / "one.patch").write_text("")
        elif change == "order":
            (copy / "qemu-patches" / "series").write_text("two.patch\none.patch\n")
        elif change == "contents":
            (copy / "qemu-patches" / "src" / "system" / "new.c").write_text("int newer;\n")
        elif change == "name":
            (copy / "qemu-patches" / "src" / "system" / "new.c").rename(
                copy / "qemu-patches" / "src" / "system" / "newer.c"
            )
        elif change == "wire":
            (copy / "sim-link.h").write_text("/* another wire */\n")
        elif change == "readme":  # not a part of QEMU
            (copy / "qemu-patches" / "README").write_text("read me\n")
        return Patches(copy / "qemu-patches", copy / "sim-link.h").digest()

    digests = [changed(change) for change in ("patch", "order", "contents", "name", "wire")]
    assert len({*digests, patches.digest()}) == 6
    assert changed("readme") == patches.digest()
    assert toolchain._key("10.0.1", digests[0]) != toolchain._key("10.0.2", digests[0])


def test_a_missing_patch_is_named(patches: Patches) -> None:
    (patches.directory / "one.patch").unlink()
    with pytest.raises(ToolchainError, match=r"missing: .*one\.patch"):
        patches.digest()


def test_the_installed_package_has_the_patches() -> None:
    patches = Patches.find()
    assert patches.wire.is_file()
    assert (patches.directory / "src/configs/devices/x86_64-softmmu/ns3-qemu.mak").is_file()


def test_the_qemu_in_the_cache_runs_and_has_the_wire(steps: Steps) -> None:
    qemu = toolchain.ensure(Cache(), steps)
    assert toolchain.check(qemu.executable) == ""
    assert {file.name for file in qemu.firmware.iterdir()} == {
        "bios-256k.bin",
        "kvmvapic.bin",
        "linuxboot_dma.bin",
    }


def test_a_program_that_is_not_qemu_is_found_out(tmp_path: Path) -> None:
    assert "does not run" in toolchain.check(tmp_path / "nothing")
    assert "status 1" in toolchain.check(Path("/bin/false"))
    assert "does not mention" in toolchain.check(Path("/bin/true"))
