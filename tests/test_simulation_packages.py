# SPDX-License-Identifier: GPL-2.0-only
"""Debian's own programs as packages: they start, do their work between two guests, and end.

The packages are in the cache: `make test` has `ns3-qemu setup` fetch them.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import Image
from simulation_tools import run_script

PACKAGES = (
    *("openssh-server", "openssh-client", "wireguard-tools", "iproute2", "iputils-ping"),
    *("nginx", "curl"),
)

# Of both the server and its user, and for nothing else.
KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDIKnP9KWxFlIX3jooC7eJiQO1s7oIzF8TxEi4Pa/H6DgAAAIgL9lIPC/ZS
DwAAAAtzc2gtZWQyNTUxOQAAACDIKnP9KWxFlIX3jooC7eJiQO1s7oIzF8TxEi4Pa/H6Dg
AAAEBhB4SjjbqB6+eytpJZxTUZKwPBQOGiO3aHOQhcqkStQsgqc/0pbEWUhfeOigLt4mJA
7WzugjMXxPESLg9r8foOAAAABHRlc3QB
-----END OPENSSH PRIVATE KEY-----
"""
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMgqc/0pbEWUhfeOigLt4mJA7WzugjMXxPESLg9r8foO\n"

TUNNEL = """\
#!/bin/sh -e
ip link add wg0 type wireguard
wg set wg0 private-key /etc/wireguard/$1 listen-port 51820 \\
    peer "$(wg pubkey < /etc/wireguard/$2)" allowed-ips 172.16.0.0/24 endpoint 10.0.0.$2:51820
ip address add 172.16.0.$1/24 dev wg0
ip link set wg0 up
"""

# Beside the site that the package has.
HTTP2 = "server { listen 8080 http2; root /var/www/html; index index.nginx-debian.html; }\n"

SCRIPT = """
nodes, devices = point_to_point("100Mbps", "5ms")
qemu = helper()
for i in range(2):
    machine(qemu, nodes.Get(i), devices.Get(i), f"10.0.0.{i + 1}")
qemu.EnablePcap("wire.pcap", devices.Get(0), False, True)
programs = {}

def run(what, command, start, node=0, **options):
    programs[what] = ns3_qemu.Program(nodes.Get(node), command, start=start, **options)

run("sshd", ["/usr/sbin/sshd", "-D", "-e"], 1, 1, stop=4)
run("nginx", ["nginx", "-g", "daemon off;"], 1, 1, stop=4)
run("tunnel 1", "/usr/bin/tunnel 1 2", 1, 0)
run("tunnel 2", "/usr/bin/tunnel 2 1", 1, 1)
write_out = "%{http_version} %{http_code} %{size_download}"
run("curl", ["curl", "-sS", "-w", write_out, "-o", "/dev/null", "http://10.0.0.2/"], 1.5)
run("curl2", ["curl", "-sS", "--http2-prior-knowledge", "-w", write_out, "-o", "/dev/null",
    "http://10.0.0.2:8080/"], 2)
run("ssh", ["ssh", "10.0.0.2", "echo $USER $SSH_CONNECTION; echo wrong >&2; exit 7"], 2.5)
run("ping", "ping -c 3 -i 0.2 172.16.0.2", 3)
ns.Simulator.Stop(ns.Seconds(4.5))
ns3_qemu.Run()
for what, program in programs.items():
    RESULT[what] = {"code": program.exit_code, "output": program.output, "errors": program.errors}
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="module")
def result(directory: Path) -> dict[str, Any]:
    wanted = Image()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        for package in PACKAGES:
            wanted.add_package(package)
        wanted.write("/etc/ssh/ssh_host_ed25519_key", KEY, 0o600)
        wanted.write("/root/.ssh/id_ed25519", KEY, 0o600)
        wanted.write("/root/.ssh/authorized_keys", PUBLIC, 0o600)
        wanted.write("/root/.ssh/known_hosts", f"10.0.0.2 {PUBLIC}")
        wanted.write("/etc/nginx/conf.d/http2.conf", HTTP2)
        wanted.write("/usr/bin/tunnel", TUNNEL, 0o755)
        for i in (1, 2):
            private = base64.b64encode(hashlib.sha256(bytes([i])).digest()).decode()
            wanted.write(f"/etc/wireguard/{i}", f"{private}\n", 0o600)
        built = wanted.build()
    done = run_script(SCRIPT, built, directory)
    assert done.status == 0, done.errors
    return done.result


def test_ssh_runs_a_command_and_has_its_output_and_exit_status(result: dict[str, Any]):
    user, client, _, server, port = result["ssh"]["output"].split()
    assert (user, client, server, port) == ("root", "10.0.0.1", "10.0.0.2", "22")
    assert result["ssh"]["errors"].splitlines() == ["wrong"]
    assert result["ssh"]["code"] == 7


def test_nginx_has_the_site_that_its_installation_makes(result: dict[str, Any]):
    assert result["curl"] == {"code": 0, "output": "1.1 200 615", "errors": ""}


def test_so_it_has_over_http_2(result: dict[str, Any]):
    assert result["curl2"] == {"code": 0, "output": "2 200 615", "errors": ""}


def test_a_ping_goes_through_a_wireguard_tunnel(result: dict[str, Any], directory: Path):
    assert [result[f"tunnel {i}"]["code"] for i in (1, 2)] == [0, 0]
    assert "3 packets transmitted, 3 received, 0% packet loss" in result["ping"]["output"]
    # What is on the wire says nothing of what is in it.
    captured = (directory / "wire.pcap").read_bytes()
    assert bytes([10, 0, 0, 2]) in captured
    assert bytes([172, 16, 0, 2]) not in captured


def test_servers_end_when_they_are_asked_to(result: dict[str, Any]):
    assert (result["sshd"]["code"], result["nginx"]["code"]) == (0, 0)
