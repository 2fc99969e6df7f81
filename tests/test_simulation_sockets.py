# SPDX-License-Identifier: GPL-2.0-only
"""What ns3::Socket promises, on guests' sockets.

What happens is in ns3-module/test/socket-contract.cc, which notes it under these names. A call that
fails is result/errno of ns-3/errno of the guest.
"""

import errno
from pathlib import Path

import pytest

from simulation_tools import run_program


@pytest.fixture(scope="module")
def notes(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_program("qemu-socket-contract", vm_image, tmp_path_factory.mktemp("contract"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Bind, Connect, Send, Close: then the connection is closed when all is sent.
        ("early", "0 0 12 0 closed"),
        ("early received", "good morning"),
        ("early datagram", "hello"),
    ],
)
def test_what_is_said_before_the_simulation_begins_is_done_when_it_does(
    notes: dict[str, str], name: str, expected: str
):
    assert notes[name] == expected


def test_a_stream_is_read_in_pieces_of_any_size(notes: dict[str, str]):
    # Of 300 bytes: there, read, left, read.
    assert notes["stream sizes"] == "300 50 250 250"
    assert notes["stream content"] == "ccc<>"


def test_sends_of_one_event_reach_the_guest_together(notes: dict[str, str]):
    assert notes["stream sent"] == "300"


def test_the_end_of_a_stream_is_told_as_a_close_and_not_as_data(notes: dict[str, str]):
    assert notes["stream then"] == "none empty"


def test_a_half_closed_connection_goes_on_in_the_other_direction(notes: dict[str, str]):
    assert notes["stream answer"] == "answer none"
    # Connected twice, sent after ShutdownSend.
    assert notes["stream client"] == "-1/1/0 -1/5/0 connected closed"
    # Close works once.
    assert notes["stream server"] == "half closed 0 -1/9/0"


def test_names_are_those_of_the_guests_socket(notes: dict[str, str]):
    assert notes["names before"] == "-1 0.0.0.0"
    assert notes["names client"] == "10.0.0.1 10.0.0.2"
    assert notes["names server"] == "10.0.0.2 10.0.0.1"
    assert notes["names port"] == "999"


def test_send_takes_a_packet_whole_or_not_at_all(notes: dict[str, str]):
    assert notes["room"] == "10000 4000 4000 2000 -1/4/0 2000 -1/4/0"
    assert "room told" not in notes


def test_the_send_callback_comes_when_there_is_room_again(notes: dict[str, str]):
    assert notes["room while nobody reads"] == "1"
    assert notes["room in the end"] == "1 10000"


def test_what_was_taken_before_close_is_delivered(notes: dict[str, str]):
    assert notes["linger"] == "900000 0"
    assert notes["linger received"] == "900000"
    assert notes["linger server"] == "closed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("refused by vm", "0 failed/-1/2/111"),
        ("refused by native", "0 failed/-1/2/111"),
        ("unreachable", "-1/10/101"),
        ("nobody", "failed/-1/10/113"),
        ("in use", "0 -1/13/98"),
        ("foreign", "-1/12/99"),
        ("reset", "connected error/-1/2/104 -1"),
        ("unwilling", "asked by 10.0.0.1"),
        ("unwanted", "connected error/-1/2/104"),
        ("bad address", "-1"),
        ("not connected", "-1"),
        ("bad option", "-1 92"),
    ],
)
def test_an_error_is_told_with_the_guests_errno(notes: dict[str, str], name: str, expected: str):
    assert notes[name] == expected


def test_a_callback_may_close_and_drop_its_socket(notes: dict[str, str]):
    assert notes["reentrance server"] == "ping none"
    assert notes["reentrance client"] == "connected pong closed"
    assert notes["closing"] == "connected 0"


def test_ipv6_works_beside_ipv4_on_the_same_port(notes: dict[str, str]):
    assert notes["ipv6"] == "0 fd00::1 six"
    assert notes["ipv6 datagram"] == "six fd00::1 fd00::2 40 9"


def test_attributes_that_are_not_set_are_left_to_the_kernel(notes: dict[str, str]):
    # TCP_NODELAY, TCP_SYNCNT, SO_SNDBUF, TCP_CONGESTION
    assert notes["plain options"] == "0 6 16384 cubic"


def test_attributes_that_are_set_are_options_of_the_guests_socket(notes: dict[str, str]):
    # The same and SO_RCVBUF, SO_PRIORITY, SO_BINDTODEVICE; Linux doubles the sizes of buffers.
    assert notes["set options"] == "1 3 100000 reno 140000 5 eth0"


def test_defaults_that_a_script_sets_are_options_of_the_guests_socket(notes: dict[str, str]):
    assert notes["options by default"] == "536 reno"


def test_a_connection_begins_with_the_window_that_a_script_sets(notes: dict[str, str]):
    _, established, *_ = notes["initial window"].split()
    assert int(established) == 3 * 1448  # before that the kernel does not know the peer's MSS
    # Its own address is routed as before: nobody listens there.
    assert int(notes["own address"]) == errno.ECONNREFUSED


def test_trace_sources_are_found_by_path_and_show_the_kernels_state(notes: dict[str, str]):
    cwnd = [int(value) for value in notes["traced cwnd"].split()]
    assert cwnd[0] == 10 * 1448
    assert cwnd == sorted(cwnd)
    assert len(cwnd) > 5
    # Two delays of 500 us, and the frames.
    assert 1000 < int(notes["traced rtt"].split()[0]) < 2000
    assert notes["traced state"] == "ESTABLISHED FIN_WAIT_1 CLOSED"


def test_datagrams_keep_their_bounds_and_are_cut_to_what_is_asked_for(notes: dict[str, str]):
    # Size, and what six bytes hold of it.
    assert notes["datagram"] == "5:short 10:cut in 0:empty"
    assert notes["datagram from"] == "10.0.0.1 10.0.0.1 10.0.0.1"
    assert notes["datagram back"] == "back back back"


def test_a_datagram_socket_says_what_it_has_sent(notes: dict[str, str]):
    # Without a peer; connect; three datagrams; one that is too large; one to another node.
    assert notes["datagram sender"] == "-1/2/0 connected 0 5 10 0 -1/3/0 9"


def test_a_datagram_has_tags_that_tell_how_it_came(notes: dict[str, str]):
    # Address, device, TTL, type of service, TTL
    assert notes["datagram tags"] == " ".join(["10.0.0.2 0 9 40 9"] * 3)


def test_a_datagram_that_is_refused_fails_the_next_send(notes: dict[str, str]):
    assert notes["datagram refused"] == "1 -1/2/111 1"


def test_broadcast_must_be_allowed(notes: dict[str, str]):
    assert notes["broadcast"] == "0 -1/6/13 1 0 all connected"


def test_members_of_a_group_hear_it_until_they_leave(notes: dict[str, str]):
    assert notes["group"] == "0 members 0 -1/12/99"


@pytest.mark.parametrize("name", ["after its machine", "after Destroy"])
def test_a_socket_that_outlives_its_machine_only_fails(notes: dict[str, str], name: str):
    assert notes[name] == "-1 none"


def test_no_socket_is_forgotten_while_it_is_open(notes: dict[str, str]):
    assert notes["list"] == "1"
