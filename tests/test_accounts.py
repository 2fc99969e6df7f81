# SPDX-License-Identifier: GPL-2.0-only
"""The users of a guest: Debian's static ones, and those that programs change to."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from ns3_qemu import cpio
from ns3_qemu.accounts import Host, Wanted
from ns3_qemu.elf import Loader
from ns3_qemu.overlay import Overlay
from test_cpio import Member, read

PASSWD = """\
root:$6$secret:0:0:root:/root:/bin/bash
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
tcpdump:x:107:115::/nonexistent:/usr/sbin/nologin
_chrony:$6$secret:103:110:Chrony daemon,,,:/var/lib/chrony:/usr/sbin/nologin
redis:x:120:125::/var/lib/redis:/usr/sbin/nologin
ann:$6$secret:1000:1000:Ann:/home/ann:/bin/bash
+::::::
"""
GROUP = """\
root:x:0:
ssl-cert:x:111:redis,ann
tcpdump:x:115:
_chrony:x:110:
redis:x:125:
ann:x:1000:
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A machine with some users."""
    etc = tmp_path / "host/etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text(PASSWD)
    (etc / "group").write_text(GROUP)
    return tmp_path / "host"


def guest(host: Path, *texts: str) -> dict[str, Member]:
    """Return a guest's files; each text is a file's."""
    overlay = Overlay(Loader(host))
    for number, text in enumerate(texts):
        overlay.write(f"/srv/{number}", text)
    return read(cpio.archive(overlay.entries([])))


def names(found: dict[str, Member], file: str) -> dict[str, list[str]]:
    lines = found[f"etc/{file}"].data.decode().splitlines()
    return {line.split(":")[0]: line.split(":")[1:] for line in lines}


def test_the_user_that_a_program_names_is_in_the_guest(host: Path):
    found = guest(host, "\0tcpdump\0")
    assert names(found, "passwd")["tcpdump"] == [
        *("x", "101", "101", "", "/nonexistent", "/usr/sbin/nologin")
    ]
    assert names(found, "group")["tcpdump"] == ["x", "101", ""]


def test_the_user_of_a_programs_own_name_is_in_the_guest(host: Path):
    overlay = Overlay(Loader(host))
    overlay.write("/usr/bin/tcpdump", "a program")
    assert "tcpdump" in names(read(cpio.archive(overlay.entries([]))), "passwd")


@pytest.mark.parametrize(
    "text", ["nothing", "tcpdumper", "libtcpdump", "x_chrony", "root ann 1000"]
)
def test_nobody_else_is(host: Path, text: str):
    without = guest(host, "")
    assert names(guest(host, text), "passwd") == names(without, "passwd")
    assert not {"ann", "redis", "tcpdump", "_chrony"} & set(names(without, "passwd"))


def test_debians_static_users_are_in_each_guest(host: Path):
    users = names(guest(host, ""), "passwd")
    assert users["www-data"][1:3] == ["33", "33"]
    assert users["nobody"][1] == "65534"
    groups = names(guest(host, ""), "group")
    assert (groups["nogroup"][1], groups["adm"][1], groups["tty"][1]) == ("65534", "4", "5")


def test_no_password_and_no_person_leaves_this_machine(host: Path):
    found = guest(host, "redis _chrony tcpdump ann")
    assert not any(b"secret" in member.data for member in found.values())
    assert "ann" not in names(found, "passwd")
    assert {password for password, *_ in names(found, "passwd").values()} == {"x"}
    assert {password for password, *_ in names(found, "shadow").values()} == {"*"}
    assert set(names(found, "shadow")) == set(names(found, "passwd"))
    assert (found["etc/shadow"].mode & 0o777, found["etc/shadow"].owner) == (0o640, (0, 42))
    assert names(found, "group")["ssl-cert"] == ["x", "103", "redis"]
    assert names(found, "passwd")["_chrony"][3] == "Chrony daemon,,,"


def test_the_same_programs_have_the_same_users_whatever_their_numbers_are_here(
    host: Path, tmp_path: Path
):
    other = tmp_path / "other"
    shutil.copytree(host, other)
    for file in ("passwd", "group"):
        text = (other / "etc" / file).read_text()
        for old, new in (("107", "998"), ("115", "997"), ("103", "107"), ("110", "999")):
            text = text.replace(f":{old}:", f":{new}:")
        (other / "etc" / file).write_text(text)
    text = "tcpdump redis _chrony"
    assert "tcpdump" in names(guest(other, text), "passwd")
    assert guest(other, text) == guest(host, text)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory to others")
def test_a_users_directories_are_in_the_guest(host: Path):
    for name, owner in (("redis", (120, 125)), ("chrony", (103, 110)), ("other", (0, 0))):
        (host / "var/lib" / name).mkdir(parents=True, mode=0o750)
        os.chown(host / "var/lib" / name, *owner)
    (host / "var/lib/redis/dump.rdb").write_text("data")
    found = guest(host, "redis")
    redis = int(names(found, "passwd")["redis"][1])
    there = found["var/lib/redis"]
    assert (there.mode, there.owner) == (stat.S_IFDIR | 0o750, (redis, redis))
    assert not [path for path in found if path.startswith("var/lib/") and "redis" not in path]
    assert "var/lib/redis/dump.rdb" not in found


def test_users_of_the_users_own_stay_as_they_are(host: Path):
    overlay = Overlay(Loader(host))
    overlay.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
    overlay.write("/srv/x", "redis")
    found = read(cpio.archive(overlay.entries([])))
    assert found["etc/passwd"].data == b"root:x:0:0::/:/bin/sh\n"
    assert "root" in names(found, "group")


def test_a_machine_without_users_is_no_trouble(tmp_path: Path):
    assert Host(tmp_path).needed([("redis", b"redis")]) == Wanted()
