# SPDX-License-Identifier: GPL-2.0-only
"""What several tests share. No test reaches the network: the set-up has fetched all before."""

import contextlib
import io
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

import relay_peer
from ns3_qemu import image, kernel
from ns3_qemu.cache import Cache
from ns3_qemu.steps import Steps
from relay_peer import RelayProcess

if TYPE_CHECKING:
    from ns3_qemu._vm import VmImage

# What takes longer comes later, so that a defect of a part is seen before what follows from it.
_LAST = ("test_vm_", "test_simulation_", "test_demo")


def pytest_configure() -> None:
    """Let Ctrl-C be heard, here and by all that tests start.

    A shell has what it starts in the background ignore it, which children inherit.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "gallery" not in config.option.markexpr:  # which takes long
        items[:] = [item for item in items if item.get_closest_marker("gallery") is None]

    def level(item: pytest.Item) -> int:
        return next((i for i, name in enumerate(_LAST, 1) if item.path.name.startswith(name)), 0)

    items.sort(key=level)


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to fetch a package fail at once."""
    monkeypatch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def screen() -> io.StringIO:
    """What a user sees of the steps."""
    return io.StringIO()


@pytest.fixture
def steps(cache: Cache, screen: io.StringIO) -> Steps:
    return Steps(cache.logs, Console(file=screen, highlight=False), verbose=True)


@pytest.fixture
def debian_kernel() -> kernel.Kernel:
    """Debian's 6.1, as the set-up has fetched it."""
    found = kernel.find(Cache(), "debian:6.1")
    assert found, "not there yet: run ns3-qemu setup"
    return found


@pytest.fixture(scope="session")
def vm_image() -> Path:
    """The usual image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return image.Image().build()


@pytest.fixture(scope="session")
def programs_image() -> Path:
    """An image with programs of this host's."""
    wanted = image.Image()
    for program in ("/usr/bin/iperf3", "/bin/ping", "/usr/bin/curl", "/bin/busybox"):
        wanted.add(program)
    wanted.write("/srv/file", "hello\n" * 5000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        return wanted.build()


@pytest.fixture(scope="session")
def vm_machine(vm_image: Path) -> "VmImage":
    """What the usual image says of its machines."""
    # Not at the top: tests that need no machine do without the extension.
    from ns3_qemu._vm import read_image

    return read_image(str(vm_image))


@pytest.fixture(scope="session")
def guest_tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program that the tests run in a guest; like the relay, it needs no libraries."""
    tool = tmp_path_factory.mktemp("guest") / "tool"
    source = Path(__file__).parent / "data" / "guest-tool.c"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", tool, source], check=True)
    return tool


@pytest.fixture(scope="session")
def ns3_tree() -> Path:
    """Debian's tree of ns-3 with the module in it, which `make test` has built before.

    Otherwise that takes minutes here.
    """
    scripts = Path(__file__).parent.parent / "scripts"
    source = subprocess.run(
        [sys.executable, scripts / "debian-ns3"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    built = subprocess.run(
        [scripts / "test-ns3", "--build", source], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(built.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def boot(vm_image: Path, vm_machine: "VmImage") -> Iterator[Callable[..., Any]]:
    """Start a machine and wait until it is ready; it ends with the module's tests at the latest.

    Those of the usual image start from a saved one.
    """
    from ns3_qemu._vm import Vm

    with contextlib.ExitStack() as ends:

        def boot(machine: "VmImage | None" = None, **configuration: Any) -> Vm:
            if machine is None:
                configuration.setdefault("snapshots", str(vm_image / "snapshots"))
            vm = Vm(machine or vm_machine, **configuration)
            ends.callback(vm.end)
            vm.finish_boot()
            return vm

        yield boot


@pytest.fixture(scope="session")
def relay_binary() -> Path:
    return relay_peer.relay_path()


@pytest.fixture
def relay(relay_binary: Path) -> Iterator[RelayProcess]:
    """Start a relay and take its hello; it must end without complaint."""
    peer = RelayProcess(relay_binary)
    peer.hello()
    yield peer
    assert peer.end() == (0, "")


@pytest.fixture(scope="session")
def own_network() -> tuple[str, ...]:
    """Return what gives a program a network namespace of its own, with an interface "probe0"."""
    pair = "ip link add probe0 type veth peer name probe1 && ip link set probe1 up"
    setup = f'ip link set lo up && {pair} && exec "$@"'
    prefix = ("unshare", "--net", "sh", "-c", setup, "sh")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("network namespaces and veth are not to be had here")
    return prefix


@pytest.fixture
def networked(relay_binary: Path, own_network: tuple[str, ...]) -> Iterator[RelayProcess]:
    """Start a relay with the interface "probe0" as its NIC 0."""
    peer = RelayProcess(relay_binary, "--nic", "probe0", prefix=own_network)
    assert peer.hello()[1] == 1
    yield peer
    assert peer.end() == (0, "")


def bzimage(release: str, filling: bytes = b"") -> bytes:
    """Return the least that looks like a kernel: a boot header and its version."""
    header = bytearray(0x300)
    header[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", header, 0x20E, 0x100)
    return bytes(header) + f"{release} (builder) #1\0".encode() + filling
