"""Every rule: without evidence, from old evidence or from generated history alone, none of them passes.

One world in which rules pass, and three ways to take its evidence away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.config.evidence_params import KINDS
from app.config.items import Evidence
from app.moments import in_zone
from app.parity.streak import Streak
from app.progress.evidence import Finding
from app.progress.expectation_counts import Counts
from app.progress.facts import Facts
from app.progress.judge import RULES, judge
from app.store.checklist import Tick
from app.store.collected.records import ConsumerRecord, ExpectationRecord, Snapshot, TaskRunRecord
from app.store.definitions import ScheduleState
from app.store.incidents import Watch
from tests.support.bundled_definitions import all_records, schedule_record
from tests.support.progress_facts import (
    MIGRATION,
    NOW,
    TABLES,
    ago,
    compared,
    facts,
    operated,
    operation,
    read,
    run,
    table,
    update,
)

NEW_YORK = ZoneInfo("America/New_York")
QUARTZ = "0 0 0/6 * * ?"
REPORTS = ["24_hour_iv_submission_email", "last_submission_report"]

PARAMS: dict[str, dict[str, Any]] = {
    "manual": {},
    "signed": {},
    "pipeline_exists": {"environment": "production"},
    "job_exists": {"side": "candidate"},
    "schedule_active": {"job": "development", "offset_minutes": 15},
    "tables_exist": {"side": "candidate"},
    "consumers_known": {},
    "kept_tables_gone": {"days": 30},
    "update_completed": {"environment": "production"},
    "runs_succeeded": {"side": "candidate", "runs": 4},
    "runs_per_day": {"per_day": 4, "days": 2},
    "no_incidents": {"days": 2},
    "reliability": {"environment": "production", "minimum": 0.999, "days": 14, "updates": 10},
    "reports_delivered": {"side": "candidate", "tasks": REPORTS},
    "runtime_measured": {},
    "runtime_at_most": {"factor": 1.0},
    "cost_measured": {},
    "cost_at_most": {"factor": 1.0},
    "expectations_tracked": {"environment": "production"},
    "expectations_passing": {"environment": "production"},
    "expectations_hold": {"environment": "production"},
    "compared": {"pair": "production"},
    "parity_identical": {"pair": "production"},
    "schema_identical": {"pair": "production"},
    "parity_streak": {"pair": "production", "pairs": 28},
    "parallel_days": {"pair": "production", "days": 6},
    "schedules_agree": {},
    "operation_verified": {"operation": "cutover"},
    "days_since_cutover": {"days": 30},
    "items_met": {"steps": ["week_8"]},
}

ASSESSED = {"runtime_measured", "runtime_at_most", "cost_measured", "cost_at_most"}
"""They rest on the assessment of pairs of runs, which has tests of its own; there is none in this world."""

PAST = {"manual", "signed", "update_completed", "compared", "parallel_days", "operation_verified"}
"""What happened stays so however old it is; a gate sets an age where it needs one."""

OF_RUNS = {
    "update_completed", "runs_succeeded", "runs_per_day", "no_incidents", "reliability", "reports_delivered",
}  # fmt: skip
"""What generated runs and updates could be taken for."""


def good() -> Facts:
    """Everything is as it should be: both sides ran for 20 days, a cutover 31 days ago holds, the old tables are gone."""
    as_of = ago(0.05)
    schedules, pipelines = all_records(MIGRATION, as_of)
    schedules["development"] = schedule_record(
        "development", as_of, lambda s: s["schedule"].update(pause_status="UNPAUSED")
    )
    # After the cutover the new job serves: its reports have the old names.
    schedules["candidate"] = schedule_record("candidate", as_of, lambda s: s["parameters"][1].update(default=""))
    runs = [run(side, 1000 * n + i, 6 * i) for n, side in enumerate(("baseline", "candidate")) for i in range(1, 81)]
    updates = [update(i, 6 * i - 0.1) for i in range(1, 81)]
    records = {}
    for t in MIGRATION.tables:
        for record in (
            table(t.baseline, "VIEW", t.candidate), table(t.candidate, "MATERIALIZED_VIEW"), table(t.kept, exists=False),
        ):  # fmt: skip
            records[record.name] = replace(record, as_of=as_of)
    sources = read(
        "runs:baseline", "runs:candidate", "updates:production", "updates:development", "tables", "schedules", "pipelines",
        "lineage", "events:production",
    )  # fmt: skip
    tasks = {r.run_id: [_task(r.run_id, key) for key in REPORTS] for r in runs}
    moments = tuple(ago(1 + 6 * n) for n in range(30))
    results = {"production": {t: compared(t, 1) for t in TABLES}, "development": {}}
    snapshot = Snapshot(sources, schedules, pipelines, records, tuple(runs), tuple(updates))
    return facts(
        snapshot=snapshot,
        tasks=tasks,
        expectations={"production": Counts({"d": [ExpectationRecord("u1", "d", "e", "warn", 100, 0, ago(6))]})},
        parity=results,
        final_parity=results,
        schema_differences=dict.fromkeys(TABLES, 0),
        streaks={"production": Streak(30, 180, moments[-1], moments[0], moments), "development": Streak()},
        ticks={s.key: _tick(s.key, f"p{n}@x") for n, s in enumerate(MIGRATION.sign_offs)} | {"k": _tick("k", "a@x")},
        consumers=[ConsumerRecord(t.baseline, "DASHBOARD_V3", "d", None, "a@x", ago(5), 3) for t in MIGRATION.tables],
        schedules={s: [ScheduleState(ago(24 * 30), QUARTZ, "UTC", True)] for s in ("baseline", "candidate")},
        watch=Watch(ago(24 * 20), ago(0.05)),
        **operated(operation("cutover", 31 * 24)),
    )


def _task(run_id: int, key: str) -> TaskRunRecord:
    return TaskRunRecord(run_id, key, run_id, "SUCCESS", ago(1), ago(1), 1.0, None)


def _tick(key: str, by: str) -> Tick:
    return Tick(1, key, True, by, False, "", ago(1), "proxy")


GOOD = good()


def told(kind: str, found: Facts) -> Finding:
    return judge(Evidence(kind=kind, params=PARAMS[kind]), found, key="k")


def generated(found: Facts) -> Facts:
    runs = tuple(replace(r, generated=True) for r in found.snapshot.runs)
    updates = tuple(replace(u, generated=True) for u in found.snapshot.updates)
    return replace(found, snapshot=replace(found.snapshot, runs=runs, updates=updates))


def later(found: Facts, by: timedelta) -> Facts:
    """The same evidence, looked at so much later: nothing was read since."""
    return replace(found, now=found.now + by)


def test_the_world_has_parameters_for_every_kind() -> None:
    assert set(PARAMS) == set(KINDS) == set(RULES)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - ASSESSED))
def test_each_rule_passes_in_a_world_where_all_is_well(kind: str) -> None:
    found = told(kind, GOOD)
    assert found.passed, found.summary
    assert found.as_of is not None and found.as_of <= NOW, "a pass has the time of its evidence"
    assert found.source


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_without_evidence_no_rule_passes(kind: str) -> None:
    assert not told(kind, facts()).passed
    sources_only = facts(snapshot=replace(facts().snapshot, sources=GOOD.snapshot.sources))
    assert not told(kind, sources_only).passed, "absence is no proof either, though everything was read"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - PAST))
def test_old_evidence_proves_nothing_of_the_present(kind: str) -> None:
    assert not told(kind, later(GOOD, timedelta(hours=400))).passed


@pytest.mark.parametrize("kind", sorted(OF_RUNS))
def test_generated_history_alone_proves_nothing(kind: str) -> None:
    assert not told(kind, generated(GOOD)).passed


def _worlds() -> Mapping[str, Facts]:
    return {"good": GOOD, "empty": facts(), "old": later(GOOD, timedelta(hours=400)), "generated": generated(GOOD)}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_sentence_of_a_rule_holds_a_time_in_a_zone_of_its_own(kind: str) -> None:
    """Its times are those of `app.moments.when`, which a page shows in the reader's zone."""
    for name, world in _worlds().items():
        text = told(kind, world).summary
        assert " UTC" not in text and "+00:00" not in text, (name, text)
        shown = in_zone(text, NEW_YORK)
        assert not _holds_raw_time(shown), (name, shown)


def _holds_raw_time(text: str) -> bool:
    for word in text.replace(",", " ").replace(";", " ").split():
        try:
            if "T" in word:
                datetime.fromisoformat(word)
                return True
        except ValueError:
            continue
    return False
