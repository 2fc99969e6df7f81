# SPDX-License-Identifier: GPL-2.0-only
"""What the validation checks: it holds for a right run, and each class fails for wrong ones."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from ns3_qemu import scenario
from ns3_qemu.results.files import read_drops, read_packets, read_summary
from ns3_qemu.validation import checks, data, evidence, rules
from ns3_qemu.validation.checks import Kind
from ns3_qemu.validation.evidence import Evidence
from ns3_qemu.validation.network import Network, ip_bytes

RUNS = Path(__file__).parent / "data" / "validation"

A1, A2, A5, B4 = "A1_q20_sack", "A2_q20_nosack", "A5_q5_sack", "B4_rto2_sack"


def read(name, *settings):
    return scenario.read(data.scenarios()[name], settings)


@cache
def stored(name):
    place = RUNS / name
    summary = read_summary(place / "summary.json")
    return Evidence(
        label=name,
        release=summary.details.run["systems"]["sender"],
        summary=summary,
        packets=read_packets(place / "sender_packets.csv.xz"),
        receiver=read_packets(place / "receiver_packets.csv.xz"),
        cwnd=pd.DataFrame(),
        drops=read_drops(place / "drops.csv"),
        goodput=pd.DataFrame(),
    )


@cache
def nsc(name=A1):
    return evidence.of_reference(data.reference(name), read(name))


def verdicts(run, name=A1, kind=None):
    """Return whether each check holds, by name; of one kind or all."""
    # The packet lists of stored runs end after four seconds, the key figures are of all sixty.
    short = Network(read(name, "duration=4s"))
    whole = Network(read(name))
    found = [
        *checks.exact(run, short),
        *checks.same_beginning(run, nsc(name), short.scenario),
        *checks.invariant(run, nsc(name), whole),
        *checks.explained(run, nsc(name), whole),
    ]
    return {check.name: check.holds for check in found if kind in (None, check.kind)}


def failing(run, name=A1, kind=None):
    return {check for check, holds in verdicts(run, name, kind).items() if not holds}


def test_every_check_holds_for_a_right_run():
    found = verdicts(stored("base"))
    assert len(found) == 19
    assert all(found.values())


def test_how_near_goodput_must_be_follows_from_what_the_scenario_says():
    """And from nothing else: not from its name."""

    def tolerance(*settings):
        network = Network(read(A1, "name=renamed", *settings))
        found = checks.invariant(stored("base"), nsc(), network)
        return next(check.tolerance for check in found if check.name == "goodput")

    assert tolerance() == "0.5%"
    assert tolerance("validation.never_idle=sender") == "0.1%"
    assert tolerance("validation={}") == "3.0%"


FIRST_PACKETS = "first packets equal NSC's in time, direction, seq and len"


@pytest.mark.parametrize(
    ("release", "asked"),
    [
        ("6.1.0-50-cloud-amd64", True),
        ("6.1.0-51-amd64", True),
        ("6.1.192", False),  # of one's own: its packets' memory decides when it acknowledges
        ("6.1.0", False),
        ("6.12.94+deb13-cloud-amd64", False),
    ],
)
def test_the_first_packets_are_asked_of_debians_kernel_only(release, asked):
    found = checks.check(replace(stored("base"), release=release), nsc(), read(A1))
    assert (FIRST_PACKETS in {check.name for check in found}) == asked


def test_no_check_knows_a_scenario_by_its_name():
    text = Path(checks.__file__).read_text()
    assert [name for name in data.scenarios() if f'"{name}"' in text] == []


@pytest.mark.parametrize(
    ("mutation", "kind", "expected"),
    [
        ("rate", Kind.EXACT, "shortest gap between data segments at the receiver"),
        ("rate", Kind.INVARIANT, "goodput"),
        ("delay", Kind.EXACT, "SYN-ACK arrives"),
        ("delay", Kind.EXACT, "propagation and serialisation of the SYN"),
        ("delay", Kind.EXACT, FIRST_PACKETS),
        ("queue15", Kind.EXACT, "dropped segments"),
        ("queue15", Kind.INVARIANT, "cwnd at the first drop"),
        ("queue15", Kind.EXPLAINED, "period of the sawtooth"),
        ("queue25", Kind.EXACT, "packets that arrive at the receiver"),
        ("queue25", Kind.INVARIANT, "steady peak of cwnd"),
        ("queue25", Kind.INVARIANT, "steady ssthresh"),
        ("queue25", Kind.EXPLAINED, "period of the sawtooth"),
        ("cubic", Kind.INVARIANT, "steady ssthresh"),
        ("cubic", Kind.EXPLAINED, "largest cwnd"),
        ("cubic", Kind.EXPLAINED, "ssthresh after the first loss"),
        ("cubic", Kind.EXPLAINED, "segments dropped"),
    ],
)
def test_a_wrong_run_fails(mutation, kind, expected):
    assert expected in failing(stored(mutation), kind=kind)


def test_a_congestion_control_leaves_the_links_alone():
    assert not failing(stored("cubic"), kind=Kind.EXACT) - {FIRST_PACKETS}


def test_a_packet_that_is_a_nanosecond_late_is_seen():
    base = stored("base")
    packets = base.packets.copy()
    packets.loc[packets.index[packets["dir"] == "R>S"][200], "t_ns"] += 1
    found = failing(replace(base, packets=packets), kind=Kind.EXACT)
    assert found == {"packets that arrive at the sender"}
    receiver = base.receiver.copy()
    receiver.loc[receiver.index[receiver["dir"] == "S>R"][200], "t_ns"] += 1
    found = failing(replace(base, receiver=receiver), kind=Kind.EXACT)
    assert "packets that arrive at the receiver" in found


def test_a_segment_of_another_size_is_seen():
    base = stored("base")
    packets = base.packets.copy()
    packets.loc[packets.index[300:310], "len"] = 1460
    assert "payload of data segments" in failing(replace(base, packets=packets))


def test_another_initial_window_is_seen():
    base = stored("base")
    first = base.packets.index[base.packets["len"] > 0]
    packets = base.packets.drop(first[1])
    assert "first flight" in failing(replace(base, packets=packets))


def test_where_a_buffer_holds_the_sender_back_what_is_in_flight_counts():
    base = stored("base")
    summary = base.summary
    drop = msgspec.structs.replace(summary.first_drop, cwnd=40)
    held = replace(base, summary=msgspec.structs.replace(summary, first_drop=drop))
    assert "cwnd at the first drop" not in failing(held)
    drop = msgspec.structs.replace(summary.first_drop, cwnd=27)
    small = replace(base, summary=msgspec.structs.replace(summary, first_drop=drop))
    assert "cwnd at the first drop" in failing(small)


# --- the reference as a run: equal, and no more when a single field differs -----------------------


def equality(run, name=A1):
    # Under any name: what is known of NSC's timers is known of all scenarios.
    check, *others = checks.equal(run, nsc(name), Network(read(name, "name=renamed")))
    assert check.kind == Kind.EQUAL
    assert not others or name == B4
    return check


def shifted(name, first, by):
    """Return the reference with all packets from one on earlier or later, in ns."""
    packets = nsc(name).packets.copy()
    packets.loc[packets.index >= first, "t_ns"] += by
    return replace(nsc(name), packets=packets)


def test_the_reference_equals_itself():
    assert equality(nsc()).holds


@pytest.mark.parametrize("field", ["t_ns", "seq", "len", "ack", "tsval", "tsecr"])
def test_one_field_of_one_packet_parts_them(field):
    packets = nsc().packets.copy()
    packets.loc[10_000, field] += 1
    check = equality(replace(nsc(), packets=packets))
    assert not check.holds
    assert f"10000 equal packets, then packet 10001: {field}" in check.measured


def test_a_packet_more_parts_them():
    longer = pd.concat([nsc().packets, nsc().packets.tail(1)], ignore_index=True)
    assert not equality(replace(nsc(), packets=longer)).holds


# Of A2's packets: the first one that a timer has sent, an ACK. Of B4's: the first timeout.
DELAYED_ACK, TIMEOUT = 223, 1619


@pytest.mark.parametrize(("name", "first"), [(A2, DELAYED_ACK), (B4, TIMEOUT)])
@pytest.mark.parametrize("by", [-1_000_000, -999_999])
def test_where_nscs_timers_are_late_a_timer_may_be_a_millisecond_earlier(name, first, by):
    check = equality(shifted(name, first, by), name)
    assert check.holds
    assert f"{first} equal packets, then packet {first + 1}: t_ns" in check.measured


@pytest.mark.parametrize(
    ("name", "first", "by"),
    [
        (B4, TIMEOUT, 1_000_000),
        (B4, TIMEOUT, -2_000_000),
        (B4, TIMEOUT, -1_000_001),
        (B4, TIMEOUT - 1, -1_000_000),  # no timer's
        (A2, DELAYED_ACK + 1, -1_000_000),
        (A2, 48, -1_000_000),  # an answer to an ACK that happens to come at a full millisecond
        (A1, 5000, -1_000_000),  # no timers at all
    ],
)
def test_nothing_else_may_differ_there(name, first, by):
    assert not equality(shifted(name, first, by), name).holds


def test_what_an_ack_asks_for_is_no_timers():
    """A retransmission in an instant in which an ACK has come, though at a full millisecond."""
    packets = nsc(B4).packets.copy()
    packets.loc[TIMEOUT - 1, "t_ns"] = packets.loc[TIMEOUT, "t_ns"]
    assert packets.loc[TIMEOUT - 1, "dir"] == "R>S"
    asked = replace(nsc(B4), packets=packets)
    early = packets.copy()
    early.loc[early.index >= TIMEOUT, "t_ns"] -= 1_000_000
    network = Network(read(B4))
    assert next(checks.equal(replace(asked, packets=packets), asked, network)).holds
    assert not next(checks.equal(replace(asked, packets=early), asked, network)).holds


def test_a_packet_that_a_timer_sends_must_be_the_same_packet():
    packets = shifted(B4, TIMEOUT, -999_999).packets
    packets.loc[TIMEOUT, "seq"] += 1
    assert not equality(replace(nsc(B4), packets=packets), B4).holds


def test_the_timeouts_themselves_are_the_references():
    def ladder(run):
        return list(checks.equal(run, nsc(B4), Network(read(B4))))[1].holds

    assert ladder(shifted(B4, TIMEOUT, -999_999))
    assert not ladder(shifted(B4, TIMEOUT + 1, -1_000_000))


def test_equality_is_asked_of_the_references_kernel_only():
    kinds = {c.kind for c in checks.check(nsc(), nsc(), read(A1))}
    assert Kind.EQUAL in kinds
    assert Kind.EXPLAINED not in kinds
    kinds = {c.kind for c in checks.check(stored("base"), nsc(), read(A1))}
    assert Kind.EQUAL not in kinds
    assert Kind.EXPLAINED in kinds


# --- where they part ------------------------------------------------------------------------------


def test_quick_acks_and_byte_counting_part_a_newer_kernel_from_the_reference():
    text = checks.parting(stored("base"), nsc())
    assert text.startswith("They part at packet 57 (")
    assert "the receiver has sent its quick ACKs and acknowledges 2 segments at once" in text
    assert "lets this kernel send 4 (two, and two more by byte counting)" in text
    assert text.endswith("with NSC (packet 75) 3.")


def test_equal_lists_never_part():
    assert checks.parting(nsc(), nsc()) == "They never part."


# --- timeouts -------------------------------------------------------------------------------------

DOUBLES = "each retransmission timeout is twice the one before"


def ladder(run):
    return {c.name: c.holds for c in checks.invariant(run, nsc(B4), Network(read(B4)))}[DOUBLES]


def test_timeouts_double():
    assert ladder(nsc(B4))
    assert ladder(stored("timeouts"))


def test_a_timeout_that_does_not_double_is_seen():
    run = stored("timeouts")
    again = run.packets.index[run.packets["rtx"].eq(1).fillna(value=False)]
    packets = run.packets.copy()
    # The last one comes after the same time as the one before it.
    packets.loc[again[3], "t_ns"] = (
        2 * packets.loc[again[2], "t_ns"] - packets.loc[again[1], "t_ns"]
    )
    assert not ladder(replace(run, packets=packets))
    assert not ladder(replace(run, packets=run.packets.drop(again[3])))


def test_a_loss_more_is_seen():
    run = stored("timeouts")
    more = replace(run, summary=msgspec.structs.replace(run.summary, drops=5))
    assert "segments lost" in failing(more, B4, Kind.INVARIANT)
    assert "segments lost" not in failing(run, B4, Kind.INVARIANT)


# --- rules ----------------------------------------------------------------------------------------


def test_the_period_is_the_sum_of_its_rounds():
    network = Network(read(A1))
    byte_counting = rules.period(network, rules.Cycle(30, 15, 1))
    assert byte_counting.value == pytest.approx((sum(range(15, 31)) + 30) * 6.008e-3)
    assert byte_counting.holds(2.428)  # Linux 6.1
    assert not byte_counting.holds(4.232)  # Linux 2.6.26, which counts ACKs
    assert rules.period(network, rules.Cycle(30, 15, 2)).holds(4.232)
    assert not byte_counting.holds(None)


def test_an_empty_queue_makes_rounds_as_long_as_the_path():
    network = Network(read(A5))
    assert rules.runs_empty(network, rules.Cycle(15, 7, 1))
    assert not rules.runs_empty(Network(read(A1)), rules.Cycle(30, 15, 1))
    trip = network.round_trip_ns()
    rounds = 3 * trip + sum(range(10, 16)) * 6_008_000
    period = rules.period(network, rules.Cycle(15, 7, 1))
    assert period.value == pytest.approx((rounds + 15 * 6_008_000) / 1e9)


def test_goodput_where_the_queue_runs_empty_follows_from_the_period():
    network = Network(read(A5))
    rule = rules.goodput(network, rules.Cycle(15, 7, 1), 1.85093, 1.1657)
    assert rule.holds(1.792431)  # Linux 6.1
    assert not rule.holds(1.85093)  # what 2.6.26 has
    # With the reference's own period it would be the reference's goodput.
    same = rules.goodput(network, rules.Cycle(15, 7, 1), 1.85093, 0.7098)
    assert same.value == pytest.approx(1.85093, rel=1e-3)


def test_slow_start_doubles_until_the_loss_shows():
    assert rules.max_cwnd(30, 2).value == 59
    assert not rules.max_cwnd(30, 2).holds(45)  # one for each ACK


def test_a_ladder_of_doubling_intervals():
    assert rules.ladder([0, 1, 3, 7]) == [2, 2]
    assert rules.ladder([0, 1]) == []


def test_headers_have_the_length_of_their_options():
    packets = nsc().packets
    sizes = ip_bytes(packets, read(A1).tcp)
    blocks = packets["sack"].str.split().str.len()
    assert sizes[0] == 60  # SYN
    assert sizes[3] == 1500
    two = int((blocks == 1).idxmax())
    assert sizes[two] == 52 + 12
