# SPDX-License-Identifier: GPL-2.0-only
"""The report: report.html for people, in one file, and report.json for programs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import msgspec

from ..results.files import replace_file
from . import figures
from .checks import Check, Kind
from .suite import CONGESTION, KERNELS, Judgement, KeyFigures, Verdict

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; margin: 0 auto; max-width: 75rem; padding: 1rem 2rem 4rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #e3e3e3; }
th { background: #f4f4f4; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.why { color: #555; min-width: 16rem; } tr.bad td { background: #fdeceb; }
.ok, .bad b { font-weight: 600; } .ok { color: #00734f; } .no { color: #b3261e; font-weight: 600; }
.big { font-size: 1.15rem; } img { width: 100%; height: auto; } code { font-size: .9em; }
details { margin: .4rem 0; } summary { cursor: pointer; } nav { font-size: .9rem; }
.kind { font-weight: 600; background: #fafafa; }
"""  # noqa: E501 - a style sheet has its own lines

_KINDS = {
    Kind.EXACT: "exact: what no kernel version may change",
    Kind.INVARIANT: "invariant: pipe and queue decide",
    Kind.EXPLAINED: "explained: newer kernels must differ, by a rule",
    Kind.EQUAL: "equal: the reference's own kernel, packet for packet",
}

_FIGURES: dict[str, tuple[str, int]] = {
    "goodput_mbps": ("goodput, Mbit/s", 4),
    "first_drop_s": ("first drop, s", 4),
    "cwnd_at_first_drop": ("cwnd then", 0),
    "max_cwnd": ("largest cwnd", 0),
    "first_ssthresh": ("ssthresh after", 0),
    "steady_peak": ("steady peak", 1),
    "steady_ssthresh": ("steady ssthresh", 1),
    "period_s": ("period, s", 3),
    "drops": ("segments dropped", 0),
    "retransmissions": ("retransmissions", 0),
    "timeouts": ("falls to cwnd 1", 0),
}

_INTRODUCTION = (
    "One TCP connection over one bottleneck, in ns-3: between two virtual machines whose kernels "
    "are Linux, unmodified; with the Network Simulation Cradle (NSC), which has the code of Linux "
    "2.6.26 in the simulator (measured with ns-3.35, the last release with NSC); and with ns-3's "
    "own TcpLinuxReno. What is expected of the machines comes from the scenario, from NSC, or from "
    "the arithmetic of a rule; only that ssthresh is half of cwnd and that timeouts double is "
    "checked within the run."
)


class _Report(msgspec.Struct, frozen=True, kw_only=True):
    """report.json."""

    holds: bool
    kernel: str
    verdicts: list[Verdict]


class Report:
    """Takes judgements as they come, so that their tables need not stay; writes both files."""

    def __init__(self, kernel: str) -> None:
        self._kernel = kernel
        self._verdicts: list[Verdict] = []
        self._sections: list[str] = []

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """All verdicts so far."""
        return self._verdicts

    @property
    def holds(self) -> bool:
        """Whether every check of every verdict holds; none at all is not enough."""
        return bool(self._verdicts) and all(verdict.holds for verdict in self._verdicts)

    def add(self, judgement: Judgement) -> None:
        """Take a judgement, and draw its figures."""
        self._verdicts.append(judgement.verdict)
        self._sections.append("".join(_section(judgement)))

    def write(self, out: Path) -> None:
        """Write report.html and report.json."""
        document = _Report(holds=self.holds, kernel=self._kernel, verdicts=self._verdicts)
        text = msgspec.json.format(msgspec.json.encode(document), indent=1)
        replace_file(out / "report.json", text + b"\n")
        replace_file(out / "report.html", self._html().encode())

    def _html(self) -> str:
        checks = [check for verdict in self._verdicts for check in verdict.checks]
        bad = sum(not check.holds for check in checks)
        state = (
            f'<span class="ok">All {len(checks)} checks hold.</span>'
            if self.holds
            else f'<span class="no">{bad} of {len(checks)} checks do not hold.</span>'
        )
        rows = "".join(
            f'<tr><td><a href="#{escape(v.name)}">{escape(v.title)}</a></td>'
            + "".join(f'<td class="n">{_count(v.checks, kind)}</td>' for kind in Kind)
            + f"<td>{_verdict(v.holds)}</td></tr>"
            for v in self._verdicts
        )
        kinds = "".join(f'<th class="n">{kind}</th>' for kind in Kind)
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>ns3-qemu: validation</title><style>{_STYLE}</style></head><body>"
            f'<h1>ns3-qemu: validation</h1><p class="big">{state}</p><p>{_INTRODUCTION}</p>'
            f"<p>Kernel: <code>{escape(self._kernel)}</code></p>"
            f"<table><tr><th>scenario</th>{kinds}<th></th></tr>{rows}</table>"
            + "".join(self._sections)
            + "</body></html>\n"
        )


def _section(judgement: Judgement) -> Iterable[str]:
    verdict, runs, scenario = judgement.verdict, judgement.runs, judgement.scenario
    yield f'<h2 id="{escape(verdict.name)}">{escape(verdict.title)} {_verdict(verdict.holds)}</h2>'
    yield f"<p>{_network(judgement)}</p>"
    if verdict.figures:
        yield _figures_table(verdict.figures)
    if verdict.agreement is not None:
        a = verdict.agreement
        yield (
            f"<p><b>Packets identical with NSC:</b> the first {a.first_packets:,} of "
            f"{a.packets:,} ({a.packets_reference:,} with NSC) in time, direction, seq and len, "
            f"the first {a.first_packets_all_fields:,} also in ack, SACK and timestamps. "
            f"{escape(a.parting)}</p>"
        )
    if verdict.words:
        yield "<ul>" + "".join(f"<li>{escape(word)}</li>" for word in verdict.words) + "</ul>"
    if runs:
        side_by_side = verdict.name != CONGESTION and not verdict.name.startswith(KERNELS)
        columns = 3 if side_by_side or verdict.name == CONGESTION else 2
        yield _image("Congestion window over time", figures.cwnd(runs, scenario, columns))
        if side_by_side:
            yield _image(
                "Sequence numbers around the first loss"
                if any(run.summary.first_drop for run in runs)
                else "Sequence numbers in the first second",
                figures.sequence(runs, scenario),
            )
        yield _image("Goodput in each second", figures.goodput(runs, scenario))
    yield _checks_table(verdict.checks)


def _network(judgement: Judgement) -> str:
    s = judgement.scenario
    tcp = s.tcp
    options = ", ".join(
        name if wanted else f"no {name}"
        for name, wanted in (
            ("SACK", tcp.sack),
            ("timestamps", tcp.timestamps),
            ("window scaling", tcp.window_scaling),
        )
    )
    loss = (
        f" Data segment {s.loss.segment} is discarded as it arrives at the receiver"
        + (f", and its first {s.loss.count - 1} retransmissions" if s.loss.count > 1 else "")
        + "."
        if s.loss
        else ""
    )
    # In the part on congestion controls each run has its own.
    control = "" if judgement.verdict.name == CONGESTION else f" {escape(tcp.congestion_control)},"
    return (
        f"Access link {escape(s.access.rate)}, {escape(s.access.delay)}; bottleneck "
        f"{escape(s.bottleneck.rate)}, {escape(s.bottleneck.delay)}, queue "
        f"{escape(s.bottleneck.queue)};{control} {options}, initial window "
        f"{tcp.initial_window or 'as the kernel has it'}.{loss}"
    )


def _figures_table(rows: Sequence[KeyFigures]) -> str:
    head = "".join(f'<th class="n">{escape(run.label)}</th>' for run in rows)
    body = "".join(
        f"<tr><td>{name}</td>"
        + "".join(f'<td class="n">{_value(getattr(run, key), digits)}</td>' for run in rows)
        + "</tr>"
        for key, (name, digits) in _FIGURES.items()
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _checks_table(checks: Sequence[Check]) -> str:
    rows = []
    for kind in Kind:
        of_kind = [check for check in checks if check.kind == kind]
        if of_kind:
            rows.append(f'<tr><td class="kind" colspan="6">{_KINDS[kind]}</td></tr>')
        for c in of_kind:
            cells = (c.name, c.expected, c.measured, c.tolerance)
            rows.append(
                f"<tr{'' if c.holds else ' class=bad'}><td>{_verdict(c.holds)}</td>"
                + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
                + f'<td class="why">{escape(c.reason)}</td></tr>'
            )
    head = "".join(f"<th>{h}</th>" for h in ("", "check", "expected", "measured", "tolerance"))
    table = f"<table><tr>{head}<th>why</th></tr>{''.join(rows)}</table>"
    opened = "" if len(checks) > 40 and all(check.holds for check in checks) else " open"
    return (
        f"<details{opened}><summary><b>{len(checks)} checks</b>, "
        f"{sum(check.holds for check in checks)} hold</summary>{table}</details>"
    )


def _image(title: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return f'<h3>{title}</h3><img alt="{title}" src="data:image/png;base64,{data}">'


def _verdict(holds: bool) -> str:
    return '<span class="ok">✓</span>' if holds else '<span class="no">✗ fails</span>'


def _count(checks: Sequence[Check], kind: Kind) -> str:
    of_kind = [check.holds for check in checks if check.kind == kind]
    return f"{sum(of_kind)} of {len(of_kind)}" if of_kind else "—"


def _value(value: float | None, digits: int) -> str:
    return "—" if value is None else f"{value:,.{digits}f}"
