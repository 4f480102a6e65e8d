"""Rules that turn evidence into a finding: one pure function for each kind of evidence in the migration file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.config.migration import Evidence, Gate
from app.parity import streak_text
from app.parity.streak import Streak
from app.performance.measurements import NewestRuns, newest_dbu, newest_run_times
from app.progress import quartz
from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.serving import serving_side
from app.store.checklist import Tick
from app.store.parity_records import ParityTable

Rule = Callable[[Facts, Mapping[str, Any]], Finding]

RULES: dict[str, Rule] = {}

HUNDREDTH = 0.01

BILLING = "system.billing.usage"

UNREAD = timedelta(minutes=15)
"""Age from which the collected runs say nothing: later runs may have ended differently."""


def rule(function: Rule) -> Rule:
    """Registers a function under its own name."""
    RULES[function.__name__] = function
    return function


def judge(evidence: Evidence, facts: Facts, *, key: str = "", max_age_hours: float | None = None) -> Finding:
    """The finding of `evidence` by `facts`. key: the item's key, which its ticks have."""
    return RULES[evidence.kind](facts, {**evidence.checked_params.model_dump(exclude_none=True), "_key": key}).aged(
        facts.now, max_age_hours
    )


# People


@rule
def manual(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """A person has ticked the item."""
    tick = facts.tick(params["_key"])
    if tick is None:
        return Finding(Status.INCONCLUSIVE, "Not ticked yet", manual=True)
    comment = f": {tick.comment}" if tick.comment else ""
    return Finding(Status.PASS, f"Ticked by {tick.by}{comment}", tick.at, tick.by, manual=True)


@rule
def signed(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Every sign-off (or those in `keys`) is given."""
    wanted = [s for s in facts.migration.sign_offs if s.key in params.get("keys", [s.key])]
    given = [m for s in wanted if (m := facts.tick(s.key))]
    names = {m.key for m in given}
    missing = [s.title for s in wanted if s.key not in names]
    if missing:
        return Finding(Status.FAIL, f"Not signed: {', '.join(missing)}", facts.now, "checklist")
    titles = {s.key: s.title for s in wanted}
    if not facts.migration.one_person_may_sign_all and (twice := signed_twice(given)):
        what = "; ".join(f"{by} signed {' and '.join(titles[k] for k in keys)}" for by, keys in twice.items())
        return Finding(Status.FAIL, f"Each sign-off needs a different person: {what}", facts.now, "checklist")
    by = ", ".join(sorted({m.by for m in given}))
    return pass_or_fail(True, f"Signed by {by}", max((m.at for m in given), default=None), "checklist")


def signed_twice(given: Sequence[Tick]) -> dict[str, list[str]]:
    """Users who gave more than one of these sign-offs, with the keys; upper and lower case are the same user."""
    by_person: dict[str, list[Tick]] = {}
    for tick in given:
        by_person.setdefault(tick.by.strip().casefold(), []).append(tick)
    return {ticks[0].by: [t.key for t in ticks] for ticks in by_person.values() if len(ticks) > 1}


# What exists


@rule
def pipeline_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The pipeline of `environment` exists in the workspace."""
    name = next(p.name for p in facts.migration.pipelines if p.environment == params["environment"])
    found = facts.snapshot.pipelines.get(params["environment"])
    if found is None:
        return _not_seen(facts, "pipelines", f"Pipeline {name} is not in the workspace")
    return pass_or_fail(
        True, f"{found.name} is {(found.state or 'in an unknown state').lower()}", found.as_of, "pipelines"
    )


@rule
def job_exists(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `side` exists in the workspace."""
    found = facts.snapshot.schedules.get(params["side"])
    if found is None:
        return _not_seen(facts, "schedules", f"The {params['side']} job is not in the workspace")
    return pass_or_fail(True, f"{found.name}: {(found.pause_status or 'no schedule').lower()}", found.as_of, "jobs")


@rule
def schedule_active(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The job of `job` (a side) has an unpaused schedule."""
    found = facts.snapshot.schedules.get(params["job"])
    if found is None:
        return _not_seen(facts, "schedules", f"The {params['job']} job is not in the workspace")
    active = found.pause_status == "UNPAUSED"
    text = f"{found.name}: {found.quartz or 'no cron'} {found.timezone or ''}, {(found.pause_status or 'none').lower()}"
    return pass_or_fail(active, text, found.as_of, "jobs")


@rule
def tables_exist(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tables (all, or those in `tables`) of `side` exist."""
    wanted = [t for t in facts.migration.tables if t.name in params.get("tables", [t.name])]
    names = [n for t in wanted if (n := getattr(t, params["side"]))]
    records = [facts.snapshot.tables.get(n) for n in names]
    if any(r is None for r in records):
        return _not_seen(facts, "tables", "Not every table has been collected yet")
    missing = [r.name for r in records if r is not None and not r.exists]
    as_of = min((r.as_of for r in records if r is not None), default=None)
    if missing:
        return pass_or_fail(False, f"Missing: {', '.join(missing)}", as_of, "tables")
    return pass_or_fail(True, f"{len(names)} of {len(names)} tables exist", as_of, "tables")


@rule
def kept_tables_gone(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The old tables were deleted, `days` after cutover at the earliest."""
    cutover = facts.verified.get("cutover")
    if cutover is None or cutover.ended_at is None:
        return unknown("No cutover has been verified yet", "operations")
    left = [t.kept for t in facts.migration.tables if (r := facts.snapshot.tables.get(t.kept)) is None or r.exists]
    due = cutover.ended_at + timedelta(days=params["days"])
    if left:
        state = "may be deleted now" if facts.now >= due else f"are kept until {due:%Y-%m-%d %H:%M} UTC"
        return pass_or_fail(False, f"{len(left)} old tables {state}", facts.now, "tables")
    return pass_or_fail(True, "All old tables are gone", facts.now, "tables")


# Runs


@rule
def update_completed(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The pipeline of `environment` has completed an update."""
    for update in facts.real_updates(params["environment"]):
        if update.state == "COMPLETED":
            text = f"Update {update.update_id} completed in {_seconds(update.seconds)}"
            return pass_or_fail(True, text, update.end_time or update.start_time, "updates", update.update_id)
    return _not_seen(facts, "updates", "No real update has completed")


@rule
def runs_succeeded(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest `runs` runs of `side` all succeeded, and runs were read within `UNREAD`."""
    unread = _unread(facts, f"runs:{params['side']}", "Runs", "jobs/runs")
    if unread is not None:
        return unread
    runs = facts.real_runs(params["side"])[: params["runs"]]
    if len(runs) < params["runs"]:
        return unknown(f"{len(runs)} of {params['runs']} real runs have ended", "jobs/runs")
    bad = [r for r in runs if r.result_state != "SUCCESS"]
    ids = tuple(str(r.run_id) for r in runs)
    if bad:
        return Finding(Status.FAIL, f"Run {bad[0].run_id} ended {bad[0].state}", bad[0].end_time, "jobs/runs", ids)
    text = "The last run succeeded" if len(runs) == 1 else f"The last {len(runs)} runs succeeded"
    return Finding(Status.PASS, text, runs[0].end_time, "jobs/runs", ids)


@rule
def runs_per_day(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The candidate succeeded `per_day` times on each of the last `days` whole days, in the migration's zone."""
    zone = ZoneInfo(facts.migration.timezone)
    today = facts.now.astimezone(zone).date()
    counts = {today - timedelta(days=n): 0 for n in range(1, params["days"] + 1)}
    runs = [r for r in facts.real_runs("candidate") if r.result_state == "SUCCESS"]
    for run in runs:
        day = run.start_time.astimezone(zone).date()
        if day in counts:
            counts[day] += 1
    full = sum(1 for n in counts.values() if n >= params["per_day"])
    text = f"{full} of {params['days']} days with {params['per_day']} successful runs"
    if full == params["days"]:
        return pass_or_fail(True, text, runs[0].end_time, "jobs/runs")
    oldest = min((r.start_time for r in facts.real_runs("candidate")), default=None)
    waiting = oldest is None or (facts.now - oldest) < timedelta(days=params["days"] + 1)
    return unknown(text, "jobs/runs", facts.now) if waiting else pass_or_fail(False, text, facts.now, "jobs/runs")


@rule
def no_failed_runs(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """No run of `side` failed within `days` days, and there were runs."""
    since = facts.now - timedelta(days=params["days"])
    runs = [r for r in facts.real_runs(params["side"]) if r.start_time >= since]
    bad = [r for r in runs if r.result_state not in ("SUCCESS", "CANCELED")]
    if not runs:
        return unknown("No real run has ended yet", "jobs/runs")
    text = f"{len(bad)} of {len(runs)} runs failed in {params['days']} days"
    return pass_or_fail(not bad, text, runs[0].end_time, "jobs/runs", *(str(r.run_id) for r in bad[:5]))


@rule
def reliability(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """At least `minimum` of the pipeline's updates within `days` days completed; cancelled ones do not count."""
    since = facts.now - timedelta(days=params["days"])
    updates = [u for u in facts.real_updates(params["environment"]) if u.start_time >= since and u.state != "CANCELED"]
    if not updates:
        return unknown("No real update has ended yet", "updates")
    share = sum(1 for u in updates if u.state == "COMPLETED") / len(updates)
    text = f"{share:.1%} of {len(updates)} updates completed"
    as_of = updates[0].end_time or updates[0].start_time
    return pass_or_fail(share >= params["minimum"], text, as_of, "updates")


@rule
def reports_delivered(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tasks `tasks` of the newest run of `side` succeeded."""
    runs = facts.real_runs(params["side"])
    if not runs:
        return unknown("No real run has ended yet", "jobs/runs")
    states = {t.task_key: t.state for t in facts.tasks.get(runs[0].run_id, ())}
    bad = [k for k in params["tasks"] if states.get(k) != "SUCCESS"]
    if bad:
        text = ", ".join(f"{k}: {states.get(k, 'no such task')}" for k in bad)
        return pass_or_fail(False, text, runs[0].end_time, "jobs/runs", str(runs[0].run_id))
    text = f"{len(params['tasks'])} report tasks succeeded"
    return pass_or_fail(True, text, runs[0].end_time, "jobs/runs", str(runs[0].run_id))


# Time and cost


def _run_times(facts: Facts, params: Mapping[str, Any]) -> NewestRuns:
    return newest_run_times(facts.snapshot.runs, params["runs"])


def _dbu(facts: Facts, params: Mapping[str, Any]) -> NewestRuns:
    return newest_dbu(facts.snapshot.runs, facts.costs, params["runs"])


@rule
def runtime_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Both sides have `runs` measured runs."""
    found = _run_times(facts, params)
    if too_few := _too_few(found, params["runs"], "successful runs", "jobs/runs"):
        return too_few
    old, new = found.medians
    return pass_or_fail(True, f"Median run: {_seconds(old)} before, {_seconds(new)} now", found.as_of, "jobs/runs")


@rule
def runtime_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The median run of the new side takes at most `factor` times the old side's, over `runs` runs each."""
    found = _run_times(facts, params)
    if too_few := _too_few(found, params["runs"], "successful runs", "jobs/runs"):
        return too_few
    old, new = found.medians
    text = f"New side {_seconds(new)}, old side {_seconds(old)}: {_ratio(new, old)}"
    return pass_or_fail(new <= old * params["factor"], text, found.as_of, "jobs/runs")


@rule
def cost_measured(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Both sides have `runs` runs whose billing is final."""
    found = _dbu(facts, params)
    if too_few := _too_few(found, params["runs"], "runs with final billing", BILLING):
        return too_few
    old, new = found.medians
    return pass_or_fail(True, f"Median run: {old:.2f} DBU before, {new:.2f} DBU now", found.as_of, BILLING)


@rule
def cost_at_most(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The median run of the new side uses at most `factor` times the old side's DBU, over `runs` final bills."""
    found = _dbu(facts, params)
    if too_few := _too_few(found, params["runs"], "runs with final billing", BILLING):
        return too_few
    old, new = found.medians
    text = f"New side {new:.2f} DBU, old side {old:.2f} DBU: {_ratio(new, old)}"
    return pass_or_fail(new <= old * params["factor"], text, found.as_of, BILLING)


# Quality


@rule
def expectations_tracked(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest update reported passed and failed counts."""
    found = facts.expectations.get(params["environment"], ())
    if not found:
        return unknown("No expectation has been reported by a real update", "pipeline events")
    datasets = len({e.dataset for e in found})
    as_of = max(e.timestamp for e in found)
    text = f"{len(found)} expectations on {datasets} datasets are reported"
    return pass_or_fail(True, text, as_of, "pipeline events", found[0].update_id)


@rule
def expectations_passing(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest update no row failed any expectation."""
    return _expectations(facts, params["environment"], 0.0)


@rule
def expectations_hold(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """In the newest update no expectation was failed by more than `max_share` of its rows (0.05)."""
    return _expectations(facts, params["environment"], float(params.get("max_share", 0.05)))


def _expectations(facts: Facts, environment: str, share: float) -> Finding:
    found = facts.expectations.get(environment, ())
    if not found:
        return unknown("No expectation has been reported by a real update", "pipeline events")
    as_of = max(e.timestamp for e in found)
    over = [e for e in found if e.failed > share * (e.passed + e.failed)]
    if over:
        worst = max(over, key=lambda e: e.failed / (e.passed + e.failed))
        part = worst.failed / (worst.passed + worst.failed)
        text = f"{len(over)} of {len(found)} fail; {worst.name} on {worst.dataset}: {worst.failed:,} rows ({part:.2%})"
        return pass_or_fail(False, text, as_of, "pipeline events", worst.update_id)
    failed = sum(e.failed for e in found)
    text = f"{len(found)} expectations hold ({failed:,} failed rows, at most {share:.0%} each)"
    return pass_or_fail(True, text, as_of, "pipeline events", found[0].update_id)


# Parity


@rule
def compared(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The tables of `pair` (all, or those in `tables`) have been compared, with any verdict."""
    results = facts.parity.get(params["pair"], {})
    wanted = _tables(facts, params)
    missing = [t for t in wanted if t not in results]
    if missing:
        return unknown(f"Not compared yet: {', '.join(missing)}", "parity")
    as_of = min((f for t in wanted if (f := results[t].finished_at)), default=None)
    return pass_or_fail(
        True, f"{len(wanted)} tables compared", as_of, "parity", *{results[t].parity_id for t in wanted}
    )


@rule
def parity_identical(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest comparison of every table is IDENTICAL and has rows, and no run or update has written since.

    final: only comparisons of every value count, not those of hashes alone.

    Other writes, such as a manual statement, are found in the tables' versions when a cutover is planned and again when
    it starts.
    """
    final = bool(params.get("final"))
    newest = facts.parity.get(params["pair"], {})
    results = _not_outdated(facts.final_parity.get(params["pair"], {}), newest) if final else newest
    wanted = _tables(facts, params)
    different = [t for t in wanted if t in results and results[t].verdict == "different"]
    missing = [t for t in wanted if t not in results]
    unproven = [t for t in wanted if t in results and results[t].verdict not in ("identical", "different")]
    ids = tuple(sorted({results[t].parity_id for t in wanted if t in results}))
    as_of = min((f for t in wanted if t in results and (f := results[t].finished_at)), default=None)
    if different:
        text = f"Different: {', '.join(different)}"
        return Finding(Status.FAIL, text, as_of, "parity", ids)
    if missing:
        word = "Not yet compared value by value (final)" if final else "Not compared yet"
        return unknown(f"{word}: {', '.join(missing)}", "parity", as_of)
    if unproven:
        return Finding(Status.INCONCLUSIVE, f"Not proven: {', '.join(unproven)}", as_of, "parity", ids)
    started = min((s for t in wanted if (s := results[t].started_at)), default=None)
    newer = facts.last_write(params["pair"])
    if started is None or (newer is not None and newer > started):
        text = "Identical when compared, but a newer run has written since"
        return Finding(Status.INCONCLUSIVE, text, as_of, "parity", ids)
    empty = [t for t in wanted if results[t].baseline_rows == 0 and results[t].candidate_rows == 0]
    if empty:
        text = f"Nothing to compare: no rows on either side of {', '.join(empty)}"
        return Finding(Status.INCONCLUSIVE, text, as_of, "parity", ids)
    return Finding(
        Status.PASS,
        f"{len(wanted)} of {len(wanted)} tables identical{', every value compared' if final else ''}",
        as_of,
        "parity",
        ids,
    )


def _not_outdated(final: Mapping[str, ParityTable], newest: Mapping[str, ParityTable]) -> dict[str, ParityTable]:
    """The final results, replaced by any newer result that is not identical: a final comparison whose hashes differ
    already has no final result."""

    def newer(other: ParityTable, mine: ParityTable) -> bool:
        return other.finished_at is None or mine.finished_at is None or other.finished_at > mine.finished_at

    found = dict(final)
    for table, other in newest.items():
        if table in final and other.verdict != "identical" and newer(other, final[table]):
            found[table] = other
    return found


@rule
def schema_identical(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest comparison of every table read both schemas and found no deciding difference."""
    wanted = _tables(facts, params)
    missing = [t for t in wanted if t not in facts.schema_differences]
    if missing:
        return unknown(f"Not compared: {', '.join(missing)}", "parity")
    bad = [f"{t} ({n})" for t in wanted if (n := facts.schema_differences[t])]
    results = facts.parity[params["pair"]]
    as_of = min((f for t in wanted if t in results and (f := results[t].finished_at)), default=None)
    return pass_or_fail(not bad, f"Schemas differ: {', '.join(bad)}" if bad else "All schemas agree", as_of, "parity")


@rule
def parity_streak(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest `pairs` pairs of runs were all compared and all tables identical, as far as runs were read until now.

    The streak ends where both sides ran and no comparison covers it, and where that is unknown (`app.parity.streak`).
    """
    streak, pairs = facts.streaks[params["pair"]], params["pairs"]
    more = f" ({streak.runs} in all)" if streak.runs > pairs else ""
    text = f"{streak_text.of_wanted(streak, pairs)} clean comparisons in a row{more}"
    if streak.runs < pairs:
        status = Status.FAIL if streak.broken_by else Status.INCONCLUSIVE
        references = (streak.broken_by,) if streak.broken_by else ()
        return Finding(status, text + _before(streak), streak.until, "parity", references)
    if streak.waiting is not None:
        return unknown(f"{text}, but {streak_text.waiting(streak.waiting)}", "parity", streak.until)
    for source, what in (("runs:baseline", "runs of the old job"), (f"updates:{params['pair']}", "updates")):
        unread = _unread(facts, source, f"{text}, but {what}", "parity")
        if unread is not None:
            return unread
    return pass_or_fail(True, text, streak.until, "parity")


@rule
def parallel_days(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Clean comparisons for `days` days, judged to a tenth, no two pairs of runs more than `longest_hours` apart.

    A streak ends as for `parity_streak`; `Streak.days` says how days are counted.
    """
    streak = facts.streaks[params["pair"]]
    longest = timedelta(hours=params["longest_hours"])
    found = streak.days(longest)
    plural = "" if found.pairs == 1 else "s"
    text = f"{found.days:.1f} of {params['days']} days of clean comparisons ({found.pairs} pair{plural} of runs)"
    if round(found.days, 1) >= params["days"]:
        return pass_or_fail(True, text, streak.until, "parity")
    before = f"; before them {streak_text.pause(found, longest)}" if found.pause else _before(streak)
    return unknown(text + before, "parity", streak.until)


def _before(streak: Streak) -> str:
    if streak.ended is None:
        return ""
    return f"{'; before them' if streak.runs else ':'} {streak_text.why(streak.ended)}"


# Schedules and operations


@rule
def schedules_agree(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Old and new job fire at the same times of the same zone: otherwise parity is skewed by time."""
    old, new = facts.snapshot.schedules.get("baseline"), facts.snapshot.schedules.get("candidate")
    if old is None or new is None:
        return _not_seen(facts, "schedules", "A schedule has not been read")
    as_of = min(old.as_of, new.as_of)
    if not old.quartz or not new.quartz:
        return unknown("A job has no cron schedule", "jobs", as_of)
    if old.timezone != new.timezone:
        return pass_or_fail(False, f"Time zones differ: {old.timezone} and {new.timezone}", as_of, "jobs")
    try:
        compared = quartz.compare(old.quartz, new.quartz)
    except ValueError as e:
        same = old.quartz == new.quartz
        return pass_or_fail(True, f"Both: {old.quartz}", as_of, "jobs") if same else unknown(str(e), "jobs", as_of)
    if compared.agree:
        return pass_or_fail(True, f"Both: {old.quartz} {old.timezone}", as_of, "jobs")
    minutes = max((abs(o) for o in compared.offsets), default=0) / 60
    text = f"{compared.baseline_per_day} against {compared.candidate_per_day} runs a day, up to {minutes:.0f} min apart"
    return pass_or_fail(False, text, as_of, "jobs")


@rule
def operation_verified(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """An operation of the kind `operation` was executed and verified; a cutover that was rolled back does not count."""
    found = facts.verified.get(params["operation"])
    if found is None:
        word = {"rehearse": "rehearsal"}.get(params["operation"], params["operation"])
        return unknown(f"No {word} has been verified", "operations")
    rollback = facts.verified.get("rollback")
    if (
        params["operation"] == "cutover"
        and rollback
        and (rollback.ended_at or facts.now) > (found.ended_at or facts.now)
    ):
        return pass_or_fail(
            False, f"Rolled back by {rollback.requested_by}", rollback.ended_at, "operations", rollback.id
        )
    return pass_or_fail(True, f"Verified, requested by {found.requested_by}", found.ended_at, "operations", found.id)


@rule
def days_since_cutover(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """`days` days have passed since a cutover, and the new side still serves every table."""
    cutover = facts.verified.get("cutover")
    if cutover is None or cutover.ended_at is None:
        return unknown("No cutover has been verified yet", "operations")
    if any(serving_side(t, facts.snapshot.tables).side != "candidate" for t in facts.migration.tables):
        return pass_or_fail(False, "The new side does not serve every table", facts.now, "tables")
    days = (facts.now - cutover.ended_at).total_seconds() / 86400
    text = f"{days:.1f} of {params['days']} days since cutover"
    return pass_or_fail(True, text, facts.now, "operations") if days >= params["days"] else unknown(text, "operations")


# Shared


def _tables(facts: Facts, params: Mapping[str, Any]) -> list[str]:
    return [t.name for t in facts.migration.tables if t.name in params.get("tables", [t.name])]


def _unread(facts: Facts, source: str, what: str, shown: str) -> Finding | None:
    """INCONCLUSIVE where a source was not read within `UNREAD`; None where it was. shown: the finding's source."""
    status = facts.snapshot.sources.get(source)
    read = status.last_success if status is not None else None
    if read is not None and facts.now - read <= UNREAD:
        return None
    since = "were never read" if read is None else f"have not been read since {read:%Y-%m-%d %H:%M} UTC"
    cause = f": {status.error}" if status is not None and status.error else ""
    return unknown(f"{what} {since}{cause}", shown, read)


def _not_seen(facts: Facts, source: str, summary: str) -> Finding:
    """FAIL where the source was read and does not have it; INCONCLUSIVE where the source could not be read."""
    status = facts.snapshot.sources.get(source)
    if status is None or status.last_success is None:
        return unknown(f"{summary} (not read yet)", source)
    if status.error:
        return unknown(f"{summary} (reading failed: {status.error})", source, status.last_success)
    return pass_or_fail(False, summary, status.last_success, source)


def _too_few(found: NewestRuns, wanted: int, what: str, source: str) -> Finding | None:
    """INCONCLUSIVE where a side has fewer than `wanted` runs; None where both have enough."""
    old, new = len(found.baseline), len(found.candidate)
    if min(old, new) >= wanted:
        return None
    pending = f"; {found.not_final} not final" if found.not_final else ""
    return unknown(f"{old} old and {new} new {what}, {wanted} of each are needed{pending}", source)


def _seconds(value: float | None) -> str:
    if value is None:
        return "unknown time"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


def _ratio(new: float, old: float) -> str:
    return f"{new / old:.2f} times" if old > HUNDREDTH else "no ratio, the old side is near zero"


def judges(facts: Facts) -> Callable[[Gate], Finding]:
    """A function that judges gates of the migration file, all from the same evidence."""
    return lambda gate: judge(gate.evidence, facts, key=gate.key, max_age_hours=gate.max_age_hours)
