# SPDX-License-Identifier: GPL-2.0-only
"""Steps of the set-up: what a user sees, and what stays when one fails."""

import io
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ns3_qemu.errors import KernelError, StepError
from ns3_qemu.steps import CommandError, Steps
from process_tools import PATIENCE_MS, watched


def test_a_step_says_what_it_does_and_that_it_is_done(steps: Steps, screen: io.StringIO) -> None:
    with steps.step("tea", "Making tea") as step:
        step.run(["echo", "hot"])
    lines = screen.getvalue().splitlines()
    assert lines[0].startswith("==> Making tea (log: ")
    assert lines[1] == "==> Making tea: done in 0 s"


def test_the_log_has_commands_and_their_output(steps: Steps, tmp_path: Path) -> None:
    with steps.step("tea", "Making tea") as step:
        step.run(["sh", "-c", "echo out; echo err >&2"], cwd=tmp_path)
    log = (tmp_path / "cache" / "logs" / "tea.log").read_text()
    assert log.splitlines() == ["$ sh -c echo out; echo err >&2", "out", "err"]


def test_a_failure_names_step_cause_log_last_lines_and_what_to_do(steps: Steps) -> None:
    with pytest.raises(StepError) as caught, steps.step("tea", "Making tea", "Buy tea.") as step:
        step.run(["sh", "-c", "seq 100; echo no tea; exit 3"])
    error = caught.value
    assert error.message.startswith("Making tea: sh ended with status 3\nThe last lines of ")
    assert error.log.name == "tea.log"
    assert error.message.endswith("  | 100\n  | no tea")
    assert "  | 80\n" not in error.message
    assert error.advice == "Buy tea."


def test_a_program_that_is_not_there_is_a_failure_too(steps: Steps) -> None:
    with pytest.raises(StepError, match="no-such-program"), steps.step("tea", "Making tea") as step:
        step.run(["no-such-program"])


def test_a_known_error_keeps_its_advice(steps: Steps) -> None:
    with (
        pytest.raises(StepError, match="Making tea: wrong kernel") as caught,
        steps.step("tea", "Making tea", "Buy tea."),
    ):
        raise KernelError("wrong kernel", "Take another.")  # noqa: EM101
    assert caught.value.advice == "Take another."


def test_lines_that_a_step_has_dealt_with_stay_out_of_the_log(steps: Steps, tmp_path: Path) -> None:
    seen = []

    def on_line(line: str) -> bool:
        seen.append(line)
        return line.startswith("progress")

    with steps.step("tea", "Making tea") as step:
        step.run(["sh", "-c", "echo progress 1; echo note; echo progress 2"], on_line=on_line)
    assert seen == ["progress 1", "note", "progress 2"]
    log = (tmp_path / "cache" / "logs" / "tea.log").read_text()
    assert log.splitlines()[1:] == ["note"]


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["willing", "deaf"])
def test_an_interrupted_step_ends_what_it_started(
    steps: Steps, trap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if trap:
        monkeypatch.setattr("ns3_qemu.steps._PATIENCE", 0.1)
    with ExitStack() as stack:
        children: list[Callable[[int], bool]] = []

        def on_line(line: str) -> None:
            children.append(stack.enter_context(watched(int(line))))
            if len(children) == 2:
                raise KeyboardInterrupt

        # A child and its child, which would both wait for ever.
        script = f"{trap}echo $$; sh -c 'echo $$; exec sleep inf' & wait"
        with pytest.raises(KeyboardInterrupt), steps.step("tea", "Making tea") as step:
            step.run(["sh", "-c", script], on_line=on_line)
        for has_ended in children:
            assert has_ended(PATIENCE_MS)


def test_what_is_there_already_takes_one_line(steps: Steps, screen: io.StringIO) -> None:
    steps.ready("QEMU 10.0", "/somewhere")
    assert screen.getvalue() == "==> QEMU 10.0: ready /somewhere\n"


def test_a_step_does_not_read_the_users_input(steps: Steps) -> None:
    code = "import os; assert os.path.samestat(os.fstat(0), os.stat(os.devnull))"
    with steps.step("tea", "Making tea") as step:
        step.run([sys.executable, "-c", code])


def test_a_command_error_outside_of_a_step_is_not_hidden() -> None:
    assert not issubclass(CommandError, StepError)
