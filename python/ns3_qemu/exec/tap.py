# SPDX-License-Identifier: GPL-2.0-only
"""What test programs print: TAP, the kernel's KTAP, and the lines of its shell tests.

TAP is that of https://testanything.org (versions 12 to 14), KTAP that of the kernel's
Documentation/dev-tools/ktap.rst: results may be nested, each level behind two spaces, or four, and
behind "# " where the runner of kselftests passes on what a test says. Many of the kernel's shell
tests print "TEST: name   [ OK ]" instead. A line is taken for a result only where the format has
announced itself, by a version, a plan ("1..4") or a subtest's name. (The library tap.py reads
neither nesting nor KTAP.)
"""

import re
from dataclasses import dataclass, field

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(r"(?:# (?=(?:# |  )*(?:K?TAP version|1\.\.|ok |not ok |Bail out!))|  )*")
_VERSION = re.compile(r"K?TAP version \d+$")
_SUBTEST = re.compile(r"# Subtest: ")
_PLAN = re.compile(r"1\.\.(\d+)(?:\s+#.*)?$")
_RESULT = re.compile(
    r"(?P<not>not )?ok(?: (?P<number>\d+))?(?:$|\s)\s*(?:- )?(?P<name>.*?)\s*"
    r"(?:#\s*(?P<directive>SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR)\b.*)?$",
    re.IGNORECASE,
)
_BAIL = re.compile(r"Bail out!\s*(.*)")
_SHELL_TEST = re.compile(r"\s*TEST: (.+?)\s+\[\s*(OK|PASS|FAIL|SKIP|XFAIL)\s*\]")

# A line that is longer is no result.
_LONGEST = 65536


@dataclass
class Tally:
    """How many tests have ended how."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    """What failed, and what else is wrong with the output, for people."""
    skipped: int = 0
    expected: int = 0
    """Failures that were expected: TODO, XFAIL."""

    def __bool__(self) -> bool:
        return bool(self.passed or self.failed or self.skipped or self.expected)

    def __str__(self) -> str:
        counts = [(self.passed, "passed"), (len(self.failed), "failed")]
        more = [(self.skipped, "skipped"), (self.expected, "expected to fail")]
        shown = [*counts, *(each for each in more if each[0])]
        return ", ".join(f"{count} {what}" for count, what in shown)


@dataclass
class _Level:
    """Results behind one prefix, between the line that announces them and their parent's."""

    depth: int
    known: bool
    planned: int | None = None
    count: int = 0
    nested: int = 0  # results one level deeper since the last one of this level
    nested_failures: int = 0
    tally: Tally = field(default_factory=Tally)


class Reader:
    """Follows a program's standard output."""

    def __init__(self) -> None:
        self._rest = b""
        self._levels = [_Level(0, known=False)]
        self._shell = Tally()
        self._bail = ""

    def feed(self, data: bytes) -> None:
        """Take more of the output."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line)
        if len(self._rest) > _LONGEST:
            self._rest = self._rest[:_LONGEST]

    def end(self) -> Tally:
        """Return what there was; nothing if the output was no test's."""
        self._read(self._rest)
        self._rest = b""
        while len(self._levels) > 1:
            self._close()
        top = self._levels[0]
        tally = self._shell
        if top.known:
            self._check_plan(top)
            tally = _sum(top.tally, self._shell)
            if self._bail:
                tally.failed.append(f"bailed out: {self._bail}")
        return tally

    def _read(self, raw: bytes) -> None:
        text = _ESCAPES.sub("", raw[:_LONGEST].decode(errors="replace")).rstrip()
        if match := _SHELL_TEST.match(text):
            self._count(self._shell, match[1], match[2].upper())
            return
        prefix = _PREFIX.match(text)
        depth = prefix.end() if prefix else 0
        line = text[depth:]
        if _VERSION.match(line) or _SUBTEST.match(line):
            self._at(depth).known = True
        elif match := _PLAN.match(line):
            level = self._at(depth)
            level.known, level.planned = True, int(match[1])
        elif match := _BAIL.match(line):
            self._bail = match[1] or "no reason given"
        elif (match := _RESULT.match(line)) and (depth == 0 or self._is_known(depth)):
            self._result(self._at(depth), match)

    def _is_known(self, depth: int) -> bool:
        return any(level.depth == depth and level.known for level in self._levels)

    def _at(self, depth: int) -> _Level:
        """Return the level of this depth; those that are deeper have ended."""
        while self._levels[-1].depth > depth:
            self._close()
        if self._levels[-1].depth < depth:
            self._levels.append(_Level(depth, known=False))
        return self._levels[-1]

    def _close(self) -> None:
        level = self._levels.pop()
        self._check_plan(level)
        parent = self._levels[-1]
        parent.nested += level.count
        parent.nested_failures += len(level.tally.failed)
        parent.tally = _sum(parent.tally, level.tally)

    @staticmethod
    def _check_plan(level: _Level) -> None:
        if level.planned is not None and level.planned != level.count:
            level.tally.failed.append(f"{level.count} of {level.planned} planned tests ran")

    def _result(self, level: _Level, match: re.Match[str]) -> None:
        level.count += 1
        name = match["name"] or f"test {match['number'] or level.count}"
        how = (match["directive"] or "").upper()
        outcome = how or ("FAIL" if match["not"] else "OK")
        if level.nested and not (match["not"] and not how and not level.nested_failures):
            # Its own tests have been counted: it says no more, unless they do not say why it fails.
            pass
        else:
            self._count(level.tally, name, outcome)
        level.nested = level.nested_failures = 0

    @staticmethod
    def _count(tally: Tally, name: str, outcome: str) -> None:
        if outcome in ("OK", "PASS", "XPASS"):
            tally.passed += 1
        elif outcome == "SKIP":
            tally.skipped += 1
        elif outcome in ("TODO", "XFAIL"):
            tally.expected += 1
        else:
            tally.failed.append(name)


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        one.passed + other.passed,
        [*one.failed, *other.failed],
        one.skipped + other.skipped,
        one.expected + other.expected,
    )
