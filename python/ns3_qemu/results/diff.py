# SPDX-License-Identifier: GPL-2.0-only
"""Says where two runs part: the first packet, then the first line of each other file.

Runs are directories of whatever left them; files of the same name are compared. Captures come
first, the one that parts earliest in simulated time before the others: what is later may follow
from it.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path, PurePath

from .capture import Capture, read_capture
from .compare import Value, first_difference
from .dissect import one_line, packets
from .errors import ResultError

_WIDTH = 160  # characters of a line or value that are shown
_BEFORE = 16  # bytes or characters before a difference within it


class Part(StrEnum):
    """What kind of result a file is, in the order in which they are compared."""

    PACKETS = "packets"
    CONSOLE = "console"
    PROGRAMS = "programs"
    TCP_INFO = "tcp_info"
    QUEUES = "queues"
    SUMMARY = "summary"
    OTHER = "other"
    PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True)
class FileDifference:
    """How a file of two runs differs."""

    name: str
    """Relative to the runs' directories."""
    part: Part
    what: str
    """One line: what differs first."""
    t_ns: int | None = None
    """Of the first packet that differs: its earlier time in the two captures, ns."""
    lines: Sequence[str] = field(default=())
    """What was the same before it, what differs, and in which fields; for people. Made safe for a
    terminal."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How runs are compared."""

    ignored: Collection[str] = ()
    """Fields of packets, see `dissect.ignored_fields`."""
    parts: Collection[Part] = tuple(Part)
    context: int = 3
    """How many packets, or lines, before a difference are shown."""


def differences(first: Path, second: Path, options: Options | None = None) -> list[FileDifference]:
    """Return what differs between two runs' directories, or two files.

    The first packet of all that differs is the first in the list. Raises ResultError or
    CaptureError for what can't be compared, OSError for what can't be read.
    """
    options = options or Options()
    for path in (first, second):
        if not path.exists():
            message = f"{path}: there is no such file or directory"
            raise ResultError(message)
    if first.is_dir() != second.is_dir():
        message = f"{first} and {second}: one is a directory, the other is not"
        raise ResultError(message, "Give two directories of runs, or two files.")
    if first.is_dir():
        found = list(_of_directories(first, second, options))
    else:
        one = _of_files(first.name, first, second, options)
        found = [] if one is None else [one]
    order = list(Part)
    never = float("inf")

    def rank(each: FileDifference) -> tuple[int, float, str]:
        return order.index(each.part), never if each.t_ns is None else each.t_ns, each.name

    return sorted(found, key=rank)


def part_of(name: str) -> Part:
    """Say what a file of a run is; `name`: relative to the run's directory."""
    path = PurePath(name)
    base = path.name.removesuffix(".gz").removesuffix(".xz")
    suffix = PurePath(base).suffix
    if suffix in (".pcap", ".pcapng"):
        return Part.PACKETS
    if suffix in (".png", ".pdf", ".svg", ".html"):
        return Part.PICTURES
    if "console" in path.parts[0] or "console" in base:
        return Part.CONSOLE
    if path.parts[0] == "programs" or base in ("stdout.log", "stderr.log"):
        return Part.PROGRAMS
    if suffix in (".stdout", ".stderr") or base.startswith("output"):
        return Part.PROGRAMS
    if path.parts[0] == "tcp_info" or base == "cwnd.csv":
        return Part.TCP_INFO
    if path.parts[0] == "queues" or base == "drops.csv":
        return Part.QUEUES
    return Part.SUMMARY if base in ("summary.json", "end.txt") else Part.OTHER


def printable(text: str, width: int = _WIDTH) -> str:
    """Return text that comes from a guest so that a terminal does nothing but show it."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: width + 1]
    )
    return shown if len(shown) <= width else f"{shown[:width]}…"


def _of_directories(first: Path, second: Path, options: Options) -> Iterator[FileDifference]:
    files = _files(first), _files(second)
    for directory, there in zip((first, second), files, strict=True):
        if not there:
            message = f"{directory}: there is no file in it"
            raise ResultError(message, "Give the directory of a run.")
    for name in sorted({*files[0], *files[1]}):
        part = part_of(name)
        if part not in options.parts:
            continue
        if name not in files[0] & files[1]:
            if part is Part.PICTURES:  # made of the other files, if they were asked for
                continue
            what = f"it is not in {printable(str(second if name in files[0] else first))}"
            yield FileDifference(name=name, part=part, what=what)
            continue
        found = _of_files(name, first / name, second / name, options)
        if found is not None:
            yield found


def _files(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def _of_files(name: str, first: Path, second: Path, options: Options) -> FileDifference | None:
    if first.is_symlink() or second.is_symlink():
        # What a guest's link names is not the run's.
        targets = [str(each.readlink()) if each.is_symlink() else "" for each in (first, second)]
        if targets[0] == targets[1]:
            return None
        what = "it links to " + ", then to ".join(printable(t) or "nothing" for t in targets)
        return FileDifference(name=name, part=part_of(name), what=what)
    part = part_of(name)
    contents = first.read_bytes(), second.read_bytes()
    if contents[0] == contents[1]:
        return None
    if part is Part.PACKETS:
        return _of_captures(name, first, second, options)
    if name.endswith((".gz", ".xz")):
        contents = (_unpacked(first, contents[0]), _unpacked(second, contents[1]))
        if contents[0] == contents[1]:
            return None
    if part is Part.PICTURES or any(b"\0" in content for content in contents):
        return FileDifference(name=name, part=part, what=_first_byte(*contents))
    return _of_texts(name, part, *contents, options.context)


def _of_captures(name: str, first: Path, second: Path, options: Options) -> FileDifference | None:
    captures = read_capture(first, any_link=True), read_capture(second, any_link=True)
    if captures[0].link_type != captures[1].link_type:
        what = f"link types {captures[0].link_type} and {captures[1].link_type}"
        return FileDifference(name=name, part=Part.PACKETS, what=what)
    one, other = (packets(each, options.ignored) for each in captures)
    found = first_difference(one, other)
    if found is None:
        if captures[0].records != captures[1].records:  # in what is ignored
            return None
        what = f"the file's header: {_first_byte(first.read_bytes(), second.read_bytes())}"
        return FileDifference(name=name, part=Part.PACKETS, what=what)
    at = found.index
    times = [each.records[at].t_ns for each in captures if at < len(each.records)]
    counts = " and ".join(f"{len(each.records):,}" for each in captures)
    if not found.fields:
        longer = 1 if found.run else 2
        what = f"packet {at + 1} is only in the {('first', 'second')[longer - 1]}"
    else:
        what = f"packet {at + 1} differs in {', '.join(found.fields)}"
    shown = [
        *_before(captures[0], at, options.context),
        *_marked("<", at + 1, one_line(found.run) if found.run else ""),
        *_marked(">", at + 1, one_line(found.reference) if found.reference else ""),
        *(_values(each, found.run, found.reference) for each in found.fields),
    ]
    return FileDifference(
        name=name,
        part=Part.PACKETS,
        what=f"{what} ({counts} packets)",
        t_ns=min(times),
        lines=[printable(line, 4 * _WIDTH) for line in shown],
    )


def _before(capture: Capture, index: int, context: int) -> Iterator[str]:
    """Yield the packets before one, which are the same in both captures."""
    if not context:
        return
    until = capture._replace(records=capture.records[:index])
    for number, fields in enumerate(packets(until), start=1):
        if number > index - context:
            yield f"  {number:>6}  {one_line(fields)}"


def _marked(mark: str, number: int, text: str) -> Iterator[str]:
    yield f"{mark} {number:>6}  {text or 'there is no such packet'}"


def _values(name: str, first: Mapping[str, Value], second: Mapping[str, Value]) -> str:
    values = first.get(name), second.get(name)
    if all(isinstance(value, str) for value in values):
        return f"      {name}: " + ", then ".join(_around(str(values[0]), str(values[1])))
    return f"      {name}: " + ", then ".join("none" if v is None else str(v) for v in values)


def _around(first: str, second: str) -> tuple[str, str]:
    """Return two texts, of long ones what is around their first difference."""
    if max(len(first), len(second)) <= _WIDTH // 2:
        return first or "nothing", second or "nothing"
    at = _place(first, second)
    # Whole bytes of hexadecimal digits.
    begin = max(0, at - _BEFORE) // 2 * 2
    end = begin + _WIDTH // 4
    shown = [
        ("…" if begin else "") + (text[begin:end] or "the end") + ("…" if text[end:] else "")
        for text in (first, second)
    ]
    return f"(from digit {begin}) {shown[0]}", shown[1]


def _place(first: Sequence[object], second: Sequence[object]) -> int:
    pairs = zip_longest(first, second)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(first))


def _unpacked(path: Path, content: bytes) -> bytes:
    try:
        return gzip.decompress(content) if path.suffix == ".gz" else lzma.decompress(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        message = f"{path}: can't be unpacked: {error}"
        raise ResultError(message) from None


def _first_byte(first: bytes, second: bytes) -> str:
    at = _place(first, second)
    shown = [data[at : at + 1].hex() or "the end" for data in (first, second)]
    return f"byte {at}: {shown[0]}, then {shown[1]}"


def _of_texts(
    name: str, part: Part, first: bytes, second: bytes, context: int
) -> FileDifference | None:
    texts = [data.decode(errors="backslashreplace").split("\n") for data in (first, second)]
    at = _place(*texts)
    # The last line of a text that ends with its line is no line.
    here, there = (_line(text, at) for text in texts)
    lines = [f"  {n + 1:>6}  {texts[0][n]}" for n in range(max(0, at - context), at)]
    begin = _place(here, there) - _BEFORE if max(len(here), len(there)) > _WIDTH - 10 else 0
    for mark, line in (("<", here), (">", there)):
        shown = f"…{line[begin:]}" if begin > 0 else line
        lines.append(f"{mark} {at + 1:>6}  {shown}")
    what = f"line {at + 1} differs"
    named = list(_columns(texts[0], here, there)) if ".csv" in name and at else []
    if named:
        what += f" in {', '.join(column for column, _, _ in named)}"
        lines += [f"      {column}: {a}, then {b}" for column, a, b in named]
    return FileDifference(
        name=name, part=part, what=what, lines=[printable(line) for line in lines]
    )


def _line(text: Sequence[str], at: int) -> str:
    if at < len(text) - 1 or (at < len(text) and text[at]):
        return text[at]
    return "the end"


def _columns(text: Sequence[str], first: str, second: str) -> Iterable[tuple[str, str, str]]:
    """Yield the columns of a CSV's line that differ, if both are such lines."""
    cells = [line.split(",") for line in (text[0], first, second)]
    if len({len(each) for each in cells}) == 1:
        for column, a, b in zip(*cells, strict=True):
            if a != b:
                yield column, a, b
