# SPDX-License-Identifier: GPL-2.0-only
"""What a user puts into an image: programs with all that they need, or a whole root file system.

Paths are the guest's own: symbolic links lead where they would lead there, never out of it. What is
read here is read as it is, and no program is executed.
"""

import contextlib
import errno
import hashlib
import os
import shlex
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NoReturn

from . import cpio
from .accounts import Accounts, Directory, Host, Wanted
from .elf import Elf, Loader, inspect
from .errors import ImageError
from .maintainer import Mark, changed
from .packages import Contents, outdated

# What the guest's first process mounts, or the image itself needs: nothing of a user's would be
# seen there.
_MOUNTED = ("/dev", "/proc", "/run", "/sys", "/tmp")
_OWN = ("/init", "/etc/ns3-qemu")

# What the relay makes when it has mounted them: mode, user, group, path.
_DIRECTORIES = "/etc/ns3-qemu/directories"

# What the relay moves to a root file system on a disk: in any case, or where that has nothing of
# this name.
_ADDED = "/etc/ns3-qemu/added"
_ADDED_IF_MISSING = "/etc/ns3-qemu/added-if-missing"

# Where programs are looked for by name.
PATH = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)

# Where a file is on Debian, whichever of the two names asks for it.
_MERGED = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"}

# As in the kernel.
_MAX_LINKS = 40
_MAX_INTERPRETERS = 5

# The least that C libraries and programs look for.
_BASICS = {
    "/etc/host.conf": "multi on\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "/etc/nsswitch.conf": (
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
        "protocols: files\nservices: files\n"
    ),
    "/etc/protocols": (
        "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\ndccp 33 DCCP\nipv6 41 IPv6\n"
        "ipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\nudplite 136 UDPLite\nmptcp 262 MPTCP\n"
    ),
    "/etc/services": "".join(
        f"{name} {port}/tcp\n{name} {port}/udp\n"
        for name, port in (
            ("echo", 7),
            ("discard", 9),
            ("daytime", 13),
            ("chargen", 19),
            ("ftp", 21),
            ("ssh", 22),
            ("telnet", 23),
            ("smtp", 25),
            ("domain", 53),
            ("tftp", 69),
            ("http", 80),
            ("ntp", 123),
            ("https", 443),
            ("http-alt", 8080),
        )
    ),
    # As systemd has it on each Debian host: a module makes no interfaces that nobody asked for.
    # By its name it comes before what a user says.
    "/usr/lib/modprobe.d/00-interfaces.conf": (
        "options bonding max_bonds=0\noptions dummy numdummies=0\noptions ifb numifbs=0\n"
    ),
}
_BASIC_DIRECTORIES = {"/home": 0o755, "/root": 0o700, "/var/log": 0o755, "/var/tmp": 0o1777}

_COLLISION = (
    "Give one of them another place with to=, or leave one out. A program for a root file system "
    "with other libraries than this machine's should come with that system, or be static."
)


def _refuse(path: str | Path, error: OSError) -> NoReturn:
    """Raise what a user can understand in place of an error of the operating system."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        message = f"there is no {path}"
        raise ImageError(message, "Give the path of a file or directory of this machine.")
    message = f"cannot read {error.filename or path}: {error.strerror}"
    raise ImageError(message, "The user who builds the image must be able to read it.")


@dataclass(frozen=True)
class _Interpreter:
    """What a script asks for in its first line."""

    name: str  # a path, or what is to be looked for
    script: str  # for people
    required: bool
    depth: int = 1  # scripts on the way to it

    def __str__(self) -> str:
        return f"{self.script} needs the interpreter {self.name}"


class Overlay:
    """Files of a user's, by their paths in the guest. Nothing is written before an image is built.

    All methods raise ImageError, and say what to do, for what cannot be.
    """

    def __init__(self, loader: Loader | None = None) -> None:
        self._entries: dict[str, cpio.Entry] = {}
        self._implied: set[str] = set()  # directories that are there for what is in them
        self._interpreters: list[_Interpreter] = []
        self._packages: list[Contents] = []
        self._packaged: set[str] = set()  # what has come from packages
        self._brought: set[str] = set()  # libraries and interpreters that nobody has named
        self._loader = loader or Loader()
        self._sources: list[str] = []
        self._completed: Overlay | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """What was added, for people."""
        return tuple(self._sources)

    @property
    def not_run(self) -> dict[str, list[str]]:
        """Programs that packages' scripts would have run: see `packages.Contents`."""
        return {name: run for each in self._packages for name, run in each.not_run.items()}

    def __bool__(self) -> bool:
        return bool(self._entries or self._packages)

    def __contains__(self, path: str) -> bool:
        whole = self._complete()
        return whole._follow(_native(path)) in whole._entries

    @property
    def size(self) -> int:
        """Bytes of memory that the files take in the guest."""
        page = 4096
        return sum(
            max(1, -(-len(entry.data) // page)) * page + 1024
            for entry in self._complete()._entries.values()
        )

    @property
    def paths(self) -> list[str]:
        """Where the files are in the guest."""
        return list(self._complete()._entries)

    def contents(self) -> Iterator[bytes]:
        """Yield what is in each of the files."""
        for entry in self._complete()._entries.values():
            if stat.S_ISREG(entry.mode):
                yield entry.data

    def _complete(self) -> "Overlay":
        """Return this with its packages, and the interpreters of its scripts.

        Only now is it known which of them a user has added by another name, or put in their place.
        """
        if self._completed is None:
            whole = self._copy()
            whole._interpreters = list(self._interpreters)
            old = outdated(self._packages)
            for contents, without in zip(self._packages, old, strict=True):
                whole._unpack(contents, without)
            whole._add_interpreters()
            self._completed = whole
        return self._completed

    def _copy(self) -> "Overlay":
        """Return the same files."""
        copy = Overlay(self._loader)
        copy._entries, copy._implied = dict(self._entries), set(self._implied)
        copy._packages, copy._packaged = list(self._packages), set(self._packaged)
        copy._brought = set(self._brought)
        return copy

    def entries(
        self, own: list[cpio.Entry], instead: Sequence[cpio.Entry] = ()
    ) -> list[cpio.Entry]:
        """Return all files for an archive, with the image's own and the basics among them.

        The image's own go where symbolic links of a user's root file system lead. Those of
        `instead` take the place of a user's.
        """
        whole = self._complete()._copy()
        if whole._entries:
            whole._merge_usr()
            whole._add_accounts()
            for path, mode in _BASIC_DIRECTORIES.items():
                if whole._at(path) is None or path in whole._implied:
                    whole._put(cpio.directory(path, mode))
            for path, text in _BASICS.items():
                if whole._at(path) is None:
                    whole._put(cpio.file(path, text.encode()))
            if whole._at("/var/run") is None:
                whole._put(cpio.symlink("/var/run", "/run"))
        for entry in instead:
            whole._entries.pop(whole._follow(entry.path, last=False), None)
        for entry in [*own, *instead]:
            if (
                not entry.is_directory
                or whole._follow(entry.path, last=False) not in whole._entries
            ):
                whole._put(entry)
        return list(whole._entries.values())

    def entries_beside(self, own: list[cpio.Entry]) -> list[cpio.Entry]:
        """Return all files for an archive whose root is not the guest's: that is on a disk.

        What its distribution has (the basics, users, /bin) is not touched.
        """
        if self._packages:
            message = "packages cannot be added to a root file system that is on a disk"
            raise ImageError(message, "Install them in it, or take it as a directory or tar file.")
        whole = self._complete()
        files = Overlay(self._loader)
        for entry in own:
            files._put(entry)
        for entry in whole._entries.values():
            if entry.path in _MERGED or entry.path in whole._implied:
                continue
            place = _ADDED_IF_MISSING if entry.path in whole._brought else _ADDED
            files._put(_renamed(entry, f"{place}{entry.path}"))
        return list(files._entries.values())

    def _add_accounts(self) -> None:
        """Add the users that programs change to, with their directories, unless a user has said."""
        files = [
            (PurePosixPath(entry.path).name, entry.data)
            for entry in self._entries.values()
            if stat.S_ISREG(entry.mode) and entry.path not in self._packaged
        ]
        wanted = Host(self._loader.root).needed(files)
        for contents in self._packages:
            wanted.update(contents.deeds.wanted)
        accounts = Accounts(wanted)
        texts = {"/etc/passwd": accounts.passwd(), "/etc/group": accounts.group()}
        missing = {path: text for path, text in texts.items() if self._at(path) is None}
        for path, text in missing.items():
            self._put(cpio.file(path, text.encode()))
        if missing != texts:
            return  # numbers are the user's
        if self._at("/etc/shadow") is None:
            data = accounts.shadow().encode()
            owner = accounts.owner("root", "shadow")
            self._put(cpio.Entry("/etc/shadow", stat.S_IFREG | 0o640, data, owner=owner))
        for path in sorted(self._packaged):
            entry = self._entries[path]
            if entry.owner == (0, 0) and (names := accounts.owner_of(path)):
                self._entries[path] = replace(entry, owner=accounts.owner(*names))
        self._add_directories(wanted, accounts)
        for contents in self._packages:
            for mark in contents.deeds.marks:
                self._mark(mark, accounts)

    def _mark(self, mark: Mark, accounts: Accounts) -> None:
        """Have a package's file, or what is below a directory, belong to whom its script says."""
        try:
            top = self._follow(mark.path)
        except ImageError:  # links of a user's that lead to each other
            return
        places = [top]
        if mark.below:
            places += [path for path in self._packaged if path.startswith(f"{top}/")]
        for place in places:
            entry = self._entries.get(place)
            if entry and place in self._packaged:
                mode = changed(stat.S_IMODE(entry.mode), mark.mode) if mark.mode else entry.mode
                user, group = accounts.owner(mark.user, mark.group)
                owner = (
                    user if mark.user else entry.owner[0],
                    group if mark.group else entry.owner[1],
                )
                kind = stat.S_IFMT(entry.mode)
                self._entries[place] = replace(entry, mode=kind | stat.S_IMODE(mode), owner=owner)

    def _add_directories(self, wanted: Wanted, accounts: Accounts) -> None:
        """Add the directories of users; the relay makes those on file systems that it mounts."""
        later = []
        directories = dict(wanted.directories)
        for path in wanted.directories:
            for parent in map(str, PurePosixPath(path).parents):
                if _is_mounted(parent):
                    directories.setdefault(parent, Directory(parent))
        for path, directory in sorted(directories.items()):
            owner = accounts.owner(directory.user, directory.group)
            if _is_mounted(path):
                if path.startswith("/run/"):
                    later.append(f"{directory.mode:o} {owner[0]} {owner[1]} {path}\n")
                continue
            there = self._at(path)
            if there is None or there.path in self._implied:
                self._put(cpio.Entry(path, stat.S_IFDIR | directory.mode, owner=owner))
                self._packaged.add(self._follow(path))
            elif there.path in self._packaged and there.is_directory and directory.user:
                mode = stat.S_IFDIR | directory.mode
                self._entries[there.path] = replace(there, mode=mode, owner=owner)
        if later:
            self._put(cpio.file(_DIRECTORIES, "".join(later).encode()))

    # --- programs, files, directories -------------------------------------------------------------

    def add(self, path: str | os.PathLike[str], to: str | None = None) -> None:
        """Add a file or a directory with all that is in it; see `image.Image.add`."""
        host = Path(path).expanduser().absolute()
        guest = str(host) if to is None else _native(to)
        if to is not None and (not PurePosixPath(to).is_absolute() or ".." in Path(to).parts):
            message = f"not an absolute path for the guest: {to!r}"
            raise ImageError(message, "Say for example to='/usr/local/bin/program'.")
        guest = _plain(guest)
        self._check_place(guest)
        self._merge_usr()
        try:
            if host.is_dir():
                self._add_tree(host, guest)
            elif to is None:
                self._add_program(
                    self._mirror(str(host)), str(host.resolve(strict=True)), str(host)
                )
            else:
                real = host.resolve(strict=True)
                self._put(self._regular(real, guest))
                self._add_program(guest, str(real), str(host))
        except OSError as error:
            _refuse(host, error)
        self._brought.discard(self._follow(guest))
        self._sources.append(f"{host}" if to is None else f"{host} as {guest}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add a file with this text."""
        path = _native(path)
        self._check_place(_plain(path))
        self._merge_usr()
        self._put(cpio.file(_plain(path), text.encode(), mode))

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        path = _native(path)
        self._check_place(_plain(path))
        self._merge_usr()
        self._put(cpio.symlink(_plain(path), _native(target)))

    def _add_program(self, guest: str, host: str, said: str, *, complete: bool = True) -> None:
        """Add what a file needs in order to run; the file itself is at `guest` already."""
        data = self._entries[self._follow(guest)].data
        elf = inspect(data, said)
        if elf:
            self._add_libraries(elf, host, guest, complete=complete)
        elif data.startswith(b"#!"):
            self._need_interpreter(data, said, complete=complete)

    def _add_libraries(self, elf: Elf, host: str, guest: str, *, complete: bool) -> None:
        before = set(self._entries)
        libraries = self._loader.libraries(elf, host, guest, complete=complete)
        for library in libraries.values():
            if not self._has_packaged(library.guest):
                self._bring(library.host, library.guest)
        if elf.interpreter and not self._has_packaged(elf.interpreter):
            self._mirror_for(elf.interpreter, host)
            if "ld-musl" in elf.interpreter and Path("/etc/ld-musl-x86_64.path").exists():
                self._mirror("/etc/ld-musl-x86_64.path")
        libc = libraries.get("libc.so.6")
        for name, library in libraries.items():
            # The guest has no list of the loader's; it looks where its C library is in any case.
            if library.listed and libc:
                link = f"{PurePosixPath(libc.guest).parent}/{name}"
                self._put(cpio.symlink(link, library.guest))
        self._brought.update(self._entries.keys() - before)

    def _has_packaged(self, path: str) -> bool:
        """Say whether a package has this file: then what it is on this machine is of no interest.

        A shell that is brought for packages of another release runs with their C library.
        """
        there = self._at(path)
        return there is not None and there.path in self._packaged

    def _need_interpreter(
        self, data: bytes, script: str, *, complete: bool, depth: int = 1
    ) -> None:
        """Have a script's interpreter brought when all that a user adds is there."""
        line = os.fsdecode(data[2:256].partition(b"\n")[0])
        words = line.split(maxsplit=1)
        wanted = words[:1]
        if wanted and PurePosixPath(wanted[0]).name == "env" and len(words) > 1:
            with contextlib.suppress(ValueError):
                # env [-S] [-i] [NAME=value] program
                names = [
                    word for word in shlex.split(words[1]) if word[0] != "-" and "=" not in word
                ]
                wanted += names[:1]
        if not wanted and complete:
            message = f"{script} begins with #! but names no interpreter"
            raise ImageError(message, "Its first line must be as in #!/bin/sh.")
        for name in wanted:
            interpreter = _Interpreter(name, script, complete, depth)
            if not self._has_program(name):
                self._program_for(interpreter)
            self._interpreters.append(interpreter)
            self._completed = None

    def _add_interpreters(self) -> None:
        """Add what scripts need and the guest does not have yet."""
        before = set(self._entries)
        for interpreter in self._interpreters:  # grows when one is a script itself
            there = self._has_program(interpreter.name)
            if there is None:
                program = self._program_for(interpreter)
                if program is None:
                    continue
                try:
                    there = self._at(self._mirror(program))
                    if there and not there.data.startswith(b"#!"):
                        real = str(Path(program).resolve())
                        self._add_program(there.path, real, program, complete=interpreter.required)
                except ImageError as error:
                    message = f"{interpreter}, and {error.message}"
                    raise ImageError(message, error.advice) from error
            if there and there.data.startswith(b"#!"):
                if interpreter.depth >= _MAX_INTERPRETERS:
                    message = f"the interpreters of {interpreter.script} need each other"
                    raise ImageError(message, "See its first line, and theirs.")
                self._need_interpreter(
                    there.data,
                    interpreter.script,
                    complete=interpreter.required,
                    depth=interpreter.depth + 1,
                )
        self._brought.update(self._entries.keys() - before)

    def _has_program(self, name: str) -> cpio.Entry | None:
        """Return the guest's program of this name, or None."""
        found = map(self._at, _places(name))
        return next((entry for entry in found if entry and stat.S_ISREG(entry.mode)), None)

    def _program_for(self, interpreter: _Interpreter) -> str | None:
        """Return where this machine has an interpreter; None if it has none, but need not."""
        program = self._program(interpreter.name)
        if program is None and interpreter.required:
            message = f"{interpreter}, which is not on this machine"
            advice = (
                "Install it, or put another into the script's first line, or add one at this path "
                "before the script."
            )
            raise ImageError(message, advice)
        return program

    @staticmethod
    def _program(name: str) -> str | None:
        """Return where a program of this machine is."""
        return next((path for path in _places(name) if Path(path).is_file()), None)

    def _add_tree(self, host: Path, guest: str) -> None:
        """Add a directory; programs in it bring what they need from outside."""
        real = host.resolve(strict=True)
        programs = []
        if guest != "/":
            self._put(cpio.directory(guest, stat.S_IMODE(real.stat().st_mode)))
        for directory, names, files in os.walk(real, onerror=_raise):
            names.sort()
            for name in sorted([*names, *files]):
                path = f"{directory}/{name}"
                place = _plain(f"{guest}/{os.path.relpath(path, real)}")
                self._check_place(place)
                entry = self._of_file(path, place, keep_owner=False)
                if entry is None:
                    continue
                self._put(entry)
                if stat.S_ISREG(entry.mode) and entry.data.startswith((b"\x7fELF", b"#!")):
                    programs.append((place, path, entry))
        for place, path, entry in programs:
            executable = bool(entry.mode & 0o111)
            if entry.data.startswith(b"#!"):
                if executable:
                    self._need_interpreter(entry.data, path, complete=False)
                continue
            # A tree may hold anything: a library that its program finds in a way of its own, or a
            # firmware for another machine.
            try:
                elf = inspect(entry.data, path)
            except ImageError:
                continue
            if elf:
                complete = executable and elf.interpreter is not None
                self._add_libraries(elf, path, place, complete=complete)

    # --- Debian packages --------------------------------------------------------------------------

    def add_packages(self, contents: Contents, said: str) -> None:
        """Add what packages bring. Where a user says otherwise, before or after, that counts."""
        self._packages.append(contents)
        self._completed = None
        self._sources.append(f"package {said}")

    def _unpack(self, contents: Contents, without: Collection[str]) -> None:
        """Add the files of packages, but for some, that are not there by a user's will."""
        self._merge_usr()
        for package, member, data in contents.members:
            entry = None if package in without else self._of_member(member, data)
            if entry is None or _is_mounted(entry.path):
                continue
            place = self._follow(entry.path, last=False)
            entry = _renamed(entry, place)
            there = self._entries.get(place)
            if entry.is_symlink and self._target(entry) == place:
                continue  # from one of a file's two names to the other
            if there is None or place in self._packaged or place in self._implied:
                if entry.is_directory and there and there.is_symlink and self._is_directory(place):
                    continue
                if there and not there.is_directory:
                    del self._entries[place]  # a later package's takes its place
                self._put(entry)
                self._packaged.add(place)
                if entry.mode & 0o111 and entry.data.startswith(b"#!"):
                    self._need_shell(entry)
        deeds = contents.deeds
        for path, target in deeds.links.items():
            self._put_missing(cpio.symlink(path, target), str(PurePosixPath(path).parent / target))
        for path, source in deeds.copies.items():
            self._put_missing(cpio.file(path, b""), source)
        for path in deeds.empty:
            self._put_missing(cpio.file(path, b""))

    def _put_missing(self, entry: cpio.Entry, source: str = "") -> None:
        """Put what a package's script would make: a link to a source, a copy of it, an empty file.

        Where something is already, or nothing can be, that stays as it is.
        """
        with contextlib.suppress(ImageError):
            original = self._at(source) if source else entry
            if original is None or _is_mounted(entry.path):
                return
            if not entry.is_symlink:
                into = self._is_directory(entry.path) and bool(source)
                name = f"/{PurePosixPath(source).name}" if into else ""
                entry = _renamed(original, f"{entry.path}{name}")
            if self._at(entry.path) is None:
                self._put(entry)
                self._packaged.add(self._follow(entry.path, last=False))

    def _need_shell(self, script: cpio.Entry) -> None:
        """Have a shell brought for a package's script: no package says that it depends on one."""
        line = script.data[2:256].partition(b"\n")[0].split()
        if line and line[0].rpartition(b"/")[2] in (b"sh", b"bash", b"dash"):
            self._need_interpreter(script.data, script.path, complete=False)

    # --- a whole root file system -----------------------------------------------------------------

    def add_rootfs(self, path: str | os.PathLike[str]) -> None:
        """Add a directory or tar file as the guest's root; see `image.Image`."""
        source = Path(path).expanduser().absolute()
        try:
            if source.is_dir():
                self._add_root_directory(source)
            else:
                self._add_root_tar(source)
        except OSError as error:
            _refuse(source, error)
        if not self._entries:
            message = f"the root file system {source} is empty"
            raise ImageError(message, "Give a directory, or a tar file, that has /bin, /etc, ...")
        self._sources.append(f"root file system {source}")

    def _add_root_directory(self, source: Path) -> None:
        for directory, names, files in os.walk(source, onerror=_raise):
            inside = _plain("/" + os.path.relpath(directory, source))
            names[:] = sorted(name for name in names if not _is_mounted(_plain(f"{inside}/{name}")))
            for name in sorted([*names, *files]):
                place = _plain(f"{inside}/{name}")
                self._check_place(place, mounted=False)
                entry = self._of_file(f"{directory}/{name}", place, keep_owner=True)
                if entry and not _is_mounted(place):
                    self._put(entry)

    def _add_root_tar(self, source: Path) -> None:
        try:
            # As on the guest's disk; names in it may be of any encoding.
            with tarfile.open(source, encoding="utf-8", errors="surrogateescape") as archive:
                for member in archive:
                    self._add_member(archive, member, source)
        except (tarfile.TarError, EOFError, ValueError) as error:
            message = f"{source} is not a tar file that can be read: {error}"
            advice = (
                "Give a directory, a tar file, plain or packed with gzip, bzip2 or xz, or a raw "
                "disk with a file system: ext4, xfs, btrfs, squashfs."
            )
            raise ImageError(message, advice) from error

    def _add_member(self, archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> None:
        place = self._member_path(member.name, source)
        if place == "/" or _is_mounted(place):
            return
        self._check_place(place, mounted=False)
        data = b""
        if member.isfile():
            stream = archive.extractfile(member)
            data = stream.read() if stream else b""
        entry = self._of_member(member, data, source)
        if entry is None:
            return
        # A later member takes an earlier one's place, as when it is unpacked.
        existing = self._entries.get(self._follow(place, last=False))
        if existing and not existing.is_directory:
            del self._entries[existing.path]
        self._put(entry)

    def _of_member(
        self, member: tarfile.TarInfo, data: bytes, source: str | Path = "a package"
    ) -> cpio.Entry | None:
        """Return a member of a tar file; None for the root itself."""
        place = self._member_path(member.name, source)
        if place == "/":
            return None
        mode = member.mode & 0o7777
        owner = (member.uid, member.gid)
        if member.isfile():
            if len(data) != member.size:
                message = f"{source} ends within {member.name}"
                raise ImageError(message, "Is it whole? Fetch or make it again.")
            return cpio.Entry(place, stat.S_IFREG | mode, data, owner=owner)
        if member.isdir():
            return cpio.Entry(place, stat.S_IFDIR | mode, owner=owner)
        if member.issym():
            target = os.fsencode(_native(member.linkname))
            return cpio.Entry(place, stat.S_IFLNK | 0o777, target, owner=owner)
        if member.islnk():
            target_path = self._member_path(member.linkname, source)
            linked = self._entries.get(self._follow(target_path, last=False))
            if linked is None or linked.is_directory:
                link = f"a hard link {member.name} to {member.linkname}"
                message = f"{source} has {link}, which is not in it"
                raise ImageError(message, "Make the archive of the whole file system.")
            return _renamed(linked, place)
        if member.ischr() or member.isblk():
            kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
            device = (member.devmajor, member.devminor)
            return cpio.Entry(place, kind | mode, device=device, owner=owner)
        if member.isfifo():
            return cpio.Entry(place, stat.S_IFIFO | mode, owner=owner)
        message = f"{source} holds {member.name} of an unknown type {member.type!r}"
        raise ImageError(message, "Make it with GNU tar, or take a directory.")

    @staticmethod
    def _member_path(name: str, source: str | Path) -> str:
        if ".." in PurePosixPath(name).parts:
            message = f"{source} holds a path that leads out of it: {name}"
            raise ImageError(message, "Do not use this archive, or make it again.")
        return _plain("/" + _native(name))

    # --- files of this machine --------------------------------------------------------------------

    def _of_file(self, path: str, place: str, *, keep_owner: bool) -> cpio.Entry | None:
        """Return a file as it is, links not followed; None for what a guest has no use for."""
        status = os.lstat(path)
        owner = (0, 0)
        if keep_owner:
            # Who builds an image without being root could not give its files to root.
            mine = os.getuid()
            owner = (
                0 if mine and status.st_uid == mine else status.st_uid,
                0 if mine and status.st_uid == mine else status.st_gid,
            )
        data, device = b"", (0, 0)
        if stat.S_ISREG(status.st_mode):
            return self._regular(Path(path), place, owner)
        if stat.S_ISLNK(status.st_mode):
            data = os.fsencode(Path(path).readlink())
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        elif not (stat.S_ISDIR(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            return None  # a socket
        return cpio.Entry(place, status.st_mode, data, device, owner)

    @staticmethod
    def _regular(path: Path, place: str, owner: tuple[int, int] = (0, 0)) -> cpio.Entry:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            message = f"{path} is neither a file nor a directory"
            raise ImageError(message, "Devices and the like can only come with a root file system.")
        return cpio.Entry(place, status.st_mode, path.read_bytes(), owner=owner)

    def _bring(self, host: str, guest: str) -> None:
        """Add a file that is at another place in the guest, or at the same."""
        if host == guest:
            self._mirror(host)
        else:
            self._check_place(_plain(guest))
            self._put(self._regular(Path(host).resolve(), _plain(guest)))

    def _mirror_for(self, path: str, program: str) -> None:
        """Add a program's dynamic loader."""
        if not Path(path).is_file():
            message = f"{program} needs the dynamic loader {path}, which is not on this machine"
            raise ImageError(message, "Install the package that has it, or take a static program.")
        self._mirror(path)

    def _mirror(self, path: str) -> str:
        """Add a file with the symbolic links on the way to it; return where it is in the guest.

        Where the guest has a directory of its own in place of a link, what is behind the link goes
        into that.
        """
        host, guest = "", ""
        pending = [part for part in path.split("/") if part not in ("", ".")]
        links = 0
        while pending:
            name = pending.pop(0)
            if name == "..":
                host, guest = (_plain(f"{part}/..").rstrip("/") for part in (host, guest))
                continue
            status = os.lstat(f"{host}/{name}")
            there = self._entries.get(f"{guest}/{name}")
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > _MAX_LINKS:
                    message = f"{path} is behind symbolic links that lead to each other"
                    raise ImageError(message, "See ls -l of each directory on the way.")
                target = str(Path(f"{host}/{name}").readlink())
                if there is None or there.data == os.fsencode(target):
                    self._check_place(f"{guest}/{name}")
                    self._put(cpio.symlink(f"{guest}/{name}", target))
                    if target.startswith("/"):
                        host, guest = "", ""
                    pending[:0] = [part for part in target.split("/") if part not in ("", ".")]
                    continue
                real = str(Path(f"{host}/{name}").resolve(strict=True))
                status = os.lstat(real)
            else:
                real = f"{host}/{name}"
            place = self._follow(f"{guest}/{name}")
            if not stat.S_ISDIR(status.st_mode):
                self._check_place(place)
                self._put(self._regular(Path(real), place), f"{guest}/{name}")
            host, guest = real, place
        return guest

    # --- the tree itself --------------------------------------------------------------------------

    def _at(self, path: str) -> cpio.Entry | None:
        return self._entries.get(self._follow(path))

    def _follow(self, path: str, *, last: bool = True) -> str:
        """Return where a path leads in the guest; links in its last part only if `last` is set."""
        current = ""
        pending = [part for part in path.split("/") if part not in ("", ".")]
        links = 0
        while pending:
            name = pending.pop(0)
            if name == "..":
                current = current.rpartition("/")[0]
                continue
            entry = self._entries.get(f"{current}/{name}")
            if entry and entry.is_symlink and (pending or last):
                links += 1
                if links > _MAX_LINKS:
                    message = f"{path} is behind symbolic links that lead to each other"
                    raise ImageError(message, "Put right the links of the root file system.")
                target = os.fsdecode(entry.data)
                if target.startswith("/"):
                    current = ""
                pending[:0] = [part for part in target.split("/") if part not in ("", ".")]
            else:
                if entry and pending and not entry.is_directory:
                    message = f"{path} cannot be: {entry.path} is not a directory"
                    raise ImageError(message, _COLLISION)
                current = f"{current}/{name}"
        return current or "/"

    def _merge_usr(self) -> None:
        """Make /bin and its like what they are on Debian.

        A root file system that has them apart, or elsewhere, keeps them so.
        """
        there = filter(None, map(self._entries.get, _MERGED))
        if any(entry.is_directory for entry in there):
            return
        for path, target in _MERGED.items():
            if path not in self._entries:
                self._put(cpio.symlink(path, target))
                self._imply(f"/{target}")

    def _put(self, entry: cpio.Entry, name: str = "") -> None:
        """Put a file where its path leads. What is there already may only be the same.

        `name`: how it was asked for, if that is another path.
        """
        self._completed = None
        place = self._follow(entry.path, last=False)
        if place == "/":
            return
        if place != entry.path:
            self._check_place(place, mounted=False)
            entry = _renamed(entry, place)
        existing = self._entries.get(place)
        if entry.is_symlink and self._target(entry) == place:
            # From one of a file's two names to the other.
            self._imply(str(PurePosixPath(place).parent))
            return
        if existing is None or (place in self._implied and entry.is_directory):
            self._implied.discard(place)
            self._entries[place] = entry
        elif entry.is_directory and self._is_directory(place):
            return
        elif existing != entry and not self._is_same(existing, entry):
            message = f"two different files are to be {place} in the guest"
            if name not in ("", place):
                message += f", where {name} leads"
            raise ImageError(message, _COLLISION)
        self._imply(str(PurePosixPath(place).parent))

    def _imply(self, path: str) -> None:
        """Have a directory and all above it."""
        for parent in (path, *map(str, PurePosixPath(path).parents)):
            if parent != "/" and parent not in self._entries:
                self._entries[parent] = cpio.directory(parent)
                self._implied.add(parent)

    def _is_same(self, one: cpio.Entry, other: cpio.Entry) -> bool:
        """Say whether two files of one path are the same, but for the way that leads there."""
        first, second = (self._behind(entry) for entry in (one, other))
        if isinstance(first, str) or isinstance(second, str):
            return first == second
        return _renamed(first, second.path) == second

    def _behind(self, entry: cpio.Entry) -> cpio.Entry | str:
        """Return a file, for a link what it leads to, or where that would be."""
        if not entry.is_symlink:
            return entry
        place = self._follow(self._target(entry))
        return self._entries.get(place, place)

    def _target(self, link: cpio.Entry) -> str:
        """Return where a symbolic link leads itself."""
        target = os.fsdecode(link.data)
        if not target.startswith("/"):
            target = f"{PurePosixPath(link.path).parent}/{target}"
        return self._follow(target, last=False)

    def _is_directory(self, path: str) -> bool:
        entry = self._at(path)
        return entry is not None and entry.is_directory

    @staticmethod
    def _check_place(path: str, *, mounted: bool = True) -> None:
        if any(path == name or path.startswith(f"{name}/") for name in _OWN):
            message = f"{path} is the image's own: the guest's first process, or what it needs"
            raise ImageError(message, "Leave it out, or give it another place with to=.")
        if mounted and _is_mounted(path):
            message = f"nothing can be added at {path}: the guest mounts something there"
            raise ImageError(message, "Give it another place: to='/opt/...'.")


def _raise(error: OSError) -> NoReturn:
    raise error


def _places(name: str) -> list[str]:
    """Return where a program of this name, or path, may be."""
    return [name] if name.startswith("/") else [f"{part}/{name}" for part in PATH]


def _plain(path: str) -> str:
    """Return an absolute path without empty parts and dots."""
    return "/" + os.path.normpath(path).lstrip("/")


def _native(text: str) -> str:
    """Return a path in the guest, which has UTF-8, as the system would give it to this process.

    A locale with another encoding must not decide about what is in an image.
    """
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def _is_mounted(path: str) -> bool:
    """Say whether something is in a directory that the guest mounts (not: is that directory)."""
    return any(path.startswith(f"{name}/") for name in _MOUNTED)


def _renamed(entry: cpio.Entry, path: str) -> cpio.Entry:
    return cpio.Entry(path, entry.mode, entry.data, entry.device, entry.owner)


def printable(path: str) -> str:
    r"""Return a path as text that any locale reads as the same; what is no UTF-8 is \\xNN."""
    return os.fsencode(path.replace("\\", "\\\\")).decode(errors="backslashreplace")


def digests(entries: Iterable[cpio.Entry]) -> dict[str, str]:
    """Return what each file is: type and mode, owner, device or hash of its bytes; by path."""
    ordered = sorted(entries, key=lambda entry: os.fsencode(entry.path))
    return {printable(entry.path): _digest(entry) for entry in ordered}


def _digest(entry: cpio.Entry) -> str:
    user, group = entry.owner
    text = f"{entry.mode:o} {user}:{group}"
    if entry.device != (0, 0):
        text += " {}:{}".format(*entry.device)
    if entry.data or stat.S_ISREG(entry.mode):
        text += f" {hashlib.sha256(entry.data).hexdigest()}"
    return text
