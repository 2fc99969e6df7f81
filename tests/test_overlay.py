# SPDX-License-Identifier: GPL-2.0-only
"""What a user adds to an image: programs with what they need, trees, root file systems."""

import io
import os
import socket
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ns3_qemu import cpio, image
from ns3_qemu.elf import Loader
from ns3_qemu.errors import ImageError
from ns3_qemu.overlay import Overlay
from test_cpio import Member, read

OWN = [
    cpio.file("/init", b"the relay", 0o755),
    cpio.file("/lib/modules/virtio.ko", b"a module"),
    cpio.directory("/etc"),
    cpio.directory("/tmp"),
]

Compile = Callable[..., Path]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory whose path a guest can have, too: it mounts a file system at /tmp."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    """Build a program or library: name, then compiler options."""

    def build(name: str, *options: str | Path, source: str = "", compiler: str = "gcc") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        text = source or (
            "int f(void){return 0;}" if ".so" in name else "int main(void){return 0;}"
        )
        subprocess.run(
            [compiler, "-x", "c", "-", "-x", "none", "-o", file, *options],
            input=text,
            check=True,
            text=True,
        )
        return file

    return build


def members(overlay: Overlay) -> dict[str, Member]:
    return read(cpio.archive(overlay.entries(OWN)))


def of(path: str | Path, to: str | None = None) -> dict[str, Member]:
    overlay = Overlay()
    overlay.add(path, to)
    return members(overlay)


def resolve(found: dict[str, Member], path: str) -> str:
    """Follow symbolic links as the guest's kernel does; fails where one leads to nothing."""
    current = ""
    pending = path.strip("/").split("/")
    for _ in range(200):
        if not pending:
            return current
        name = pending.pop(0)
        if name == "..":
            current = current.rpartition("/")[0]
            continue
        here = f"{current}/{name}".lstrip("/")
        member = found[here]
        if stat.S_ISLNK(member.mode):
            target = member.data.decode()
            current = "" if target.startswith("/") else current
            pending = target.strip("/").split("/") + pending
        else:
            current = here
    pytest.fail(f"{path} is behind a loop")


def names(found: dict[str, Member]) -> set[str]:
    return {Path(path).name for path in found}


# --- programs -------------------------------------------------------------------------------------


def test_a_program_brings_its_loader_and_all_libraries():
    found = of("/usr/bin/iperf3")
    said = subprocess.run(["ldd", "/usr/bin/iperf3"], capture_output=True, text=True, check=True)
    wanted = [word for word in said.stdout.split() if word.startswith("/")]
    assert len(wanted) > 3
    for path in [*wanted, "/usr/bin/iperf3"]:
        assert found[resolve(found, path)].data == Path(path).read_bytes()
    assert found["usr/bin/iperf3"].mode == stat.S_IFREG | 0o755


def test_what_ends_a_thread_comes_with_the_c_library():
    assert "libgcc_s.so.1" in names(of("/usr/bin/iperf3"))


def test_symbolic_links_to_a_program_stay_links(compiled: Compile, tmp_path: Path):
    program = compiled("real/program")
    (tmp_path / "bin").symlink_to("real")
    (tmp_path / "real/alias").symlink_to("program")
    found = of(tmp_path / "bin/alias")
    top = str(tmp_path).lstrip("/")
    assert found[f"{top}/bin"].data == b"real"
    assert found[f"{top}/real/alias"].data == b"program"
    assert resolve(found, f"{top}/bin/alias") == str(program).lstrip("/")


def test_a_library_beside_the_program_moves_with_it(compiled: Compile):
    library = compiled("lib/libown.so", "-shared", "-Wl,-soname,libown.so")
    program = compiled("bin/p", "-Wl,--no-as-needed", library, "-Wl,-rpath,$ORIGIN/../lib")
    found = of(program, to="/opt/bin/p")
    assert found["opt/lib/libown.so"].data == library.read_bytes()
    assert not any(path.endswith("lib/libown.so") and "opt" not in path for path in found)


def test_a_library_is_found_by_the_old_search_path_of_its_program(compiled: Compile):
    inner = compiled("inner/libinner.so", "-shared", "-Wl,-soname,libinner.so")
    outer = compiled(
        "outer/libouter.so", "-shared", "-Wl,-soname,libouter.so", "-Wl,--no-as-needed", inner
    )
    path = f"-Wl,--disable-new-dtags,-rpath,{inner.parent}:{outer.parent}"
    program = compiled("p", path, "-Wl,--no-as-needed", outer, f"-Wl,-rpath-link,{inner.parent}")
    assert {"libinner.so", "libouter.so"} <= names(of(program))


def test_a_newer_search_path_is_not_for_other_libraries(compiled: Compile):
    inner = compiled("inner/libinner.so", "-shared", "-Wl,-soname,libinner.so")
    outer = compiled(
        "outer/libouter.so", "-shared", "-Wl,-soname,libouter.so", "-Wl,--no-as-needed", inner
    )
    path = f"-Wl,--enable-new-dtags,-rpath,{inner.parent}:{outer.parent}"
    program = compiled("p", path, "-Wl,--no-as-needed", outer, f"-Wl,-rpath-link,{inner.parent}")
    with pytest.raises(ImageError, match=r"needs the library libinner\.so \(through .*libouter"):
        Overlay().add(program)


def test_a_library_of_a_listed_directory_is_found_in_the_guest_without_the_list(
    compiled: Compile, tmp_path: Path
):
    library = compiled("special/liblisted.so", "-shared", "-Wl,-soname,liblisted.so")
    program = compiled("p", "-Wl,--no-as-needed", library)
    etc = tmp_path / "etc"
    (etc / "ld.so.conf.d").mkdir(parents=True)
    (etc / "ld.so.conf").write_text("# comment\ninclude /etc/ld.so.conf.d/*.conf\n")
    (etc / "ld.so.conf.d/special.conf").write_text(f"{library.parent}\n")
    overlay = Overlay(Loader(tmp_path))
    overlay.add(program)
    found = members(overlay)
    beside = Path(resolve(found, "/lib/x86_64-linux-gnu/libc.so.6")).parent / "liblisted.so"
    assert found[resolve(found, str(beside))].data == library.read_bytes()


def test_a_missing_library_is_an_error(compiled: Compile):
    library = compiled("gone/libgone.so", "-shared", "-Wl,-soname,libgone.so")
    program = compiled("p", "-Wl,--no-as-needed", library)
    with pytest.raises(ImageError, match=r"p needs the library libgone\.so, which is not on this"):
        Overlay().add(program)


def test_a_static_program_comes_alone(compiled: Compile):
    program = compiled("static", "-static", compiler="musl-gcc")
    overlay = Overlay()
    overlay.add(program, to="/bin/static")
    found = members(overlay)
    programs = {path for path, member in found.items() if member.mode & 0o111 and member.data}
    assert {path for path in programs if not stat.S_ISLNK(found[path].mode)} == {
        "init",
        "usr/bin/static",
    }


def test_a_program_for_musl_brings_musls_loader(compiled: Compile):
    found = of(compiled("dynamic", compiler="musl-gcc"), to="/bin/dynamic")
    assert resolve(found, "/lib/ld-musl-x86_64.so.1")
    assert "libc.so.6" not in names(found)


def test_a_script_brings_its_interpreter(tmp_path: Path):
    (tmp_path / "script").write_text("#!/bin/sh -e\necho\n")
    found = of(tmp_path / "script", to="/script")
    assert found[resolve(found, "/bin/sh")].data == Path("/bin/sh").read_bytes()
    assert "libc.so.6" in names(found)


def test_a_script_for_env_brings_env_and_the_program(tmp_path: Path):
    (tmp_path / "script").write_text("#!/usr/bin/env -S LC_ALL=C bash -e\necho\n")
    found = of(tmp_path / "script", to="/script")
    assert resolve(found, "/usr/bin/env")
    assert resolve(found, "/usr/bin/bash")


def with_busybox_as_shell() -> Overlay:
    overlay = Overlay()
    overlay.add("/bin/busybox")
    overlay.link("/bin/sh", "busybox")
    return overlay


def script(directory: Path, line: str = "/bin/sh") -> Path:
    file = directory / "script"
    file.write_text(f"#!{line}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize("line", ["/bin/sh", "/usr/bin/sh -e", "/usr/bin/env sh"])
def test_a_script_runs_in_the_shell_that_the_guest_has(tmp_path: Path, line: str):
    overlay = with_busybox_as_shell()
    overlay.link("/usr/bin/env", "busybox")
    overlay.add(script(tmp_path, line))
    found = members(overlay)
    assert resolve(found, "/bin/sh") == "usr/bin/busybox"
    assert not {"dash", "libc.so.6"} & names(found)


def test_a_script_in_a_tree_runs_in_the_shell_that_the_guest_has(tmp_path: Path):
    overlay = with_busybox_as_shell()
    overlay.add(script(tmp_path).parent, to="/opt/scripts")
    assert resolve(members(overlay), "/bin/sh") == "usr/bin/busybox"


def test_it_does_not_matter_whether_the_shell_comes_before_the_script(tmp_path: Path):
    before = with_busybox_as_shell()
    before.add(script(tmp_path))
    after = Overlay()
    after.add(script(tmp_path))
    assert "/bin/sh" in after
    after.link("/bin/sh", "busybox")
    after.add("/bin/busybox")
    assert members(after) == members(before)


def test_an_interpreter_that_cannot_be_brought_is_named_with_its_script(tmp_path: Path):
    top = system(tmp_path)
    (top / "usr/lib/x86_64-linux-gnu").mkdir()
    (top / "usr/lib/x86_64-linux-gnu/libc.so.6").write_bytes(b"another")
    overlay = Overlay()
    overlay.add_rootfs(top)
    overlay.add(script(tmp_path))
    with pytest.raises(ImageError, match=r"script needs the interpreter /bin/sh, and two differe"):
        members(overlay)


@pytest.mark.parametrize("interpreter", ["/no/such/sh", "/usr/bin/env no-such-program"])
def test_a_missing_interpreter_is_an_error(tmp_path: Path, interpreter: str):
    (tmp_path / "script").write_text(f"#!{interpreter}\n")
    missing = interpreter.rpartition(" ")[2]
    with pytest.raises(ImageError, match=f"needs the interpreter {missing}, which is not on"):
        Overlay().add(tmp_path / "script")


def test_a_program_for_another_machine_is_an_error(compiled: Compile):
    program = compiled("p")
    data = bytearray(program.read_bytes())
    data[18:20] = (183).to_bytes(2, "little")  # EM_AARCH64
    program.write_bytes(data)
    with pytest.raises(ImageError, match=r"p is for AArch64 \(64 bit\)"):
        Overlay().add(program)


def test_a_broken_program_is_an_error(tmp_path: Path):
    data = bytearray(Path("/usr/bin/iperf3").read_bytes()[:3000])
    for length in (5, 60, 200):
        (tmp_path / "p").write_bytes(data[:length])
        with pytest.raises(ImageError, match="p is a broken ELF file"):
            Overlay().add(tmp_path / "p")


# --- one file, two names --------------------------------------------------------------------------

MERGED = ("bin", "sbin", "lib", "lib64")


@pytest.mark.parametrize("name", MERGED)
def test_a_file_has_the_same_two_names_as_on_debian(name: str):
    for place in (f"/{name}/x", f"/usr/{name}/x"):
        found = of("/etc/hosts", to=place)
        assert resolve(found, f"/{name}/x") == resolve(found, f"/usr/{name}/x")
    # Whatever was added, the other directories are there as well.
    assert {found[other].data.decode() for other in MERGED} == {f"usr/{other}" for other in MERGED}
    assert all(stat.S_ISDIR(found[f"usr/{other}"].mode) for other in MERGED)


def test_a_file_that_is_added_by_both_of_its_names_is_one():
    overlay = Overlay()
    for path in ("/usr/bin/busybox", "/bin/busybox"):
        overlay.add(path)
    overlay.link("/bin/sh", "busybox")
    overlay.link("/usr/bin/sh", "/bin/busybox")
    overlay.add("/bin/busybox", to="/bin/sh")
    assert resolve(members(overlay), "/bin/sh") == "usr/bin/busybox"


def test_a_link_from_one_of_a_files_names_to_the_other_is_that_file():
    for first in (True, False):
        overlay = Overlay()
        if first:
            overlay.link("/usr/sbin/tool", "/sbin/tool")
        overlay.add("/etc/hosts", to="/sbin/tool")
        overlay.link("/usr/sbin/tool", "/sbin/tool")
        assert members(overlay)["usr/sbin/tool"].data == Path("/etc/hosts").read_bytes()


def test_another_file_behind_a_link_is_an_error_that_names_both():
    overlay = with_busybox_as_shell()
    with pytest.raises(ImageError, match="to be /usr/bin/busybox in the guest, where /usr/bin/sh"):
        overlay.add("/bin/sh")


def test_a_root_file_system_that_has_its_directories_apart_keeps_them_so(tmp_path: Path):
    top = tmp_path / "root"
    for name in ("bin", "usr/bin"):
        (top / name).mkdir(parents=True)
    overlay = Overlay()
    overlay.add_rootfs(top)
    overlay.write("/bin/x", "x")
    found = members(overlay)
    assert stat.S_ISDIR(found["bin"].mode)
    assert "usr/bin/x" not in found
    assert "sbin" not in found


# --- files and directories ------------------------------------------------------------------------


def test_what_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(ImageError, match=f"there is no {tmp_path}/none"):
        Overlay().add(tmp_path / "none")
    (tmp_path / "dangling").symlink_to("none")
    with pytest.raises(ImageError, match="there is no"):
        Overlay().add(tmp_path / "dangling")
    with pytest.raises(ImageError, match="there is no"):
        Overlay().add(tmp_path / "dangling", to="/x")


def test_what_is_neither_file_nor_directory_is_an_error(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ImageError, match="neither a file nor a directory"):
        Overlay().add(tmp_path / "fifo")


def test_a_tree_comes_as_it_is(compiled: Compile, tmp_path: Path):
    top = tmp_path / "tree"
    compiled("tree/bin/program").chmod(0o4711)
    (top / "empty").mkdir(mode=0o700)
    (top / ".hidden").write_text("data")
    (top / "link").symlink_to("/somewhere/else")
    (top / "there").symlink_to("bin")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(top / "socket"))
    found = of(top, to="/opt/tree")
    assert found["opt/tree/bin/program"].mode == stat.S_IFREG | 0o4711
    assert found["opt/tree/empty"].mode == stat.S_IFDIR | 0o700
    assert found["opt/tree/.hidden"].data == b"data"
    assert found["opt/tree/link"].data == b"/somewhere/else"
    assert found["opt/tree/there"].data == b"bin"
    assert "opt/tree/socket" not in found
    assert "libc.so.6" in names(found)


def test_a_tree_may_hold_what_cannot_run_here(compiled: Compile, tmp_path: Path):
    library = compiled("gone/libgone.so", "-shared", "-Wl,-soname,libgone.so")
    compiled("tree/libplug.so", "-shared", "-Wl,--no-as-needed", library)
    (tmp_path / "tree/script").write_text("#!/no/such/sh\n")
    (tmp_path / "tree/script").chmod(0o755)
    (tmp_path / "tree/data").write_bytes(b"\x7fELF but not really")
    found = of(tmp_path / "tree", to="/t")
    assert {"t/libplug.so", "t/script", "t/data"} <= set(found)


def test_a_program_in_a_tree_must_have_its_libraries(compiled: Compile, tmp_path: Path):
    library = compiled("gone/libgone.so", "-shared", "-Wl,-soname,libgone.so")
    compiled("tree/p", "-Wl,--no-as-needed", library)
    with pytest.raises(ImageError, match=r"needs the library libgone\.so"):
        Overlay().add(tmp_path / "tree")


@pytest.mark.parametrize("to", ["bin/x", "", "/bin/../x"])
def test_a_place_that_is_no_absolute_path_is_an_error(to: str):
    with pytest.raises(ImageError, match="not an absolute path for the guest"):
        Overlay().add("/etc/hosts", to=to)


@pytest.mark.parametrize("to", ["/init", "/etc/ns3-qemu/modules"])
def test_the_images_own_files_cannot_be_replaced(to: str):
    with pytest.raises(ImageError, match="is the image's own"):
        Overlay().add("/etc/hosts", to=to)


@pytest.mark.parametrize("to", ["/tmp/x", "/proc/x", "/dev/x", "/run/a/b"])
def test_nothing_can_be_where_the_guest_mounts_something(to: str):
    with pytest.raises(ImageError, match="the guest mounts something there"):
        Overlay().add("/etc/hosts", to=to)


def test_two_files_at_one_place_are_an_error_unless_they_are_the_same(tmp_path: Path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    overlay = Overlay()
    overlay.add(tmp_path / "a", to="/x")
    overlay.add(tmp_path / "a", to="/x")
    with pytest.raises(ImageError, match="two different files are to be /x"):
        overlay.add(tmp_path / "b", to="/x")
    with pytest.raises(ImageError, match="/x is not a directory"):
        overlay.add(tmp_path / "b", to="/x/y")


def test_programs_find_the_files_that_c_libraries_look_for():
    found = of("/usr/bin/iperf3")
    assert b"127.0.0.1 localhost" in found["etc/hosts"].data
    assert found["etc/nsswitch.conf"].data.startswith(b"passwd: files")
    assert found["etc/passwd"].data.startswith(b"root:x:0:0:")
    assert b"\nhttp 80/tcp\n" in found["etc/services"].data
    assert found["var/run"].data == b"/run"
    assert found["var/tmp"].mode == stat.S_IFDIR | 0o1777


def test_a_users_file_comes_before_such_a_file(tmp_path: Path):
    (tmp_path / "hosts").write_text("10.0.0.1 server\n")
    assert of(tmp_path / "hosts", to="/etc/hosts")["etc/hosts"].data == b"10.0.0.1 server\n"


def test_an_image_without_programs_has_none_of_them():
    assert set(members(Overlay())) == {
        "init",
        "lib",
        "lib/modules",
        "lib/modules/virtio.ko",
        "etc",
        "tmp",
    }


# --- root file systems ----------------------------------------------------------------------------


def system(directory: Path) -> Path:
    """Make a small root file system with merged /usr."""
    top = directory / "root"
    for name in ("dev", "etc", "tmp", "usr/lib", "usr/bin"):
        (top / name).mkdir(parents=True)
    (top / "lib").symlink_to("usr/lib")
    (top / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (top / "usr/bin/su").write_bytes(b"su")
    (top / "usr/bin/su").chmod(0o4755)
    (top / "tmp/rubbish").write_text("rubbish")
    (top / "dev/null").write_text("not really")
    return top


def pack(file: Path, *entries: tuple[str, dict[str, object], bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:
        for name, fields, data in entries:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            archive.addfile(member, io.BytesIO(data))
    return file


def rooted(source: Path) -> dict[str, Member]:
    overlay = Overlay()
    overlay.add_rootfs(source)
    return members(overlay)


@pytest.mark.parametrize("kind", ["directory", "tar", "tar.gz", "tar.xz"])
def test_a_root_file_system_is_the_guests_with_the_relay_in_it(tmp_path: Path, kind: str):
    source = system(tmp_path)
    if kind != "directory":
        packed = tmp_path / f"root.{kind}"
        with tarfile.open(packed, f"w:{kind.partition('.')[2]}") as archive:
            archive.add(source, ".")
        source = packed
    found = rooted(source)
    assert found["init"].data == b"the relay"
    assert found["usr/bin/su"].mode == stat.S_IFREG | 0o4755
    assert found["etc/passwd"].data == b"root:x:0:0::/:/bin/sh\n"
    assert found["lib"].data == b"usr/lib"
    assert found["usr/lib/modules/virtio.ko"].data == b"a module"
    assert "lib/modules/virtio.ko" not in found
    assert not {"tmp/rubbish", "dev/null"} & set(found)
    assert found["dev"].mode == stat.S_IFDIR | 0o755


def test_owners_devices_and_links_of_a_tar_are_kept(tmp_path: Path):
    file = pack(
        tmp_path / "root.tar",
        ("./srv/", {"type": tarfile.DIRTYPE, "mode": 0o2775, "uid": 33, "gid": 34}, b""),
        ("./srv/data", {"mode": 0o640, "uid": 33, "gid": 34}, b"bytes"),
        ("./srv/hard", {"type": tarfile.LNKTYPE, "linkname": "./srv/data"}, b""),
        ("./srv/zero", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, b""),
        ("./srv/disk", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 0}, b""),
        ("./srv/fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}, b""),
        ("./srv/link", {"type": tarfile.SYMTYPE, "linkname": "/srv/data"}, b""),
    )
    found = rooted(file)
    assert (found["srv"].mode, found["srv"].owner) == (stat.S_IFDIR | 0o2775, (33, 34))
    assert found["srv/data"].owner == (33, 34)
    assert found["srv/hard"] == found["srv/data"]
    assert (stat.S_IFMT(found["srv/zero"].mode), found["srv/zero"].device) == (stat.S_IFCHR, (1, 5))
    assert (stat.S_IFMT(found["srv/disk"].mode), found["srv/disk"].device) == (stat.S_IFBLK, (7, 0))
    assert found["srv/fifo"].mode == stat.S_IFIFO | 0o600
    assert found["srv/link"].data == b"/srv/data"


def test_a_later_file_of_a_tar_takes_an_earlier_ones_place(tmp_path: Path):
    file = pack(tmp_path / "root.tar", ("a", {}, b"one"), ("a", {}, b"two"))
    assert rooted(file)["a"].data == b"two"


@pytest.mark.parametrize(
    "entry",
    [
        ("../etc/passwd", {}, b"x"),
        ("etc/../../passwd", {}, b"x"),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "../../etc/shadow"}, b""),
    ],
)
def test_a_tar_that_leads_out_of_itself_is_an_error(tmp_path: Path, entry):
    with pytest.raises(ImageError, match="a path that leads out of it"):
        rooted(pack(tmp_path / "root.tar", entry))


def test_links_lead_nowhere_but_into_the_guest(tmp_path: Path):
    file = pack(
        tmp_path / "root.tar",
        ("out", {"type": tarfile.SYMTYPE, "linkname": "../../../.."}, b""),
        ("absolute", {"type": tarfile.SYMTYPE, "linkname": "/etc"}, b""),
        ("out/one", {}, b"1"),
        ("absolute/two", {}, b"2"),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "/absolute/two"}, b""),
    )
    found = rooted(file)
    assert found["one"].data == b"1"
    assert found["etc/two"].data == b"2"
    assert found["hard"].data == b"2"


def test_a_hard_link_to_a_file_of_this_machine_is_an_error(tmp_path: Path):
    entry = ("hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, b"")
    with pytest.raises(ImageError, match="hard link hard to /etc/passwd, which is not in it"):
        rooted(pack(tmp_path / "root.tar", entry))


def test_links_that_lead_to_each_other_are_an_error(tmp_path: Path):
    file = pack(
        tmp_path / "root.tar",
        ("a", {"type": tarfile.SYMTYPE, "linkname": "b"}, b""),
        ("b", {"type": tarfile.SYMTYPE, "linkname": "a"}, b""),
        ("a/file", {}, b""),
    )
    with pytest.raises(ImageError, match="lead to each other"):
        rooted(file)


def test_a_root_file_system_with_an_init_of_its_own_is_an_error(tmp_path: Path):
    top = system(tmp_path)
    (top / "init").write_text("mine")
    with pytest.raises(ImageError, match="/init is the image's own"):
        rooted(top)
    file = pack(tmp_path / "root.tar", ("./init", {"mode": 0o755}, b"mine"))
    with pytest.raises(ImageError, match="/init is the image's own"):
        rooted(file)


def test_what_is_no_root_file_system_is_an_error(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no tar" * 1000)
    whole = pack(tmp_path / "root.tar", ("file", {}, bytes(100_000))).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="is empty"):
        rooted(tmp_path / "empty")
    with pytest.raises(ImageError, match="not a tar file that can be read"):
        rooted(tmp_path / "text")
    with pytest.raises(ImageError, match=r"not a tar file that can be read|ends within"):
        rooted(tmp_path / "half")
    with pytest.raises(ImageError, match="there is no"):
        rooted(tmp_path / "none")


def test_a_program_joins_a_root_file_system_with_the_same_libraries(tmp_path: Path):
    top = system(tmp_path)
    overlay = Overlay()
    overlay.add_rootfs(top)
    overlay.add("/usr/bin/iperf3")
    found = members(overlay)
    assert resolve(found, "/lib/x86_64-linux-gnu/libc.so.6").startswith("usr/lib/")


def test_a_program_does_not_join_a_root_file_system_with_other_libraries(tmp_path: Path):
    top = system(tmp_path)
    (top / "usr/lib/x86_64-linux-gnu").mkdir()
    (top / "usr/lib/x86_64-linux-gnu/libc.so.6").write_bytes(b"another")
    overlay = Overlay()
    overlay.add_rootfs(top)
    with pytest.raises(ImageError, match=r"two different files are to be .*libc\.so\.6") as caught:
        overlay.add("/usr/bin/iperf3")
    assert "static" in caught.value.advice


# --- memory ---------------------------------------------------------------------------------------


def test_machines_have_as_much_memory_as_their_files_need(tmp_path: Path):
    (tmp_path / "large").write_bytes(bytes(50 * 2**20))
    wanted = image.Image()
    assert image.settled(wanted).memory_mib == 96
    wanted.add(tmp_path / "large", to="/large")
    needed = image.memory_needed(wanted.overlay)
    assert 200 < needed < 300
    # As much as a program may write to /tmp, which is half of the memory.
    assert image.settled(wanted).memory_mib == needed + 512
