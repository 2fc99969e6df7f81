# SPDX-License-Identifier: GPL-2.0-only
"""Which runs the validation consists of, and running them: one process each, several at a time."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .. import scenario as scenarios
from ..errors import ScenarioError
from ..image_spec import ImageSpec
from ..results import compare
from ..results.errors import ResultError
from ..results.summary import INFINITE_SSTHRESH
from ..scenario import Scenario
from . import checks, data, evidence, prose
from .checks import Check, Kind
from .evidence import Evidence
from .network import Network

#: the scenario in which kernels and congestion controls are compared
BASE = "A1_q20_sack"

#: ns-3's own TCP that stands beside the kernels: modelled on Linux
NATIVE = "ns3:TcpLinuxReno"

#: names for --only besides the scenarios'
KERNELS = "kernels"
CONGESTION = "congestion"

DEFAULT_KERNEL = "debian:6.1"
DEFAULT_KERNELS = ("debian:5.10", "debian:6.1", "debian:6.12", "debian:sid")
INITIAL_WINDOWS = (2, 10)
CONGESTION_CONTROLS = ("reno", "cubic", "bbr", "vegas", "dctcp")


@dataclass(frozen=True)
class Job:
    """A run to be made."""

    scenario: str
    system: str  # at both hosts
    settings: tuple[str, ...] = ()  # KEY=VALUE, in place of what the scenario's file says
    mutations: tuple[str, ...] = ()  # as settings, but the checks don't know of them

    @property
    def directory(self) -> str:
        """Name of the directory for its results."""
        system = self.system
        if "/" in system:
            # The file's name for people; kernels of the same name lie in different places.
            digest = hashlib.sha256(system.encode()).hexdigest()[:8]
            system = f"{Path(system.partition(',')[0]).name}-{digest}"
        words = (system, *self.settings, *self.mutations)
        return f"{self.scenario}/{re.sub(r'[^A-Za-z0-9.-]+', '_', '+'.join(words))}"

    def read(self) -> Scenario:
        """Return the scenario that its results are checked against."""
        return self._read(self.settings)

    def images(self) -> list[ImageSpec]:
        """Return the images of its machines."""
        scenario = self._read((*self.settings, *self.mutations))
        native = self.system.startswith(scenarios.NATIVE)
        hosts = () if native else ("sender", "receiver")
        return [scenario.hosts.image(host) for host in hosts]

    def _read(self, settings: tuple[str, ...]) -> Scenario:
        hosts = (f'hosts.sender="{self.system}"', f'hosts.receiver="{self.system}"')
        return scenarios.read(data.scenarios()[self.scenario], (*settings, *hosts))


@dataclass(frozen=True)
class Plan:
    """What is to be validated."""

    scenarios: tuple[str, ...]
    kernel: str = DEFAULT_KERNEL
    """The one that all scenarios run with."""
    kernels: tuple[str, ...] = ()
    """Those that are compared with each other; empty for none."""
    congestion_controls: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    """For all runs with a kernel, unknown to the checks: a wrong network must fail."""

    def vm(self, name: str) -> Job:
        """Return a scenario's run with the kernel."""
        return Job(name, self.kernel, mutations=self.settings)

    def native(self, name: str) -> Job:
        """Return a scenario's run with ns-3's own TCP."""
        return Job(name, NATIVE)

    def version(self, kernel: str, window: int) -> Job:
        """Return a run of the base scenario with one of the kernels."""
        # With the scenario's own window it is the same run as the scenario's.
        settings = () if window == _base_window() else (f"tcp.initial_window={window}",)
        return Job(BASE, kernel, settings, self.settings)

    def congestion(self, name: str) -> Job:
        """Return a run of the base scenario with a congestion control."""
        settings = () if name == "reno" else (f"tcp.congestion_control={name}",)
        return Job(BASE, self.kernel, settings, self.settings)

    def jobs(self) -> list[Job]:
        """Return all runs, each once, the long ones first."""
        jobs = [job for name in self.scenarios for job in (self.vm(name), self.native(name))]
        jobs += [self.version(k, w) for k in self.kernels for w in INITIAL_WINDOWS]
        jobs += [self.congestion(name) for name in self.congestion_controls]
        rates = {job: Network(job.read()).segment_ns for job in jobs}
        return sorted(dict.fromkeys(jobs), key=lambda job: rates[job])


def plan(
    only: Sequence[str] = (),
    kernel: str = DEFAULT_KERNEL,
    kernels: Sequence[str] = DEFAULT_KERNELS,
    settings: Sequence[str] = (),
) -> Plan:
    """Return what is to be validated. Raises ScenarioError for names that there are not.

    `only`: names of scenarios, "kernels" or "congestion"; all if there are none.
    """
    known = [*data.scenarios(), KERNELS, CONGESTION]
    for name in only:
        if name not in known:
            message = f"--only {name}: there are {', '.join(known)}"
            raise ScenarioError(message)
    chosen = only or known
    return Plan(
        scenarios=tuple(name for name in data.scenarios() if name in chosen),
        kernel=kernel,
        kernels=tuple(dict.fromkeys(kernels)) if KERNELS in chosen else (),
        congestion_controls=CONGESTION_CONTROLS if CONGESTION in chosen else (),
        settings=tuple(settings),
    )


def _base_window() -> int | None:
    return scenarios.read(data.scenarios()[BASE]).tcp.initial_window


# --- running --------------------------------------------------------------------------------------


def workers() -> int:
    """Return how many runs go at a time: one for each CPU that this process may use."""
    return len(os.sched_getaffinity(0))


def run(
    jobs: Iterable[Job], out: Path, finished: Callable[[Job, str], object] = lambda *_: None
) -> dict[Job, str]:
    """Make the runs, each in its directory below `out`. Return what went wrong, by run.

    A simulation has its process to itself: so they run side by side, and one that fails leaves the
    others alone. `finished` is called in this thread for each, with its error or nothing.
    """
    errors: dict[Job, str] = {}
    processes: set[subprocess.Popen[str]] = set()
    with ThreadPoolExecutor(workers()) as pool:
        waiting = {pool.submit(_run, job, out / job.directory, processes): job for job in jobs}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    job = waiting.pop(future)
                    error = future.result()
                    if error:
                        errors[job] = error
                    finished(job, error)
        except BaseException:
            # What has not begun is not to begin, and what runs ends, with its machines.
            pool.shutdown(wait=False, cancel_futures=True)
            while any(future.running() for future in waiting):
                for process in list(processes):
                    process.terminate()
                wait(waiting, timeout=0.5)
            raise
    return errors


def _run(job: Job, directory: Path, processes: set[subprocess.Popen[str]]) -> str:
    """Make a run; return its error, or nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ns3_qemu", "scenario"]
    command += [str(data.scenarios()[job.scenario]), "--out", str(directory), "--quiet"]
    command += ["--sender", job.system, "--receiver", job.system]
    for setting in (*job.settings, *job.mutations):
        command += ["--set", setting]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        processes.add(process)
        text = process.communicate()[0]
        processes.discard(process)
    (directory / "log").write_text(text)
    if process.returncode == 0:
        return ""
    lines = [line for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:]) or f"it ended with status {process.returncode}"


# --- judging --------------------------------------------------------------------------------------


class KeyFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What tables show of a run."""

    label: str
    goodput_mbps: float
    first_drop_s: float | None
    cwnd_at_first_drop: int | None
    max_cwnd: int
    first_ssthresh: int | None
    steady_peak: float | None
    steady_ssthresh: float | None
    period_s: float | None
    drops: int
    retransmissions: int
    timeouts: int
    """How often cwnd fell to 1."""


def key_figures(run: Evidence) -> KeyFigures:
    """Return what tables show of a run."""
    s = run.summary
    ssthresh = s.episodes[0].ssthresh_after if s.episodes else None
    return KeyFigures(
        label=run.label,
        goodput_mbps=s.goodput_bps_over_60s / 1e6,
        first_drop_s=s.first_drop.t if s.first_drop else None,
        cwnd_at_first_drop=s.first_drop.cwnd if s.first_drop else None,
        max_cwnd=s.max_cwnd,
        first_ssthresh=None if ssthresh == INFINITE_SSTHRESH else ssthresh,
        steady_peak=s.details.steady_peak_segments,
        steady_ssthresh=s.details.steady_ssthresh_segments,
        period_s=s.details.steady_period_s,
        drops=s.drops,
        retransmissions=s.retransmissions,
        timeouts=s.cwnd_hit_1,
    )


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run's packets are the reference's."""

    first_packets: int
    """That agree in time, direction, seq and len, from the start."""
    parting: str
    """Where they part, and by which rule."""
    first_packets_all_fields: int
    """That agree in every field that equality counts."""
    packets: int
    packets_reference: int


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or runs side by side, and all checks of them."""

    name: str
    title: str
    checks: list[Check]
    figures: list[KeyFigures]
    agreement: Agreement | None = None
    words: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether every check holds; none at all is not enough."""
        return bool(self.checks) and all(check.holds for check in self.checks)


@dataclass(frozen=True)
class Judgement:
    """A verdict with what its figures are drawn from."""

    verdict: Verdict
    runs: tuple[Evidence, ...]
    """Side by side, in the order of the figures."""
    scenario: Scenario


@dataclass
class Results:
    """The results of a plan's runs, loaded when they are asked for."""

    plan: Plan
    out: Path
    errors: dict[Job, str] = field(default_factory=dict)

    def judge(self) -> Iterable[Judgement]:
        """Yield the judgements: of each scenario, of the kernels, of the congestion controls."""
        for name in self.plan.scenarios:
            yield self._scenario(name)
        if self.plan.kernels:
            for window in INITIAL_WINDOWS:
                yield self._kernels(window)
        if self.plan.congestion_controls:
            yield self._congestion()

    def _load(self, job: Job, label: str) -> tuple[Evidence | None, list[Check]]:
        """Return a run, or the check that fails because there is none."""
        error = self.errors.get(job, "")
        if not error:
            try:
                return evidence.of_run(self.out / job.directory, label), []
            except (ResultError, OSError) as failure:
                error = str(failure)
        failed = Check(
            kind=Kind.EXACT,
            name=f"the run with {job.system}",
            expected="ends with results",
            measured=error,
            tolerance="none",
            reason=f"Its log is {self.out / job.directory / 'log'}.",
            holds=False,
        )
        return None, [failed]

    def _scenario(self, name: str) -> Judgement:
        job = self.plan.vm(name)
        scenario = job.read()
        place = data.reference(name)
        reference = evidence.of_reference(place, scenario) if place else None
        vm, found = self._load(job, "")
        native, failed = self._load(self.plan.native(name), f"ns-3, {NATIVE.removeprefix('ns3:')}")
        found += failed
        agreement = None
        if vm is not None:
            found += checks.check(vm, reference, scenario)
            if reference is not None:
                agreement = _agreement(vm, reference)
        runs = tuple(run for run in (vm, reference, native) if run is not None)
        verdict = Verdict(
            name=name,
            title=name,
            checks=found,
            figures=[key_figures(run) for run in runs],
            agreement=agreement,
        )
        return Judgement(verdict, runs, scenario)

    def _kernels(self, window: int) -> Judgement:
        runs: list[Evidence] = []
        words: list[str] = []
        found: list[Check] = []
        scenario = self.plan.version(self.plan.kernels[0], window).read()
        place = data.reference(BASE)
        same = window == _base_window()
        reference = evidence.of_reference(place, scenario) if place and same else None
        for kernel in self.plan.kernels:
            job = self.plan.version(kernel, window)
            run, failed = self._load(job, "")
            found += failed
            if run is not None:
                runs.append(run)
                found += _of(run, checks.check(run, reference, job.read()))
            usual, _ = self._load(self.plan.version(kernel, INITIAL_WINDOWS[0]), "")
            if run is not None and usual is not None and window != INITIAL_WINDOWS[0]:
                words.append(prose.windows(usual, run))
        verdict = Verdict(
            name=f"{KERNELS}_iw{window}",
            title=f"Kernel against kernel, initial window {window}",
            checks=found,
            figures=[key_figures(run) for run in runs],
            words=[*words, *prose.kernels(runs, reference)],
        )
        return Judgement(verdict, tuple(runs), scenario)

    def _congestion(self) -> Judgement:
        runs: list[Evidence] = []
        found: list[Check] = []
        for name in self.plan.congestion_controls:
            job = self.plan.congestion(name)
            run, failed = self._load(job, name)
            found += failed
            if run is not None:
                runs.append(run)
                # A congestion control changes when packets leave, never how they travel.
                found += _of(run, checks.passage(run, Network(job.read())))
        verdict = Verdict(
            name=CONGESTION,
            title="Congestion controls",
            checks=found,
            figures=[key_figures(run) for run in runs],
            words=prose.congestion(runs),
        )
        scenario = self.plan.congestion("reno").read()
        return Judgement(verdict, tuple(runs), scenario)


def _of(run: Evidence, found: Iterable[Check]) -> list[Check]:
    """Put the run's label before the checks' names, where several runs have the same checks."""
    return [msgspec.structs.replace(c, name=f"{run.label}: {c.name}") for c in found]


def _agreement(run: Evidence, reference: Evidence) -> Agreement:
    short = compare(run.packets, reference.packets, checks.PREFIX_FIELDS)
    whole = compare(run.packets, reference.packets)
    return Agreement(
        first_packets=short.agree_from_start,
        parting=checks.parting(run, reference),
        first_packets_all_fields=whole.agree_from_start,
        packets=len(run.packets),
        packets_reference=len(reference.packets),
    )
