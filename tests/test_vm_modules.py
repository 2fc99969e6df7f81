# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules come when they are needed: by programs, by the kernel, by the simulation."""

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu import image
from ns3_qemu._vm import GuestError, Vm, read_image
from vm_tools import GUEST_MAC, SECOND

SOL_TCP, TCP_CONGESTION = 6, 13
AF_VSOCK, AF_UNKNOWN = 40, 45
IPPROTO_SCTP = 132

NFT = """
nft add table ip x
nft 'add chain ip x y { type filter hook input priority 0; }'
nft add rule ip x y ct state new accept
"""

PROGRAMS = ("/bin/sh", "/usr/sbin/ip", "/usr/sbin/tc", "/usr/sbin/iptables", "/usr/sbin/nft")


def build(wanted: image.Image) -> Path:
    for program in (*PROGRAMS, "/bin/busybox"):
        wanted.add(program)
    wanted.add("/usr/lib/x86_64-linux-gnu/xtables")
    wanted.write("/etc/modprobe.d/local.conf", "options ifb numifbs=3\nblacklist tcp_scalable\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return wanted.build()


@pytest.fixture(scope="module")
def vm(boot: Callable[..., Vm]) -> Vm:
    options = {"extra_modules": ["bonding max_bonds=2"], "cmdline_extra": ["dummy.numdummies=2"]}
    directory = build(image.Image(**options))
    return boot(
        read_image(str(directory)), snapshots=str(directory / "snapshots"), nics=[GUEST_MAC]
    )


def run(vm: Vm, command: str) -> tuple[int, str]:
    """Run a command of the shell's; return exit code and output."""
    process = vm.relay.start_process(
        ["/bin/sh", "-c", command],
        environment=["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        merge_errors=True,
    )
    output = b""
    for _ in range(50):
        vm.run_until(vm.time + SECOND // 10)
        output += b"".join(data for who, _, data in vm.take_output() if who == process)
        for who, code, _ in vm.take_exits():
            if who == process:
                return code, output.decode()
    pytest.fail(f"{command} has not ended")


def loaded(vm: Vm) -> set[str]:
    return {line.split()[0] for line in vm.relay.read_file("/proc/modules").decode().splitlines()}


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("ip link add vx0 type vxlan id 4 dstport 4789 local 10.0.0.1", "vxlan"),
        ("ip link add br0 type bridge", "bridge"),
        ("ip link add v0 type veth", "veth"),
        ("ip link add t0 type ipip local 10.0.0.1 remote 10.0.0.2", "ipip"),
        ("ip link add wg0 type wireguard", "wireguard"),
        ("iptables -A INPUT -p tcp --dport 80 -j DROP", "xt_tcpudp"),
        ("iptables -t nat -A POSTROUTING -j MASQUERADE", "nft_chain_nat"),
        (NFT, "nft_ct"),
        ("tc qdisc add dev eth0 root cake bandwidth 10mbit", "sch_cake"),
        ("modprobe dummy && ip link show dummy1", "dummy"),
        ("/sbin/modprobe -q -- net-pf-16-proto-4-type-17", "af_packet_diag"),
    ],
)
def test_a_program_gets_the_modules_that_it_needs(vm: Vm, command: str, module: str):
    assert module not in loaded(vm)
    code, output = run(vm, command)
    assert (code, output if code else "") == (0, "")
    assert module in loaded(vm)


def test_parameters_come_from_commands_files_the_image_and_the_command_line(vm: Vm):
    assert run(vm, "modprobe ifb && cd /sys/class/net && echo ifb?") == (0, "ifb0 ifb1 ifb2\n")
    assert run(vm, "modprobe nf_conntrack_ftp ports=2121") == (0, "")
    ports = vm.relay.read_file("/sys/module/nf_conntrack_ftp/parameters/ports")
    assert ports.startswith(b"2121")
    assert run(vm, "cd /sys/class/net && echo bond?") == (0, "bond0 bond1\n")


def test_a_module_makes_no_interface_that_nobody_asked_for(boot: Callable[..., Vm]):
    directory = build(image.Image())
    vm = boot(read_image(str(directory)), snapshots=str(directory / "snapshots"))
    assert run(vm, "ip link add dummy0 type dummy && ip link add bond0 type bond") == (0, "")


def test_the_simulation_gets_them_in_the_same_turn(vm: Vm):
    before = vm.time
    connection = vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    vm.relay.setsockopt(connection, SOL_TCP, TCP_CONGESTION, b"bbr")
    vm.relay.set_sysctl("net.ipv4.tcp_congestion_control", "dctcp")
    vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_SCTP)
    vm.relay.socket(AF_VSOCK, socket.SOCK_STREAM)
    assert vm.time == before
    assert loaded(vm) >= {"tcp_bbr", "tcp_dctcp", "sctp", "vsock"}


def test_what_there_is_not_fails_as_on_any_host_and_is_named_once(vm: Vm):
    connection = vm.relay.socket(socket.AF_INET, socket.SOCK_STREAM)
    for _ in range(2):
        with pytest.raises(GuestError) as refused:
            vm.relay.setsockopt(connection, SOL_TCP, TCP_CONGESTION, b"nonsense")
        assert refused.value.errno == errno.ENOENT
    log = run(vm, "busybox dmesg")[1]
    assert log.count("ns3-qemu: no module for 'tcp_nonsense'") == 1
    code, output = run(vm, "modprobe nonsense")
    assert code == 1
    assert output == (
        f"modprobe: FATAL: Module nonsense not found in directory /lib/modules/{vm.relay.release}\n"
    )
    assert run(vm, "modprobe ../../../etc/passwd")[0] == 1
    assert run(vm, f"modprobe {'x' * 5000}")[0] == 1


def test_a_module_that_is_there_can_be_taken_away(vm: Vm):
    assert run(vm, "modprobe sit && modprobe sit && modprobe -r sit") == (0, "")
    assert "sit" not in loaded(vm)
    assert "tunnel4" not in loaded(vm) or "ipip" in loaded(vm)


def test_what_modprobe_would_do(vm: Vm):
    assert run(vm, "modprobe -R rtnl-link-gre") == (0, "ip_gre\n")
    code, output = run(vm, "modprobe -D gre && modprobe -n geneve")
    assert code == 0
    assert output.splitlines()[-1].startswith("insmod gre")
    assert "geneve" not in loaded(vm)


def test_a_blacklisted_module_is_not_loaded_by_an_alias(vm: Vm):
    assert run(vm, "modprobe -b tcp_scalable")[0] == 0
    assert "tcp_scalable" not in loaded(vm)
    assert run(vm, "modprobe tcp-scalable")[0] == 0
    assert "tcp_scalable" in loaded(vm)
