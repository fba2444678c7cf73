"""Whether measurements on this host meet a deployment target, and why; nothing is extrapolated to another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from patchtst_har.records import measurement as records
from patchtst_har.records.feasibility import JudgedTarget, Target, Verdict
from patchtst_har.smoothing.decide import causal_lag
from patchtst_har.support.formatting import duration
from patchtst_har.support.percentiles import MIN_SAMPLES

# From the least to the most decisive.
_SEVERITY: tuple[Verdict, ...] = ("feasible", "undecided", "not measured", "not feasible")
# A workload this much slower at the median than the one of the open loop is not covered by it.
_CLEARLY_SLOWER = 1.1


@dataclass(frozen=True)
class Finding:
    """One requirement: its outcome, a sentence, and how often the measured value fits into the limit."""

    outcome: Verdict
    reason: str
    margin: float | None = None
    busy: bool = False
    short: bool = False
    """Whether it is undecided only for lack of decisions."""


def judge(
    target: Target,
    devices: records.Devices,
    n_usable_cores: int | None,
    *,
    busy: str | None = None,
    whole: records.HarnessSettings | None = None,
) -> JudgedTarget:
    """Judge one target.

    Parameters
    ----------
    target : Target
        What is asked.
    devices : Devices
        What was measured.
    n_usable_cores : int or None
        Cores that this process may use; None: unknown.
    busy : str, optional
        What others did meanwhile (`records.feasibility.busy_with`): a latency that is too long on a busy
        machine decides nothing. One that is short enough there is so on a quiet one, too.
    whole : HarnessSettings, optional
        How a measurement that is not shortened would be made; where it would make decisions enough for a
        percentile that these measurements have too few for, the reason says so.

    Returns
    -------
    JudgedTarget
        The most decisive outcome of all requirements, the reason of each, the decisive ones first, and the
        smallest margin.
    """
    checks = [_advised(check, target, whole) for check in _checks(target, devices, n_usable_cores, busy)]
    checks.sort(key=lambda check: -_SEVERITY.index(check.outcome))
    margins = [check.margin for check in checks if check.margin is not None]
    return JudgedTarget(
        **target.replace(deadline_s=target.effective_deadline_s).model_dump(),
        verdict=checks[0].outcome,
        busy=checks[0].outcome == "undecided" and any(check.busy for check in checks),
        reasons=tuple(check.reason for check in checks),
        margin=min(margins, default=None),
    )


def least_decisions(target: Target) -> int:
    """Return how many decisions the percentile of a target needs."""
    return MIN_SAMPLES["p99_9" if target.percentile == "max" else target.percentile]


def n_decisions(target: Target, settings: records.HarnessSettings) -> int:
    """Return how many decisions a measurement makes that such a target is judged by."""
    if target.streams_per_core == 1:
        return settings.n_decisions
    return math.floor(settings.open_loop_streams * settings.open_loop_s / settings.hop_s)


def _advised(check: Finding, target: Target, whole: records.HarnessSettings | None) -> Finding:
    """Add how to decide what only has too few decisions, where a run that is not shortened does."""
    if not check.short or whole is None or n_decisions(target, whole) < least_decisions(target):
        return check
    return replace(check, reason=f"{check.reason} Run without --quick to decide it.")


def _checks(
    target: Target, devices: records.Devices, n_usable_cores: int | None, busy: str | None
) -> Iterator[Finding]:
    measured = devices.cpu if target.device == "cpu" else devices.cuda
    if not isinstance(measured, records.Measured):
        yield Finding("not measured", f"{target.device.upper()}: {measured.status}.")
        return
    if measured.settings.hop_s != target.hop_s:
        hops = f"a hop of {measured.settings.hop_s:g} s, the target's is {target.hop_s:g} s"
        yield Finding("not measured", f"Measured at {hops}.")
        return
    absent = [name for name in target.workloads if name not in measured.workloads]
    if absent:
        yield Finding("not measured", f"Workload {absent[0]!r} was not measured.")
        return
    yield from _smoothing(target, measured)
    latency = _of_one(target, measured) if target.streams_per_core == 1 else _of_many(target, measured)
    yield latency if busy is None else _on_a_busy_machine(latency, busy)
    yield from _cores(target, n_usable_cores)
    yield from _memory(target, measured)


def _on_a_busy_machine(latency: Finding, busy: str) -> Finding:
    """Change failures to undecided if other programs may have caused them."""
    if latency.outcome == "feasible" or latency.short:
        return latency
    reason = f"{latency.reason} The machine was busy ({busy}): measure again when it is quiet."
    return replace(latency, outcome="undecided", reason=reason, busy=True)


def _smoothing(target: Target, measured: records.Measured) -> Iterator[Finding]:
    wait_s = (causal_lag(measured.settings.smoothing or "none") or 0) * measured.settings.hop_s
    if wait_s > target.smoothing_lag_s:
        allowed = f"{target.smoothing_lag_s:g} s are allowed"
        yield Finding("not feasible", f"Smoothing waits {wait_s:g} s for later windows, {allowed}.")


def _of_one(target: Target, measured: records.Measured) -> Finding:
    """Judge one stream per core by the slowest workload."""
    checks = [_alone(target, name, workload) for name, workload in _considered(target, measured).items()]
    return max(checks, key=lambda check: (_SEVERITY.index(check.outcome), -(check.margin or 0)))


def _alone(target: Target, name: str, workload: records.WorkloadTimes) -> Finding:
    """Judge one stream by the closed loop, scaled by the measured slow-down after a rest."""
    loop, what = workload.closed_loop, f"{name}, one stream"
    if loop.real_time_factor >= 1:
        return Finding(
            "not feasible", f"{what}: a decision takes {loop.real_time_factor:.3g} hops on average."
        )
    check = _deadline(target, loop.end_to_end, loop.miss_rate_upper95, what)
    if check.outcome == "not feasible":
        return check
    return _after_a_rest(target, check, workload.rested)


def _after_a_rest(target: Target, check: Finding, rested: records.RestedTimes | None) -> Finding:
    """Judge a target the closed loop met, with cold caches."""
    if rested is None:
        if check.outcome != "feasible":
            return check
        return Finding("undecided", f"{check.reason} How long it takes after a rest was not measured.")
    median_low = rested.times.bound("p50")[0] or 0.0
    after = f"After {rested.rest_s:g} s of rest, as between two decisions of a live stream,"
    if median_low > target.deadline_us:
        reason = f"{check.reason} {after} the median is at least {duration(median_low)}."
        return Finding("not feasible", reason, target.deadline_us / median_low)
    # A rest that seems to make it faster is noise.
    stretch = max(rested.ratio_of_medians, 1.0)
    margin = None if check.margin is None else check.margin / stretch
    reason = f"{check.reason} {after} it takes {stretch:.2g} times as long"
    if check.outcome != "feasible" or margin is None:
        return replace(check, reason=f"{reason}.", margin=margin)
    if margin >= 1:
        return Finding("feasible", f"{reason}: that is in time, too.", margin)
    return Finding("undecided", f"{reason}: then it may not be in time.", margin)


def _of_many(target: Target, measured: records.Measured) -> Finding:
    """Judge several streams per core by the open loop; more streams never count as faster than fewer."""
    needed, loop = target.streams_per_core, measured.open_loop
    what = f"{loop.workload}, {loop.n_streams} streams on one core"
    check = _deadline(target, loop.from_schedule, loop.miss_rate_upper95, what)
    if loop.utilisation >= 1:
        reason = f"{what}: the work takes {loop.utilisation:.3g} of the time there is for it."
        check = Finding("not feasible", reason, 1 / loop.utilisation)
    if check.outcome == "not feasible" and loop.n_streams > needed:
        return Finding("undecided", f"{check.reason} {needed} streams alone were not measured.")
    if check.outcome == "not feasible":
        return check
    if loop.n_streams < needed:
        return Finding("undecided", f"{check.reason} {needed} streams are needed: more than were measured.")
    slower = _slower_than_open_loop(target, measured, loop)
    if check.outcome == "feasible" and slower:
        return Finding("undecided", f"{check.reason} {slower}")
    return check


def _slower_than_open_loop(target: Target, measured: records.Measured, loop: records.OpenLoop) -> str | None:
    """Return a sentence if the open loop did not run on the slowest kind of movement that counts."""
    medians = {
        name: workload.closed_loop.end_to_end.p50_us
        for name, workload in _considered(target, measured).items()
    }
    reference = measured.workloads[loop.workload].closed_loop.end_to_end.p50_us
    slowest = max(medians, key=lambda name: medians[name] or 0)
    ratio = (medians[slowest] or 0) / reference if reference else 0
    if ratio <= _CLEARLY_SLOWER:
        return None
    return f"{slowest} takes {ratio:.2g} times as long at the median, and was not run with many streams."


def _considered(target: Target, measured: records.Measured) -> dict[str, records.WorkloadTimes]:
    names = target.workloads or tuple(measured.workloads)
    return {name: measured.workloads[name] for name in names}


def _deadline(target: Target, times: records.Percentiles, miss_rate: float, what: str) -> Finding:
    limit, label = target.deadline_us, target.percentile.replace("_", ".")
    if target.percentile == "max":
        return _every_one(limit, times, miss_rate, what)
    value, (low, high) = times.value(target.percentile), times.bound(target.percentile)
    against = f"against {duration(limit)}"
    if low is not None and low > limit:
        return Finding("not feasible", f"{what}: {label} is at least {duration(low)} {against}.", limit / low)
    if value is None:
        least = MIN_SAMPLES[target.percentile]
        reason = f"{what}: {times.n} decisions, too few for {label} (at least {least})."
        return Finding("undecided", reason, short=True)
    if high is None:
        reason = f"{what}: {times.n} decisions, too few for an upper bound of {label}."
        return Finding("undecided", reason, short=True)
    found = f"{what}: {label} {duration(value)}, at most {duration(high)} with 99 % confidence, {against}"
    if high <= limit:
        return Finding("feasible", f"{found}.", limit / high)
    return Finding("undecided", f"{found}: the bounds lie on both sides.", limit / high)


def _every_one(limit: float, times: records.Percentiles, miss_rate: float, what: str) -> Finding:
    """Judge the largest time: it has no bound, so the sentence says how rare a longer one is."""
    largest, least = times.max_us, MIN_SAMPLES["p99_9"]
    found = f"{what}: the largest of {times.n} took {duration(largest)} against {duration(limit)}"
    if largest > limit:
        return Finding("not feasible", f"{found}.", limit / largest)
    if times.n < least:
        reason = f"{found}; at least {least} decisions are needed."
        return Finding("undecided", reason, limit / largest, short=True)
    rare = f"fewer than {miss_rate:.2g} of all decisions miss the hop, with 95 % confidence"
    return Finding("feasible", f"{found}; {rare}.", limit / largest)


def _cores(target: Target, n_usable_cores: int | None) -> Iterator[Finding]:
    if target.cores == 1:
        return
    if n_usable_cores is None or n_usable_cores < target.cores:
        usable = "an unknown number of" if n_usable_cores is None else str(n_usable_cores)
        asked = f"{target.cores} cores are asked for"
        yield Finding("undecided", f"{asked}, this host lets the process use {usable}.")
    assumed = f"that {target.cores} cores carry {target.cores} times as many streams is an assumption"
    yield Finding("feasible", f"Measured on one core; {assumed}.")


def _memory(target: Target, measured: records.Measured) -> Iterator[Finding]:
    """Judge the peaks of a process that has nothing but streams; more of them never take less."""
    limit, needed = target.memory_mb, target.streams_per_core
    if limit is None:
        return
    peaks = sorted(measured.memory.of_streams, key=lambda peak: peak.n_streams)
    if not peaks:
        yield Finding("not measured", "The memory of a process with nothing but streams was not measured.")
        return
    fewer = [peak for peak in peaks if peak.n_streams <= needed]
    enough = [peak for peak in peaks if peak.n_streams >= needed]
    if fewer and fewer[-1].peak_rss_mb * target.cores > limit:
        yield _peak("not feasible", target, fewer[-1])
    elif enough and enough[0].peak_rss_mb * target.cores <= limit:
        yield _peak("feasible", target, enough[0])
    else:
        yield _peak("undecided", target, (enough or fewer)[0 if enough else -1])


def _peak(outcome: Verdict, target: Target, peak: records.StreamMemory) -> Finding:
    total, limit = peak.peak_rss_mb * target.cores, target.memory_mb or 0.0
    streams = "1 stream" if peak.n_streams == 1 else f"{peak.n_streams} streams"
    many = f"{target.cores} processes of {peak.peak_rss_mb:,.0f} MiB"
    what = many if target.cores > 1 else "A fresh process"
    reason = f"{what} with {streams} took up to {total:,.0f} MiB of resident memory against {limit:,.0f} MiB."
    return Finding(outcome, reason, limit / total)
