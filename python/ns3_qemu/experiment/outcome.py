# SPDX-License-Identifier: GPL-2.0-only
"""What has come of an experiment: its summary, and whether all ended as expected."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from . import layout
from .model import NS3, Program
from .timeline import now_ns

if TYPE_CHECKING:
    from .build import Builder
    from .programs import HostProgram


def summarise(builder: Builder) -> layout.Summary:
    """Return the summary of a run that has come to its end; write the end into the time-line."""
    experiment = builder.experiment
    flows = _flows(builder)
    programs = [
        _program(name, i, said, made)
        for name, all_made in builder.programs.items()
        for i, (said, made) in enumerate(
            zip(experiment.all_nodes[name].programs, all_made, strict=True)
        )
    ]
    failures = [_failure(each) for each in programs if not each.ok]
    failures += [
        f"flow {flow.name}: nothing has arrived at {flow.receiver}"
        for flow in flows
        if not flow.bytes
    ]
    builder.timeline.note("", "end", "the end")
    return layout.Summary(
        schema=layout.SCHEMA,
        title=experiment.title,
        seed=experiment.seed,
        run=experiment.run,
        simulated_s=now_ns() / 1e9,
        verdict="failed" if failures else "passed",
        failures=failures,
        hosts={name: _host(builder, name) for name in experiment.all_nodes},
        flows=flows,
        jain_index=_jain([flow.goodput_bps for flow in flows]),
        programs=programs,
        queues=_queues(builder),
    )


def _host(builder: Builder, name: str) -> layout.HostSummary:
    native = builder.experiment.is_native(name)
    machine = builder.machines.get(name)
    return layout.HostSummary(
        kind="host" if name in builder.experiment.hosts else "router",
        kernel=NS3 if native else str(builder.experiment.machine(name).kernel),
        release="" if machine is None else str(machine.GetRelease()),
        image="" if machine is None else builder.images[name][1].name,
        addresses={each.name: each.with_prefix for each in builder.plan.of(name)},
        turns=0 if machine is None else int(machine.GetTurns()),
    )


def _flows(builder: Builder) -> list[layout.FlowSummary]:
    end_ns = now_ns()
    result = []
    for name, flow in builder.experiment.flows.items():
        info, size = builder.flow_infos.get(name), int(builder.sinks[name].GetTotalRx())
        stop = min(end_ns, flow.stop or end_ns)
        idle = info.idle_ns if info is not None else None
        whole = flow.size is not None and size >= flow.size
        end = idle if whole and idle is not None else stop
        duration = end - flow.start
        control = flow.congestion_control or _usual_control(builder, flow.sender)
        result.append(
            layout.FlowSummary(
                name=name,
                sender=flow.sender,
                receiver=flow.receiver,
                start_s=flow.start / 1e9,
                end_s=end / 1e9,
                bytes=size,
                goodput_bps=round(size * 8e9 / duration) if duration > 0 else 0,
                retransmissions=_retransmissions(builder, name, flow.sender),
                congestion_control=control.strip(),
            )
        )
    return result


def _retransmissions(builder: Builder, flow: str, sender: str) -> int | None:
    if flow in builder.flow_infos:
        count: int | None = builder.flow_infos[flow].total_retrans
        return count
    if sender in builder.machines:
        return int(builder.sources[flow].GetTcpInfo().totalRetrans)
    return None


def _usual_control(builder: Builder, sender: str) -> str:
    if sender in builder.machines:
        return str(builder.machines[sender].GetSysctl("net.ipv4.tcp_congestion_control"))
    ns = builder.ns
    kind = ns.TypeIdValue()
    builder.nodes[sender].GetObject[ns.TcpL4Protocol]().GetAttribute("SocketType", kind)
    return str(kind.Get().GetName())


def _jain(rates: list[int]) -> float | None:
    squares = sum(rate * rate for rate in rates)
    if len(rates) < 2 or not squares:
        return None
    return round(sum(rates) ** 2 / (len(rates) * squares), 6)


def _program(host: str, index: int, said: Program, made: HostProgram) -> layout.ProgramSummary:
    end_ns = now_ns()
    stopped = made.crashed or (said.stop is not None and said.stop <= (made.exit_ns or end_ns))
    code = made.exit_code
    if said.exit is None:
        ok = code in (0, None) or stopped
    elif said.exit == "any":
        ok = True
    elif said.exit == "running":
        ok = code is None
    else:
        ok = code in said.exit
    words = shlex.split(said.command) if isinstance(said.command, str) else said.command
    return layout.ProgramSummary(
        host=host,
        index=index,
        name=said.label,
        command=words,
        start_s=said.start / 1e9,
        exit_code=code,
        exit_s=None if made.exit_ns is None else made.exit_ns / 1e9,
        stopped=stopped,
        ok=ok,
        stdout=layout.program(host, index, said.label, "stdout"),
        stderr=layout.program(host, index, said.label, "stderr"),
    )


def _failure(program: layout.ProgramSummary) -> str:
    if program.exit_code is None:
        how = "still runs at the end"
    else:
        how = f"has ended with {program.exit_code} at {program.exit_s} s"
    return f"{program.host}: {program.name} {how}; see {program.stderr}"


def _queues(builder: Builder) -> list[layout.QueueSummary]:
    result = []
    for (link, host), queue in builder.queues.items():
        samples = queue.samples
        result.append(
            layout.QueueSummary(
                link=link,
                host=host,
                dropped_packets=queue.now()[2],
                mean_packets=round(sum(samples) / len(samples), 6) if samples else None,
                max_packets=max(samples, default=None),
            )
        )
    return result
