# SPDX-License-Identifier: GPL-2.0-only
"""What a Debian package does to a machine besides unpacking its files.

Nothing is executed. Users and directories are read from sysusers.d, tmpfiles.d and units; and of
the script that dpkg would run after unpacking, the customary commands are read: those that add
users and groups, that make directories, that choose alternatives, that put a configuration into its
place. Words that only running the script would tell are left out.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .accounts import Directory, User, Wanted

# Options of commands that have a value of their own as the next word.
_ADDUSER_VALUES = (
    *("--home", "--shell", "--gecos", "--comment", "--ingroup", "--uid", "--gid", "--conf"),
    *("--firstuid", "--lastuid", "--firstgid", "--lastgid", "--add_extra_groups"),
)
_USERADD_VALUES = (
    *("-b", "-c", "-d", "-e", "-f", "-g", "-G", "-k", "-K", "-p", "-r_", "-s", "-u", "-R"),
    *("--comment", "--home", "--home-dir", "--gid", "--groups", "--shell", "--uid", "--key"),
)
_SHELL_WORDS = {"if", "then", "else", "elif", "while", "do", "!", "{", "}", "(", ")", "time"}
_MOST = 64  # words that a loop's variables stand for


@dataclass
class Deeds:
    """What is to be done to a guest for a package."""

    wanted: Wanted = field(default_factory=Wanted)
    links: dict[str, str] = field(default_factory=dict)
    """Alternatives: target by path."""
    copies: dict[str, str] = field(default_factory=dict)
    """Configuration files: where they come from, by where they go."""
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
            "update-alternatives": self._alternatives,
            "ucf": self._ucf,
        }
        for command, *words in _commands(text):
            if act := known.get(command.rpartition("/")[2]):
                act(words)

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
            home = self.wanted.users[rest[0]].home
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
        _, rest = _options(words, ("-m", "--mode"))
        for path in rest:
            if path.startswith("/"):
                self.wanted.directories.setdefault(path, Directory(path))

    def _alternatives(self, words: list[str]) -> None:
        if "--install" not in words:
            return
        path, _, target, priority, *rest = [*words[words.index("--install") + 1 :], *[""] * 4]
        if not priority.isdigit() or int(priority) < self._priorities.get(path, -1):
            return
        self._priorities[path] = int(priority)
        self.links[path] = target
        for i, word in enumerate(rest):
            if word == "--slave" and len(rest) > i + 3:
                self.links[rest[i + 1]] = rest[i + 3]

    def _ucf(self, words: list[str]) -> None:
        _, rest = _options(words, ())
        if len(rest) == 2:
            self.copies[rest[1]] = rest[0]

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


def of_tmpfiles(text: str) -> Iterator[Directory]:
    """Yield the directories that a file of tmpfiles.d(5) makes."""
    for line in _lines(text):
        kind, path, mode, user, group, *_ = [*line, *["-"] * 4]
        digits = mode.lstrip("~:")
        if kind[:1] in "dDvqQ" and path.startswith("/") and "%" not in path:
            yield Directory(
                path.rstrip("/").replace("/var/run/", "/run/", 1),
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


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the simple commands of a script, all of whose words are known."""
    variables: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
        lexer.wordchars += "$`:,+%!{}@[]^"
        try:
            words = list(lexer)
        except ValueError:  # a quotation that goes on
            continue
        command: list[str] = []
        for word in [*words, ";"]:
            if set(word) <= set(";&|()"):
                yield from _expanded(command, variables)
                command = []
            elif command or word not in _SHELL_WORDS:
                command.append(word)


def _expanded(words: list[str], variables: dict[str, list[str]]) -> Iterator[list[str]]:
    """Yield a command for each value of a loop's variables; take note of what variables are."""
    if words[:1] == ["for"] and words[2:3] == ["in"]:
        variables[words[1]] = [value for word in words[3:] for value in _values(word, variables)]
        return
    if words and (match := re.fullmatch(r"(\w+)=(.*)", words[0])):
        if len(words) == 1:
            variables[match[1]] = _values(match[2], variables)
        return
    if ">" in words:  # of no interest
        words = words[: words.index(">")]
    all_words = [_values(word, variables) for word in words]
    count = max(map(len, all_words), default=0)
    if 0 in map(len, all_words) or count > _MOST:
        return
    for i in range(count):
        yield [values[i % len(values)] for values in all_words]


def _values(word: str, variables: dict[str, list[str]]) -> list[str]:
    """Return what a word may stand for; nothing if that is not known."""
    match = re.search(r"\$(?:\{(\w+)\}|(\w+))", word)
    if not match:
        return [] if set(word) & set("$`*?") else [word]
    values = variables.get(match[1] or match[2], [])
    head, tail = word[: match.start()], word[match.end() :]
    return [whole for value in values for whole in _values(head + value + tail, variables)]
