# SPDX-License-Identifier: GPL-2.0-only
"""A virtual machine in simulated time, driven turn by turn without ns-3 (vm-extension.cc).

All times are simulated times in ns. At time 0 the guest is ready; its uptime is 20 s then and its
date 2000-01-01 00:00:00 UTC.
"""

from collections.abc import Sequence

from .errors import VmError as VmError

NO_DEADLINE: int
"""Deadline of a guest that waits for nothing but input."""

READABLE: int
WRITABLE: int
ERROR: int
HANGUP: int
"""Conditions of a socket, as in poll(2)."""

SOURCE: int
SINK: int
VERIFY: int
"""Directions of a bulk transfer that the guest's relay does by itself."""

class GuestError(OSError):
    """The guest's kernel refused a request; `errno` is the guest's."""

class VmImage:
    """What an image says of its machines, or what somebody else says of one."""

    command: list[str]  # QEMU and the arguments that they share
    boot: list[str]  # arguments for those that boot
    memory_mib: int
    nic_model: str
    relay_port: str  # "virtio" or "uart"
    epoch: int  # their guests' date when a simulation begins, in s since 1970

    def __init__(
        self,
        command: Sequence[str],
        *,
        boot: Sequence[str] = ...,
        memory_mib: int = 96,
        nic_model: str = "virtio-net-pci",
        relay_port: str = "virtio",
    ) -> None: ...

def read_image(directory: str) -> VmImage:
    """Read an image: its files qemu.args, boot.args and machine.conf."""

def zygotes() -> list[int]:
    """Return the ids of the processes from which this thread's machines are forked."""

def zygote_blocks() -> list[int]:
    """Return how many blocks of code each of them has translated for its machines."""

class VmCopy:
    """A copy of a machine; what is done in it is not done in the machine."""

    def run(self, arguments: Sequence[str], limit: int = ...) -> tuple[int, bytes, bytes, int]:
        """Run a program: its exit code, output and errors, and the copy's ns that it took."""
    def read_file(self, path: str) -> bytes:
        """Return the contents of a file."""
    def write_file(self, path: str, data: str, mode: int = 0o644) -> None:
        """Write a file."""

class Vm:
    """One machine. Its process ends with this object."""

    def __init__(
        self,
        image: VmImage,
        *,
        nics: Sequence[str] = ...,
        name: str = "vm",
        console_log: str = "",
        seed: int = 1,
        uptime: int = 20_000_000_000,
        spin: int = 0,
        same_cpu: bool = False,
        tick_phase: int = -1,
        link_options: Sequence[str] = ...,
        mtu: int = 1500,
        tx_ring: int = 256,
        snapshots: str = "",
        disk_latency: int = 0,
        disk_rate: int = 0,
        keep_disks: str = "",
        watchdog: int = ...,
        turns_at_once: int = 0,
        monitor: str = "",
        gdb: str = "",
        counts: str = "",
        copies: bool = False,
        sandbox: bool = True,
        fork: bool = True,
        warm_after: int = 2,
        cpu_rate: int = 0,
        cpus: int = 1,
        cpu_quantum: int = 10_000,
        queues: int = 1,
    ) -> None:
        """Prepare a machine.

        `image`: of `read_image`. `nics`: a MAC address for each NIC. `console_log`: a file, or "".
        `uptime`: ns of the guest's uptime at time 0; it must have booted by then. `spin`: ns of
        wall time to poll before sleeping. `same_cpu`: turns are on this process's CPU.
        `tick_phase`: ns after a full ms of simulated time at which the guest's timer ticks; its
        uptime at time 0 is up to 1 ms more then. Negative:
        wherever it happens to. `link_options`: more properties of the sim-link object, such as
        "busy-step=1000000". `mtu`: of all NICs, in bytes. `tx_ring`: descriptors of their transmit
        rings. `snapshots`: directory of saved machines to start from; "": it boots.
        `disk_latency`: ns that each request to a disk takes; `disk_rate`: bit/s at which its data
        is moved, 0: at once. `keep_disks`: directory for what `keep_disks()` keeps. `watchdog`: ns
        of wall time after which a long turn is told on standard error, 0: never. `turns_at_once`:
        more turns at one simulated time are a failure; 0: they are not. `monitor`, `gdb`: paths of
        sockets for QEMU's monitor and a debugger, which are there from time 0 on. `counts`: path of
        a file in which QEMU counts what it does; "": it does not. `copies`: whether
        `copy()` is to be possible. `sandbox`: whether QEMU may do no more than turns need.
        `fork`: with `snapshots`, whether it may be forked from a process that this thread keeps for
        others like it. `warm_after`: so many are forked before that process translates code for all
        that follow; 0: it does before the first.
        `cpu_rate`: instructions that take a second of simulated time; 0: a turn takes none.
        `cpus`: 1 to 8. `cpu_quantum`: with both, ns by which one may be ahead of another.
        `queues`: of each NIC.
        """

    def set_watchdog(self, watchdog: int, *, fails: bool = False) -> None:
        """From the next turn on: another `watchdog`; `fails`: a long turn is a failure."""

    def copy(self, time: int) -> VmCopy:
        """Make a copy of the machine as it is at `time`, to look at; there is one at a time."""

    def keep_disks(self) -> None:
        """End the machine and keep its disks: NAME-vda, NAME-vdb, ..."""
    def start(self) -> None:
        """Start QEMU; it boots while this process goes on."""
    def finish_boot(self) -> None:
        """Wait until the guest is ready, at simulated time 0."""
    def run(self, time: int, timers: bool = True, horizon: int = ...) -> None:
        """Give the machine one turn; without `timers`, those due at this very time wait.

        With a `cpu_rate` it computes up to the `horizon`, or until it sends something or is idle:
        up to `reached`. What it has sent is there when it has a turn then.
        """
    def run_until(self, time: int) -> None:
        """Give the machine a turn at each of its deadlines up to `time`, and one at `time`."""
    def run_until_heard(self, time: int, turns: int) -> None:
        """Give the machine turns up to `time`, until a program writes or ends, or had so many."""
    def run_many(self, count: int, step: int, *, nic: int = 0, frame: bytes | None = None) -> None:
        """Give the machine `count` turns, each `step` ns after the one before.

        In each, `frame` (if it is given) is delivered to the NIC. A timer that has become due in
        between expires in the next turn, up to `step` late.
        """
    def queue_frame(self, nic: int, frame: bytes) -> None:
        """Have an Ethernet frame (without FCS) delivered in the next turn."""
    def go_ahead(
        self, horizon: int, frames: Sequence[tuple[int, int, bytes]] = ..., turns: int = 256
    ) -> int:
        """Begin turns whose results the next calls of `run` take; this does not wait.

        They are at most `turns`: one for each of the `frames` (time, NIC, frame), and those for the
        guest's timers before them, in between, and before `horizon`. Returns how many of the frames
        there was room for.
        """
    def set_credit(self, nic: int, frames: int | None) -> None:
        """Limit what a NIC may send from the next turn on; None: no limit, as at the beginning.

        What it may not send stays in the guest's transmit ring.
        """
    def credit(self, nic: int) -> int | None:
        """Return how many more frames a NIC may send, or None."""
    def set_carrier(self, nic: int, up: bool) -> None:
        """Have a NIC's link go up or down in the next turn."""
    def take_frames(self) -> list[tuple[int, bytes]]:
        """Return what the guest has sent since the last call: (NIC, frame)."""
    def queue_console(self, data: bytes) -> None:
        """Queue what is typed at the guest's console for the next turn."""
    def take_console(self) -> bytes:
        """Return what the guest has written to its console since the last call, since its boot."""
    def take_ready(self) -> list[tuple[int, int, int]]:
        """Return the readiness events since the last call: (socket, conditions, errno)."""
    def take_stream_ends(self) -> list[tuple[int, int, int, int]]:
        """Return the bulk transfers that have ended: (socket, errno, bytes, wrong bytes)."""
    def take_output(self) -> list[tuple[int, int, bytes]]:
        """Return what programs have written: (process, 1 for standard output or 2, bytes)."""
    def take_exits(self) -> list[tuple[int, int, int]]:
        """Return the programs that have ended: (process, exit code, signal or 0)."""
    def end(self) -> None:
        """End the machine."""
    @property
    def deadline(self) -> int:
        """When the guest wants its next turn, or NO_DEADLINE."""
    @property
    def busy(self) -> bool:
        """Whether the guest has used up its last turn."""
    @property
    def time(self) -> int:
        """The time of the last turn."""
    @property
    def reached(self) -> int:
        """The time at which the guest has stopped computing, or that of the last turn."""
    @property
    def busy_time(self) -> int:
        """How long the guest has computed since time 0."""
    @property
    def busy_instructions(self) -> list[int]:
        """How many instructions each CPU has been busy for since time 0, with a `cpu_rate`."""
    @property
    def turns(self) -> int:
        """Turns since time 0."""
    @property
    def turns_ahead(self) -> int:
        """Those of them that were begun by `go_ahead`."""
    @property
    def ahead(self) -> bool:
        """Whether there are results of `go_ahead` that no `run` has taken."""
    def collect_ahead(self) -> None:
        """Take over what there is of the results of `go_ahead`, without waiting for more."""
    @property
    def going(self) -> bool:
        """Whether it has such turns right now."""
    @property
    def can_go_ahead(self) -> bool:
        """Whether it may go ahead, or further."""
    @property
    def horizon(self) -> int:
        """How far it has gone ahead, or the time of the last turn."""
    @property
    def next_timer(self) -> int:
        """When its next timer is due where it has gone to, or NO_DEADLINE."""
    @property
    def instructions(self) -> int:
        """Instructions executed since the start."""
    @property
    def pid(self) -> int:
        """QEMU's process id, or -1."""
    @property
    def exit(self) -> str:
        """How QEMU has ended: "exited with status 0", "is running"."""
    @property
    def console_tail(self) -> list[str]:
        """The last lines of the guest's console."""
    @property
    def relay(self) -> Relay:
        """The guest's relay: each call is a turn at the time of the last."""

class Received:
    """What one receive has brought."""

    @property
    def data(self) -> bytes:
        """The bytes; none at the end of a connection's stream, and of an empty datagram."""
    @property
    def sender(self) -> tuple[str, int] | None:
        """Address and port, where the kernel names them."""
    @property
    def flags(self) -> int:
        """MSG_TRUNC and others of recvmsg(2)."""
    @property
    def length(self) -> int:
        """The whole datagram in bytes, also where it was cut."""
    @property
    def local(self) -> str | None:
        """The destination address, with the option IP_PKTINFO or IPV6_RECVPKTINFO."""
    @property
    def interface(self) -> int | None:
        """The index of the interface on which it came, with these options."""
    @property
    def tos(self) -> int | None:
        """Type of service or traffic class, with the option IP_RECVTOS or IPV6_RECVTCLASS."""
    @property
    def ttl(self) -> int | None:
        """Time to live or hop limit, with the option IP_RECVTTL or IPV6_RECVHOPLIMIT."""

class Relay:
    """Acts inside the guest. Every call raises GuestError if the guest's kernel refuses."""

    @property
    def release(self) -> str:
        """The guest's kernel, as `uname -r` prints it."""
    @property
    def nics(self) -> int:
        """How many NICs the guest has found."""
    def clock(self) -> tuple[int, int, int]:
        """Return CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME in ns."""
    def set_realtime(self, realtime: int) -> None:
        """Set CLOCK_REALTIME to so many ns since 1970."""
    def sysctl(self, name: str) -> str:
        """Return a kernel parameter."""
    def set_sysctl(self, name: str, value: str) -> None:
        """Set a kernel parameter."""
    def set_host_memory(self, bytes: int) -> None:  # noqa: A002
        """Give the kernel's parameters the values that they have on a host with this memory."""
    def read_file(self, path: str) -> bytes:
        """Return the contents of a file."""
    def write_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file, and make the directories on its path. `mode`: of a new file."""
    def link(self, nic: int) -> tuple[str, int, int, bytes]:
        """Return an interface's name, its IFF_ flags, its MTU and its MAC address."""
    def set_link(
        self,
        nic: int,
        *,
        up: bool | None = None,
        arp: bool | None = None,
        mtu: int | None = None,
        gso_max_segments: int | None = None,
        speed: int | None = None,
    ) -> None:
        """Configure an interface. `speed`: what it says of its link, in Mbit/s; full duplex."""
    def add_address(self, nic: int, address: str) -> None:
        """Add an address, "10.0.0.1/24"."""
    def delete_address(self, nic: int, address: str) -> None:
        """Delete an address; EADDRNOTAVAIL if the NIC does not have it."""
    def add_route(
        self,
        destination: str,
        *,
        nic: int,
        gateway: str | None = None,
        initial_window: int = 0,
        initial_receive_window: int = 0,
        mtu: int = 0,
        quick_ack: bool = False,
        advertised_mss: int = 0,
        window: int = 0,
        hop_limit: int = 0,
        minimum_rto: int = 0,
        congestion_control: str = "",
    ) -> None:
        """Add a route to "10.0.0.0/8"; EEXIST if there is one.

        One to the network of an address takes the place of the kernel's own.
        0 leaves an attribute to the kernel. The first two windows are in segments, `window` (the
        largest to advertise), `mtu` and `advertised_mss` in bytes, `minimum_rto` in ms (and locked,
        without which a kernel ignores it).
        """
    def delete_route(self, destination: str, *, nic: int, gateway: str | None = None) -> None:
        """Delete a route, whoever has made it; ESRCH if there is none."""
    def netlink(self, protocol: int, request: bytes) -> bytes:
        """Pass one netlink message on to the kernel; return the messages that answer it.

        It needs its header; the sequence number and NLM_F_ACK are put into it. EPROTONOSUPPORT: the
        kernel has no such protocol. ValueError if it is not one whole message.
        """
    def socket(self, domain: int, type: int, protocol: int = 0) -> int:  # noqa: A002
        """Open a socket; return its handle. The guest's sockets do not block."""
    def bind(self, handle: int, address: str, port: int) -> None:
        """Bind a socket. An address "fe80::1%2" has an interface's index."""
    def listen(self, handle: int, backlog: int = 128) -> None:
        """Make a socket listen."""
    def accept(self, handle: int) -> tuple[int, tuple[str, int]]:
        """Return a new connection's handle and its peer."""
    def connect(self, handle: int, address: str, port: int) -> None:
        """Begin to connect; its end is a readiness event."""
    def setsockopt(self, handle: int, level: int, name: int, value: bytes) -> None:
        """Set a socket option."""
    def getsockopt(self, handle: int, level: int, name: int, length: int) -> bytes:
        """Return a socket option, at most `length` bytes."""
    def getsockname(self, handle: int) -> tuple[str, int]:
        """Return a socket's own address and port."""
    def shutdown(self, handle: int, how: int) -> None:
        """Close one direction of a connection, or both."""
    def send(
        self, handle: int, data: bytes, flags: int = 0, to: tuple[str, int] | None = None
    ) -> int:
        """Send; return how many bytes the kernel took. EAGAIN: nothing now; it never waits."""
    def receive(self, handle: int, length: int = 65536, flags: int = 0) -> Received:
        """Receive at most `length` bytes. EAGAIN: there is nothing; it never waits."""
    def ioctl(self, handle: int, request: int, argument: bytes) -> bytes:
        """Make a socket's device request; return the argument as the kernel left it."""
    def close(self, handle: int) -> None:
        """Close a socket."""
    def watch(self, handle: int, conditions: int) -> None:
        """Say which readiness events are wanted."""
    def stream(
        self, handle: int, direction: int, length: int = 0, chunk: int = 0, per_wake: int = 0
    ) -> None:
        """Have the relay send or receive by itself: `length` bytes, 0 without end."""
    def stream_stat(self, handle: int) -> tuple[int, int]:
        """Return how many bytes have been transferred, and how many were wrong."""
    def start_process(
        self,
        arguments: Sequence[str],
        *,
        environment: Sequence[str] = ...,
        directory: str = "",
        input: bool = False,  # noqa: A002
        merge_errors: bool = False,
    ) -> int:
        """Start a program; return its number.

        `arguments`: the first is the program, a path or a name to look for in PATH. `environment`:
        "NAME=value", all of it. `directory`: where it starts; "/" if empty. `input`: its standard
        input is written by `write_process`; otherwise it is empty. `merge_errors`: standard error
        goes where standard output goes. The errno is what exec(2) says: ENOENT, EACCES, ENOEXEC.
        """
    def write_process(self, process: int, data: bytes) -> None:
        """Write to a program's standard input; what it does not take now follows when it does."""
    def close_process_input(self, process: int) -> None:
        """End a program's standard input, after what is still to be written."""
    def signal_process(self, process: int, signal: int) -> None:
        """Send a signal to a program and its children."""
