# SPDX-License-Identifier: GPL-2.0-only
"""Disks in a simulation: a server sends a file from its disk, which has a latency and a rate."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu import image
from simulation_tools import run_script

MIB = 2**20
DATA = bytes(range(251)) * 2048

SCRIPT = """
nodes, devices = point_to_point("100Mbps", "2ms")
qemu = helper()
qemu.SetAttribute("DiskLatency", ns.TimeValue(ns.MilliSeconds(3)))
qemu.SetAttribute("DiskRate", ns.StringValue("200Mbps"))
for name, value in ATTRIBUTES.items():
    qemu.SetAttribute(name, value)
for i, address in enumerate((CLIENT, SERVER)):
    machine(qemu, nodes.Get(i), devices.Get(i), address)
ns.PointToPointHelper().EnablePcapAll("link")
server = ns3_qemu.Program(nodes.Get(1), "httpd -f -p 80 -h /srv", stop=0.7)
writer = ns3_qemu.Program(nodes.Get(1), ["sh", "-c", "echo end > /srv/log"], start=0.6)
fetch = f"wget -q -O - http://{SERVER}/file | md5sum"
client = ns3_qemu.Program(nodes.Get(0), ["sh", "-c", fetch], start=0.1)
ended = []
client.on_exit(lambda code, signal: ended.append(ns.Simulator.Now().GetNanoSeconds()))
ns.Simulator.Stop(ns.Seconds(0.9))
ns3_qemu.Run()
RESULT.update(output=client.output, ended=ended, errors=server.errors,
    log=str(nodes.Get(1).GetObject[ns.VirtualMachine]().ReadFile("/srv/log")))
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disk")
    tree = directory / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(DATA)
    disk = directory / "srv.ext4"
    disk.write_bytes(b"")
    os.truncate(disk, 16 * MIB)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, disk], check=True)
    wanted = image.Image()
    wanted.add("/usr/bin/busybox", to="/bin/busybox")
    for name in ("sh", "httpd", "wget", "md5sum"):
        wanted.link(f"/bin/{name}", "busybox")
    wanted.disk(disk, "/srv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return wanted.build()


def run(built: Path, directory: Path, attributes: str) -> tuple[dict[str, Any], list[bytes]]:
    directory.mkdir()
    done = run_script(f"ATTRIBUTES = {attributes}\n{SCRIPT}", built, directory)
    assert done.status == 0, done.errors
    return done.result, [path.read_bytes() for path in sorted(directory.glob("link*.pcap"))]


def test_a_served_file_is_the_same_run_after_run_and_what_is_written_is_kept(
    built: Path, tmp_path: Path
):
    kept, frames = run(built, tmp_path / "kept", '{"KeepDisks": ns.StringValue(".")}')
    assert kept["output"].split() == [hashlib.md5(DATA).hexdigest(), "-"]
    assert kept["log"] == "end\n"
    # From 0.1 s on; the network alone would need 43 ms for it, and the disk 21 ms.
    assert 100_000_000 + 64_000_000 < kept["ended"][0] < 600_000_000
    parallel, same = run(built, tmp_path / "parallel", '{"Parallel": ns.BooleanValue(True)}')
    assert (parallel, same) == (kept, frames)
    assert len(frames) == 2
    disks = {path.name for path in (tmp_path / "kept").glob("node*")}
    assert disks == {"node0-vda", "node1-vda"}
    reading = ["/sbin/debugfs", "-R", "cat /log", tmp_path / "kept" / "node1-vda"]
    assert subprocess.run(reading, check=True, capture_output=True).stdout == b"end\n"


def test_disks_of_machines_with_several_cpus_are_kept_the_same(built: Path, tmp_path: Path):
    attributes = (
        '{"KeepDisks": ns.StringValue("."), "Cpus": ns.UintegerValue(2),'
        ' "CpuRate": ns.StringValue("1e9")}'
    )
    first, again = (run(built, tmp_path / name, attributes) for name in ("first", "again"))
    assert first == again
    assert first[0]["log"] == "end\n"
    disks = [tmp_path / name / "node1-vda" for name in ("first", "again")]
    assert disks[0].read_bytes() == disks[1].read_bytes()
    subprocess.run(["/sbin/e2fsck", "-f", "-n", disks[0]], check=True, capture_output=True)


def test_a_machine_that_goes_ahead_cannot_keep_its_disks(built: Path, tmp_path: Path):
    both = '{"Parallel": ns.BooleanValue(True), "KeepDisks": ns.StringValue(".")}'
    done = run_script(f"ATTRIBUTES = {both}\n{SCRIPT}", built, tmp_path)
    assert done.status != 0
    assert "KeepDisks and Parallel exclude each other" in done.errors
