"""The sentences that open a page where `app.progress` has no judgement of its own: evidence in, one sentence out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.parity.estimate import Expected
from app.performance.measurements import Summary
from app.progress import quartz
from app.progress.phases import SignOffStatus
from app.store.audit import Verdict
from app.store.collected.records import JobRunRecord, ScheduleRecord, UpdateRecord
from app.store.operations import OperationRecord, State
from app.store.parity import ParityTable
from app.web.components.status import Mark
from app.web.components.text import ago, count, megabytes, ratio, seconds


def health(
    runs: Sequence[JobRunRecord], updates: Sequence[UpdateRecord], pipeline: str, job: str, now: datetime
) -> tuple[Mark, str]:
    """Is the new pipeline healthy? From the new job's runs and the production pipeline's updates, newest first.

    Generated history proves nothing and is left out; so are validate-only updates and what someone cancelled.
    """
    mine = [u for u in updates if u.environment == "production" and not u.generated and not u.validate_only]
    ended = [u for u in mine if not u.active and u.state != "CANCELED"]
    failed_run = next(
        (r for r in runs if r.side == "candidate" and not r.generated and not r.active and r.state != "CANCELED"), None
    )
    if not ended:
        if any(u.active for u in mine):
            return Mark("running", "busy"), f"Not known yet: {pipeline} is running and has not finished an update"
        return Mark("unknown", "unknown"), f"Unknown: no finished update of {pipeline} has been collected"
    good = sum(u.state == "COMPLETED" for u in ended)
    record = f"{good} of the last {count(len(ended), 'update')} completed"
    last = ended[0]
    when = ago(last.end_time or last.start_time, now)
    if last.state != "COMPLETED":
        return Mark("failing", "bad"), f"No: the last update of {pipeline} ended {last.state}, {when}; {record}"
    if failed_run is not None and failed_run.state not in ("SUCCESS", "SUCCESS_WITH_FAILURES"):
        ended_when = ago(failed_run.end_time or failed_run.start_time, now)
        return (
            Mark("failing", "bad"),
            f"No: the last update completed {when}, but the last run of {job} ended {failed_run.state}, {ended_when}",
        )
    return Mark("healthy", "good"), f"Yes: the last update of {pipeline} completed {when}; {record}"


def as_fast_and_cheap(time: Summary, units: Summary) -> tuple[Mark, str]:
    """Is the new side as fast and as cheap? From the medians of measured runs; DBU decides the cost, not its price."""
    if time.ratio is None:
        lacking = [
            name for name, runs in (("old", time.baseline_runs), ("new", time.candidate_runs)) if not runs
        ]  # fmt: skip
        return Mark(
            "unknown", "unknown"
        ), f"Unknown: no measured successful run of the {' and the '.join(lacking)} side"
    fast = time.ratio <= 1
    first = f"{'Faster' if fast else 'Slower'}: a run of the new side takes {ratio(time.ratio)} the old side's time"
    runs = f"medians of {time.baseline_runs} and {count(time.candidate_runs, 'run')}"
    if units.ratio is None:
        return (
            Mark("fast, cost unknown" if fast else "slower", "unknown" if fast else "bad"),
            f"{first}; its cost is not known yet ({runs})",
        )
    cheap = units.ratio <= 1
    word = "and" if fast == cheap else "but"
    mark = Mark("fast and cheap", "good") if fast and cheap else Mark("not both", "bad")
    return mark, f"{first}, {word} uses {ratio(units.ratio)} its DBU ({runs})"


def offset(baseline: ScheduleRecord | None, development: ScheduleRecord | None) -> str | None:
    """What is wrong with comparing the development pipeline to the old job, if its schedule is offset; else None."""
    if baseline is None or development is None or not baseline.quartz or not development.quartz:
        return None
    if baseline.timezone != development.timezone:
        return (
            f"{development.name} runs in time zone {development.timezone}, {baseline.name} in {baseline.timezone}: "
            "they do not read the same data."
        )
    try:
        compared = quartz.compare(development.quartz, baseline.quartz)
    except ValueError:
        return None
    if compared.agree:
        return None
    minutes = max((abs(o) for o in compared.offsets), default=0) / 60
    return (
        f"{development.name} starts {compared.baseline_per_day} times a day, {baseline.name} "
        f"{compared.candidate_per_day} times, and they start up to {minutes:.0f} min apart: a comparison of the "
        "development tables carries that much time between the sides."
    )


def equality(latest: dict[str, ParityTable], tables: Sequence[str], now: datetime) -> tuple[Mark, str]:
    """Are the tables equal? From each table's newest comparison."""
    done = {t: latest[t] for t in tables if t in latest and latest[t].verdict}
    different = [t for t, r in done.items() if r.verdict == "different"]
    unproven = [t for t, r in done.items() if r.verdict == "not_proven"]
    never = [t for t in tables if t not in done]
    oldest = min((r.finished_at for r in done.values() if r.finished_at), default=None)
    asof = f"; the oldest comparison ended {ago(oldest, now)}" if oldest else ""
    if different:
        return (
            Mark("different", "bad"),
            f"No: {len(different)} of {count(len(tables), 'table')} differ ({_names(different)}){asof}",
        )
    if not done:
        return Mark("not compared", "quiet"), f"Not known: none of {count(len(tables), 'table')} has been compared"
    if unproven:
        return (
            Mark("not proven", "unknown"),
            f"Not proven: {len(unproven)} of {count(len(tables), 'table')} could not be decided "
            f"({_names(unproven)}){asof}",
        )
    if never:
        return (
            Mark("partly", "unknown"),
            f"Not proven: {len(never)} of {count(len(tables), 'table')} never compared ({_names(never)})",
        )
    return Mark("identical", "good"), f"Yes: all {count(len(tables), 'table')} are identical{asof}"


def activity(operations: Sequence[OperationRecord], interrupted: Sequence[str], now: datetime) -> tuple[Mark, str]:
    """What is running, and does anything wait for a person? From the operations, newest first."""
    running = [o for o in operations if o.state is State.RUNNING and o.id not in interrupted]
    stuck = [o for o in operations if o.id in interrupted]
    broken = next((o for o in operations if o.state not in (State.PLANNED, State.CANCELLED, State.EXPIRED)), None)
    waiting = [o for o in operations if o.state is State.SUBMITTED]
    ready = [o for o in operations if o.state is State.READY]
    if stuck:
        return (
            Mark("interrupted", "bad"),
            f"{_kind(stuck[0])} was interrupted and nobody carries it on: resume it or roll back",
        )
    if running:
        return Mark("running", "busy"), f"{_kind(running[0])} is running, begun {ago(running[0].started_at, now)}"
    if broken is not None and broken.state is State.NEEDS_HUMAN:
        return Mark("needs a person", "bad"), f"{_kind(broken)} needs a person: {broken.reason}"
    if waiting:
        return Mark("waiting", "warn"), f"{_kind(waiting[0])} waits for approval by a second person"
    if ready:
        return Mark("waiting", "busy"), f"{_kind(ready[0])} waits for the worker to begin"
    if broken is None:
        return Mark("idle", "quiet"), "Nothing is running, and nothing has been asked for yet"
    return (
        Mark("idle", "quiet"),
        f"Nothing is running; last was {_kind(broken).lower()}, {str(broken.state).replace('_', ' ')}, "
        f"{ago(broken.ended_at or broken.created_at, now)}",
    )


def signatures(given: Sequence[SignOffStatus], boxes_open: int) -> tuple[Mark, str]:
    """Who still has to sign what? From the sign-offs, and how many boxes nobody has ticked."""
    missing = [s for s in given if not s.finding.passed]
    rest = f"; {count(boxes_open, 'box', 'boxes')} for people to tick {'is' if boxes_open == 1 else 'are'} open"
    if missing:
        names = ", ".join(f"{s.sign_off.title} ({s.sign_off.role})" for s in missing)
        return (
            Mark("waiting", "warn"),
            f"{len(missing)} of {count(len(given), 'sign-off')} missing: {names}{rest if boxes_open else ''}",
        )
    if boxes_open:
        return Mark("signed, boxes open", "warn"), f"All {count(len(given), 'sign-off')} are given{rest}"
    return Mark("complete", "good"), f"Nobody: all {count(len(given), 'sign-off')} are given and every box is ticked"


def wholeness(verdict: Verdict, newest: datetime | None, now: datetime) -> tuple[Mark, str]:
    """Is the record whole? From a walk over the chain."""
    if not verdict.whole:
        return Mark("broken", "bad"), f"No: {verdict.reason}; what came before it is whole"
    if verdict.records == 0:
        return Mark("empty", "quiet"), "Nothing has been done or refused yet"
    return (
        Mark("whole", "good"),
        f"Yes: {count(verdict.records, 'record')}, each follows the one before; the newest {ago(newest, now)}",
    )


def _kind(operation: OperationRecord) -> str:
    return str(operation.kind).replace("-", " ").replace("_", " ").capitalize()


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def expected(found: Expected) -> str:
    """What a comparison would read and how long it may take, as far as it is known."""
    parts = [f"It would read {count(found.rows, 'row')} of both sides"]
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
    return f"{text}. Not known: {'; '.join(unknown)}." if unknown else f"{text}."
