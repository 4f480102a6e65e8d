"""Rules over comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.parity import streak_text
from app.parity.streak import Streak
from app.progress.evidence import Finding, Status, pass_or_fail, unknown
from app.progress.facts import Facts
from app.progress.rules.base import rule, tables, unread
from app.store.parity_records import ParityTable


@rule
def compared(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest comparison of each of the tables finished with a verdict: identical or different.

    One that failed, was cancelled or proved nothing does not count, nor does one that found them different, unless
    `identical` is false: then only that they were compared matters.
    max_age_hours: of the oldest of these comparisons.
    """
    results = facts.parity.get(params["pair"], {})
    wanted = tables(facts, params)
    missing = [t for t in wanted if t not in results]
    as_of = min((f for t in wanted if t in results and (f := results[t].finished_at)), default=None)
    if missing:
        return unknown(f"Not compared yet: {', '.join(missing)}", "parity", as_of)
    ids = tuple(sorted({results[t].parity_id for t in wanted}))
    unproven = [t for t in wanted if results[t].verdict not in ("identical", "different")]
    if unproven:
        text = f"The newest comparison failed or proved nothing: {', '.join(unproven)}"
        return Finding(Status.INCONCLUSIVE, text, as_of, "parity", ids)
    different = [t for t in wanted if results[t].verdict == "different"]
    if different and params["identical"]:
        return Finding(Status.FAIL, f"Different: {', '.join(different)}", as_of, "parity", ids)
    equal = len(wanted) - len(different)
    text = f"{len(wanted)} tables compared: {equal} identical" + (f", {len(different)} different" if different else "")
    return pass_or_fail(True, text, as_of, "parity", *ids).aged(facts.now, params.get("max_age_hours"))


@rule
def parity_identical(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """The newest comparison of every table is IDENTICAL and has rows, and no run or update has written since, as far as
    runs and updates were read within `UNREAD`.

    final: only comparisons of every value count, not those of hashes alone.

    Other writes, such as a manual statement, are found in the tables' versions when a cutover is planned and again when
    it starts.
    """
    final = bool(params.get("final"))
    newest = facts.parity.get(params["pair"], {})
    results = _not_outdated(facts.final_parity.get(params["pair"], {}), newest) if final else newest
    wanted = tables(facts, params)
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
    text = f"{len(wanted)} of {len(wanted)} tables identical{', every value compared' if final else ''}"
    return _unread_since(facts, params["pair"], text) or Finding(Status.PASS, text, as_of, "parity", ids)


def _unread_since(facts: Facts, pair: str, text: str) -> Finding | None:
    """INCONCLUSIVE where runs or updates that may have written since were not read."""
    for source, what in (("runs:baseline", "runs of the old job"), (f"updates:{pair}", "updates")):
        if outdated := unread(facts, source, f"{text}, but {what}", "parity"):
            return outdated
    return None


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
    """The newest comparison of every table read both schemas and found no deciding difference.

    max_age_hours: of the oldest of these comparisons.
    """
    wanted = tables(facts, params)
    missing = [t for t in wanted if t not in facts.schema_differences]
    if missing:
        return unknown(f"Not compared: {', '.join(missing)}", "parity")
    bad = [f"{t} ({n})" for t in wanted if (n := facts.schema_differences[t])]
    results = facts.parity[params["pair"]]
    as_of = min((f for t in wanted if t in results and (f := results[t].finished_at)), default=None)
    text = f"Schemas differ: {', '.join(bad)}" if bad else "All schemas agree"
    return pass_or_fail(not bad, text, as_of, "parity").aged(facts.now, params["max_age_hours"])


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
    return _unread_since(facts, params["pair"], text) or pass_or_fail(True, text, streak.until, "parity")


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
