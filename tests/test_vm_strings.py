# SPDX-License-Identifier: GPL-2.0-only
"""Repeated string instructions: QEMU does many iterations at once, a CPU one by one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from ns3_qemu._vm import Vm
from vm_tools import SECOND

SOURCE = Path(__file__).parent / "data" / "strings.c"


def test_repeated_string_instructions_do_what_this_machines_do(
    boot: Callable[..., Vm], tmp_path: Path
):
    program = tmp_path / "strings"
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", program, SOURCE], check=True)
    own = subprocess.run([program], check=True, capture_output=True).stdout
    assert own.count(b"\n") == 9
    vm = boot()
    vm.relay.write_file("/run/strings", program.read_bytes(), 0o755)
    vm.relay.start_process(["/run/strings"])
    vm.run_until(vm.time + SECOND)
    assert vm.take_exits()[0][1:] == (0, 0)
    assert b"".join(data for _, _, data in vm.take_output()) == own
