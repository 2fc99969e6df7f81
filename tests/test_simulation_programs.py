# SPDX-License-Identifier: GPL-2.0-only
"""QemuApplication: how a program in a guest starts, what it tells, how it ends."""

from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script
from vm_tools import epoch

SCRIPT = """
import math

def text(action):
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"

nodes = ns.NodeContainer(2)
qemu = helper()
qemu.SetAttribute("BusyInstructions", ns.UintegerValue(3_000_000))
vm = qemu.Install(nodes.Get(0))
node = nodes.Get(0)
programs = {}

def run(name, command, start=1, **options):
    program = programs[name] = ns3_qemu.Program(node, command, start=start, **options)
    told = RESULT[name] = {"lines": [], "end": None}
    now = lambda: ns.Simulator.Now().GetNanoSeconds()
    program.on_output(lambda line, stream: told["lines"].append((now(), stream, line)))
    program.on_exit(lambda code, signal: told.update(end=(now(), code, signal)))
    return program

def sh(script):
    return ["sh", "-c", script]

run("lines", sh("echo one; sleep 0.5; echo two >&2; sleep 0.25; printf three"), start=1.5)
run("merged", sh("echo one; echo two >&2; echo three"), merge_errors=True)
run("binary", sh(r"printf 'a\\377\\0b\\n'"))
run("code", sh("exit 7"))
run("signal", sh("kill -SEGV $$"))
run("input", "cat", input="some\\ntext")
late = run("late input", "cat", keep_input=True)
run("environment", "env", environment={"LANG": "C.UTF-8", "HOME": "/tmp"})
run("directory", "pwd", directory="/sys/kernel")
run("date", sh("date +%s; cat /proc/uptime"), start="2.25s")
run("words", "printf '%s|' a 'b  c' \\"d'e\\" f\\\\ g ''")
run("missing", "no-such-program", required=False)
run("no program", "/etc/passwd", required=False)
run("directory missing", "pwd", directory="/none", required=False)
run("much", sh("head -c 300000 /dev/zero | tr '\\\\0' x"), output_limit=1000)
run("full", sh("mkdir /tmp/small; mount -t tmpfs -o size=1m none /tmp/small;"
    "dd if=/dev/zero of=/tmp/small/file"), start=1.2)
run("sleeps", "sleep 1000", stop=3)
run("stubborn", sh("trap '' TERM; sleep 1000; sleep 1000"), stop=3, kill_delay=0.5)
run("interrupted", "sleep 1000", stop=3, stop_signal=2)
run("children", sh("sleep 1000 & sleep 1000; :"), stop=3)
run("spins", sh("while :; do :; done"), start=4, stop=4.5)
run("beside", sh("for i in 1 2 3; do usleep 50000; echo $i; done"), start=4.1)
second = ns3_qemu.Program(node, sh("ps | grep -c '[s]leep 1000'"), start=3.8)
RESULT["unbalanced"] = text(lambda: ns3_qemu.Program(node, "echo 'one"))
RESULT["no variable"] = text(
    lambda: programs["code"].application.SetAttribute("Environment", ns.StringValue("bla")))
writer = ns3_qemu.Program(node, "true", start=2)
def write_late(code, signal):
    late.write("late\\n")
    late.write(b"\\xff")
    late.close_input()

writer.on_exit(write_late)
ns.Simulator.Stop(ns.Seconds(6))
ns3_qemu.Run()
for name, program in programs.items():
    RESULT[name].update(output=program.output, errors=program.errors, code=program.exit_code,
        signal=program.signal, errno=program.errno, running=program.running,
        cut=bool(program.application.IsOutputCut()))
RESULT["binary"]["bytes"] = list(programs["binary"].output_bytes)
RESULT["left"] = second.output
ns.Simulator.Destroy()

nodes = ns.NodeContainer(2)
helper().Install(nodes.Get(0))
program = ns3_qemu.Program(nodes.Get(0), "no-such-program -x", start=1.5)
RESULT["required"] = text(ns3_qemu.Run)
RESULT["required errno"] = program.errno
ns.Simulator.Destroy()

nodes = ns.NodeContainer(2)
program = ns3_qemu.Program(nodes.Get(0), "true")
RESULT["no machine"] = text(ns3_qemu.Run)
ns.Simulator.Destroy()
finish()
"""

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def busybox_image() -> Path:
    """An image with busybox, and each of its programs that is wanted here by its name."""
    wanted = image.Image()
    wanted.add("/bin/busybox")
    names = "sh cat env pwd date sleep head tr dd rm usleep ps grep true printf mkdir mount"
    for name in names.split():
        wanted.link(f"/bin/{name}", "busybox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return wanted.build()


@pytest.fixture(scope="module")
def result(busybox_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = run_script(SCRIPT, busybox_image, tmp_path_factory.mktemp("programs"))
    assert done.status == 0, done.errors
    return done.result


def test_lines_are_told_when_they_are_written(result: dict[str, Any]):
    lines = result["lines"]["lines"]
    assert [(stream, line) for _, stream, line in lines] == [(1, "one"), (2, "two"), (1, "three")]
    start = 15 * SECOND // 10
    # A timer of the guest expires at its next tick or a little later.
    assert lines[0][0] == start
    assert start + SECOND // 2 <= lines[1][0] < start + SECOND // 2 + 10_000_000
    assert start + SECOND * 3 // 4 <= lines[2][0] < start + SECOND * 3 // 4 + 20_000_000


def test_a_last_line_without_an_end_is_told_when_the_program_ends(result: dict[str, Any]):
    assert result["lines"]["end"] == [result["lines"]["lines"][-1][0], 0, 0]


def test_both_streams_are_kept(result: dict[str, Any]):
    assert result["lines"]["output"] == "one\nthree"
    assert result["lines"]["errors"] == "two\n"


def test_merged_streams_keep_their_order(result: dict[str, Any]):
    assert result["merged"]["output"] == "one\ntwo\nthree\n"
    assert result["merged"]["errors"] == ""


def test_output_may_be_any_bytes(result: dict[str, Any]):
    assert result["binary"]["bytes"] == [*b"a\xff\0b\n"]
    assert result["binary"]["lines"][0][2] == "a\\xff\0b"


def test_output_is_kept_up_to_a_limit_and_told_beyond(result: dict[str, Any]):
    assert result["much"]["output"] == "x" * 1000
    assert result["much"]["cut"]
    assert [len(line) for _, _, line in result["much"]["lines"]] == [65536] * 4 + [37856]


def test_an_exit_code_is_told(result: dict[str, Any]):
    assert result["code"]["end"] == [SECOND, 7, 0]
    assert result["code"]["code"] == 7


def test_a_signal_that_ends_a_program_is_told(result: dict[str, Any]):
    assert result["signal"]["end"][1:] == [0, 11]
    assert (result["signal"]["code"], result["signal"]["signal"]) == (128 + 11, 11)


def test_a_program_reads_its_input_to_the_end(result: dict[str, Any]):
    assert result["input"]["output"] == "some\ntext"
    assert result["input"]["code"] == 0


def test_input_can_be_written_while_a_program_runs(result: dict[str, Any]):
    assert result["late input"]["output"] == "late\n\\xff"
    assert result["late input"]["end"] == [2 * SECOND, 0, 0]


def test_a_program_has_path_and_home_and_what_it_is_given(result: dict[str, Any]):
    variables = result["environment"]["output"].splitlines()
    assert "LANG=C.UTF-8" in variables
    assert "HOME=/tmp" in variables
    assert any(line.startswith("PATH=/usr/local/sbin:") for line in variables)
    assert len(variables) == 3


def test_a_program_starts_in_the_directory_that_it_is_given(result: dict[str, Any]):
    assert result["directory"]["output"] == "/sys/kernel\n"


def test_a_programs_clock_shows_simulated_time(result: dict[str, Any], busybox_image: Path):
    date, uptime = result["date"]["output"].splitlines()
    assert int(date) == epoch(busybox_image) // SECOND + 2
    assert uptime.startswith("22.25 ")


def test_a_command_is_split_as_a_shell_does(result: dict[str, Any]):
    assert result["words"]["output"] == "a|b  c|d'e|f g||"


def test_a_command_without_the_end_of_a_quotation_is_an_error(result: dict[str, Any]):
    assert result["unbalanced"].startswith("ValueError: a ' has no counterpart in: echo 'one")


def test_a_variable_without_a_value_is_an_error(result: dict[str, Any]):
    assert "NAME=value: bla" in result["no variable"]


@pytest.mark.parametrize(
    ("name", "code", "errno"),
    [("missing", 127, 2), ("no program", 126, 13), ("directory missing", 127, 2)],
)
def test_a_program_that_cannot_start_ends_as_in_a_shell(
    result: dict[str, Any], name: str, code: int, errno: int
):
    assert result[name]["end"] == [SECOND, code, 0]
    assert (result[name]["code"], result[name]["errno"]) == (code, errno)


def test_a_required_program_that_cannot_start_ends_the_run(result: dict[str, Any]):
    said = result["required"]
    assert said.startswith("VmError: VM 'node0' at simulated time")
    assert "1.5" in said
    assert "cannot run no-such-program: No such file or directory" in said
    assert "image.add" in said
    assert result["required errno"] == 2


def test_a_program_on_a_node_without_a_machine_is_an_error(result: dict[str, Any]):
    assert "node 0, which has no VirtualMachine; use QemuHelper" in result["no machine"]


def test_a_full_file_system_reaches_the_script(result: dict[str, Any]):
    assert "No space left on device" in result["full"]["errors"]


def test_a_program_that_runs_at_its_stop_time_is_told_to_end(result: dict[str, Any]):
    assert result["sleeps"]["end"] == [3 * SECOND, 0, 15]
    assert result["interrupted"]["end"] == [3 * SECOND, 0, 2]


def test_a_program_that_does_not_end_is_killed_later(result: dict[str, Any]):
    assert result["stubborn"]["end"] == [35 * SECOND // 10, 0, 9]


def test_children_end_with_their_program(result: dict[str, Any]):
    assert result["children"]["end"][2] == 15
    assert result["left"] == "0\n"


def test_a_program_that_never_sleeps_ends_at_its_stop_time(result: dict[str, Any]):
    assert result["spins"]["end"] == [45 * SECOND // 10, 0, 15]


def test_a_program_beside_one_that_never_sleeps_goes_on(result: dict[str, Any]):
    beside = result["beside"]
    assert beside["output"] == "1\n2\n3\n"
    assert beside["lines"][-1][0] < 46 * SECOND // 10


# --- a root file system ---------------------------------------------------------------------------


def test_a_machine_runs_on_a_root_file_system_of_the_users(tmp_path: Path):
    from ns3_qemu._vm import Vm, read_image

    root = tmp_path / "root"
    for name in ("bin", "etc", "usr/lib"):
        (root / name).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin/busybox").chmod(0o755)
    (root / "bin/sh").symlink_to("busybox")
    (root / "etc/os-release").write_text("NAME=mine\n")
    wanted = image.Image(rootfs=root)
    vm = Vm(read_image(str(wanted.build())))
    try:
        vm.finish_boot()
        vm.relay.start_process(
            ["/bin/sh", "-c", ". /etc/os-release; echo $NAME; cd /dev/shm && echo x > y && cat y"],
            environment=["PATH=/bin"],
        )
        vm.run_until(vm.time + SECOND)
        assert b"".join(data for _, _, data in vm.take_output()) == b"mine\nx\n"
        assert [code for _, code, _ in vm.take_exits()] == [0]
    finally:
        vm.end()
