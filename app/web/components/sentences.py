"""The sentence that opens a page, and its status mark, from what the store holds. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.config.performance import Performance
from app.durations import duration
from app.parity.estimate import Expected
from app.performance.assessment import Assessment, Measure
from app.performance.statistic import Verdict
from app.progress import quartz
from app.progress.phases import SignOffStatus
from app.store.audit import ChainCheck
from app.store.collected.records import JobRunRecord, ScheduleRecord, UpdateRecord
from app.store.operations import OperationRecord, State
from app.store.parity_records import ParityTable
from app.web.components.status import Mark
from app.web.components.text import ago, count, megabytes, ratio, seconds


def health(
    runs: Sequence[JobRunRecord], updates: Sequence[UpdateRecord], pipeline: str, job: str, now: datetime
) -> tuple[Mark, str]:
    """Health of the new pipeline, from the new job's runs and the production pipeline's updates, newest first.

    Generated history, validate-only updates, and cancelled runs and updates do not count.
    """
    mine = [u for u in updates if u.environment == "production" and not u.generated and not u.validate_only]
    ended = [u for u in mine if not u.active and u.state != "CANCELED"]
    failed_run = next(
        (r for r in runs if r.side == "candidate" and not r.generated and not r.active and r.state != "CANCELED"), None
    )
    if not ended:
        if any(u.active for u in mine):
            return Mark("running", "busy"), f"{pipeline} is running and has not finished an update yet."
        return Mark("unknown", "unknown"), f"No finished update of {pipeline} has been collected."
    good = sum(u.state == "COMPLETED" for u in ended)
    record = f"{good} of the last {count(len(ended), 'update')} completed"
    last = ended[0]
    when = ago(last.end_time or last.start_time, now)
    if last.state != "COMPLETED":
        return Mark("failed", "bad"), f"The last update of {pipeline} ended {last.state}, {when}; {record}."
    if failed_run is not None and failed_run.state not in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
        ended_when = ago(failed_run.end_time or failed_run.start_time, now)
        return (
            Mark("failed", "bad"),
            f"The last update completed {when}, but the last run of {job} ended {failed_run.state}, {ended_when}.",
        )
    return Mark("succeeded", "good"), f"The last update of {pipeline} completed {when}; {record}."


def as_fast_and_cheap(found: Assessment) -> tuple[Mark, str]:
    """The verdicts about run time and cost in US dollars of the new side, with the figures that they rest on."""
    judged = (found.run_time, found.usd)
    sentence = " ".join((verdict(found.run_time, "Run time"), verdict(found.usd, "Cost")))
    if any(m.verdict is Verdict.WORSE for m in judged):
        return Mark("worse", "bad"), sentence
    if all(m.verdict in (Verdict.EQUAL, Verdict.BETTER, Verdict.NOT_WORSE) for m in judged):
        return Mark("equal or better", "good"), sentence
    enough = all(m.verdict is not Verdict.NOT_ENOUGH for m in judged)
    return Mark("undecided" if enough else "not enough pairs", "unknown"), sentence


def verdict(found: Measure, name: str) -> str:
    """One measure's verdict: `Cost is equal: 1.01× the old side (0.98× to 1.03×, 26 pairs).`"""
    if found.verdict is Verdict.NOT_ENOUGH or found.ratio is None:
        pending = "".join(f", {n:,} {why}" for why, n in found.left_out.items())
        return f"{name} is not judged yet: {len(found.points):,} of {found.settings.minimum_pairs} pairs{pending}."
    return f"{name} is {found.verdict}: {ratio(found.ratio)} the old side ({surely(found)})."


def rules_of_judgement(settings: Performance) -> str:
    """What a verdict about run time and cost needs, and what the migration file relaxes of it."""
    text = (
        f"Judged by pairs of an old and a new delivery of the last {count(settings.window_days, 'day')}: equal within "
        f"{settings.margin:.0%} of the old side, at least {count(settings.minimum_pairs, 'pair')}, "
        f"{settings.confidence:.0%} confidence where so many pairs can have it. "
        "The ratio is the median of the pairs' ratios."
    )
    return text + (f" ▲ This migration file relaxes: {', '.join(settings.relaxed)}." if settings.relaxed else "")


def surely(found: Measure) -> str:
    """The interval of a measure's ratio and its number of pairs: `0.98× to 1.03×, 26 pairs`."""
    pairs = count(len(found.points), "pair")
    if found.interval is None or len(found.points) < 2:
        return f"{pairs}, no interval"
    return f"{ratio(found.interval.low)} to {ratio(found.interval.high)}, {pairs}"


def offset(baseline: ScheduleRecord | None, development: ScheduleRecord | None) -> str | None:
    """How the development job's schedule is offset from the old job's; None where it is not, or is unknown."""
    if baseline is None or development is None or not baseline.quartz or not development.quartz:
        return None
    try:
        compared = quartz.compare(
            quartz.Schedule(development.quartz, development.timezone or "UTC"),
            quartz.Schedule(baseline.quartz, baseline.timezone or "UTC"),
            development.as_of,
        )
    except ValueError:
        return None
    if compared.agree:
        return None
    return (
        f"{development.name} starts {compared.baseline_per_day:.3g} times a day, {baseline.name} "
        f"{compared.candidate_per_day:.3g} times, and they start up to {duration(compared.furthest, 0)} apart: a "
        "comparison of the development tables includes that difference in time."
    )


def equality(latest: dict[str, ParityTable], tables: Sequence[str], now: datetime) -> tuple[Mark, str]:
    """Equality of the tables, from each table's newest comparison."""
    done = {t: latest[t] for t in tables if t in latest and latest[t].verdict}
    different = [t for t, r in done.items() if r.verdict == "different"]
    unproven = [t for t, r in done.items() if r.verdict == "not_proven"]
    never = [t for t in tables if t not in done]
    oldest = min((r.finished_at for r in done.values() if r.finished_at), default=None)
    asof = f" Oldest comparison: {ago(oldest, now)}." if oldest else ""
    if different:
        return (
            Mark("different", "bad"),
            f"{len(different)} of {count(len(tables), 'table')} differ ({_names(different)}).{asof}",
        )
    if not done:
        return Mark("not compared", "quiet"), f"None of {count(len(tables), 'table')} has been compared."
    if unproven:
        return (
            Mark("not proven", "unknown"),
            f"{len(unproven)} of {count(len(tables), 'table')} are not proven equal ({_names(unproven)}).{asof}",
        )
    if never:
        return (
            Mark("partly", "unknown"),
            f"{len(never)} of {count(len(tables), 'table')} have never been compared ({_names(never)}).",
        )
    return Mark("identical", "good"), f"All {count(len(tables), 'table')} are identical.{asof}"


def activity(operations: Sequence[OperationRecord], interrupted: Sequence[str], now: datetime) -> tuple[Mark, str]:
    """What is running or waiting, from operations, newest first. interrupted: ids of running ones without a lease."""
    running = [o for o in operations if o.state is State.RUNNING and o.id not in interrupted]
    stuck = [o for o in operations if o.id in interrupted]
    broken = next((o for o in operations if o.state not in (State.PLANNED, State.CANCELLED, State.EXPIRED)), None)
    waiting = [o for o in operations if o.state is State.SUBMITTED]
    ready = [o for o in operations if o.state is State.READY]
    if stuck:
        return (
            Mark("interrupted", "bad"),
            f"{_kind(stuck[0])} was interrupted: no process holds its lease. Resume it or roll back.",
        )
    if running:
        return Mark("running", "busy"), f"{_kind(running[0])} is running, started {ago(running[0].started_at, now)}."
    if broken is not None and broken.state is State.NEEDS_HUMAN:
        return Mark("needs a person", "bad"), f"{_kind(broken)} needs a person: {broken.reason}"
    if waiting:
        return Mark("waiting", "warn"), f"{_kind(waiting[0])} waits for approval by a second person."
    if ready:
        return Mark("waiting", "busy"), f"{_kind(ready[0])} waits for the worker."
    if broken is None:
        return Mark("idle", "quiet"), "No operation is running, and none has been submitted yet."
    return (
        Mark("idle", "quiet"),
        f"No operation is running. Last: {_kind(broken).lower()}, {str(broken.state).replace('_', ' ')}, "
        f"{ago(broken.ended_at or broken.created_at, now)}.",
    )


def missing_sign_offs(given: Sequence[SignOffStatus], open_items: int) -> tuple[Mark, str]:
    """Missing sign-offs, and how many manual items are not ticked."""
    missing = [s for s in given if not s.finding.passed]
    rest = f"; {count(open_items, 'manual item')} {'is' if open_items == 1 else 'are'} not ticked" if open_items else ""
    if missing:
        names = ", ".join(f"{s.sign_off.title} ({s.sign_off.role})" for s in missing)
        return (
            Mark("waiting", "warn"),
            f"{len(missing)} of {count(len(given), 'sign-off')} are missing: {names}{rest}.",
        )
    if open_items:
        return Mark("signed, items open", "warn"), f"All {count(len(given), 'sign-off')} are given{rest}."
    return Mark("complete", "good"), f"All {count(len(given), 'sign-off')} are given and every manual item is ticked."


def audit_log(check: ChainCheck, newest: datetime | None, now: datetime) -> tuple[Mark, str]:
    """Whether the audit log is intact, from a check of its hash chain. newest: time of the newest record."""
    if check.problems:
        text = f"The store is not as the audit log has it: {count(len(check.problems), 'difference')}."
        return Mark("broken", "bad"), text
    if not check.whole:
        return Mark("broken", "bad"), f"The audit log is broken: {check.reason}. The records before it are intact."
    if check.records == 0:
        return Mark("empty", "quiet"), "The audit log is empty: no action has been performed or refused yet."
    return (
        Mark("intact", "good"),
        f"The audit log is intact: {count(check.records, 'record')}, hash chain verified. "
        f"Newest record: {ago(newest, now)}.",
    )


def _kind(operation: OperationRecord) -> str:
    return str(operation.kind).replace("-", " ").replace("_", " ").capitalize()


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def expected(found: Expected) -> str:
    """What a comparison would read, and its likely duration, as far as known."""
    parts = [f"The comparison would read {count(found.rows, 'row')} of both sides"]
    if found.bytes:
        parts.append(f"{megabytes(found.bytes)} of files")
    text = ", ".join(parts)
    if found.seconds:
        text += f"; the newest comparisons of these tables took {seconds(found.seconds)}"
    unknown = [
        what if names == found.tables else f"{what} of {', '.join(names)}"
        for what, names in (
            ("rows", found.unknown_rows),
            ("file sizes", found.unknown_bytes),
            ("duration", found.unknown_seconds),
        )
        if names
    ]
    return f"{text}. Unknown: {'; '.join(unknown)}." if unknown else f"{text}."
