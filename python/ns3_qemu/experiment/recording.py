# SPDX-License-Identifier: GPL-2.0-only
"""Recorders: each writes one CSV file of an experiment's directory while the simulation runs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import guest
from ..callbacks import at, trace
from ..errors import VmError
from ..simulated_time import to_time
from ..simulation import load
from . import layout, sockets
from .timeline import now_ns


def make_directories(out: str | Path) -> None:
    """Make the directory of a run, and those in it."""
    for name in layout.DIRECTORIES:
        (Path(out) / name).mkdir(parents=True, exist_ok=True)


def seconds(ns: int) -> str:
    """Write a simulated time as all files here do."""
    return f"{ns // 10**9}.{ns % 10**9:09d}"


class _Table:
    """A CSV file whose rows begin with the time."""

    def __init__(self, path: str | Path, columns: Sequence[str]) -> None:
        self._file = Path(path).open("w", encoding="ascii", newline="\n")  # noqa: SIM115
        weakref.finalize(self, self._file.close)  # of a script, at its end
        self._file.write(",".join(columns) + "\n")

    def _row(self, *values: object) -> None:
        cells = ["" if value is None else str(value) for value in values]
        self._file.write(",".join((seconds(now_ns()), *cells)) + "\n")

    def close(self) -> None:
        """Let all be in the file."""
        self._file.close()


class _Capture:
    """A pcap file of what trace sources of ns-3 show."""

    def __init__(self, path: str | Path, link_header: int) -> None:
        """`link_header`: bytes before the IP header; 2: that of PPP, 14: an Ethernet header."""
        import cppyy

        ns = load()
        Path(path).write_bytes(b"")  # ns-3 aborts if it cannot
        helper, self._path = ns.PcapHelper, path
        link_type = helper.DLT_PPP if link_header == 2 else helper.DLT_EN10MB
        self._helper = helper()
        self._file = self._helper.CreateFile(str(path), cppyy.gbl.std.ios.out, link_type)

    def _hook(self, source: Any, trace_name: str, source_type: Any) -> None:
        self._helper.HookDefaultSink[source_type](source, trace_name, self._file)

    def close(self) -> None:
        """Let all be in the file. Raises VmError if that can't be."""
        self._file.Close()
        if self._file.Fail():
            message = f"cannot write the capture {self._path}"
            raise VmError(message, "Is its file system full?")


class StackCapture(_Capture):
    """What a stack of ns-3 and its point-to-point device pass to each other."""

    def __init__(self, path: str | Path, device: Any) -> None:
        """Where packets enter the device's queue, and where they leave the device for the stack."""
        super().__init__(path, 2)
        self._hook(device, "MacTx", load().NetDevice)
        self._hook(device, "MacRx", load().NetDevice)


class DropCapture(_Capture):
    """What the queue of a device has dropped."""

    def __init__(self, path: str | Path, device: Any, link_header: int) -> None:
        """`link_header`: as for `on_arrival` of faults."""
        super().__init__(path, link_header)
        ns = load()
        self._hook(device.GetQueue(), "Drop", ns.Queue[ns.Packet])


class LossCapture(_Capture):
    """What was lost on a link as it arrived at a device."""

    def __init__(self, path: str | Path, device: Any, link_header: int) -> None:
        """`link_header`: as for `on_arrival` of faults."""
        super().__init__(path, link_header)
        self._hook(device, "PhyRxDrop", load().NetDevice)


class _Sampler(_Table):
    """A table that gets rows at each multiple of an interval, up to a time and with it."""

    def __init__(self, path: str | Path, columns: Sequence[str], interval: str, until: str) -> None:
        super().__init__(path, columns)
        self._interval_ns = int(to_time(interval).GetNanoSeconds())
        self._until_ns = int(to_time(until).GetNanoSeconds())
        self._next_ns = self._interval_ns
        self._schedule()
        if self._until_ns % self._interval_ns == 0:
            # The last one comes before what ends the simulation at the same time.
            at(load().NanoSeconds(self._until_ns), self.sample)

    def _schedule(self) -> None:
        if self._next_ns < self._until_ns:
            at(load().NanoSeconds(self._next_ns), self._tick)

    def _tick(self) -> None:
        self._next_ns += self._interval_ns
        self.sample()
        self._schedule()

    def sample(self) -> None:
        """Write what is now."""
        raise NotImplementedError


class FlowTcpInfo(_Table):
    """struct tcp_info of an ns.QemuTcpSource, at each change of what is written."""

    def __init__(self, path: str, source: Any, flow: str) -> None:
        """Follow it from now on; without a path, write nothing."""
        super().__init__(path or os.devnull, layout.TCP_INFO_COLUMNS)
        self._flow = flow
        self._last: tuple[object, ...] = ()
        self.total_retrans: int | None = None
        self.idle_ns: int | None = None
        """Since when the sender knows that all has arrived that it has sent."""
        trace(source, "TcpInfo", self._note)

    def _note(self, info: Any) -> None:
        self.total_retrans = int(info.totalRetrans)
        if int(info.unacked):
            self.idle_ns = None
        elif self.idle_ns is None:
            self.idle_ns = now_ns()
        values = (
            int(info.state),
            int(info.caState),
            int(info.cwnd),
            int(info.ssthresh),
            int(info.rtt),
            int(info.rttvar),
            None,
            int(info.rto),
            int(info.sndMss),
            int(info.unacked),
            int(info.lost),
            int(info.retrans),
            self.total_retrans,
        )
        if values != self._last:
            self._last = values
            self._row(self._flow, *values, None, None, None, None)


class SocketsTcpInfo(_Sampler):
    """struct tcp_info of a machine's TCP sockets, at each multiple of an interval."""

    def __init__(
        self,
        path: str | Path,
        machine: Any,
        interval: str,
        until: str,
        leave_out: Sequence[int] = (),
    ) -> None:
        """`leave_out`: ports whose connections are not written."""
        super().__init__(path, layout.TCP_INFO_COLUMNS, interval, until)
        self._machine = machine
        self._leave_out = tuple(f":{port}" for port in leave_out)

    def sample(self) -> None:
        """Write what is now."""
        for each in sockets.tcp_sockets(self._machine):
            own, _, peer = each.flow.partition(">")
            if own.endswith(self._leave_out) or peer.endswith(self._leave_out):
                continue
            info = each.info
            pacing = info.get("pacing_rate")
            delivery = info.get("delivery_rate")
            self._row(
                each.flow,
                each.state,
                each.ca_state,
                info.get("cwnd"),
                info.get("ssthresh"),
                info.get("srtt_us"),
                info.get("rttvar_us"),
                info.get("min_rtt_us"),
                info.get("rto_us"),
                info.get("mss"),
                info.get("unacked"),
                info.get("lost"),
                info.get("retrans"),
                info.get("total_retrans"),
                None if delivery is None else 8 * delivery,
                8 * pacing if pacing is not None and sockets.is_limited(pacing) else None,
                info.get("bytes_acked"),
                info.get("bytes_received"),
            )


class Queue:
    """The queue of a device towards its link, with the queue disc in front of it.

    It counts drops; with `path` it writes a sample at each multiple of an interval.
    """

    def __init__(
        self,
        device: Any,
        *,
        disc: Any = None,
        machine: Any = None,
        interface: str = "",
        path: str = "",
        interval: str = "",
        until: str = "",
    ) -> None:
        """`disc`: of ns-3; `machine`: whose guest has the queueing discipline instead."""
        self._queue, self._disc = device.GetQueue(), disc
        self._machine, self._interface = machine, interface
        self.samples: list[int] = []
        self._table = _QueueSamples(path, self, interval, until) if path else None

    def now(self) -> tuple[int, int, int]:
        """Return packets, bytes, and drops so far."""
        packets, size = int(self._queue.GetNPackets()), int(self._queue.GetNBytes())
        drops = int(self._queue.GetTotalDroppedPackets())
        if self._disc is not None:
            stats = self._disc.GetStats()
            packets += int(self._disc.GetNPackets())
            size += int(self._disc.GetNBytes())
            drops += int(stats.nTotalDroppedPackets)
        if self._machine is not None:
            for each in guest.qdiscs(self._machine):
                if each.interface == self._interface and each.parent is None:
                    packets += each.queued
                    size += each.backlog
                    drops += each.drops
        return packets, size, drops

    def close(self) -> None:
        """Let all be in the file."""
        if self._table is not None:
            self._table.close()


class _QueueSamples(_Sampler):
    def __init__(self, path: str, queue: Queue, interval: str, until: str) -> None:
        super().__init__(path, layout.QUEUE_COLUMNS, interval, until)
        self._queue = queue

    def sample(self) -> None:
        packets, size, drops = self._queue.now()
        self._queue.samples.append(packets)
        self._row(packets, size, drops)


class Throughput(_Sampler):
    """Payload that has arrived at ns.QemuTcpSinks, for each flow and interval."""

    def __init__(
        self, path: str | Path, sinks: Mapping[str, Any], interval: str, until: str
    ) -> None:
        """`sinks`: by the flow's name."""
        super().__init__(path, layout.THROUGHPUT_COLUMNS, interval, until)
        self._sinks = dict(sinks)
        self._before = dict.fromkeys(self._sinks, 0)

    def sample(self) -> None:
        """Write what has come since the last time."""
        for name, sink in self._sinks.items():
            total = int(sink.GetTotalRx())
            size = total - self._before[name]
            self._before[name] = total
            self._row(name, size, round(size * 8e9 / self._interval_ns))


class Cpu(_Sampler):
    """How busy the CPU of a machine is, of whose attributes CpuRate is one."""

    def __init__(
        self, path: str | Path, machine: Any, interval: str, until: str, cpu: int | None = None
    ) -> None:
        """Follow it from now on; `cpu`: which of several."""
        super().__init__(path, layout.CPU_COLUMNS, interval, until)
        self._machine, self._cpu = machine, cpu
        self.busy_ns: list[int] = []
        """In all, by the end of each interval."""

    def read_ns(self) -> int:
        """Return how long it has been busy by now, in ns of simulated time."""
        if self._cpu is None:
            return int(self._machine.GetBusyTime().GetNanoSeconds())
        return int(self._machine.GetCpuBusyTime(self._cpu).GetNanoSeconds())

    def sample(self) -> None:
        """Write the share of the interval."""
        before = self.busy_ns[-1] if self.busy_ns else 0
        self.busy_ns.append(self.read_ns())
        self._row(f"{(self.busy_ns[-1] - before) / self._interval_ns:.6f}")


class Routes(_Table):
    """A machine's routes at certain times."""

    def __init__(self, path: str | Path, machine: Any, times: Sequence[str]) -> None:
        """Read them at these times."""
        super().__init__(path, layout.ROUTE_COLUMNS)
        self._machine = machine
        for time in times:
            at(time, self._read)

    def _read(self) -> None:
        for table in guest.TABLES:
            for each in guest.routes(self._machine, table):
                values = (each.destination, each.gateway, each.interface, each.metric)
                self._row(*values, each.protocol, table)
