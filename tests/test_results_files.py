# SPDX-License-Identifier: GPL-2.0-only
import gzip
import os
from pathlib import Path

import pandas as pd
import pytest

import results_wire as wire
from ns3_qemu.results import ResultError, files

CWND = "t,cwnd_seg,ssthresh_seg,srtt_ms\n"


def test_times_keep_every_nanosecond(tmp_path):
    drops = pd.DataFrame({"t_ns": [1, 9_007_199_254_740_993], "where": "q", "seq": 1, "len": 2})
    files.write_drops(tmp_path / "d.csv", drops)
    assert (tmp_path / "d.csv").read_text() == (
        "t,where,seq,len\n0.000000001,q,1,2\n9007199.254740993,q,1,2\n"
    )
    assert files.read_drops(tmp_path / "d.csv").equals(drops)


@pytest.mark.parametrize("name", ["p.csv", "p.csv.gz"])
def test_a_packet_list_is_read_as_it_was_written(tmp_path, name):
    packets = files.read_packets(wire.DATA / "sender_packets.csv.xz").head(400)
    files.write_packets(tmp_path / name, packets)
    assert files.read_packets(tmp_path / name).equals(packets)


def test_equal_packet_lists_give_equal_files(tmp_path):
    packets = files.read_packets(wire.DATA / "sender_packets.csv.xz").head(50)
    files.write_packets(tmp_path / "a.csv.gz", packets)
    files.write_packets(tmp_path / "b.csv.gz", packets)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(
        b"t,dir,flags,seq,ack,len"
    )


def test_the_files_look_like_the_references(tmp_path):
    goodput = files.read_goodput(wire.DATA / "goodput.csv")
    files.write_goodput(tmp_path / "goodput.csv", goodput)
    files.write_drops(tmp_path / "drops.csv", files.read_drops(wire.DATA / "drops.csv"))
    for name in ("goodput.csv", "drops.csv"):
        assert (tmp_path / name).read_text() == (wire.DATA / name).read_text()


def test_samples_may_have_further_columns(tmp_path):
    path = tmp_path / "cwnd.csv"
    path.write_text("t,cwnd_seg,ssthresh_seg,srtt_ms,rttvar\n1.5,2,2147483647,0.000,3\n")
    assert files.read_cwnd(path).values.tolist() == [[1_500_000_000, 2, 2147483647, 0.0, 3]]


def test_a_list_without_rows_is_read(tmp_path):
    (tmp_path / "d.csv").write_text("t,where,seq,len\n")
    assert files.read_drops(tmp_path / "d.csv").empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no CSV table"),
        ("t,cwnd_seg,srtt_ms\n", "column ssthresh_seg is missing"),
        (CWND + "1.0,2,3,4\n-1.0,2,3,4\n", "line 3: '-1.0' is no time"),
        (CWND + "1.0000000001,2,3,4\n", "line 2: .* is no time"),
        (CWND + "1.0,two,3,4\n", "a value is not what its column says"),
        (CWND + "2.0,2,3,4\n1.0,2,3,4\n", "not in order"),
    ],
)
def test_what_is_no_table_of_samples_is_refused(tmp_path, content, message):
    path = tmp_path / "cwnd.csv"
    path.write_text(content)
    with pytest.raises(ResultError, match=message):
        files.read_cwnd(path)


def test_a_damaged_compressed_list_is_refused(tmp_path):
    path = tmp_path / "p.csv.gz"
    path.write_bytes(gzip.compress(b"t,dir\n" * 1000)[:-20])
    with pytest.raises(ResultError, match="no CSV table"):
        files.read_packets(path)


@pytest.mark.parametrize("content", [b'{"name": 1}', b'{"name": "\xf2"}', b""])
def test_what_is_no_summary_is_refused(tmp_path, content: bytes):
    (tmp_path / "summary.json").write_bytes(content)
    with pytest.raises(ResultError, match="no summary of a run"):
        files.read_summary(tmp_path / "summary.json")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(files.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    # As --json /dev/null would have it, which root could replace.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.replace_file(pipe, b"new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_an_open_file_named_by_its_descriptor_is_written_to(tmp_path: Path) -> None:
    # As /dev/stdout would have it, which is a link to such a name.
    path = tmp_path / "out.json"
    link = tmp_path / "link"
    with path.open("wb") as file:
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        for name in (link, Path(f"/dev/fd/{file.fileno()}")):
            files.replace_file(name, b"new")
            assert path.read_bytes() == b"new"
            file.truncate(0)
            assert path.stat().st_ino == os.fstat(file.fileno()).st_ino
    assert link.is_symlink()


@pytest.mark.parametrize("there", [False, True])
def test_what_a_link_names_is_replaced_and_not_the_link(tmp_path: Path, *, there: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "table.csv", tmp_path / "table.csv"
    if there:
        target.write_bytes(b"old")
    link.symlink_to("elsewhere/table.csv")
    files.replace_file(link, b"new")
    assert target.read_bytes() == b"new"
    assert link.readlink() == Path("elsewhere/table.csv")
    assert list(target.parent.iterdir()) == [target]


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    link = tmp_path / "table.csv"
    link.symlink_to(link)
    with pytest.raises((OSError, RuntimeError), match=r"[Ss]ymlink loop|symbolic links"):
        files.replace_file(link, b"new")
    assert list(tmp_path.iterdir()) == [link]
