# SPDX-License-Identifier: GPL-2.0-only
"""A guest's interfaces, routes and qdiscs, as the package's functions tell and set them."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from ns3_qemu import guest, image
from ns3_qemu._vm import GuestError, Vm, read_image
from ns3_qemu.guest import Address, Neighbour, Route
from vm_tools import GUEST_MAC, MILLISECOND


@pytest.fixture(scope="module")
def vm(boot: Callable[..., Vm]) -> Iterator[Vm]:
    """A machine with an interface, and with two qdiscs that are modules of its kernel."""
    directory = image.Image().build()
    machine = boot(read_image(str(directory)), nics=[GUEST_MAC])
    machine.relay.set_link(0, up=True, mtu=1300)
    machine.relay.add_address(0, "10.0.0.1/24")
    yield machine
    machine.end()


@pytest.fixture
def ipv6(vm: Vm) -> Iterator[Vm]:
    """The machine with an address of IPv6, too. Afterwards it has the kernel's own routes again."""
    vm.relay.add_address(0, "fd00::1/64")
    yield vm
    for address in ("fd00::1/64", "10.0.0.1/24"):
        vm.relay.delete_address(0, address)
    vm.relay.add_address(0, "10.0.0.1/24")


@pytest.fixture
def name(vm: Vm) -> str:
    return vm.relay.link(0)[0]


def test_interface_with_its_addresses(vm: Vm, name: str):
    found = {interface.name: interface for interface in guest.interfaces(vm)}
    assert (found[name].mtu, found[name].address, found[name].up) == (1300, GUEST_MAC, True)
    assert Address(name, "10.0.0.1/24", "global") in guest.addresses(vm)
    vm.relay.add_address(0, "fd00::1/64")
    assert Address(name, "fd00::1/64", "global") in guest.addresses(vm)
    vm.relay.delete_address(0, "fd00::1/64")
    assert Address(name, "fd00::1/64", "global") not in guest.addresses(vm)


def test_route_with_its_attributes(vm: Vm, name: str):
    vm.relay.add_route(
        "10.9.0.0/16",
        nic=0,
        gateway="10.0.0.2",
        initial_window=4,
        initial_receive_window=20,
        mtu=1200,
        quick_ack=True,
        advertised_mss=1000,
        window=40_000,
        hop_limit=9,
        minimum_rto=300,
        congestion_control="reno",
    )
    attributes = {
        "initcwnd": 4,
        "initrwnd": 20,
        "mtu": 1200,
        "quickack": 1,
        "advmss": 1000,
        "window": 40_000,
        "hoplimit": 9,
        "lock": 1 << 13,  # of rto_min (RTAX_RTO_MIN), without which it has no effect
        "rto_min": 300,
        "cc_algo": "reno",
    }
    assert Route("10.9.0.0/16", "10.0.0.2", name, 0, "static", attributes) in guest.routes(vm)
    vm.relay.delete_route("10.9.0.0/16", nic=0, gateway="10.0.0.2")
    assert all(route.destination != "10.9.0.0/16" for route in guest.routes(vm))


def attributes_of(vm: Vm, destination: str) -> dict[str, int | str] | None:
    """Return those of the guest's first route to there; None: it has none."""
    return next(
        (dict(r.attributes) for r in guest.routes(vm) if r.destination == destination), None
    )


@pytest.mark.parametrize(
    ("destination", "gateway"),
    [
        pytest.param("10.9.0.0/16", "10.0.0.2", id="IPv4"),
        pytest.param("0.0.0.0/0", "10.0.0.2", id="IPv4-default"),
        pytest.param("10.8.0.0/16", None, id="IPv4-link"),
        pytest.param("fd09::/16", "fd00::2", id="IPv6"),
        pytest.param("::/0", "fd00::2", id="IPv6-default"),
        pytest.param("fd08::/16", None, id="IPv6-link"),
    ],
)
def test_route_comes_and_goes(ipv6: Vm, destination: str, gateway: str | None):
    ipv6.relay.add_route(destination, nic=0, gateway=gateway, initial_window=3)
    assert attributes_of(ipv6, destination) == {"initcwnd": 3}
    with pytest.raises(GuestError, match=f"adding the route {destination}") as raised:
        ipv6.relay.add_route(destination, nic=0, gateway=gateway)
    assert raised.value.errno == errno.EEXIST
    ipv6.relay.delete_route(destination, nic=0, gateway=gateway)
    assert attributes_of(ipv6, destination) is None
    with pytest.raises(GuestError, match=f"deleting the route {destination}") as raised:
        ipv6.relay.delete_route(destination, nic=0, gateway=gateway)
    assert raised.value.errno == errno.ESRCH


@pytest.mark.parametrize("network", ["10.0.0.0/24", "fd00::/64"])
def test_route_to_the_own_network_comes_before_the_kernels(ipv6: Vm, network: str):
    ipv6.relay.add_route(network, nic=0, initial_window=2)
    routes = [route for route in guest.routes(ipv6) if route.destination == network]
    first = min(routes, key=lambda route: route.metric)
    assert (first.protocol, first.attributes) == ("static", {"initcwnd": 2})
    ipv6.relay.delete_route(network, nic=0)
    left = [route.protocol for route in guest.routes(ipv6) if route.destination == network]
    assert left == (["kernel"] if ":" in network else [])


def test_the_kernels_own_route_is_deleted(vm: Vm):
    vm.relay.add_address(0, "10.7.0.1/16")
    assert attributes_of(vm, "10.7.0.0/16") == {}
    vm.relay.delete_route("10.7.0.0/16", nic=0)
    assert attributes_of(vm, "10.7.0.0/16") is None
    vm.relay.delete_address(0, "10.7.0.1/16")


def test_destination_is_masked(vm: Vm):
    vm.relay.add_route("10.6.5.4/16", nic=0)
    assert attributes_of(vm, "10.6.0.0/16") == {}
    vm.relay.delete_route("10.6.7.8/16", nic=0)
    assert attributes_of(vm, "10.6.0.0/16") is None


def test_gateway_and_destination_have_one_family(vm: Vm):
    turns = vm.turns
    for destination, gateway in (("10.9.0.0/16", "fd00::2"), ("::/0", "10.0.0.2")):
        for call in (vm.relay.add_route, vm.relay.delete_route):
            with pytest.raises(ValueError, match="must both be IPv4 or IPv6"):
                call(destination, nic=0, gateway=gateway)
    assert vm.turns == turns


def netlink(vm: Vm, kind: int, flags: int, body: bytes, protocol: int = 0) -> bytes:
    message = struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
    return vm.relay.netlink(protocol, message)


def test_netlink_errors_are_the_guests(vm: Vm):
    get_link, nobody = 18, struct.pack("=BxHiII", 0, 0, 9999, 0, 0)
    for kind, protocol, number in (
        (get_link, 0, errno.ENODEV),
        (9999, 0, errno.EOPNOTSUPP),
        (get_link, 31, errno.EPROTONOSUPPORT),
    ):
        with pytest.raises(GuestError, match="a netlink request") as raised:
            netlink(vm, kind, 0, nobody, protocol)
        assert raised.value.errno == number
    with pytest.raises(ValueError, match="one message with its header"):
        vm.relay.netlink(0, bytes(15))


def test_answer_that_comes_in_parts(vm: Vm):
    for number in range(1000):
        vm.relay.add_route(f"10.{20 + number // 250}.{number % 250}.0/24", nic=0)
    static = {route.destination for route in guest.routes(vm) if route.protocol == "static"}
    assert len(static) == 1000  # some 60 bytes each, and a part has 32 KiB
    for up in (False, True):
        vm.relay.set_link(0, up=up)  # they go with it


def test_neighbour_that_is_known_is_not_asked_for(vm: Vm, name: str):
    guest.add_neighbour(vm, name, "10.0.0.9", "02:00:00:00:00:09")
    assert Neighbour(name, "10.0.0.9", "02:00:00:00:00:09", "permanent") in guest.neighbours(vm)
    handle = vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM)
    vm.run(vm.time)
    vm.take_frames()
    vm.relay.send(handle, b"datagram", to=("10.0.0.9", 9))
    vm.run_until(vm.time + MILLISECOND)
    ((_, frame),) = vm.take_frames()
    assert frame[:6] == bytes.fromhex("020000000009")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("pfifo", {"limit": 77}),
        ("fq", {"plimit": 500, "flow_plimit": 50, "flow_max_rate": 1_000_000}),
        ("fq_codel", {"limit": 100, "flows": 8, "ecn": 0, "quantum": 300}),
    ],
)
def test_qdisc_is_set(vm: Vm, name: str, kind: str, options: dict[str, int]):
    guest.set_qdisc(vm, name, kind, **options)
    qdisc = next(qdisc for qdisc in guest.qdiscs(vm) if qdisc.interface == name)
    assert (qdisc.kind, qdisc.parent) == (kind, None)
    assert options.items() <= dict(qdisc.options).items()
    guest.delete_qdisc(vm, name)


def test_qdisc_paces_at_the_rate_that_it_was_given(vm: Vm, name: str):
    guest.add_neighbour(vm, name, "10.0.0.9", "02:00:00:00:00:09")
    guest.set_qdisc(vm, name, "fq", flow_max_rate=100_000, initial_quantum=1100, quantum=1100)
    handle = vm.relay.socket(socket.AF_INET, socket.SOCK_DGRAM)
    vm.run(vm.time)
    vm.take_frames()
    for _ in range(5):
        vm.relay.send(handle, bytes(958), to=("10.0.0.9", 9))  # a frame of 1000 bytes
    sent = []
    end = vm.time + 100 * MILLISECOND
    while vm.deadline <= end:
        vm.run(vm.deadline)
        sent += [vm.time for _, frame in vm.take_frames() if frame[12:14] == b"\x08\x00"]
    guest.delete_qdisc(vm, name)
    # 10 ms each, but for what may be sent at once.
    assert len(sent) == 5
    assert 20 * MILLISECOND <= sent[-1] - sent[0] <= 50 * MILLISECOND


def test_qdisc_that_the_kernel_does_not_have(vm: Vm, name: str):
    with pytest.raises(OSError, match="No such file") as raised:
        guest.set_qdisc(vm, name, "no_such")
    assert raised.value.errno == errno.ENOENT
    assert "no qdisc no_such" in raised.value.__notes__[0]
