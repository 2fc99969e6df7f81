# SPDX-License-Identifier: GPL-2.0-only
"""Where Debian's packages come from."""

import hashlib
import os
from pathlib import Path

import pytest

from ns3_qemu import apt
from ns3_qemu.cache import Cache
from ns3_qemu.errors import AptError, StepError
from ns3_qemu.steps import Steps

DEB822 = """\
# A comment before everything
Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main
 contrib
# A comment between fields
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
"""


def test_a_sources_file_is_read() -> None:
    first, second = apt.parse_sources(DEB822)
    assert first.uri == "http://mirror.example.org/debian/"
    assert first.suites == ("bookworm", "bookworm-updates")
    assert first.components == ("main", "contrib")
    assert first.options["signed-by"].endswith("debian-archive-keyring.gpg")
    assert second.suites == ("bookworm-security",)


def test_each_uri_of_a_stanza_is_a_source() -> None:
    text = (
        "Types: deb\nURIs: http://a.example.org/debian http://b.example.org/debian\nSuites: sid\n"
    )
    assert [source.uri for source in apt.parse_sources(text)] == [
        "http://a.example.org/debian",
        "http://b.example.org/debian",
    ]


def test_a_disabled_stanza_is_none() -> None:
    assert apt.parse_sources("Enabled: no\n" + DEB822.partition("\n")[2].split("\n\n")[0]) == []


def test_a_list_file_is_read() -> None:
    text = (
        "# deb http://commented.example.org/debian bookworm main\n"
        "\n"
        "deb [ arch=amd64 signed-by=/keys/A.gpg ] http://a.example.org/debian sid main contrib\n"
        "deb-src http://b.example.org/debian\tbookworm main # why\n"
        "deb [trusted=yes] file:/srv/flat ./\n"
    )
    first, second, flat = apt.parse_list(text)
    assert first.uri == "http://a.example.org/debian"
    assert first.components == ("main", "contrib")
    assert first.options == {"arch": "amd64", "signed-by": "/keys/A.gpg"}
    assert second.uri == "http://b.example.org/debian"
    assert second.suites == ("bookworm",)
    assert flat.components == ()


def sources(*lines: str) -> list[apt.Source]:
    return apt.parse_list("\n".join(lines))


@pytest.mark.parametrize(
    "uri",
    [
        "http://mirror.example.org/debian",
        "https://mirror.example.org/debian/",
        "ftp://mirror.example.org/pub/linux/debian",
        "mirror+file:/etc/apt/mirrors/debian.list",
        "file:/srv/mirror/debian",
    ],
)
def test_the_mirror_is_the_machines_own(uri: str) -> None:
    assert apt.mirror(sources(f"deb {uri} bookworm main")) == uri


def test_the_security_archive_is_not_the_mirror() -> None:
    listed = sources(
        "deb http://mirror.example.org/debian-security bookworm-security main",
        "deb http://security.example.org/ bookworm/updates main",
        "deb http://mirror.example.org/debian bookworm main",
    )
    assert apt.mirror(listed) == "http://mirror.example.org/debian"


def test_an_archive_of_others_is_not_the_mirror() -> None:
    listed = sources(
        "deb cdrom:[Debian 12]/ bookworm main",
        "deb [signed-by=/keys/vendor.gpg] http://vendor.example.org/apt bookworm main",
        "deb http://vendor.example.org/node nodistro main",
        "deb http://vendor.example.org/pgdg bookworm-pgdg main",
        "deb http://mirror.example.org/debian bookworm contrib",
        "deb http://mirror.example.org/debian bookworm main",
    )
    assert apt.mirror(listed) == "http://mirror.example.org/debian"


def test_a_mirror_may_have_any_path() -> None:
    assert apt.mirror(sources("deb http://apt.example.org/cache trixie main")).endswith("cache")


def test_without_debian_among_the_sources_the_error_says_what_to_do() -> None:
    with pytest.raises(AptError, match="none of this machine's apt sources") as caught:
        apt.mirror(sources("deb http://vendor.example.org/apt stable-5 main"))
    assert "NS3_QEMU_DEBIAN_MIRROR" in caught.value.advice


def test_both_kinds_of_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example.org/debian sid main\n")
    (tmp_path / "sources.list.d" / "b.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "c.list").write_text("deb http://c.example.org/x sid main\n")
    (tmp_path / "sources.list.d" / "d.list.disabled").write_text("deb http://d/x sid main\n")
    hosts = [source.uri.split("/")[2][0] for source in apt.machine_sources(tmp_path)]
    assert hosts == ["a", "m", "m", "c"]


def test_debian_versions_are_compared_as_debian_does() -> None:
    assert apt.newest(["1:9.9-1", "1:10.0.2+ds-1", "1:10.0.13+ds-0+deb13u1"]).startswith(
        "1:10.0.13"
    )
    assert apt.newest(["6.1~rc1-1", "6.1-1", "6.1-1~bpo1"]) == "6.1-1"


# A small one with a key of its own, see its file `make`.
ARCHIVE = Path(__file__).parent / "data" / "archive"


def archive(directory: Path) -> None:
    """Make an archive with one empty list and no signature."""
    suite = directory / "dists" / "bookworm"
    packages = suite / "main" / "binary-amd64" / "Packages"
    packages.parent.mkdir(parents=True)
    packages.touch()
    digest = hashlib.sha256(b"").hexdigest()
    (suite / "Release").write_text(
        "Suite: bookworm\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n"
        f"Date: Sat, 01 Jan 2000 00:00:00 UTC\nSHA256:\n {digest} 0 main/binary-amd64/Packages\n"
    )


def test_an_archive_without_a_signature_is_refused(
    cache: Cache, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path / "debian")
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", f"file:{tmp_path}/debian")
    with pytest.raises(StepError, match="is not signed"):
        apt.Suite(cache, steps, "bookworm").binary_versions("anything")


def test_the_machines_apt_configuration_and_lists_stay_out(
    cache: Cache, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APT_CONFIG", "/nonexistent/apt.conf")
    with pytest.raises(StepError) as caught:
        apt.Suite(cache, steps, "bookworm").binary_versions("anything")
    # It was this suite at that mirror that apt asked for, and nothing else.
    fetched = [line for line in caught.value.log.read_text().splitlines() if line[:4] == "Err:"]
    assert len(fetched) == 1
    assert "/nonexistent/debian bookworm" in fetched[0]
    config = (cache.apt / "bookworm" / "apt.conf").read_text()
    assert f'Dir::State::lists "{cache.apt}/bookworm/lists"' in config
    assert os.environ["APT_CONFIG"] == "/nonexistent/apt.conf"


def test_a_mirror_that_fails_ends_with_what_to_do(cache: Cache, steps: Steps) -> None:
    with pytest.raises(StepError, match="package lists of Debian sid") as caught:
        apt.Suite(cache, steps, "sid").binary_versions("linux-image-cloud-amd64")
    assert "Check the network" in caught.value.advice


@pytest.mark.parametrize("check", [True, False])
def test_lists_that_have_expired_are_named_unless_the_machine_does_not_care(
    cache: Cache, steps: Steps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, check: bool
) -> None:
    config = tmp_path / "apt.conf"
    config.write_text(
        'Dir::Etc::main "/dev/null";\nDir::Etc::parts "/dev/null";\n'
        f'Acquire::Check-Valid-Until "{str(check).lower()}";\nAcquire::Max-ValidTime "60";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", f"copy:{ARCHIVE}")
    monkeypatch.setattr(apt, "KEYRING", ARCHIVE / "keyring.gpg")
    suite = apt.Suite(cache, steps, "bookworm")
    if not check:
        suite.refresh()
        return
    with pytest.raises(StepError, match="lists of Debian bookworm have expired") as caught:
        suite.refresh()
    assert "Check-Valid-Until" in caught.value.advice
