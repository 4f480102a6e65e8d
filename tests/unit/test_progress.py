"""Evidence in, status out: missing, stale, generated and overtaken evidence never passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.config.evidence_params import KINDS
from app.config.migration import Evidence
from app.parity.streak import EndedProducer, NotCollected, NotCompared, NotIdentical, Streak
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts, _schema_differences
from app.progress.headline import headline
from app.progress.judge import RULES, judge
from app.progress.phases import gates, phases, serving, sign_offs
from app.store.checklist import Tick
from app.store.collected.records import (
    ScheduleRecord,
    Snapshot,
    SourceStatus,
    TableRecord,
)
from tests.support.progress_facts import (
    MIGRATION,
    NOW,
    TABLES,
    ago,
    compared,
    facts,
    read,
    run,
    table,
    update,
    with_runs,
)


def status(kind: str, found: Facts, *, max_age: float | None = None, key: str = "", **params: Any) -> Status:
    return judge(Evidence(kind=kind, params=params), found, key=key, max_age_hours=max_age).status


def test_with_an_empty_store_nothing_passes() -> None:
    empty = facts()
    assert all(not d.finding.passed for p in phases(empty) for s in p.steps for d in s.deliverables)
    assert all(g.blocks for g in gates(empty))
    assert headline(empty) == "Can we cut over? Not yet: 12 of 12 gates block."


def test_every_kind_of_evidence_has_a_rule_and_every_rule_a_kind() -> None:
    assert set(KINDS) == set(RULES)


def ticked(*keys: str) -> dict[str, Tick]:
    return {k: Tick(1, k, True, "erin@example.com", False, "", ago(1), "cli") for k in keys}


def test_a_box_that_sums_up_boxes_is_met_when_all_or_enough_of_them_are() -> None:
    plan = ("team_aligned", "timeline_approved", "resources_allocated", "check_ins")
    assert status("items_met", facts(ticks=ticked(*plan)), steps=["plan"]) is Status.PASS
    one = facts(ticks=ticked("check_ins"))
    assert status("items_met", one, steps=["plan"]) is Status.INCONCLUSIVE
    assert status("items_met", one, steps=["plan"], at_least=1) is Status.PASS
    assert status("items_met", one, items=["check_ins"]) is Status.PASS
    missing = judge(Evidence(kind="items_met", params={"steps": ["plan"]}), one).summary
    assert missing == (
        "1 of 4 items are met, 4 needed; missing: Team alignment on approach; Timeline approved; Resources allocated"
    )


def test_a_box_that_sums_up_boxes_fails_where_evidence_disproves_one() -> None:
    gone = read("pipelines", "tables")
    found = facts(snapshot=Snapshot(gone, {}, {}, {}, (), ()), ticks=ticked("branch_pushed"))
    assert status("items_met", found, steps=["environment"]) is Status.FAIL


def test_identical_tables_pass_until_a_newer_run_has_written() -> None:
    parity = {"production": {t: compared(t, 1) for t in TABLES}, "development": {}}
    before = with_runs(run("baseline", 1, 3), updates=(update(1, 2),), parity=parity)
    assert status("parity_identical", before, pair="production") is Status.PASS
    after = with_runs(run("baseline", 2, 0.5), run("baseline", 1, 3), updates=(update(1, 2),), parity=parity)
    assert status("parity_identical", after, pair="production") is Status.INCONCLUSIVE


def test_identical_tables_prove_nothing_of_now_while_runs_cannot_be_read() -> None:
    parity = {"production": {t: compared(t, 1) for t in TABLES}, "development": {}}
    known = with_runs(run("baseline", 1, 3), updates=(update(1, 2),), parity=parity)
    for source in ("runs:baseline", "updates:production"):
        old = replace(known.snapshot, sources={**known.snapshot.sources, **read(source, minutes=20)})
        found = judge(Evidence(kind="parity_identical", params={"pair": "production"}), replace(known, snapshot=old))
        assert found.status is Status.INCONCLUSIVE and "have not been read since 2026-03-02T11:40Z" in found.summary


def test_what_runs_or_failed_halfway_may_have_written_too() -> None:
    parity = {"production": {t: compared(t, 1) for t in TABLES}, "development": {}}
    for written in (
        with_runs(
            replace(run("baseline", 2, 0.5), life_cycle_state="RUNNING", result_state=None, end_time=None),
            run("baseline", 1, 3),
            parity=parity,
        ),
        with_runs(
            run("baseline", 1, 3), updates=(replace(update(2, 0.5), state="FAILED"), update(1, 2)), parity=parity
        ),
        with_runs(
            run("baseline", 1, 3), updates=(replace(update(2, 0.5), state="CANCELED"), update(1, 2)), parity=parity
        ),
    ):
        assert status("parity_identical", written, pair="production") is Status.INCONCLUSIVE
    checked = with_runs(
        run("baseline", 1, 3), updates=(replace(update(2, 0.5), validate_only=True), update(1, 2)), parity=parity
    )
    assert status("parity_identical", checked, pair="production") is Status.PASS


def test_two_empty_tables_are_nothing_to_compare() -> None:
    results = {t: compared(t, 1) for t in TABLES}
    results["iv_fde_ax"] = replace(results["iv_fde_ax"], baseline_rows=0, candidate_rows=0)
    assert status("parity_identical", facts(parity={"production": results}), pair="production") is Status.INCONCLUSIVE


def test_a_gate_may_require_the_final_comparison() -> None:
    results = {"production": {t: compared(t, 1) for t in TABLES}}
    assert status("parity_identical", facts(parity=results), pair="production", final=True) is Status.INCONCLUSIVE
    assert status("parity_identical", with_runs(final_parity=results), pair="production", final=True) is Status.PASS


def test_a_newer_difference_outdates_a_final_comparison() -> None:
    final = {"production": {t: compared(t, 5) for t in TABLES}, "development": {}}

    def judged(hours: float, verdict: str) -> Status:
        newest = {"production": {t: compared(t, hours, verdict) for t in TABLES}, "development": {}}
        found = with_runs(final_parity=final, parity=newest)
        return status("parity_identical", found, pair="production", final=True)

    assert judged(1, "identical") is Status.PASS
    assert judged(1, "different") is Status.FAIL
    assert judged(1, "not_proven") is Status.INCONCLUSIVE
    assert judged(9, "different") is Status.PASS, "an older one says nothing"


def test_schemas_agree_only_if_they_were_read_and_nothing_that_decides_differs() -> None:
    results = {"production": {t: compared(t, 1) for t in TABLES}}
    none = dict.fromkeys(TABLES, 0)
    assert status("schema_identical", facts(parity=results, schema_differences=none), pair="production") is Status.PASS
    unread = facts(parity=results, schema_differences=dict.fromkeys(TABLES[1:], 0))
    assert status("schema_identical", unread, pair="production") is Status.INCONCLUSIVE
    typed = facts(parity=results, schema_differences={**none, "dim_fde": 1})
    assert status("schema_identical", typed, pair="production") is Status.FAIL


def test_a_comment_is_no_difference_of_schemas_and_a_missing_table_has_none_that_was_read() -> None:
    comment = {"aspect": "comments", "column": "a", "baseline": "x", "candidate": "y", "decides": False}
    assert _schema_differences({"columns": ["a"], "schema_differences": [comment]}) == 0
    assert _schema_differences({"columns": ["a"], "schema_differences": [{**comment, "decides": True}]}) == 1
    assert _schema_differences({"columns": [], "schema_differences": []}) is None
    assert _schema_differences(None) is None


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("different", Status.FAIL), ("not_proven", Status.INCONCLUSIVE), (None, Status.INCONCLUSIVE)],
)
def test_one_table_that_is_not_identical_decides(verdict: str | None, expected: Status) -> None:
    results = {t: compared(t, 1) for t in TABLES}
    results["iv_fde_ax"] = replace(results["iv_fde_ax"], verdict=verdict)
    assert status("parity_identical", facts(parity={"production": results}), pair="production") is expected
    del results["iv_fde_ax"]
    assert status("parity_identical", facts(parity={"production": results}), pair="production") is Status.INCONCLUSIVE


def test_evidence_that_is_too_old_is_inconclusive() -> None:
    found = with_runs(parity={"production": {t: compared(t, 30) for t in TABLES}})
    assert status("parity_identical", found, pair="production", max_age=31) is Status.PASS
    assert status("parity_identical", found, pair="production", max_age=24) is Status.INCONCLUSIVE
    assert Finding(Status.PASS, "x").aged(NOW, 1).status is Status.INCONCLUSIVE


def test_generated_history_proves_nothing() -> None:
    made_up = with_runs(*(run(s, n, n, generated=True) for n in range(1, 9) for s in ("baseline", "candidate")))
    assert status("runs_succeeded", made_up, side="candidate", runs=1) is Status.INCONCLUSIVE
    assert status("runtime_at_most", made_up, factor=1.0) is Status.INCONCLUSIVE
    assert status("no_incidents", made_up, days=14) is Status.INCONCLUSIVE


def test_a_failed_last_run_fails_and_an_older_failure_does_not() -> None:
    good, bad = run("candidate", 2, 1), run("candidate", 1, 2, state="FAILED")
    assert status("runs_succeeded", with_runs(good, bad), side="candidate", runs=1) is Status.PASS
    assert status("runs_succeeded", with_runs(good, bad), side="candidate", runs=2) is Status.FAIL


def schedule(side: str, quartz: str, zone: str = "America/New_York") -> ScheduleRecord:
    return ScheduleRecord(side, 1, side, "cron", quartz, zone, "UNPAUSED", "", ago(0.1))


@pytest.mark.parametrize(
    ("new", "zone", "expected"),
    [
        ("55 0 5/6 * * ?", "America/New_York", Status.PASS),
        ("0 0 6,12,18 * * ?", "America/New_York", Status.FAIL),
        ("55 0 5/6 * * ?", "UTC", Status.FAIL),
        ("0 0 5 1 * ?", "America/New_York", Status.FAIL),
        ("0 0 5 * *", "America/New_York", Status.INCONCLUSIVE),
        ("55 0 5/6 * * ?", "US/Eastern", Status.PASS),
    ],
)
def test_schedules_that_do_not_agree_are_found(new: str, zone: str, expected: Status) -> None:
    schedules = {"baseline": schedule("baseline", "55 0 5/6 * * ?"), "candidate": schedule("candidate", new, zone)}
    assert status("schedules_agree", facts(snapshot=Snapshot({}, schedules, {}, {}, (), ()))) is expected


def test_absence_counts_only_where_the_source_was_read() -> None:
    read = {"pipelines": SourceStatus("pipelines", ago(0.1), ago(0.1), None, 0, 60.0)}
    failing = {"pipelines": SourceStatus("pipelines", ago(5), ago(0.1), "timed out", 3, 60.0)}
    for sources, expected in ((read, Status.FAIL), (failing, Status.INCONCLUSIVE), ({}, Status.INCONCLUSIVE)):
        found = facts(snapshot=Snapshot(sources, {}, {}, {}, (), ()))
        assert status("pipeline_exists", found, environment="production") is expected


def mark_by(by: str, key: str, done: bool = True, *, source: str = "proxy", local: bool = False) -> Tick:
    return Tick(1, key, done, by, local, "", ago(1), source)


def signed_by(*people: str, **more: Any) -> dict[str, Tick]:
    return {s.key: mark_by(by, s.key, **more) for s, by in zip(MIGRATION.sign_offs, people, strict=True)}


def test_a_withdrawn_sign_off_does_not_count() -> None:
    all_signed = signed_by("a@x", "b@x", "c@x")
    assert status("signed", facts(ticks=all_signed)) is Status.PASS
    withdrawn = {**all_signed, "owner": mark_by("c@x", "owner", False)}
    assert status("signed", facts(ticks=withdrawn)) is Status.FAIL
    ticked = {"branch_pushed": mark_by("a@x", "branch_pushed")}
    assert status("manual", facts(ticks=ticked), key="branch_pushed") is Status.PASS


def test_each_sign_off_needs_another_person_unless_the_migration_file_says_otherwise() -> None:
    by_one = facts(ticks=signed_by("a@x", "A@X ", "c@x"))
    found = judge(Evidence(kind="signed"), by_one)
    assert found.status is Status.FAIL and "a@x signed Data engineering and Stakeholders" in found.summary
    relaxed = MIGRATION.model_copy(update={"one_person_may_sign_all": True})
    assert judge(Evidence(kind="signed"), replace(by_one, migration=relaxed)).status is Status.PASS


@pytest.mark.parametrize(("source", "local"), [("persona", True), ("persona", False), ("", True), ("token", True)])
def test_what_a_persona_signs_and_ticks_counts_on_a_local_workspace_alone(source: str, local: bool) -> None:
    marks = signed_by("a@x", "b@x", "c@x", source=source, local=local)
    marks["branch_pushed"] = mark_by("a@x", "branch_pushed", source=source, local=local)
    remote = facts(ticks=marks)
    assert status("signed", remote) is Status.FAIL
    assert status("manual", remote, key="branch_pushed") is Status.INCONCLUSIVE
    assert not any(s.finding.passed for s in sign_offs(remote))
    assert status("signed", replace(remote, personas=True)) is Status.PASS


def test_serving_side_is_read_from_what_the_name_is() -> None:
    first = MIGRATION.tables[0]

    def sides(**tables: TableRecord) -> str:
        records = {t.name: t for t in tables.values()}
        return serving(facts(snapshot=Snapshot({}, {}, {}, records, (), ())))[0].side

    assert sides(a=table(first.baseline)) == "baseline"
    assert sides(a=table(first.baseline, "VIEW", first.kept)) == "baseline"
    assert sides(a=table(first.baseline, "VIEW", first.candidate)) == "candidate"
    assert sides(a=table(first.baseline, "VIEW", "somewhere.else.x")) == "unknown"
    assert sides(a=table(first.baseline, None, exists=False)) == "unknown"
    gone = table(first.candidate, None, exists=False)
    assert sides(a=table(first.baseline), b=table(first.kept), c=gone) == "candidate"
    assert sides() == "unknown"


def in_a_row(
    count: int, hours: float = 6.0, minutes_unread: float = 1.0, pair: str = "production", **more: Any
) -> Facts:
    """So many clean pairs of runs, the newest an hour ago."""
    moments = tuple(ago(1 + n * hours) for n in range(count))
    streak = Streak(count, 6 * count, ago(1 + (count - 1) * hours), ago(1), moments, **more)
    sources = read("runs:baseline", f"updates:{pair}", minutes=minutes_unread)
    return facts(streaks={pair: streak}, snapshot=Snapshot(sources, {}, {}, {}, (), ()))


def told(kind: str, found: Facts, **params: Any) -> Finding:
    return judge(Evidence(kind=kind, params={"pair": "production", **params}), found)


def test_28_pairs_at_6_hours_meet_both_the_streak_and_the_week() -> None:
    found = told("parity_streak", in_a_row(28), pairs=28)
    assert (found.status, found.summary) == (Status.PASS, "28 of 28 clean comparisons in a row")
    found = told("parallel_days", in_a_row(28), days=7)
    assert (found.status, found.summary) == (Status.PASS, "7.0 of 7 days of clean comparisons (28 pairs of runs)")
    assert told("parity_streak", in_a_row(40), pairs=28).summary == "28 of 28 clean comparisons in a row (40 in all)"
    assert told("parallel_days", in_a_row(7, 24), days=7).passed
    assert told("parallel_days", in_a_row(27), days=7).status is Status.INCONCLUSIVE
    assert told("parallel_days", in_a_row(6, 24), days=7).status is Status.INCONCLUSIVE


def test_what_was_not_compared_ends_the_row_and_is_named_with_its_time() -> None:
    missed = NotCompared((EndedProducer("123", ago(90)),), (EndedProducer("abc", ago(90.1)),), ("blind",))
    text = "run 123 of 2026-02-26T18:00Z and update abc of 2026-02-26T17:54Z were not compared"
    for kind, params in (("parity_streak", {"pairs": 28}), ("parallel_days", {"days": 7})):
        found = told(kind, in_a_row(14, ended=missed), **params)
        assert found.status is Status.INCONCLUSIVE
        assert f"; before them {text} (comparison blind counts nothing" in found.summary
    nothing = told("parity_streak", in_a_row(0, ended=missed), pairs=28)
    assert nothing.summary.startswith(f"0 of 28 clean comparisons in a row: {text}")
    runs = tuple(EndedProducer(str(n), ago(90 - n)) for n in range(13))
    many = NotCompared(runs, tuple(EndedProducer(f"u{n}", ago(90 - n)) for n in range(12)))
    found = told("parity_streak", in_a_row(1, ended=many), pairs=28)
    assert "12 pairs of runs, the last of them run 12 of" in found.summary


def test_a_week_without_comparisons_is_no_week_though_its_ends_are_clean() -> None:
    found = told("parallel_days", in_a_row(2, 168), days=7)
    assert found.status is Status.INCONCLUSIVE
    assert found.summary == (
        "0.0 of 7 days of clean comparisons (1 pair of runs); before them 7 days passed without a clean pair of runs, "
        "more than 24 h"
    )
    assert told("parallel_days", in_a_row(8, 36), days=7).status is Status.INCONCLUSIVE
    assert told("parallel_days", in_a_row(8, 36), days=7, longest_hours=36).passed
    with pytest.raises(ValueError, match="longest_hours"):
        Evidence(kind="parallel_days", params={"pair": "production", "days": 7, "longest_hours": 0})


def test_a_streak_does_not_pass_while_its_newest_pair_waits_or_runs_cannot_be_read() -> None:
    newest = NotCompared((EndedProducer("123", ago(0.5)),), (EndedProducer("abc", ago(0.4)),))
    found = told("parity_streak", in_a_row(28, waiting=newest), pairs=28)
    assert found.status is Status.INCONCLUSIVE and "28 of 28" in found.summary and "not compared yet" in found.summary
    assert told("parallel_days", in_a_row(28, waiting=newest), days=7).passed, "the week before it is over"
    unread = told("parity_streak", in_a_row(28, minutes_unread=20), pairs=28)
    assert unread.status is Status.INCONCLUSIVE and "have not been read since 2026-03-02T11:40Z" in unread.summary
    never = replace(in_a_row(28), snapshot=Snapshot({}, {}, {}, {}, (), ()))
    assert told("parity_streak", never, pairs=28).status is Status.INCONCLUSIVE
    assert told("parity_streak", in_a_row(28, pair="development"), pairs=28, pair="development").passed


def test_a_row_that_a_comparison_broke_fails_and_an_unknown_one_is_inconclusive() -> None:
    broken = told("parity_streak", in_a_row(3, ended=NotIdentical("c7", "not_proven")), pairs=28)
    assert (broken.status, broken.references) == (Status.FAIL, ("c7",))
    assert broken.summary == "3 of 28 clean comparisons in a row; before them comparison c7 was not proven"
    untold = told("parity_streak", in_a_row(3, ended=NotCollected(ago(13), runs=True, updates=True)), pairs=28)
    assert untold.status is Status.INCONCLUSIVE
    assert "not all runs of the old job and updates of the new side have been collected" in untold.summary
