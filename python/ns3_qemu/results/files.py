# SPDX-License-Identifier: GPL-2.0-only
"""The result files of a run: exact times in, exact times out.

In memory a time is an integer of nanoseconds in the column t_ns; in a file it is the column t,
simulated seconds with nine decimals. Equal results give equal bytes, compressed files included, and
no file is ever half-written under its name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import re
import tempfile
import zlib
from pathlib import Path

import msgspec
import pandas as pd

from .errors import ResultError
from .summary import Summary
from .tcp import COLUMN_TYPES, Handshake

_TIME = re.compile(r"(\d+)(?:\.(\d{1,9}))?")

# As many links as the kernel follows, path_resolution(7).
_LINKS_MAX = 40

_CWND_COLUMNS = ("cwnd_seg", "ssthresh_seg", "srtt_ms")


def read_packets(path: Path) -> pd.DataFrame:
    """Read a packet list as `tcp` describes it: .csv, or compressed as .csv.gz or .csv.xz."""
    table = _read(
        path, tuple(c for c in COLUMN_TYPES if c != "t_ns"), text=("sack", "flags", "dir")
    )
    table["sack"] = table["sack"].fillna("")
    return _typed(path, table, COLUMN_TYPES)


def write_packets(path: Path, packets: pd.DataFrame) -> None:
    """Write a packet list; compressed if the name ends in .gz."""
    _write(path, packets[list(COLUMN_TYPES)])


def read_cwnd(path: Path) -> pd.DataFrame:
    """Read the samples of tcp_info: t_ns, cwnd_seg, ssthresh_seg, srtt_ms, and columns beyond."""
    table = _read(path, _CWND_COLUMNS)
    types = {"t_ns": "int64", "cwnd_seg": "int64", "ssthresh_seg": "int64", "srtt_ms": "float64"}
    table = _typed(path, table, types)
    if table.empty:
        message = f"{path}: there is no sample in it"
        raise ResultError(message)
    if not table["t_ns"].is_monotonic_increasing:
        message = f"{path}: its times are not in order"
        raise ResultError(message)
    return table


def read_drops(path: Path) -> pd.DataFrame:
    """Read a list of dropped segments: t_ns, where, seq, len."""
    table = _read(path, ("where", "seq", "len"), text=("where",))
    return _typed(path, table, {"t_ns": "int64", "where": "str", "seq": "int64", "len": "int64"})


def write_drops(path: Path, drops: pd.DataFrame) -> None:
    """Write a list of dropped segments."""
    _write(path, drops[["t_ns", "where", "seq", "len"]])


def read_goodput(path: Path) -> pd.DataFrame:
    """Read second, inorder_bytes, arrived_bytes."""
    columns = ("second", "inorder_bytes", "arrived_bytes")
    table = _read(path, columns, timed=False)
    return _typed(path, table, dict.fromkeys(columns, "int64"))


def write_goodput(path: Path, goodput: pd.DataFrame) -> None:
    """Write second, inorder_bytes, arrived_bytes."""
    _write(path, goodput[["second", "inorder_bytes", "arrived_bytes"]])


def read_summary(path: Path) -> Summary:
    """Read a summary.json that `write_summary` wrote."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Summary)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{path}: no summary of a run: {error}"
        raise ResultError(message) from None


class _Header(msgspec.Struct, frozen=True):
    """What a summary.json says of the handshake, whoever wrote it."""

    mss_syn: int | None
    mss_synack: int | None
    ts: bool
    wscale_snd: int | None
    wscale_rcv: int | None
    iss: int
    irs: int | None


def read_handshake(path: Path, start_ns: int) -> Handshake:
    """Read what a summary.json says of the handshake; it may be a reference's.

    `start_ns`: when the first SYN left the sender, which the file has as a rounded number.
    """
    try:
        header = msgspec.json.decode(path.read_bytes(), type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{path}: no summary of a run: {error}"
        raise ResultError(message) from None
    return Handshake(
        start_ns=start_ns,
        iss=header.iss,
        irs=header.irs,
        mss_syn=header.mss_syn,
        mss_synack=header.mss_synack,
        timestamps=header.ts,
        wscale_snd=header.wscale_snd,
        wscale_rcv=header.wscale_rcv,
    )


def write_summary(path: Path, summary: Summary) -> None:
    """Write a summary.json."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, content: bytes) -> None:
    """Write a file at once: under its name stands the old content or the new, never a part.

    What a symbolic link names is replaced, and not the link. What is no file (/dev/null, a pipe) or
    somebody's open file (/dev/stdout, /dev/fd/3) is written to as it is.
    """
    if _is_open_file(path) or (path.exists() and not path.is_file()):
        path.write_bytes(content)
        return
    path = path.resolve()
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(content)
            file.close()
            # A temporary file is the owner's alone; a result is an ordinary file.
            mask = os.umask(0)
            os.umask(mask)
            Path(file.name).chmod(0o666 & ~mask)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _is_open_file(path: Path) -> bool:
    """Return whether a path names a descriptor of a process, as those in /proc/self/fd do."""
    for _ in range(_LINKS_MAX):
        if not path.is_symlink():
            break
        if path.parent.resolve().is_relative_to("/proc"):
            return True
        path = path.parent / path.readlink()
    return False


def _read(
    path: Path, columns: tuple[str, ...], text: tuple[str, ...] = (), *, timed: bool = True
) -> pd.DataFrame:
    """Read a CSV file that has at least these columns; t becomes t_ns, exactly."""
    types = dict.fromkeys((*text, "t"), "str")
    try:
        table = pd.read_csv(path, dtype=types)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        message = f"{path}: no CSV table: {error}"
        raise ResultError(message) from None
    missing = [c for c in ((*columns, "t") if timed else columns) if c not in table.columns]
    if missing:
        message = (
            f"{path}: column {', '.join(missing)} is missing (it has {', '.join(table.columns)})"
        )
        raise ResultError(message)
    if timed:
        times = table["t"].tolist()
        del table["t"]
        table.insert(0, "t_ns", [_nanoseconds(path, n, t) for n, t in enumerate(times, start=2)])
    return table


def _typed(path: Path, table: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    try:
        return table.astype(types)
    except (ValueError, TypeError, OverflowError) as error:
        message = f"{path}: a value is not what its column says: {error}"
        raise ResultError(message) from None


def _nanoseconds(path: Path, line: int, text: object) -> int:
    match = _TIME.fullmatch(str(text))
    if match is None:
        message = f"{path}: line {line}: {text!r} is no time in seconds with up to nine decimals"
        raise ResultError(message)
    return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


def _write(path: Path, table: pd.DataFrame) -> None:
    if "t_ns" in table.columns:
        times = [f"{t // 1_000_000_000}.{t % 1_000_000_000:09}" for t in table["t_ns"].tolist()]
        table = table.drop(columns="t_ns")
        table.insert(0, "t", times)
    content = table.to_csv(index=False, lineterminator="\n").encode()
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        # No name and no time of day in the gzip header: equal tables, equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
            file.write(content)
        content = buffer.getvalue()
    replace_file(path, content)
