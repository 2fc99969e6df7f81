# SPDX-License-Identifier: GPL-2.0-only
"""What a Debian package does to a machine besides unpacking its files.

Nothing is executed. Users and directories are read from sysusers.d, tmpfiles.d and units; and of
the script that dpkg would run after unpacking, the customary commands are read: those that add
users and groups, that make directories, links and empty files, that choose alternatives, that put a
configuration into its place, that say whose a file is. Commands with words that only running the
script would tell are left out. What a script edits (sed, db_get) is as the package has it.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from .accounts import Directory, User, Wanted
from .maintainer_script import TEMPORARY, UNKNOWN, commands

# Options of commands that have a value of their own as the next word.
_ADDUSER_VALUES = (
    *("--home", "--shell", "--gecos", "--comment", "--ingroup", "--uid", "--gid", "--conf"),
    *("--firstuid", "--lastuid", "--firstgid", "--lastgid", "--add_extra_groups"),
)
_USERADD_VALUES = (
    *("-b", "-c", "-d", "-e", "-f", "-g", "-G", "-k", "-K", "-p", "-r_", "-s", "-u", "-R"),
    *("--comment", "--home", "--home-dir", "--gid", "--groups", "--shell", "--uid", "--key"),
)
_INSTALL_VALUES = ("-m", "--mode", "-o", "--owner", "-g", "--group", "-t", "-S")

# Where packages have what they copy to its place: other copies are for the sake of what was there.
_SOURCES = ("/usr/share/", "/usr/lib/", "/lib/", TEMPORARY)


@dataclass(frozen=True)
class Mark:
    """Whose a file is, and who may use it; "" is what it is anyhow."""

    path: str
    user: str = ""
    group: str = ""
    mode: str = ""  # as for chmod(1)
    below: bool = False  # and all that is below


@dataclass
class Deeds:
    """What is to be done to a guest for a package."""

    wanted: Wanted = field(default_factory=Wanted)
    links: dict[str, str] = field(default_factory=dict)
    """Alternatives: target by path."""
    copies: dict[str, str] = field(default_factory=dict)
    """Configuration files: where they come from, by where they go."""
    empty: list[str] = field(default_factory=list)
    """Files without content."""
    marks: list[Mark] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)
    """What a script runs: names, or paths."""
    _priorities: dict[str, int] = field(default_factory=dict)

    def read_script(self, text: str) -> None:
        """Read a script that runs before or after a package is unpacked."""
        known: dict[str, Callable[[list[str]], None]] = {
            "adduser": self._adduser,
            "useradd": self._useradd,
            "addgroup": self._addgroup,
            "groupadd": self._addgroup,
            "usermod": self._usermod,
            "mkdir": self._mkdir,
            "install": self._install,
            "cp": self._cp,
            "ln": self._ln,
            "touch": self._touch,
            "chown": self._chown,
            "chgrp": self._chgrp,
            "chmod": self._chmod,
            "dpkg-statoverride": self._statoverride,
            "ucf": self._ucf,
        }
        harmless = ("adduser", "useradd", "addgroup", "groupadd", "usermod", "mkdir")
        for command in commands(text):
            program, *words = command.words
            name = program.rpartition("/")[2]
            if name == "update-alternatives":
                self._alternatives(words)
            elif act := known.get(name):
                is_known = not any(UNKNOWN in word for word in words)
                if is_known and (command.certain or name in harmless):
                    act(words)
            elif UNKNOWN not in program and command.certain and not command.asks:
                self.programs.add(program)
        self.copies = {
            path: self._origin(path) for path in self.copies if not path.startswith(TEMPORARY)
        }

    def _adduser(self, words: list[str]) -> None:
        options, rest = _options(words, _ADDUSER_VALUES)
        if "--group" in options and "--system" in options and not rest:
            return
        if len(rest) == 2:
            self.wanted.members.add((rest[1], rest[0]))
        elif len(rest) == 1:
            own = rest[0] if "--group" in options else "nogroup"
            self.wanted.users[rest[0]] = User(
                rest[0],
                options.get("--ingroup") or options.get("--gid") or own,
                options.get("--home", "/nonexistent"),
                options.get("--gecos") or options.get("--comment", ""),
                options.get("--shell", "/usr/sbin/nologin"),
            )
            home = self.wanted.users[rest[0]].home.rstrip("/")
            if "--no-create-home" not in options and home.startswith("/var/"):
                user = self.wanted.users[rest[0]]
                self.wanted.directories[home] = Directory(home, 0o755, user.name, user.group)

    def _useradd(self, words: list[str]) -> None:
        options, rest = _options(words, _USERADD_VALUES)

        def value(*names: str) -> str:
            return next((options[name] for name in names if name in options), "")

        if len(rest) == 1:
            self.wanted.users[rest[0]] = User(
                rest[0],
                value("-g", "--gid") or rest[0],
                value("-d", "--home", "--home-dir") or "/nonexistent",
                value("-c", "--comment"),
                value("-s", "--shell") or "/usr/sbin/nologin",
            )
            for group in filter(None, value("-G", "--groups").split(",")):
                self.wanted.members.add((group, rest[0]))

    def _addgroup(self, words: list[str]) -> None:
        _, rest = _options(words, ("--gid", "-g", "-K", "-p", "-R"))
        if len(rest) == 1:
            self.wanted.groups.add(rest[0])

    def _usermod(self, words: list[str]) -> None:
        options, rest = _options(words, _USERADD_VALUES)
        for name in ("-G", "--groups", "-aG"):
            groups = options.get(name, "")
            if name == "-aG" and name in options and len(rest) == 2:
                groups, rest = rest[0], rest[1:]
            for group in filter(None, groups.split(",")):
                self.wanted.members |= {(group, user) for user in rest[:1]}

    def _mkdir(self, words: list[str]) -> None:
        options, rest = _options(words, ("-m", "--mode"))
        for path in rest:
            self._make(Directory(path, _octal(options.get("-m") or options.get("--mode", ""))))

    def _make(self, directory: Directory) -> None:
        path = _usual(directory.path)
        if path.startswith("/"):
            self.wanted.directories.setdefault(path, replace(directory, path=path))

    def _install(self, words: list[str]) -> None:
        options, rest = _options(words, _INSTALL_VALUES)

        def value(short: str, long: str) -> str:
            return options.get(short) or options.get(long, "")

        user, group, mode = value("-o", "--owner"), value("-g", "--group"), value("-m", "--mode")
        if "-d" in options or "--directory" in options:
            for path in rest:
                self._make(Directory(path, _octal(mode), user, group))
        elif len(rest) == 2 and rest[1].startswith("/"):
            if rest[0] == "/dev/null":
                self.empty.append(rest[1])
            elif rest[0].startswith(_SOURCES):
                self.copies[rest[1]] = rest[0]
            self.marks.append(Mark(rest[1], user, group, mode or "0755"))

    def _cp(self, words: list[str]) -> None:
        _, rest = _options(words, ("-t", "-S", "--suffix"))
        if len(rest) == 2 and rest[0].startswith(_SOURCES) and rest[1].startswith("/"):
            path = rest[1]
            if path.endswith("/") or path in self.wanted.directories:
                path = f"{path.rstrip('/')}/{rest[0].rpartition('/')[2]}"
            self.copies[path] = rest[0]

    def _ln(self, words: list[str]) -> None:
        options, rest = _options(words, ())
        symbolic = "--symbolic" in options or any(
            "s" in name for name in options if not name.startswith("--")
        )
        if symbolic and len(rest) == 2 and rest[1].startswith("/"):
            self.links.setdefault(rest[1], rest[0])

    def _touch(self, words: list[str]) -> None:
        _, rest = _options(words, ("-d", "--date", "-r", "--reference", "-t"))
        self.empty += [path for path in rest if path.startswith("/")]

    def _chown(self, words: list[str]) -> None:
        options, rest = _options(words, ())
        if rest:
            user, colon, group = rest[0].partition(":" if ":" in rest[0] else ".")
            if colon and not group:
                group = self._first_group(user)
            for path in rest[1:]:
                self._mark(Mark(path, user, group, below=_is_recursive(options)))

    def _first_group(self, user: str) -> str:
        known = self.wanted.users.get(user)
        return (known.group if known else "") or user

    def _chgrp(self, words: list[str]) -> None:
        options, rest = _options(words, ())
        for path in rest[1:]:
            self._mark(Mark(path, group=rest[0], below=_is_recursive(options)))

    def _chmod(self, words: list[str]) -> None:
        # Modes may begin as options do: -x.
        recursive = [word for word in words if word in ("-R", "--recursive")]
        rest = [word for word in words if word not in (*recursive, "-f", "-v", "-c", "--")]
        for path in rest[1:]:
            self._mark(Mark(path, mode=rest[0], below=bool(recursive)))

    def _statoverride(self, words: list[str]) -> None:
        options, rest = _options(words, ())
        if "--add" in options and len(rest) == 4:
            user, group, mode, path = rest
            self._mark(Mark(path, user, group, mode))

    def _mark(self, mark: Mark) -> None:
        path = _usual(mark.path)
        if not path.startswith("/") or any(name.isdigit() for name in (mark.user, mark.group)):
            return
        self.marks.append(replace(mark, path=path))
        if there := self.wanted.directories.get(path):
            self.wanted.directories[path] = replace(
                there,
                mode=changed(there.mode, mark.mode),
                user=mark.user or there.user,
                group=mark.group or there.group,
            )

    def _alternatives(self, words: list[str]) -> None:
        if "--install" not in words:
            return
        words = " ".join(words[words.index("--install") + 1 :]).split()
        path, name, target, priority, *rest = [*words, *[""] * 4]
        if any(UNKNOWN in word for word in (path, name, target)) or not priority.isdigit():
            return
        if int(priority) < self._priorities.get(path, -1):
            return
        self._priorities[path] = int(priority)
        self.links[path] = target
        for i, word in enumerate(rest):
            slave = rest[i + 1 : i + 4]
            if word == "--slave" and len(slave) == 3 and not any(UNKNOWN in each for each in slave):
                self.links[slave[0]] = slave[2]

    def _ucf(self, words: list[str]) -> None:
        options, rest = _options(words, ("--sum-file", "--sum-dir"))
        if len(rest) == 2 and "--purge" not in options and rest[1].startswith("/"):
            self.copies[rest[1]] = rest[0]

    def _origin(self, path: str) -> str:
        """Return which of a package's files a copy is of, or of a copy of it."""
        for _ in range(len(self.copies)):
            path = self.copies.get(path, path)
        return path

    def read_sysusers(self, text: str) -> None:
        """Read a file of sysusers.d(5)."""
        for line in _lines(text):
            kind, name, *rest = [*line, *[""] * 5]
            number, comment, home, shell = ("" if word == "-" else word for word in rest[:4])
            if kind.rstrip("!") == "u":
                group = number.partition(":")[2]
                self.wanted.users[name] = User(
                    name,
                    group if group and not group.isdigit() else name,
                    home or "/",
                    comment,
                    shell or "/usr/sbin/nologin",
                )
            elif kind == "g":
                self.wanted.groups.add(name)
            elif kind == "m":
                self.wanted.members.add((rest[0], name))

    def read_tmpfiles(self, text: str) -> None:
        """Read a file of tmpfiles.d(5)."""
        self.wanted.directories |= {directory.path: directory for directory in of_tmpfiles(text)}

    def read_unit(self, text: str) -> None:
        """Read a unit of systemd's: who runs a service, and which directories it is given."""
        said: dict[str, str] = {}
        for key, value in re.findall(r"^(\w+)=(.*?)\s*$", text, re.MULTILINE):
            said[key] = f"{said.get(key, '')} {value}".strip()
        user = said.get("User", "")
        group = said.get("Group", "") or user
        for path in said.get("ReadWritePaths", "").split():
            place = path.lstrip("-+")
            if user and re.fullmatch(r"/var/(lib|log|cache|spool)/[\w./-]+", place):
                self.wanted.directories[place] = Directory(place, 0o750, user, group)
        for key, top in (
            ("RuntimeDirectory", "/run"),
            ("StateDirectory", "/var/lib"),
            ("LogsDirectory", "/var/log"),
            ("CacheDirectory", "/var/cache"),
        ):
            for name in said.get(key, "").split():
                mode = said.get(f"{key}Mode", "0755")
                if re.fullmatch(r"[\w./-]+", name) and re.fullmatch(r"[0-7]+", mode):
                    path = f"{top}/{name}"
                    self.wanted.directories[path] = Directory(path, int(mode, 8), user, group)


def changed(mode: int, said: str) -> int:
    """Return what permissions become by chmod(1)."""
    if re.fullmatch(r"[0-7]+", said):
        return int(said, 8)
    masks = {"u": 0o4700, "g": 0o2070, "o": 0o0007, "a": 0o6777}
    values = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
    for who, how, what in re.findall(r"([ugoa]*)([-+=])([rwxXst]*)", said):
        mask = 0o1000
        for each in who or "a":
            mask |= masks[each]
        bits = 0
        for each in what:
            bits |= values.get(each, 0o111 if mode & 0o111 else 0)
        kept = mode & ~(mask & 0o6777) if how == "=" else mode
        mode = kept & ~(bits & mask) if how == "-" else kept | bits & mask
    return mode


def _usual(path: str) -> str:
    """Return a directory's name without what is old about it: /var/run is a link to /run."""
    return path.rstrip("/").replace("/var/run/", "/run/", 1)


def _octal(mode: str) -> int:
    return int(mode, 8) if re.fullmatch(r"[0-7]+", mode) else 0o755


def _is_recursive(options: dict[str, str]) -> bool:
    return "--recursive" in options or any(
        "R" in name for name in options if not name.startswith("--")
    )


def of_tmpfiles(text: str) -> Iterator[Directory]:
    """Yield the directories that a file of tmpfiles.d(5) makes."""
    for line in _lines(text):
        kind, path, mode, user, group, *_ = [*line, *["-"] * 4]
        digits = mode.lstrip("~:")
        if kind[:1] in "dDvqQ" and path.startswith("/") and "%" not in path:
            yield Directory(
                _usual(path),
                int(digits, 8) if re.fullmatch(r"[0-7]+", digits) else 0o755,
                "" if user == "-" else user,
                "" if group == "-" else group,
            )


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue
        if len(words) > 1:
            yield words


def _options(words: list[str], values: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """Return options by name, with their values, and the other words."""
    options: dict[str, str] = {}
    rest: list[str] = []
    pending = iter(words)
    for word in pending:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            rest.append(word)
        elif equals:
            options[name] = value
        else:
            options[name] = next(pending, "") if name in values else ""
    return options, rest
