# SPDX-License-Identifier: GPL-2.0-only
"""A guest's files as its programs see them: names, shells, users, directories."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu import image
from ns3_qemu._vm import Vm, read_image
from ns3_qemu.packages import Contents
from vm_tools import SECOND

SCRIPT = """#!/bin/sh
id -u _tool
ls -ldn /run/tool /run/tool/deep /var/lib/tool | tr -s ' ' | cut -d ' ' -f 1,3,4,9
"""


@pytest.fixture(scope="module")
def vm(boot: Callable[..., Vm]) -> Vm:
    """A machine with busybox as its shell, and what a package says of a user and directories."""
    contents = Contents()
    contents.deeds.read_script("adduser --system --group --home /var/lib/tool _tool\n")
    contents.deeds.read_tmpfiles("d /run/tool 2750 _tool adm\nd /run/tool/deep - - -\n")
    wanted = image.Image()
    wanted.overlay.add_packages(contents, "tool")
    wanted.write("/usr/bin/script", SCRIPT, 0o755)
    wanted.add("/usr/bin/busybox")
    for name in ("sh", "id", "ls", "cut", "tr"):
        wanted.link(f"/bin/{name}", "busybox")
    wanted.add("/usr/bin/busybox", to="/usr/sbin/only-here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        directory = wanted.build()
    return boot(read_image(str(directory)), snapshots=str(directory / "snapshots"))


def run(vm: Vm, *words: str) -> tuple[int, str]:
    """Run a program; return exit code and output."""
    vm.relay.start_process(list(words), environment=["PATH=/bin"])
    vm.run_until(vm.time + SECOND)
    ((_, code, _),) = vm.take_exits()
    return code, b"".join(data for _, _, data in vm.take_output()).decode()


@pytest.mark.parametrize("path", ["/usr/bin/busybox", "/bin/busybox"])
def test_a_program_is_there_by_both_of_its_names(vm: Vm, path: str):
    assert run(vm, path, "echo", "here") == (0, "here\n")


@pytest.mark.parametrize("path", ["/usr/sbin/only-here", "/sbin/only-here"])
def test_so_are_programs_for_administrators(vm: Vm, path: str):
    assert run(vm, path)[0] == 127  # busybox has no such applet, but was started


def test_a_script_runs_in_the_shell_of_the_image_and_finds_users_and_directories(vm: Vm):
    code, output = run(vm, "/bin/script")
    assert code == 0
    assert output.splitlines() == [
        "101",
        "drwxr-s--- 101 4 /run/tool",
        "drwxr-xr-x 0 0 /run/tool/deep",
        "drwxr-xr-x 101 101 /var/lib/tool",
    ]


def test_the_shell_is_the_images(vm: Vm):
    assert vm.relay.read_file("/usr/bin/busybox") == Path("/bin/busybox").read_bytes()
    assert vm.relay.read_file("/bin/sh") == Path("/bin/busybox").read_bytes()
