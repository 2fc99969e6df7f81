# SPDX-License-Identifier: GPL-2.0-only
"""What `ns3-qemu exec` makes of the output of test programs: TAP, KTAP, kselftest's shell tests."""

import pytest

from ns3_qemu.exec.tap import Reader


def tally(text: str, piece: int = 7) -> tuple[int, list[str], int, int]:
    """Read a text as it comes from a program, in pieces; return what was counted."""
    reader = Reader()
    data = text.encode()
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    found = reader.end()
    return found.passed, found.failed, found.skipped, found.expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # It has not said that it is TAP.
        ("hello\nok then\nnot ok\n", (0, [], 0, 0)),
        ("1..0 # SKIP no such device\n", (0, [], 0, 0)),
        ("TAP version 13\n1..2\nok 1 - a\nok 2 b", (2, [], 0, 0)),
        ("ok 1 a\nnot ok 2 - b\n1..2\n", (1, ["b"], 0, 0)),
        ("1..4\nok 1 # SKIP no\nnot ok 2 b # TODO\nnot ok 3 c # XFAIL slow\nok\n", (1, [], 1, 2)),
        ("1..1\nnot ok 1 long # TIMEOUT 45 seconds\n", (0, ["long"], 0, 0)),
        ("1..3\nok 1 a\n", (1, ["1 of 3 planned tests ran"], 0, 0)),
        ("1..1\nok 1 a\nok 2 b\n", (2, ["2 of 1 planned tests ran"], 0, 0)),
        (
            "TAP version 13\n1..2\nok 1\nBail out! no memory\n",
            (1, ["1 of 2 planned tests ran", "bailed out: no memory"], 0, 0),
        ),
    ],
)
def test_tap(text: str, expected: tuple[int, list[str], int, int]) -> None:
    assert tally(text) == expected


def test_results_of_ktap_count_where_they_are_deepest() -> None:
    text = (
        "KTAP version 1\n1..2\n"
        "  KTAP version 1\n  1..2\n"
        "    KTAP version 1\n    1..2\n    # a: a line\n    ok 1 a\n    not ok 2 b\n"
        "  not ok 1 inner\n  ok 2 c # SKIP not here\n"
        "not ok 1 suite\nnot ok 2 alone\n"
    )
    assert tally(text) == (1, ["b", "alone"], 1, 0)


def test_a_suite_that_fails_though_its_tests_pass_has_failed() -> None:
    text = "KTAP version 1\n1..1\n  1..1\n  ok 1 a\nnot ok 1 suite\n"
    assert tally(text) == (1, ["suite"], 0, 0)


def test_what_the_runner_of_kselftests_passes_on() -> None:
    text = (
        "TAP version 13\n1..2\n"
        "# selftests: net: a.sh\n# TAP version 13\n# 1..2\n# ok 1 first\n# not ok 2 second\n"
        "not ok 1 selftests: net: a.sh # exit=1\n"
        "# selftests: net: b.sh\n# ok, that is a comment\n"
        "ok 2 selftests: net: b.sh\n"
    )
    assert tally(text) == (2, ["second"], 0, 0)


def test_lines_of_shell_tests() -> None:
    text = (
        "IPv4 route\n    TEST: a thing          [ OK ]\n"
        "    TEST: another    \x1b[31m[FAIL]\x1b[0m\n"
        "TEST: a third   [SKIP]\nTEST: a fourth [XFAIL]\nTests passed:   1\n"
    )
    assert tally(text) == (1, ["another"], 1, 1)


def test_a_line_without_end_takes_no_memory_without_end() -> None:
    reader = Reader()
    for _ in range(100):
        reader.feed(b"x" * 65536)
    reader.feed(b"\n1..1\nok 1 a\n")
    assert reader.end().passed == 1
    assert len(reader._rest) == 0
