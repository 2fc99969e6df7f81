# SPDX-License-Identifier: GPL-2.0-only
import pandas as pd

from ns3_qemu.results.goodput import arrivals, goodput_per_second, inorder_bytes

SECOND = 1_000_000_000


def arriving(*segments):
    """Segments (t in ns, seq, len) at the receiver, with an acknowledgement after each."""
    rows = [
        row for t, seq, length in segments for row in ((t, "S>R", seq, length), (t, "R>S", 1, 0))
    ]
    return pd.DataFrame(rows, columns=["t_ns", "dir", "seq", "len"])


def test_in_order_segments_count_as_they_arrive():
    assert arrivals(arriving((1, 1, 10), (2, 11, 10)))["inorder"].tolist() == [10, 10]


def test_what_lies_beyond_a_hole_counts_when_the_hole_is_filled():
    arrived = arrivals(arriving((1, 11, 10), (2, 31, 10), (3, 1, 10), (4, 21, 10)))
    assert arrived["inorder"].tolist() == [0, 0, 20, 20]
    assert arrived["arrived"].tolist() == [10, 10, 10, 10]


def test_a_repetition_arrives_but_is_no_goodput():
    arrived = arrivals(arriving((1, 1, 10), (2, 1, 10), (3, 31, 10), (4, 31, 10), (5, 5, 10)))
    assert arrived["inorder"].tolist() == [10, 0, 0, 0, 4]
    assert arrived["arrived"].sum() == 50


def test_overlapping_ranges_beyond_a_hole_are_joined():
    arrived = arrivals(arriving((1, 21, 10), (2, 41, 10), (3, 26, 20), (4, 1, 20)))
    assert arrived["inorder"].tolist() == [0, 0, 0, 50]


def test_every_second_of_the_run_has_a_row():
    arrived = arrivals(arriving((1 * SECOND, 1, 10), (4 * SECOND - 1, 21, 5), (4 * SECOND, 11, 10)))
    table = goodput_per_second(arrived, 1 * SECOND, 6 * SECOND)
    assert table.values.tolist() == [[1, 10, 10], [2, 0, 0], [3, 0, 5], [4, 15, 10], [5, 0, 0]]


def test_a_run_may_start_and_end_within_a_second():
    arrived = arrivals(arriving((1_600_000_000, 1, 10), (2_400_000_000, 11, 10)))
    table = goodput_per_second(arrived, 1_500_000_000, 2_300_000_000)
    assert table.values.tolist() == [[1, 10, 10], [2, 0, 0]]


def test_goodput_of_a_part_of_the_run():
    arrived = arrivals(arriving((10, 1, 10), (20, 11, 10), (30, 21, 10)))
    assert inorder_bytes(arrived, 10, 30) == 20


def test_nothing_arrived():
    assert goodput_per_second(arrivals(arriving()), 0, SECOND).values.tolist() == [[0, 0, 0]]
