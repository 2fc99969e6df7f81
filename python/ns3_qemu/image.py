# SPDX-License-Identifier: GPL-2.0-only
"""Images: all that a machine is started from.

An image is a directory that is named by the hash of all that is in it, whatever it came from. (The
QEMU command has paths, so images of another cache have other names.)

    manifest.json   what that was
    kernel          the bzImage
    initramfs       the relay as /init, the kernel modules it loads, empty directories, and what a
                    user has added: programs with all that they need, a root file system
    modules         all modules of the kernel, for guests that need one later: see `module_store`
    qemu.args       the QEMU command, one argument a line, the executable first: what is the same
                    for all machines of this image. A simulation adds what is a machine's own: its
                    link to the simulator, and its NICs
    boot.args       what is added for a machine that boots: kernel, initramfs, parameters
    machine.conf    what the simulator must know of a machine, a line "key=value" each, and comments
                    after '#': memory-mib, its memory in MiB; nic-model, the device that a NIC is
                    (virtio-net-pci, e1000); relay-port, what the relay's port is (virtio, uart);
                    epoch, the guests' date when a simulation begins, in s since 1970; and for each
                    disk its file, and what that was when the image was built: see `disks`
    snapshots       saved machines, which simulations make when they first need one
    used            its time is that of the image's last use

So an image is all that a C++ simulation needs: it starts its machines without Python. It finds one
by its name, see `names`.
"""

import hashlib
import os
import shutil
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path

import msgspec

from . import cpio, cpu, dates, kernel, module_store, names, packages, pruning, toolchain
from . import disks as disk_files
from .cache import Cache, read_manifest
from .errors import ImageError
from .image_spec import NICS, OPTIONS, ImageSpec
from .overlay import Overlay, digests, printable
from .steps import Steps

# An e1000's driver is not to hold interrupts back; the parameter has a number for each NIC.
_E1000_PARAMETER = "InterruptThrottleRate=" + ",".join("0" * 32)

# One guest instruction takes 2^2 ns while it boots.
_ICOUNT = "shift=2,sleep=off"

# HPET: the clock that costs the fewest turns. On a panic the machine is to end at once. What guards
# a kernel against its own programs and against the CPU it runs on, and what accounts for them, is
# off: it is a good part of a turn's instructions, and decides nothing about a packet.
_CMDLINE = (
    "console=ttyS0",
    "clocksource=hpet",
    "tsc=unstable",
    "noapictimer",
    # Without an idle driver the guest stops its tick whenever it has nothing to do.
    "cpuidle.off=1",
    # In a second of the guest's own time: old kernels take "at once" for "never".
    "panic=1",
    "net.ifnames=0",
    "mitigations=off",
    "lsm=",
    "apparmor=0",
    "audit=0",
    "psi=0",
    "hardened_usercopy=off",
    "init_on_alloc=0",
    "cgroup_disable=memory",
    "loglevel=4",
)

# The console, and the relay's port. Both character devices are the machine's own. A virtio-serial
# port has the name that relay-protocol.h gives it, and without ioeventfd it acts within the guest's
# instruction. Its queues share an interrupt, and the guest looks at all of them: so it has no more
# ports than are needed, and port 0 is special to Linux.
_CONSOLE = ("-device", "isa-serial,chardev=console,index=0")
_PORTS = {
    "virtio": (
        *("-device", "virtio-serial-pci,ioeventfd=off,max_ports=2"),
        *("-device", "virtserialport,chardev=relay,name=ns3-qemu.relay"),
    ),
    "uart": ("-device", "isa-serial,chardev=relay,index=1"),
}

# So that the kernel looks for two, whatever it was built for, and the relay finds the second.
_UART_CMDLINE = ("8250.nr_uarts=4", "ns3_qemu.port=ttyS1")

# What loads a kernel's modules when they are needed: the relay by another name.
MODPROBE = "/sbin/modprobe"

# Increase it when the layout of an image changes.
_FORMAT = 4


def _drivers(spec: ImageSpec) -> tuple[str, ...]:
    """Return the modules for its devices, where they are not built in."""
    virtio = spec.relay == "virtio" or spec.nic.startswith("virtio")
    return (
        *(("virtio_pci",) if virtio else ()),
        NICS[spec.nic],
        *(("virtio_console",) if spec.relay == "virtio" else ()),
    )


def _cmdline(spec: ImageSpec) -> str:
    """Return what the kernel is told, all of it."""
    words = [*_CMDLINE]
    if spec.nic == "e1000":
        words.append(f"e1000.{_E1000_PARAMETER}")
    if spec.relay == "uart":
        words += _UART_CMDLINE
    return " ".join((*words, *spec.cmdline_extra))


# A guest has its files twice while it boots: in the archive, and unpacked in a file system that
# takes at most half of the memory. The rest is the kernel's own, and for programs to run in.
_KERNEL_MIB = 64
_LEAST_MIB = 96

# For what programs take when they run, and write: /tmp and /run are memory, half of it at most.
# What is never touched takes nothing of the host's.
_ROOM_MIB = 512

_TO_A_DISK = (
    "put them on a disk, which takes no memory: mke2fs -t ext4 -d DIRECTORY disk.ext4 4G, then "
    "image.disk('disk.ext4', mount='/opt'), or Image(rootfs='disk.ext4') for a whole root"
)


def memory_needed(overlay: Overlay) -> int:
    """Return the MiB of memory that a guest with these files needs at least."""
    mib = -(-overlay.size // 2**20)
    return max(16, _KERNEL_MIB + 3 * mib) if overlay else 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Image(ImageSpec):
    """An image to be: a kernel, and the programs that its machines are to have.

    Give it to `ns3_qemu.QemuHelper`, which builds it. ::

        image = ns3_qemu.Image("debian:6.1")
        image.add("/usr/bin/iperf3")
        qemu = ns3_qemu.QemuHelper(image)

    Besides the options of ImageSpec, with what each is for, there is `rootfs`: a directory or a tar
    file (plain, gzip, bzip2, xz) that is to be the guest's whole root file system, kept in its
    memory. Owners, modes, links and device nodes stay as they are; what is below /dev, /proc, /run,
    /sys and /tmp is left out, for these are mounted.

    Or it is a raw disk with such a file system (ext4, xfs, btrfs, squashfs ...), or with partitions
    of which one is such; see `disk`. What is added then goes to the disk's files; a library or an
    interpreter that is brought for a program stays out where the disk has one of that name.

    Methods raise ImageError, and say what to do, for what cannot be in an image.
    """

    rootfs: InitVar[str | os.PathLike[str] | None] = None
    overlay: Overlay = field(init=False, repr=False, default_factory=Overlay)
    disks: list[disk_files.Disk] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self, rootfs: str | os.PathLike[str] | None) -> None:
        """Read the root file system; nothing is built yet."""
        super().__post_init__()
        object.__setattr__(self, "disks", [])  # it grows
        if rootfs is None:
            return
        path = Path(rootfs).expanduser()
        if path.is_file() and disk_files.is_root(path):
            self.disks.append(disk_files.root(path))
        else:
            self.overlay.add_rootfs(rootfs)

    def add(self, path: str | os.PathLike[str], to: str | None = None) -> None:
        """Add a file of this machine, or a directory with all that is in it.

        It gets the same path in the guest, unless `to` (an absolute path there) says another. A
        program brings its dynamic loader and shared libraries, a script its interpreter; what a
        program opens by itself when it runs (plug-ins, data) has to be added by you. Modes stay,
        everything is root's, file capabilities are dropped (the guest's programs run as root).
        Files are read now: later changes are not seen.
        """
        self.overlay.add(path, to)

    def add_package(
        self,
        name: str,
        version: str | None = None,
        *,
        suite: str | None = None,
        refresh: bool = False,
    ) -> None:
        """Add a Debian package and what it depends on, from this machine's own mirror.

        Parts of Debian besides main (contrib, non-free) count if this machine's own apt has them.
        Its files come with owners, its system users with their directories, and configuration as
        the package has it; a file that you add or write yourself counts more, before or after.
        Besides there are the locale C.UTF-8, /etc/services, certificates of authorities. Left out
        are documentation and translations, recommended packages, and what installs packages or
        starts services. No script of the package is run: what it would do for users, directories,
        links, owners and configuration is done; what only running it would make (keys of a host, a
        database) has to be made by you, and is named when the image is built. Of a package that
        several need in different versions there is the newest.

        `version`: Debian's, the newest unless it is given; `suite`: this machine's own release of
        Debian. Packages are kept in the cache, and looked for anew with `refresh`.
        """
        cache = Cache()
        files = packages.ensure(
            cache, Steps(cache.logs), name, version, suite=suite, refresh=refresh
        )
        contents = packages.read(files)
        contents.wanted = name if version else ""
        self.overlay.add_packages(contents, f"{name}={version}" if version else name)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add a file with this text, such as "/etc/hosts". `mode`: its permissions."""
        self.overlay.write(path, text, mode)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link at `path` in the guest that leads to `target`."""
        self.overlay.link(path, target)

    def disk(
        self,
        path: str | os.PathLike[str],
        mount: str | None = None,
        *,
        writable: bool = True,
        partition: int | None = None,
    ) -> str:
        """Give the machines a disk, and return what it is called there: "/dev/vda".

        `path`: a raw file, which is read where it is and never written. Machines share it, and take
        no memory for it; what one of them writes is its own, in memory of the simulating machine,
        and gone at the end unless the attribute KeepDisks of ns3::VirtualMachine says otherwise.

        `mount`: where its file system (ext4, xfs, btrfs, squashfs ...) is mounted before the
        simulation begins, read-only unless it is `writable`; `partition`: which one, if the disk
        has several with a file system. The image belongs to the file as it is now: after a change
        it has to be built anew, and while a simulation runs there must be none.
        """
        if len(self.disks) == disk_files.MOST:
            message = f"a machine has {disk_files.MOST} disks at most"
            raise ImageError(message, "Put more on one of them.")
        disk = disk_files.of_file(Path(path), mount, writable=writable, partition=partition)
        if disk.mount and disk.mount in (other.mount for other in self.disks):
            message = f"two disks are to be mounted on {mount}"
            raise ImageError(message, "Give one of them another place with mount=.")
        self.disks.append(disk)
        return f"/dev/vd{chr(ord('a') + len(self.disks) - 1)}"

    @property
    def has_root_disk(self) -> bool:
        """Whether the guest's root file system is on a disk."""
        return any(disk.mount == "/" for disk in self.disks)

    def has(self, path: str) -> bool:
        """Say whether there is a file at this path of the guest, or a link that leads to one.

        What is on disks is not looked at.
        """
        return path in self.overlay

    def build(self) -> Path:
        """Return the image's directory; build it, and what it needs, as far as they are missing."""
        cache = Cache()
        return self.build_in(cache, Steps(cache.logs))

    def build_in(
        self, cache: Cache, steps: Steps, *, refresh: bool = False, name: str | None = None
    ) -> Path:
        """Return the image's directory in a certain cache; see `ensure_spec`."""
        return ensure_spec(cache, steps, self, refresh=refresh, name=name)


class Manifest(msgspec.Struct, frozen=True):
    """What went into an image, for people: its manifest.json. Hashes are SHA-256 of whole files.

    Where files came from is said by who built it first: the image is the same for all.
    """

    format: int
    spec: ImageSpec
    kernel_name: str
    kernel_release: str
    kernel_sha256: str
    relay_sha256: str
    modules: dict[str, str]  # hash by name, in load order
    qemu_version: str
    qemu_command: tuple[str, ...]  # without what names files of the image itself
    store_sha256: str = ""  # of all modules of the kernel
    added: tuple[str, ...] = ()  # what a user has added
    files: dict[str, str] = {}  # those files: type and mode, owner, hash or device; by path


class _Content(msgspec.Struct, frozen=True):
    """What is in an image, but for its name: all that may decide about it."""

    format: int
    kernel_sha256: str
    qemu_version: str
    qemu_command: tuple[str, ...]
    machine: str  # machine.conf
    cmdline: str  # the kernel's parameters
    store_sha256: str
    archive: dict[str, str]  # the initramfs: as Manifest.files, but all of it

    def key(self) -> str:
        """Return the image's name."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def relay_path() -> Path:
    """Return the guest's relay program. Raises ImageError if the package lacks it."""
    relay = Path(__file__).resolve().parent / "relay" / "ns3-qemu-relay"
    if not relay.is_file():
        message = f"the relay program is not in the installed package ({relay})"
        raise ImageError(
            message, "Install ns3-qemu again (in a checkout: make demo); it is built with musl-gcc."
        )
    return relay


def ensure_spec(
    cache: Cache, steps: Steps, spec: ImageSpec, *, refresh: bool = False, name: str | None = None
) -> Path:
    """Return the directory of an image; build it and what it needs as far as they are missing.

    An Image's files are in it. With `refresh`, newer versions are taken if Debian has them. `name`
    is by what C++ programs find it; one that has nothing but a kernel they find by the kernel's
    name. Says what it does only if there is something to do. Raises a Ns3QemuError that says what
    to do.
    """
    if name is not None:
        names.check(name)
    spec.check()
    overlay = _files(spec)
    needed = memory_needed(overlay)
    if spec.memory_mib is not None and spec.memory_mib < needed:
        message = (
            f"{spec.memory_mib} MiB of memory are too little: the files that were added take "
            f"{overlay.size / 2**20:.0f} MiB, and the guest has them twice while it boots"
        )
        raise ImageError(message, f"Give {needed} MiB or more, or {_TO_A_DISK}.")
    relay = relay_path()
    guest = kernel.ensure(cache, steps, spec.kernel, refresh=refresh)
    qemu = toolchain.ensure(cache, steps, refresh=refresh)
    cpu.check(spec.cpu, qemu.executable)
    plan = _Plan(spec, relay, guest, qemu, module_store.ensure(cache, steps, guest))
    final = cache.images / plan.key
    if not final.is_dir():
        for package, programs in overlay.not_run.items():
            steps.remark(
                f"{package}: its installation on Debian also runs {', '.join(programs)}, which is "
                "not done here. If a program needs what that makes (keys, certificates, "
                "databases), add it to the image."
            )
        limit = pruning.limit_gib()
        cache.produce(
            final, lambda result, _work: plan.build(result, final, steps), steps.waiting("Image")
        )
        pruning.prune(cache, limit)
    pruning.mark_used(final)
    own = guest.bzimage if spec.kernel.startswith("file:") else None
    for known_as in {name, _bare_name(spec)}:
        if known_as is not None:
            names.record(cache, known_as, final, _FORMAT, own)
    steps.ready("Image", final)
    return final


def find(cache: Cache, spec: ImageSpec) -> Path | None:
    """Return the directory of an image, or None if something for it is not there yet."""
    spec.check()
    guest = kernel.find(cache, spec.kernel)
    qemu = toolchain.find(cache)
    if not guest or not qemu:
        return None
    store = module_store.find(cache, guest)
    final = cache.images / _Plan(spec, relay_path(), guest, qemu, store).key
    return final if final.is_dir() else None


def _files(spec: ImageSpec) -> Overlay:
    return spec.overlay if isinstance(spec, Image) else Overlay()


def _disks(spec: ImageSpec) -> list[disk_files.Disk]:
    return spec.disks if isinstance(spec, Image) else []


def _sources(spec: ImageSpec) -> list[str]:
    """Return what a user has given an image, for people."""
    return [*_files(spec).sources, *map(str, _disks(spec))]


def _disk_drivers(wanted: list[disk_files.Disk], guest: kernel.Kernel) -> list[str]:
    """Return the modules for disks and what is on them."""
    if not wanted:
        return []
    there = kernel.files(guest.modules) if guest.modules else {}
    return [
        "virtio_blk",
        *(name for disk in wanted for name in disk.companions if name in there),
        *(name for disk in wanted for name in disk.modules),
    ]


def settled(spec: ImageSpec) -> ImageSpec:
    """Return an image's options alone, with as much memory as its files need unless it is given."""
    options = {name: getattr(spec, name) for name in OPTIONS}
    if spec.memory_mib is None:
        needed = memory_needed(_files(spec)) or (_KERNEL_MIB if _disks(spec) else 0)
        options["memory_mib"] = max(_LEAST_MIB, needed + _ROOM_MIB if needed else 0)
    return ImageSpec(**options)


def _bare_name(spec: ImageSpec) -> str | None:
    """Return the kernel's name if an image has nothing but that."""
    bare = (
        not _files(spec) and not _disks(spec) and settled(spec) == settled(ImageSpec(spec.kernel))
    )
    return spec.kernel if bare else None


class _Plan:
    """The parts of an image, put together."""

    def __init__(
        self,
        wanted: ImageSpec,
        relay: Path,
        guest: kernel.Kernel,
        qemu: toolchain.Qemu,
        store: module_store.Store | None,
    ) -> None:
        overlay, spec = _files(wanted), settled(wanted)
        if spec.date is None:
            written = (disk.written() for disk in _disks(wanted))
            date = dates.of_content(kernel.banner(guest.bzimage), overlay.contents(), written)
            spec = replace(spec, date=dates.text_of(date))
        self._bzimage = guest.bzimage
        self._command = _command(qemu, spec)
        self._machine = _machine(spec, _disks(wanted))
        self._cmdline = _cmdline(spec)
        init = relay.read_bytes()
        self._store = store
        disks = _disks(wanted)
        drivers = [*_drivers(spec), *_disk_drivers(disks, guest), *spec.extra_modules]
        modules = kernel.modules(guest, drivers)
        if any(disk.mount == "/" for disk in disks):
            self._entries = overlay.entries_beside(_own_files(init, modules))
        else:
            self._entries = own_entries(overlay, init, modules, guest.release)
        archive = digests(self._entries)
        added = set(map(printable, overlay.paths))
        command = tuple(printable(argument) for argument in self._command)
        self.manifest = Manifest(
            format=_FORMAT,
            spec=spec,
            kernel_name=guest.name,
            kernel_release=guest.release,
            kernel_sha256=guest.sha256,
            relay_sha256=hashlib.sha256(init).hexdigest(),
            modules={each.name: hashlib.sha256(each.read()).hexdigest() for each in modules},
            qemu_version=qemu.manifest.version,
            qemu_command=command,
            store_sha256=store.sha256 if store else "",
            added=tuple(printable(source) for source in _sources(wanted)),
            files={path: digest for path, digest in archive.items() if path in added},
        )
        self.key = _Content(
            format=_FORMAT,
            kernel_sha256=guest.sha256,
            qemu_version=qemu.manifest.version,
            qemu_command=command,
            machine=self._machine,
            cmdline=self._cmdline,
            store_sha256=self.manifest.store_sha256,
            archive=archive,
        ).key()

    def _check_kernel(self, copy: Path) -> None:
        """Raise ImageError if the kernel is not the one that was fetched: the image says it is."""
        if hashlib.sha256(copy.read_bytes()).hexdigest() != self.manifest.kernel_sha256:
            message = f"the kernel {self._bzimage} has changed since it was fetched"
            raise ImageError(message, f"Remove {self._bzimage.parent}, then it is fetched anew.")

    def build(self, result: Path, final: Path, steps: Steps) -> None:
        """Write the image into `result`, which is going to be `final`."""
        with steps.step("image", f"Building the image {final.name}: {self.manifest.kernel_name}"):
            shutil.copyfile(self._bzimage, result / "kernel")
            self._check_kernel(result / "kernel")
            with (result / "initramfs").open("wb") as file:
                file.writelines(cpio.blocks(self._entries))
            boot = ("-kernel", str(final / "kernel"), "-initrd", str(final / "initramfs"))
            command = self._command
            if self._store:
                _link(self._store.file, result / "modules")
                command += _store_device(final / "modules", self._store.size)
            _write_lines(result / "qemu.args", command)
            _write_lines(result / "boot.args", (*boot, "-append", self._cmdline))
            (result / "machine.conf").write_text(self._machine)
            document = msgspec.json.format(msgspec.json.encode(self.manifest), indent=2)
            (result / "manifest.json").write_bytes(document + b"\n")


def _link(original: Path, file: Path) -> None:
    """Have a file of the cache at another place, too: it takes no room, and stays if that goes."""
    try:
        file.hardlink_to(original)
    except OSError:  # a file system without hard links
        shutil.copyfile(original, file)


def _store_device(file: Path, size: int) -> tuple[str, ...]:
    """Return what shows a kernel's modules to the guest: memory of the file's, not the machine's.

    It is another function of the chipset's slot, so that NICs have the slots that they have
    without it.
    """
    memory = f"memory-backend-file,id=modules,size={size},share=on,readonly=on,mem-path="
    path = str(file).replace(",", ",,")
    return (
        *("-object", f"{memory}{path}"),
        *("-device", "sim-store,memdev=modules,addr=01.7"),
    )


def _write_lines(file: Path, arguments: tuple[str, ...]) -> None:
    file.write_bytes(os.fsencode("".join(f"{argument}\n" for argument in arguments)))


def _machine(spec: ImageSpec, wanted: list[disk_files.Disk]) -> str:
    """Return what the simulator must know of a machine besides its command: machine.conf."""
    values = {
        "memory-mib": spec.memory_mib,
        "nic-model": spec.nic,
        "relay-port": spec.relay,
        "epoch": dates.parse(spec.date) if spec.date else dates.OLDEST,
    }
    lines = [f"{key}={value}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in (*lines, *(each for d in wanted for each in d.lines())))


def _command(qemu: toolchain.Qemu, spec: ImageSpec) -> tuple[str, ...]:
    return (
        str(qemu.executable),
        *("-M", "pc,usb=off,hpet=on"),
        *("-nodefaults", "-no-user-config"),
        *("-display", "none"),
        *("-L", str(qemu.firmware)),
        *("-cpu", cpu.argument(spec.cpu)),
        *("-smp", "1"),
        *("-accel", "tcg,thread=single"),
        *("-icount", _ICOUNT),
        *("-rtc", "base=2000-01-01T00:00:00,clock=vm"),
        "-no-reboot",
        *("-global", f"hpet.period-ns={spec.hpet_period_ns}"),
        *_PORTS[spec.relay],
        *_CONSOLE,
    )


def own_entries(
    overlay: Overlay, relay: bytes, modules: list[kernel.Module], release: str
) -> list[cpio.Entry]:
    """Return all files of an initramfs: a user's, and the image's own.

    The relay is the guest's modprobe, unless a user has that and the kernel's modules, too.
    """
    tree = f"/lib/modules/{release}"
    listed = any(f"{tree}/{name}" in overlay for name in ("modules.dep", "modules.dep.bin"))
    loader = [] if listed and MODPROBE in overlay else [cpio.symlink(MODPROBE, "/init")]
    return overlay.entries(_own_files(relay, modules), loader)


def _own_files(relay: bytes, modules: list[kernel.Module]) -> list[cpio.Entry]:
    entries = [
        cpio.file("/init", relay, 0o755),
        # What the kernel opens as its first process's standard streams, before /dev is mounted.
        cpio.character_device("/dev/console", 5, 1),
        cpio.character_device("/dev/null", 1, 3, 0o666),
        *(cpio.directory(f"/{name}") for name in ("etc", "proc", "root", "run", "sys", "tmp")),
    ]
    listed = ""
    for module in modules:
        path = f"/lib/modules/{module.name}.ko"
        entries.append(cpio.file(path, module.read()))
        listed += f"{path} {module.parameters}".rstrip() + "\n"
    entries.append(cpio.file("/etc/ns3-qemu/modules", listed.encode()))
    return entries


# --- images in the cache --------------------------------------------------------------------------


def images(cache: Cache) -> dict[Path, Manifest]:
    """Return all images in the cache with what they are, by directory."""
    return {
        file.parent: read_manifest(file.parent, Manifest)
        for file in sorted(cache.images.glob("*/manifest.json"))
    }


def remove(cache: Cache, name: str) -> Path:
    """Remove the image whose name begins so. Raises ImageError unless there is exactly one."""
    found = [directory for directory in images(cache) if name and directory.name.startswith(name)]
    if len(found) != 1:
        message = (
            f"there is no image {name!r}" if not found else f"several images begin with {name!r}"
        )
        raise ImageError(message, "ns3-qemu image list says what there is.")
    cache.remove(found[0])
    names.forget_lost(cache)
    return found[0]
