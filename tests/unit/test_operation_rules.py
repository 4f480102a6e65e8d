"""Rules over operations and comparisons: the newest counts, and what was taken back proves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.config.items import Evidence
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.judge import judge
from app.store.collected.records import Snapshot, TableRecord
from app.store.operations import OperationRecord, State
from tests.support.progress_facts import (
    MIGRATION,
    TABLES,
    ago,
    compared,
    facts,
    operated,
    operation,
    read,
    rehearsed,
    table,
)

DAY = 24.0


def after(
    *newest_first: OperationRecord,
    kept: bool = True,
    served_by: str = "candidate",
    read_minutes: float = 1,
    read_hours: float = 0.1,
) -> Facts:
    """Facts after these operations, with the views of a cutover. read_hours: since the tables were read."""
    records: list[TableRecord] = []
    for t in MIGRATION.tables:
        back = served_by == "baseline"
        records += [
            table(t.baseline) if back else table(t.baseline, "VIEW", t.candidate),
            table(t.candidate, "MATERIALIZED_VIEW"),
            table(t.kept, exists=kept and not back),
        ]
    known = {r.name: replace(r, as_of=ago(read_hours)) for r in records}
    snapshot = Snapshot(read("tables", minutes=read_minutes), {}, {}, known, (), ())
    return facts(snapshot=snapshot, **operated(*newest_first))


def told(kind: str, found: Facts, **params: Any) -> Finding:
    return judge(Evidence(kind=kind, params=params), found)


# -- the old tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "kept", "expected", "words"),
    [
        (1, True, Status.INCONCLUSIVE, "The 6 old tables are kept until 2026-03-31T12:00Z"),
        (1, False, Status.FAIL, "Deleted before 2026-03-31T12:00Z, until when they are the backup: product.fde.dim_fde_old"),
        (31, True, Status.FAIL, "6 of 6 old tables may be deleted since 2026-03-01T12:00Z"),
        (31, False, Status.PASS, "All 6 old tables are gone"),
    ],
)  # fmt: skip
def test_old_tables_are_the_backup_for_30_days(days: float, kept: bool, expected: Status, words: str) -> None:
    found = told("kept_tables_gone", after(operation("cutover", days * DAY), kept=kept), days=30)
    assert (found.status, found.summary[: len(words)]) == (expected, words)


def test_old_tables_that_a_rollback_gave_their_names_back_are_not_deleted() -> None:
    operations = operation("rollback", 40 * DAY), operation("cutover", 45 * DAY)
    found = told("kept_tables_gone", after(*operations, served_by="baseline"), days=30)
    assert (found.status, found.summary) == (Status.FAIL, "Rolled back by erin@x at 2026-01-21T12:00Z")
    unrecorded = after(operation("cutover", 45 * DAY), served_by="baseline")
    found = told("kept_tables_gone", unrecorded, days=30)
    assert found.status is Status.FAIL and found.summary.startswith("The new side does not serve dim_fde")


def test_tables_that_were_renamed_serve_the_new_side_after_the_old_ones_are_deleted() -> None:
    cutover = after(operation("cutover", 31 * DAY))
    records = dict(cutover.snapshot.tables)
    for t in MIGRATION.tables:
        records[t.baseline] = table(t.baseline)
        records[t.candidate], records[t.kept] = table(t.candidate, exists=False), table(t.kept, exists=False)
    found = replace(cutover, snapshot=replace(cutover.snapshot, tables=records))
    assert told("kept_tables_gone", found, days=30).passed
    assert told("days_since_cutover", found, days=30).passed


@pytest.mark.parametrize("kind", ["kept_tables_gone", "days_since_cutover"])
def test_tables_that_were_not_read_lately_prove_nothing(kind: str) -> None:
    cutover = operation("cutover", 31 * DAY)
    assert told(kind, after(cutover, kept=False, read_minutes=20), days=30).status is Status.INCONCLUSIVE
    before = told(kind, after(operation("cutover", 1), read_hours=2), days=30)
    assert before.status is Status.INCONCLUSIVE and "have not been read since the operation" in before.summary
    nothing = replace(after(cutover), snapshot=Snapshot(read("tables"), {}, {}, {}, (), ()))
    assert told(kind, nothing, days=30).status is Status.INCONCLUSIVE
    assert told(kind, after(), days=30).status is Status.INCONCLUSIVE


# -- the archived job ----------------------------------------------------------------------------------------------------


def test_an_archive_counts_for_the_cutover_that_holds_until_it_is_taken_back() -> None:
    cutover, archive = operation("cutover", 9 * DAY), operation("archive", DAY)

    def archived(*newest_first: OperationRecord) -> Status:
        return told("operation_verified", after(*newest_first), operation="archive").status

    assert archived(archive, cutover) is Status.PASS
    assert archived(cutover) is Status.INCONCLUSIVE
    assert archived(archive) is Status.INCONCLUSIVE, "no cutover holds"
    assert archived(operation("unarchive", 1), archive, cutover) is Status.FAIL
    assert archived(archive, operation("unarchive", 2 * DAY), cutover) is Status.PASS
    assert archived(operation("rollback", 1), archive, cutover) is Status.FAIL
    assert archived(operation("cutover", 1), operation("archive", 9 * DAY)) is Status.INCONCLUSIVE
    assert archived(operation("archive", 1, State.FAILED), cutover) is Status.FAIL


# -- the newest operation ------------------------------------------------------------------------------------------------


def test_days_count_from_a_cutover_that_holds() -> None:
    assert told("days_since_cutover", after(operation("cutover", 8 * DAY)), days=7).passed
    early = told("days_since_cutover", after(operation("cutover", 2 * DAY)), days=7)
    assert early.status is Status.INCONCLUSIVE and early.summary.startswith("2.0 of 7 days")
    back = after(operation("rollback", DAY), operation("cutover", 8 * DAY), served_by="baseline")
    assert told("days_since_cutover", back, days=7).status is Status.FAIL
    again = after(operation("cutover", DAY, n=2), operation("rollback", 2 * DAY), operation("cutover", 9 * DAY))
    assert told("days_since_cutover", again, days=7).status is Status.INCONCLUSIVE
    assert told("operation_verified", again, operation="cutover").references == ("cutover-2",)


@pytest.mark.parametrize("kind", ["cutover", "rollback"])
@pytest.mark.parametrize("state", [State.RUNNING, State.NEEDS_HUMAN])
def test_what_is_under_way_holds_nothing_yet(kind: str, state: State) -> None:
    found = after(operation(kind, 0.1, state, n=2), operation("cutover", 8 * DAY))
    assert told("operation_verified", found, operation="cutover").status is Status.INCONCLUSIVE
    assert told("days_since_cutover", found, days=7).status is Status.INCONCLUSIVE


def test_a_cutover_that_was_undone_leaves_what_was_before_it() -> None:
    undone = operation("cutover", 1, State.UNDONE, n=2, reason="step 7 failed")
    first = told("operation_verified", after(undone), operation="cutover")
    assert (first.status, first.references) == (Status.FAIL, ("cutover-2",))
    assert "step 7 failed" in first.summary
    assert told("operation_verified", after(undone, operation("cutover", 8 * DAY)), operation="cutover").passed


@pytest.mark.parametrize(
    ("state", "expected"),
    [(State.UNDONE, Status.FAIL), (State.NEEDS_HUMAN, Status.FAIL), (State.RUNNING, Status.INCONCLUSIVE)],
)
def test_an_older_rehearsal_does_not_hide_a_newer_one_that_failed(state: State, expected: Status) -> None:
    newer = operation("rehearse", 1, state, n=2, reason="a copy served other rows")
    found = told("operation_verified", after(newer, operation("rehearse", 20)), operation="rehearse")
    assert (found.status, found.references) == (expected, ("rehearse-2",))
    assert told("operation_verified", after(operation("rehearse", 20)), operation="rehearse").passed


@pytest.mark.parametrize(
    ("plan", "share", "expected", "words"),
    [
        (rehearsed(), None, Status.PASS, "Verified"),
        (rehearsed(1, (100, 100)), None, Status.FAIL, "it copied 1.0% of the rows of"),
        (rehearsed(100, (100, 90)), None, Status.PASS, "Verified"),
        (rehearsed(100, (100, 101)), None, Status.FAIL, "100% are needed"),
        (rehearsed(50, (100, 90)), 0.5, Status.PASS, "Verified"),
        (rehearsed(49, (100, 90)), 0.5, Status.FAIL, "it copied 49.0% of the rows"),
        (rehearsed(1, (0, 1)), None, Status.PASS, "Verified"),
        (rehearsed(50, (100, None)), None, Status.INCONCLUSIVE, "is not known"),
        (rehearsed(50), None, Status.INCONCLUSIVE, "is not known"),
        (rehearsed(without="iv_fde_ax"), None, Status.FAIL, "it did not copy both sides of iv_fde_ax"),
        (rehearsed(one_way="dim_fde"), None, Status.FAIL, "it did not go both ways with dim_fde"),
        ({}, None, Status.INCONCLUSIVE, "what it covered is not known"),
    ],
)
def test_a_rehearsal_proves_what_it_covered(
    plan: dict[str, Any], share: float | None, expected: Status, words: str
) -> None:
    newest = replace(operation("rehearse", 20), plan=plan)
    found = told(
        "operation_verified", after(newest), operation="rehearse", **({} if share is None else {"share": share})
    )
    assert found.status is expected and words in found.summary


# -- comparisons ---------------------------------------------------------------------------------------------------------


def results(**verdicts: str | None) -> Facts:
    found = {t: replace(compared(t, 30), verdict=verdicts.get(t, "identical")) for t in TABLES}
    return facts(parity={"production": {}, "development": found})


@pytest.mark.parametrize(
    ("verdict", "was_compared", "validated"),
    [
        ("identical", Status.PASS, Status.PASS),
        ("different", Status.PASS, Status.FAIL),
        ("not_proven", Status.INCONCLUSIVE, Status.INCONCLUSIVE),
        ("failed", Status.INCONCLUSIVE, Status.INCONCLUSIVE),
        (None, Status.INCONCLUSIVE, Status.INCONCLUSIVE),
    ],
)
def test_compared_means_identical_unless_the_file_only_asks_for_a_verdict(
    verdict: str | None, was_compared: Status, validated: Status
) -> None:
    found = results(iv_fde_ax=verdict)
    assert told("compared", found, pair="development", identical=False).status is was_compared
    assert told("compared", found, pair="development").status is validated
    assert told("compared", found, pair="development", tables=["dim_fde"]).passed


def test_what_was_compared_says_what_was_found_and_may_be_too_old() -> None:
    found = told("compared", results(iv_fde_ax="different"), pair="development", identical=False)
    assert found.summary == "6 tables compared: 5 identical, 1 different"
    assert told("compared", results(), pair="development", max_age_hours=48).passed
    assert told("compared", results(), pair="development", max_age_hours=24).status is Status.INCONCLUSIVE
    assert told("compared", results(), pair="production").status is Status.INCONCLUSIVE
