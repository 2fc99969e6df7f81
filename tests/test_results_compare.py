# SPDX-License-Identifier: GPL-2.0-only
import pytest

import results_wire as wire
from ns3_qemu.results import ResultError, compare
from ns3_qemu.results.files import read_packets


@pytest.fixture(scope="module")
def reference():
    return read_packets(wire.DATA / "sender_packets.csv.xz").head(300)


def test_a_list_equals_itself(reference):
    result = compare(reference.copy(), reference)
    assert result.equal
    assert result.agree_from_start == result.packets_run == result.packets_reference == 300


def test_one_nanosecond_is_a_difference(reference):
    run = reference.copy()
    run.loc[100, "t_ns"] += 1
    run.loc[200, "t_ns"] += 1
    result = compare(run, reference)
    assert not result.equal
    assert result.agree_from_start == 100
    assert result.differing["t_ns"] == 2
    difference = result.first_difference
    assert (difference.index, difference.fields) == (100, ("t_ns",))
    assert difference.run["t_ns"] == difference.reference["t_ns"] + 1


@pytest.mark.parametrize(
    ("field", "value"), [("dir", "R>S"), ("seq", 7), ("len", 7), ("ack", 7), ("sack", "1-2")]
)
def test_every_field_is_compared(reference, field, value):
    run = reference.copy()
    run.loc[33, field] = value
    difference = compare(run, reference).first_difference
    assert difference.index == 33
    assert field in difference.fields
    assert difference.run[field] == value


def test_a_missing_value_differs_from_any_number(reference):
    run = reference.copy()
    run.loc[33, "ack"] = None
    difference = compare(run, reference, ["ack"]).first_difference
    assert (difference.index, difference.run["ack"]) == (33, None)


def test_clocks_of_the_timestamps_may_begin_anywhere(reference):
    run = reference.copy()
    sent = run["dir"] == "S>R"
    offset = {True: 2**32 - 1500, False: 4711}
    run["tsval"] = (run["tsval"] + sent.map(offset)) % 2**32
    run["tsecr"] = (run["tsecr"] + (~sent).map(offset)) % 2**32
    assert compare(run, reference).equal


def test_a_tick_of_a_timestamp_is_a_difference(reference):
    run = reference.copy()
    run.loc[50, "tsval"] += 1
    difference = compare(run, reference).first_difference
    assert (difference.index, difference.fields) == (50, ("tsval",))


def test_flags_and_windows_are_the_applications_doing(reference):
    run = reference.copy()
    run.loc[9, "flags"] = "PA"
    run.loc[10, "win_bytes"] = 1
    assert compare(run, reference).equal
    assert compare(run, reference, ["flags", "win_bytes"]).agree_from_start == 9


def test_a_list_that_ends_early_is_not_equal(reference):
    result = compare(reference.head(20), reference)
    assert not result.equal
    assert result.agree_from_start == 20
    assert result.first_difference.run == {}
    assert result.first_difference.reference["dir"] == reference["dir"][20]


@pytest.mark.parametrize("fields", [[], ["t"]])
def test_an_unknown_field_is_refused(reference, fields):
    with pytest.raises(ResultError, match=r"there are t_ns, dir"):
        compare(reference, reference, fields)
