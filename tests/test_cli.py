# SPDX-License-Identifier: GPL-2.0-only
"""The command line: what it says when something is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ns3_qemu import __version__, cli, options
from ns3_qemu.errors import KernelError
from ns3_qemu.image_spec import OPTIONS


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NS3_QEMU_HOME", str(tmp_path / "cache"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def test_the_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"ns3-qemu {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kernel", "/no/such/bzImage"], "cannot read the kernel /no/such/bzImage"),
        (["--kernel", "/etc/hostname"], "/etc/hostname is not a bzImage"),
        (["--nic", "rtl8139"], "there is no NIC 'rtl8139'"),
        (["--memory", "1"], "the memory of a machine cannot be 1 MiB"),
        (["--add", "/no/such/program"], "there is no /no/such/program"),
        (["--add", "/etc/hostname=/init"], "/init is the image's own"),
        (["--date", "today"], "not a date: 'today'"),
        (["--package", "Not/A=1"], "not the name of a Debian package: 'Not/A'"),
        (["--rootfs", "/etc/hostname"], "/etc/hostname is not a tar file"),
        (["--disk", "/no/such/disk=/mnt"], "cannot use the disk /no/such/disk"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_to_do(arguments: list[str], message: str) -> None:
    result = run("image", "build", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    first, *_, last = result.stderr.strip().splitlines()
    assert first.startswith(f"error: {message}")
    assert last.startswith("What to do: ")
    assert "Traceback" not in result.stderr


def test_an_images_options_are_those_of_its_description() -> None:
    # As wide as no terminal is, so that each is in one line.
    shown = CliRunner().invoke(cli.app, ["image", "build", "--help"], env={"COLUMNS": "1000"})
    lines = shown.stdout.splitlines()
    flags = {option.flag: option.help for option in OPTIONS.values() if option.flag}
    assert len(flags) > 4
    for flag, text in flags.items():
        assert any(flag in line and text in line for line in lines), flag


def test_a_mirror_that_cannot_be_reached_names_step_and_log() -> None:
    result = run("setup", "--kernel", "debian:5.10")
    assert result.exit_code == 1
    assert "error: Fetching the package lists of Debian bullseye" in result.stderr
    assert "apt-bullseye.log" in result.stderr
    assert "What to do: Check the network" in result.stderr


def test_debug_shows_where_it_happened() -> None:
    result = run("--debug", "setup", "--kernel", "/no/such/bzImage")
    assert isinstance(result.exception, KernelError)


def test_modules_belong_to_a_kernel_of_ones_own() -> None:
    result = run("setup", "--kernel", "debian:6.1", "--modules", "/tmp")
    assert result.exit_code == 2
    assert "--modules goes with a bzImage only" in result.stderr


def test_a_path_of_a_kernel_may_be_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert options.kernel_spec("boot/vmlinuz", None) == "file:/boot/vmlinuz"
    assert (
        options.kernel_spec("boot/vmlinuz", Path("lib/modules"))
        == "file:/boot/vmlinuz,modules=/lib/modules"
    )
    assert options.kernel_spec("debian:6.1", None) == "debian:6.1"


def test_an_image_that_is_not_there_cannot_be_removed() -> None:
    result = run("image", "remove", "abc")
    assert result.exit_code == 1
    assert "there is no image 'abc'" in result.stderr


def test_an_empty_cache_has_no_images() -> None:
    assert run("image", "list").exit_code == 0


def test_the_installed_command_ends_with_status_1_and_no_traceback() -> None:
    command = [Path(sys.executable).parent / "ns3-qemu", "setup", "--kernel", "/no/such/bzImage"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.lstrip().startswith("error: cannot read the kernel")
