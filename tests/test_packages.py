# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages for guests: from a mirror that is made here, as apt itself takes them."""

import base64
import hashlib
import itertools
import os
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ns3_qemu import apt, cpio, image, packages
from ns3_qemu.accounts import Accounts, Directory, User
from ns3_qemu.cache import Cache
from ns3_qemu.elf import Loader
from ns3_qemu.errors import ImageError, Ns3QemuError
from ns3_qemu.maintainer import Deeds
from ns3_qemu.overlay import Overlay
from ns3_qemu.steps import Steps
from test_cpio import Member, read

SUITE = "bookworm"


class Mirror:
    """A Debian archive with packages of the tests' own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._parts = ("main", "contrib")
        for part in self._parts:
            (top / "pool" / part).mkdir(parents=True)
        self._numbers = itertools.count()

    def add(
        self,
        name: str,
        files: dict[str, str] | None = None,
        version: str = "1.0-1",
        postinst: str = "",
        part: str = "main",
        **fields: str,
    ) -> None:
        """Add a package; a file whose text begins with -> is a link, one whose path ends with / a
        directory."""
        root = self.top / f"build{next(self._numbers)}"
        (root / "DEBIAN").mkdir(parents=True)
        for path, text in {**(files or {}), "/usr/share/doc/x/copyright": "long"}.items():
            place = root / path.lstrip("/")
            (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
            if text.startswith("->"):
                place.symlink_to(text[2:])
            elif not path.endswith("/"):
                place.write_text(text)
                place.chmod(0o755 if "bin/" in path else 0o644)
        said = {"Package": name, "Version": version, "Architecture": "amd64", "Maintainer": "x"}
        said |= {key.replace("_", "-"): value for key, value in fields.items()}
        lines = "".join(f"{key}: {value}\n" for key, value in said.items())
        (root / "DEBIAN/control").write_text(f"{lines}Description: x\n")
        if postinst:
            (root / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{postinst}")
            (root / "DEBIAN/postinst").chmod(0o755)
        target = self.top / "pool" / part / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
        command = ["dpkg-deb", "--root-owner-group", "--build", root, target]
        subprocess.run(command, check=True, capture_output=True)

    def publish(self) -> None:
        """Let apt see what there is."""
        suite = self.top / "dists" / SUITE
        sums = ""
        for part in self._parts:
            lists = suite / part / "binary-amd64/Packages"
            lists.parent.mkdir(parents=True, exist_ok=True)
            scan = ["dpkg-scanpackages", "--multiversion", f"pool/{part}"]
            done = subprocess.run(scan, cwd=self.top, check=True, capture_output=True)
            lists.write_bytes(done.stdout)
            digest = hashlib.sha256(done.stdout).hexdigest()
            sums += f" {digest} {len(done.stdout)} {part}/binary-amd64/Packages\n"
        (suite / "Release").write_text(
            f"Suite: {SUITE}\nCodename: {SUITE}\nArchitectures: amd64\n"
            f"Components: {' '.join(self._parts)}\n"
            f"Date: Sat, 01 Jan 2000 00:00:00 UTC\nSHA256:\n{sums}"
        )


class Trusted:
    """In place of the keyring: this mirror needs no signature."""

    def exists(self) -> bool:
        return True

    def __str__(self) -> str:
        return "/usr/share/keyrings/debian-archive-keyring.gpg trusted=yes"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    made = Mirror(tmp_path / "debian")
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", f"file:{made.top}")
    monkeypatch.setattr(apt, "KEYRING", Trusted())
    return made


Take = Callable[..., list[str]]


@pytest.fixture
def take(mirror: Mirror, cache: Cache, steps: Steps) -> Take:
    """Take a package from the mirror; return the names of those that come."""

    def names(name: str, version: str | None = None, **options: bool) -> list[str]:
        mirror.publish()
        files = packages.ensure(cache, steps, name, version, suite=SUITE, **options)
        return sorted(file.name.partition("_")[0] for file in files)

    return names


# --- which packages -------------------------------------------------------------------------------


def test_a_package_comes_with_what_it_depends_on(mirror: Mirror, take: Take) -> None:
    mirror.add("tool", Depends="libtool1 (>= 1.0), cron | other", Recommends="nothing")
    mirror.add("libtool1", Pre_Depends="libdeep, virtual")
    mirror.add("libdeep")
    mirror.add("real", Provides="virtual")
    mirror.add("other")
    mirror.add("nothing")
    mirror.add("unrelated")
    assert take("tool") == ["libdeep", "libtool1", "other", "real", "tool"]


@pytest.mark.parametrize("parts", [("main",), ("main", "contrib")])
def test_packages_come_from_the_parts_of_debian_that_the_machine_uses(
    mirror: Mirror, take: Take, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...]
) -> None:
    mirror.add("libtool1")
    mirror.add("tool", part="contrib", Depends="libtool1")
    source = apt.Source(f"file:{mirror.top}", (SUITE,), parts)
    monkeypatch.delenv("NS3_QEMU_DEBIAN_MIRROR")
    monkeypatch.setattr(apt, "machine_sources", lambda: [source])
    if "contrib" in parts:
        assert take("tool") == ["libtool1", "tool"]
    else:
        with pytest.raises(ImageError, match="has no package tool") as caught:
            take("tool")
        assert "Looked at: main, the parts" in caught.value.advice


def test_what_sets_a_machine_up_stays_out_with_what_only_it_needs(
    mirror: Mirror, take: Take
) -> None:
    mirror.add("tool", Depends="adduser, libtool1", Pre_Depends="init-system-helpers")
    mirror.add("adduser", Depends="passwd, libcommon")
    mirror.add("passwd", Depends="libonly")
    mirror.add("init-system-helpers")
    mirror.add("libonly")
    mirror.add("libcommon")
    mirror.add("libtool1", Depends="libcommon")
    assert take("tool") == ["libcommon", "libtool1", "tool"]


def test_what_each_host_has_comes_along_but_nothing_for_it(mirror: Mirror, take: Take) -> None:
    mirror.add("tool")
    mirror.add("netbase")
    mirror.add("ca-certificates", Depends="openssl")
    mirror.add("openssl")
    assert take("tool") == ["ca-certificates", "netbase", "tool"]


def test_modules_of_pam_come_with_its_library_and_ask_unixs_own_users(
    mirror: Mirror, take: Take, cache: Cache, steps: Steps
) -> None:
    template = "# x\n$auth_primary\nauth requisite pam_deny.so\n$auth_additional\n"
    mirror.add("tool", Depends="libpam0g")
    mirror.add("libpam0g")
    mirror.add("libpam-modules")
    mirror.add("libpam-runtime", {"/usr/share/pam/common-auth": template})
    mirror.add("other")
    assert take("tool") == ["libpam-modules", "libpam-runtime", "libpam0g", "tool"]
    assert take("other") == ["other"]
    overlay = Overlay()
    overlay.add_packages(packages.read(packages.ensure(cache, steps, "tool", suite=SUITE)), "tool")
    assert members(overlay)["etc/pam.d/common-auth"].data == (
        b"# x\nauth [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n"
        b"auth requisite pam_deny.so\n\n"
    )


def test_the_newest_version_is_taken_unless_another_is_named(mirror: Mirror, take: Take) -> None:
    mirror.add("tool", version="9.1-1", Depends="old")
    mirror.add("tool", version="1:1.0-1", Depends="new")
    mirror.add("new")
    mirror.add("old")
    assert take("tool") == ["new", "tool"]
    assert take("tool", "9.1-1") == ["old", "tool"]


def test_what_is_in_the_cache_is_taken_until_something_newer_is_wanted(
    mirror: Mirror, take: Take, cache: Cache
) -> None:
    mirror.add("tool", version="1.0-1")
    take("tool")
    mirror.add("tool", version="1.0-2", Depends="more")
    mirror.add("more")
    assert take("tool") == ["tool"]
    # Lists are fetched anew after a day, and apt looks for what has changed by its time.
    (cache.apt / SUITE / "updated").unlink()
    os.utime(mirror.top / "dists" / SUITE / "Release", (2e9, 2e9))
    assert take("tool", refresh=True) == ["more", "tool"]
    assert take("tool") == ["more", "tool"]


def test_a_refresh_renews_what_a_package_depends_on(
    mirror: Mirror, take: Take, cache: Cache, steps: Steps
) -> None:
    mirror.add("tool", Depends="libtool1")
    mirror.add("libtool1", version="1.0-1")
    take("tool")
    mirror.add("libtool1", version="1.0-2", Depends="libmore")
    mirror.add("libmore")
    (cache.apt / SUITE / "updated").unlink()
    os.utime(mirror.top / "dists" / SUITE / "Release", (2e9, 2e9))
    assert take("tool") == ["libtool1", "tool"]
    assert take("tool", refresh=True) == ["libmore", "libtool1", "tool"]
    files = packages.ensure(cache, steps, "tool", suite=SUITE)
    assert "libtool1_1.0-2_amd64.deb" in {file.name for file in files}


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("none", None, "Debian bookworm has no package none"),
        ("tool", "7", r"Debian bookworm has no package tool 7"),
        ("Tool x", None, "not the name of a Debian package: 'Tool x'"),
        ("broken", None, "apt cannot install broken"),
    ],
)
def test_what_there_is_not_is_an_error(
    mirror: Mirror, take: Take, name: str, version: str | None, message: str
) -> None:
    mirror.add("tool")
    mirror.add("broken", Depends="gone")
    with pytest.raises(Ns3QemuError, match=message):
        take(name, version)


# --- what is in the guest -------------------------------------------------------------------------


@pytest.fixture
def brought(mirror: Mirror, cache: Cache, steps: Steps, tmp_path: Path) -> Callable[..., Overlay]:
    """Add a package to files of a guest that is taken from a machine without users."""

    def add(name: str, overlay: Overlay | None = None) -> Overlay:
        mirror.publish()
        if overlay is None:
            overlay = Overlay(Loader(tmp_path / "no-host"))
        overlay.add_packages(packages.read(packages.ensure(cache, steps, name, suite=SUITE)), name)
        return overlay

    return add


def members(overlay: Overlay) -> dict[str, Member]:
    return read(cpio.archive(overlay.entries([])))


def test_a_packages_files_are_where_debian_has_them(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    mirror.add(
        "tool",
        {
            "/bin/tool": "#!/nothing",
            "/usr/bin/tool": "->/bin/tool",
            "/usr/sbin/other": "->../bin/tool",
            "/etc/tool.conf": "as packaged",
            "/usr/share/man/man1/tool.1": "long",
            "/usr/share/locale/de/x": "lang",
            "/etc/init.d/tool": "start",
            "/run/tool/": "",
        },
    )
    found = members(brought("tool"))
    assert found["usr/bin/tool"].data == b"#!/nothing"
    assert found["usr/bin/tool"].mode == stat.S_IFREG | 0o755
    assert found["bin"].data == b"usr/bin"
    assert found["etc/tool.conf"].data == b"as packaged"
    assert not [path for path in found if "share/" in path or "init.d/" in path or "run/" in path]


@pytest.mark.parametrize("before", [True, False])
def test_a_users_file_counts_more_than_a_packages(
    mirror: Mirror, brought: Callable[..., Overlay], tmp_path: Path, before: bool
) -> None:
    mirror.add("tool", {"/etc/tool.conf": "as packaged", "/etc/other.conf": "as packaged"})
    overlay = Overlay(Loader(tmp_path / "no-host"))
    if before:
        overlay.write("/etc/tool.conf", "mine")
    brought("tool", overlay)
    if not before:
        overlay.write("/etc/tool.conf", "mine")
    found = members(overlay)
    assert found["etc/tool.conf"].data == b"mine"
    assert found["etc/other.conf"].data == b"as packaged"


def test_a_packages_system_user_has_its_files_and_directories(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    mirror.add(
        "tool",
        {
            "/etc/tool/tool.conf": "x",
            "/var/lib/tool/": "",
            "/usr/lib/tmpfiles.d/tool.conf": "d /run/tool 2750 _tool adm\n",
            "/lib/systemd/system/tool.service": (
                "[Service]\nUser=_tool\nStateDirectory=tool/state\nStateDirectoryMode=0700\n"
            ),
        },
        postinst="adduser --system --group --quiet --home /var/lib/tool \\\n   _tool\n",
    )
    found = members(brought("tool"))
    assert b"\n_tool:x:101:101::/var/lib/tool:/usr/sbin/nologin\n" in found["etc/passwd"].data
    assert found["etc/group"].data.endswith(b"\n_tool:x:101:\n")
    assert found["etc/tool/tool.conf"].owner == (0, 101)
    assert found["var/lib/tool"].owner == (101, 101)
    state = found["var/lib/tool/state"]
    assert (state.owner, state.mode) == ((101, 101), stat.S_IFDIR | 0o700)
    # The guest mounts a file system at /run: the relay makes what is below.
    assert found["etc/ns3-qemu/directories"].data == b"2750 101 4 /run/tool\n"


def test_a_packages_alternatives_and_copied_configuration_are_in_place(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    mirror.add(
        "tool",
        {
            "/usr/sbin/tool-old": "old",
            "/usr/sbin/tool-new": "new",
            "/usr/sbin/tool-new-save": "save",
            "/usr/share/tool/conf": "as packaged",
        },
        postinst=(
            "update-alternatives --install /usr/sbin/tool tool /usr/sbin/tool-new 20 \\\n"
            "  --slave /usr/sbin/tool-save tool-save /usr/sbin/tool-new-save\n"
            "update-alternatives --install /usr/sbin/tool tool /usr/sbin/tool-old 10\n"
            "if command -v ucf >/dev/null; then ucf --three-way /usr/share/tool/conf /etc/x; fi\n"
        ),
    )
    found = members(brought("tool"))
    assert found["usr/sbin/tool"].data == b"/usr/sbin/tool-new"
    assert found["usr/sbin/tool-save"].data == b"/usr/sbin/tool-new-save"
    assert found["etc/x"].data == b"as packaged"


def test_what_a_package_makes_of_its_files_is_in_place(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    """As openssh-server, nginx, bird and frr do it."""
    mirror.add(
        "tool",
        {"/usr/share/tool/conf": "as packaged", "/etc/tool/a": "a", "/usr/share/tool/index": "x"},
        postinst="""\
adduser --system --group tool
make_conf() {
	name="$1"
	new="$(mktemp)"
	cp -aZ /usr/share/tool/conf "$new"
	if [ "$RET" != true ]; then
		sed -i s/as/not/ "$new"
		ln -s /usr/share/tool/conf /etc/tool/only-if-asked
	fi
	ucf --three-way --sum-file /usr/share/tool/md5 "$new" /etc/tool/$name
}
case "$1" in
configure)
	make_conf tool.conf
	if ! dpkg-statoverride --list /etc/tool/tool.conf >/dev/null; then
		dpkg-statoverride --update --add tool adm 0640 /etc/tool/tool.conf
	fi
	[ -e /etc/tool/on ] || ln -s ../tool/a /etc/tool/on
	install -d -m 2775 -o tool -g tool /var/run/tool /var/lib/state
	touch /var/log/tool.log
	chown tool: /var/log/tool.log 2>/dev/null
	chmod u=rw,go-rwx /var/log/tool.log
	mkdir -p /srv/www
	cp /usr/share/tool/index /srv/www
	;;
esac
""",
    )
    found = members(brought("tool"))
    conf, log = found["etc/tool/tool.conf"], found["var/log/tool.log"]
    assert (conf.data, conf.owner, conf.mode & 0o7777) == (b"as packaged", (101, 4), 0o640)
    assert "etc/tool/only-if-asked" not in found
    assert found["etc/tool/on"].data == b"../tool/a"
    assert (log.data, log.owner, log.mode & 0o7777) == (b"", (101, 101), 0o600)
    assert (found["var/lib/state"].owner, found["var/lib/state"].mode & 0o7777) == (
        (101, 101),
        0o2775,
    )
    assert found["etc/ns3-qemu/directories"].data == b"2775 101 101 /run/tool\n"
    assert found["srv/www/index"].data == b"x"


def test_alternatives_that_a_loop_or_a_function_chooses_are_in_place(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    """As openjdk and procps do it."""
    mirror.add(
        "tool",
        {"/usr/lib/tool/one": "1", "/usr/lib/tool/two": "2", "/bin/three.tool": "3"},
        postinst="""\
base=/usr/lib/tool
tools='one two'
priority=17
if [ "$DPKG_MAINTSCRIPT_ARCH" != $(dpkg --print-architecture) ]; then
	priority=$(expr $priority - 1)
fi
for i in $tools; do
	unset man || true
	update-alternatives --install /usr/bin/$i $i $base/$i $priority $man
done
choose() {
	NAME="$1"
	shift
	update-alternatives --install "$1"/"$NAME" "$NAME" "$1"/"$NAME".tool 50
}
choose three /bin
""",
    )
    found = members(brought("tool"))
    assert found["usr/bin/one"].data == b"/usr/lib/tool/one"
    assert found["usr/bin/two"].data == b"/usr/lib/tool/two"
    assert found["usr/bin/three"].data == b"/bin/three.tool"


def test_what_a_user_has_put_there_stays_whose_it_is(
    mirror: Mirror, brought: Callable[..., Overlay], tmp_path: Path
) -> None:
    mirror.add("tool", {"/etc/tool": "x"}, postinst="chown daemon:daemon /etc/tool\n")
    overlay = Overlay(Loader(tmp_path / "no-host"))
    overlay.write("/etc/tool", "mine", 0o600)
    mine = members(brought("tool", overlay))["etc/tool"]
    assert (mine.data, mine.owner, mine.mode & 0o777) == (b"mine", (0, 0), 0o600)


def test_of_a_package_in_two_versions_the_newest_counts(
    mirror: Mirror, brought: Callable[..., Overlay], cache: Cache
) -> None:
    mirror.add("new", Depends="libx")
    mirror.add("libx", {"/usr/lib/libx.so": "new", "/usr/lib/libx.so.2": "new"}, version="2.0-1")
    overlay = brought("new")
    (mirror.top / "pool/main/libx_2.0-1_amd64.deb").unlink()
    (cache.apt / SUITE / "updated").unlink()
    mirror.add("old", Depends="libx")
    mirror.add("libx", {"/usr/lib/libx.so": "old", "/usr/lib/libx.so.1": "old"}, version="1.0-1")
    os.utime(mirror.top / "dists" / SUITE, None)
    found = members(brought("old", overlay))
    assert found["usr/lib/libx.so"].data == b"new"
    assert "usr/lib/libx.so.1" not in found


def test_a_version_that_a_user_names_counts_more() -> None:
    old, new = packages.Contents(versions={"x": "1.0"}), packages.Contents(versions={"x": "2.0"})
    assert packages.outdated([old, new, new]) == [{"x"}, set(), set()]
    old.wanted = "x"
    assert packages.outdated([old, new]) == [set(), {"x"}]


def test_what_a_script_runs_of_its_programs_is_said(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    mirror.add(
        "tool",
        {"/usr/bin/make-key": "x", "/usr/bin/ask": "x"},
        postinst="if ask --well; then\n\tmake-key /etc/key\nfi\nsed s/x/y/ /etc/x\n",
        Depends="base",
    )
    mirror.add("base", {"/usr/bin/sed": "x"}, Essential="yes")
    assert brought("tool").not_run == {"tool": ["make-key"]}


def test_javas_programs_find_the_certificates_of_authorities(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    body = base64.b64encode(b"a certificate").decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    mirror.add("ca-certificates-java", Depends="ca-certificates")
    mirror.add("ca-certificates", {"/usr/share/ca-certificates/mozilla/A.crt": pem})
    data = members(brought("ca-certificates-java"))["etc/ssl/certs/java/cacerts"].data
    assert struct.unpack_from(">III", data) == (0xFEEDFEED, 2, 1)
    assert b"debian:a.crt" in data
    assert data[:-20].endswith(struct.pack(">I", 13) + b"a certificate")


def test_the_certificates_of_authorities_are_where_programs_look(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    top = "/usr/share/ca-certificates/mozilla"
    mirror.add("ca-certificates", {f"{top}/B.crt": "two\n", f"{top}/A.crt": "one"})
    found = members(brought("ca-certificates"))
    assert found["etc/ssl/certs/ca-certificates.crt"].data == b"one\ntwo\n"


def test_a_packages_script_brings_a_shell(mirror: Mirror, brought: Callable[..., Overlay]) -> None:
    mirror.add("tool", {"/usr/bin/tool": "#!/bin/sh\necho\n"})
    found = members(brought("tool"))
    assert found["usr/bin/sh"].data == b"dash"
    assert found["usr/bin/dash"].data == Path("/bin/dash").read_bytes()


def test_that_shell_runs_with_the_packages_own_libraries(
    mirror: Mirror, brought: Callable[..., Overlay]
) -> None:
    libc, loader = "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib64/ld-linux-x86-64.so.2"
    mirror.add("tool", {"/usr/bin/tool": "#!/bin/sh\n", libc: "a newer one", loader: "its own"})
    found = members(brought("tool"))
    assert found["usr/bin/dash"].data == Path("/bin/dash").read_bytes()
    assert found[libc.lstrip("/")].data == b"a newer one"
    assert found[loader.lstrip("/")].data == b"its own"


def test_users_of_a_root_file_system_keep_their_numbers(
    mirror: Mirror, brought: Callable[..., Overlay], tmp_path: Path
) -> None:
    mirror.add("tool", {"/var/lib/tool/": ""}, postinst="adduser --system --group tool\n")
    overlay = Overlay(Loader(tmp_path / "no-host"))
    overlay.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
    found = members(brought("tool", overlay))
    assert found["etc/passwd"].data == b"root:x:0:0::/:/bin/sh\n"
    assert found["var/lib/tool"].owner == (0, 0)


def test_an_image_says_which_packages_are_in_it_and_has_memory_for_them(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    monkeypatch.setenv("NS3_QEMU_HOME", str(cache.root))
    mirror.add("tool", {"/opt/large": "x" * 20_000_000})
    mirror.publish()
    wanted = image.Image()
    plain = image.settled(wanted).memory_mib or 0
    wanted.add_package("tool", suite=SUITE)
    assert wanted.overlay.sources == ("package tool",)
    assert (image.settled(wanted).memory_mib or 0) > plain + 3 * 19


# --- what a package does besides unpacking --------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "user"),
    [
        ("adduser --system a", User("a", "nogroup")),
        ("adduser --system --group --no-create-home a", User("a", "a")),
        (
            (
                "/usr/sbin/adduser --quiet --system --ingroup g \\\n"
                "  --gecos 'A daemon' --home /nonexistent --shell /bin/false a || true"
            ),
            User("a", "g", "/nonexistent", "A daemon", "/bin/false"),
        ),
        ("if ! getent passwd a >/dev/null; then adduser --system a; fi", User("a", "nogroup")),
        ('U="a"\nadduser --system ${U}', User("a", "nogroup")),
        ("useradd -r -g g -d /srv -s /bin/sh -c A a", User("a", "g", "/srv", "A", "/bin/sh")),
        ("useradd --system --home=/srv a", User("a", "a", "/srv")),
    ],
)
def test_users_are_read_from_a_script(script: str, user: User) -> None:
    deeds = Deeds()
    deeds.read_script(f"#!/bin/sh\nset -e\n{script}\n")
    assert deeds.wanted.users == {"a": user}


@pytest.mark.parametrize(
    "script", ["adduser --system $3", 'adduser --system "$(name)"', "# adduser --system a", "echo"]
)
def test_what_only_running_a_script_would_tell_is_left_out(script: str) -> None:
    deeds = Deeds()
    deeds.read_script(script)
    assert deeds.wanted.users == {}


def test_groups_and_their_members_are_read_from_a_script() -> None:
    deeds = Deeds()
    deeds.read_script(
        "addgroup --system g\ngroupadd -r h\nadduser --system --ingroup g a\n"
        "usermod -a -G h a\nadduser a i\nfor d in /var/log/a /srv/a; do mkdir -p $d; done\n"
    )
    assert deeds.wanted.groups == {"g", "h"}
    assert deeds.wanted.members == {("h", "a"), ("i", "a")}
    assert {"/var/log/a", "/srv/a"} <= set(deeds.wanted.directories)


def test_sysusers_are_read() -> None:
    deeds = Deeds()
    deeds.read_sysusers('# x\nu a - "A daemon" /srv\nu b 33:g\ng h -\nm a h\n')
    assert deeds.wanted.users == {
        "a": User("a", "a", "/srv", "A daemon"),
        "b": User("b", "g", "/"),
    }
    assert deeds.wanted.groups == {"h"}
    assert deeds.wanted.members == {("h", "a")}


def test_tmpfiles_are_read() -> None:
    deeds = Deeds()
    deeds.read_tmpfiles("d /var/run/a 0750 a b -\nD /run/c - - -\nf /run/x\nd /run/%u\n")
    assert list(deeds.wanted.directories.values()) == [
        Directory("/run/a", 0o750, "a", "b"),
        Directory("/run/c"),
    ]


def test_numbers_do_not_depend_on_an_order() -> None:
    one, two = Deeds(), Deeds()
    one.read_script("addgroup --system x\naddgroup --system y\nadduser --system a\n")
    two.read_script("adduser --system a\naddgroup --system y\naddgroup --system x\n")
    first, second = Accounts(one.wanted), Accounts(two.wanted)
    assert (first.passwd(), first.group()) == (second.passwd(), second.group())
    assert first.group().endswith("x:x:102:\ny:x:103:\n")


def test_what_is_no_package_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_text("no package")
    with pytest.raises(ImageError, match="is not a Debian package"):
        packages.read([tmp_path / "x.deb"])
