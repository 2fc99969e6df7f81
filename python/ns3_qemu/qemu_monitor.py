# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's monitor of a machine, while its simulation waits or runs: a look at its hardware.

A machine with the attribute `Monitor` has a UNIX socket at which its QEMU speaks QMP (QEMU's
"QEMU Machine Protocol"). What can be asked here only looks; it changes no byte of the results.
"""

import asyncio
import re
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from qemu.qmp import ExecuteError, QMPClient, QMPError

from .errors import MonitorError

__all__ = ["Monitor", "attribute_path", "monitor"]

_T = TypeVar("_T")

# What a QMP command may be called that changes nothing: these, and all query-...
_LOOKS = frozenset(
    {
        "device-list-properties",
        "dump-guest-memory",
        "human-monitor-command",
        "qom-get",
        "qom-list",
        "qom-list-properties",
        "qom-list-types",
    }
)
_LOOKS_PREFIXES = ("query-", "x-query-")

# The same for the commands that people type. Not `i`: to read a port is an action of the device's.
_WORDS = frozenset({"gpa2hpa", "gpa2hva", "gva2gpa", "help", "info", "p", "print", "x", "xp"})

# QEMU prints them as 0x41; more at once would be one very long answer.
_BYTES_AT_ONCE = 4096

_REGISTER = re.compile(r"\b([A-Z][A-Z0-9]{1,5}) ?=([0-9a-f]{8,32})\b")

# How long QEMU may take to greet, in s: its monitor is served even while the guest has its turn.
_GREETING = 10.0


class Monitor:
    """A connection to the monitor of one machine; a context manager. See `monitor`."""

    def __init__(self, path: str | Path) -> None:
        """Connect to a socket. Raises MonitorError if nobody answers there."""
        self._path = str(path)
        # A thread of its own: in a notebook this thread has a loop that runs already, and qemu.qmp
        # reads what comes between two calls, too.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client: QMPClient | None = None
        try:
            self._client = self._wait(self._connect())
        except (QMPError, OSError, TimeoutError) as error:
            self._end_loop()
            message = f"the monitor at {self._path} does not answer: {error!s}"
            raise MonitorError(
                message,
                "It is there from the machine's time 0 until its end, for one client at a time.",
            ) from error

    async def _connect(self) -> QMPClient:
        client = QMPClient()
        await asyncio.wait_for(client.connect(self._path), _GREETING)
        return client

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def close(self) -> None:
        """End the connection."""
        if self._client is None:
            return
        client, self._client = self._client, None
        try:
            self._wait(client.disconnect())
        except (QMPError, OSError, EOFError):
            pass  # the machine has ended
        finally:
            self._end_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, name: str, **arguments: object) -> Any:
        """Carry out a QMP command that only looks, and return its answer.

        An argument is named as in QEMU's manual, with '_' for '-': `execute("query-status")`,
        `execute("qom-get", path="/machine", property="type")`.

        Raises MonitorError for a command that would change the machine (stop, device_add, ...), for
        the results could then not be repeated, and for what QEMU refuses.
        """
        if name not in _LOOKS and not name.startswith(_LOOKS_PREFIXES):
            message = f"the monitor command {name!r} is not known to only look"
            raise MonitorError(
                message,
                "Ask for query-..., qom-get, qom-list or info ...; what is to change a machine is "
                "said in the simulation, where it can be repeated.",
            )
        if name == "human-monitor-command":
            _check_words(str(arguments.get("command-line", arguments.get("command_line", ""))))
        return self._execute(name, {key.replace("_", "-"): v for key, v in arguments.items()})

    def _execute(self, name: str, arguments: dict[str, object]) -> Any:
        if self._client is None:
            message = f"the connection to the monitor at {self._path} is closed"
            raise MonitorError(message)
        try:
            return self._wait(self._client.execute(name, arguments))
        except ExecuteError as error:
            message = f"QEMU refuses {name}: {error.error.error.desc}"
            raise MonitorError(message) from error
        except (QMPError, OSError, EOFError) as error:
            message = f"the monitor at {self._path} was closed: has the machine ended?"
            raise MonitorError(message) from error

    def hmp(self, command: str) -> str:
        """Return what a command prints that a person types: "info mtree", "xp /4xg 0x1000".

        Raises MonitorError as `execute` does.
        """
        _check_words(command)
        answer = self._execute("human-monitor-command", {"command-line": command})
        return str(answer).replace("\r\n", "\n")

    def registers(self) -> dict[str, int]:
        """Return the CPU's registers by their names: RAX, RIP, RFL, CR3, ..."""
        text = self.hmp("info registers")
        return {name: int(value, 16) for name, value in _REGISTER.findall(text)}

    def memory(self, address: int, size: int, *, physical: bool = False) -> bytes:
        """Return bytes of the guest's memory.

        `address`: virtual, as the CPU now sees it, or physical. Raises MonitorError where there is
        no memory, and ValueError for a negative address or size.
        """
        if address < 0 or size < 0:
            message = f"there is no memory of {size} bytes at {address}"
            raise ValueError(message)
        content = b""
        while len(content) < size:
            count = min(size - len(content), _BYTES_AT_ONCE)
            word = "xp" if physical else "x"
            text = self.hmp(f"{word} /{count}xb {address + len(content):#x}")
            found = bytes(
                int(value, 16)
                for line in text.splitlines()
                for value in line.partition(":")[2].split()
                if value.startswith("0x")
            )
            if len(found) != count:
                kind = "physical" if physical else "virtual"
                message = (
                    f"there is no {kind} memory at {address + len(content):#x}: {text.strip()}"
                )
                raise MonitorError(message)
            content += found
        return content

    def dump(self, path: str | Path, form: str = "elf") -> Path:
        """Write the guest's whole memory into a file, for crash(8) or gdb, and return its path.

        `form`: "elf", or "kdump-zlib", which is compressed.

        Raises MonitorError if QEMU refuses, OSError if the file cannot be written.
        """
        if self._client is None:
            message = f"the connection to the monitor at {self._path} is closed"
            raise MonitorError(message)
        path = Path(path)
        with path.open("w+b") as file:
            # QEMU is handed the file: it need not be allowed to open any.
            self._wait(self._hand_over(self._client, file.fileno()))
            arguments: dict[str, object] = {"paging": False, "protocol": "fd:dump"}
            if form != "elf":
                arguments["format"] = form
            self._execute("dump-guest-memory", arguments)
        return path

    @staticmethod
    async def _hand_over(client: QMPClient, fd: int) -> None:
        client.send_fd_scm(fd)
        await client.execute("getfd", {"fdname": "dump"})


def _check_words(command: str) -> None:
    """Raise MonitorError for a command of people's that does more than look."""
    words = command.split()
    if not words or words[0].partition("/")[0] not in _WORDS:
        message = f"the monitor command {command!r} is not known to only look"
        raise MonitorError(message, f"There is {', '.join(sorted(_WORDS))}.")


def attribute_path(machine: Any, attribute: str) -> str:
    """Return the path that an attribute of a machine names, or ""."""
    from .simulation import load

    ns = load()
    value = ns.StringValue()
    machine.GetAttribute(attribute, value)
    return str(value.Get()).replace("%n", str(machine.GetName()))


def monitor(machine: Any) -> Monitor:
    """Connect to the monitor of an `ns.VirtualMachine` that runs, in a callback or after `Run`.

    ::

        qemu.SetAttribute("Monitor", ns.StringValue("/tmp/%n.qmp"))
        machine = qemu.Install(node)

        def look():
            with ns3_qemu.monitor(machine) as monitor:
                print(hex(monitor.registers()["RIP"]))
                print(monitor.hmp("info mtree"))

        ns3_qemu.at("1.5s", look)

    Raises MonitorError if the machine has no monitor, or is not there.
    """
    path = attribute_path(machine, "Monitor")
    if not path:
        message = f"VM '{machine.GetName()}' has no monitor"
        raise MonitorError(message, "Set the attribute Monitor before the simulation begins.")
    return Monitor(path)
