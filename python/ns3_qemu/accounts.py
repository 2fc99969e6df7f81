# SPDX-License-Identifier: GPL-2.0-only
"""Who there is in a guest: its /etc/passwd, /etc/shadow and /etc/group.

Debian's static users are in each. Programs that change to a system user of their own find it as on
the machine that they are taken from; people and passwords stay there. Numbers are given anew, in
order of names: on another machine the same programs make the same image.
"""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Those that have the same number on all machines with Debian, with home and shell where a program
# looks for them.
_STATIC_USERS = {
    "root": "0:0:root:/root:/bin/sh",
    "daemon": "1:1:daemon:/usr/sbin:/usr/sbin/nologin",
    "bin": "2:2:bin:/bin:/usr/sbin/nologin",
    "sys": "3:3:sys:/dev:/usr/sbin/nologin",
    "sync": "4:65534:sync:/bin:/bin/sync",
    "games": "5:60:games:/usr/games:/usr/sbin/nologin",
    "man": "6:12:man:/var/cache/man:/usr/sbin/nologin",
    "lp": "7:7:lp:/var/spool/lpd:/usr/sbin/nologin",
    "mail": "8:8:mail:/var/mail:/usr/sbin/nologin",
    "news": "9:9:news:/var/spool/news:/usr/sbin/nologin",
    "uucp": "10:10:uucp:/var/spool/uucp:/usr/sbin/nologin",
    "proxy": "13:13:proxy:/bin:/usr/sbin/nologin",
    "www-data": "33:33:www-data:/var/www:/usr/sbin/nologin",
    "backup": "34:34:backup:/var/backups:/usr/sbin/nologin",
    "list": "38:38:list:/var/list:/usr/sbin/nologin",
    "irc": "39:39:irc:/run/ircd:/usr/sbin/nologin",
    "nobody": "65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
}
_STATIC_GROUPS = {
    name: int(number)
    for name, number in re.findall(
        r"(\S+):(\d+)",
        """
    root:0 daemon:1 bin:2 sys:3 adm:4 tty:5 disk:6 lp:7 mail:8 news:9 uucp:10 man:12
    proxy:13 kmem:15 dialout:20 fax:21 voice:22 cdrom:24 floppy:25 tape:26 sudo:27
    audio:29 dip:30 www-data:33 backup:34 operator:37 list:38 irc:39 src:40 shadow:42
    utmp:43 video:44 sasl:45 plugdev:46 staff:50 games:60 users:100 nogroup:65534
    """,
    )
}

# Debian's system users end below, and what it gives numbers to begins above.
_FIRST_PERSON = 1000
_FIRST = 101

# Where a system user has directories.
_PLACES = ("etc", "var/cache", "var/lib", "var/log", "var/spool")


@dataclass(frozen=True)
class User:
    """A system user."""

    name: str
    group: str = ""  # its first; empty: of its own name
    home: str = "/nonexistent"
    comment: str = ""
    shell: str = "/usr/sbin/nologin"


@dataclass(frozen=True)
class Directory:
    """A directory that is to be there; without a user it is root's."""

    path: str
    mode: int = 0o755
    user: str = ""
    group: str = ""


@dataclass
class Wanted:
    """System users that a guest is to have besides the static ones, with what is theirs."""

    users: dict[str, User] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    members: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of a group and a user in it."""
    directories: dict[str, Directory] = field(default_factory=dict)

    def update(self, other: "Wanted") -> None:
        """Add what others want; what they say of a user counts more."""
        self.users |= other.users
        self.groups |= other.groups
        self.members |= other.members
        self.directories |= other.directories


class Accounts:
    """Users and groups of a guest."""

    def __init__(self, wanted: Wanted) -> None:
        """Give numbers to those who have none."""
        self._users = {
            name: user for name, user in wanted.users.items() if name not in _STATIC_USERS
        }
        names = {*wanted.groups, *(user.group or user.name for user in self._users.values())}
        own = sorted(names - set(_STATIC_GROUPS))
        numbers = {name: _FIRST + i for i, name in enumerate(sorted({*self._users, *own}))}
        self._uids = {name: int(text.partition(":")[0]) for name, text in _STATIC_USERS.items()}
        self._uids |= {name: numbers[name] for name in sorted(self._users)}
        self._gids = _STATIC_GROUPS | {name: numbers[name] for name in own}
        self._members = sorted(
            (group, user)
            for group, user in wanted.members
            if group in self._gids and user in self._uids
        )

    def owner(self, user: str, group: str) -> tuple[int, int]:
        """Return the numbers of a user and a group; root's for those that are not there."""
        return self._uids.get(user, 0), self._gids.get(group, 0)

    def owner_of(self, path: str) -> tuple[str, str] | None:
        """Return who has a file of a package's, of which only root is said to have it.

        What has the name of a system user is that user's; in /etc, to be read.
        """
        for top in _PLACES:
            name, _, _ = path.removeprefix(f"/{top}/").partition("/")
            if path.startswith(f"/{top}/"):
                for user in self._users.values():
                    if name == user.name.removeprefix("_"):
                        return "root" if top == "etc" else user.name, user.group or user.name
        return None

    def passwd(self) -> str:
        """Return /etc/passwd."""
        lines = [f"{name}:x:{rest}\n" for name, rest in _STATIC_USERS.items()]
        for name, user in sorted(self._users.items()):
            ids = f"{self._uids[name]}:{self._gids[user.group or name]}"
            lines.append(f"{name}:x:{ids}:{user.comment}:{user.home}:{user.shell}\n")
        return "".join(lines)

    def shadow(self) -> str:
        """Return /etc/shadow: nobody has a password, and no account has expired."""
        return "".join(f"{name}:*:::::::\n" for name in self._uids)

    def group(self) -> str:
        """Return /etc/group."""
        lines = []
        for name, number in self._gids.items():
            members = ",".join(user for group, user in self._members if group == name)
            lines.append(f"{name}:x:{number}:{members}\n")
        return "".join(lines)


class Host:
    """The system users and groups of this machine."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._groups: dict[int, str] = {}
        self._members: list[tuple[str, str]] = []
        for name, number, members in _lines(root / "etc/group", 3):
            self._groups[int(number)] = name
            self._members += [(name, user) for user in members.split(",") if user]
        self._users: dict[int, User] = {}
        for name, number, group, comment, home, shell in _lines(root / "etc/passwd", 6):
            if 0 < int(number) < _FIRST_PERSON and name not in _STATIC_USERS:
                first = self._groups.get(int(group), "nogroup")
                self._users[int(number)] = User(name, first, home, comment, shell)

    def needed(self, files: Collection[tuple[str, bytes]]) -> Wanted:
        """Return the users for a guest with these files (name, content).

        Who is named in a program or in what configures it is one that it may change to.
        """
        users = {
            number: user for number, user in self._users.items() if _is_named(user.name, files)
        }
        names = {user.name for user in users.values()}
        groups = {
            name
            for number, name in self._groups.items()
            if 0 < number < _FIRST_PERSON
            and name not in _STATIC_GROUPS
            and (
                any(user.group == name for user in users.values())
                or any(group == name and user in names for group, user in self._members)
            )
        }
        return Wanted(
            {user.name: user for user in users.values()},
            groups,
            {(group, user) for group, user in self._members if user in names},
            {there.path: there for there in self._directories(users)},
        )

    def _directories(self, users: dict[int, User]) -> Iterator[Directory]:
        homes = [user.home.strip("/") for user in users.values()]
        found = []
        for top in _PLACES:
            with contextlib.suppress(OSError):
                found += [f"{top}/{path.name}" for path in (self._root / top).iterdir()]
        for path in sorted({*found, *homes} - {""}):
            try:
                status = os.lstat(self._root / path)
            except OSError:
                continue
            user = users.get(status.st_uid)
            if user and stat.S_ISDIR(status.st_mode):
                mode = stat.S_IMODE(status.st_mode)
                group = self._groups.get(status.st_gid, user.group)
                yield Directory(f"/{path}", mode, user.name, group)


def _lines(file: Path, fields: int) -> Iterator[list[str]]:
    """Yield what each line of a passwd or group file says besides the password."""
    text = ""
    with contextlib.suppress(OSError):
        text = file.read_text(errors="replace")
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = [name, *rest.split(":")[1:]]
        if len(words) == fields and words[1].isdigit():  # others are for NIS
            yield words


def _is_named(name: str, files: Collection[tuple[str, bytes]]) -> bool:
    """Say whether a user's name is a word in a file, or a file's own name."""
    text = name.encode()
    word = re.compile(rb"(?<![\w.-])" + re.escape(text) + rb"(?![\w-])")
    return any(name == file or (text in data and word.search(data)) for file, data in files)
